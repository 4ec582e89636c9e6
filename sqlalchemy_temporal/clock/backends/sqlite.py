"""The clock of SQLite: its commits are a table, in their exact order as soon as they are made."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Row, Table, inspect, literal, select, type_coerce
from sqlalchemy.types import LargeBinary

from sqlalchemy_temporal.clock.backends.interface import Question
from sqlalchemy_temporal.clock.hooks import attach, set_on_transaction
from sqlalchemy_temporal.clock.moment import Moment, Unknown
from sqlalchemy_temporal.ddl import keys
from sqlalchemy_temporal.errors import (
    AmbiguousRevisionError,
    BeforeVersioningError,
    FutureMomentError,
    MomentError,
    NotInstalledError,
    UnknownRevisionError,
)
from sqlalchemy_temporal.naming import INFO_KEY
from sqlalchemy_temporal.schema import SystemTables, system_of

_STEP = re.compile(r"([~^])(\d*)")
_DIGITS = re.compile(rf"[0-9a-f]{{{keys.SHORTEST},64}}")
_KINDS: Final = {"tags/": "tag", "heads/": "branch"}
_UUID_DIGITS: Final = 32
_HASH_DIGITS: Final = 64
_PARENTS: Final = 2


class SQLiteClock:
    """Reads the table of commits. There is one writer, so none are in flight."""

    def require(self, connection: Connection, schema: str) -> None:
        """Ask once per database connection."""
        attach(connection, schema)
        known = connection.info.setdefault(f"{INFO_KEY}.systems", set())
        if schema in known:
            return
        if not inspect(connection).has_table(system_of(connection, schema).pending.name):
            raise NotInstalledError(
                f"this database has no versioning named {schema!r}; create it with "
                "Base.metadata.create_all(engine), or with op.enable_versioning() in a migration"
            )
        known.add(schema)

    def snapshot_is_fixed(self, connection: Connection) -> bool:
        """No: a moment that was resolved is made of commits that every snapshot can tell."""
        return False

    def resolve(self, connection: Connection, schema: str, question: Question) -> Moment:
        """Look the commit up, and what is not known as of it."""
        tables = system_of(connection, schema)
        try:
            node = _walk(connection, tables, _find(connection, tables, question), question.steps)
        except MomentError as error:
            raise type(error)(f"cannot read as of {question.label}: {error}") from error
        listed = connection.execute(select(tables.versioned_tables)).all()
        return Moment(
            seq=node.seq,
            uuid=node.uuid,
            effective_at=node.effective_at,
            hi=node.hi,
            inflight=tuple(sorted(node.inflight)),
            lo=node.lo,
            schema=schema,
            unknown=frozenset(
                found
                for row in listed
                if (found := _unknown(connection, tables, node, row)) is not None
            ),
            closed=frozenset(_history(r) for r in listed if r.disabled_tx_id is not None),
        )

    def describe(
        self, connection: Connection, author: str | None, message: str | None, context: str | None
    ) -> None:
        """Note it with the transaction under way, or for the one that will be opened."""
        set_on_transaction(connection, {"author": author, "message": message, "context": context})


def _find(connection: Connection, tables: SystemTables, question: Question) -> Row[Any]:
    match question.kind:
        case "head":
            return _head(connection, tables)
        case "commit":
            return _commit(connection, tables, UUID(question.asked))
        case "ref":
            return _named(connection, tables, question.asked)
        case "ago":
            amount = timedelta(microseconds=int(question.asked.split()[0]))
            return _at(connection, tables, datetime.now(UTC) - amount)
        case _:
            return _at(connection, tables, datetime.fromisoformat(question.asked))


def _head(connection: Connection, tables: SystemTables) -> Row[Any]:
    commit = tables.commit
    node = connection.execute(select(commit).order_by(commit.c.seq.desc()).limit(1)).one_or_none()
    if node is None:
        raise BeforeVersioningError("there is no commit yet: nothing was recorded")
    return node


def _commit(connection: Connection, tables: SystemTables, uuid: UUID) -> Row[Any]:
    commit = tables.commit
    node = connection.execute(select(commit).where(commit.c.uuid == uuid)).one_or_none()
    if node is None:
        raise UnknownRevisionError(f"no commit has the id {uuid}")
    return node


def _at(connection: Connection, tables: SystemTables, asked: datetime) -> Row[Any]:
    now, commit = datetime.now(UTC), tables.commit
    if asked > now:
        raise FutureMomentError(
            f"the time {asked.isoformat()} has not come yet: it is {now.isoformat()}"
        )
    node = connection.execute(
        select(commit)
        .where(commit.c.effective_at <= asked)
        .order_by(commit.c.effective_at.desc())
        .limit(1)
    ).one_or_none()
    if node is None:
        first = connection.scalar(select(commit.c.effective_at).order_by(commit.c.seq).limit(1))
        since = f"versioning began at {first.isoformat()}" if first else "nothing was recorded yet"
        raise BeforeVersioningError(f"nothing is known of {asked.isoformat()}: {since}")
    return node


def _named(connection: Connection, tables: SystemTables, asked: str) -> Row[Any]:
    ref, name, kind = tables.ref, asked, None
    for prefix, meant in _KINDS.items():
        if asked.startswith(prefix):
            name, kind = asked.removeprefix(prefix), meant
    wanted = select(ref.c.kind, ref.c.commit_uuid).where(ref.c.name == name)
    if kind is not None:
        wanted = wanted.where(ref.c.kind == kind)
    found = connection.execute(wanted).all()
    if len(found) > 1:
        raise AmbiguousRevisionError(
            f"{asked!r} is the name of both a tag and a branch (say which: 'tags/{asked}' or "
            f"'heads/{asked}')"
        )
    if found:
        at = found[0].commit_uuid  # the current branch has none: it is wherever HEAD is
        return _head(connection, tables) if at is None else _commit(connection, tables, at)
    candidates = list(_abbreviated(connection, tables.commit, asked))
    if len(candidates) > 1:
        listed = ", ".join(str(uuid) for uuid in candidates)
        raise AmbiguousRevisionError(
            f"{asked!r} is the beginning of several commits: {listed} (give more digits)"
        )
    if not candidates:
        raise UnknownRevisionError(f"no tag, branch or commit is called {asked!r}")
    return _commit(connection, tables, candidates[0])


def _abbreviated(connection: Connection, commit: Table, asked: str) -> Iterator[UUID]:
    """The commits whose uuid or hash begins with some digits."""
    digits = asked.replace("-", "").lower()
    if not _DIGITS.fullmatch(digits):
        return
    seen = set()
    if len(digits) <= _UUID_DIGITS:
        first, last = (UUID(digits.ljust(_UUID_DIGITS, digit)) for digit in "0f")
        within = commit.c.uuid.between(first, last)
        seen = set(connection.scalars(select(commit.c.uuid).where(within)))
    least, most = (
        type_coerce(literal(bytes.fromhex(digits.ljust(_HASH_DIGITS, d)), LargeBinary), LargeBinary)
        for d in "0f"
    )
    seen |= set(connection.scalars(select(commit.c.uuid).where(commit.c.hash.between(least, most))))
    yield from sorted(seen)


def _walk(connection: Connection, tables: SystemTables, start: Row[Any], steps: str) -> Row[Any]:
    """Follow ``~n`` (n times the first parent) and ``^n`` (the n-th parent)."""
    node = start
    for kind, digits in _STEP.findall(steps):
        n = int(digits or 1)
        if kind == "^" and n > 1:
            if n > _PARENTS or node.merge_parent_uuid is None:
                raise UnknownRevisionError(f"the commit {node.uuid} has no parent number {n}")
            node = _commit(connection, tables, node.merge_parent_uuid)
            continue
        for _ in range(n):
            if node.parent_uuid is None:
                raise BeforeVersioningError(
                    f"there is no commit {steps} of {start.uuid}: it lies before the first commit"
                )
            node = _commit(connection, tables, node.parent_uuid)
    return node


def _history(row: Row[Any]) -> str:
    return f"{row.history_schema}.{row.history_table}"


def _unknown(
    connection: Connection, tables: SystemTables, node: Row[Any], row: Row[Any]
) -> Unknown | None:
    """Whether and why nothing is recorded of a versioned table at ``node``."""

    def known_at(tx_id: int | None, otherwise: Any = None) -> datetime | None:
        if tx_id is None:
            return None
        commit = tables.commit
        at = connection.scalar(select(commit.c.effective_at).where(commit.c.tx_id == tx_id))
        return at or _moment(otherwise)

    if row.enabled_tx_id > node.hi:
        return Unknown(_history(row), "before", None, known_at(row.enabled_tx_id, row.enabled_at))
    if row.purged_seq is not None and row.purged_seq > node.seq:
        return Unknown(_history(row), "purged", None, known_at(row.purged_seq))
    gaps: list[Mapping[str, Any]] = list(row.gaps)
    if row.disabled_tx_id is not None:
        gaps.append({"since": row.disabled_tx_id, "since_at": row.disabled_at, "until": None})
    for gap in gaps:
        if gap["since"] <= node.hi and (gap["until"] is None or gap["until"] > node.hi):
            return Unknown(
                _history(row),
                "gap",
                known_at(gap["since"], gap["since_at"]),
                known_at(gap["until"], gap.get("until_at")),
            )
    return None


def _moment(value: datetime | str | None) -> datetime | None:
    """A time as it is in a column or in JSON."""
    if value is None or isinstance(value, datetime):
        return value
    found = datetime.fromisoformat(value)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
