"""Read commits from the database, sealed or not.

:func:`select_commits` finds commits by their transaction; :func:`select_nodes` all of them
in their order, with the parents of those not sealed yet computed on the way.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import Connection, FromClause, Row, Select, Subquery, column, select
from sqlalchemy.sql.functions import Function

from sqlalchemy_temporal.clock.commit import Commit
from sqlalchemy_temporal.schema import SystemTables, system_of

_MAX_IDS: Final = 1000
"""Ids in one IN list, well below every driver's limit of parameters."""
_SEALED: Final = (
    "effective_at",
    "hash",
    "deleted_at",
    "deleted_by",
    "deletion_reason",
)
"""What sealing adds to a transaction, besides parents."""


def select_commits(connection: Connection, schema: str) -> Select[Any]:
    """A select of every committed transaction, with what sealing added where it has."""
    tables = system_of(connection, schema)
    transaction, commit = tables.transaction, tables.commit
    return _joined(transaction, commit).outerjoin_from(
        transaction, commit, commit.c.tx_id == transaction.c.id
    )


def select_nodes(connection: Connection, schema: str) -> tuple[Select[Any], FromClause]:
    """A select of every commit as a node of the graph, and the source that orders them.

    The source has the columns of ``commit``, above all ``seq``, whether sealed or not.
    """
    tables = system_of(connection, schema)
    nodes = all_nodes(connection, tables)
    transaction = tables.transaction
    joined = _joined(transaction, nodes).join_from(
        nodes, transaction, transaction.c.id == nodes.c.tx_id
    )
    return joined, nodes


def all_nodes(connection: Connection, tables: SystemTables) -> Subquery:
    """The rows of ``commit``, and those it will have when everything is sealed."""
    commit = tables.commit
    if connection.dialect.name != "postgresql":
        return select(commit).subquery("node")
    # Before the statement that reads: its snapshot then sees what was waited for.
    reached = connection.scalar(select(_function(tables, "barrier")))
    unsealed = _function(tables, "unsealed", reached).table_valued(
        *(column(each.name, each.type) for each in commit.columns), name="waiting"
    )
    return select(commit).union_all(select(*unsealed.c)).subquery("node")


def commit_from(row: Row[Any]) -> Commit:
    """A row of :func:`select_commits` or :func:`select_nodes` as a commit."""
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
        merge_parent_uuid=row.merge_parent_uuid,
        hash=None if row.hash is None else bytes(row.hash),
        deleted_at=row.deleted_at,
        deleted_by=row.deleted_by,
        deletion_reason=row.deletion_reason,
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


def _joined(transaction: FromClause, sealed: FromClause) -> Select[Any]:
    return select(
        transaction,
        sealed.c.parent_uuid.label("sealed_parent_uuid"),
        *(sealed.c[name] for name in _SEALED),
    )


def _function(tables: SystemTables, name: str, *arguments: Any) -> Function[Any]:
    return Function(name, *arguments, packagenames=(tables.schema,))


__all__ = ["all_nodes", "commit_from", "commits_by_transaction", "select_commits", "select_nodes"]
