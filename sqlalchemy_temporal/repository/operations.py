"""The part of ``Repository`` that writes: commits, restoring, reverting.

**Transactions.** Given a connection or a session, an operation happens in its current
transaction: its commit is there, and visible, once that is committed. Given an engine or a
sessionmaker, each operation is a transaction of its own, committed when it returns. Either
way it is all or nothing, and :attr:`Outcome.commit` is the commit.

**Sessions.** Pending changes are flushed before, and objects are expired after, so that what
is loaded next is the new state.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, Self
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Engine, Executable, select, text
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from sqlalchemy_temporal.capture.install import in_autocommit, in_one_transaction
from sqlalchemy_temporal.clock.backends import clock_of
from sqlalchemy_temporal.clock.commit import Commit
from sqlalchemy_temporal.clock.describe import Description, current_actor, write_description
from sqlalchemy_temporal.clock.hooks import attach
from sqlalchemy_temporal.clock.intent import Intent, write_intent
from sqlalchemy_temporal.clock.moment import Moment
from sqlalchemy_temporal.clock.own import make_commit, own_transaction_id
from sqlalchemy_temporal.clock.resolve import When, resolve
from sqlalchemy_temporal.errors import (
    BeforeVersioningError,
    CommitError,
    ConfigurationError,
    RevertConflictError,
    StaleParentError,
)
from sqlalchemy_temporal.repository.apply import plan_changes, plan_moment
from sqlalchemy_temporal.repository.catalog import Entity, choose, load_tables
from sqlalchemy_temporal.repository.comparing import compare
from sqlalchemy_temporal.repository.described import VersionedTable
from sqlalchemy_temporal.repository.outcome import Executed, Outcome, commit_of
from sqlalchemy_temporal.repository.plan import Plan
from sqlalchemy_temporal.repository.reverting import (
    OnConflict,
    RevertConflict,
    count_conflicts,
    list_conflicts,
    reversal,
)
from sqlalchemy_temporal.repository.unrecorded import restricted, unrecorded, wrote
from sqlalchemy_temporal.repository.writing import in_savepoint, writer_of
from sqlalchemy_temporal.schema import SystemTables, system_of

Bind = Connection | Session | scoped_session[Any] | Engine | sessionmaker[Any]
"""What a repository works on."""

_ALWAYS: Final = frozenset({"COMMIT", "CHECKOUT", "SWITCH", "MERGE", "FAST_FORWARD"})
"""Operations that are a commit even when no row differs: they have a place in the graph."""


class Operations:
    """What ``Repository`` can do to the live tables."""

    schema: str
    _bind: Bind

    @property
    def connection(self) -> Connection:
        """The connection it works on."""
        raise NotImplementedError

    @property
    def _system(self) -> SystemTables:
        """The library's own tables.

        Raises:
            NotInstalledError: the database has none.
        """
        connection = self.connection
        clock_of(connection).require(connection, self.schema)
        return system_of(connection, self.schema)

    # ----------------------------------------------------------------------- transactions

    @contextmanager
    def begin(self) -> Iterator[Self]:
        """A repository that works in a transaction of its own, committed after the block.

        Of a connection or a session it is the current transaction, which stays open.
        """
        if isinstance(self._bind, Engine):
            attach(self._bind, self.schema)
            with self._bind.begin() as connection, _together(connection):
                yield type(self)(connection, self.schema)  # type: ignore[call-arg]
        elif isinstance(self._bind, sessionmaker):
            with self._bind.begin() as session, _together(session.connection()):
                yield type(self)(session, self.schema)  # type: ignore[call-arg]
        else:
            attach(self.connection, self.schema)
            with _together(self.connection):
                yield self

    @contextmanager
    def committing(
        self,
        message: str | None = None,
        *,
        author: str | None = None,
        context: Mapping[str, Any] | None = None,
        parent: When | None = None,
    ) -> Iterator[Self]:
        """A block that is one commit, described; what it does is done to ``repo.connection``.

        ::

            with Repository(engine).committing("Spring prices", parent=seen) as repo:
                repo.connection.execute(update(product).values(price=product.c.price * 2))

        Of an engine or a sessionmaker it is committed at the end of the block. Of a
        connection or a session it is when that is committed; what is in its transaction
        already belongs to the commit.

        Parameters:
            message: what for.
            author: who.
            context: further facts that can be written as JSON.
            parent: the commit that was HEAD when the changes were thought out; the commit
                is refused if HEAD has moved by the time it is made.

        Raises:
            StaleParentError: HEAD is not ``parent``; nothing became visible.
        """
        with self.begin() as repo:
            repo._describe(message, author, context)
            if parent is not None:
                repo._expect(parent)
            yield repo

    def commit(
        self,
        message: str | None = None,
        *,
        author: str | None = None,
        context: Mapping[str, Any] | None = None,
        parent: When | None = None,
    ) -> Commit:
        """Commit the current transaction of the session or connection, described.

        Parameters are those of :meth:`committing`.

        Returns:
            The commit that was made.

        Raises:
            StaleParentError: HEAD is not ``parent``; everything was rolled back.
            CommitError: the transaction has changed nothing that is versioned; it is not
                ended.
            ConfigurationError: the repository has an engine, which has no current
                transaction; use :meth:`committing`.
        """
        bind = self._bind
        if isinstance(bind, Engine | sessionmaker):
            raise ConfigurationError(
                "an engine or sessionmaker has no current transaction to commit; use "
                "'with repo.committing(message=...) as work:'"
            )
        if not isinstance(bind, Connection):
            bind.flush()
        self._describe(message, author, context)
        if parent is not None:
            try:
                self._expect(parent)
            except StaleParentError:
                bind.rollback()
                raise
        tx_id = own_transaction_id(self.connection, self.schema)
        if tx_id is None:
            raise CommitError("the transaction has changed no versioned table; nothing to commit")
        bind.commit()
        found = commit_of(self.connection, self.schema, tx_id)
        if found is None:
            raise CommitError("all changes were undone within the transaction: there is no commit")
        return found

    def execute(
        self,
        statement: str | Executable,
        params: Mapping[str, Any] | None = None,
        *,
        message: str | None = None,
        author: str | None = None,
        parent: When | None = None,
    ) -> Executed:
        """Run one SQL statement as one commit.

        Parameters:
            statement: SQL text with ``:name`` parameters, or a construct of SQLAlchemy.
            params: the values of its parameters.
            message: what for.
            author: who.
            parent: as in :meth:`committing`.

        Returns:
            The rows it returned, and the commit.

        Raises:
            StaleParentError: HEAD is not ``parent``; nothing became visible.
        """
        with self.committing(message, author=author, parent=parent) as repo:
            connection = repo.connection
            what = text(statement) if isinstance(statement, str) else statement
            result = connection.execute(what, dict(params or {}))
            rowcount: int = result.rowcount
            rows = list(result.all()) if result.returns_rows else []
            outcome = repo._outcome("COMMIT", None, {})
        return Executed(rows, rowcount, self._own(outcome))

    # ------------------------------------------------------------------------- restoring

    def plan(
        self,
        when: When,
        *tables: Entity,
        keys: Iterable[Any] | None = None,
        where: ColumnElement[bool] | None = None,
    ) -> Plan:
        """What :meth:`restore` would do, row by row, and what constraints forbid.

        Nothing is written and nothing locked. The plan can be executed in the same
        transaction, as long as nobody has committed since.

        Raises:
            MomentError: ``when`` names no point in time.
            UnrecordedMomentError: one of ``tables`` is not known at that time.
        """
        self._flush()
        moment = resolve(self.connection, when, self.schema)
        return plan_moment(self.connection, moment, tables, keys=keys, where=where)

    def restore(
        self,
        when: When,
        *tables: Entity,
        keys: Iterable[Any] | None = None,
        where: ColumnElement[bool] | None = None,
        message: str | None = None,
        author: str | None = None,
        triggers: str = "check",
    ) -> Outcome:
        """Make the live tables what they were at ``when``, as a new commit on HEAD.

        Only rows that differ are written, and of them only columns that differ. Writers of
        the tables wait until the transaction ends. Tables that are not known at that time
        are left as they are and named in :attr:`Outcome.unknown`.

        Parameters:
            when: the point in time.
            tables: only these tables; nothing for all.
            keys: only rows with these keys, of one table.
            where: only rows for which this condition holds now or at that time, of one
                table.
            message: what for.
            author: who.
            triggers: ``"check"`` refuses when triggers of the application give rows other
                values; ``"allow"`` lets them.

        Raises:
            MomentError: ``when`` names no point in time.
            UnrecordedMomentError: one of ``tables`` is not known at that time.
            ConstraintViolationError: constraints forbid it; nothing was written.
            AlteredRowsError: triggers of the application interfered; nothing was written.
        """
        return self._return_to(
            "RESTORE",
            when,
            tables,
            keys=keys,
            where=where,
            message=message,
            author=author,
            triggers=triggers,
        )

    def rollback(
        self, n: int = 1, *, message: str | None = None, author: str | None = None
    ) -> Outcome:
        """Return to the state of ``HEAD~n``, as a new commit on HEAD; see :meth:`restore`.

        Raises:
            BeforeVersioningError: there are no ``n`` commits before HEAD.
        """
        if n < 0:
            raise ConfigurationError(f"rollback(n={n}): n must not be negative")
        return self._return_to("ROLLBACK", f"HEAD~{n}", (), message=message, author=author)

    def checkout(
        self, when: When, *, message: str | None = None, author: str | None = None
    ) -> Outcome:
        """Return to a commit and go on from there: a new commit whose parent it is.

        The line of commits that was left stays reachable. Otherwise like :meth:`restore`.
        Checking out HEAD does nothing.
        """
        return self._return_to("CHECKOUT", when, (), message=message, author=author)

    def revert(
        self,
        when: When,
        *tables: Entity,
        conflicts: OnConflict = "refuse",
        message: str | None = None,
        author: str | None = None,
        triggers: str = "check",
    ) -> Outcome:
        """Undo what one commit changed, on top of all that came after it.

        Each cell that the commit changed is taken back, as long as nothing else has changed
        it since; rows it inserted are deleted, rows it deleted are inserted again.

        Parameters:
            when: the commit to undo.
            tables: only in these tables.
            conflicts: what becomes of rows that were changed again: ``"refuse"`` writes
                nothing at all, ``"keep"`` leaves the row (of an updated row: the cells
                concerned) as it is, ``"overwrite"`` takes it back nevertheless.
            message: what for.
            author: who.
            triggers: as in :meth:`restore`.

        Raises:
            RevertConflictError: rows were changed again since; nothing was written.
            ConstraintViolationError: constraints forbid it; nothing was written.
            UnrecordedMomentError: what it did to a table is not known any more, or is not
                recorded at present: undo it in other tables alone.
            BeforeVersioningError: it is the first commit.
        """
        _check(conflicts)
        with self.begin() as repo:
            repo._describe(message, author)
            outcome = repo._revert(when, tables, conflicts, triggers)
        return self._own(outcome)

    def plan_revert(self, when: When, *tables: Entity, conflicts: OnConflict = "refuse") -> Plan:
        """What :meth:`revert` would do, row by row, and what constraints forbid.

        As for :meth:`plan`, nothing is written and nothing locked.

        Raises:
            RevertConflictError: rows were changed again since.
            UnrecordedMomentError: as for :meth:`revert`.
            BeforeVersioningError: it is the first commit.
        """
        _check(conflicts)
        self._flush()
        every = load_tables(self.connection, self.schema)
        moment = resolve(self.connection, when, self.schema)
        return self._reversal(moment, tables, conflicts, every, lock=False)[0]

    # ------------------------------------------------------------------------------ inside

    def _revert(
        self, when: When, tables: tuple[Entity, ...], conflicts: OnConflict, triggers: str
    ) -> Outcome:
        self._flush()
        connection, schema = self.connection, self.schema
        with in_savepoint(connection):
            every = load_tables(connection, schema)
            writer_of(connection, schema).lock(choose(connection, every, tables))
            moment = resolve(connection, when, schema)
            plan, found = self._reversal(moment, tables, conflicts, every, lock=True)
            changes = self._execute(plan, Intent("REVERT"), triggers)
            return self._outcome("REVERT", moment.uuid, changes, plan.unknown, found)

    def _reversal(
        self,
        moment: Moment,
        tables: tuple[Entity, ...],
        conflicts: OnConflict,
        every: Sequence[VersionedTable],
        *,
        lock: bool,
    ) -> tuple[Plan, list[RevertConflict]]:
        """Plan to undo the commit of ``moment``, and list the rows changed again since.

        Raises:
            RevertConflictError: there are such rows, and they are to be refused.
        """
        connection, schema = self.connection, self.schema
        before = self._before(moment)
        diff = compare(connection, schema, before, moment, tables, described=every)
        if not tables and (diff.unknown or moment.closed):
            self._refuse_unrecorded(before, moment)
        back = [reversal(query, conflicts) for query in diff.queries()]
        found = list_conflicts(connection, back)
        if found and conflicts == "refuse":
            listed = "\n".join(f"  {each}" for each in found[:20])
            raise RevertConflictError(
                f"{count_conflicts(connection, back)} rows that commit {moment.uuid} "
                f"changed were changed again, so nothing was written:\n{listed}\nPass "
                "conflicts='keep' or conflicts='overwrite' to decide for all of them",
                conflicts=tuple(found),
            )
        queries = [each.query for each in back]
        plan = plan_changes(
            connection, queries, schema, lock=lock, unknown=diff.unknown, described=every
        )
        return plan, found

    def _refuse_unrecorded(self, before: Moment, moment: Moment) -> None:
        """Refuse to undo a commit in part, as far as it is recorded.

        Raises:
            UnrecordedMomentError: it changed a table that is not recorded before it, after
                it, or at present.
        """
        transaction = self._system.transaction
        counts: Mapping[str, Any] = self.connection.execute(
            select(transaction.c.counts).where(transaction.c.uuid == moment.uuid)
        ).scalar_one()
        every = load_tables(self.connection, self.schema, disabled=True)
        changed = [table for table in every if wrote(counts, table)]
        for table in changed:
            error = unrecorded(table, [("commit before", before), ("commit", moment)])
            if error is not None:
                raise type(error)(
                    f"commit {moment.uuid} changed table {table.name!r}, which cannot be undone "
                    f"{error}. Nothing was written. " + restricted("undo", "revert", table, changed)
                )

    def _before(self, moment: Moment) -> Moment:
        try:
            return resolve(self.connection, f"{moment.uuid}~1", self.schema)
        except BeforeVersioningError as error:
            raise BeforeVersioningError(
                f"{moment.uuid} is the first commit; there is nothing before it to return to"
            ) from error

    def _return_to(
        self,
        operation: str,
        when: When,
        tables: tuple[Entity, ...],
        *,
        keys: Iterable[Any] | None = None,
        where: ColumnElement[bool] | None = None,
        message: str | None = None,
        author: str | None = None,
        triggers: str = "check",
    ) -> Outcome:
        with self.begin() as repo:
            repo._flush()
            repo._describe(message, author)
            connection = repo.connection
            with in_savepoint(connection):
                every = load_tables(connection, self.schema)
                writer_of(connection, self.schema).lock(choose(connection, every, tables))
                moment = resolve(connection, when, self.schema)
                plan = plan_moment(
                    connection,
                    moment,
                    tables,
                    keys=keys,
                    where=where,
                    lock=True,
                    described=every,
                )
                moves = operation == "CHECKOUT" and moment.uuid != repo._head()
                intent = Intent(operation, parent=moment.uuid if moves else None)
                changes = repo._execute(plan, intent, triggers, always=moves)
            outcome = repo._outcome(operation, moment.uuid, changes, plan.unknown)
        return self._own(outcome)

    def _execute(
        self, plan: Plan, intent: Intent, triggers: str, *, always: bool = False
    ) -> Mapping[str, Mapping[str, int]]:
        """Execute a plan as a commit of this kind; ``always``: even if nothing differs."""
        changes: Mapping[str, Mapping[str, int]] = {}
        if plan or always:
            write_intent(self.connection, intent)
        if plan:
            changes = plan.execute(triggers=triggers)
        else:
            plan.discard()
        if always and not changes:
            self._touch()
        if not isinstance(self._bind, Connection | Engine | sessionmaker):
            self._bind.expire_all()
        return changes

    def _touch(self) -> None:
        """Make a commit of a transaction that changed nothing."""
        make_commit(self.connection, self.schema)

    def _head(self) -> UUID:
        return resolve(self.connection, "HEAD", self.schema).uuid

    def _flush(self) -> None:
        if not isinstance(self._bind, Connection | Engine | sessionmaker):
            self._bind.flush()

    def _describe(
        self,
        message: str | None,
        author: str | None,
        context: Mapping[str, Any] | None = None,
    ) -> None:
        if message is None and author is None and context is None:
            return
        if hasattr(self._bind, "describe"):  # a TemporalSession, which tells it at commit
            self._bind.describe(author=author, message=message, context=context)
        else:
            said = Description.checked(author, message, context)
            write_description(self.connection, current_actor().updated(said))

    def _expect(self, parent: When) -> None:
        """Insist on HEAD being ``parent``, now and at commit.

        Raises:
            StaleParentError: it is not.
        """
        wanted, head = resolve(self.connection, parent, self.schema).uuid, self._head()
        if wanted != head:
            raise StaleParentError(
                f"the commit was to be based on {wanted}, but HEAD is {head}; nothing was "
                "done. Read again what it depends on, and try again on the new HEAD",
                expected=str(wanted),
                actual=str(head),
            )
        if hasattr(self._bind, "describe"):
            self._bind.describe(parent=wanted)
        else:
            write_intent(self.connection, Intent(expected_head=wanted))

    def _outcome(
        self,
        operation: str,
        target: UUID | None,
        changes: Mapping[str, Mapping[str, int]],
        unknown: Mapping[str, str] | None = None,
        conflicts: Iterable[Any] = (),
    ) -> Outcome:
        touched = bool(changes) or operation in _ALWAYS
        tx_id = own_transaction_id(self.connection, self.schema) if touched else None
        return Outcome(
            operation, target, changes, dict(unknown or {}), tuple(conflicts), tx_id, self._lookup
        )

    def _own(self, outcome: Outcome) -> Outcome:
        """The outcome, whose commit is to be looked up where this repository works."""
        return Outcome(
            outcome.operation,
            outcome.target,
            outcome.changes,
            outcome.unknown,
            outcome.conflicts,
            outcome.tx_id,
            self._lookup,
        )

    def _lookup(self, tx_id: int) -> Commit | None:
        with self.begin() as repo:
            return commit_of(repo.connection, self.schema, tx_id)


def _check(conflicts: str) -> None:
    if conflicts not in ("refuse", "keep", "overwrite"):
        raise ConfigurationError(f"conflicts={conflicts!r}: refuse, keep or overwrite")


@contextmanager
def _together(connection: Connection) -> Iterator[None]:
    """Make one transaction of the block where each statement would be one of its own."""
    if in_autocommit(connection):
        with in_one_transaction(connection):
            yield
    else:
        yield


__all__ = ["Bind", "Operations"]
