"""What is visible on one side of a comparison: at a moment, or now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Dialect, and_, true

from sqlalchemy_temporal.clock.moment import Moment
from sqlalchemy_temporal.reading.dialects import rules_for
from sqlalchemy_temporal.reading.dialects.rules import Rules
from sqlalchemy_temporal.reading.option import Bounds
from sqlalchemy_temporal.reading.rows import not_visible, visible


@dataclass(frozen=True, slots=True)
class Side:
    """The rules of visibility on one side.

    Attributes:
        bounds: the moment as bind parameters; None for the live tables as this transaction
            sees them, its own changes included.
        rules: what the database needs.
    """

    bounds: Bounds | None
    rules: Rules

    def sees(self, tx: ColumnElement[Any]) -> ColumnElement[bool]:
        """Whether the changes of transaction ``tx`` are visible."""
        return true() if self.bounds is None else visible(tx, self.bounds, self.rules)

    def misses(self, tx: ColumnElement[Any]) -> ColumnElement[bool]:
        """Whether they are not."""
        return ~true() if self.bounds is None else not_visible(tx, self.bounds, self.rules)

    def ended_later(self, end: ColumnElement[Any]) -> ColumnElement[bool]:
        """Whether a version that ended by transaction ``end`` was not over here yet.

        The first condition follows from the second, and is what an index can answer.
        """
        if self.bounds is None:
            return ~true()
        return and_(end >= self.bounds.lo, self.misses(end))

    def began_later(self, start: ColumnElement[Any]) -> ColumnElement[bool]:
        """Whether a version that began by transaction ``start`` was not there yet.

        The first condition follows from the second; a BRIN index can answer it.
        """
        if self.bounds is None:
            return ~true()
        return and_(start >= self.bounds.lo, self.misses(start))

    def ended_already(self, end: ColumnElement[Any]) -> ColumnElement[bool]:
        """Whether a version that ended by transaction ``end`` was over here."""
        return self.sees(end)


def side_of(moment: Moment | None, dialect: Dialect) -> Side:
    """The side that ``moment`` is; None for the live tables as they are now."""
    bounds = None if moment is None else Bounds.of(moment)
    return Side(bounds, rules_for(dialect))


__all__ = ["Side", "side_of"]
