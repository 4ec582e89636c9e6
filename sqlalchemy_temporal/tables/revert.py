"""``revert_table_data``: tables as they were, with a preview first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import tzinfo
from itertools import islice

from sqlalchemy import Connection, Engine
from sqlalchemy.orm import Session, scoped_session

from sqlalchemy_temporal.capture.install import in_autocommit
from sqlalchemy_temporal.clock.intent import Intent, write_intent
from sqlalchemy_temporal.clock.moment import Moment
from sqlalchemy_temporal.clock.own import own_transaction_id
from sqlalchemy_temporal.clock.resolve import When, resolve
from sqlalchemy_temporal.errors import NotInstalledError, UnknownOptionError
from sqlalchemy_temporal.naming import DEFAULT_SCHEMA
from sqlalchemy_temporal.repository.apply import plan_changes
from sqlalchemy_temporal.repository.catalog import load_tables
from sqlalchemy_temporal.repository.comparing import compare
from sqlalchemy_temporal.repository.described import ForeignKeyInfo, VersionedTable
from sqlalchemy_temporal.repository.outcome import commit_of
from sqlalchemy_temporal.repository.plan import Plan
from sqlalchemy_temporal.repository.writing import writer_of
from sqlalchemy_temporal.tables.access import AccessMode, writing
from sqlalchemy_temporal.tables.compare import combined
from sqlalchemy_temporal.tables.expressions import Where
from sqlalchemy_temporal.tables.locks import Timeout
from sqlalchemy_temporal.tables.locks import lock_timeout as waiting
from sqlalchemy_temporal.tables.lookup import find_table, gaps_between
from sqlalchemy_temporal.tables.reverted import RevertResult, RevertTotals
from sqlalchemy_temporal.tables.stream import BUFFER, checked, cursors_closed
from sqlalchemy_temporal.tables.times import point_in_time
from sqlalchemy_temporal.tables.work import Bind, Work

_OPERATION = "REVERT"


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


__all__ = ["revert_table_data"]
