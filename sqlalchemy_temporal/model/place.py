"""Where a loaded version stands: the line it belongs to and the page it was loaded with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import inspect
from sqlalchemy.orm import Session, object_session

from sqlalchemy_temporal.errors import DetachedObjectError
from sqlalchemy_temporal.model.version import Version

if TYPE_CHECKING:
    from sqlalchemy_temporal.clock.commit import Commit
    from sqlalchemy_temporal.model.line import Line

_PLACE: Final = "_temporal_place"
"""The name under which a version keeps its place, beside its mapped attributes."""


@dataclass(slots=True)
class Page:
    """Consecutive versions that were loaded together.

    They help each other: neighbours need no query, and commits are read once for all.
    """

    line: Line
    versions: Sequence[Version]
    commits: dict[int, Commit] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Place:
    """One version's position in its page."""

    page: Page
    position: int


def settle(line: Line, versions: Sequence[Version]) -> Sequence[Version]:
    """Tell each of ``versions``, consecutive on ``line``, where it stands."""
    page = Page(line, versions)
    for position, version in enumerate(versions):
        inspect(version).dict[_PLACE] = Place(page, position)
    return versions


def place_of(version: Version) -> Place | None:
    """Where ``version`` stands; None when it was loaded by a query of the user's own."""
    found: Place | None = inspect(version).dict.get(_PLACE)
    return found


def session_of(instance: Any) -> Session:
    """The session ``instance`` belongs to.

    Raises:
        DetachedObjectError: it belongs to none.
    """
    session = object_session(instance)
    if session is None:
        raise DetachedObjectError(
            f"{type(instance).__name__} object belongs to no session, so its versions cannot "
            "be read; session.add(obj) attaches it again, and versions_of(session, "
            "Model, key) needs no object"
        )
    return session


__all__ = ["Page", "Place", "place_of", "session_of", "settle"]
