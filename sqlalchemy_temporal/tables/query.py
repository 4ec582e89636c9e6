"""``query_temporal_data``: a table as it was."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, select

from sqlalchemy_temporal.clock.resolve import When, resolve
from sqlalchemy_temporal.naming import DEFAULT_SCHEMA
from sqlalchemy_temporal.reading.connection import PastConnection
from sqlalchemy_temporal.reading.option import AsOf
from sqlalchemy_temporal.reading.policy import Policy
from sqlalchemy_temporal.tables.access import AccessMode, reading
from sqlalchemy_temporal.tables.expressions import OrderBy, Where, columns_named, condition, order
from sqlalchemy_temporal.tables.lookup import find_table
from sqlalchemy_temporal.tables.render import jsonable
from sqlalchemy_temporal.tables.stream import BUFFER, IN_BLOCKS, Held, Streamed, checked, hold
from sqlalchemy_temporal.tables.times import point_in_time
from sqlalchemy_temporal.tables.work import Bind

_POLICY: Final = Policy()

Values = Mapping[str, Any]
"""The values of a row, by column name."""


@dataclass(frozen=True, slots=True, repr=False)
class TemporalRows(Streamed[Values]):
    """The rows of a table as of a moment; iterate over them.

    Attributes:
        table: the table, as ``schema.table``.
        as_of: the time of the last commit that is visible (with time zone).
        commit: that commit.
        columns: the names of the columns.
        excluded: those of them that are not recorded, and read as None.
    """

    table: str
    as_of: datetime
    commit: UUID
    columns: tuple[str, ...]
    excluded: tuple[str, ...]
    _held: Held[Values] = field(repr=False)

    @property
    def held(self) -> Held[Values]:
        """The first rows, and how to read all."""
        return self._held

    @property
    def rows(self) -> tuple[Values, ...]:
        """All rows, in memory."""
        return tuple(self)

    def to_dict(self) -> dict[str, Any]:
        """The same as values that JSON can have, all rows included."""
        return {
            "table": self.table,
            "as_of": self.as_of.isoformat(),
            "commit": str(self.commit),
            "columns": list(self.columns),
            "excluded": list(self.excluded),
            "rows": [jsonable(row) for row in self],
            "more": self.more,
        }

    def headline(self) -> str:
        """Which table, when, how many rows."""
        number = len(self.held.first)
        rows = f"{number} row{'' if number == 1 else 's'}" if self.held.is_all else "many rows"
        return f"{self.table} as of {self.as_of.isoformat(sep=' ')}: {rows}"

    def header(self) -> Sequence[str]:
        """The names of the columns."""
        return self.columns

    def lines(self) -> Iterable[Sequence[Any]]:
        """The rows that are held."""
        return ([row[name] for name in self.columns] for row in self.held.first)

    def footnotes(self) -> Iterable[str]:
        """Whether there are more."""
        return ["there are more rows than limit"] if self.more else []

    def __repr__(self) -> str:
        return f"<TemporalRows {self.headline()}>"


def query_temporal_data(
    bind: Bind,
    table_name: str,
    timestamp: When,
    *,
    schema_name: str = "public",
    where: Where | None = None,
    columns: Iterable[str] | None = None,
    order_by: OrderBy | None = None,
    limit: int | None = None,
    offset: int | None = None,
    buffer: int | None = BUFFER,
    access: AccessMode | None = None,
    timezone: tzinfo | None = None,
    schema: str = DEFAULT_SCHEMA,
) -> TemporalRows:
    """The rows of a table as it was.

    Parameters:
        bind: an engine, a connection or a session.
        table_name: the table.
        timestamp: when: an aware datetime, the same as text (``"2024-01-15 10:30+00:00"``),
            a timedelta (that long ago), a commit or its uuid, a tag, a branch, ``"HEAD~2"``.
        schema_name: the schema of the table.
        where: only these rows: values by column name, an expression, or a function of the
            table, as in ``where=lambda t: t.c.price > 10``.
        columns: only these columns.
        order_by: names of columns, with ``-`` in front for descending, or expressions. The
            key comes last in any case, so that pages do not overlap.
        limit: at most so many rows.
        offset: leave out so many first.
        buffer: the result holds so many rows, and reads again when there are more; None
            holds all.
        access: ``"restricted"`` reads in a read-only transaction.
        timezone: the time zone of a ``timestamp`` without one.
        schema: the schema of the library's own tables.

    Returns:
        The rows, as mappings from column name to value.

    Raises:
        NotInstalledError: the table was never versioned.
        MomentError: ``timestamp`` names no point in time that can be read; its subclasses
            tell a time before versioning began, a gap, and what was purged.
        UnknownOptionError: a column does not exist, or an option has a bad value.
    """
    when = point_in_time(timestamp, timezone)
    checked("limit", limit)
    checked("offset", offset)
    with reading(bind, access) as connection:
        table = find_table(connection, table_name, schema_name, schema)
        moment = resolve(connection, when, schema)
        chosen = columns_named(table.live, columns)
        statement = select(*chosen).where(*condition(table.live, where))
        statement = statement.order_by(*order(table.live, table.key, order_by)).offset(offset)
        if limit is not None:
            statement = statement.limit(limit + 1)
        option = AsOf(moment, _POLICY)
        names = tuple(str(column.key) for column in chosen)

        def read(connection: Connection) -> Iterator[Values]:
            past = PastConnection(connection, option)
            with past.execute(statement, execution_options=IN_BLOCKS) as result:
                for row in result:
                    yield dict(zip(names, row, strict=True))

        return TemporalRows(
            table=table.name,
            as_of=moment.effective_at,
            commit=moment.uuid,
            columns=names,
            excluded=tuple(name for name in names if name in table.excluded),
            _held=hold(bind, access, connection, read, limit=limit, buffer=buffer),
        )


__all__ = ["TemporalRows", "Values", "query_temporal_data"]
