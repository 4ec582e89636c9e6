"""``repo.log()``: the commits that pass some filters, newest first, page by page.

The order is that of the sequence numbers. They never change and every parent has a smaller
one than its children, so the order is topological and pages are stable: commits that come
later stand before the first page and move nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    Connection,
    FromClause,
    Select,
    and_,
    cast,
    func,
    literal,
    or_,
    select,
    union,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.sql.elements import ColumnElement

from sqlalchemy_temporal.by_dialect import has_member
from sqlalchemy_temporal.clock.commit import Commit
from sqlalchemy_temporal.clock.commits import commit_from, select_nodes
from sqlalchemy_temporal.clock.resolve import When, resolve
from sqlalchemy_temporal.errors import ConfigurationError, UnknownOptionError
from sqlalchemy_temporal.naming import END_COLUMN, TX_COLUMN
from sqlalchemy_temporal.repository.catalog import Entity, VersionedTable, load_tables
from sqlalchemy_temporal.repository.dag import Range
from sqlalchemy_temporal.repository.keys import key_values
from sqlalchemy_temporal.repository.revisions import ranges_of
from sqlalchemy_temporal.schema import SystemTables

_RANGES: Final = 100
"""Ranges of sequence numbers in one statement."""


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Which commits the log shows; see :meth:`Repository.log`."""

    entities: tuple[Entity, ...] = ()
    revisions: When | None = None
    author: str | re.Pattern[str] | None = None
    message: str | re.Pattern[str] | None = None
    context: Mapping[str, Any] = field(default_factory=dict)
    operation: str | None = None
    since: datetime | timedelta | When | None = None
    until: datetime | timedelta | When | None = None
    key: Any = None
    before: When | None = None
    limit: int | None = None
    offset: int = 0
    first_parent: bool = False
    include_deleted: bool = False

    def __post_init__(self) -> None:
        """Refuse numbers that count nothing.

        Raises:
            UnknownOptionError: a negative limit or offset.
        """
        if self.offset < 0 or (self.limit is not None and self.limit < 0):
            raise UnknownOptionError("log: limit and offset must not be negative")

    @property
    def is_plain(self) -> bool:
        """Whether every commit of the range is shown, so that none is missing between."""
        chosen = (self.author, self.message, self.operation, self.since, self.until, self.key)
        return not self.entities and not self.context and all(each is None for each in chosen)


def read_log(connection: Connection, tables: SystemTables, wanted: LogFilter) -> list[Commit]:
    """The commits that pass the filter, newest first."""
    statement, nodes = select_nodes(connection, tables.schema)
    statement = statement.where(*_conditions(connection, tables, nodes, wanted))
    statement = statement.order_by(nodes.c.seq.desc())
    ranges = None
    if wanted.revisions is not None or wanted.first_parent:
        asked = "HEAD" if wanted.revisions is None else wanted.revisions
        ranges = ranges_of(connection, tables, asked, first_parent=wanted.first_parent)
    return list(_pages(connection, statement, nodes, ranges, wanted))


def _pages(
    connection: Connection,
    statement: Select[Any],
    nodes: FromClause,
    ranges: Sequence[Range] | None,
    wanted: LogFilter,
) -> Iterator[Commit]:
    """Read range after range until there are enough."""
    if ranges is None:
        rows = connection.execute(statement.limit(wanted.limit).offset(wanted.offset or None))
        yield from map(commit_from, rows)
        return
    skip, left = wanted.offset, wanted.limit
    for first in range(0, len(ranges), _RANGES):
        if left == 0:
            return
        some = [nodes.c.seq.between(*each) for each in ranges[first : first + _RANGES]]
        several = len(ranges) > _RANGES
        most = None if left is None else left + skip
        chosen = statement.where(or_(*some)).limit(most)
        if not several:
            chosen = chosen.limit(left).offset(skip or None)
        for row in connection.execute(chosen):
            if several and skip:
                skip -= 1
                continue
            yield commit_from(row)
            left = None if left is None else left - 1


