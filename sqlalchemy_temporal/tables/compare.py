"""``compare_temporal_data``: what differs in a table between two points in time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, tzinfo
from itertools import islice
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, and_

from sqlalchemy_temporal.clock.moment import Moment, Unknown
from sqlalchemy_temporal.clock.resolve import When, resolve
from sqlalchemy_temporal.naming import DEFAULT_SCHEMA
from sqlalchemy_temporal.repository.comparing import compare
from sqlalchemy_temporal.repository.described import VersionedTable
from sqlalchemy_temporal.repository.diff import RowChange
from sqlalchemy_temporal.tables.access import AccessMode, reading
from sqlalchemy_temporal.tables.change import summary
from sqlalchemy_temporal.tables.expressions import Where, condition
from sqlalchemy_temporal.tables.lookup import explained, find_table, gaps_between
from sqlalchemy_temporal.tables.render import jsonable
from sqlalchemy_temporal.tables.stream import BUFFER, Held, Streamed, checked, hold
from sqlalchemy_temporal.tables.times import point_in_time
from sqlalchemy_temporal.tables.work import Bind


@dataclass(frozen=True, slots=True)
class Totals:
    """How many rows differ, whatever limit there was for listing them.

    Attributes:
        added: rows that only the second side has.
        deleted: rows that only the first side has.
        modified: rows of both sides with other values.
    """

    added: int = 0
    deleted: int = 0
    modified: int = 0

    @property
    def rows(self) -> int:
        """All rows that differ."""
        return self.added + self.deleted + self.modified


@dataclass(frozen=True, slots=True, repr=False)
class Comparison(Streamed[RowChange]):
    """What differs in a table between two points in time; iterate over the rows.

    Attributes:
        table: the table, as ``schema.table``.
        time1: the time of the last commit visible on the first side (with time zone).
        time2: the same of the second side.
        commit1: the commit of the first side.
        commit2: the commit of the second side.
        totals: how many rows were added, deleted and modified, all of them.
        gaps: what was not recorded in between. The two sides are exact; what differs may
            have come about in a gap.
    """

    table: str
    time1: datetime
    time2: datetime
    commit1: UUID
    commit2: UUID
    totals: Totals
    gaps: tuple[Unknown, ...]
    _held: Held[RowChange] = field(repr=False)

    @property
    def held(self) -> Held[RowChange]:
        """The first rows, and how to read all."""
        return self._held

    @property
    def added_rows(self) -> tuple[RowChange, ...]:
        """The rows that only the second side has, in memory."""
        return self._of("INSERT")

    @property
    def deleted_rows(self) -> tuple[RowChange, ...]:
        """The rows that only the first side has, in memory."""
        return self._of("DELETE")

    @property
    def modified_rows(self) -> tuple[RowChange, ...]:
        """The rows of both sides with other values, in memory."""
        return self._of("UPDATE")

    def _of(self, operation: str) -> tuple[RowChange, ...]:
        return tuple(change for change in self if change.operation == operation)

    def to_dict(self) -> dict[str, Any]:
        """The same as values that JSON can have, all rows included."""
        rows: dict[str, list[Any]] = {"INSERT": [], "DELETE": [], "UPDATE": []}
        for change in self:
            rows[change.operation].append(_as_dict(change))
        return {
            "table": self.table,
            "time1": self.time1.isoformat(),
            "time2": self.time2.isoformat(),
            "commit1": str(self.commit1),
            "commit2": str(self.commit2),
            "totals": asdict(self.totals),
            "gaps": [explained(gap) for gap in self.gaps],
            "added_rows": rows["INSERT"],
            "deleted_rows": rows["DELETE"],
            "modified_rows": rows["UPDATE"],
            "more": self.more,
        }

    def headline(self) -> str:
        """Of what, between which times, how many."""
        t = self.totals
        times = " to ".join(time.isoformat(sep=" ") for time in (self.time1, self.time2))
        return f"{self.table}, {times}: {t.added} added, {t.deleted} deleted, {t.modified} modified"

    def header(self) -> Sequence[str]:
        """The names of the columns shown."""
        return ("row", "key", "what")

    def lines(self) -> Iterable[Sequence[Any]]:
        """The rows that are held."""
        words = {"INSERT": "added", "DELETE": "deleted", "UPDATE": "modified"}
        return ((words[c.operation], c.key, summary(c)) for c in self.held.first)

    def footnotes(self) -> Iterable[str]:
        """Gaps, and whether rows were left out."""
        more = ["there are more rows than limit"] if self.more else []
        return [*more, *(explained(gap) for gap in self.gaps)]

    def __repr__(self) -> str:
        return f"<Comparison {self.headline()}>"


def _as_dict(change: RowChange) -> dict[str, Any]:
    return {
        "key": jsonable(change.key),
        "before": jsonable(change.before),
        "after": jsonable(change.after),
        "changed": list(change.changed),
    }


def compare_temporal_data(
    bind: Bind,
    table_name: str,
    timestamp1: When,
    timestamp2: When = "HEAD",
    *,
    schema_name: str = "public",
    where: Where | None = None,
    limit: int | None = None,
    buffer: int | None = BUFFER,
    access: AccessMode | None = None,
    timezone: tzinfo | None = None,
    schema: str = DEFAULT_SCHEMA,
) -> Comparison:
    """What differs in a table between two points in time.

    What changed is found from where versions ended and began, so the cost follows the
    changed rows and not the size of the table.

    Parameters:
        bind: an engine, a connection or a session.
        table_name: the table.
        timestamp1: the first side, as in :func:`query_temporal_data`.
        timestamp2: the second side, earlier or later; the last commit by default.
        schema_name: the schema of the table.
        where: only rows for which this holds on either side.
        limit: list at most so many rows. The totals are of all.
        buffer: the result holds so many rows, and reads again when there are more; None
            holds all.
        access: ``"restricted"`` reads in a read-only transaction.
        timezone: the time zone of times without one.
        schema: the schema of the library's own tables.

    Returns:
        The rows that differ, in the order of their keys, and how many there are.

    Raises:
        NotInstalledError: the table was never versioned.
        MomentError: a side names no point in time that can be read; its subclasses tell a
            time before versioning began, a gap, and what was purged.
        UnknownOptionError: a column does not exist, or an option has a bad value.
    """
    sides = [point_in_time(when, timezone) for when in (timestamp1, timestamp2)]
    checked("limit", limit)
    with reading(bind, access) as connection:
        table = find_table(connection, table_name, schema_name, schema)
        first, second = (resolve(connection, when, schema) for when in sides)
        wanted = combined(table, where)

        def read(connection: Connection) -> Iterator[RowChange]:
            found = compare(connection, schema, first, second, [table.live], where=wanted)
            yield from islice(found, None if limit is None else limit + 1)

        stats = compare(connection, schema, first, second, [table.live], where=wanted).stats()
        return Comparison(
            table=table.name,
            time1=first.effective_at,
            time2=second.effective_at,
            commit1=first.uuid,
            commit2=second.uuid,
            totals=Totals(stats.rows_added, stats.rows_removed, stats.rows_changed),
            gaps=_gaps(connection, schema, table, first, second),
            _held=hold(bind, access, connection, read, limit=limit, buffer=buffer),
        )


def combined(table: VersionedTable, where: Where | None) -> ColumnElement[bool] | None:
    """``where`` as one condition on columns of ``table``."""
    conditions = condition(table.live, where)
    return and_(*conditions) if conditions else None


def _gaps(
    connection: Connection, schema: str, table: VersionedTable, first: Moment, second: Moment
) -> tuple[Unknown, ...]:
    early, late = (first, second) if first.seq <= second.seq else (second, first)
    return gaps_between(connection, schema, table, early, late)


__all__ = ["Comparison", "Totals", "combined", "compare_temporal_data"]
