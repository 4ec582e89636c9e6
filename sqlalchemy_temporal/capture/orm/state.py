"""What is known of a database connection and of its transaction, in ``Connection.info``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast

from sqlalchemy import Connection

from sqlalchemy_temporal.naming import INFO_KEY

if TYPE_CHECKING:
    from sqlalchemy_temporal.capture.orm.captured import Captured
    from sqlalchemy_temporal.capture.orm.cascades import Graph
    from sqlalchemy_temporal.capture.orm.recorder import Recorder
    from sqlalchemy_temporal.capture.orm.work import Work

_TRANSACTION: Final = f"{INFO_KEY}.recording"
_CONNECTION: Final = f"{INFO_KEY}.captured"
EXPLICIT: Final = f"{INFO_KEY}.explicit_transaction"
"""Says that a transaction was begun by hand on a connection in autocommit."""

TableName = tuple[str, str]
"""Schema and name of a table in the database."""


@dataclass(slots=True)
class Transaction:
    """What is known of the transaction under way.

    Attributes:
        tx: its id, once that was taken.
        work: what is to be done after the statement that is being executed.
        rowcount: how many rows it changed, as the driver says; None when it does not.
        locked: the tables that are locked as writers lock them.
    """

    tx: int | None = None
    work: Work | None = None
    rowcount: int | None = 0
    locked: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Known:
    """What was looked up once for a database connection.

    Attributes:
        captured: the tables that are captured here by the ORM; None until that was looked up.
        recorders: what records each of them.
        graph: what changes with what because of foreign keys; None until looked up.
    """

    captured: Captured | None = None
    recorders: dict[TableName, Recorder] = field(default_factory=dict)
    graph: Graph | None = None


def state_of(connection: Connection) -> Transaction:
    """What is known of the transaction."""
    found: Any = connection.info.get(_TRANSACTION)
    if found is None:
        found = connection.info[_TRANSACTION] = Transaction()
    return cast("Transaction", found)


def known_of(connection: Connection) -> Known:
    """What is known of the database."""
    found: Any = connection.info.get(_CONNECTION)
    if found is None:
        found = connection.info[_CONNECTION] = Known()
    return cast("Known", found)


def forget_transaction(connection: Connection, *_: object) -> None:
    """Forget what is known of the transaction: it ended, or part of it was rolled back."""
    if not connection.invalidated:  # what was known of a connection that is lost went with it
        connection.info.pop(_TRANSACTION, None)


__all__ = [
    "EXPLICIT",
    "Known",
    "TableName",
    "Transaction",
    "forget_transaction",
    "known_of",
    "state_of",
]
