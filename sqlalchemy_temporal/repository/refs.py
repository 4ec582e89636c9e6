"""Names for commits: tags, which stay with one commit, and branches, which move.

The current branch has no commit of its own in the database: it is wherever HEAD is, so
no ordinary transaction has to move it. When HEAD leaves it, it is written down where that
was. What happens to names is kept in a log of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

from sqlalchemy import Connection, Row, delete, insert, literal_column, null, select, update
from sqlalchemy.exc import IntegrityError

from sqlalchemy_temporal.clock.commits import all_nodes
from sqlalchemy_temporal.clock.describe import current_actor
from sqlalchemy_temporal.errors import CommitError, UnknownRevisionError
from sqlalchemy_temporal.schema import SystemTables

Kind = Literal["tag", "branch"]
TAG: Final = "tag"
BRANCH: Final = "branch"
HEAD: Final = "HEAD"
PREFIXES: Final = {TAG: "tags/", BRANCH: "heads/"}

_NAME = re.compile(r"[^\s~^:?*\[\\\x00-\x1f]+")


@dataclass(frozen=True, slots=True)
class Ref:
    """A name for a commit.

    Attributes:
        name: the name.
        kind: ``"tag"`` or ``"branch"``.
        commit_uuid: the commit it names.
        author: who made it, if that was said.
        created_at: when (with time zone).
        is_current: whether it is the branch that new commits go to.
    """

    name: str
    kind: str
    commit_uuid: UUID
    author: str | None
    created_at: datetime
    is_current: bool = False

    @property
    def full_name(self) -> str:
        """The name with its kind, which is never ambiguous: ``tags/v1``, ``heads/main``."""
        return PREFIXES[self.kind] + self.name


@dataclass(frozen=True, slots=True)
class RefMove:
    """Something that happened to a tag, a branch or HEAD.

    Attributes:
        at: when (with time zone, server's clock).
        kind: ``"tag"``, ``"branch"`` or ``"HEAD"``.
        name: of the tag or branch; for HEAD the branch it went to, or ``"HEAD"`` when it
            was detached.
        action: ``"create"``, ``"delete"``, ``"rename"``, ``"move"``, ``"leave"``,
            ``"switch"`` or ``"detach"``.
        old_uuid: the commit before, if there was one.
        new_uuid: the commit after, if there is one.
        author: who did it, if that was said.
        database_user: the database role that was logged in; None where there are none.
    """

    at: datetime
    kind: str
    name: str
    action: str
    old_uuid: UUID | None
    new_uuid: UUID | None
    author: str | None
    database_user: str | None


def check_name(name: str, kind: Kind) -> None:
    r"""Refuse a name that could be read as something else.

    Raises:
        CommitError: an empty name, one with a space or one of ``~ ^ : ? * [ \\``, ``HEAD``,
            one with ``..``, one that begins with ``tags/`` or ``heads/``, or one that reads
            as a uuid or a time.
    """
    reserved = (
        name == HEAD
        or ".." in name
        or name.startswith(tuple(PREFIXES.values()))
        or _is_uuid(name)
        or _is_time(name)
    )
    if reserved or not _NAME.fullmatch(name):
        raise CommitError(
            f"{name!r} cannot be the name of a {kind}: it must not be empty, hold spaces, '..' "
            "or one of ~ ^ : ? * [ \\, begin with tags/ or heads/, nor read as HEAD, a uuid or "
            "a time"
        )


def create(
    connection: Connection,
    tables: SystemTables,
    kind: Kind,
    name: str,
    commit: UUID,
    *,
    author: str | None = None,
) -> Ref:
    """Give ``commit`` the name ``name``.

    Raises:
        CommitError: the name is taken, or is not allowed.
    """
    check_name(name, kind)
    author = author or current_actor().author
    ref = tables.ref
    values = {"name": name, "kind": kind, "commit_uuid": commit, "author": author}
    with _name_free(connection, kind, name):
        row = connection.execute(insert(ref).values(values).returning(ref)).one()
    write_move(connection, tables, kind, name, "create", new=commit, author=author)
    return _ref(row, commit)


def find(connection: Connection, tables: SystemTables, kind: Kind, name: str) -> Row[Any]:
    """The row of a tag or branch; ``tags/v1`` is understood as well as ``v1``.

    Raises:
        UnknownRevisionError: there is none.
    """
    ref = tables.ref
    plain = name.removeprefix(PREFIXES[kind])
    row = connection.execute(
        select(ref).where(ref.c.kind == kind, ref.c.name == plain)
    ).one_or_none()
    if row is None:
        raise UnknownRevisionError(f"there is no {kind} {name!r}")
    return row


def is_branch(connection: Connection, tables: SystemTables, name: str) -> bool:
    """Whether ``name`` is that of a branch, and not of a tag too."""
    ref = tables.ref
    plain = name.removeprefix(PREFIXES[BRANCH])
    kinds = set(connection.scalars(select(ref.c.kind).where(ref.c.name == plain)))
    return BRANCH in kinds and (plain != name or TAG not in kinds)


def listed(
    connection: Connection, tables: SystemTables, kind: Kind, head: UUID | None
) -> list[Ref]:
    """All tags or branches; tags by their commits, oldest first, branches by name.

    Parameters:
        head: the commit that is HEAD, where the current branch is; None when nothing is
            recorded yet, and so no branch is anywhere.
    """
    ref = tables.ref
    statement = select(ref).where(ref.c.kind == kind)
    if kind == TAG:
        nodes = all_nodes(connection, tables)
        statement = statement.join(nodes, nodes.c.uuid == ref.c.commit_uuid, isouter=True)
        statement = statement.order_by(nodes.c.seq)
    rows = connection.execute(statement.order_by(ref.c.name))
    return [_ref(row, at) for row in rows if (at := row.commit_uuid or head) is not None]


def current(connection: Connection, tables: SystemTables) -> str | None:
    """The name of the branch that new commits go to; None when HEAD is detached."""
    ref = tables.ref
    return connection.scalar(
        select(ref.c.name).where(ref.c.kind == BRANCH, ref.c.commit_uuid.is_(None))
    )


def remove(
    connection: Connection, tables: SystemTables, kind: Kind, name: str, author: str | None
) -> None:
    """Take a tag or branch away; the commits stay.

    Raises:
        UnknownRevisionError: there is none.
        CommitError: it is the current branch.
    """
    row = find(connection, tables, kind, name)
    if row.commit_uuid is None:
        raise CommitError(f"the branch {row.name!r} is the current one; switch to another first")
    ref = tables.ref
    connection.execute(delete(ref).where(ref.c.kind == kind, ref.c.name == row.name))
    write_move(connection, tables, kind, row.name, "delete", old=row.commit_uuid, author=author)


def rename(
    connection: Connection,
    tables: SystemTables,
    kind: Kind,
    name: str,
    new_name: str,
    *,
    author: str | None = None,
) -> None:
    """Give a tag or branch another name.

    Raises:
        UnknownRevisionError: there is none.
        CommitError: the new name is taken, or not allowed.
    """
    check_name(new_name, kind)
    row = find(connection, tables, kind, name)
    ref = tables.ref
    with _name_free(connection, kind, new_name):
        connection.execute(
            update(ref).where(ref.c.kind == kind, ref.c.name == row.name).values(name=new_name)
        )
    at = row.commit_uuid
    write_move(connection, tables, kind, new_name, "rename", old=at, new=at, author=author)


def leave(
    connection: Connection, tables: SystemTables, head: UUID, author: str | None = None
) -> str | None:
    """Detach HEAD: the current branch stays at ``head``, and new commits are on none.

    Returns:
        The branch that was left; None when HEAD was detached already.
    """
    ref = tables.ref
    left: str | None = connection.scalar(
        update(ref)
        .where(ref.c.kind == BRANCH, ref.c.commit_uuid.is_(None))
        .values(commit_uuid=head)
        .returning(ref.c.name)
    )
    if left is not None:
        write_move(connection, tables, BRANCH, left, "leave", new=head, author=author)
    return left


def detach(
    connection: Connection, tables: SystemTables, head: UUID, to: UUID, author: str | None = None
) -> str | None:
    """Note that HEAD leaves its branch, if it is on one, to go on from the commit ``to``.

    Parameters:
        head: the commit that is HEAD, where the branch stays.
        to: the commit whose state the live tables are given.
        author: who does it.

    Returns:
        The branch that was left; None when HEAD was detached already.
    """
    left = leave(connection, tables, head, author)
    write_move(connection, tables, HEAD, HEAD, "detach", old=head, new=to, author=author)
    return left


def enter(
    connection: Connection,
    tables: SystemTables,
    name: str,
    head: UUID,
    author: str | None = None,
) -> None:
    """Make ``name`` the branch that new commits go to; the current one was left before.

    Parameters:
        head: the commit that is HEAD before.

    Raises:
        CommitError: somebody else switched at the same time.
    """
    ref = tables.ref
    row = find(connection, tables, BRANCH, name)
    try:
        with connection.begin_nested():
            connection.execute(
                update(ref)
                .where(ref.c.kind == BRANCH, ref.c.name == row.name)
                .values(commit_uuid=null())
            )
    except IntegrityError as error:
        raise CommitError(
            f"HEAD could not be switched to {name!r}: somebody else switched it just now; try again"
        ) from error
    write_move(
        connection, tables, HEAD, row.name, "switch", old=head, new=row.commit_uuid, author=author
    )


def write_move(
    connection: Connection,
    tables: SystemTables,
    kind: str,
    name: str,
    action: str,
    *,
    old: UUID | None = None,
    new: UUID | None = None,
    author: str | None = None,
) -> None:
    """Write a line of the log of names."""
    is_postgresql = connection.dialect.name == "postgresql"
    values = {
        "kind": kind,
        "name": name,
        "action": action,
        "old_uuid": old,
        "new_uuid": new,
        "author": author or current_actor().author,
        "database_user": literal_column("session_user") if is_postgresql else null(),
    }
    connection.execute(insert(tables.ref_log).values(values))


def moves(
    connection: Connection, tables: SystemTables, name: str | None, limit: int | None
) -> list[RefMove]:
    """What happened to names, newest first; of one tag, branch or HEAD if asked."""
    log = tables.ref_log
    statement = select(log).order_by(log.c.id.desc()).limit(limit)
    if name == HEAD:
        statement = statement.where(log.c.kind == HEAD)
    elif name is not None:
        for kind, prefix in PREFIXES.items():
            if name.startswith(prefix):
                statement = statement.where(log.c.kind == kind)
                name = name.removeprefix(prefix)
        statement = statement.where(log.c.kind != HEAD, log.c.name == name)
    return [
        RefMove(
            row.at,
            row.kind,
            row.name,
            row.action,
            row.old_uuid,
            row.new_uuid,
            row.author,
            row.database_user,
        )
        for row in connection.execute(statement)
    ]


@contextmanager
def _name_free(connection: Connection, kind: Kind, name: str) -> Iterator[None]:
    """Run the block in a savepoint, and say so when the name is taken."""
    try:
        with connection.begin_nested():
            yield
    except IntegrityError as error:
        raise CommitError(
            f"the name {name!r} is taken; delete or rename the old {kind} first, e.g. with "
            f"delete_{kind}({name!r})"
        ) from error


def _ref(row: Row[Any], at: UUID) -> Ref:
    return Ref(
        name=row.name,
        kind=row.kind,
        commit_uuid=at,
        author=row.author,
        created_at=row.created_at,
        is_current=row.commit_uuid is None,
    )


def _is_uuid(name: str) -> bool:
    try:
        UUID(name)
    except ValueError:
        return False
    return True


def _is_time(name: str) -> bool:
    try:
        datetime.fromisoformat(name)
    except ValueError:
        return False
    return True


__all__ = [
    "BRANCH",
    "HEAD",
    "TAG",
    "Ref",
    "RefMove",
    "check_name",
    "create",
    "current",
    "detach",
    "enter",
    "find",
    "is_branch",
    "leave",
    "listed",
    "moves",
    "remove",
    "rename",
    "write_move",
]
