"""Check the rows and the list of versioned tables of SQLite."""

from __future__ import annotations

import hashlib
import heapq
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from sqlalchemy import Row, select

from sqlalchemy_temporal.capture.sqlite import columns_of
from sqlalchemy_temporal.ddl.postgresql.checks import Range
from sqlalchemy_temporal.ddl.sqlite.system import TEMPLATE
from sqlalchemy_temporal.ddl.sqlite.table import PURPOSES, trigger_name
from sqlalchemy_temporal.naming import END_COLUMN, FROM_COLUMN, ID_COLUMN, TO_COLUMN, TX_COLUMN
from sqlalchemy_temporal.repository.check_registry import RegistryCheck, expected_history
from sqlalchemy_temporal.repository.check_rows import LOCATED, Located, Originals, RowCheck
from sqlalchemy_temporal.repository.edited import Fields
from sqlalchemy_temporal.repository.findings import Problem
from sqlalchemy_temporal.repository.sqlite_leaves import (
    Leaf,
    SqliteLeaves,
    SqliteTable,
    original_root,
    without_times,
)
from sqlalchemy_temporal.schema import system_of

_Stored = tuple[int, bytes, bytes]


@dataclass(frozen=True, slots=True)
class SqliteTableCheck(RowCheck):
    """The check of one table.

    Attributes:
        table: the table.
    """

    table: SqliteTable

    @property
    def named(self) -> SqliteTable:
        """The table."""
        return self.table

    def rows(self, within: Range, progress: Callable[[int], None]) -> frozenset[int]:
        """Compute the hashes of all rows anew and compare the roots, commit by commit."""
        reader = SqliteLeaves(self.connection, self.schema, self.table)
        originals = reader.originals(within.after, within.upto)
        edited, explained = [], 0
        for seq, leaves, stored in self._in_step(reader, within, originals):
            known = originals.get(seq, ({}, []))
            found = original_root(leaves, known)
            progress(found[0])
            if found == stored:
                continue
            explained += 1
            if explained > LOCATED:
                self.report("altered", "the rows it changed are not as recorded", seq)
                continue
            names = ("leaves", "root", "marks")
            off = [n for n, a, b in zip(names, found, stored or (None,) * 3, strict=True) if a != b]
            if self.explain(seq, leaves, stored[2] if stored else None, off):
                edited.append(seq)
        return frozenset(edited)

    def _in_step(
        self, reader: SqliteLeaves, within: Range, originals: dict[int, Originals]
    ) -> Iterator[tuple[int, list[Leaf], _Stored | None]]:
        """Commits with their leaves and what is stored of them, in order."""
        commits = reader.commits(within.after, within.upto)
        computed = ((seq, leaves, None) for seq, leaves in commits)
        purged = ((seq, list[Leaf](), None) for seq in sorted(originals))
        stored = ((seq, list[Leaf](), kept) for seq, kept in self._roots(within))
        known = self._commits(within)
        merged = heapq.merge(computed, purged, stored, key=lambda each: each[0])
        for seq, group in groupby(merged, key=lambda each: each[0]):
            parts = list(group)
            if seq in known:
                leaves = [leaf for part in parts for leaf in part[1]]
                kept = next((part[2] for part in parts if part[2] is not None), None)
                if leaves or kept is not None or seq in originals:
                    yield seq, leaves, kept

    def _commits(self, within: Range) -> frozenset[int]:
        """The numbers of commits whose roots can be compared."""
        system = system_of(self.connection, self.schema)
        commit, override = system.commit, system.leaf_override
        seqs = self.connection.scalars(
            select(commit.c.seq).where(commit.c.seq.between(within.after + 1, within.upto))
        )
        gone = self.connection.scalars(
            select(override.c.tx_id).where(
                override.c.table_id == self.table.id,
                override.c.kind == "purged",
                override.c.original_hash.is_(None),
            )
        )
        return frozenset(seqs) - frozenset(gone)

    def _roots(self, within: Range) -> Iterator[tuple[int, _Stored]]:
        root = system_of(self.connection, self.schema).commit_root
        rows = self.connection.execute(
            select(root)
            .where(
                root.c.table_id == self.table.id,
                root.c.seq.between(within.after + 1, within.upto),
            )
            .order_by(root.c.seq),
            execution_options={"stream_results": True, "yield_per": 1000},
        )
        for row in rows:
            yield row.seq, (row.leaves, row.root, row.marks)

    def fields_of(self, seq: int, row: Located) -> Fields | None:
        """The fields of the version, and of those beside it."""
        if not isinstance(row, Leaf):
            return None
        return SqliteLeaves(self.connection, self.schema, self.table).fields(seq, row)

    # Versions --------------------------------------------------------------------------------

    def versions(self) -> None:
        """Check that each version belongs to commits, and that no two overlap."""
        if self.table.live:
            self._unaccounted(self.table.current, TX_COLUMN, self.table.qualified)
        if self.table.past:
            self._unaccounted(self.table.history_table, TX_COLUMN, self.history)
            self._unaccounted(self.table.history_table, END_COLUMN, self.history)
        if self.table.live or self.table.past:
            self._overlaps()

    def _q(self, name: str) -> str:
        return self.connection.dialect.identifier_preparer.quote_identifier(name)

    @property
    def _keys(self) -> list[tuple[str, str]]:
        """The key columns: what they are called live, and in history."""
        return [
            (each.name, each.history)
            for each in self.table.columns
            if each.current and each.name in (self.table.joined or self.table.key)
        ]

    def _unaccounted(self, table: str, column: str, place: str) -> None:
        past = table == self.table.history_table
        names = ", ".join(f"r.{self._q(history if past else name)}" for name, history in self._keys)
        transaction = self._q(str(system_of(self.connection, self.schema).transaction.name))
        rows = self.connection.exec_driver_sql(
            f"SELECT r.{column}, {names} FROM {self._q(table)} AS r "  # noqa: S608 - quoted
            f"LEFT JOIN {transaction} AS temporal_t ON temporal_t.id = r.{column} "
            f"WHERE temporal_t.id IS NULL LIMIT {self.findings.limit}"
        )
        for row in rows:
            key = dict(zip((name for name, _ in self._keys), row[1:], strict=True))
            message = f"no commit has the transaction {row[0]}"
            self.findings.add(Problem("unaccounted", message, place, column, key))

    def _overlaps(self) -> None:
        names = ", ".join(self._q(name) for name, _ in self._keys)
        past = ", ".join(f"{self._q(h)} AS {self._q(n)}" for n, h in self._keys)
        versions = []
        if self.table.live:
            versions.append(
                f"SELECT {names}, {TX_COLUMN} AS temporal_began, NULL AS temporal_ended "  # noqa: S608
                f"FROM {self._q(self.table.current)}"
            )
        if self.table.past:
            versions.append(
                f"SELECT {past}, {TX_COLUMN} AS temporal_began, {END_COLUMN} AS temporal_ended "  # noqa: S608
                f"FROM {self._q(self.table.history_table)}"
            )
        rows = self.connection.exec_driver_sql(
            f"SELECT * FROM (SELECT {names}, temporal_ended, lead(temporal_began) OVER ("  # noqa: S608
            f"PARTITION BY {names} ORDER BY temporal_began, temporal_ended IS NULL, "
            f"temporal_ended) AS temporal_next FROM ({' UNION ALL '.join(versions)})) "
            "WHERE temporal_next < temporal_ended "
            "OR (temporal_ended IS NULL AND temporal_next IS NOT NULL) "
            f"LIMIT {self.findings.limit}"
        )
        for row in rows:
            values = (v.hex() if isinstance(v, bytes) else v for v in row)
            key = json.dumps(dict(zip((n for n, _ in self._keys), values, strict=False)))
            self.report("overlap", "two versions at one time", row[-1], key)

    def column_of(self, version: int | None) -> str | None:
        """Which column of history is wrong, where that follows from the transactions."""
        transaction = self._q(str(system_of(self.connection, self.schema).transaction.name))
        known = "EXISTS (SELECT 1 FROM {0} AS t WHERE t.started_at = h.{1})".format
        row = self.connection.exec_driver_sql(
            f"SELECT b.started_at IS h.{FROM_COLUMN}, {known(transaction, FROM_COLUMN)}, "  # noqa: S608
            f"e.started_at IS h.{TO_COLUMN}, {known(transaction, TO_COLUMN)} "
            f"FROM {self._q(self.table.history_table)} AS h "
            f"LEFT JOIN {transaction} AS b ON b.id = h.{TX_COLUMN} "
            f"LEFT JOIN {transaction} AS e ON e.id = h.{END_COLUMN} WHERE h.{ID_COLUMN} = ?",
            (version,),
        ).first()
        if row is None:
            return None
        if not row[0]:
            return TX_COLUMN if row[1] else FROM_COLUMN
        if not row[2]:
            return END_COLUMN if row[3] else TO_COLUMN
        return None


