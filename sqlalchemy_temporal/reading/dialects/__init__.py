"""What reading the past needs to know of each database: one module per dialect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy_temporal.errors import UnsupportedDatabaseError
from sqlalchemy_temporal.reading.dialects.postgresql import PostgreSQLRules
from sqlalchemy_temporal.reading.dialects.sqlite import SQLiteRules

if TYPE_CHECKING:
    from sqlalchemy import Dialect

    from sqlalchemy_temporal.reading.dialects.rules import Rules

__all__ = ["rules_for"]


def rules_for(dialect: Dialect) -> Rules:
    """The rules of the database that ``dialect`` speaks to.

    Raises:
        UnsupportedDatabaseError: history cannot be read there.
    """
    match dialect.name:
        case "postgresql":
            return PostgreSQLRules()
        case "sqlite":
            return SQLiteRules()
        case other:
            raise UnsupportedDatabaseError(
                f"the past cannot be read on {other!r}; PostgreSQL and SQLite are supported"
            )
