"""PostgreSQL's part in reading the past."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, all_, any_, literal_column

from sqlalchemy_temporal.reading.functions import POSTGRESQL


class PostgreSQLRules:
    """Array parameters."""

    functions = POSTGRESQL

    def in_flight(self, tx: ColumnElement[int], ids: ColumnElement[Any]) -> ColumnElement[bool]:
        """``tx + 0 = ANY (ids)``: one array parameter, so that the SQL is always the same.

        ``+ 0`` keeps the planner from answering ``tx > hi OR tx = ANY (ids)`` by the union
        of two index scans, which reads all later versions of a row (×4 for 5,000 of them).
        """
        return (tx + literal_column("0")) == any_(ids)

    def not_in_flight(self, tx: ColumnElement[int], ids: ColumnElement[Any]) -> ColumnElement[bool]:
        """``tx <> ALL (ids)``."""
        return tx != all_(ids)
