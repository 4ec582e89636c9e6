"""What is to be merged."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import Connection

from sqlalchemy_temporal.clock.moment import Moment
from sqlalchemy_temporal.clock.resolve import resolve
from sqlalchemy_temporal.repository.catalog import Entity
from sqlalchemy_temporal.repository.dag import Range
from sqlalchemy_temporal.repository.revisions import commit_at
from sqlalchemy_temporal.schema import SystemTables


@dataclass(slots=True)
class Question:
    """What is to be merged.

    Attributes:
        connection: where.
        tables: the library's own tables.
        ours: the moment of HEAD.
        theirs: the moment of what is merged.
        news: the commits that led to theirs, and not to ours.
        only: only these tables; nothing for all.
        strict: whether rows that both sides touched are conflicts.
    """

    connection: Connection
    tables: SystemTables
    ours: Moment
    theirs: Moment
    news: tuple[Range, ...]
    only: tuple[Entity, ...] = ()
    strict: bool = False
    _moments: dict[int, Moment] = field(default_factory=dict)

    def moment_at(self, point: int) -> Moment:
        """The moment of a point of the graph."""
        if point not in self._moments:
            uuid = commit_at(self.connection, self.tables, point)[1]
            self._moments[point] = resolve(self.connection, uuid, self.tables.schema)
        return self._moments[point]


__all__ = ["Question"]
