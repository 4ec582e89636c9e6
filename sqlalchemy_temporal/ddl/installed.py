"""Which tables of a database are versioned, and how, without any model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, inspect, select, text

from sqlalchemy_temporal.ddl.columns import ColumnIdentity, identities
from sqlalchemy_temporal.naming import DEFAULT_SCHEMA, DEFAULT_SUFFIX, VersioningOptions
from sqlalchemy_temporal.schema import has_schemas, prefixed, system_of

_COMMENTED = text(
    """
    SELECT n.nspname FROM pg_namespace n
    WHERE obj_description(n.oid, 'pg_namespace') LIKE 'sqlalchemy-temporal template=%'
    ORDER BY 1
    """
)


@dataclass(frozen=True, slots=True)
class Installed:
    """A table that is versioned, or was.

    Attributes:
        schema: the schema it lies in.
        name: its name.
        declared: its schema as it was declared; None for the connection's default.
        options: how it is versioned.
        key: its key columns.
        history: schema and name of its history table.
        identities: the columns that are recorded, or were.
        fingerprint: of the SQL that was generated for it.
        enabled: whether its changes are recorded now.
    """

    schema: str
    name: str
    declared: str | None
    options: VersioningOptions
    key: tuple[str, ...]
    history: tuple[str, str]
    identities: tuple[ColumnIdentity, ...]
    fingerprint: str
    enabled: bool

    @property
    def recorded(self) -> tuple[str, ...]:
        """The names of the columns that are recorded now."""
        return tuple(column.name for column in self.identities if column.current)


def system_schemas(connection: Connection) -> tuple[str, ...]:
    """The schemas of the library's own tables in this database."""
    if has_schemas(connection.dialect):
        return tuple(connection.scalars(_COMMENTED))
    end = prefixed("", "versioned_tables")
    names = inspect(connection).get_table_names()
    return tuple(sorted(name.removesuffix(end) for name in names if name.endswith(end)))


def installed_tables(connection: Connection) -> Iterator[Installed]:
    """Every table of the database that is versioned, or was, in every such schema."""
    for schema in system_schemas(connection):
        listed = system_of(connection, schema).versioned_tables
        for row in connection.execute(select(listed).order_by(listed.c.id)).all():
            yield _installed(row, schema)


def find_installed(connection: Connection, schema: str | None, name: str) -> Installed | None:
    """How ``schema.name`` is or was versioned, or None.

    Parameters:
        connection: where to look.
        schema: the table's schema; None for the connection's default.
        name: the table's name.
    """
    wanted = schema or connection.dialect.default_schema_name or "public"
    found = [
        each
        for each in installed_tables(connection)
        if each.name == name and (each.schema == wanted or each.declared == schema)
    ]
    found.sort(key=lambda each: (not each.enabled, each.schema != wanted))
    return found[0] if found else None


def _installed(row: Row[Any], schema: str) -> Installed:
    written = row.options or {}
    apart = None if row.history_schema == schema else row.history_schema
    return Installed(
        schema=row.table_schema,
        name=row.table_name,
        declared=written.get("schema"),
        options=VersioningOptions(
            exclude=tuple(row.excluded_columns),
            schema=schema or DEFAULT_SCHEMA,
            history_schema=apart,
            history_table_suffix=written.get("history_table_suffix", DEFAULT_SUFFIX),
            capture=row.capture,
            index=tuple(tuple(columns) for columns in written.get("index", ())),
        ),
        key=tuple(row.key_columns),
        history=(row.history_schema, row.history_table),
        identities=identities(row.columns),
        fingerprint=row.fingerprint,
        enabled=row.disabled_tx_id is None,
    )


__all__ = ["Installed", "find_installed", "installed_tables", "system_schemas"]
