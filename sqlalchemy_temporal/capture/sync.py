"""Bring a table's history and triggers into step with what the live table now is."""

from __future__ import annotations

from sqlalchemy import Connection, Table, text

from sqlalchemy_temporal.capture.check import forget_verified, registration_of
from sqlalchemy_temporal.capture.install import (
    check_server,
    execute,
    in_one_transaction,
    install,
    install_system,
    privileges_explained,
)
from sqlalchemy_temporal.ddl import elements
from sqlalchemy_temporal.ddl.postgresql.quoting import Quoter
from sqlalchemy_temporal.ddl.postgresql.table import TableSql
from sqlalchemy_temporal.ddl.reflect import reflect_table
from sqlalchemy_temporal.ddl.spec import TableSpec
from sqlalchemy_temporal.errors import ConfigurationError, SchemaDriftError
from sqlalchemy_temporal.schema import options_of

_COLUMN_TYPES = text(
    """
    SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type
    FROM pg_attribute a
    WHERE a.attrelid = to_regclass(:name) AND a.attnum > 0 AND NOT a.attisdropped
    """
)


def sync_versioning(connection: Connection, table: Table) -> None:
    """Make history record what the live table now has; repeatable.

    Columns that the live table gained are added to its history (NULL in versions from
    before), columns it lost stay there, and the trigger functions are made anew. A table
    that is not versioned in this database yet is set up.

    Parameters:
        connection: a connection of a role that owns the table; all in one transaction.
        table: a table declared versioned.

    Raises:
        SchemaDriftError: a column has another type in history than in the live table.
        PrivilegeError: the role may not do it.
    """
    options = options_of(table)
    if options is None:
        raise ConfigurationError(f"table {table.fullname!r} is not declared versioned")
    check_server(connection)
    key = tuple(str(column.name) for column in table.primary_key.columns)
    with in_one_transaction(connection), privileges_explained(table.fullname):
        install_system(connection, options.schema)
        live = reflect_table(connection, table.schema, table.name, options, key=key)
        if not live.has_system_column or registration_of(connection, live.spec) is None:
            install(connection, table)
            return
        _add_columns(connection, live.spec)
        execute(
            connection,
            [
                elements.DropView(live.spec),
                elements.DropCapture(live.spec),
                elements.CreateCapture(live.spec),
                elements.CreateView(live.spec),
                elements.Register(live.spec),
            ],
        )
    forget_verified(connection)


def _add_columns(connection: Connection, spec: TableSpec) -> None:
    sql = TableSql(spec, Quoter(connection.dialect))
    live, history = (
        {
            row.name: row.type
            for row in connection.execute(_COLUMN_TYPES, {"name": name.replace("%%", "%")})
        }
        for name in (sql.live, sql.history)
    )
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
    for name in spec.column_names:
        if name not in history:
            connection.exec_driver_sql(
                f"ALTER TABLE {sql.history} ADD COLUMN {sql.quote.name(name)} {live[name]}"
            )
