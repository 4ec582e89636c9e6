"""Check the commits: their fields, their order, and that each is over those before it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from sqlalchemy_temporal.ddl.postgresql.checks import Range
from sqlalchemy_temporal.repository.canonical import Lineage, edited_fields
from sqlalchemy_temporal.repository.chain import Link
from sqlalchemy_temporal.repository.findings import Findings, Problem, ProblemKind


@dataclass(slots=True)
class ChainCheck:
    """The check of the chain of commits.

    Attributes:
        schema: the schema of the library's own tables.
        findings: where problems go.
        edited_roots: commits whose stored roots are known to have been edited.
        read: reads the commits of a database, in order.
    """

    schema: str
    findings: Findings
    edited_roots: frozenset[int]
    read: Callable[[Connection, str, int, int], Iterator[Link]]
    _true: dict[UUID, bytes] = field(default_factory=dict)
    _last: Link | None = None

    def run(self, connection: Connection, within: Range, progress: Callable[[int], None]) -> None:
        """Go through the commits in order, a few in memory at a time.

        Parameters:
            connection: where.
            within: the commits; the one before them is taken as it is.
            progress: called with 1 for each commit.
        """
        anchor = next(self.read(connection, self.schema, within.after - 1, within.after), None)
        self._last = anchor
        for link in self.read(connection, self.schema, within.after, within.upto):
            if link.row.known:
                if not self._fits(link):
                    self._explain(link)
                else:
                    self._moment(link)
            else:
                self._report("missing", "its row in transaction is gone", link, "transaction")
            self._last = link
            progress(1)

    def _fits(self, link: Link) -> bool:
        computed = link.computed()
        if computed != link.hash and self._true:
            # Built on a hash that was edited since?
            last = self._last
            computed = link.computed(
                Lineage(
                    self._true.get(last.row.uuid, link.lineage.previous) if last else None,
                    self._true.get(link.row.parent_uuid, link.lineage.parent),
                    self._true.get(link.row.merge_parent_uuid, link.lineage.merge_parent),
                )
            )
        if computed != link.hash:
            self._true[link.row.uuid] = computed
            return False
        if edited_fields(link.fields, link.marks or b"", link.originals):
            self._report("altered", "its marks were edited", link, "commit", "marks")
        return True

    def _explain(self, link: Link) -> None:
        """Say why a commit does not have the hash it should have."""
        edited = (
            edited_fields(link.fields, link.marks, link.originals) if link.marks is not None else []
        )
        for name in edited:
            table, _, column = name.partition(".")
            self._report("altered", "not as it was committed", link, table, column)
        orphan = link.row.parent_uuid is not None and link.row.parent_seq is None
        if orphan and "commit.parent_uuid" not in edited:
            self._report("missing", f"its parent {link.row.parent_uuid} is gone", link, "commit")
        elif not edited and link.seq not in self.edited_roots:
            self._report(
                "altered",
                "its hash is not that of what it did and of the commits before it; it, a root "
                "or a commit before it was edited or removed",
                link,
                "commit",
                "hash",
            )

    def _moment(self, link: Link) -> None:
        """Check that the moment after the commit follows from the one before."""
        row, last = link.row, self._last.row if self._last else None
        hi = max(row.tx_id, last.hi if last else 0)
        inflight = set(row.inflight)
        if row.hi != hi:
            self._report("chain", f"hi should be {hi}", link, "commit", "hi")
        if row.lo != min(inflight, default=row.hi + 1):
            self._report("chain", "lo does not follow from inflight", link, "commit", "lo")
        if not _may_be_under_way(row, last, inflight):
            self._report("chain", "ids under way do not follow", link, "commit", "inflight")
        late = row.effective_at < row.committed_at
        if late or (last is not None and row.effective_at <= last.effective_at):
            self._report("chain", "times do not follow", link, "commit", "effective_at")
        for name in ("parent", "merge"):
            seq = getattr(row, f"{name}_seq")
            if seq is not None and seq >= link.seq:
                self._report("chain", "a parent is younger", link, "commit", "parent_uuid")

    def _report(
        self,
        kind: ProblemKind,
        message: str,
        link: Link,
        table: str,
        column: str | None = None,
    ) -> None:
        self.findings.add(
            Problem(
                kind,
                message,
                f"{self.schema}.{table}",
                column,
                seq=link.seq,
                commit=link.row.uuid,
            )
        )


def _may_be_under_way(row: Any, last: Any, inflight: set[int]) -> bool:
    before, hi = (set(last.inflight), last.hi) if last else (set(), 0)
    new = {tx for tx in inflight if tx > hi}
    if row.tx_id in inflight or any(tx > row.hi for tx in inflight):
        return False
    return inflight - new <= before and (row.tx_id > hi or row.tx_id in before)
