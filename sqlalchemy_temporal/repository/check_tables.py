"""Check the rows of one table against what commits recorded of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, groupby, islice
from typing import Any, Final

from sqlalchemy import Connection, Row, select, text

from sqlalchemy_temporal.ddl.postgresql import checks
from sqlalchemy_temporal.ddl.postgresql.hashing import HashedTable, LeafSql
from sqlalchemy_temporal.ddl.postgresql.quoting import Quoter
from sqlalchemy_temporal.naming import END_COLUMN, FROM_COLUMN, TO_COLUMN, TX_COLUMN
from sqlalchemy_temporal.repository.canonical import HASH_SIZE, MARK_SIZE, mark_of
from sqlalchemy_temporal.repository.findings import Findings, Problem, ProblemKind
from sqlalchemy_temporal.repository.hashed import leaf_sql
from sqlalchemy_temporal.schema import system_of

_LOCATED: Final = 50
"""Commits whose rows are looked at one by one; the others are named only."""
_STREAM: Final = 10_000


@dataclass(frozen=True, slots=True)
class TableCheck:
    """The check of one table.

    Attributes:
        connection: where.
        schema: the schema of the library's own tables.
        table: the table.
        findings: where problems go.
    """

    connection: Connection
    schema: str
    table: HashedTable
    findings: Findings

    @property
    def _s(self) -> str:
        return self.connection.dialect.identifier_preparer.quote(self.schema)

    @property
    def _sql(self) -> LeafSql:
        return leaf_sql(self.connection, self.schema, self.table)

    @property
    def history(self) -> str:
        """The name of the history table."""
        return f"{self.table.history_schema}.{self.table.history_table}"

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
        with _scanning(self.connection):
            for part in self._partitions(statement):
                progress(sum(row.leaves for row in part))
                off = (
                    row
                    for row in part
                    if not (row.leaves_same and row.root_same and row.marks_same)
                )
                suspect += islice(off, self.findings.limit - len(suspect))
        suspect.sort(key=lambda row: row.seq)
        with _scanning(self.connection):
            edited = self._locate(suspect[:_LOCATED])
        for row in suspect[_LOCATED:]:
            self._report("altered", "the rows it changed are not as recorded", row.seq)
        return edited

    def _partitions(self, statement: str) -> Iterator[Sequence[Row[Any]]]:
        """Rows as they come, a few thousand in memory at a time."""
        options = {"stream_results": True, "yield_per": _STREAM}
        return self.connection.exec_driver_sql(statement, execution_options=options).partitions()

    def versions(self) -> None:
        """Check that each version belongs to commits, and that no two overlap."""
        with _scanning(self.connection):
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
                self._report("overlap", "two versions at one time", row.seq, row.key)

    # Which rows it is because of ---------------------------------------------------------

    def _locate(self, suspect: Iterable[Row[Any]]) -> frozenset[int]:
        rows = {row.seq: row for row in suspect}
        if not rows:
            return frozenset()
        statement = checks.locate_leaves(self._s, self._sql, sorted(rows))
        result = chain.from_iterable(self._partitions(statement))
        edited = []
        stored = self._stored(sorted(rows))
        originals = self._originals(sorted(rows))
        found = {seq: list(group) for seq, group in groupby(result, key=lambda row: row.seq)}
        for seq, row in rows.items():
            marks, known = stored.get(seq), originals.get(seq, ({}, []))
            if marks is None:
                for leaf in found.get(seq, []):
                    self._extra("added", seq, leaf)
                if not found.get(seq):
                    self._report("missing", "its root is missing", seq)
            elif row.root_same and row.leaves_same:
                edited.append(seq)
                self._edited_root(seq, "marks")
            elif not self._match(seq, found.get(seq, []), marks, known):
                edited.append(seq)
                for column in ("leaves", "root", "marks"):
                    if not getattr(row, f"{column}_same"):
                        self._edited_root(seq, column)
        return frozenset(edited)

    def _match(
        self,
        seq: int,
        leaves: list[Row[Any]],
        marks: bytes,
        known: tuple[dict[bytes, bytes], list[bytes]],
    ) -> bool:
        """Report the leaves that do not fit; whether there were any."""
        overridden, purged = known
        rest = Counter(marks[i : i + MARK_SIZE] for i in range(0, len(marks), MARK_SIZE))
        rest.subtract(mark_of(leaf) for leaf in purged)
        extra = []
        for row in leaves:
            leaf = bytes(row.leaf)
            mark = mark_of(overridden.get(leaf, leaf))
            if rest[mark] > 0:
                rest[mark] -= 1
            else:
                extra.append(row)
        missing = sum(number for number in rest.values() if number > 0)
        for row in extra:
            self._extra("altered" if missing else "added", seq, row)
        if missing > len(extra):
            number = missing - len(extra)
            self._report("missing", f"{number} thing(s) that it did to rows are gone", seq)
        return bool(extra or missing)

    def _extra(self, kind: ProblemKind, seq: int, row: Row[Any]) -> None:
        system = f"{self.schema}."
        if row.origin == "live":
            self._report(kind, "a row is not as recorded", seq, row.key)
        elif row.origin in ("history", "ended"):
            column = self._column(row) if row.origin == "ended" else None
            message = (
                "how a version ended is not as recorded"
                if row.origin == "ended"
                else "a version is not as recorded"
            )
            self._report(kind, message, seq, row.key, table=self.history, column=column)
        else:
            table = {
                "key change": "pk_change",
                "override": "leaf_override",
                "catalog": "versioned_tables",
            }[row.origin]
            self._report(
                kind,
                f"an entry for {self.table.qualified} is not as recorded",
                seq,
                row.key,
                table=system + table,
            )

    def _column(self, row: Row[Any]) -> str | None:
        """Which column of history is wrong, where that follows from the transactions.

        A time that is another transaction's is right, and the transaction beside it is not.
        """
        statement = checks.times_of_version(self._s, self._sql, row.version)
        times = self.connection.exec_driver_sql(statement).first()
        if times is None:
            return None
        if not times.from_same:
            return TX_COLUMN if times.from_known else FROM_COLUMN
        if not times.to_same:
            return END_COLUMN if times.to_known else TO_COLUMN
        return None

    def _edited_root(self, seq: int, column: str) -> None:
        self._report(
            "altered",
            f"the stored root over {self.table.qualified} was edited; its rows are as recorded",
            seq,
            table=f"{self.schema}.commit_root",
            column=column,
        )

    def _report(
        self,
        kind: ProblemKind,
        message: str,
        seq: int | None,
        key: str | None = None,
        *,
        table: str | None = None,
        column: str | None = None,
    ) -> None:
        commit = system_of(self.connection, self.schema).commit
        uuid = self.connection.scalar(select(commit.c.uuid).where(commit.c.seq == seq))
        self.findings.add(
            Problem(
                kind,
                message,
                table or self.table.qualified,
                column,
                None if key is None else json.loads(key),
                seq,
                uuid,
            )
        )

    def _stored(self, seqs: list[int]) -> dict[int, bytes]:
        root = system_of(self.connection, self.schema).commit_root
        rows = self.connection.execute(
            select(root.c.seq, root.c.marks).where(
                root.c.table_id == self.table.id, root.c.seq.in_(seqs)
            )
        )
        return {row.seq: bytes(row.marks) for row in rows}

    def _originals(self, seqs: list[int]) -> dict[int, tuple[dict[bytes, bytes], list[bytes]]]:
        """What was redacted (leaf now, leaf before) and purged (leaves), by commit."""
        system = system_of(self.connection, self.schema)
        override, commit = system.leaf_override, system.commit
        rows = self.connection.execute(
            select(commit.c.seq, override)
            .join_from(commit, override, override.c.tx_id == commit.c.tx_id)
            .where(override.c.table_id == self.table.id, commit.c.seq.in_(seqs))
        )
        found: dict[int, tuple[dict[bytes, bytes], list[bytes]]] = {}
        for row in rows:
            redacted, purged = found.setdefault(row.seq, ({}, []))
            if row.kind == "purged":
                purged += _hashes(bytes(row.original_hash or b""))
            else:
                redacted[bytes(row.current_hash)] = bytes(row.original_hash)
        return found


@contextmanager
def _scanning(connection: Connection) -> Iterator[None]:
    """Plan for reading all rows once: statistics that lag behind suggest nested loops."""
    setting = text("SELECT set_config('enable_nestloop', :value, true)")
    before = connection.scalar(text("SELECT current_setting('enable_nestloop')"))
    connection.execute(setting, {"value": "off"})
    yield
    connection.execute(setting, {"value": before})


def _hashes(joined: bytes) -> Iterator[bytes]:
    for start in range(0, len(joined), HASH_SIZE):
        yield joined[start : start + HASH_SIZE]
