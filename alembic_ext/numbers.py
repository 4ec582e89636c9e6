"""Texts that SQLite's CAST would make nought without a word."""

from __future__ import annotations

import re
from typing import Any, Final

from sqlalchemy import ColumnClause, Connection, column, func, select, table

from sqlalchemy_temporal.ddl.evolve import Retype
from sqlalchemy_temporal.ddl.spec import TableSpec
from sqlalchemy_temporal.errors import HistoryConversionError

_NUMERIC: Final = re.compile(r"INT|REAL|FLOA|DOUB|NUMERIC|DECIMAL", re.IGNORECASE)
_NAMED_ROWS: Final = 10


def refuse_unconvertible(connection: Connection, spec: TableSpec, change: Retype) -> None:
    """Raise when a version has a text in the column that is no number and shall be one.

    Raises:
        HistoryConversionError: there are such versions; it names them.
    """
    if not _NUMERIC.search(change.type):
        return
    failed: list[str] = []
    for name in (spec.name, spec.history_table):
        keys: list[ColumnClause[Any]] = [column(key) for key in spec.key]
        value: ColumnClause[Any] = column(change.column)
        rows = connection.execute(
            select(*keys, value)
            .select_from(table(name, *keys, value))
            .where(func.typeof(value) == "text")
        )
        for row in rows:
            if not _is_number(row[-1]):
                key = ", ".join(f"{k}={v}" for k, v in zip(spec.key, row, strict=False))
                failed.append(f"{key} in {name}: {row[-1]!r}")
    if failed:
        raise HistoryConversionError(
            f"versions of {spec.name!r} cannot have column {change.column!r} as {change.type}: "
            + "; ".join(failed[:_NAMED_ROWS])
        )


def _is_number(written: str) -> bool:
    try:
        float(written)
    except ValueError:
        return False
    return True


__all__ = ["refuse_unconvertible"]
