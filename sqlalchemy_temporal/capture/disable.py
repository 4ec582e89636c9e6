"""Stop recording a table and keep its history."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection

from sqlalchemy_temporal.capture.check import forget_verified, registration_of
from sqlalchemy_temporal.capture.install import (
    check_server,
    execute,
    in_one_transaction,
    install_system,
    privileges_explained,
    system_exists,
)
from sqlalchemy_temporal.ddl import elements
from sqlalchemy_temporal.ddl.reflect import reflect_table
from sqlalchemy_temporal.ddl.spec import LiveTable
from sqlalchemy_temporal.errors import ConfigurationError, NotInstalledError
from sqlalchemy_temporal.naming import VersioningOptions, qualified_name


def disable(
    connection: Connection, schema: str | None, name: str, options: VersioningOptions
) -> bool:
    """Stop recording a table; its history stays, and moments up to now can be read.

    What the table has now is copied into history, as ended by this transaction, and the
    triggers and the system column are removed. Moments from this transaction on are refused
    (``VersioningGapError``) until versioning is enabled again, which begins with a new
    baseline. Other sessions may read the table while the rows are copied, and not write it.

    Parameters:
        connection: a connection of a role that owns the table; all in one transaction.
        schema: the table's schema; None for the first match on the search path.
        name: the table's name.
        options: how it is versioned.

    Returns:
        Whether it was enabled; False when it was disabled already.

    Raises:
        NotInstalledError: the table is not versioned in this database.
        ConfigurationError: it inherits from a versioned table, which is to be disabled.
        PrivilegeError: the role may not do it.
    """
    check_server(connection)
    label = qualified_name(schema, name)
    if not system_exists(connection, options.schema):
        raise NotInstalledError(f"table {label!r} is not versioned in this database")
    with in_one_transaction(connection), privileges_explained(label):
        install_system(connection, options.schema)
        live = reflect_table(connection, schema, name, options)
        if live.inherits_system_column:
            raise ConfigurationError(
                f"table {label!r} inherits from a versioned table and is recorded with it; "
                "disable the versioning of the table it inherits from"
            )
        done = _disable(connection, live)
    forget_verified(connection)
    return done


def _disable(connection: Connection, live: LiveTable) -> bool:
    spec = live.spec
    known = registration_of(connection, spec)
    if known is None:
        raise NotInstalledError(f"table {spec.qualified!r} is not versioned in this database")
    if known.disabled_tx_id is not None:
        return False
    for schema, name in live.children:
        child = reflect_table(connection, schema, name, spec.options, key=spec.key)
        _disable(connection, child)
    for schema, name in live.partitions:
        execute(connection, [elements.DropCatchTruncate(spec, schema, name)])
    # What was recorded may be less than what the table has now.
    recorded = tuple(column for column in spec.columns if column.name in known.columns)
    plan = list(elements.disable(replace(spec, columns=recorded), keep_history=True))
    if live.inherits_system_column:
        plan = [e for e in plan if not isinstance(e, elements.DropSystemColumn)]
    execute(connection, plan)
    return True
