"""Check the rows of one table of PostgreSQL against what commits recorded of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, groupby, islice
from typing import Any, Final

from sqlalchemy import Row

from sqlalchemy_temporal.ddl.postgresql import checks
from sqlalchemy_temporal.ddl.postgresql.hashing import HashedTable, LeafSql
from sqlalchemy_temporal.ddl.postgresql.quoting import Quoter
from sqlalchemy_temporal.naming import END_COLUMN, FROM_COLUMN, TO_COLUMN, TX_COLUMN
from sqlalchemy_temporal.repository.canonical import WRITTEN, leaf_head
from sqlalchemy_temporal.repository.chain import planned
from sqlalchemy_temporal.repository.check_rows import LOCATED, Located, RowCheck
from sqlalchemy_temporal.repository.edited import Fields
from sqlalchemy_temporal.repository.findings import Problem
from sqlalchemy_temporal.repository.hashed import leaf_sql

_STREAM: Final = 10_000


@dataclass(frozen=True, slots=True)
class TableCheck(RowCheck):
    """The check of one table.

    Attributes:
        table: the table.
    """

    table: HashedTable

    @property
    def named(self) -> HashedTable:
        """The table."""
        return self.table

    @property
    def _s(self) -> str:
        return self.connection.dialect.identifier_preparer.quote(self.schema)

    @property
    def _sql(self) -> LeafSql:
        return leaf_sql(self.connection, self.schema, self.table)

    def rows(self, within: checks.Range, progress: Callable[[int], None]) -> frozenset[int]:
        """Compute the hashes of all rows anew and compare the roots.

        Parameters:
            within: the commits.
            progress: called with the number of hashes compared since the last call.

        Returns:
            The numbers of commits whose stored root, not whose rows, was edited.
        """
        statement = checks.compare_roots(self._s, self._sql, self.table, within)
        suspect: list[Row[Any]] = []
        with planned(self.connection, "enable_nestloop"):
            for part in self._partitions(statement):
                progress(sum(row.leaves for row in part))
                off = (
                    row
                    for row in part
                    if not (row.leaves_same and row.root_same and row.marks_same)
                )
                suspect += islice(off, self.findings.limit - len(suspect))
        suspect.sort(key=lambda row: row.seq)
        with planned(self.connection, "enable_nestloop"):
            edited = self._locate(suspect[:LOCATED])
        for row in suspect[LOCATED:]:
            self.report("altered", "the rows it changed are not as recorded", row.seq)
        return edited

    def _partitions(self, statement: str) -> Iterator[Sequence[Row[Any]]]:
        """Rows as they come, a few thousand in memory at a time."""
        options = {"stream_results": True, "yield_per": _STREAM}
        return self.connection.exec_driver_sql(statement, execution_options=options).partitions()

    def versions(self) -> None:
        """Check that each version belongs to commits, and that no two overlap."""
        with planned(self.connection, "enable_nestloop"):
            self._versions()

    def _versions(self) -> None:
        quote, limit = Quoter(self.connection.dialect), self.findings.limit
        places = {"live": self.table.qualified, "history": self.history}
        for statement in checks.unaccounted(self._s, self._sql, self.table, quote, limit):
            for row in self.connection.exec_driver_sql(statement):
                self.findings.add(
                    Problem(
                        "unaccounted",
                        f"no commit has the transaction {row.tx}",
                        places[row.place],
                        row.column,
                        json.loads(row.key),
                    )
                )
        if self.table.has_live or self.table.has_history:
            statement = checks.overlaps(self._s, self._sql, self.table, quote, limit)
            for row in self.connection.exec_driver_sql(statement):
                self.report("overlap", "two versions at one time", row.seq, row.key)

    # Which rows it is because of ---------------------------------------------------------

    def _locate(self, suspect: Sequence[Row[Any]]) -> frozenset[int]:
        rows = {row.seq: row for row in suspect}
        if not rows:
            return frozenset()
        statement = checks.locate_leaves(self._s, self._sql, sorted(rows))
        result = chain.from_iterable(self._partitions(statement))
        found = {seq: list(group) for seq, group in groupby(result, key=lambda row: row.seq)}
        stored = self.stored(sorted(rows))
        edited = []
        for seq, row in rows.items():
            off = [c for c in ("leaves", "root", "marks") if not getattr(row, f"{c}_same")]
            if self.explain(seq, found.get(seq, []), stored.get(seq), off):
                edited.append(seq)
        return frozenset(edited)

    def fields_of(self, seq: int, row: Located) -> Fields | None:
        """The fields of the version, and of those beside it."""
        if row.key is None or not (self.table.has_live and self.table.has_history):
            return None
        version = row.version if row.origin == "history" else None
        statement = checks.fields_of_version(self._s, self._sql, seq, row.key, version)
        own: tuple[bytes, ...] | None = None
        others = []
        for is_own, *fields in self.connection.exec_driver_sql(statement):
            found = tuple(bytes(each or b"") for each in fields)
            if is_own:
                own = found
            else:
                others.append(found)
        if own is None:
            return None
        names = tuple(column.identity.name for column in self.table.columns)
        return Fields(leaf_head(WRITTEN, self.table.id), names, own, tuple(others))

    def column_of(self, version: int | None) -> str | None:
        """Which column of history is wrong, where that follows from the transactions.

        A time that is another transaction's is right, and the transaction beside it is not.
        """
        statement = checks.times_of_version(self._s, self._sql, version or 0)
        times = self.connection.exec_driver_sql(statement).first()
        if times is None:
            return None
        if not times.from_same:
            return TX_COLUMN if times.from_known else FROM_COLUMN
        if not times.to_same:
            return END_COLUMN if times.to_known else TO_COLUMN
        return None
