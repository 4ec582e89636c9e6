"""``revert_table_data``: tables as they were, with a preview first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from datetime import datetime, tzinfo
from itertools import islice
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine
from sqlalchemy.orm import Session, scoped_session

from sqlalchemy_temporal.capture.install import in_autocommit
from sqlalchemy_temporal.clock.commit import Commit
from sqlalchemy_temporal.clock.intent import Intent, write_intent
from sqlalchemy_temporal.clock.moment import Moment, Unknown
from sqlalchemy_temporal.clock.own import own_transaction_id
from sqlalchemy_temporal.clock.resolve import When, resolve
from sqlalchemy_temporal.errors import NotInstalledError, UnknownOptionError
from sqlalchemy_temporal.naming import DEFAULT_SCHEMA
from sqlalchemy_temporal.repository.apply import plan_changes
from sqlalchemy_temporal.repository.catalog import load_tables
from sqlalchemy_temporal.repository.comparing import compare
from sqlalchemy_temporal.repository.described import ForeignKeyInfo, VersionedTable
from sqlalchemy_temporal.repository.outcome import commit_of
from sqlalchemy_temporal.repository.plan import Plan, PlannedRow
from sqlalchemy_temporal.repository.violations import Violation
from sqlalchemy_temporal.repository.writing import writer_of
from sqlalchemy_temporal.tables.access import AccessMode, writing
from sqlalchemy_temporal.tables.compare import combined, summary
from sqlalchemy_temporal.tables.expressions import Where
from sqlalchemy_temporal.tables.locks import Timeout
from sqlalchemy_temporal.tables.locks import lock_timeout as waiting
from sqlalchemy_temporal.tables.lookup import explained, find_table, gaps_between
from sqlalchemy_temporal.tables.render import Tabular, jsonable
from sqlalchemy_temporal.tables.stream import BUFFER, checked, cursors_closed
from sqlalchemy_temporal.tables.times import point_in_time
from sqlalchemy_temporal.tables.work import Bind, Work

_OPERATION = "REVERT"


@dataclass(frozen=True, slots=True)
class RevertTotals:
    """How many rows of one table are written, those that follow by foreign keys included."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0


@dataclass(frozen=True, slots=True, repr=False)
class RevertResult(Tabular):
    """What reverting tables did, or would do.

    Attributes:
        tables: the tables asked for, as ``schema.table``.
        as_of: the time of the commit whose state is the aim (with time zone).
        target: that commit.
        dry_run: whether nothing was written.
        totals: the rows written, by table; all of them, whatever the limit.
        rows: the rows, up to the limit: key, operation, the values before and after, the
            columns that change, and by which foreign key it follows from another row.
        more: whether there are more.
        violations: what constraints forbid; only a preview can have any.
        foreign_keys: the foreign keys between the rows written and other tables.
        gaps: what was not recorded between then and now.
        transaction: the id of the transaction it was done in; None for a preview, or when
            there was nothing to do.
        commit: the commit it became; None until its transaction is committed, which for a
            connection or a session its owner does.
    """

    tables: tuple[str, ...]
    as_of: datetime
    target: UUID
    dry_run: bool
    totals: Mapping[str, RevertTotals]
    rows: tuple[PlannedRow, ...]
    more: bool
    violations: tuple[Violation, ...]
    foreign_keys: tuple[ForeignKeyInfo, ...]
    gaps: tuple[Unknown, ...]
    transaction: int | None = None
    commit: Commit | None = None

    @property
    def inserted(self) -> int:
        """The rows inserted, in all tables."""
        return sum(each.inserted for each in self.totals.values())

    @property
    def updated(self) -> int:
        """The rows updated, in all tables."""
        return sum(each.updated for each in self.totals.values())

    @property
    def deleted(self) -> int:
        """The rows deleted, in all tables."""
        return sum(each.deleted for each in self.totals.values())

    @property
    def is_possible(self) -> bool:
        """Whether no constraint forbids it."""
        return not self.violations

    def __iter__(self) -> Iterator[PlannedRow]:
        return iter(self.rows)

    def __len__(self) -> int:
        return self.inserted + self.updated + self.deleted

    def to_dict(self) -> dict[str, Any]:
        """The same as values that JSON can have."""
        return {
            "tables": list(self.tables),
            "as_of": self.as_of.isoformat(),
            "target": str(self.target),
            "dry_run": self.dry_run,
            "totals": {name: asdict(each) for name, each in self.totals.items()},
            "rows": [
                {
                    "table": row.table,
                    "operation": row.operation,
                    "key": jsonable(row.key),
                    "before": jsonable(row.before),
                    "after": jsonable(row.after),
                    "changed": list(row.changed),
                    "origin": row.origin,
                }
                for row in self.rows
            ],
            "more": self.more,
            "violations": [str(each) for each in self.violations],
            "foreign_keys": [asdict(each) for each in self.foreign_keys],
            "gaps": [explained(gap) for gap in self.gaps],
            "transaction": self.transaction,
            "commit": str(self.commit.uuid) if self.commit else None,
        }

    def headline(self) -> str:
        """What was or would be done."""
        verb = "would be " if self.dry_run else ""
        return (
            f"{', '.join(self.tables)} as of {self.as_of.isoformat(sep=' ')}: {verb}"
            f"{self.inserted} inserted, {self.updated} updated, {self.deleted} deleted"
        )

    def header(self) -> Sequence[str]:
        """The names of the columns shown."""
        return ("table", "operation", "key", "what", "follows from")

    def lines(self) -> Iterable[Sequence[Any]]:
        """The rows."""
        for row in self.rows:
            origin = "" if row.origin == "plan" else row.origin
            yield row.table, row.operation, row.key, summary(row), origin

    def footnotes(self) -> Iterable[str]:
        """What forbids it, what was not recorded, and what to do to have it done."""
        notes = ["there are more rows than limit"] if self.more else []
        notes += [f"forbidden by {each}" for each in self.violations]
        notes += [explained(gap) for gap in self.gaps]
        if self.dry_run and self.is_possible and len(self):
            notes.append("nothing was changed; call with dry_run=False to do it")
        return notes

    def __repr__(self) -> str:
        return f"<RevertResult {self.headline()}>"


