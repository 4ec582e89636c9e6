"""How much changed between two points in time, from the counts that commits keep."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, func, select, text

from sqlalchemy_temporal.clock.moment import Moment
from sqlalchemy_temporal.clock.own import own_counts
from sqlalchemy_temporal.repository.changes import Way, new_rows
from sqlalchemy_temporal.repository.described import VersionedTable
from sqlalchemy_temporal.repository.sides import side_of
from sqlalchemy_temporal.schema import has_schemas, system_of

_FEW: Final = 1000
"""So many changed rows are always looked up by key."""
_MOST: Final = 10_000
"""So many rows with the largest keys are looked through for new ones."""
_NUMBERED: Final = ("smallint", "integer", "bigint", "int")
"""Types of keys that databases count up."""
_PART: Final = 0.1
"""The part of a table from which on scanning it is cheaper than looking rows up."""


@dataclass(frozen=True, slots=True)
class Span:
    """What the commits between two points say they did.

    Attributes:
        counts: rows inserted, updated and deleted, by table.
        rekeyed: the tables in which keys of rows were changed.
        begin: the earlier point; None is now.
        end: the later point.
    """

    counts: Mapping[str, Mapping[str, int]]
    rekeyed: frozenset[str]
    begin: Moment
    end: Moment | None

    def touches(self, table: VersionedTable) -> bool:
        """Whether ``table`` may differ between the two points."""
        return table.name in self.counts or self._interrupted(table)

    def way(self, connection: Connection, table: VersionedTable) -> tuple[Way, int]:
        """How the changed rows of ``table`` are best found.

        Returns:
            The way, and for :attr:`Way.NEWEST` the smallest key that is new.
        """
        counts = self.counts.get(table.name, {})
        if table.name in self.rekeyed or self._interrupted(table):
            return Way.SCAN, 0
        changed = sum(counts.values())
        if changed > _FEW and changed > _PART * _rows(connection, table):
            return Way.SCAN, 0
        inserted = counts.get("insert", 0)
        if not inserted:
            return Way.LOOKUP, 0
        first = self._first_new(connection, table)
        return (Way.SCAN, 0) if first is None else (Way.NEWEST, first)

    def _first_new(self, connection: Connection, table: VersionedTable) -> int | None:
        """The smallest key that is new; None when that is not known for sure.

        Rows inserted since have larger keys still, when the database numbers them.
        """
        kinds = [table.types[name].lower() for name in table.key]
        if len(kinds) != 1 or not kinds[0].startswith(_NUMBERED) or table.kind == "inherited":
            return None
        since = self if self.end is None else span(connection, self.begin, None)
        newest = since.counts.get(table.name, {}).get("insert", 0)
        if table.name in since.rekeyed or newest > _MOST:
            return None
        dialect = connection.dialect
        sides = side_of(self.begin, dialect), side_of(self.end, dialect)
        found, first = connection.execute(new_rows(table, *sides, newest)).one()
        return first if found == self.counts[table.name]["insert"] else None

    def _interrupted(self, table: VersionedTable) -> bool:
        """Whether versioning may have begun (again) between the points, unknown to counts."""
        return bool(table.gaps) or not self.begin.sees(table.enabled_tx_id)


def span(connection: Connection, begin: Moment, end: Moment | None) -> Span:
    """What changed from ``begin`` to ``end``, the earlier and the later point.

    Parameters:
        connection: where to look. When ``end`` is None, the changes of its own transaction
            count, too.
        begin: the earlier point.
        end: the later one; None for now.
    """
    tables = system_of(connection, begin.schema)
    transaction, moved = tables.transaction, tables.pk_change
    found: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    # Ids first: they are indexed, and those before lo were all visible already.
    within = [transaction.c.id >= begin.lo, transaction.c.commit_seq > begin.seq]
    changed = [moved.c.tx_id >= begin.lo]
    if end is not None:
        within += [transaction.c.id <= end.hi, transaction.c.commit_seq <= end.seq]
        changed.append(moved.c.tx_id <= end.hi)
    rows = connection.execute(
        select(transaction.c.counts, func.count())
        .where(*within)
        .group_by(transaction.c.counts)
        .execution_options(yield_per=1000)
    )
    for counts, times in rows:
        _add(found, counts, times)
    if end is None:
        _add(found, own_counts(connection, begin.schema), 1)
    rekeyed = select(moved.c.table_schema, moved.c.table_name).where(*changed).distinct()
    return Span(
        {name: dict(counts) for name, counts in found.items()},
        frozenset(f"{schema}.{name}" for schema, name in connection.execute(rekeyed)),
        begin,
        end,
    )


def _add(
    found: dict[str, dict[str, int]], counts: Mapping[str, Mapping[str, int]], times: int
) -> None:
    for name, of_table in counts.items():
        for operation, rows in of_table.items():
            # A transaction that deletes what it inserted takes it off its counts; never
            # let one's debt hide another's insert.
            found[name][operation] += max(rows, 0) * times


def _rows(connection: Connection, table: VersionedTable) -> float:
    """About how many rows the table has, as the planner believes; 0 when it does not say."""
    if not has_schemas(connection.dialect):
        return 0
    statement = text(
        "SELECT c.reltuples FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = :schema AND c.relname = :name"
    )
    found = connection.scalar(statement, {"schema": table.schema, "name": table.table_name})
    return float(found or 0)


__all__ = ["Span", "span"]
