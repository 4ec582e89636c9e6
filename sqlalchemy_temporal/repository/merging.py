"""The part of ``Repository`` that merges.

A merge brings what happened on another line of commits into the live tables, by the best
common ancestor of both. Where both lines changed the same cell it waits for someone to
decide: conflicts are rows of the database, so they can be looked at and resolved from any
session, and nothing is written to the live tables before the merge is committed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from sqlalchemy_temporal.clock.intent import Intent
from sqlalchemy_temporal.clock.moment import Moment
from sqlalchemy_temporal.clock.own import own_transaction_id
from sqlalchemy_temporal.clock.resolve import When, resolve
from sqlalchemy_temporal.errors import (
    ConstraintViolationError,
    MergeError,
    OpenConflictsError,
)
from sqlalchemy_temporal.repository import refs
from sqlalchemy_temporal.repository.apply import plan_changes, plan_moment
from sqlalchemy_temporal.repository.catalog import Entity, load_tables
from sqlalchemy_temporal.repository.changes import ChangeQuery
from sqlalchemy_temporal.repository.dag import Range, load_dag
from sqlalchemy_temporal.repository.merge import state
from sqlalchemy_temporal.repository.merge.bases import Base, base_of
from sqlalchemy_temporal.repository.merge.decide import decided
from sqlalchemy_temporal.repository.merge.dropped import Tips, dropped_columns, with_dropped
from sqlalchemy_temporal.repository.merge.plan import Planned, plan
from sqlalchemy_temporal.repository.merge.question import Question
from sqlalchemy_temporal.repository.merge.resolve import resolve_conflicts
from sqlalchemy_temporal.repository.merge.result import MergeResult
from sqlalchemy_temporal.repository.merge.state import Conflict, OpenMerge
from sqlalchemy_temporal.repository.merge.unrecorded import check_forward
from sqlalchemy_temporal.repository.operations import Operations
from sqlalchemy_temporal.repository.revisions import commit_at, without_moves
from sqlalchemy_temporal.repository.writing import in_savepoint, writer_of
from sqlalchemy_temporal.schema import SystemTables


@dataclass(frozen=True, slots=True)
class _Sides:
    """The two commits that are merged, and what they have in common.

    Attributes:
        ours: HEAD.
        theirs: what is merged.
        news: the commits that led to theirs, and not to ours.
        tips: their last commits with a content of their own, not a switch or the like.
        nothing_new: whether ours has all of theirs: it is an ancestor, but for commits that
            only move, such as a switch.
        nothing_ours: the same the other way round.
        result: the result so far: nothing to merge.
        base: the base.
    """

    ours: Moment
    theirs: Moment
    news: tuple[Range, ...]
    tips: tuple[UUID, UUID]
    nothing_new: bool
    nothing_ours: bool
    result: MergeResult
    base: Base


@dataclass(frozen=True, slots=True)
class _Said:
    """What the merge commit says, and how strictly triggers are looked at."""

    message: str | None
    author: str | None
    triggers: str


class Merging(Operations):
    """What ``Repository`` can do about other lines of commits."""

    def merge(
        self,
        when: When,
        *tables: Entity,
        message: str | None = None,
        author: str | None = None,
        strict: bool = False,
        fast_forward: bool = True,
        dry_run: bool = False,
        triggers: str = "check",
    ) -> MergeResult:
        """Merge another line of commits into HEAD, cell by cell.

        Cells that only one side changed since the best common ancestor are taken from that
        side. Where both changed a cell differently the merge stops with conflicts and
        writes nothing: look at them with :meth:`conflicts`, decide with :meth:`resolve`,
        then :meth:`merge_commit`, or give up with :meth:`merge_abort`. The same goes for
        constraints that the merged rows would violate.

        Writers of versioned tables wait until the transaction ends.

        A table that the other line changed can be merged only when it is recorded at the
        base, at the commit to be merged and at present; else the merge is refused, or can
        be restricted to other tables. Those left out count as merged: what the other line
        did to them is not offered again.

        Parameters:
            when: the commit to merge: a branch, a tag, or what else names one.
            tables: only these tables, by a commit of two parents in any case; nothing for
                all.
            message: the message of the merge commit.
            author: who merges.
            strict: rows that both sides touched are conflicts, whatever they did.
            fast_forward: when nothing was committed here since what is merged went its own
                way, become that, without a commit of two parents.
            dry_run: only tell what would happen.
            triggers: ``"check"`` refuses when triggers of the application give rows other
                values; ``"allow"`` lets them.

        Raises:
            MomentError: ``when`` names no commit.
            UnrecordedMomentError: a table that the other line changed is not recorded at a
                commit that it is merged by; nothing was written.
            ConfigurationError: one of ``tables`` is not versioned.
            MergeError: another merge is in progress, or the transaction has changes that
                are not committed.
            AlteredRowsError: triggers of the application interfered; nothing was written.
        """
        with self.begin() as repo:
            repo._flush()
            if dry_run:
                return repo._try(when, tables, strict=strict, fast_forward=fast_forward)
            system = repo._system_tables()
            repo._refuse_changes()
            if state.find_open(repo.connection, system) is not None:
                raise MergeError(
                    "a merge is in progress; commit it with merge_commit() or give it up with "
                    "merge_abort()"
                )
            repo._lock()
            sides = repo._sides(when)
            if sides.nothing_new:
                return sides.result
            said = _Said(message or repo._message(when), author, triggers)
            if fast_forward and sides.nothing_ours and not tables:
                result = repo._forward(sides, said)
            else:
                result = repo._begin_merge(sides, said, when, tables, strict=strict)
        return self._looked_up(result)

    def merge_commit(self, *, author: str | None = None, triggers: str = "check") -> MergeResult:
        """Commit the merge that is in progress, with its conflicts as they were resolved.

        When HEAD has moved since, it is merged with HEAD as it is now. Resolutions of
        conflicts that are still the same stay; when there are new conflicts, the result
        says so, and nothing is written.

        Parameters:
            author: who merges, if not who began it.
            triggers: as in :meth:`merge`.

        Raises:
            MergeError: no merge is in progress, or the transaction has changes that are
                not committed.
            OpenConflictsError: conflicts are not resolved.
        """
        with self.begin() as repo:
            repo._flush()
            system, connection = repo._system_tables(), repo.connection
            repo._refuse_changes()
            merge = state.require_open(connection, system)
            repo._refuse_open(merge)
            repo._lock()
            sides = repo._sides(merge.theirs)
            said = _Said(merge.message, author or merge.author, triggers)
            result = repo._go_on(sides, said, merge)
            if result:
                state.end(connection, system, merge.id, state.COMMITTED)
        return self._looked_up(result)

    def merge_abort(self) -> None:
        """Give up the merge in progress; the live tables are as they were anyway.

        Raises:
            MergeError: no merge is in progress.
        """
        with self.begin() as repo:
            system = repo._system_tables()
            merge = state.require_open(repo.connection, system)
            state.end(repo.connection, system, merge.id, state.ABORTED)

    @property
    def merging(self) -> OpenMerge | None:
        """The merge in progress, whoever began it; None when there is none."""
        with self.begin() as repo:
            return state.find_open(repo.connection, repo._system_tables())

    def conflicts(self, *, only_open: bool = False) -> list[Conflict]:
        """The conflicts of the merge in progress, by table and key.

        Parameters:
            only_open: only those that are not resolved.

        Raises:
            MergeError: no merge is in progress.
        """
        with self.begin() as repo:
            system = repo._system_tables()
            merge = state.require_open(repo.connection, system)
            found = state.list_conflicts(repo.connection, system, merge.id)
        return [each for _, each in found if each.is_open or not only_open]

    def resolve(
        self,
        *tables: Entity,
        key: Any = None,
        take: str | None = None,
        values: Mapping[str, Any] | None = None,
        author: str | None = None,
    ) -> int:
        """Resolve conflicts of the merge in progress.

        ::

            repo.resolve(take="ours")                                 # all of them
            repo.resolve(Price, take="theirs")                        # those of one table
            repo.resolve(Price, key=7, values={"amount": 12})         # one row

        Cells that are not disputed are merged whatever is decided; where rows stand
        against each other as a whole (deleted against changed, ``strict``) the decision is
        about the whole row. A decision can be changed until the merge is committed. By
        values, a row without a conflict can be changed, too, e.g. to satisfy a constraint.

        Parameters:
            tables: only of these tables; nothing for all.
            key: only the row with this key, of one table.
            take: ``"ours"``, ``"theirs"`` or ``"base"``.
            values: values by column: all disputed columns of the row, and others if wanted.
            author: who decides; the current actor by default.

        Returns:
            How many conflicts were resolved.

        Raises:
            MergeError: no merge is in progress, there is no such conflict, or the
                resolution does not fit it.
            ConfigurationError: a table is not versioned, or ``key`` is not one of its.
        """
        with self.begin() as repo:
            system = repo._system_tables()
            merge = state.require_open(repo.connection, system)
            return resolve_conflicts(
                repo.connection,
                system,
                merge,
                tables,
                key=key,
                take=take,
                values=values,
                author=author,
            )

    # ------------------------------------------------------------------------------ inside

    def _system_tables(self) -> SystemTables:
        return self._system

    def _lock(self) -> None:
        """Let nobody write, so that the live tables stay what HEAD is."""
        writer_of(self.connection, self.schema).lock(load_tables(self.connection, self.schema))

    def _refuse_changes(self) -> None:
        if own_transaction_id(self.connection, self.schema) is not None:
            raise MergeError(
                "this transaction has changed versioned tables; commit or roll back before "
                "merging, as a merge is a commit of its own"
            )

    def _refuse_open(self, merge: OpenMerge) -> None:
        found = state.list_conflicts(self.connection, self._system_tables(), merge.id)
        waiting = [each for _, each in found if each.is_open]
        if waiting:
            some = ", ".join(f"{each.table} {dict(each.key)}" for each in waiting[:5])
            raise OpenConflictsError(
                f"{len(waiting)} conflict(s) are not resolved: {some}; see conflicts(), and "
                "decide with resolve()",
                count=len(waiting),
            )

    def _message(self, when: When) -> str:
        name = when if isinstance(when, str) else str(getattr(when, "uuid", when))
        current = refs.current(self.connection, self._system_tables())
        return f"Merge {name}" + (f" into {current}" if current else "")

    def _sides(self, when: When) -> _Sides:
        connection, system = self.connection, self._system_tables()
        ours = resolve(connection, "HEAD", self.schema)
        theirs = resolve(connection, when, self.schema)
        dag = load_dag(connection, system, ours.seq)
        points = dag.merge_bases(ours.seq, theirs.seq)
        found = [commit_at(connection, system, point) for point in points]
        result = MergeResult("up-to-date", ours.uuid, theirs.uuid, tuple(uuid for _, uuid in found))
        our_tip, their_tip = (without_moves(connection, system, each) for each in (ours, theirs))
        return _Sides(
            ours,
            theirs,
            tuple(dag.between(ours.seq, theirs.seq)),
            (
                commit_at(connection, system, our_tip)[1],
                commit_at(connection, system, their_tip)[1],
            ),
            dag.is_ancestor(their_tip, ours.seq),
            dag.is_ancestor(our_tip, theirs.seq),
            result,
            base_of(dag, ours.seq, theirs.seq),
        )

    def _question(
        self, sides: _Sides, tables: Sequence[Entity] = (), *, strict: bool = False
    ) -> Question:
        system = self._system_tables()
        only = tuple(tables)
        return Question(self.connection, system, sides.ours, sides.theirs, sides.news, only, strict)

    def _conflicts(self, sides: _Sides, planned: Planned) -> list[dict[str, Any]]:
        connection, system = self.connection, self._system_tables()
        found = state.found_conflicts(connection, planned.merges)
        for base in sides.result.bases[:1]:
            tips = Tips(
                resolve(connection, base, self.schema),
                resolve(connection, sides.tips[0], self.schema),
                resolve(connection, sides.tips[1], self.schema),
            )
            dropped = dropped_columns(connection, system, tips, planned.tables)
            found = with_dropped(found, dropped)
        return found

    def _forward(self, sides: _Sides, said: _Said) -> MergeResult:
        """Become what is merged: a commit that goes on from it."""
        check_forward(self._question(sides))
        with in_savepoint(self.connection):
            planned = plan_moment(self.connection, sides.theirs, lock=True)
            self._describe(said.message, said.author)
            intent = Intent("FAST_FORWARD", parent=sides.theirs.uuid)
            changes = self._execute(planned, intent, said.triggers, always=True)
        outcome = self._outcome("FAST_FORWARD", sides.theirs.uuid, changes, planned.unknown)
        return replace(
            sides.result,
            status="fast-forward",
            changes=changes,
            unknown=planned.unknown,
            outcome=outcome,
        )

    def _begin_merge(
        self, sides: _Sides, said: _Said, when: When, tables: Sequence[Entity], *, strict: bool
    ) -> MergeResult:
        """Merge; where that does not go through, write the merge down to be resolved."""
        planned = plan(self._question(sides, tables, strict=strict), sides.base)
        rows = self._conflicts(sides, planned)
        conflicts = tuple(map(state.conflict_of, rows))
        result = replace(sides.result, conflicts=conflicts, unknown=planned.unknown)
        if rows:
            result = replace(result, status="conflicts")
        else:
            result = self._write(result, [each.changes() for each in planned.merges], said)
        if not result:
            values = {
                "revision": when if isinstance(when, str) else str(sides.theirs.uuid),
                "ours_uuid": sides.ours.uuid,
                "theirs_uuid": sides.theirs.uuid,
                "strict": strict,
                "tables": sorted(planned.tables) if tables else None,
                "author": said.author,
                "message": said.message,
            }
            system = self._system_tables()
            number = state.begin(self.connection, system, values)
            state.store(self.connection, system, number, rows)
        return result

    def _go_on(self, sides: _Sides, said: _Said, merge: OpenMerge) -> MergeResult:
        """Merge with HEAD as it is now, by what was decided about conflicts."""
        connection, system = self.connection, self._system_tables()
        planned = plan(self._question(sides, merge.tables, strict=merge.strict), sides.base)
        state.store(connection, system, merge.id, self._conflicts(sides, planned))
        state.move(connection, system, merge.id, sides.ours.uuid)
        known = state.list_conflicts(connection, system, merge.id)
        conflicts = tuple(each for _, each in known)
        result = replace(sides.result, conflicts=conflicts, unknown=planned.unknown)
        if any(each.is_open for each in conflicts):
            return replace(result, status="conflicts")
        queries = [decided(each, system, merge.id, known) for each in planned.merges]
        return self._write(result, queries, said)

    def _write(
        self, result: MergeResult, queries: Sequence[ChangeQuery], said: _Said
    ) -> MergeResult:
        """Write the merged rows, unless constraints forbid it."""
        planned = plan_changes(self.connection, queries, self.schema, lock=True)
        if planned.violations:
            planned.discard()
            return replace(result, status="violations", violations=planned.violations)
        intent = Intent("MERGE", parent=result.ours, merge_parent=result.theirs)
        try:
            with in_savepoint(self.connection):
                self._describe(said.message, said.author)
                changes = self._execute(planned, intent, said.triggers, always=True)
        except ConstraintViolationError as error:
            return replace(result, status="violations", violations=tuple(error.violations))
        outcome = self._outcome("MERGE", result.theirs, changes, result.unknown)
        return replace(result, status="merged", changes=changes, outcome=outcome)

    def _try(
        self, when: When, tables: Sequence[Entity], *, strict: bool, fast_forward: bool
    ) -> MergeResult:
        """What a merge would come to."""
        sides = self._sides(when)
        result = replace(sides.result, dry_run=True)
        if sides.nothing_new:
            return result
        if fast_forward and sides.nothing_ours and not tables:
            check_forward(self._question(sides))
            ahead = plan_moment(self.connection, sides.theirs)
            summary, unknown = ahead.summary(), ahead.unknown
            ahead.discard()
            return replace(result, status="fast-forward", changes=summary, unknown=unknown)
        planned = plan(self._question(sides, tables, strict=strict), sides.base)
        found = self._conflicts(sides, planned)
        conflicts = tuple(map(state.conflict_of, found))
        queries = [each.changes() for each in planned.merges]
        written = plan_changes(self.connection, queries, self.schema)
        result = replace(
            result,
            status="merged",
            changes=written.summary(),
            conflicts=conflicts,
            violations=written.violations,
            unknown=planned.unknown,
        )
        written.discard()
        if conflicts:
            return replace(result, status="conflicts")
        return replace(result, status="violations") if result.violations else result

    def _looked_up(self, result: MergeResult) -> MergeResult:
        """The result, whose commit is to be looked up where this repository works."""
        if result.outcome is None:
            return result
        return replace(result, outcome=self._own(result.outcome))


__all__ = ["Merging"]