def revert_table_data(
    bind: Bind,
    table_name: str | Sequence[str],
    timestamp: When,
    dry_run: bool = True,
    *,
    schema_name: str = "public",
    where: Where | Mapping[str, Where] | None = None,
    limit: int | None = BUFFER,
    author: str | None = None,
    message: str | None = None,
    lock_timeout: Timeout | None = None,
    access: AccessMode | None = None,
    timezone: tzinfo | None = None,
    schema: str = DEFAULT_SCHEMA,
) -> RevertResult:
    """Make tables what they were at a point in time: show it, or with ``dry_run=False`` do it.

    Only rows that differ are written, set-based, parents before children, in one transaction
    and as one commit with the operation ``REVERT``; earlier history stays as it is, so that a
    revert can itself be reverted. While it is done nobody else can write to the tables, so
    what was read is what is written over.

    Parameters:
        bind: an engine, a connection or a session.
        table_name: the table, or several that belong together.
        timestamp: when, as in :func:`query_temporal_data`.
        dry_run: True only tells what would be done. False does it.
        schema_name: the schema of the tables.
        where: only rows for which this holds now or then; with several tables a mapping from
            their names to such conditions.
        limit: list at most so many rows in the result; None for all. All are written.
        author: who does it; by default whom the application named for its changes.
        message: what for; the default names the tables and the time.
        lock_timeout: how long to wait for a lock, in seconds or as a timedelta.
        access: the access mode; ``"restricted"`` refuses the call, also a preview, as that
            plans in temporary tables. There, :func:`compare_temporal_data` shows the same
            differences.
        timezone: the time zone of a ``timestamp`` without one.
        schema: the schema of the library's own tables.

    Returns:
        Exactly which rows are inserted, updated (and in which columns) and deleted, which
        foreign keys are involved and, for a preview, what constraints would forbid.

    Raises:
        ConstraintViolationError: constraints forbid it; nothing was written.
        NotInstalledError: a table was never versioned, or its versioning is disabled.
        MomentError: ``timestamp`` names no point in time that can be read.
        LockTimeoutError: a lock was not to be had in time; nothing was changed.
        AccessModeError: the access mode allows reads only.
        UnknownOptionError: an option has a bad value.
    """
    when = point_in_time(timestamp, timezone)
    names = [table_name] if isinstance(table_name, str) else list(table_name)
    conditions = _conditions(names, where)
    checked("limit", limit)
    full = [(schema_name, name) for name in names]
    with (
        writing(bind, access, "revert_table_data") as connection,
        waiting(connection, lock_timeout, full),
    ):
        chosen = [find_table(connection, name, schema_name, schema) for name in names]
        _refuse_disabled(chosen)
        moment = resolve(connection, when, schema)
        with _undone(connection) if dry_run else nullcontext():
            plan = _plan(connection, moment, chosen, conditions, lock=not dry_run)
            found = _result(connection, moment, chosen, plan, limit=limit, dry_run=dry_run)
            if dry_run or not plan:
                plan.discard()
                return found
            _describe(bind, connection, author, message or _default_message(bind, found))
            write_intent(connection, Intent(operation=_OPERATION))
            plan.execute()
            tx_id = own_transaction_id(connection, schema)
    return _with_commit(bind, schema, replace(found, transaction=tx_id))


