"""An import from beginning to end, whatever the source is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from sqlalchemy import Connection, func, select, text
from sqlalchemy.exc import DataError

from sqlalchemy_temporal.capture.install import system_exists
from sqlalchemy_temporal.ddl.privileges import explaining_refusal
from sqlalchemy_temporal.errors import HistoryImportError
from sqlalchemy_temporal.imports import staging
from sqlalchemy_temporal.imports.result import ImportedTable, ImportResult
from sqlalchemy_temporal.imports.source import Fit, Source
from sqlalchemy_temporal.imports.target import Entity, Target, targets
from sqlalchemy_temporal.imports.writing import Progress, write
from sqlalchemy_temporal.schema import system_of
from sqlalchemy_temporal.tables.access import AccessMode, writing
from sqlalchemy_temporal.tables.work import Bind


def run(
    bind: Bind,
    source: Source,
    tables: Iterable[Entity],
    *,
    dry_run: bool,
    progress: Progress | None,
    access: AccessMode | None,
    schema: str,
) -> ImportResult:
    """Import from ``source``, or say what that would do.

    Parameters are those of the functions in :mod:`~sqlalchemy_temporal.imports`.

    Raises:
        HistoryImportError: it cannot be imported; nothing was changed.
        PrivilegeError: the role may not do it, or does not see all rows.
    """
    with writing(bind, access, "importing history") as connection, _seeing_all(connection):
        found = targets(connection, tables, schema)
        _refuse_not_empty(connection, schema)
        if not dry_run:
            _lock(connection, found)
        fits = [source.fit(connection, each) for each in found]
        count = source.number(connection)
        if count == 0:
            raise HistoryImportError(
                f"{source.name} has recorded nothing of "
                f"{', '.join(each.spec.qualified for each in found)}"
            )
        for each in found:
            staging.create(connection, each)
            with _fitting(source, each):
                source.stage(connection, each)
            staging.compare(connection, each)
        imported = tuple(
            _told(connection, each, fit) for each, fit in zip(found, fits, strict=True)
        )
        first, last = _period(connection, source)
        if not dry_run:
            write(connection, source, found, count=count, schema=schema, progress=progress)
        staging.drop_all(connection, found)
    return ImportResult(imported, count, first, last, dry_run)


def _refuse_not_empty(connection: Connection, schema: str) -> None:
    if not system_exists(connection, schema):
        return
    system = system_of(connection, schema)
    commits = connection.scalar(select(func.count()).select_from(system.transaction))
    listed = connection.scalar(select(func.count()).select_from(system.versioned_tables))
    if commits or listed:
        raise HistoryImportError(
            f"this database has {commits} commit(s) and {listed} versioned table(s) already, and "
            "imported commits must come before all others. Import before create_all(), "
            "enable_temporal_versioning() or a migration versions the first table, all tables "
            "at once"
        )


def _lock(connection: Connection, found: tuple[Target, ...]) -> None:
    """Let nobody write between comparing and beginning to record."""
    if connection.dialect.name == "sqlite":
        return  # one writer at a time; the first write takes the lock
    quote = connection.dialect.identifier_preparer.format_table
    names = sorted(quote(each.live) for each in found)
    connection.exec_driver_sql(f"LOCK TABLE {', '.join(names)} IN ACCESS EXCLUSIVE MODE")


@contextmanager
def _seeing_all(connection: Connection) -> Iterator[None]:
    """Fail rather than miss rows that a policy hides."""
    if connection.dialect.name == "sqlite":
        yield
        return
    before = connection.scalar(text("SELECT current_setting('row_security')"))
    setting = text("SELECT set_config('row_security', :value, true)")
    connection.execute(setting, {"value": "off"})
    with explaining_refusal(
        lambda said: (
            f"history was not imported: {said}. It needs a role that owns the tables, "
            "sees all their rows, and may read what was recorded"
        )
    ):
        yield
    connection.execute(setting, {"value": before})


@contextmanager
def _fitting(source: Source, target: Target) -> Iterator[None]:
    try:
        yield
    except DataError as error:
        raise HistoryImportError(
            f"what {source.name} recorded of table {target.spec.qualified!r} does not fit its "
            f"columns: {error.orig}"
        ) from error


def _told(connection: Connection, target: Target, fit: Fit) -> ImportedTable:
    totals = staging.totals(connection, target)
    states = staging.states(connection, target)
    return ImportedTable(
        table=target.spec.qualified,
        inserted=totals.get("insert", 0),
        updated=totals.get("update", 0),
        deleted=totals.get("delete", 0),
        current=states.get(staging.CURRENT, 0),
        changed_since=states.get(staging.CHANGED, 0),
        gone_since=states.get(staging.GONE, 0),
        unrecorded=staging.unrecorded(connection, target),
        ignored=totals.get("ignored", 0),
        left_out=fit.left_out,
        unknown=fit.unknown,
    )


def _period(connection: Connection, source: Source) -> tuple[datetime, datetime]:
    """When the first and the last transaction were; refuse times that have not come."""
    first = last = None
    for each in source.transactions(connection):
        first = first or each.at
        last = each.at if last is None else max(last, each.at)
    if first is None or last is None:
        raise HistoryImportError(f"{source.name} has recorded no transactions")
    now = _now(connection)
    if last > now:
        raise HistoryImportError(
            f"{source.name} has recorded a change at {last.isoformat()}, which has not come "
            f"yet: it is {now.isoformat()} on the server. Give the time zone in which it "
            "recorded times as timezone="
        )
    return first, last


def _now(connection: Connection) -> datetime:
    """The time by the clock that commits are stamped with."""
    if connection.dialect.name == "sqlite":
        return datetime.now(UTC)
    now: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    return now


__all__ = ["run"]
