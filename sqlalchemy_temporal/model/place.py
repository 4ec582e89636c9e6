"""Where a loaded version stands: the line it belongs to and the page it was loaded with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


_COMPANY: Final = 200
"""Versions that are helped by one query, if only one of them is asked."""


@dataclass(slots=True)
class Company:
    """Versions of several objects that were loaded together.

    What is asked of one is likely asked of all, so it is read for all. Their pages share
    their commits.

    Attributes:
        versions: the versions.
        replaced: the versions they replaced, by key and transaction, once they are read.
    """

    versions: Sequence[Version]
    replaced: Mapping[tuple[Any, ...], Version] | None = None


@dataclass(slots=True)
class Page:
    """Consecutive versions that were loaded together.

    They help each other: neighbours need no query, and commits are read once for all.

    Attributes:
        line: the line they are on.
        versions: the versions, oldest first.
        commits: the commits read so far, by transaction.
        company: versions loaded in the same go that are no neighbours, if there were.
    """

    line: Line
    versions: Sequence[Version]
    commits: dict[int, Commit] = field(default_factory=dict)
    company: Company | None = None


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


def settle_apart(lines: Sequence[Line], versions: Sequence[Version]) -> None:
    """Tell ``versions``, loaded together but no neighbours, on which lines they are.

    One that stands in a page of the same line already knows more, and stays there.
    """
    for first in range(0, len(versions), _COMPANY):
        company = Company(versions[first : first + _COMPANY])
        commits: dict[int, Commit] = {}
        for line, version in zip(lines[first:], company.versions, strict=False):
            place = place_of(version)
            if place is None or place.page.line != line:
                page = Page(line, [version], commits, company)
                inspect(version).dict[_PLACE] = Place(page, 0)


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


__all__ = ["Company", "Page", "Place", "place_of", "session_of", "settle", "settle_apart"]
