"""The versions of one object as a line: which they are, and the queries along it.

Every query here filters by key first, so that it reads the live table by its primary key
and history by ``(key…, temporal_end_tx_id)``. Neighbours are found by that index alone:
the version before the one written by transaction 7 is the one that transaction 7 ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, func, inspect, or_, select, tuple_
from sqlalchemy.orm import Session, aliased

from sqlalchemy_temporal.clock.moment import Moment
from sqlalchemy_temporal.model.place import place_of, session_of, settle
from sqlalchemy_temporal.model.readable import versions_readable
from sqlalchemy_temporal.model.selectable import END_SEQ_ATTRIBUTE, PENDING
from sqlalchemy_temporal.model.version import Version, info_of
from sqlalchemy_temporal.naming import END_COLUMN, OPERATION_COLUMN, TO_COLUMN, TX_COLUMN
from sqlalchemy_temporal.reading.session import AsOfSession


@dataclass(frozen=True, slots=True)
class Span:
    """The versions under one key, from one commit on and before another.

    Attributes:
        key: the primary key.
        since: the sequence number of the first commit; None: from the beginning.
        before: the sequence number at which the span ends; None: without end.
    """

    key: tuple[Any, ...]
    since: int | None = None
    before: int | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """All versions of one object that can be seen, in the order of their commits.

    Attributes:
        history: the History class.
        spans: under which keys they lie; more than one when key changes are followed.
        moment: None for everything committed and the session's own changes; else only
            what is visible at the moment.
    """

    history: type[Version]
    spans: tuple[Span, ...]
    moment: Moment | None = None


def version_ending_with(version: Version, tx_id: int) -> Version | None:
    """The version of the same object that transaction ``tx_id`` ended."""
    line, session = line_of(version), session_of(version)
    entity = entity_of(line)
    return first(line, session, on_line(line, entity).where(entity.temporal_end_tx_id == tx_id))


def replaced_versions(
    line: Line, session: Session, versions: Sequence[Version]
) -> dict[tuple[Any, ...], Version]:
    """The versions of the same keys that ended where each of ``versions`` began.

    Parameters:
        line: the line of any of them, for what is seen.
        session: where to read.
        versions: versions of one entity, a few hundred at most.

    Returns:
        The versions found, by the key followed by the transaction that ended them.
    """
    entity = entity_of(line)
    names = info_of(line.history).key
    wanted = [(*key_of(version), version.temporal_tx_id) for version in versions]
    parts = [getattr(entity, name) for name in names]
    statement = select(entity).where(
        parts[0].in_({each[0] for each in wanted}),  # what every part of a join can use
        tuple_(*parts, entity.temporal_end_tx_id).in_(wanted),
    )
    found = _run(line, session, statement)
    return {(*key_of(version), version.temporal_end_tx_id): version for version in found}


def version_beginning_with(version: Version, tx_id: int) -> Version | None:
    """The version of the same object that transaction ``tx_id`` wrote."""
    place = place_of(version)
    if place is not None and place.position + 1 < len(place.page.versions):
        following = place.page.versions[place.position + 1]
        return following if following.temporal_tx_id == tx_id else None
    line, session = line_of(version), session_of(version)
    entity = entity_of(line)
    begun = on_line(line, entity).where(entity.temporal_tx_id == tx_id)
    # Ids mostly grow, so the one sought is mostly the first of those that end later: the
    # index yields it at once. Where they did not grow, the whole line is searched.
    likely = begun.where(
        or_(entity.temporal_end_tx_id > tx_id, entity.temporal_end_tx_id.is_(None))
    ).order_by(entity.temporal_end_tx_id.asc().nulls_last())
    return first(line, session, likely) or first(line, session, begun)


def version_before(version: Version) -> Version | None:
    """The version before ``version`` on its line."""
    place = place_of(version)
    if place is not None and place.position > 0:
        return place.page.versions[place.position - 1]
    found = version_ending_with(version, version.temporal_tx_id)
    if found is not None:
        return found
    line = line_of(version)
    entity = entity_of(line)
    earlier = on_line(line, entity).where(begun_seq(entity) < _begun(version))
    return first(line, session_of(version), earlier.order_by(begun_seq(entity).desc()))


def version_after(version: Version) -> Version | None:
    """The version after ``version`` on its line."""
    end_tx = version.temporal_end_tx_id
    if end_tx is None:
        return None
    place = place_of(version)
    if place is not None and place.position + 1 < len(place.page.versions):
        return place.page.versions[place.position + 1]
    found = version_beginning_with(version, end_tx)
    if found is not None:
        return found
    line = line_of(version)
    entity = entity_of(line)
    later = on_line(line, entity).where(begun_seq(entity) > _begun(version))
    return first(line, session_of(version), later.order_by(begun_seq(entity)))


def position_of(version: Version) -> int:
    """How many versions precede ``version`` on its line."""
    line = line_of(version)
    entity = entity_of(line)
    statement = on_line(line, entity).where(begun_seq(entity) < _begun(version))
    return _counted(line, session_of(version), statement)


def count(line: Line, session: Session) -> int:
    """How many versions there are."""
    return _counted(line, session, on_line(line, entity_of(line)))


def is_known(line: Line, session: Session) -> bool:
    """Whether there is any version."""
    return first(line, session, on_line(line, entity_of(line))) is not None


def current(line: Line, session: Session) -> Version | None:
    """The version that has not ended; read by the live table's primary key alone."""
    entity = entity_of(line)
    return first(line, session, on_line(line, entity).where(entity.temporal_end_tx_id.is_(None)))