@dataclass(frozen=True, slots=True)
class SqliteRegistryCheck(RegistryCheck):
    """The check of what is registered on SQLite."""

    def _listed(self) -> None:
        listed = self._system.versioned_tables
        rows = self.connection.execute(select(*without_times(listed)).order_by(listed.c.id)).all()
        for row in rows:
            self._one_listed(row)
        self._triggered({row.table_name for row in rows})

    def _one_listed(self, row: Row[Any]) -> None:
        live = columns_of(self.connection, row.table_name)
        if row.history_table != expected_history(row):
            self._drift(row, "options", "the name of the history table does not follow")
        if not columns_of(self.connection, row.history_table):
            self._drift(row, "history_table", "there is no such table")
        if row.purged_seq is not None and not self._is_commit(row.purged_seq):
            self._drift(row, "purged_seq", f"there is no commit {row.purged_seq}")
        if not self._is_commit(row.enabled_tx_id):
            self._drift(row, "enabled_tx_id", "no commit has this transaction")
        ends = [gap[name] for gap in row.gaps for name in ("since", "until")]
        if not all(self._is_commit(each) for each in ends):
            self._drift(row, "gaps", "a gap does not begin or end with a commit")
        if row.disabled_tx_id is not None:
            if not self._is_commit(row.disabled_tx_id):
                self._drift(row, "disabled_tx_id", "no commit has this transaction")
        elif not live:
            self._drift(row, "table_name", "there is no such table")
        else:
            self._recording_listed(row, live)

    def _recording_listed(self, row: Row[Any], live: list[str]) -> None:
        current = {each["name"] for each in row.columns if each["until"] is None}
        if current | set(row.excluded_columns) != set(live) or current & set(row.excluded_columns):
            self._drift(row, "excluded_columns", "the live table has other columns")
        key = self.connection.exec_driver_sql(
            "SELECT name FROM pragma_table_xinfo(?) WHERE pk > 0 ORDER BY pk", (row.table_name,)
        ).scalars()
        found = list(key)
        if found and found != list(row.key_columns):
            self._drift(row, "key_columns", f"the key is {', '.join(found)}")
        names = [trigger_name(purpose, row.table_name) for purpose in PURPOSES]
        marks = ", ".join("?" * len(names))
        made = dict(
            tuple(each)
            for each in self.connection.exec_driver_sql(
                "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' "  # noqa: S608
                f"AND name IN ({marks})",
                tuple(names),
            )
        )
        sql = "\n".join(made.get(name, "") for name in names)
        digest = hashlib.sha256(sql.encode()).hexdigest()[:16]
        if row.capture == "orm":
            if made:
                self._drift(row, "capture", "the table's triggers say otherwise")
        elif row.fingerprint != f"template={TEMPLATE} digest={digest}":
            self._drift(row, "fingerprint", "the triggers have another one")

    def _triggered(self, names: set[str]) -> None:
        """Tables that have our triggers, and are not listed."""
        found = self.connection.exec_driver_sql(
            "SELECT name, tbl_name FROM sqlite_master WHERE type = 'trigger'"
        )
        for name, table in found:
            if name == trigger_name(PURPOSES[0], table) and table not in names:
                message = f"{table} has our triggers and is not listed"
                self._report("missing", message, "versioned_tables", "table_name")

    def _sequences(self) -> None:
        """There are none on SQLite."""

    @property
    def _own(self) -> Any:
        return None
