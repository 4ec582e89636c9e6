"""Resolve what a user calls a point in time to a moment."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, func, or_, select

from sqlalchemy_temporal.clock.backends import clock_of
from sqlalchemy_temporal.clock.backends.interface import Question
from sqlalchemy_temporal.clock.commit import Commit
from sqlalchemy_temporal.clock.moment import Moment, Unknown
from sqlalchemy_temporal.errors import (
    FutureMomentError,
    MomentError,
    NaiveDatetimeError,
    UnknownRevisionError,
)
from sqlalchemy_temporal.naming import DEFAULT_SCHEMA
from sqlalchemy_temporal.schema import system_of

When = datetime | timedelta | Moment | Commit | UUID | str
"""What names a point in time: an aware datetime, a timedelta (that long ago), a commit or
its uuid, a moment resolved before, or a revision as text. That is ``HEAD``, a tag or a branch
(``tags/v1`` and ``heads/v1`` where both have the name), the first digits of a commit's uuid or
hash (four or more, as many as it takes), or a time; followed by any number of ``~n`` (n times
the first parent) and ``^n`` (the n-th parent; ``^2`` is what was merged): ``spring^2~3``."""

_SUFFIX = re.compile(r"(?P<base>.+?)(?P<steps>(?:~\d*|\^\d*)*)", re.ASCII)


def resolve(connection: Connection, when: When, schema: str = DEFAULT_SCHEMA) -> Moment:
    """Resolve ``when`` to the exact set of visible transactions.

    Parameters:
        connection: where to ask. Nothing is written in its transaction; when many
            commits wait to be sealed, that is done on another connection of its engine.
        when: the point in time, see :data:`When`. A time means the last commit whose
            effective time is not later; it is compared with the server's clock.
        schema: the schema of the library's own tables.

    Returns:
        The moment; it never changes afterwards.

    Raises:
        NaiveDatetimeError: a datetime without a time zone.
        FutureMomentError: a time the server's clock has not reached.
        BeforeVersioningError: a time before the first commit.
        UnknownRevisionError: no such commit, tag or branch.
        AmbiguousRevisionError: a name of a tag and a branch, or the digits of several commits.
        SnapshotTooOldError: the transaction's fixed snapshot may not see the moment.
        BarrierTimeoutError: a transaction just committing did not end in time.
        NotInstalledError: the database has no versioning.
        UnsupportedDatabaseError: it is neither PostgreSQL nor SQLite.
        PrivilegeError: the role may not read the library's tables.
    """
    clock = clock_of(connection)
    if isinstance(when, Moment):
        if not clock.snapshot_is_fixed(connection):
            return _as_tables_are(connection, when)
        question = Question("commit", str(when.uuid))
    else:
        question = _question(when)
    clock.require(connection, schema)
    return clock.resolve(connection, schema, replace(question, label=_label(when)))


def _as_tables_are(connection: Connection, moment: Moment) -> Moment:
    """``moment``, knowing what has been purged and disabled since it was resolved."""
    tables = system_of(connection, moment.schema)
    listed, commit = tables.versioned_tables, tables.commit
    disabled = listed.c.disabled_tx_id.is_not(None)
    rows = connection.execute(
        select(
            (listed.c.history_schema + "." + listed.c.history_table).label("history"),
            disabled.label("disabled"),
            (func.coalesce(listed.c.purged_seq, 0) > moment.seq).label("purged"),
            commit.c.effective_at,
        )
        .outerjoin_from(listed, commit, commit.c.seq == listed.c.purged_seq)
        .where(or_(disabled, listed.c.purged_seq > moment.seq))
    ).all()
    known = {each.history for each in moment.unknown}
    fresh = {
        Unknown(row.history, "purged", None, row.effective_at)
        for row in rows
        if row.purged and row.history not in known
    }
    closed = frozenset(row.history for row in rows if row.disabled)
    if not fresh and closed == moment.closed:
        return moment
    return replace(moment, unknown=moment.unknown | fresh, closed=closed)


def _label(when: object) -> str:
    return f"commit {when.uuid}" if isinstance(when, Commit) else repr(when)


def _question(when: object) -> Question:
    match when:
        case Commit():
            return Question("commit", str(when.uuid))
        case UUID():
            return Question("commit", str(when))
        case datetime():
            return Question("time", _instant(when))
        case timedelta():
            if when < timedelta(0):
                raise FutureMomentError(
                    f"a timedelta means that long ago; {when!r} would lie in the future"
                )
            return Question("ago", f"{when // timedelta(microseconds=1)} microseconds")
        case date():
            raise NaiveDatetimeError(
                f"{when!r} is a day, not an instant; give a datetime with a time zone, e.g. "
                "datetime(2024, 1, 15, tzinfo=UTC)"
            )
        case str():
            return _revision(when)
    raise MomentError(
        f"{when!r} does not name a point in time; give an aware datetime, a timedelta, a "
        "commit, a uuid, a tag, a branch or 'HEAD'"
    )


def _instant(when: datetime) -> str:
    if when.tzinfo is None or when.utcoffset() is None:
        raise NaiveDatetimeError(
            f"{when!r} has no time zone, so it is not an instant; use e.g. "
            "datetime.now(UTC) or when.replace(tzinfo=UTC)"
        )
    return when.isoformat()


def _revision(when: str) -> Question:
    match = _SUFFIX.fullmatch(when.strip())
    if match is None:
        raise UnknownRevisionError(f"{when!r} is not a revision: it is empty")
    base, steps = match["base"], match["steps"]
    if ".." in base:
        raise UnknownRevisionError(
            f"{when!r} is a range of commits, not one of them; ranges are for log() and diff()"
        )
    if base == "HEAD":
        return Question("head", "", steps)
    try:
        return Question("commit", str(UUID(base)), steps)
    except ValueError:
        pass  # not a uuid; it may be a time or a name
    try:
        return Question("time", _instant(datetime.fromisoformat(base)), steps)
    except ValueError:
        return Question("ref", base, steps)
