"""Points in time as the operations take them: what ``as_of`` takes, and times as text."""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy_temporal.clock.resolve import When
from sqlalchemy_temporal.errors import NaiveDatetimeError, UnknownOptionError


def zone(name: str | tzinfo | None) -> tzinfo | None:
    """The time zone called ``name``, for times that are written without one.

    Raises:
        UnknownOptionError: there is no such time zone.
    """
    if name is None or isinstance(name, tzinfo):
        return name
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise UnknownOptionError(
            f"timezone: {name!r} is not the name of a time zone, such as 'UTC' or 'Europe/Berlin'"
        ) from error


def point_in_time(when: When, timezone: tzinfo | None = None) -> When:
    """``when``, with the time zone that was chosen for times without one.

    Parameters:
        when: an aware datetime, a timedelta (that long ago), a commit or its uuid, a tag, a
            branch, ``"HEAD~2"``, a moment, or a time as text such as
            ``"2024-01-15 10:30:00+00:00"``.
        timezone: the time zone of times that are written without one; None when none was
            chosen.

    Raises:
        NaiveDatetimeError: a time without a time zone, and none was chosen; or a time that
            the clocks of the zone showed twice, or not at all.
    """
    written = _written(when) if isinstance(when, str) else when
    if not isinstance(written, datetime) or written.tzinfo is not None:
        return when
    if timezone is None:
        raise NaiveDatetimeError(
            f"{_shown(when)} has no time zone, so it is not an instant: add one, e.g. "
            f"'{written.isoformat(sep=' ')}+00:00', or choose one for all such times with "
            "TemporalTables(bind, timezone='UTC')"
        )
    return _placed(written, timezone)


def _written(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text.strip())
    except ValueError:
        return None  # a tag, a branch, a commit: resolved in the database


def _shown(when: object) -> str:
    return repr(when)


def _placed(naive: datetime, timezone: tzinfo) -> datetime:
    """``naive`` in ``timezone``, when the clocks there showed it exactly once."""
    first, second = (naive.replace(tzinfo=timezone, fold=fold) for fold in (0, 1))
    if first.utcoffset() != second.utcoffset():
        # Clocks put forward skip times, clocks put back repeat them (PEP 495).
        showed = "twice" if (first.utcoffset() or timedelta()) > _offset(second) else "never"
        raise NaiveDatetimeError(
            f"the clocks of {timezone} {showed} showed {naive.isoformat(sep=' ')}: write the "
            f"offset, e.g. '{first.isoformat(sep=' ')}'"
        )
    return first


def _offset(when: datetime) -> timedelta:
    return when.utcoffset() or timedelta()


def just_before(when: When) -> When:
    """The last point in time that is earlier, for a time; other things stay as they are."""
    parsed = _written(when) if isinstance(when, str) else when
    if isinstance(parsed, datetime) and parsed.tzinfo is not None:
        return parsed - timedelta(microseconds=1)
    return when


__all__ = ["just_before", "point_in_time", "zone"]
