"""Ancestors, ranges and merge bases against their definitions, on random graphs."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from sqlalchemy_temporal.repository.dag import Dag


@dataclass(frozen=True)
class Graph:
    """Commits by number, with the numbers of their parents and of themselves and ancestors."""

    seqs: list[int]
    dag: Dag
    ancestors: dict[int, set[int]]

    def commits(self, ranges: list[tuple[int, int]]) -> set[int]:
        return {seq for seq in self.seqs if any(low <= seq <= top for low, top in ranges)}

    def commit(self, point: int) -> int:
        return max(seq for seq in self.seqs if seq <= point)


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """A graph: each commit follows the one before, or names one or two parents."""
    gaps = draw(st.lists(st.integers(1, 3), min_size=1, max_size=14))
    seqs = list(itertools.accumulate(gaps))
    ancestors: dict[int, set[int]] = {}
    beginnings = []
    for number, seq in enumerate(seqs):
        parents = seqs[:number][-1:]
        if parents and draw(st.booleans()):
            named = draw(st.lists(st.sampled_from(seqs[:number]), min_size=1, max_size=2))
            implied = named[0] == parents[0] and draw(st.booleans())
            beginnings.append((seq, (seq - 1, *named[1:]) if implied else tuple(named)))
            parents = named
        ancestors[seq] = {seq}.union(*(ancestors[parent] for parent in parents))
    return Graph(seqs, Dag.of(beginnings), ancestors)


@given(graphs(), st.data())
def test_merge_bases_are_the_best_common_ancestors(graph: Graph, data: st.DataObject) -> None:
    left, right = (data.draw(st.sampled_from(graph.seqs)) for _ in range(2))
    common = graph.ancestors[left] & graph.ancestors[right]
    best = {
        each
        for each in common
        if not any(other != each and each in graph.ancestors[other] for other in common)
    }
    found = [graph.commit(point) for point in graph.dag.merge_bases(left, right)]
    assert found == sorted(best, reverse=True)


@given(graphs(), st.data())
def test_a_range_holds_the_ancestors_of_one_and_not_of_the_other(
    graph: Graph, data: st.DataObject
) -> None:
    left, right = (data.draw(st.sampled_from(graph.seqs)) for _ in range(2))
    assert graph.commits(graph.dag.ancestry(right)) == graph.ancestors[right]
    found = graph.commits(graph.dag.between(left, right))
    assert found == graph.ancestors[right] - graph.ancestors[left]


@given(graphs(), st.data())
def test_an_ancestor_is_one_that_parents_lead_to(graph: Graph, data: st.DataObject) -> None:
    left, right = (data.draw(st.sampled_from(graph.seqs)) for _ in range(2))
    assert graph.dag.is_ancestor(left, right) == (left in graph.ancestors[right])


def test_lines_merged_crosswise_have_two_merge_bases() -> None:
    #   1 - 2 - 4 - 6
    #    \    \/  /
    #     \   /\ /
    #      3 - 5
    dag = Dag.of([(3, (1,)), (4, (2, 3)), (5, (3, 2)), (6, (4,)), (7, (5,))])
    assert dag.merge_bases(6, 7) == [3, 2]


def test_first_parents_leave_out_what_was_merged() -> None:
    dag = Dag.of([(3, (1,)), (4, (2, 3))])
    assert dag.ancestry(4, first_parent=True) == [(4, 4), (0, 2)]
    assert dag.ancestry(4) == [(4, 4), (3, 3), (0, 2)]


def test_a_hundred_thousand_commits_in_line_are_one_range() -> None:
    dag = Dag.of([])
    assert dag.ancestry(100_000) == [(0, 100_000)]
    assert dag.merge_bases(3, 100_000) == [3]
