"""SQLite's part in reading the past."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, column, func, select

from sqlalchemy_temporal.reading.functions import SQLITE


class SQLiteRules:
    """Lists of ids as JSON."""

    functions = SQLITE
    block = None

    def in_block(
        self, block: ColumnElement[int], blocks: ColumnElement[Any]
    ) -> ColumnElement[bool]:
        """``block IN`` the values of a JSON list."""
        return block.in_(self._values(blocks))

    def in_flight(self, tx: ColumnElement[int], ids: ColumnElement[Any]) -> ColumnElement[bool]:
        """``tx IN`` the values of a JSON list."""
        return tx.in_(self._values(ids))

    def not_in_flight(self, tx: ColumnElement[int], ids: ColumnElement[Any]) -> ColumnElement[bool]:
        """``tx NOT IN`` the values of a JSON list."""
        return tx.not_in(self._values(ids))

    def _values(self, ids: ColumnElement[Any]) -> Any:
        return select(column("value")).select_from(func.json_each(ids))
