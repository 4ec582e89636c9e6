"""What installing and checking need to know of SQLite."""

from __future__ import annotations

import hashlib

from sqlalchemy import Connection, Table, bindparam, select, text

from sqlalchemy_temporal.capture.kind import kind_mismatch
from sqlalchemy_temporal.ddl.columns import identities
from sqlalchemy_temporal.ddl.postgresql.quoting import Quoter
from sqlalchemy_temporal.ddl.spec import TableSpec
from sqlalchemy_temporal.ddl.sqlite.reflect import unique_indexes
from sqlalchemy_temporal.ddl.sqlite.system import TEMPLATE, SystemSql
from sqlalchemy_temporal.ddl.sqlite.table import PURPOSES, SqliteTableSql, trigger_name
from sqlalchemy_temporal.errors import (
    MissingTriggerError,
    NotInstalledError,
    SchemaDriftError,
)
from sqlalchemy_temporal.naming import SYSTEM_COLUMNS, qualified_name
from sqlalchemy_temporal.schema import options_of, recorded_columns, system_of
from sqlalchemy_temporal.stored import no_schemas

MINIMUM_VERSION = (3, 35)
"""The first with ``RETURNING`` and ``ALTER TABLE ... DROP COLUMN``."""

_TRIGGERS = text(
    "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND name IN :names"
).bindparams(bindparam("names", expanding=True))
_TYPES = text("SELECT name, type FROM pragma_table_xinfo(:name)")
_COLUMNS = text("SELECT name FROM pragma_table_xinfo(:name) ORDER BY cid")


def system_is_current(connection: Connection, schema: str) -> bool:
    """Whether the library's own objects are there, made by this version."""
    pending = system_of(connection, schema).pending
    if not columns_of(connection, str(pending.name)):
        return False
    template = connection.scalar(select(pending.c.template))
    return template == SystemSql(schema, Quoter(connection.dialect)).template()


def columns_of(connection: Connection, name: str) -> list[str]:
    """The columns of a table; none when there is no such table."""
    return list(connection.scalars(_COLUMNS, {"name": name}))


def add_columns(connection: Connection, spec: TableSpec) -> None:
    """Add the columns to history that the live table gained.

    Most columns of history have no type on SQLite and keep every value as it is, so a column
    that changed its type needs nothing.

    Raises:
        SchemaDriftError: a column that history is looked up by has another type there.
    """
    sql = SqliteTableSql(spec, Quoter(connection.dialect))
    history = connection.execute(_TYPES, {"name": spec.history_table})
    present = {str(row.name).lower(): row.type for row in history}
    retyped = [
        f"{name} ({present[name.lower()]} in history, {wanted} in the table)"
        for name in spec.column_names
        if (wanted := sql.history_type(name))
        and present.get(name.lower(), wanted) not in ("", wanted)
    ]
    if retyped:
        raise SchemaDriftError(
            f"table {spec.qualified!r}: column(s) changed type: {', '.join(retyped)}. Make the "
            f"table {sql.history} anew with those types, copy its rows, then call "
            "sync_versioning again"
        )
    for name in spec.column_names:
        if name.lower() not in present:
            connection.exec_driver_sql(
                f"ALTER TABLE {sql.history} ADD COLUMN {sql.history_column(name)}"
            )


def has_triggers(connection: Connection, name: str) -> bool:
    """Whether triggers of ours record a table."""
    names = [trigger_name(purpose, name) for purpose in PURPOSES]
    return connection.execute(_TRIGGERS, {"names": names}).first() is not None


def verify(connection: Connection, table: Table, advice: str) -> None:
    """Make sure that changes of ``table`` are recorded.

    Raises:
        ConfigurationError: it is declared in a schema.
        NotInstalledError: it was never set up for versioning in this database, or is disabled.
        MissingTriggerError: one of its triggers is missing or was edited.
        SchemaDriftError: the table or its model has columns that its history does not
            record, or unique indexes that its triggers do not know.
    """
    options = options_of(table)
    if options is None:
        return
    if table.schema is not None:
        raise no_schemas(table.fullname)
    name, listed = str(table.name), system_of(connection, options.schema).versioned_tables
    known = (
        columns_of(connection, str(listed.name))
        and connection.execute(
            select(listed).where(
                listed.c.table_schema == "public",
                listed.c.table_name == name,
                listed.c.disabled_tx_id.is_(None),
            )
        ).one_or_none()
    )
    if not known:
        raise NotInstalledError(f"table {name!r} is not versioned in this database. {advice}")
    if known.capture != options.capture:
        raise kind_mismatch(name, known.capture, options.capture)
    names = [trigger_name(purpose, name) for purpose in PURPOSES]
    found = {row.name: row.sql for row in connection.execute(_TRIGGERS, {"names": names})}
    missing = [each for each in names if each not in found]
    if missing:
        raise MissingTriggerError(
            f"table {name!r}: {', '.join(f'{each} is missing' for each in missing)}. {advice}"
        )
    made = hashlib.sha256("\n".join(found[each] for each in names).encode()).hexdigest()[:16]
    if known.fingerprint != f"template={TEMPLATE} digest={made}":
        raise MissingTriggerError(f"table {name!r}: its triggers were replaced. {advice}")
    recorded = {each.name for each in identities(known.columns) if each.current}
    wanted = [str(column.name) for column in recorded_columns(table)]
    wanted += [
        each
        for each in columns_of(connection, name)
        if each not in known.excluded_columns and each not in SYSTEM_COLUMNS
    ]
    unrecorded = [each for each in dict.fromkeys(wanted) if each not in recorded]
    if unrecorded:
        raise SchemaDriftError(
            f"table {name!r}: the history does not record the column(s) "
            f"{', '.join(unrecorded)} of the table or its model. {advice}"
        )
    uniques = [
        [list(column) for column in each]
        for each in unique_indexes(connection, name, tuple(known.key_columns))
    ]
    if uniques != known.options["uniques"]:
        raise SchemaDriftError(
            f"table {qualified_name(None, name)!r}: its unique indexes changed, so rows that "
            f"REPLACE deletes might not be recorded. {advice}"
        )
