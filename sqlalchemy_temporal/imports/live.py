"""Write the system column of live rows, and nothing else, on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import Connection, text

from sqlalchemy_temporal.ddl.postgresql.quoting import Quoter

_TRIGGERS: Final = text(
    "SELECT t.tgname AS name, t.tgenabled::text AS state FROM pg_trigger t "
    "WHERE t.tgrelid = to_regclass(:name) AND NOT t.tgisinternal AND t.tgenabled <> 'D' "
    "ORDER BY t.tgname"
)
_ENABLE: Final = {"O": "ENABLE", "A": "ENABLE ALWAYS", "R": "ENABLE REPLICA"}


@contextmanager
def without_triggers(connection: Connection, schema: str, name: str) -> Iterator[None]:
    """Have no trigger of a table run in the block, neither ours nor the application's.

    The table belongs to the role and is locked, so nobody else writes meanwhile. Each trigger
    is as it was afterwards.

    Parameters:
        connection: in a transaction.
        schema: the table's schema.
        name: the table's name.
    """
    quote = Quoter(connection.dialect)
    table = quote.qualified(schema, name)
    found = connection.execute(_TRIGGERS, {"name": table.replace("%%", "%")}).all()
    for row in found:
        connection.exec_driver_sql(f"ALTER TABLE {table} DISABLE TRIGGER {quote.name(row.name)}")
    yield
    for row in found:
        connection.exec_driver_sql(
            f"ALTER TABLE {table} {_ENABLE[row.state]} TRIGGER {quote.name(row.name)}"
        )


__all__ = ["without_triggers"]
