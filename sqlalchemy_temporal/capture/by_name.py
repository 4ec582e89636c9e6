"""Set up and take down the versioning of tables that are known by their names only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from sqlalchemy import Connection, Row, inspect, select

from sqlalchemy_temporal.capture.check import forget_verified, registration_of
from sqlalchemy_temporal.capture.columns import refuse_retyped
from sqlalchemy_temporal.capture.disable import disable
from sqlalchemy_temporal.capture.install import (
    check_server,
    execute,
    in_one_transaction,
    install_system,
    install_table,
    privileges_explained,
    refuse_drift,
    uninstall,
)
from sqlalchemy_temporal.capture.kind import kind_mismatch
from sqlalchemy_temporal.capture.sync import bring_into_step
from sqlalchemy_temporal.clock.hooks import torn_down
from sqlalchemy_temporal.ddl import elements
from sqlalchemy_temporal.ddl.columns import identities
from sqlalchemy_temporal.ddl.reflect import reflect_table
from sqlalchemy_temporal.ddl.spec import ColumnSpec, TableKind, TableSpec
from sqlalchemy_temporal.errors import ConfigurationError, SchemaDriftError
from sqlalchemy_temporal.naming import CaptureKind, VersioningOptions, qualified_name
from sqlalchemy_temporal.schema import has_schemas, system_of

Enabling = Literal["enabled", "enabled again", "was enabled", "brought into step"]
"""What enabling did: for the first time; after it had been disabled; nothing; made history
record what the table has by now."""


@dataclass(frozen=True, slots=True)
class Installed:
    """A table that is versioned now.

    Attributes:
        spec: what its DDL was generated from.
        did: what there was to do.
    """

    spec: TableSpec
    did: Enabling


def install_named(
    connection: Connection, schema: str | None, name: str, options: VersioningOptions
) -> Installed:
    """Make the table ``schema.name`` versioned, as it is in the database; repeatable.

    Parameters:
        connection: a connection of a role that owns the table; all in one transaction.
        schema: the table's schema.
        name: the table's name.
        options: how it is to be versioned.

    Raises:
        NotInstalledError: there is no such table.
        MissingKeyError: it has no primary key.
        ConfigurationError: it cannot be versioned, or has another history table.
        SchemaDriftError: its history does not fit it any more.
        PrivilegeError: the role may not create what is needed.
        UnsupportedDatabaseError: the server cannot be used.
    """
    check_server(connection)
    label = qualified_name(schema, name)
    with in_one_transaction(connection), privileges_explained(label):
        install_system(connection, options.schema)
        live = reflect_table(connection, schema, name, options)
        if live.inherits_system_column:
            raise ConfigurationError(
                f"table {label!r} inherits from a versioned table and is recorded with it"
            )
        known = registration_of(connection, live.spec)
        did: Enabling = "enabled"
        if known is not None:
            did = "was enabled" if known.disabled_tx_id is None else "enabled again"
        if known is not None and did == "was enabled" and live.has_system_column:
            if known.history != (live.spec.history_schema, live.spec.history_table):
                raise ConfigurationError(
                    f"table {label!r} is versioned already, with the history table "
                    f"{'.'.join(known.history)!r}; give the same schema and "
                    "history_table_suffix, or disable it first"
                )
            if known.capture != options.capture:
                raise kind_mismatch(label, known.capture, options.capture)
            refuse_retyped(connection, live.spec)
            try:
                refuse_drift(connection, live.spec, known)
            except SchemaDriftError:
                bring_into_step(connection, live.spec)
                did = "brought into step"
        else:
            install_table(connection, schema, name, options, ())
    forget_verified(connection)
    return Installed(live.spec, did)


def options_registered(row: Row[Any], schema: str) -> VersioningOptions:
    """How the table of a row of ``versioned_tables`` is versioned."""
    said: Mapping[str, Any] = row.options or {}
    capture: CaptureKind = "orm" if row.capture == "orm" else "trigger"
    return VersioningOptions(
        exclude=tuple(row.excluded_columns),
        schema=schema,
        history_schema=None if row.history_schema == schema else row.history_schema,
        history_table_suffix=said.get("history_table_suffix", "_history"),
        capture=capture,
        index=tuple(tuple(names) for names in said.get("index", ())),
    )


def disable_registered(connection: Connection, row: Row[Any], schema: str) -> bool:
    """Stop recording a registered table and keep its history; see :func:`disable`."""
    options = _existing_only(connection, row, options_registered(row, schema))
    return disable(connection, row.table_schema, row.table_name, options)


def uninstall_registered(connection: Connection, row: Row[Any], schema: str) -> bool:
    """Remove everything that versioning made for a registered table, history included.

    The library's own tables go with the last registered table, and its commits with them.

    Returns:
        Whether the library's own tables were removed, too.

    Raises:
        PrivilegeError: the role may not drop it.
    """
    options = options_registered(row, schema)
    with in_one_transaction(connection):
        if inspect(connection).has_table(row.table_name, schema=_where(connection, row)):
            options = _existing_only(connection, row, options)
            uninstall(connection, row.table_schema, row.table_name, options)
        else:
            with privileges_explained(qualified_name(row.table_schema, row.table_name)):
                _uninstall_dropped(connection, row, options)
        listed = system_of(connection, schema).versioned_tables
        last = connection.execute(select(listed.c.id).limit(1)).first() is None
        if last:
            execute(connection, [elements.DropSystem(schema)])
            torn_down(connection, schema)
    forget_verified(connection)
    return last


def _existing_only(
    connection: Connection, row: Row[Any], options: VersioningOptions
) -> VersioningOptions:
    """Options without excluded columns that have been dropped since."""
    columns = inspect(connection).get_columns(row.table_name, schema=_where(connection, row))
    names = {column["name"] for column in columns}
    return replace(options, exclude=tuple(name for name in options.exclude if name in names))


def _where(connection: Connection, row: Row[Any]) -> str | None:
    """The schema to look into; None where there are none."""
    schema: str = row.table_schema
    return schema if has_schemas(connection.dialect) else None


def _uninstall_dropped(connection: Connection, row: Row[Any], options: VersioningOptions) -> None:
    """The same for a table that was itself dropped."""
    kinds: tuple[TableKind, ...] = ("ordinary", "inherited")  # which have other functions
    for kind in kinds:
        spec = TableSpec(
            schema=row.options.get("schema", row.table_schema),
            name=row.table_name,
            columns=tuple(ColumnSpec(each.name) for each in identities(row.columns)),
            key=tuple(row.key_columns),
            foreign_keys=(),
            options=options,
            kind=kind,
            found_in=row.table_schema,
        )
        plan = elements.disable(spec)
        execute(connection, [e for e in plan if not isinstance(e, elements.DropSystemColumn)])


__all__ = [
    "Enabling",
    "Installed",
    "disable_registered",
    "install_named",
    "options_registered",
    "uninstall_registered",
]
