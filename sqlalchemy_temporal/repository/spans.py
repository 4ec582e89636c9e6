"""How much changed between two points in time, from the counts that commits keep."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, func, select, text

from sqlalchemy_temporal.clock.moment import Moment
from sqlalchemy_temporal.clock.own import own_counts
from sqlalchemy_temporal.repository.changes import Way
from sqlalchemy_temporal.repository.described import VersionedTable
from sqlalchemy_temporal.schema import has_schemas, system_of

_FEW: Final = 1000
"""So many changed rows are always looked up by key."""
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

    def way(self, connection: Connection, table: VersionedTable) -> Way:
        """How the changed rows of ``table`` are best found."""
        counts = self.counts.get(table.name, {})
        new_keys = counts.get("insert", 0) > 0 or table.name in self.rekeyed
        if new_keys or self._interrupted(table):
            return Way.SCAN
        changed = counts.get("update", 0) + counts.get("delete", 0)
        if changed <= _FEW or changed <= _PART * _rows(connection, table):
            return Way.LOOKUP
        return Way.SCAN

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
