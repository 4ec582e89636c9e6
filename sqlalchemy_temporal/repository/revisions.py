"""Ranges of commits: ``a..b``, ``a...b``, or everything that led to one commit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, select

from sqlalchemy_temporal.clock.commits import all_nodes
from sqlalchemy_temporal.clock.moment import Moment
from sqlalchemy_temporal.clock.resolve import When, resolve
from sqlalchemy_temporal.repository.dag import Range, load_dag
from sqlalchemy_temporal.schema import SystemTables

HEAD: Final = "HEAD"
MOVES: Final = ("SWITCH", "CHECKOUT", "FAST_FORWARD")
"""Operations that change no content: they show what their parent has."""


def ranges_of(
    connection: Connection, tables: SystemTables, revisions: When, *, first_parent: bool = False
) -> list[Range]:
    """The sequence numbers of the commits that ``revisions`` means, newest range first.

    Parameters:
        connection: where to ask.
        tables: the library's own tables.
        revisions: ``"a..b"`` for the ancestors of b that are none of a (HEAD where a side
            is left out), ``"a...b"`` for those of either that are not of both, anything
            else for a commit and its ancestors.
        first_parent: follow only the first parent of merges.

    Raises:
        MomentError: a side names no commit.
    """
    left, dots, right = split(revisions)
    end = resolve(connection, right, tables.schema)
    start = resolve(connection, left, tables.schema) if dots else end
    dag = load_dag(connection, tables, max(start.seq, end.seq))
    if not dots:
        return dag.ancestry(end.seq, first_parent=first_parent)
    found = dag.between(start.seq, end.seq, first_parent=first_parent)
    if dots == "...":
        found += dag.between(end.seq, start.seq, first_parent=first_parent)
        found.sort(reverse=True)
    return found


def split(revisions: When) -> tuple[When, str, When]:
    """The two sides of a range and the dots between; without dots both sides are the same."""
    if isinstance(revisions, str):
        for dots in ("...", ".."):
            left, found, right = revisions.partition(dots)
            if found:
                return left.strip() or HEAD, dots, right.strip() or HEAD
    return revisions, "", revisions


@dataclass(frozen=True, slots=True)
class Relation:
    """How two commits stand to each other in the graph.

    Attributes:
        left: the moment of the first.
        right: the moment of the second.
        bases: the sequence numbers of their best common ancestors, newest first.
    """

    left: Moment
    right: Moment
    bases: tuple[int, ...]

    @property
    def left_is_ancestor(self) -> bool:
        """Whether the first is an ancestor of the second, or the same."""
        return self.left.seq in self.bases

    @property
    def right_is_ancestor(self) -> bool:
        """Whether the second is an ancestor of the first, or the same."""
        return self.right.seq in self.bases


def relate(connection: Connection, tables: SystemTables, left: When, right: When) -> Relation:
    """Find the best common ancestors of two commits.

    Raises:
        MomentError: one of them names no commit.
    """
    one = resolve(connection, left, tables.schema)
    two = resolve(connection, right, tables.schema)
    dag = load_dag(connection, tables, max(one.seq, two.seq))
    points = dag.merge_bases(one.seq, two.seq)
    return Relation(one, two, tuple(commit_at(connection, tables, p)[0] for p in points))


def commit_at(connection: Connection, tables: SystemTables, point: int) -> tuple[int, UUID]:
    """The sequence number and uuid of the last commit that is not after ``point``."""
    nodes = all_nodes(connection, tables)
    row = connection.execute(
        select(nodes.c.seq, nodes.c.uuid)
        .where(nodes.c.seq <= point)
        .order_by(nodes.c.seq.desc())
        .limit(1)
    ).one()
    return row.seq, row.uuid


def without_moves(connection: Connection, tables: SystemTables, moment: Moment) -> int:
    """The sequence number of the commit that ``moment`` shows the content of.

    Switches, checkouts and fast-forwards change no content: what they show is their parent's.
    """
    nodes, transaction = all_nodes(connection, tables), tables.transaction
    parent = nodes.alias("parent")
    seq = moment.seq
    while True:
        found = connection.execute(
            select(parent.c.seq)
            .select_from(nodes)
            .join(transaction, transaction.c.id == nodes.c.tx_id)
            .join(parent, parent.c.uuid == nodes.c.parent_uuid)
            .where(nodes.c.seq == seq, transaction.c.operation.in_(MOVES))
        ).scalar_one_or_none()
        if found is None:
            return seq
        seq = found


__all__ = ["MOVES", "Relation", "commit_at", "ranges_of", "relate", "split", "without_moves"]
