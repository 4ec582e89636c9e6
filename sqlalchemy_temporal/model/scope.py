"""Of what versions are asked for: all of an entity, or those of one object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, cast

from sqlalchemy import ColumnElement, Select, inspect, literal_column, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstanceState, Session, aliased

from sqlalchemy_temporal.clock.moment import Moment
from sqlalchemy_temporal.model.history import history_of
from sqlalchemy_temporal.model.line import Line, Span, entity_at, key_of, moment_of, on_line
from sqlalchemy_temporal.model.version import Version, info_of

_ONE: Final[ColumnElement[Any]] = literal_column("1")


@dataclass(frozen=True, slots=True)
class Scope:
    """Of which entity or object versions are asked for, and through which session.

    Attributes:
        session: where to read.
        history: the History class.
        line: the object's versions; None for those of all objects.
        moment: what the session shows; None for the present.
    """

    session: Session
    history: type[Version]
    line: Line | None
    moment: Moment | None

    @property
    def is_empty(self) -> bool:
        """Whether it is an object that was never written."""
        return self.line is not None and not self.line.spans

    @property
    def bind(self) -> dict[str, Any]:
        """By what the session finds the database."""
        return {"mapper": info_of(self.history).entity}

    def entity(self) -> Any:
        """What to select: the History class, or its versions as seen at the moment."""
        return entity_at(self.history, self.moment)

    def select(self, entity: Any) -> Select[Any]:
        """Select the versions asked for, in no order."""
        return select(entity) if self.line is None else on_line(self.line, entity)

    def key(self, entity: Any) -> list[ColumnElement[Any]]:
        """The primary key of the entity."""
        return [getattr(entity, name) for name in info_of(self.history).key]

    def replaced_another(self, entity: Any) -> ColumnElement[bool]:
        """Whether a version of the same object ended where this one began."""
        other = self._another()
        return self._beside(other, entity, other.temporal_end_tx_id == entity.temporal_tx_id)

    def was_replaced(self, entity: Any) -> ColumnElement[bool]:
        """Whether a version of the same object began where this one ended."""
        other = self._another()
        return self._beside(other, entity, other.temporal_tx_id == entity.temporal_end_tx_id)

    def _another(self) -> Any:
        entity = self.entity()
        return aliased(self.history) if entity is self.history else entity

    def _beside(self, other: Any, entity: Any, meets: ColumnElement[bool]) -> ColumnElement[bool]:
        found = self.select(other).where(meets)
        if self.line is None:
            keys = zip(self.key(other), self.key(entity), strict=True)
            found = found.where(*(theirs == ours for theirs, ours in keys))
        return found.with_only_columns(_ONE).exists()

    def line_of(self, version: Version) -> Line:
        """The line ``version`` is on, to find its neighbours by."""
        if self.line is not None:
            return self.line
        return Line(self.history, (Span(key_of(version)),), self.moment)


def scope_of(session: Session | AsyncSession, source: Any) -> Scope:
    """What ``source`` stands for: all versions of a class, or those of an object.

    Raises:
        ConfigurationError: it is neither, or not versioned.
    """
    reading = cast("Session", getattr(session, "sync_session", session))
    state: Any = inspect(source, raiseerr=False)
    if not isinstance(state, InstanceState):
        history = history_of(source)
        return Scope(reading, history, None, moment_of(reading, history))
    history = history_of(type(source))
    if state.key is None and state.session is reading and reading.autoflush:
        reading.flush()
    spans = () if state.key is None else (Span(tuple(state.key[1])),)
    moment = moment_of(reading, history)
    return Scope(reading, history, Line(history, spans, moment), moment)


__all__ = ["Scope", "scope_of"]
