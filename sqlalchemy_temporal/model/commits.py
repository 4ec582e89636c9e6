"""``version.commit``: who made a version, when and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select
from sqlalchemy.orm import Mapper, Session

from sqlalchemy_temporal.model.place import place_of, session_of
from sqlalchemy_temporal.model.version import Version, info_of
from sqlalchemy_temporal.schema import system_tables

_MAX_IDS = 1000
"""Ids in one IN list: SQLite takes 999 bind parameters in its older versions."""


@dataclass(frozen=True, slots=True)
class CommitInfo:
    """A commit, as told by the transaction that made it.

    Attributes:
        uuid: its identity, the same after dump and restore.
        seq: its place in the exact order of commits.
        tx_id: the transaction's id, which versions refer to.
        operation: ``COMMIT``, or what the library did, e.g. ``BASELINE``.
        author: who made it, as described by the application; None if it did not say.
        message: why.
        context: anything else the application recorded.
        database_user: the database role that wrote it.
        committed_at: the database's clock at the commit (with time zone).
        effective_at: its sealed time, strictly increasing along the commits; None while
            it has not been sealed yet. Times are resolved to commits by this one.
        counts: changed rows by table and kind of change.
    """

    uuid: UUID
    seq: int
    tx_id: int
    operation: str
    author: str | None
    message: str | None
    context: Any
    database_user: str
    committed_at: datetime
    effective_at: datetime | None
    counts: Mapping[str, Mapping[str, int]]


def commit_of(version: Version) -> CommitInfo | None:
    """The commit that made ``version``; None while its transaction is under way.

    The commits of versions that were loaded together are read together.

    Raises:
        DetachedObjectError: ``version`` belongs to no session and its commit was not
            read before.
    """
    place = place_of(version)
    tx_id = version.temporal_tx_id
    if place is None:
        return _read(version, [tx_id]).get(tx_id)
    if tx_id not in place.page.commits:
        wanted = [each.temporal_tx_id for each in place.page.versions]
        place.page.commits.update(_read(version, wanted))
    return place.page.commits.get(tx_id)


def _read(version: Version, tx_ids: Iterable[int]) -> dict[int, CommitInfo]:
    info = info_of(type(version))
    return commits_by_transaction(session_of(version), info.entity, info.schema, tx_ids)


def commits_by_transaction(
    session: Session, entity: Mapper[Any], schema: str, tx_ids: Iterable[int]
) -> dict[int, CommitInfo]:
    """The commits of the transactions ``tx_ids``, by id; those under way are left out."""
    transaction, commit = (system_tables(schema).transaction, system_tables(schema).commit)
    statement = select(transaction, commit.c.effective_at).outerjoin(
        commit, commit.c.tx_id == transaction.c.id
    )
    # Not through session.execute(): whatever the session does to statements about the
    # application's tables (as-of reading, tenant filters) is not meant for these.
    connection = session.connection(bind_arguments={"mapper": entity})
    wanted = sorted(set(tx_ids))
    found: dict[int, CommitInfo] = {}
    for first in range(0, len(wanted), _MAX_IDS):
        chosen = statement.where(transaction.c.id.in_(wanted[first : first + _MAX_IDS]))
        for row in connection.execute(chosen):
            found[row.id] = _commit(row)
    return found


def _commit(row: Row[Any]) -> CommitInfo:
    return CommitInfo(
        uuid=row.uuid,
        seq=row.commit_seq,
        tx_id=row.id,
        operation=row.operation,
        author=row.author,
        message=row.message,
        context=row.context,
        database_user=row.database_user,
        committed_at=row.committed_at,
        effective_at=row.effective_at,
        counts=row.counts,
    )


__all__ = ["CommitInfo", "commit_of", "commits_by_transaction"]
