"""Say so when versions cannot be read because the table is not versioned now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import inspect
from sqlalchemy.exc import DBAPIError

from sqlalchemy_temporal.ddl import keys
from sqlalchemy_temporal.errors import NotInstalledError
from sqlalchemy_temporal.naming import TX_COLUMN
from sqlalchemy_temporal.schema import history_table

_UNDEFINED = ("42703", "42P01", "3F000")
"""Undefined column, table, schema (PostgreSQL docs, appendix A)."""


@contextmanager
def versions_readable(bind: Mapping[str, Any]) -> Iterator[None]:
    """Run the block; explain an error that means the table has no versions now.

    Parameters:
        bind: the bind arguments of the statement, which name the mapper.

    Raises:
        NotInstalledError: the table was never set up for versioning, or it was disabled.
    """
    try:
        yield
    except DBAPIError as error:
        table: Any = inspect(bind["mapper"]).local_table
        said = str(error.orig)
        missing = keys.sqlstate(error) in _UNDEFINED or said.startswith("no such")
        if not missing or not any(name in said for name in (TX_COLUMN, history_table(table).name)):
            raise
        raise NotInstalledError(
            f"table {table.fullname!r} is not versioned in this database now, so its versions "
            "cannot be read through the model. If it was disabled, "
            f"get_row_history(session, {table.name!r}, key) and as_of() still read its past; "
            "create_all() or sync_versioning(connection, table) versions it again"
        ) from error


__all__ = ["versions_readable"]