def _conditions(
    names: Sequence[str], where: Where | Mapping[str, Where] | None
) -> Mapping[str, Where]:
    """The condition for each table.

    Raises:
        UnknownOptionError: the tables are not told, or those with conditions are others.
    """
    if not names or not all(isinstance(name, str) for name in names):
        raise UnknownOptionError(
            f"table_name must be the name of a table, or several, not {names!r}"
        )
    if where is None:
        return {}
    if len(names) == 1:
        return {names[0]: where}
    if not isinstance(where, Mapping) or not set(where) <= set(names):
        raise UnknownOptionError(
            "with several tables, where= must be a mapping from their names to conditions, not "
            f"{where!r}"
        )
    return where


def _refuse_disabled(tables: Iterable[VersionedTable]) -> None:
    disabled = [table.name for table in tables if table.disabled_tx_id is not None]
    if disabled:
        raise NotInstalledError(
            f"the versioning of {', '.join(disabled)} is disabled, so that reverting would not "
            "be recorded; enable it again with enable_temporal_versioning()"
        )


@contextmanager
def _undone(connection: Connection) -> Iterator[None]:
    """Leave nothing of the block in the transaction, no temporary table either."""
    if in_autocommit(connection):  # the plan drops its own
        yield
        return
    savepoint = connection.begin_nested()
    try:
        yield
    finally:
        savepoint.rollback()


def _plan(
    connection: Connection,
    moment: Moment,
    tables: Sequence[VersionedTable],
    conditions: Mapping[str, Where],
    *,
    lock: bool,
) -> Plan:
    """What is to be written so that the live rows equal those of ``moment``."""
    if lock:  # before anything is read
        writer_of(connection, moment.schema).lock(tables)
    queries = []
    for table in tables:
        where = combined(table, conditions.get(table.table_name))
        found = compare(connection, moment.schema, moment, None, [table.live], where=where)
        queries += [query.inverse() for query in found.queries()]
    return plan_changes(connection, queries, moment.schema, lock=lock)


def _result(
    connection: Connection,
    moment: Moment,
    tables: Sequence[VersionedTable],
    plan: Plan,
    *,
    limit: int | None,
    dry_run: bool,
) -> RevertResult:
    with cursors_closed(connection):
        rows = tuple(islice(plan, None if limit is None else limit + 1))
    head = resolve(connection, "HEAD", moment.schema)
    return RevertResult(
        tables=tuple(table.name for table in tables),
        as_of=moment.effective_at,
        target=moment.uuid,
        dry_run=dry_run,
        totals={
            name: RevertTotals(by["INSERT"], by["UPDATE"], by["DELETE"])
            for name, by in plan.summary().items()
        },
        rows=rows if limit is None else rows[:limit],
        more=limit is not None and len(rows) > limit,
        violations=plan.violations,
        foreign_keys=_involved(connection, moment.schema, plan),
        gaps=tuple(
            gap
            for table in tables
            for gap in gaps_between(connection, moment.schema, table, moment, head)
        ),
    )


def _involved(connection: Connection, schema: str, plan: Plan) -> tuple[ForeignKeyInfo, ...]:
    """The foreign keys from and to the tables that are written."""
    written = set(plan.summary())
    found: dict[tuple[str, str], ForeignKeyInfo] = {}
    for table in load_tables(connection, schema) if written else ():
        for key in (*table.foreign_keys, *table.referenced_by):
            if written & {key.table, key.referred}:
                found.setdefault((key.table, key.name), key)
    return tuple(found[name] for name in sorted(found))


def _describe(bind: Bind, connection: Connection, author: str | None, message: str | None) -> None:
    session = bind() if isinstance(bind, scoped_session) else bind
    own = isinstance(bind, Engine)
    Work(connection, own, session if isinstance(session, Session) else None).describe(
        author, message
    )


def _default_message(bind: Bind, found: RevertResult) -> str | None:
    """What for, when nobody says; somebody else's transaction is described by its owner."""
    if not isinstance(bind, Engine):
        return None
    return f"Revert {', '.join(found.tables)} to {found.as_of.isoformat(sep=' ')}"


def _with_commit(bind: Bind, schema: str, found: RevertResult) -> RevertResult:
    """The result with its commit, where that is made by now."""
    if not isinstance(bind, Engine) or found.transaction is None:
        return found
    with bind.begin() as connection:
        return replace(found, commit=commit_of(connection, schema, found.transaction))


__all__ = ["RevertResult", "RevertTotals", "revert_table_data"]
