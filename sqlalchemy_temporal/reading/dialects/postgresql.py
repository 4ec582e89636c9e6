"""PostgreSQL's part in reading the past."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Table, all_, any_, literal_column

from sqlalchemy_temporal.reading.functions import POSTGRESQL
from sqlalchemy_temporal.schema import history_table


class PostgreSQLRules:
    """Array parameters, and history in a schema of its own."""

    functions = POSTGRESQL

    def history_of(self, table: Table) -> tuple[str | None, str]:
        """The schema and name of the history table of ``table``."""
        history = history_table(table)
        return history.schema, history.name

    def in_flight(self, tx: ColumnElement[int], ids: ColumnElement[Any]) -> ColumnElement[bool]:
        """``tx + 0 = ANY (ids)``: one array parameter, so that the SQL is always the same.

        ``+ 0`` keeps the planner from answering ``tx > hi OR tx = ANY (ids)`` by the union
        of two index scans, which reads all later versions of a row (×4 for 5,000 of them).
        """
        return (tx + literal_column("0")) == any_(ids)

    def not_in_flight(self, tx: ColumnElement[int], ids: ColumnElement[Any]) -> ColumnElement[bool]:
        """``tx <> ALL (ids)``."""
        return tx != all_(ids)
