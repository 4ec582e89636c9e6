"""A stretch of time between two moments, and which versions belong to it.

Times are compared as sets of transactions, never as numbers: a transaction may take its id
early and commit late. So "after ``start``" means *not visible at* ``start``. Each condition
also bounds the id that ended a version from below, by ``start.lo``: what ended before
``start`` is over and can be skipped, by the index ``(temporal_end_tx_id, temporal_tx_id)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import ColumnElement, or_
from sqlalchemy.orm import Session

from sqlalchemy_temporal.clock.moment import Moment
from sqlalchemy_temporal.clock.resolve import When, resolve
from sqlalchemy_temporal.errors import MomentError
from sqlalchemy_temporal.model.line import moment_of, visible
from sqlalchemy_temporal.model.version import Version, info_of
from sqlalchemy_temporal.reading.session import present_of
from sqlalchemy_temporal.schema import history_table


@dataclass(frozen=True, slots=True)
class Period:
    """The commits after ``start``, up to and including ``end``.

    Attributes:
        start: None for the beginning.
        end: None for no end: everything the session can see, its own changes included.
    """

    start: Moment | None
    end: Moment | None

    def contains(self, tx: ColumnElement[Any]) -> list[ColumnElement[bool]]:
        """Conditions that transaction ``tx`` was committed in the period."""
        conditions = []
        if self.start is not None:
            conditions += [tx >= self.start.lo, _not_visible(tx, self.start)]
        if self.end is not None:
            conditions.append(visible(tx, self.end))
        return conditions

    def made(self, entity: Any) -> list[ColumnElement[bool]]:
        """Conditions that a version began in the period."""
        conditions = self.contains(entity.temporal_tx_id)
        if self.start is not None:
            # What began after the start ended after it too: no further condition, but
            # one an index can use.
            end_tx = entity.temporal_end_tx_id
            conditions.append(or_(end_tx.is_(None), end_tx >= self.start.lo))
        return conditions

    def valid(self, entity: Any) -> list[ColumnElement[bool]]:
        """Conditions that a version was valid at the start, or began in the period."""
        conditions = []
        end_tx = entity.temporal_end_tx_id
        if self.end is not None:
            conditions.append(visible(entity.temporal_tx_id, self.end))
        if self.start is not None:
            conditions += [
                or_(end_tx.is_(None), end_tx >= self.start.lo),
                or_(end_tx.is_(None), _not_visible(end_tx, self.start)),
            ]
        return conditions

    def ended(self, entity: Any) -> list[ColumnElement[bool]]:
        """Conditions that a version ended in the period."""
        end_tx = entity.temporal_end_tx_id
        return [end_tx.is_not(None), *self.contains(end_tx)]


def resolve_period(
    session: Session, history: type[Version], start: When | None, end: When | None
) -> Period | None:
    """The period from ``start`` to ``end`` in the database of ``history``'s entity.

    Returns:
        None when the session shows a moment before ``start``: nothing of the period is
        visible there.

    Raises:
        MomentError: a bound names no point in time, or they are in the wrong order.
        PurgedHistoryError: a bound lies before the horizon of a purge.
    """
    info = info_of(history)
    if start is None and end is None:
        return Period(None, None)
    # In a session of the past, too, a bound is what it is in the present: HEAD is the
    # newest commit, and the session shows only what was visible at its own moment.
    connection = present_of(session).connection(bind_arguments={"mapper": info.entity})
    begin = None if start is None else resolve(connection, start, info.schema)
    stop = None if end is None else resolve(connection, end, info.schema)
    if begin is not None and stop is not None and begin.seq > stop.seq:
        raise MomentError(
            f"start {start!r} (commit {begin.seq}) is after end {end!r} (commit {stop.seq}); "
            "give the earlier one first"
        )
    for moment in (begin, stop):
        for unknown in moment.unknown if moment is not None else ():
            if unknown.why == "purged" and unknown.history == _history_name(history):
                raise unknown.error(repr(info.entity.class_.__name__))
    shown = moment_of(session, history)
    if begin is not None and shown is not None and begin.seq > shown.seq:
        return None
    return Period(begin, stop)


def _history_name(history: type[Version]) -> str:
    live = cast("Any", info_of(history).entity).local_table
    return history_table(live).fullname


def _not_visible(tx: ColumnElement[Any], moment: Moment) -> ColumnElement[bool]:
    later = tx > moment.hi
    return or_(later, tx.in_(moment.inflight)) if moment.inflight else later


__all__ = ["Period", "resolve_period"]
