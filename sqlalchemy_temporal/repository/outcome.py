"""What an operation did, and the commit it became."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row

from sqlalchemy_temporal.clock.commit import Commit
from sqlalchemy_temporal.clock.commits import commit_from, select_nodes
from sqlalchemy_temporal.clock.own import own_transaction_id
from sqlalchemy_temporal.errors import CommitError

Lookup = Callable[[int], Commit | None]
"""Finds the commit of a transaction, once there is one."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an operation did.

    Attributes:
        operation: ``RESTORE``, ``CHECKOUT``, ``ROLLBACK``, ``REVERT`` or ``COMMIT``.
        target: the commit whose state was the aim, or that was undone.
        changes: the rows written, by table and operation.
        unknown: tables that were left as they are, because nothing is recorded of them at
            the target, and why.
        conflicts: for ``REVERT``, rows that were changed again since.
        tx_id: the transaction it happened in; None when it has written nothing.
    """

    operation: str
    target: UUID | None
    changes: Mapping[str, Mapping[str, int]]
    unknown: Mapping[str, str] = field(default_factory=dict)
    conflicts: Sequence[Any] = ()
    tx_id: int | None = None
    lookup: Lookup | None = field(default=None, repr=False)

    def __bool__(self) -> bool:
        """Whether anything was written."""
        return self.tx_id is not None

    @property
    def commit(self) -> Commit:
        """The commit it became.

        Raises:
            CommitError: the transaction has not been committed yet, or nothing was written.
        """
        if self.tx_id is None:
            raise CommitError(f"{self.operation} found nothing to change, so there is no commit")
        found = self.lookup(self.tx_id) if self.lookup else None
        if found is None:
            raise CommitError(
                f"{self.operation} is part of a transaction that is not committed yet; commit "
                "it, then ask for the commit"
            )
        return found


@dataclass(frozen=True, slots=True)
class Executed:
    """What :meth:`Repository.execute` did.

    Attributes:
        rows: the rows the statement returned; empty when it returns none.
        rowcount: the rows it wrote or matched, as the driver says; -1 when it does not.
        outcome: the operation, with its commit.
    """

    rows: list[Row[Any]]
    rowcount: int
    outcome: Outcome

    @property
    def commit(self) -> Commit:
        """The commit it became; see :attr:`Outcome.commit`."""
        return self.outcome.commit


def commit_of(connection: Connection, schema: str, tx_id: int) -> Commit | None:
    """The commit that the transaction became; None while it is under way."""
    if own_transaction_id(connection, schema) == tx_id:
        return None  # stamped early perhaps, but not committed
    statement, nodes = select_nodes(connection, schema)
    row = connection.execute(statement.where(nodes.c.tx_id == tx_id)).one_or_none()
    return None if row is None else commit_from(row)


__all__ = ["Executed", "Lookup", "Outcome", "commit_of"]
