"""``repo.show()``: a commit with its place in the graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, or_

from sqlalchemy_temporal.clock.commit import Commit
from sqlalchemy_temporal.clock.commits import commit_from, select_nodes
from sqlalchemy_temporal.repository.refs import Ref
from sqlalchemy_temporal.schema import SystemTables


@dataclass(frozen=True, slots=True)
class CommitDetails:
    """A commit with its place in the graph.

    Attributes:
        commit: the commit.
        parents: the commits it was based on; a merge's second is what was merged.
        children: the commits based on it, oldest first.
        refs: the tags and branches that name it.
    """

    commit: Commit
    parents: tuple[Commit, ...]
    children: tuple[Commit, ...]
    refs: tuple[Ref, ...]


def read_details(
    connection: Connection, tables: SystemTables, commit: Commit, refs: Sequence[Ref]
) -> CommitDetails:
    """Find what stands around ``commit`` in the graph.

    Parameters:
        refs: all tags and branches.
    """
    around = _commits_around(connection, tables, commit)
    return CommitDetails(
        commit,
        tuple(around[uuid] for uuid in commit.parents if uuid in around),
        tuple(each for each in around.values() if commit.uuid in each.parents),
        tuple(ref for ref in refs if ref.commit_uuid == commit.uuid),
    )


def _commits_around(
    connection: Connection, tables: SystemTables, commit: Commit
) -> dict[UUID, Commit]:
    statement, nodes = select_nodes(connection, tables.schema)
    statement = statement.where(
        or_(
            nodes.c.uuid.in_(commit.parents),
            nodes.c.parent_uuid == commit.uuid,
            nodes.c.merge_parent_uuid == commit.uuid,
        )
    ).order_by(nodes.c.seq)
    found = map(commit_from, connection.execute(statement))
    return {each.uuid: each for each in found}


__all__ = ["CommitDetails", "read_details"]
