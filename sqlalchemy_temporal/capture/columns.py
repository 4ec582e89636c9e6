"""Whether a history table that is there fits the live table, and making it fit."""

from __future__ import annotations

from sqlalchemy import Connection, text

from sqlalchemy_temporal.capture import sqlite
from sqlalchemy_temporal.capture.check import Registration
from sqlalchemy_temporal.ddl.postgresql.quoting import Quoter
from sqlalchemy_temporal.ddl.postgresql.table import TableSql
from sqlalchemy_temporal.ddl.spec import TableSpec
from sqlalchemy_temporal.errors import ConfigurationError, SchemaDriftError

_COLUMN_TYPES = text(
    """
    SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type
    FROM pg_attribute a
    WHERE a.attrelid = to_regclass(:name) AND a.attnum > 0 AND NOT a.attisdropped
    """
)


def prepare_again(connection: Connection, spec: TableSpec, known: Registration) -> None:
    """Make the history of a disabled table fit what the live table is by now.

    Raises:
        SchemaDriftError: it is not disabled and yet has no system column, its key is another
            one, or a column has another type than in history.
        ConfigurationError: it is to have another history table.
    """
    advice = "or drop its history with disable_temporal_versioning(..., drop_history=True)"
    if known.disabled_tx_id is None:
        raise SchemaDriftError(
            f"table {spec.qualified!r} is registered as versioned, but its system column is "
            f"gone, so what was recorded cannot go on. Restore it, {advice}"
        )
    if known.history != (spec.history_schema, spec.history_table):
        raise ConfigurationError(
            f"table {spec.qualified!r} was versioned before, with the history table "
            f"{'.'.join(known.history)!r}. Give the same schema and history_table_suffix, {advice}"
        )
    if known.key != spec.key:
        raise SchemaDriftError(
            f"table {spec.qualified!r} was versioned before, with the key "
            f"({', '.join(known.key)}) instead of ({', '.join(spec.key)}). Restore that key, "
            f"{advice}"
        )
    add_columns(connection, spec)


def add_columns(connection: Connection, spec: TableSpec) -> None:
    """Add the columns to history that the live table gained.

    Raises:
        SchemaDriftError: a column has another type in history than in the live table.
    """
    if connection.dialect.name == "sqlite":
        sqlite.add_columns(connection, spec)
        return
    refuse_retyped(connection, spec)
    sql = TableSql(spec, Quoter(connection.dialect))
    live, history = _types(connection, sql.live), _types(connection, sql.history)
    for name in spec.column_names:
        if name not in history:
            connection.exec_driver_sql(
                f"ALTER TABLE {sql.history} ADD COLUMN {sql.quote.name(name)} {live[name]}"
            )


def refuse_retyped(connection: Connection, spec: TableSpec) -> None:
    """Raise when a column has another type in history than in the live table.

    Raises:
        SchemaDriftError: there are such columns; it names them.
    """
    if connection.dialect.name == "sqlite":
        return  # history keeps every value as it is
    sql = TableSql(spec, Quoter(connection.dialect))
    live, history = _types(connection, sql.live), _types(connection, sql.history)
    retyped = [
        f"{name} ({history[name]} in history, {live[name]} in the table)"
        for name in spec.column_names
        if name in history and history[name] != live[name]
    ]
    if retyped:
        raise SchemaDriftError(
            f"table {spec.qualified!r}: column(s) changed type: {', '.join(retyped)}. Convert "
            f"the history column with ALTER TABLE {sql.history} ALTER COLUMN ... TYPE ... "
            "USING ..., then call sync_versioning again"
        )


def _types(connection: Connection, relation: str) -> dict[str, str]:
    """The types of the columns of a quoted relation."""
    rows = connection.execute(_COLUMN_TYPES, {"name": relation.replace("%%", "%")})
    return {row.name: row.type for row in rows}
