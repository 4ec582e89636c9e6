"""The shape of the commit graph: ancestors, ranges and merge bases.

Most commits simply follow the one before them, so the graph is kept as *lines*: ranges of
sequence numbers in which each commit's parent is the commit before it. A line begins at a
commit that names its parents (a checkout, a switch, a merge), or with the first commit of
all. Only these beginnings are read from the database, by one query over a small index; the
rest is arithmetic on ranges, whatever the number of commits.

A parent always has a smaller sequence number than its child, as it had to exist to be
named. Going down by sequence number therefore meets each commit after all of its
descendants, so one pass is enough for everything here.

A *point* of a line is the last commit whose sequence number is not greater: numbers of
transactions that were rolled back are missing.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Flag, auto

from sqlalchemy import Connection, or_, select

from sqlalchemy_temporal.clock.commits import all_nodes
from sqlalchemy_temporal.schema import SystemTables

Range = tuple[int, int]
"""Sequence numbers from the first to the second, both included, of one line."""


class _Mark(Flag):
    LEFT = auto()
    RIGHT = auto()
    STALE = auto()  # below a common ancestor that was found
    BOTH = LEFT | RIGHT


@dataclass(frozen=True, slots=True)
class Dag:
    """The lines of the graph.

    Attributes:
        begins: the sequence number at which each line begins, ascending; 0 for the first.
        parents: the points from which each line goes on, its first parent first.
    """

    begins: tuple[int, ...]
    parents: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, beginnings: Iterable[tuple[int, tuple[int, ...]]]) -> Dag:
        """The graph whose lines begin at these sequence numbers, with these parents."""
        ordered = sorted(beginnings)
        return cls(
            (0, *(begin for begin, _ in ordered)), ((), *(parents for _, parents in ordered))
        )

    def line_of(self, seq: int) -> int:
        """The number of the line that ``seq`` lies on."""
        return bisect_right(self.begins, seq) - 1

    def parents_at(self, line: int) -> tuple[int, ...]:
        """The points from which a line goes on."""
        return self.parents[line]

    def ancestry(self, *tips: int, first_parent: bool = False) -> list[Range]:
        """The ranges of all ancestors of ``tips``, and these themselves, newest first.

        Parameters:
            tips: sequence numbers.
            first_parent: follow only the first parent of a merge.
        """
        found: list[Range] = []
        heap = [-tip for tip in tips]
        heapq.heapify(heap)
        while heap:
            top = -heapq.heappop(heap)
            line = self.line_of(top)
            begin = self.begins[line]
            found.append((begin, top))
            while heap and -heap[0] >= begin:
                heapq.heappop(heap)
            for parent in self.parents[line][: 1 if first_parent else None]:
                heapq.heappush(heap, -parent)
        return found

    def is_ancestor(self, ancestor: int, of: int) -> bool:
        """Whether ``ancestor`` is an ancestor of ``of``, or the same."""
        return any(begin <= ancestor <= top for begin, top in self.ancestry(of))

    def between(self, start: int, end: int, *, first_parent: bool = False) -> list[Range]:
        """The ranges of ancestors of ``end`` that are none of ``start``: ``start..end``."""
        seen = dict(self.ancestry(start))
        found = []
        for begin, top in self.ancestry(end, first_parent=first_parent):
            low = max(begin, seen.get(begin, begin - 1) + 1)
            if low <= top:
                found.append((low, top))
        return found

    def merge_bases(self, left: int, right: int) -> list[int]:
        """The best common ancestors, newest first: those that no other one descends from.

        There are several where lines were merged crosswise, and none where two lines have
        nothing in common.
        """
        search = _Search(self)
        search.mark(left, _Mark.LEFT)
        search.mark(right, _Mark.RIGHT)
        return search.run()


class _Search:
    """A search downwards from two commits at once."""

    def __init__(self, dag: Dag) -> None:
        self._dag = dag
        self._marks: dict[int, _Mark] = {}
        self._heap: list[int] = []
        self._fresh = 0

    def mark(self, seq: int, mark: _Mark) -> None:
        before = self._marks.get(seq)
        if before is None:
            heapq.heappush(self._heap, -seq)
        after = mark if before is None else before | mark
        self._fresh += (_Mark.STALE not in after) - (before is not None and not _stale(before))
        self._marks[seq] = after

    def run(self) -> list[int]:
        found = []
        while self._heap and self._fresh:
            seq = -heapq.heappop(self._heap)
            mark = self._marks.pop(seq)
            self._fresh -= not _stale(mark)
            if _Mark.BOTH in mark and not _stale(mark):
                found.append(seq)
                mark |= _Mark.STALE
            line = self._dag.line_of(seq)
            if self._heap and -self._heap[0] >= self._dag.begins[line]:
                self.mark(-self._heap[0], mark)  # further down the same line
            else:
                for parent in self._dag.parents[line]:
                    self.mark(parent, mark)
        return found


def _stale(mark: _Mark) -> bool:
    return _Mark.STALE in mark


def load_dag(connection: Connection, tables: SystemTables, upto: int) -> Dag:
    """The graph of all commits up to the sequence number ``upto``."""
    transaction = tables.transaction
    nodes = all_nodes(connection, tables)
    first, second = nodes.alias("first_parent"), nodes.alias("second_parent")
    statement = (
        select(
            transaction.c.commit_seq,
            transaction.c.parent_uuid,
            first.c.seq.label("first"),
            second.c.seq.label("second"),
        )
        .outerjoin_from(transaction, first, first.c.uuid == transaction.c.parent_uuid)
        .outerjoin(second, second.c.uuid == transaction.c.merge_parent_uuid)
        .where(
            or_(
                transaction.c.parent_uuid.is_not(None),
                transaction.c.merge_parent_uuid.is_not(None),
            ),
            transaction.c.commit_seq <= upto,
        )
    )
    return Dag.of(_beginning(*row) for row in connection.execute(statement))


def _beginning(
    seq: int, named: object, first: int | None, second: int | None
) -> tuple[int, tuple[int, ...]]:
    if named is None:
        first = seq - 1  # a merge into the commit before it
    return seq, tuple(point for point in (first, second) if point is not None)


__all__ = ["Dag", "Range", "load_dag"]
