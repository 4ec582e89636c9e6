"""Check that a database's history is what was recorded, down to each byte.

Everything is computed anew from the rows: their hashes, the roots over them, the hashes of
commits. Beside that, the versions of each table must belong to commits and follow each other
without overlap, the commits must follow from each other, and the list of versioned tables
must fit the database's catalog.

Rows are read through cursors and hashed in the server, so memory does not grow with
their number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, case, func, select

from sqlalchemy_temporal.ddl.postgresql.checks import Range
from sqlalchemy_temporal.repository.backends import (
    hash_commits,
    links,
    reading,
    registry_check,
    row_checks,
)
from sqlalchemy_temporal.repository.canonical import SAYS
from sqlalchemy_temporal.repository.check_chain import ChainCheck
from sqlalchemy_temporal.repository.check_rows import Named
from sqlalchemy_temporal.repository.digest import Digest, check_digest
from sqlalchemy_temporal.repository.findings import Findings, Progress, Verification, Withdrawn
from sqlalchemy_temporal.schema import system_of

MAX_PROBLEMS: Final = 1000

ProgressCallback = Callable[[Progress], None]


def verify(
    connection: Connection,
    schema: str,
    *,
    after: int = 0,
    progress: ProgressCallback | None = None,
    digest: Digest | Mapping[str, Any] | str | None = None,
    max_problems: int = MAX_PROBLEMS,
) -> Verification:
    """Compute everything anew and compare it with what is stored.

    Parameters:
        connection: whose database to check; on another connection of its pool where there
            is one, so that only what is committed counts.
        schema: the schema of the library's own tables.
        after: check only commits with a larger number; 0 for all.
        progress: called now and then.
        digest: what :func:`~sqlalchemy_temporal.repository.digest.take_digest` gave earlier.
        max_problems: keep so many problems.

    Raises:
        UnhashableTypeError: a column has a type that cannot be hashed.
        CommitError: ``digest`` is not a digest.
    """
    tell = progress or _nobody
    expected = None if digest is None else Digest.parse(digest)
    hash_commits(connection, schema, progress=lambda n: tell(Progress("hashing", None, n, n)))
    with reading(connection) as other:
        return _Run(other, schema, Findings(max_problems), tell).verify(after, expected)


def _nobody(_: Progress) -> None:
    pass


@dataclass(slots=True)
class _Run:
    connection: Connection
    schema: str
    findings: Findings
    tell: ProgressCallback
    done: int = 0

    def verify(self, after: int, digest: Digest | None) -> Verification:
        """Do everything in turn."""
        within = self._range(after)
        tables = row_checks(self.connection, self.schema, self.findings)
        leaves, commits = self._amounts(within)
        edited: frozenset[int] = frozenset()
        for check in tables:
            edited |= check.rows(within, self._counter("rows", check.named, leaves))
        total, self.done = self.done, 0
        for check in tables if not after else ():
            self.tell(Progress("versions", check.named.qualified, total, leaves))
            check.versions()
        chain = ChainCheck(self.schema, self.findings, edited, links)
        chain.run(self.connection, within, self._counter("chain", None, commits))
        self.tell(Progress("registry", None, commits, commits))
        registry = registry_check(self.connection, self.schema, self.findings, within.upto)
        registry.run([check.named for check in tables])
        if digest is not None:
            check_digest(self.connection, self.schema, digest, self.findings)
        return self._result(within, [check.named for check in tables], total)

    def _range(self, after: int) -> Range:
        commit = system_of(self.connection, self.schema).commit
        upto = self.connection.scalar(
            select(commit.c.seq)
            .where(commit.c.hash.is_not(None))
            .order_by(commit.c.seq.desc())
            .limit(1)
        )
        lo = self.connection.scalar(select(commit.c.lo).where(commit.c.seq == after))
        return Range(after, upto or 0, lo or 0)

    def _amounts(self, within: Range) -> tuple[int, int]:
        system = system_of(self.connection, self.schema)
        root, commit = system.commit_root, system.commit
        leaves = select(func.coalesce(func.sum(root.c.leaves), 0)).where(
            root.c.seq.between(within.after + 1, within.upto)
        )
        commits = select(func.count()).where(commit.c.seq.between(within.after + 1, within.upto))
        return int(self.connection.scalar(leaves) or 0), self.connection.scalar(commits) or 0

    def _counter(self, stage: str, table: Named | None, total: int) -> Callable[[int], None]:
        name = None if table is None else table.qualified
        self.tell(Progress(stage, name, self.done, total))

        def count(number: int) -> None:
            self.done += number
            if stage == "rows" or self.done % 1000 == 0 or self.done == total:
                self.tell(Progress(stage, name, self.done, total))

        return count

    def _result(self, within: Range, tables: Sequence[Named], leaves: int) -> Verification:
        commit = system_of(self.connection, self.schema).commit
        head = self.connection.execute(
            select(commit.c.uuid, commit.c.hash).where(commit.c.seq == within.upto)
        ).one_or_none()
        unhashed = self.connection.scalar(select(func.count()).where(commit.c.seq > within.upto))
        _, commits = self._amounts(within)
        return Verification(
            problems=tuple(self.findings.problems),
            commits=commits,
            leaves=leaves,
            head=head.uuid if head else None,
            head_seq=within.upto,
            head_hash=bytes(head.hash) if head else None,
            since_seq=within.after,
            unhashed=unhashed or 0,
            withdrawn=self._withdrawn(tables),
            unverifiable=tuple(self.findings.unverifiable),
            truncated=self.findings.truncated,
        )

    def _withdrawn(self, tables: Sequence[Named]) -> tuple[Withdrawn, ...]:
        override = system_of(self.connection, self.schema).leaf_override
        names = {table.id: table.qualified for table in tables}
        length = func.coalesce(func.sum(func.length(override.c.original_hash) / 32), 0)
        whole = func.max(case((override.c.original_hash.is_(None), 1), else_=0))
        rows = self.connection.execute(
            select(
                override.c.table_id,
                override.c.kind,
                length.label("leaves"),
                whole.label("whole"),
                func.count(override.c.tx_id.distinct()).label("commits"),
            )
            .group_by(override.c.table_id, override.c.kind)
            .order_by(override.c.table_id, override.c.kind)
        )
        return tuple(
            Withdrawn(
                "redacted" if row.kind == SAYS else row.kind,
                names.get(row.table_id, str(row.table_id)),
                None if row.whole else int(row.leaves),
                row.commits,
            )
            for row in rows
        )
