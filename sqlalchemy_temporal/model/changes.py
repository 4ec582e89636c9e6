"""``version.changeset``: what a version changed, and what made and ended it."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy_temporal.model.horizon import purged_before
from sqlalchemy_temporal.model.line import (
    key_of,
    replaced_versions,
    version_beginning_with,
    version_ending_with,
)
from sqlalchemy_temporal.model.place import place_of, session_of
from sqlalchemy_temporal.model.version import Version, info_of


class Change(NamedTuple):
    """The value of one attribute before and after."""

    old: Any
    new: Any


def replaced_by(version: Version) -> Version | None:
    """The version that ``version`` replaced; None when it began with an INSERT.

    Raises:
        PurgedHistoryError: it began before the horizon of a purge, so what it replaced
            may have been purged.
    """
    found = _replaced_by(version)
    if found is None:
        horizon = purged_before(session_of(version), version)
        if horizon is not None:
            raise horizon.error(f"what {version!r} replaced")
    return found


def _replaced_by(version: Version) -> Version | None:
    place = place_of(version)
    if place is not None and place.position > 0:
        before = place.page.versions[place.position - 1]
        return before if before.temporal_end_tx_id == version.temporal_tx_id else None
    if place is not None and place.page.company is not None:
        line, company = place.page.line, place.page.company
        if len(line.spans) == 1:
            if company.replaced is None:
                company.replaced = replaced_versions(line, session_of(version), company.versions)
            return company.replaced.get((*key_of(version), version.temporal_tx_id))
    return version_ending_with(version, version.temporal_tx_id)


def changeset_of(version: Version) -> dict[str, Change]:
    """What ``version`` changed, by attribute name; see :attr:`Version.changeset`.

    Values are compared as their column type compares them. Attributes whose columns are
    excluded from versioning never occur.
    """
    before = replaced_by(version)
    found = {}
    for name, column in info_of(type(version)).recorded.items():
        new = getattr(version, name)
        old = None if before is None else getattr(before, name)
        if not equal(column.type, old, new):
            found[name] = Change(old, new)
    return found


def equal(column_type: Any, old: Any, new: Any) -> bool:
    """Whether two values are the same, as their column type compares them."""
    if old is None or new is None:
        return old is new
    return bool(column_type.compare_values(old, new))


def operation_of(version: Version) -> str:
    """What made ``version``, ``"INSERT"`` or ``"UPDATE"``; see :attr:`Version.operation`."""
    return "INSERT" if replaced_by(version) is None else "UPDATE"


def ended_by(version: Version) -> str | None:
    """What ended ``version``; see :attr:`Version.ended_by`."""
    if version.temporal_end_tx_id is None:
        return None
    if version_beginning_with(version, version.temporal_end_tx_id) is not None:
        return "UPDATE"
    return "TRUNCATE" if version.temporal_operation == "TRUNCATE" else "DELETE"


__all__ = ["Change", "changeset_of", "ended_by", "equal", "operation_of", "replaced_by"]
