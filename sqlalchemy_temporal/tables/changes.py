"""``get_change_history``: every change of a table in a stretch of time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

from sqlalchemy import Connection, Row

from sqlalchemy_temporal.clock.commits import commits_by_transaction
from sqlalchemy_temporal.clock.moment import Moment
from sqlalchemy_temporal.clock.resolve import When, resolve
from sqlalchemy_temporal.errors import BeforeVersioningError, MomentError
from sqlalchemy_temporal.naming import DEFAULT_SCHEMA
from sqlalchemy_temporal.repository.described import VersionedTable
from sqlalchemy_temporal.tables.access import AccessMode, reading
from sqlalchemy_temporal.tables.change import Changes, RecordedChange
from sqlalchemy_temporal.tables.events import Events, check_operation, events
from sqlalchemy_temporal.tables.lookup import find_table, gaps_between
from sqlalchemy_temporal.tables.span import Period
from sqlalchemy_temporal.tables.stream import BLOCK, BUFFER, IN_BLOCKS, checked, hold
from sqlalchemy_temporal.tables.times import just_before, point_in_time
from sqlalchemy_temporal.tables.work import Bind


@dataclass(frozen=True, slots=True, repr=False)
class ChangeHistory(Changes):
    """Every change of a table in a stretch of time; see :class:`Changes`."""


def get_change_history(
    bind: Bind,
    table_name: str,
    start_time: When | None = None,
    end_time: When | None = None,
    operation: str | None = None,
    *,
    schema_name: str = "public",
    author: str | None = None,
    limit: int | None = None,
    newest_first: bool = False,
    buffer: int | None = BUFFER,
    access: AccessMode | None = None,
    timezone: tzinfo | None = None,
    schema: str = DEFAULT_SCHEMA,
) -> ChangeHistory:
    """Every change of a table: what it was before and after, when, by whom.

    Parameters:
        bind: an engine, a connection or a session.
        table_name: the table.
        start_time: from when on, a change at that very time included; None: from the
            beginning. A commit, tag or branch is the state it left, so what it did itself
            is not included.
        end_time: up to when, included; None: up to now.
        operation: only ``"INSERT"``, ``"UPDATE"``, ``"DELETE"`` (truncated rows included),
            ``"TRUNCATE"``, or ``"BASELINE"``: rows that were there when versioning began,
            which are not changes and are given only when asked for.
        schema_name: the schema of the table.
        author: only by commits of this author.
        limit: at most so many changes.
        newest_first: begin with the last commit instead of the first.
        buffer: the result holds so many changes, and reads again when there are more; None
            holds all.
        access: ``"restricted"`` reads in a read-only transaction.
        timezone: the time zone of times without one.
        schema: the schema of the library's own tables.

    Returns:
        The changes, in the order of their commits and of the keys within a commit. Its
        ``gaps`` tell what of that time was not recorded.

    Raises:
        NotInstalledError: the table was never versioned.
        UnrecordedMomentError: nothing of that time was recorded.
        MomentError: a time lies in the future, or the times are in the wrong order.
        UnknownOptionError: an option has a bad value.
    """
    start, end = (w if w is None else point_in_time(w, timezone) for w in (start_time, end_time))
    asked = check_operation(operation)
    checked("limit", limit)
    with reading(bind, access) as connection:
        table = find_table(connection, table_name, schema_name, schema)
        period, since_ever = period_between(connection, start, end, schema)
        gaps = gaps_between(
            connection, schema, table, period.start, period.end, since_ever=since_ever
        )

        def read(connection: Connection) -> Iterator[RecordedChange]:
            query = events(
                connection,
                table,
                period,
                schema,
                operation=asked,
                author=author,
                newest_first=newest_first,
            )
            return run(connection, schema, table, query, limit)

        return ChangeHistory(
            table=table.name,
            start=time_of(start, period.start),
            end=period.end.effective_at,
            gaps=gaps,
            _held=hold(bind, access, connection, read, limit=limit, buffer=buffer),
        )


def period_between(
    connection: Connection, start: When | None, end: When | None, schema: str
) -> tuple[Period, bool]:
    """The commits from ``start`` up to ``end``, and whether more was asked for than there is.

    Raises:
        MomentError: a bound names no point in time, or they are in the wrong order.
    """
    last = resolve(connection, "HEAD" if end is None else end, schema)
    since_ever = False
    first = None
    if start is not None:
        try:
            first = resolve(connection, just_before(start), schema)
        except BeforeVersioningError:
            since_ever = True
    if first is not None and first.seq > last.seq:
        raise MomentError(
            f"the start {start!r} (commit {first.seq}) is after the end {end!r} (commit "
            f"{last.seq}); give the earlier one first"
        )
    return Period(first, last), since_ever


def time_of(asked: When | None, moment: Moment | None) -> datetime | None:
    """The time a period begins: as asked for, or that of the commit that was named."""
    try:
        when = datetime.fromisoformat(asked) if isinstance(asked, str) else asked
    except ValueError:
        when = None
    if isinstance(when, datetime):
        return when
    return None if moment is None else moment.effective_at


def run(
    connection: Connection, schema: str, table: VersionedTable, query: Events, limit: int | None
) -> Iterator[RecordedChange]:
    """The changes that ``query`` finds, in blocks; the commits of a block are read together."""
    statement = query.statement if limit is None else query.statement.limit(limit + 1)
    with connection.execute(statement, execution_options=IN_BLOCKS) as result:
        for block in result.partitions(BLOCK):
            commits = commits_by_transaction(connection, schema, {r.temporal_tx for r in block})
            for row in block:
                before, after = _sides(row, query.columns)
                values = after if after is not None else before or {}
                yield RecordedChange(
                    table=table.name,
                    operation=row.temporal_change,
                    key={name: values[name] for name in table.key},
                    before=before,
                    after=after,
                    commit=commits[row.temporal_tx],
                )


def _sides(
    row: Row[Any], columns: Sequence[str]
) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    width = len(columns)
    before = dict(zip(columns, row[:width], strict=True)) if row.temporal_was else None
    after = dict(zip(columns, row[width : 2 * width], strict=True)) if row.temporal_is else None
    return before, after


__all__ = ["ChangeHistory", "get_change_history", "period_between", "run", "time_of"]
