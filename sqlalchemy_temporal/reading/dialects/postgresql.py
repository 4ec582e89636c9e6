"""PostgreSQL's part in reading the past."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Table, all_, any_

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
        """``tx = ANY (ids)``: one array parameter, so that the SQL is always the same."""
        return tx == any_(ids)

    def not_in_flight(self, tx: ColumnElement[int], ids: ColumnElement[Any]) -> ColumnElement[bool]:
        """``tx <> ALL (ids)``."""
        return tx != all_(ids)
