"""What checking the rows of one table has in common on every database."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from sqlalchemy import Connection, select

from sqlalchemy_temporal.ddl.postgresql.checks import Range
from sqlalchemy_temporal.repository.canonical import HASH_SIZE, MARK_SIZE, SAYS, mark_of
from sqlalchemy_temporal.repository.edited import Fields, edited_columns
from sqlalchemy_temporal.repository.findings import Findings, Problem, ProblemKind
from sqlalchemy_temporal.schema import system_of

LOCATED: Final = 50
"""Commits whose rows are looked at one by one; the others are named only."""

NAMED: Final = 20
"""Rows of one commit whose edited columns are looked for."""

Originals = tuple[dict[bytes, bytes], list[bytes]]
"""What of a commit was redacted (leaf now, leaf before) and purged (leaves)."""


class Named(Protocol):
    """What a table is called."""

    @property
    def id(self) -> int:
        """Its number in the list of versioned tables."""

    @property
    def qualified(self) -> str:
        """``schema.table``."""

    @property
    def history_schema(self) -> str:
        """The schema of its history table."""

    @property
    def history_table(self) -> str:
        """Its history table."""


class Located(Protocol):
    """A leaf and the row it is of.

    ``origin`` says what it is of: ``live`` or ``history`` for a version written there,
    ``ended`` for the end of one, ``key change``, ``override`` or ``catalog``. ``key`` is
    the key as JSON, ``version`` the ``temporal_id`` of a row of history.
    """

    @property
    def leaf(self) -> bytes:
        """The leaf."""

    @property
    def origin(self) -> str:
        """What it is of."""

    @property
    def key(self) -> str | None:
        """The key of the row, as JSON."""

    @property
    def version(self) -> int | None:
        """Which row of history."""


@dataclass(frozen=True, slots=True)
class RowCheck:
    """The check of one table; databases differ in how they read.

    Attributes:
        connection: where.
        schema: the schema of the library's own tables.
        findings: where problems go.
    """

    connection: Connection
    schema: str
    findings: Findings

    @property
    def named(self) -> Named:
        """The table."""
        raise NotImplementedError

    @property
    def history(self) -> str:
        """The name of the history table."""
        return f"{self.named.history_schema}.{self.named.history_table}"

    def rows(self, within: Range, progress: Callable[[int], None]) -> frozenset[int]:
        """Compute the hashes of all rows anew and compare the roots.

        Parameters:
            within: the commits.
            progress: called with the number of hashes compared since the last call.

        Returns:
            The numbers of commits whose stored root, not whose rows, was edited.
        """
        raise NotImplementedError

    def versions(self) -> None:
        """Check that each version belongs to commits, and that no two overlap."""
        raise NotImplementedError

    def fields_of(self, seq: int, row: Located) -> Fields | None:
        """What the leaf of a version that a commit wrote is taken of, if that can be told."""
        raise NotImplementedError

    def column_of(self, version: int | None) -> str | None:
        """Which system column of a version is wrong, where that can be told."""
        raise NotImplementedError

    def explain(
        self, seq: int, leaves: Sequence[Located], marks: bytes | None, off: Sequence[str]
    ) -> bool:
        """Say why a commit's root does not fit.

        Parameters:
            seq: the commit.
            leaves: its leaves as they are now.
            marks: what is stored to tell which they were; None when nothing is stored.
            off: the columns of ``commit_root`` that do not fit the leaves.

        Returns:
            Whether the stored root was edited, and the rows are as recorded.
        """
        if marks is None:
            for leaf in leaves:
                self._extra("added", seq, leaf)
            if not leaves:
                self.report("missing", "its root is missing", seq)
            return False
        known = self._originals([seq]).get(seq, ({}, []))
        if list(off) != ["marks"] and self._match(seq, leaves, marks, known):
            return False
        for column in off:
            self._edited_root(seq, column)
        return True

    def _match(
        self,
        seq: int,
        leaves: Sequence[Located],
        marks: bytes,
        known: Originals,
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
        missed = {mark for mark, number in rest.items() if number > 0}

        def is_missed(leaf: bytes) -> bool:
            return mark_of(overridden.get(leaf, leaf)) in missed

        for number, row in enumerate(extra):
            told = number < NAMED and len(missed) <= NAMED and row.origin in ("live", "history")
            fields = self.fields_of(seq, row) if missed and told else None
            columns = edited_columns(fields, is_missed) if fields else ()
            self._extra("altered" if missing else "added", seq, row, ", ".join(columns) or None)
        if missing > len(extra):
            number = missing - len(extra)
            self.report("missing", f"{number} thing(s) that it did to rows are gone", seq)
        return bool(extra or missing)

    def _extra(self, kind: ProblemKind, seq: int, row: Located, column: str | None = None) -> None:
        system = f"{self.schema}."
        if row.origin == "live":
            self.report(kind, "a row is not as recorded", seq, row.key, column=column)
        elif row.origin in ("history", "ended"):
            column = self.column_of(row.version) if row.origin == "ended" else column
            message = (
                "how a version ended is not as recorded"
                if row.origin == "ended"
                else "a version is not as recorded"
            )
            self.report(kind, message, seq, row.key, table=self.history, column=column)
        else:
            table = {
                "key change": "pk_change",
                "override": "leaf_override",
                "catalog": "versioned_tables",
            }[row.origin]
            self.report(
                kind,
                f"an entry for {self.named.qualified} is not as recorded",
                seq,
                row.key,
                table=system + table,
            )

    def _edited_root(self, seq: int, column: str) -> None:
        self.report(
            "altered",
            f"the stored root over {self.named.qualified} was edited; its rows are as recorded",
            seq,
            table=f"{self.schema}.commit_root",
            column=column,
        )

    def report(
        self,
        kind: ProblemKind,
        message: str,
        seq: int | None,
        key: str | None = None,
        *,
        table: str | None = None,
        column: str | None = None,
    ) -> None:
        """Keep a problem with the table, or with ``table`` if given."""
        commit = system_of(self.connection, self.schema).commit
        uuid = self.connection.scalar(select(commit.c.uuid).where(commit.c.seq == seq))
        self.findings.add(
            Problem(
                kind,
                message,
                table or self.named.qualified,
                column,
                None if key is None else json.loads(key),
                seq,
                uuid,
            )
        )

    def stored(self, seqs: list[int]) -> dict[int, bytes]:
        """The marks that are stored with commits."""
        root = system_of(self.connection, self.schema).commit_root
        rows = self.connection.execute(
            select(root.c.seq, root.c.marks).where(
                root.c.table_id == self.named.id, root.c.seq.in_(seqs)
            )
        )
        return {row.seq: bytes(row.marks) for row in rows}

    def _originals(self, seqs: list[int]) -> dict[int, Originals]:
        """What was redacted (leaf now, leaf before) and purged (leaves), by commit."""
        system = system_of(self.connection, self.schema)
        override, commit = system.leaf_override, system.commit
        rows = self.connection.execute(
            select(commit.c.seq, override)
            .join_from(commit, override, override.c.tx_id == commit.c.tx_id)
            .where(
                override.c.table_id == self.named.id,
                override.c.kind != SAYS,
                commit.c.seq.in_(seqs),
            )
        )
        found: dict[int, Originals] = {}
        for row in rows:
            redacted, purged = found.setdefault(row.seq, ({}, []))
            if row.kind == "purged":
                purged += _hashes(bytes(row.original_hash or b""))
            else:
                redacted[bytes(row.current_hash)] = bytes(row.original_hash)
        return found


def _hashes(joined: bytes) -> Iterator[bytes]:
    for start in range(0, len(joined), HASH_SIZE):
        yield joined[start : start + HASH_SIZE]
