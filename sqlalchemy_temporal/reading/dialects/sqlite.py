"""SQLite's part in reading the past."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Table, column, func, select

from sqlalchemy_temporal.reading.functions import SQLITE
from sqlalchemy_temporal.schema import history_table


class SQLiteRules:
    """Lists of ids as JSON, and history beside the live tables."""

    functions = SQLITE

    def history_of(self, table: Table) -> tuple[str | None, str]:
        """The name of the history table; a schema would be another database file."""
        return None, history_table(table).name

    def in_flight(self, tx: ColumnElement[int], ids: ColumnElement[Any]) -> ColumnElement[bool]:
        """``tx IN`` the values of a JSON list."""
        return tx.in_(self._values(ids))

    def not_in_flight(self, tx: ColumnElement[int], ids: ColumnElement[Any]) -> ColumnElement[bool]:
        """``tx NOT IN`` the values of a JSON list."""
        return tx.not_in(self._values(ids))

    def _values(self, ids: ColumnElement[Any]) -> Any:
        return select(column("value")).select_from(func.json_each(ids))
