"""Soft deletion of a commit from the log: a mark on it, and nothing else.

Data, history and the chain of commits stay as they are, so moments, diffs and hashes are
the same as before.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, func, null, select, update

from sqlalchemy_temporal.clock.describe import current_actor
from sqlalchemy_temporal.clock.resolve import When, resolve
from sqlalchemy_temporal.clock.seal import seal, seal_apart
from sqlalchemy_temporal.errors import CommitError
from sqlalchemy_temporal.schema import SystemTables


def delete_commit(
    connection: Connection,
    tables: SystemTables,
    when: When,
    author: str | None,
    reason: str | None,
) -> int:
    """Mark a commit as deleted from the log; return its sequence number.

    Raises:
        MomentError: ``when`` names no commit.
        CommitError: it is deleted already, or cannot be sealed just now.
    """
    marks = {
        "deleted_at": func.current_timestamp(),
        "deleted_by": author or current_actor().author,
        "deletion_reason": reason,
    }
    return _mark(connection, tables, when, marks, deleted=False)


def undelete_commit(connection: Connection, tables: SystemTables, when: When) -> int:
    """Take the mark away again; return the commit's sequence number.

    Raises:
        MomentError: ``when`` names no commit.
        CommitError: it is not deleted.
    """
    marks = {"deleted_at": null(), "deleted_by": null(), "deletion_reason": null()}
    return _mark(connection, tables, when, marks, deleted=True)


def _mark(
    connection: Connection,
    tables: SystemTables,
    when: When,
    marks: dict[str, Any],
    *,
    deleted: bool,
) -> int:
    commit = tables.commit
    moment = resolve(connection, when, tables.schema)
    _make_sealed(connection, tables, moment.seq)
    at = commit.c.deleted_at
    result = connection.execute(
        update(commit)
        .where(commit.c.seq == moment.seq, at.is_not(None) if deleted else at.is_(None))
        .values(marks)
    )
    if result.rowcount == 0:
        state = "not deleted" if deleted else "deleted already"
        raise CommitError(f"the commit {moment.uuid} is {state}")
    return moment.seq


def _make_sealed(connection: Connection, tables: SystemTables, seq: int) -> None:
    """Seal the commit ``seq``, as only sealed commits can carry a mark."""
    found = select(tables.commit.c.seq).where(tables.commit.c.seq == seq)
    if connection.scalar(found) is None:
        seal_apart(connection, tables.schema)
    if connection.scalar(found) is None:
        seal(connection, tables.schema)
    if connection.scalar(found) is None:
        raise CommitError(
            "the commit could not be sealed: somebody else is sealing just now, or the "
            "transaction is read-only or has a fixed snapshot; try again in a new transaction"
        )


__all__ = ["delete_commit", "undelete_commit"]
