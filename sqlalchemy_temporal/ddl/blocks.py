"""Blocks of transaction ids, by which the versions of a moment are found.

Ids are divided into blocks of 2, those into blocks of 8, of 32 and so on: block ``n`` of a
size holds the ids from ``n * size`` to ``(n + 1) * size - 1``. A version belongs to the
smallest block that holds both the transaction that began it and the one that ended it. A
moment lies in one block of each size, 32 in all, and every version that stands at it belongs
to one of them. So an index by ``(block, end, start)`` finds these versions in 32 short
searches, however many others there are.

**Why it misses none.** A version stands when its start is visible and its end is not. The
end may be greater than ``hi``; then ``start <= hi < end``, and a block that holds start and end
holds ``hi``. Otherwise the end is one of the ids in flight, and lies in the version's block
itself. So the blocks of ``hi`` and of the ids in flight are enough, also where ids and
commits are in different orders. What they hold too many of, the conditions on start and end
leave out.

**How far they are too many.** The versions of a block of 8 (32, ...) that stand at no moment
of the blocks of 2 (8, ...) within it all cross one of the three borders between those. Each row
has one version at each border, so a block has at most three versions of a row in it, of
which those that ended before the moment are skipped. This bound is what the tree of
intervals by Kriegel, Pötke and Seidl is made of ("Managing Intervals Efficiently in
Object-Relational Databases", VLDB 2000); there, blocks are of all powers of two.

A block's number is shifted by its size, with the sign bit set beforehand, so that numbers of
different sizes differ: they begin with as many ones as were shifted in. (For ids above
2 ** 62 they may coincide, which costs time and changes no answer.)
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from sqlalchemy_temporal.naming import END_COLUMN, TX_COLUMN

BLOCK: Final = "temporal_block"
"""What the number of a version's block is called in statements."""

PRESENT: Final = 0
"""The block of versions that have not ended, which every moment has: no other is 0."""

_SIGN: Final = -(2**63)
_SHIFTS: Final = range(1, 65, 2)


@lru_cache(maxsize=256)
def blocks_of(hi: int, inflight: tuple[int, ...] = ()) -> tuple[int, ...]:
    """The blocks to which versions that stand at a moment may belong.

    Parameters:
        hi: the largest visible transaction id.
        inflight: the ids up to ``hi`` that are not visible.
    """
    found = {(tx | _SIGN) >> shift for tx in (hi, *inflight) for shift in _SHIFTS}
    return (*sorted(found), PRESENT)


def block_of(start: int, end: int) -> int:
    """The block of a version, as :data:`BLOCK_SQL` computes it."""
    differ = start ^ end
    return (end | _SIGN) >> next(s for s in _SHIFTS if differ < 2**s)


def _thresholds(shifts: Iterable[int]) -> str:
    return "{" + ",".join(str(2**shift) for shift in shifts) + "}"


BLOCK_SQL: Final = (
    f"({END_COLUMN} | '{_SIGN}'::bigint) >> (1 + 2 * width_bucket("
    f"{TX_COLUMN} # {END_COLUMN}, '{_thresholds(_SHIFTS[:-1])}'::bigint[]))"
)
"""The block of a row of history, as an expression of PostgreSQL over its columns.

An index is used for an expression that is written as the index has it: change one, change
both."""

BLOCKS_SQL: Final = (
    f"ARRAY(SELECT (u.id | '{_SIGN}'::pg_catalog.int8) >> (1 + 2 * s.n) "
    "FROM pg_catalog.unnest({ids}) AS u(id), pg_catalog.generate_series(0, 31) AS s(n)) || "
    f"{PRESENT}::pg_catalog.int8"
)
"""What :func:`blocks_of` gives, in PostgreSQL, for the array ``{ids}`` of ``hi`` and the ids in
flight."""
