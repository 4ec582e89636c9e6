"""What the clock needs to know of each database: one module per dialect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection

from sqlalchemy_temporal.clock.backends.postgresql import PostgreSQLClock
from sqlalchemy_temporal.clock.backends.sqlite import SQLiteClock
from sqlalchemy_temporal.errors import UnsupportedDatabaseError

if TYPE_CHECKING:
    from sqlalchemy_temporal.clock.backends.interface import Clock

__all__ = ["clock_of"]


def clock_of(connection: Connection) -> Clock:
    """The clock of the database behind ``connection``.

    Raises:
        UnsupportedDatabaseError: transactions cannot be told apart there.
    """
    match connection.dialect.name:
        case "postgresql":
            return PostgreSQLClock()
        case "sqlite":
            return SQLiteClock()
        case other:
            raise UnsupportedDatabaseError(
                f"times cannot be resolved on the dialect {other!r}; PostgreSQL 13 or later and "
                "SQLite are supported"
            )
