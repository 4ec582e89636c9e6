"""What the schema of a SQLite database says about tables."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, inspect, text
from sqlalchemy.types import NullType

from sqlalchemy_temporal.naming import qualified_name
from sqlalchemy_temporal.repository.described import (
    ColumnFacts,
    ForeignKeyInfo,
    TableFacts,
    UniqueInfo,
)

Name = tuple[str, str]

_COLUMNS = text(
    'SELECT name, type, "notnull", pk, hidden, dflt_value FROM pragma_table_xinfo(:name)'
)
_UNIQUES = text('SELECT name, partial FROM pragma_index_list(:name) WHERE "unique" ORDER BY seq')
_INDEXED = text("SELECT name FROM pragma_index_xinfo(:name) WHERE key ORDER BY seqno")
_ACTIONS = text(
    'SELECT id, "from" AS "column", on_delete, on_update '
    "FROM pragma_foreign_key_list(:name) ORDER BY id, seq"
)
_VIRTUAL = 1  # of a virtual table; 2 and 3 are generated columns


def read(connection: Connection, names: Sequence[Name]) -> dict[Name, TableFacts]:
    """The facts of those of the named tables that exist.

    Parameters:
        connection: where to look.
        names: schema (``public``) and name of each table.
    """
    inspector = inspect(connection)
    present = set(inspector.get_table_names())
    keys = _foreign_keys(connection, inspector)
    found = {}
    for schema, name in names:
        if name not in present:
            continue
        label = qualified_name(schema, name)
        found[schema, name] = TableFacts(
            columns=_columns(connection, inspector, name),
            uniques=_uniques(connection, name),
            foreign_keys=tuple(key for key in keys if key.table == label),
            referenced_by=tuple(key for key in keys if key.referred == label),
        )
    return found


def _columns(connection: Connection, inspector: Any, name: str) -> tuple[ColumnFacts, ...]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Could not instantiate type|Did not recognize type")
        types = {each["name"]: each["type"] for each in inspector.get_columns(name)}
    return tuple(
        ColumnFacts(
            name=row.name,
            type=types.get(row.name, NullType()),
            sql_type=row.type,
            not_null=bool(row.notnull) or bool(row.pk),
            generated=row.hidden > _VIRTUAL,
            default=row.dflt_value,
        )
        for row in connection.execute(_COLUMNS, {"name": name})
    )


def _uniques(connection: Connection, name: str) -> tuple[UniqueInfo, ...]:
    found = []
    for index in connection.execute(_UNIQUES, {"name": name}).all():
        columns = list(connection.scalars(_INDEXED, {"name": index.name}))
        named = all(column is not None for column in columns)
        found.append(
            UniqueInfo(index.name, tuple(columns) if named else (), partial=bool(index.partial))
        )
    return tuple(found)


def _foreign_keys(connection: Connection, inspector: Any) -> list[ForeignKeyInfo]:
    found = []
    for (_, name), keys in inspector.get_multi_foreign_keys().items():
        actions = _actions(connection, name) if keys else {}
        for number, key in enumerate(keys):
            options = key.get("options", {})
            columns = tuple(key["constrained_columns"])
            on_delete, on_update = actions.get(columns, ("NO ACTION", "NO ACTION"))
            found.append(
                ForeignKeyInfo(
                    name=key["name"] or f"{name}_fkey_{number}",
                    table=qualified_name(None, name),
                    columns=columns,
                    referred=qualified_name(None, key["referred_table"]),
                    referred_columns=tuple(key["referred_columns"]),
                    on_delete=on_delete,
                    on_update=on_update,
                    deferrable=bool(options.get("deferrable")),
                )
            )
    return found


def _actions(connection: Connection, name: str) -> dict[tuple[str, ...], tuple[str, str]]:
    """What the foreign keys of a table do, by their columns.

    SQLAlchemy reflects it only of those declared apart from their column.
    """
    rows = connection.execute(_ACTIONS, {"name": name}).all()
    columns: dict[int, tuple[str, ...]] = {}
    for row in rows:
        columns[row.id] = (*columns.get(row.id, ()), row.column)
    return {columns[row.id]: (row.on_delete, row.on_update) for row in rows}


def enforces_foreign_keys(connection: Connection) -> bool:
    """Whether this connection checks foreign keys, and lets deletions cascade."""
    return bool(connection.scalar(text("PRAGMA foreign_keys")))
