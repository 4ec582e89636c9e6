"""What two lines are merged by: their best common ancestor, or several of them combined.

Where lines were merged crosswise there are several best common ancestors, and none of them
is right by itself: one may hold a cell as it was before a change that the other one has. As
git's recursive strategy does, they are merged with each other first, by *their* common
ancestor, and the result is the base. A cell that these do not agree on has no base, and is
a conflict unless both sides of the merge have the same value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy_temporal.repository.dag import Dag

_LEAVES: Final = 32
"""Commits that a combined base may be made of. Beyond, a base is unknown: that makes more
conflicts, and never a wrong merge."""


@dataclass(frozen=True, slots=True)
class OneBase:
    """The state of a commit, by a point of the graph."""

    point: int


@dataclass(frozen=True, slots=True)
class NoBase:
    """The lines have nothing in common: no row was there."""


@dataclass(frozen=True, slots=True)
class UnknownBase:
    """Nothing is known of any row."""


@dataclass(frozen=True, slots=True)
class CombinedBase:
    """Two bases merged by a base of their own."""

    left: Base
    right: Base
    base: Base


Base = OneBase | NoBase | UnknownBase | CombinedBase


def base_of(dag: Dag, left: int, right: int) -> Base:
    """The base by which two commits are merged."""
    return _base(dag, left, right, _LEAVES)[0]


def _base(dag: Dag, left: int, right: int, room: int) -> tuple[Base, int]:
    """The base, and how much room is left."""
    bases = dag.merge_bases(left, right)
    if not bases:
        return NoBase(), room
    if len(bases) > room:
        return UnknownBase(), room
    room -= len(bases)
    oldest, *others = reversed(bases)
    found: Base = OneBase(oldest)
    last = oldest
    for other in others:
        theirs, room = _base(dag, last, other, room)
        found = CombinedBase(found, OneBase(other), theirs)
        last = other
    return found, room


def direct_points(base: Base) -> list[int]:
    """The best common ancestors themselves, without those they were combined by."""
    if isinstance(base, OneBase):
        return [base.point]
    if isinstance(base, CombinedBase):
        return direct_points(base.left) + direct_points(base.right)
    return []


__all__ = [
    "Base",
    "CombinedBase",
    "NoBase",
    "OneBase",
    "UnknownBase",
    "base_of",
    "direct_points",
]
