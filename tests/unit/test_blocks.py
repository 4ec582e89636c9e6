"""Every version that stands at a moment belongs to one of the moment's blocks."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from sqlalchemy_temporal.ddl.blocks import PRESENT, block_of, blocks_of

LARGEST = 2**63 - 1

ids = st.one_of(
    st.integers(0, 40),
    st.integers(0, 2**20),
    st.integers(0, LARGEST),
    st.builds(lambda power, near: 2**power + near, st.integers(2, 62), st.integers(-2, 2)),
)


def stands(start: int, end: int, hi: int, inflight: frozenset[int]) -> bool:
    def visible(tx: int) -> bool:
        return tx <= hi and tx not in inflight

    return visible(start) and not visible(end)


@given(start=ids, end=ids, hi=ids, inflight=st.frozensets(ids, max_size=4), under_way=st.booleans())
@example(start=5, end=3, hi=6, inflight=frozenset({3}), under_way=False)  # ids out of order
@example(start=0, end=LARGEST, hi=0, inflight=frozenset(), under_way=False)
@example(start=LARGEST - 1, end=LARGEST, hi=LARGEST - 1, inflight=frozenset(), under_way=False)
def test_a_standing_version_is_in_a_block_of_the_moment(
    start: int, end: int, hi: int, inflight: frozenset[int], under_way: bool
) -> None:
    below = frozenset(tx for tx in (inflight | {end} if under_way else inflight) if tx <= hi)
    if stands(start, end, hi, below):
        assert block_of(start, end) in blocks_of(hi, tuple(sorted(below)))


@given(start=st.integers(0, 60), end=st.integers(0, 60))
def test_a_block_is_the_smallest_that_holds_both(start: int, end: int) -> None:
    sizes = [2, 8, 32, 128]
    smallest = next(size for size in sizes if start // size == end // size)
    same = [
        (other, further)
        for other in range(64)
        for further in range(64)
        if block_of(other, further) == block_of(start, end)
    ]
    assert all(
        other // smallest == further // smallest == start // smallest for other, further in same
    )


@given(hi=st.integers(0, 2**62), inflight=st.lists(st.integers(0, 2**62), max_size=3))
def test_a_moment_has_one_block_of_each_size_and_the_present(hi: int, inflight: list[int]) -> None:
    alone = blocks_of(hi)
    assert len(set(alone)) == len(alone) == 33
    assert alone[-1] == PRESENT
    assert set(alone) <= set(blocks_of(hi, tuple(inflight)))
