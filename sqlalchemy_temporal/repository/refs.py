"""Tags: names that stay with one commit."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, delete, insert, select
from sqlalchemy.exc import IntegrityError

from sqlalchemy_temporal.errors import CommitError, UnknownRevisionError
from sqlalchemy_temporal.schema import system_of

_NAME = re.compile(r"[^\s~^:?*\[\\\x00-\x1f]+")


@dataclass(frozen=True, slots=True)
class Ref:
    """A name for a commit.

    Attributes:
        name: the tag's name.
        kind: ``"tag"``.
        commit_uuid: the commit it names.
        author: who made it, if that was said.
        created_at: when (with time zone).
    """

    name: str
    kind: str
    commit_uuid: UUID
    author: str | None
    created_at: datetime


def check_name(name: str) -> None:
    r"""Refuse a name that could be read as something else.

    Raises:
        CommitError: an empty name, one with a space or one of ``~ ^ : ? * [ \\``, ``HEAD``,
            one with ``..``, or one that reads as a uuid or a time.
    """
    reserved = name == "HEAD" or ".." in name or _is_uuid(name) or _is_time(name)
    if reserved or not _NAME.fullmatch(name):
        raise CommitError(
            f"{name!r} cannot be the name of a tag: it must not be empty, hold spaces, '..' "
            "or one of ~ ^ : ? * [ \\, nor read as HEAD, a uuid or a time"
        )


def create_tag(
    connection: Connection, schema: str, name: str, commit: UUID, author: str | None
) -> Ref:
    """Give ``commit`` the name ``name``.

    Raises:
        CommitError: the name is taken, or is not allowed.
    """
    check_name(name)
    ref = system_of(connection, schema).ref
    values = {"name": name, "kind": "tag", "commit_uuid": commit, "author": author}
    try:
        with connection.begin_nested():
            row = connection.execute(insert(ref).values(values).returning(ref)).one()
    except IntegrityError as error:
        raise CommitError(
            f"the name {name!r} is taken; delete the old tag first with delete_tag({name!r})"
        ) from error
    return Ref(row.name, row.kind, row.commit_uuid, row.author, row.created_at)


def list_tags(connection: Connection, schema: str) -> list[Ref]:
    """All tags, oldest commit first."""
    tables = system_of(connection, schema)
    ref, transaction = tables.ref, tables.transaction
    statement = (
        select(ref)
        .join(transaction, transaction.c.uuid == ref.c.commit_uuid, isouter=True)
        .where(ref.c.kind == "tag")
        .order_by(transaction.c.commit_seq, ref.c.name)
    )
    return [
        Ref(row.name, row.kind, row.commit_uuid, row.author, row.created_at)
        for row in connection.execute(statement)
    ]


def delete_tag(connection: Connection, schema: str, name: str) -> None:
    """Take a tag away; the commit stays.

    Raises:
        UnknownRevisionError: there is no such tag.
    """
    ref = system_of(connection, schema).ref
    result = connection.execute(delete(ref).where(ref.c.name == name, ref.c.kind == "tag"))
    if result.rowcount == 0:
        raise UnknownRevisionError(f"there is no tag {name!r}")


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
