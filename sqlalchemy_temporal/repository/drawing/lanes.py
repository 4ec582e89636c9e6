"""Give each commit of a log a place, so that the graph can be drawn line by line.

Lines of history run in *lanes*, counted from 0 on the left. A lane belongs to the commit it
leads down to. A commit takes the leftmost lane that leads to it, and ends the others that
do; its parents go on in its lane and, for a merge, in further ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy_temporal.clock.commit import Commit


@dataclass(frozen=True, slots=True)
class GraphRow:
    """A commit with its place in the drawing.

    Attributes:
        commit: the commit.
        parents: the commits drawn as its parents: those in the drawing that the way to its
            parents leads to first.
        lane: the lane it stands in.
        before: the lanes that are in use above it.
        after: the lanes that are in use below it.
        joining: the lanes that end in it, from its other children.
        leaving: the lanes that its parents but the first go on in.
    """

    commit: Commit
    parents: tuple[UUID, ...]
    lane: int
    before: frozenset[int]
    after: frozenset[int]
    joining: tuple[int, ...]
    leaving: tuple[int, ...]


def lay_out(commits: Iterable[Commit], parents: Mapping[UUID, Sequence[UUID]]) -> list[GraphRow]:
    """Place commits that are given newest first, each before its parents.

    Parameters:
        commits: the commits.
        parents: the parents to draw of each of them.
    """
    lanes: list[UUID | None] = []
    rows = []
    for commit in commits:
        before = frozenset(i for i, uuid in enumerate(lanes) if uuid is not None)
        led_here = [i for i, uuid in enumerate(lanes) if uuid == commit.uuid]
        lane = led_here[0] if led_here else _free(lanes)
        for each in led_here:
            lanes[each] = None
        drawn = tuple(parents[commit.uuid])
        lanes[lane] = drawn[0] if drawn else None
        leaving = tuple(_lead_to(lanes, parent) for parent in drawn[1:])
        rows.append(
            GraphRow(
                commit=commit,
                parents=drawn,
                lane=lane,
                before=before,
                after=frozenset(i for i, uuid in enumerate(lanes) if uuid is not None),
                joining=tuple(led_here[1:]),
                leaving=tuple(each for each in leaving if each != lane),
            )
        )
    return rows


def _free(lanes: list[UUID | None]) -> int:
    """The leftmost lane that is not in use."""
    if None in lanes:
        return lanes.index(None)
    lanes.append(None)
    return len(lanes) - 1


def _lead_to(lanes: list[UUID | None], parent: UUID) -> int:
    """The lane that leads to ``parent``, a new one if there is none."""
    if parent in lanes:
        return lanes.index(parent)
    lane = _free(lanes)
    lanes[lane] = parent
    return lane


__all__ = ["GraphRow", "lay_out"]