def window(
    line: Line, session: Session, offset: int = 0, limit: int | None = None, *, newest: bool = False
) -> Sequence[Version]:
    """Consecutive versions, oldest first.

    Parameters:
        offset: how many to leave out at the end one counts from.
        limit: how many to return at most.
        newest: count from the newest instead of from the oldest.
    """
    entity = entity_of(line)
    order = begun_seq(entity).desc() if newest else begun_seq(entity)
    statement = on_line(line, entity).order_by(order)
    if offset:
        statement = statement.offset(offset)
    if limit is not None:
        statement = statement.limit(limit)
    found = _run(line, session, statement)
    return settle(line, found[::-1] if newest else found)


def first(line: Line, session: Session, statement: Select[Any]) -> Version | None:
    """The first version ``statement`` yields."""
    found = _run(line, session, statement.limit(1))
    if not found:
        return None
    place = place_of(found[0])
    if place is None or place.page.line != line:  # else it knows its neighbours already
        settle(line, found)
    return found[0]


def line_of(version: Version) -> Line:
    """The line ``version`` was loaded on; its key's own for one of another query."""
    place = place_of(version)
    if place is not None:
        return place.page.line
    history = type(version)
    return Line(history, (Span(key_of(version)),), moment_of(session_of(version), history))


def key_of(version: Version) -> tuple[Any, ...]:
    """The primary key of the object ``version`` is of."""
    return tuple(getattr(version, name) for name in info_of(type(version)).key)


def moment_of(session: Session, history: type[Version]) -> Moment | None:
    """The moment a session of the past shows; None for one that shows the present."""
    if not isinstance(session, AsOfSession):
        return None
    # Each database has its own clock, so the moment is that of the entity's own.
    past: Any = session.connection(bind_arguments={"mapper": info_of(history).entity})
    found: Moment = past.moment
    return found


def _run(line: Line, session: Session, statement: Select[Any]) -> list[Version]:
    bind = {"mapper": info_of(line.history).entity}
    with versions_readable(bind):
        return list(session.scalars(statement, bind_arguments=bind))


def _counted(line: Line, session: Session, statement: Select[Any]) -> int:
    bind = {"mapper": info_of(line.history).entity}
    counting = statement.with_only_columns(func.count(), maintain_column_froms=True)
    with versions_readable(bind):
        return session.scalar(counting, bind_arguments=bind) or 0


def on_line(line: Line, entity: Any) -> Select[Any]:
    """Select the versions of ``line``, in no order."""
    names = info_of(line.history).key
    conditions = []
    for span in line.spans:
        parts = [getattr(entity, name) == part for name, part in zip(names, span.key, strict=True)]
        if span.since is not None:
            parts.append(begun_seq(entity) >= span.since)
        if span.before is not None:
            parts.append(begun_seq(entity) < span.before)
        conditions.append(and_(*parts))
    return select(entity).where(or_(*conditions))


def begun_seq(entity: Any) -> ColumnElement[int]:
    """The sequence number that began a version, the reader's own being the last."""
    return func.coalesce(entity.temporal_commit_seq, PENDING)


def _begun(version: Version) -> int:
    found: int | None = version.temporal_commit_seq
    return PENDING if found is None else found


def entity_of(line: Line) -> Any:
    """What to select for the versions of ``line``; see :func:`entity_at`."""
    return entity_at(line.history, line.moment)


def entity_at(history: type[Version], moment: Moment | None) -> Any:
    """What to select: the History class, or its versions as seen at a moment.

    At a moment, a version that ended later is the current one, as it was then.
    """
    if moment is None:
        return history
    versions: Any = inspect(history).local_table
    ended = visible(versions.c[END_COLUMN], moment)
    later = {END_COLUMN, OPERATION_COLUMN, TO_COLUMN, END_SEQ_ATTRIBUTE}
    seen = (
        select(
            *(
                case((ended, column)).label(column.key) if column.key in later else column
                for column in versions.c
            )
        )
        .where(visible(versions.c[TX_COLUMN], moment))
        .subquery()
    )
    return aliased(history, seen, adapt_on_names=True)


def visible(tx: ColumnElement[Any], moment: Moment) -> ColumnElement[bool]:
    """Whether the changes of transaction ``tx`` are visible at ``moment``."""
    seen = tx <= moment.hi
    return and_(seen, tx.not_in(moment.inflight)) if moment.inflight else seen


__all__ = [
    "Line",
    "Span",
    "begun_seq",
    "count",
    "current",
    "entity_at",
    "entity_of",
    "is_known",
    "key_of",
    "line_of",
    "moment_of",
    "on_line",
    "position_of",
    "replaced_versions",
    "version_after",
    "version_before",
    "version_beginning_with",
    "version_ending_with",
    "visible",
    "window",
]
