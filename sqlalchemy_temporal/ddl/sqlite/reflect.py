"""Describe a live table from the schema of a SQLite database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, text

from sqlalchemy_temporal.ddl.spec import ColumnSpec, LiveTable, TableSpec, check_columns
from sqlalchemy_temporal.errors import ConfigurationError, MissingKeyError, NotInstalledError
from sqlalchemy_temporal.naming import VersioningOptions, current_name
from sqlalchemy_temporal.stored import no_schemas

_TABLE = text(
    "SELECT type, sql FROM sqlite_master WHERE name = :name COLLATE NOCASE "
    "AND type IN ('table', 'view')"
)
_COLUMNS = text("SELECT name, type, pk, hidden FROM pragma_table_xinfo(:name) ORDER BY cid")
_FOREIGN_KEYS = text(
    'SELECT id, "from" AS name FROM pragma_foreign_key_list(:name) ORDER BY id, seq'
)
_UNIQUES = text('SELECT name FROM pragma_index_list(:name) WHERE "unique" ORDER BY seq')
_INDEXED = text("SELECT name, coll, cid FROM pragma_index_xinfo(:name) WHERE key ORDER BY seqno")
_TRIAL = "temporal_trial_of_collations"
_VIRTUAL = 1  # of a virtual table; 2 and 3 are generated columns


def reflect_table(
    connection: Connection,
    schema: str | None,
    name: str,
    options: VersioningOptions,
    *,
    key: tuple[str, ...] = (),
    lenient: bool = False,
) -> LiveTable:
    """Describe the table ``name`` as it is in the database.

    Parameters:
        connection: where to look.
        schema: None; SQLite has no schemas.
        name: the table's name.
        options: how it is versioned.
        key: the key columns to use when the table has no primary key constraint.
        lenient: pass over columns that the options name and the table no longer has.

    Raises:
        NotInstalledError: there is no such table.
        MissingKeyError: it has no primary key.
        ConfigurationError: it cannot be versioned: it has a schema, it is a view or a
            virtual table, an excluded column does not exist or belongs to the key, or a
            unique index is on an expression.
    """
    if schema is not None and schema != "public":
        raise no_schemas(f"{schema}.{name}")
    found = connection.execute(_TABLE, {"name": name}).one_or_none()
    if found is None:
        raise NotInstalledError(f"there is no table {name!r} in this database")
    if found.type != "table" or found.sql.upper().startswith("CREATE VIRTUAL"):
        raise ConfigurationError(f"{name!r} is not an ordinary table")
    rows = connection.execute(_COLUMNS, {"name": name}).all()
    in_key = sorted((row for row in rows if row.pk), key=lambda row: row.pk)
    primary = tuple(str(row.name) for row in in_key) or key
    if not primary:
        raise MissingKeyError(
            f"table {name!r} has no primary key, so its rows cannot be followed through "
            "time; add one, or name the identifying columns in the model's primary key"
        )
    if lenient:
        options = options.fitting({str(row.name) for row in rows})
    check_columns(name, {row.name for row in rows}, primary, options)
    collations = _collations(connection, name, found.sql, rows)
    columns = tuple(
        ColumnSpec(row.name, row.hidden > _VIRTUAL, None, row.type, collations.get(row.name))
        for row in rows
    )
    kept = tuple(column for column in columns if column.name not in options.exclude)
    recorded = {column.name for column in kept}
    spec = TableSpec(
        schema=None,
        name=name,
        columns=kept,
        key=primary,
        foreign_keys=tuple(f for f in _foreign_keys(connection, name) if set(f) <= recorded),
        options=options,
        unrecorded=tuple(c for c in columns if c.name in options.exclude),
        uniques=unique_indexes(connection, name, primary),
    )
    current = current_name(None, name, options)
    has_current = connection.execute(_TABLE, {"name": current}).one_or_none() is not None
    return LiveTable(spec, has_current, inherits_system_column=False, children=(), partitions=())


def _foreign_keys(connection: Connection, name: str) -> list[tuple[str, ...]]:
    found: dict[int, list[str]] = {}
    for row in connection.execute(_FOREIGN_KEYS, {"name": name}):
        found.setdefault(row.id, []).append(row.name)
    return sorted({tuple(columns) for columns in found.values()})


def unique_indexes(
    connection: Connection, name: str, key: tuple[str, ...]
) -> tuple[tuple[tuple[str, str | None], ...], ...]:
    """The columns of unique indexes but the primary key, with collations other than bytes.

    Raises:
        ConfigurationError: an index is on an expression.
    """
    found = []
    for index in connection.scalars(_UNIQUES, {"name": name}).all():
        columns = connection.execute(_INDEXED, {"name": index}).all()
        if any(column.name is None for column in columns):
            raise ConfigurationError(
                f"table {name!r}: the unique index {index!r} is on an expression, so rows that "
                "REPLACE deletes because of it could not be recorded. Make a generated column "
                "of the expression and the index on that"
            )
        if tuple(column.name for column in columns) != key:
            found.append(tuple((c.name, _other(c.coll)) for c in columns))
    return tuple(sorted(found))


def _other(collation: str) -> str | None:
    return None if collation.upper() == "BINARY" else collation


def _collations(
    connection: Connection, name: str, sql: str, rows: Sequence[Row[Any]]
) -> dict[str, str]:
    """The columns that compare in another way than by bytes.

    SQLite tells the collation of indexed columns only, so an empty index tries them all.
    """
    if "COLLATE" not in sql.upper():
        return {}
    quote = connection.dialect.identifier_preparer.quote
    listed = ", ".join(quote(row.name) for row in rows)
    connection.exec_driver_sql(f"CREATE INDEX {_TRIAL} ON {quote(name)} ({listed}) WHERE 0")
    found = connection.execute(_INDEXED, {"name": _TRIAL}).all()
    connection.exec_driver_sql(f"DROP INDEX {_TRIAL}")
    return {row.name: row.coll for row in found if _other(row.coll)}
