"""Bring a table's history and triggers into step with what the live table now is."""

from __future__ import annotations

from sqlalchemy import Connection, Table

from sqlalchemy_temporal.capture.check import forget_verified, registration_of
from sqlalchemy_temporal.capture.columns import add_columns
from sqlalchemy_temporal.capture.install import (
    check_server,
    execute,
    in_one_transaction,
    install,
    install_system,
    privileges_explained,
)
from sqlalchemy_temporal.ddl import elements
from sqlalchemy_temporal.ddl.hashable import refuse_unhashable
from sqlalchemy_temporal.ddl.reflect import reflect_table
from sqlalchemy_temporal.ddl.spec import TableSpec, refuse_without_triggers
from sqlalchemy_temporal.errors import ConfigurationError
from sqlalchemy_temporal.schema import options_of


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
        UnhashableTypeError: a column has a type that cannot be hashed.
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
        bring_into_step(connection, live.spec)
    forget_verified(connection)


def bring_into_step(connection: Connection, spec: TableSpec) -> None:
    """Make the history and the triggers of an enabled table those of ``spec``.

    Raises:
        SchemaDriftError: a column has another type in history than in the live table.
        UnhashableTypeError: a column has a type that cannot be hashed.
    """
    refuse_unhashable(connection, spec)
    refuse_without_triggers(spec)
    add_columns(connection, spec)
    execute(
        connection,
        [
            elements.DropView(spec),
            elements.DropCapture(spec),
            elements.CreateHistoryIndexes(spec),
            elements.AdoptRows(spec),
            elements.CreateCapture(spec),
            elements.CreateView(spec),
            elements.Register(spec),
        ],
    )
