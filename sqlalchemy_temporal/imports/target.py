"""The tables whose history is imported, and their staged rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Integer, Table, inspect
from sqlalchemy.exc import NoInspectionAvailable
from sqlalchemy.sql import table as table_clause
from sqlalchemy.sql.elements import quoted_name
from sqlalchemy.sql.expression import ColumnClause, TableClause
from sqlalchemy.sql.expression import column as column_clause

from sqlalchemy_temporal.capture.by_name import install_named
from sqlalchemy_temporal.capture.install import check_server, install
from sqlalchemy_temporal.ddl.reflect import reflect_table
from sqlalchemy_temporal.ddl.spec import TableSpec
from sqlalchemy_temporal.errors import HistoryImportError
from sqlalchemy_temporal.naming import (
    END_COLUMN,
    FROM_COLUMN,
    OPERATION_COLUMN,
    TO_COLUMN,
    TX_COLUMN,
    VersioningOptions,
    current_name,
)
from sqlalchemy_temporal.schema import has_schemas, is_versioned, options_of

Entity = type[Any] | Table | str
"""A mapped class, a ``Table``, or ``"name"`` or ``"schema.name"``."""

NUMBER = "temporal_import_number"
ALIVE = "temporal_import_alive"
STATE = "temporal_import_state"
"""Columns of staged rows: the transaction, whether the row exists after it, and (of the
last state of each row) how it compares with the live table."""


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """One table whose history is imported.

    Attributes:
        spec: the table, as its history will be made for it.
        declared: its declaration, if it is versioned by one.
        schema: its schema; None where there are none.
        live: the live table, with the system column where the database has it there.
        current: the table that says who wrote each row, where that is not the live table.
        history: the history table.
        staged: every recorded state of every row.
        last: the last recorded state of each row that exists after it.
    """

    spec: TableSpec
    declared: Table | None
    schema: str | None
    live: TableClause
    current: TableClause
    history: TableClause
    staged: TableClause
    last: TableClause

    @property
    def columns(self) -> tuple[str, ...]:
        """The recorded columns."""
        return self.spec.column_names

    def install(self, connection: Connection) -> None:
        """Begin to version the table."""
        if self.declared is not None:
            install(connection, self.declared)
        else:
            install_named(connection, self.schema, self.spec.name, self.spec.options)


def _target(
    connection: Connection, spec: TableSpec, declared: Table | None, position: int
) -> Target:
    temporary, columns = temporary_schema(connection), spec.column_names
    schemas = has_schemas(connection.dialect)
    schema, history_schema = (spec.live_schema, spec.history_schema) if schemas else (None, None)
    system = (OPERATION_COLUMN, TX_COLUMN, END_COLUMN, FROM_COLUMN, TO_COLUMN)
    current = current_name(spec.schema, spec.name, spec.options)
    staged = f"temporal_import_{position}"
    return Target(
        spec=spec,
        declared=declared,
        schema=schema,
        live=_clause(spec.name, schema, (*columns, TX_COLUMN)),
        current=_clause(current, None, (*spec.key, TX_COLUMN)),
        history=_clause(spec.history_table, history_schema, (*columns, *system)),
        staged=_clause(staged, temporary, (*columns, NUMBER, ALIVE)),
        last=_clause(f"{staged}_last", temporary, (*columns, NUMBER, STATE)),
    )


def numbers(connection: Connection) -> TableClause:
    """The temporary table of the source's transactions and their numbers."""
    return _clause("temporal_import_numbers", temporary_schema(connection), ("source", NUMBER))


def temporary_schema(connection: Connection) -> str:
    """How temporary tables are qualified."""
    return "pg_temp" if has_schemas(connection.dialect) else "temp"


def streaming(connection: Connection) -> dict[str, Any]:
    """Execution options for reading many rows, a few in memory at a time.

    asyncpg closes cursors with their transaction only, and until then their tables, among them
    temporary ones, cannot be altered or dropped: there all rows are read at once.
    """
    if connection.dialect.driver == "asyncpg":
        return {}
    return {"stream_results": True, "yield_per": 1000}


def _clause(name: str, schema: str | None, columns: Iterable[str]) -> TableClause:
    # Typed as little as they can be: values go from table to table within the database.
    typed: list[ColumnClause[Any]] = [
        column_clause(each, Integer if each in (NUMBER, ALIVE, STATE, TX_COLUMN) else None)
        for each in dict.fromkeys(columns)
    ]
    if schema is None:
        return table_clause(quoted_name(name, None), *typed)
    return table_clause(quoted_name(name, None), *typed, schema=schema)


def targets(connection: Connection, tables: Iterable[Entity], schema: str) -> tuple[Target, ...]:
    """Describe the tables to import the history of, as they are in the database.

    Raises:
        HistoryImportError: there are none, or one is of a kind that cannot be imported to.
    """
    check_server(connection)
    found: list[Target] = []
    for each in tables:
        for where, name, declared in _named(each):
            options = (declared is not None and options_of(declared)) or VersioningOptions(
                schema=schema
            )
            spec = reflect_table(connection, where, name, options).spec
            if spec.kind != "ordinary":
                raise HistoryImportError(
                    f"table {spec.qualified!r} is partitioned or belongs to an inheritance tree; "
                    "history can be imported for ordinary tables only"
                )
            if options.capture == "orm":
                raise HistoryImportError(
                    f"table {spec.qualified!r} is declared with capture='orm'; declare it with "
                    "capture='trigger' for the import, and change it afterwards with "
                    "sync_versioning(connection, table)"
                )
            if all(spec.qualified != known.spec.qualified for known in found):
                found.append(_target(connection, spec, declared, len(found)))
    if not found:
        raise HistoryImportError("name the tables whose history is to be imported")
    if {each.spec.options.schema for each in found} != {schema}:
        raise HistoryImportError(
            f"all tables must be declared with schema={schema!r}, which is where commits go"
        )
    return tuple(found)


def _named(entity: Entity) -> list[tuple[str | None, str, Table | None]]:
    if isinstance(entity, str):
        schema, _, name = entity.rpartition(".")
        return [(schema or None, name, None)]
    try:
        tables = [entity] if isinstance(entity, Table) else inspect(entity).tables
    except NoInspectionAvailable as error:
        raise HistoryImportError(
            f"{entity!r} is neither a mapped class nor a Table nor the name of a table"
        ) from error
    return [(each.schema, str(each.name), each if is_versioned(each) else None) for each in tables]


__all__ = [
    "ALIVE",
    "NUMBER",
    "STATE",
    "Entity",
    "Target",
    "numbers",
    "streaming",
    "targets",
    "temporary_schema",
]
