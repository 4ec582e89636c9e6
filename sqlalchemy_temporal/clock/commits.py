"""Read commits from the database, sealed or not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Row, Select, select

from sqlalchemy_temporal.clock.commit import Commit
from sqlalchemy_temporal.schema import system_of

_MAX_IDS = 1000
"""Ids in one IN list, well below every driver's limit of parameters."""


def select_commits(connection: Connection, schema: str) -> Select[Any]:
    """A select of every committed transaction, with what sealing added where it has."""
    tables = system_of(connection, schema)
    transaction, commit = tables.transaction, tables.commit
    return select(
        transaction,
        commit.c.effective_at,
        commit.c.parent_uuid.label("sealed_parent_uuid"),
    ).outerjoin_from(transaction, commit, commit.c.tx_id == transaction.c.id)


def commit_from(row: Row[Any]) -> Commit:
    """A row of :func:`select_commits` as a commit."""
    return Commit(
        uuid=row.uuid,
        seq=row.commit_seq,
        tx_id=row.id,
        operation=row.operation,
        author=row.author,
        message=row.message,
        context=row.context,
        database_user=row.database_user,
        started_at=row.started_at,
        committed_at=row.committed_at,
        effective_at=row.effective_at,
        counts=row.counts,
        parent_uuid=row.sealed_parent_uuid or row.parent_uuid,
    )


def commits_by_transaction(
    connection: Connection, schema: str, tx_ids: Iterable[int]
) -> dict[int, Commit]:
    """The commits of the transactions ``tx_ids``, by id; those under way are left out."""
    transaction = system_of(connection, schema).transaction
    statement = select_commits(connection, schema)
    wanted = sorted(set(tx_ids))
    found: dict[int, Commit] = {}
    for first in range(0, len(wanted), _MAX_IDS):
        chosen = statement.where(transaction.c.id.in_(wanted[first : first + _MAX_IDS]))
        found.update((row.id, commit_from(row)) for row in connection.execute(chosen))
    return found
