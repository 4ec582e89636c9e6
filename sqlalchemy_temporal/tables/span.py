"""A stretch of commits, as a condition on transactions."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_

from sqlalchemy_temporal.clock.moment import Moment
from sqlalchemy_temporal.reading.dialects import rules_for
from sqlalchemy_temporal.reading.option import Bounds
from sqlalchemy_temporal.reading.rows import not_visible, visible


@dataclass(frozen=True, slots=True)
class Period:
    """The commits after ``start`` (None: from the beginning), up to and including ``end``."""

    start: Moment | None
    end: Moment

    def contains(self, connection: Connection, tx: ColumnElement[int]) -> ColumnElement[bool]:
        """Whether transaction ``tx`` was committed in the period."""
        rules = rules_for(connection.dialect)
        ended = visible(tx, Bounds.of(self.end), rules)
        if self.start is None:
            return ended
        return and_(tx >= self.start.lo, not_visible(tx, Bounds.of(self.start), rules), ended)


__all__ = ["Period"]
