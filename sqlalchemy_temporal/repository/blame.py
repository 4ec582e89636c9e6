"""Which commit last set each cell of a row, along the commit graph.

The versions of a row say what the live table held after each commit. That is not who wrote
it: a switch of branches or a merge gives cells the values they have elsewhere. So the
search goes along the graph. Along a line of commits a cell was set by the commit that gave
it another value; where a line begins it goes on at the parent that has the same value, and
ends there when none has.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import BigInteger, Connection, Row, and_, null, select, type_coerce

from sqlalchemy_temporal.clock.commit import Commit
from sqlalchemy_temporal.clock.commits import commit_from, select_nodes
from sqlalchemy_temporal.clock.moment import Moment
from sqlalchemy_temporal.model.changes import equal
from sqlalchemy_temporal.naming import END_COLUMN, TX_COLUMN
from sqlalchemy_temporal.reading.refusal import check_known
from sqlalchemy_temporal.repository.dag import Dag, load_dag
from sqlalchemy_temporal.repository.described import VersionedTable
from sqlalchemy_temporal.repository.keys import key_values
from sqlalchemy_temporal.schema import SystemTables

_BATCH: Final = 500


@dataclass(frozen=True, slots=True)
class _Version:
    """A version of the row: from which commit on, until before which, with what values."""

    start: int
    end: int | None
    values: Row[Any]


def blame_row(
    connection: Connection,
    tables: SystemTables,
    table: VersionedTable,
    key: Any,
    moment: Moment,
) -> dict[str, Commit]:
    """The commit that last set each recorded column of a row; empty if there is no row.

    Columns that were set before the horizon of a purge are left out: it is not known by which
    commit.

    Parameters:
        connection: where to ask.
        tables: the library's own tables.
        table: the row's table.
        key: the row's key.
        moment: as of when.

    Raises:
        ConfigurationError: ``key`` does not have the parts of the table's key.
        UnrecordedMomentError: nothing of the table is recorded at the moment.
    """
    check_known(table.live, moment)
    versions = _versions(connection, tables, table, key)
    purged = _purged_before(connection, tables, table)
    search = _Search(load_dag(connection, tables, moment.seq), versions, table, purged)
    if search.at(moment.seq) is None:
        return {}
    setters = {name: search.setter(name, moment.seq) for name in table.columns}
    found = {name: point for name, point in setters.items() if point is not None}
    commits = _commits(connection, tables, found.values())
    return {name: commits[point] for name, point in found.items()}


@dataclass(frozen=True, slots=True)
class _Search:
    dag: Dag
    versions: list[_Version]
    table: VersionedTable
    purged: int

    def at(self, seq: int) -> _Version | None:
        """The version that stood after the commit ``seq``."""
        number = bisect_right(self.versions, seq, key=lambda version: version.start) - 1
        if number < 0:
            return None
        found = self.versions[number]
        return found if found.end is None or seq < found.end else None

    def same(self, name: str, one: _Version | None, two: _Version | None) -> bool:
        """Whether a column has the same value in two versions, both of which there are."""
        if one is None or two is None:
            return False
        type_ = self.table.live.c[name].type
        return equal(type_, one.values._mapping[name], two.values._mapping[name])

    def setter(self, name: str, seq: int) -> int | None:
        """The sequence number of the commit that gave ``name`` the value it has at ``seq``.

        None when that was before the commit ``purged``, from which on the table is known.
        """
        while True:
            line = self.dag.line_of(seq)
            begin = self.dag.begins[line]
            version = self.at(seq)
            if version is None:
                raise LookupError(name)  # only commits at which the row stands are looked at
            if version.start > begin:
                if version.start <= self.purged:
                    return None
                if not self.same(name, version, self.at(version.start - 1)):
                    return version.start
                seq = version.start - 1
                continue
            parents = self.dag.parents[line]
            seen = [each for each in parents if self.same(name, version, self.at(each))]
            if not seen:
                unsure = any(each < self.purged for each in parents)
                return None if unsure else begin or version.start
            seq = seen[0]


def _purged_before(connection: Connection, tables: SystemTables, table: VersionedTable) -> int:
    """The number of the commit from which on the table is known; 0 for all of them."""
    listed = tables.versioned_tables
    return (
        connection.scalar(
            select(listed.c.purged_seq).where(
                listed.c.table_schema == table.schema, listed.c.table_name == table.table_name
            )
        )
        or 0
    )


def _versions(
    connection: Connection, tables: SystemTables, table: VersionedTable, key: Any
) -> list[_Version]:
    """All committed versions of a row, oldest first."""
    values = key_values(table, key)
    started, ended = tables.transaction.alias("started"), tables.transaction.alias("ended")

    def columns(source: Any) -> list[Any]:
        return [source.c[name].label(name) for name in table.columns]

    stored, history = table.stored, table.history
    never = type_coerce(null(), BigInteger)
    live = (
        select(*columns(stored), started.c.commit_seq.label("_start"), never.label("_end"))
        .join(started, started.c.id == stored.c[TX_COLUMN])
        .where(and_(*(stored.c[name] == value for name, value in values.items())))
    )
    closed = (
        select(*columns(history), started.c.commit_seq, ended.c.commit_seq)
        .join(started, started.c.id == history.c[TX_COLUMN])
        .outerjoin(ended, ended.c.id == history.c[END_COLUMN])
        .where(and_(*(history.c[name] == value for name, value in values.items())))
    )
    rows = [*connection.execute(live), *connection.execute(closed)]
    found = [_Version(row[-2], row[-1], row) for row in rows]
    return sorted(found, key=lambda version: version.start)


def _commits(
    connection: Connection, tables: SystemTables, numbers: Iterable[int]
) -> dict[int, Commit]:
    statement, nodes = select_nodes(connection, tables.schema)
    wanted = sorted(set(numbers))
    found: dict[int, Commit] = {}
    for first in range(0, len(wanted), _BATCH):
        some = statement.where(nodes.c.seq.in_(wanted[first : first + _BATCH]))
        found.update((row.commit_seq, commit_from(row)) for row in connection.execute(some))
    return found


__all__ = ["blame_row"]
