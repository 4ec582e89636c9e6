"""Resolve what a user calls a point in time to a moment."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from sqlalchemy_temporal.clock.commit import Commit
from sqlalchemy_temporal.clock.moment import Moment, Unknown
from sqlalchemy_temporal.clock.seal import ENOUGH, seal_apart
from sqlalchemy_temporal.ddl import keys
from sqlalchemy_temporal.errors import (
    AmbiguousRevisionError,
    BarrierTimeoutError,
    BeforeVersioningError,
    FutureMomentError,
    MomentError,
    NaiveDatetimeError,
    NotInstalledError,
    PrivilegeError,
    SnapshotTooOldError,
    UnknownRevisionError,
    UnsupportedDatabaseError,
)
from sqlalchemy_temporal.naming import DEFAULT_SCHEMA, INFO_KEY

When = datetime | timedelta | Moment | Commit | UUID | str
"""What names a point in time: an aware datetime, a timedelta (that long ago), a commit or
its uuid, a moment resolved before, or a revision as text. That is ``HEAD``, a tag or a branch
(``tags/v1`` and ``heads/v1`` where both have the name), the first digits of a commit's uuid or
hash (four or more, as many as it takes), or a time; followed by any number of ``~n`` (n times
the first parent) and ``^n`` (the n-th parent; ``^2`` is what was merged): ``spring^2~3``."""

_PROBLEMS: Final[dict[str, type[MomentError]]] = {
    keys.STATE_FUTURE: FutureMomentError,
    keys.STATE_BEFORE: BeforeVersioningError,
    keys.STATE_UNKNOWN: UnknownRevisionError,
    keys.STATE_SNAPSHOT: SnapshotTooOldError,
    keys.STATE_BARRIER: BarrierTimeoutError,
    keys.STATE_AMBIGUOUS: AmbiguousRevisionError,
}
_SUFFIX = re.compile(r"(?P<base>.+?)(?P<steps>(?:~\d*|\^\d*)*)", re.ASCII)
_BOUNDS: Final = ("since", "until")


@dataclass(frozen=True, slots=True)
class _Question:
    kind: str
    asked: str
    steps: str = ""


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
        UnsupportedDatabaseError: it is not PostgreSQL.
        PrivilegeError: the role may not read the library's tables.
    """
    if isinstance(when, Moment):
        if not _snapshot_is_fixed(connection):
            return when
        question = _Question("commit", str(when.uuid))
    else:
        question = _question(when)
    _require_system(connection, schema)
    quoted = connection.dialect.identifier_preparer.quote(schema)
    with _privileges_explained(quoted):
        row = connection.execute(
            text(f"SELECT * FROM {quoted}.resolve(:kind, :asked, :steps)"),  # noqa: S608 - quoted
            {"kind": question.kind, "asked": question.asked, "steps": question.steps},
        ).one()
    if row.problem is not None:
        advice = f" ({row.hint})" if row.hint else ""
        raise _PROBLEMS[row.problem](f"cannot read as of {_label(when)}: {row.message}{advice}")
    if row.unsealed >= ENOUGH:
        seal_apart(connection, schema)
    return Moment(
        seq=row.seq,
        uuid=row.uuid,
        effective_at=row.effective_at,
        hi=row.hi,
        inflight=tuple(sorted(row.inflight)),
        lo=row.lo,
        schema=schema,
        unknown=frozenset(_unknown(name, said) for name, said in row.unknown.items()),
        closed=frozenset(row.closed),
    )


def _unknown(history: str, said: Mapping[str, Any]) -> Unknown:
    since, until = (said[name] and datetime.fromisoformat(said[name]) for name in _BOUNDS)
    return Unknown(history, said["why"], since, until)


def _snapshot_is_fixed(connection: Connection) -> bool:
    """Whether later statements of the transaction still see its first statement's state."""
    if connection.dialect.name != "postgresql":
        return False  # one writer at a time, whose snapshot is the newest
    level = connection.scalar(text("SELECT current_setting('transaction_isolation')"))
    return str(level) != "read committed"


def _label(when: object) -> str:
    return f"commit {when.uuid}" if isinstance(when, Commit) else repr(when)


def _question(when: object) -> _Question:
    match when:
        case Commit():
            return _Question("commit", str(when.uuid))
        case UUID():
            return _Question("commit", str(when))
        case datetime():
            return _Question("time", _instant(when))
        case timedelta():
            if when < timedelta(0):
                raise FutureMomentError(
                    f"a timedelta means that long ago; {when!r} would lie in the future"
                )
            return _Question("ago", f"{when // timedelta(microseconds=1)} microseconds")
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


def _revision(when: str) -> _Question:
    match = _SUFFIX.fullmatch(when.strip())
    if match is None:
        raise UnknownRevisionError(f"{when!r} is not a revision: it is empty")
    base, steps = match["base"], match["steps"]
    if ".." in base:
        raise UnknownRevisionError(
            f"{when!r} is a range of commits, not one of them; ranges are for log() and diff()"
        )
    if base == "HEAD":
        return _Question("head", "", steps)
    try:
        return _Question("commit", str(UUID(base)), steps)
    except ValueError:
        pass  # not a uuid; it may be a time or a name
    try:
        return _Question("time", _instant(datetime.fromisoformat(base)), steps)
    except ValueError:
        return _Question("ref", base, steps)


def _require_system(connection: Connection, schema: str) -> None:
    """Ask once per database connection; a failing statement would end its transaction."""
    if connection.dialect.name != "postgresql":
        raise UnsupportedDatabaseError(
            f"times cannot be resolved on the dialect {connection.dialect.name!r} yet; use "
            "PostgreSQL 13 or later"
        )
    known = connection.info.setdefault(f"{INFO_KEY}.systems", set())
    if schema in known:
        return
    quoted = connection.dialect.identifier_preparer.quote(schema).replace("%%", "%")
    with _privileges_explained(quoted):
        found = connection.scalar(
            text("SELECT to_regproc(:name) IS NOT NULL"), {"name": f"{quoted}.resolve"}
        )
    if not found:
        raise NotInstalledError(
            f"this database has no versioning in schema {schema!r}; create it with "
            "Base.metadata.create_all(engine), or with op.enable_versioning() in a migration"
        )
    known.add(schema)


@contextmanager
def _privileges_explained(schema: str) -> Iterator[None]:
    """Say which rights reading the past needs when the server refuses for lack of them."""
    try:
        yield
    except DBAPIError as error:
        if keys.sqlstate(error) != keys.STATE_INSUFFICIENT_PRIVILEGE:
            raise
        raise PrivilegeError(
            f"this role may not read the past: {error.orig}. Grant it GRANT USAGE ON SCHEMA "
            f"{schema} TO ... and GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO ..."
        ) from error