def _conditions(
    connection: Connection, tables: SystemTables, nodes: FromClause, wanted: LogFilter
) -> Iterator[ColumnElement[bool]]:
    transaction = tables.transaction
    if not wanted.include_deleted:
        yield nodes.c.deleted_at.is_(None)
    if wanted.author is not None:
        author = transaction.c.author
        exactly = isinstance(wanted.author, str)
        yield author == wanted.author if exactly else _message(author, wanted.author)
    if wanted.operation is not None:
        yield transaction.c.operation == wanted.operation.upper()
    if wanted.message is not None:
        yield _message(transaction.c.message, wanted.message)
    for name, value in wanted.context.items():
        yield _context(connection, transaction.c.context, name, value)
    for moment, since in ((wanted.since, True), (wanted.until, False)):
        if moment is not None:
            yield _time(connection, tables, nodes, moment, since=since)
    if wanted.before is not None:
        yield nodes.c.seq < resolve(connection, wanted.before, tables.schema).seq
    if wanted.entities or wanted.key is not None:
        yield from _of_tables(connection, tables, nodes, wanted)


def _message(column: Any, wanted: str | re.Pattern[str]) -> ColumnElement[bool]:
    """A substring, whatever its case; or a regular expression as the database reads it."""
    if isinstance(wanted, str):
        found: ColumnElement[bool] = column.icontains(wanted, autoescape=True)
        return found
    ignoring = "(?i)" if wanted.flags & re.IGNORECASE else ""
    matched: ColumnElement[bool] = column.regexp_match(ignoring + wanted.pattern)
    return matched


def _context(
    connection: Connection, column: ColumnElement[Any], name: str, value: Any
) -> ColumnElement[bool]:
    """Whether the context has this value under this name."""
    if connection.dialect.name == "postgresql":
        return cast(column, JSONB)[name] == cast(literal(value, JSONB), JSONB)
    path = "$." + json.dumps(name)
    wanted = func.json(json.dumps(value, ensure_ascii=False))
    return func.json_quote(func.json_extract(column, path)) == wanted


def _time(
    connection: Connection,
    tables: SystemTables,
    nodes: FromClause,
    moment: Any,
    *,
    since: bool,
) -> ColumnElement[bool]:
    """Compare by time with a time, and by order with a commit."""
    if isinstance(moment, datetime) and moment.tzinfo is not None:
        return nodes.c.effective_at >= moment if since else nodes.c.effective_at <= moment
    if isinstance(moment, timedelta):
        now = datetime.now(UTC)  # SQLite has no other clock
        if connection.dialect.name != "sqlite":
            now = connection.execute(select(func.now())).scalar_one()
        return _time(connection, tables, nodes, now - moment, since=since)
    seq = resolve(connection, moment, tables.schema).seq
    return nodes.c.seq >= seq if since else nodes.c.seq <= seq


def _of_tables(
    connection: Connection, tables: SystemTables, nodes: FromClause, wanted: LogFilter
) -> Iterator[ColumnElement[bool]]:
    found = load_tables(connection, tables.schema, wanted.entities, disabled=True)
    if wanted.key is None:
        counts = tables.transaction.c.counts
        yield or_(*(has_member(counts, table.name) for table in found))
        return
    if len(wanted.entities) != 1:
        raise ConfigurationError("log: key=… is the key of a row of one table; name that table")
    yield or_(*(nodes.c.tx_id.in_(_writers(table, wanted.key)) for table in found))


def _writers(table: VersionedTable, key: Any) -> Any:
    """The transactions that wrote or ended a version of a row."""
    values = key_values(table, key)

    def chosen(source: Any, column: str) -> Select[Any]:
        same = (source.c[name] == value for name, value in values.items())
        return select(source.c[column]).where(and_(*same))

    return union(
        chosen(table.stored, TX_COLUMN),
        chosen(table.history, TX_COLUMN),
        chosen(table.history, END_COLUMN),
    )


__all__ = ["LogFilter", "read_log"]
