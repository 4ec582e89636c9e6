"""Ask a database whether the changes of a table are being recorded."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Connection, Row, Table, inspect, select, text

from sqlalchemy_temporal.capture import sqlite
from sqlalchemy_temporal.capture.kind import kind_mismatch
from sqlalchemy_temporal.clock.hooks import attach
from sqlalchemy_temporal.ddl.columns import ColumnIdentity, identities
from sqlalchemy_temporal.ddl.postgresql.table import STAMP_TRIGGER, TRIGGERS
from sqlalchemy_temporal.ddl.spec import TableSpec
from sqlalchemy_temporal.errors import MissingTriggerError, NotInstalledError, SchemaDriftError
from sqlalchemy_temporal.naming import INFO_KEY, VersioningOptions
from sqlalchemy_temporal.schema import options_of, recorded_columns, system_of

_TRIGGERS = text(
    """
    SELECT t.tgname AS name, t.tgenabled::text AS enabled,
           obj_description(t.oid, 'pg_trigger') AS comment
    FROM pg_trigger t
    WHERE t.tgrelid = to_regclass(:name) AND NOT t.tgisinternal
      AND (t.tgname LIKE 'temporal\\_%' OR t.tgname LIKE '~temporal\\_%')
    """
)

_ADVICE = (
    "Its changes would be lost, so the write was refused. Set it up with "
    "Base.metadata.create_all(engine), sync_versioning(connection, table), or "
    "op.enable_versioning() in a migration"
)

_COMMENT = re.compile(r"template=\d+ digest=[0-9a-f]{16} columns=(?P<columns>\[.*\])")


@dataclass(frozen=True, slots=True)
class Registration:
    """A table as the list of versioned tables has it.

    Attributes:
        id: its number.
        identities: the columns it records or did record.
        key: the key columns.
        history: the schema and the name of its history table.
        fingerprint: of the SQL that was generated for it.
        enabled_tx_id: the transaction in which it was first enabled.
        disabled_tx_id: the transaction since which it is disabled; None while it is enabled.
        capture: what records its changes.
    """

    id: int
    identities: tuple[ColumnIdentity, ...]
    key: tuple[str, ...]
    history: tuple[str, str]
    fingerprint: str
    enabled_tx_id: int
    disabled_tx_id: int | None
    capture: str

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns it records now."""
        return tuple(column.name for column in self.identities if column.current)


def registration_of(connection: Connection, spec: TableSpec) -> Registration | None:
    """How ``spec``'s table is registered, or None."""
    listed = system_of(connection, spec.options.schema).versioned_tables
    row = connection.execute(
        select(listed).where(
            listed.c.table_schema == spec.live_schema, listed.c.table_name == spec.name
        )
    ).one_or_none()
    if row is None:
        return None
    return Registration(
        id=row.id,
        identities=identities(row.columns),
        key=tuple(row.key_columns),
        history=(row.history_schema, row.history_table),
        fingerprint=row.fingerprint,
        enabled_tx_id=row.enabled_tx_id,
        disabled_tx_id=row.disabled_tx_id,
        capture=row.capture,
    )


def verify_capture(connection: Connection, tables: Iterable[Table]) -> None:
    """Make sure that changes of ``tables`` are recorded, asking once per connection.

    Parameters:
        connection: where the tables are about to be written.
        tables: tables declared versioned; others are passed over.

    Raises:
        NotInstalledError: a table was never set up for versioning in this database.
        MissingTriggerError: one of its triggers is missing, disabled or was edited.
        CaptureKindError: it is captured by triggers and declared to be captured by the ORM, or
            the other way round.
        SchemaDriftError: its model has columns that its history does not record.
    """
    known: set[str] = connection.info.setdefault(f"{INFO_KEY}.verified", set())
    for table in tables:
        options = options_of(table)
        checked = f"{table.fullname} {options.capture}" if options else ""
        if options is None or checked in known:
            continue
        attach(connection, options.schema)
        check_capture(connection, table)
        known.add(checked)


def forget_verified(connection: Connection) -> None:
    """Ask again at the next write; for use after DDL on the same connection."""
    connection.info.pop(f"{INFO_KEY}.verified", None)
    connection.info.pop(f"{INFO_KEY}.captured", None)


def check_capture(connection: Connection, table: Table) -> None:
    """The same for one table, asking anew; see :func:`verify_capture`."""
    options = options_of(table)
    if options is not None and options.capture == "orm":
        _check_registered(connection, table, options)
        return
    if connection.dialect.name == "sqlite":
        sqlite.verify(connection, table, _ADVICE)
        return
    rows = connection.execute(_TRIGGERS, {"name": _relation(connection, table)}).all()
    found = {row.name: row for row in rows}
    if not found and options is not None and _captured_otherwise(connection, table, options):
        raise kind_mismatch(table.fullname, "orm", "trigger")
    if not found:
        raise NotInstalledError(
            f"table {table.fullname!r} is not versioned in this database. {_ADVICE}"
        )
    missing = sorted(TRIGGERS - set(found))
    disabled = sorted(name for name, row in found.items() if row.enabled == "D")
    if missing or disabled:
        parts = [f"{name} is missing" for name in missing]
        parts += [f"{name} is disabled" for name in disabled]
        raise MissingTriggerError(f"table {table.fullname!r}: {', '.join(parts)}. {_ADVICE}")
    recorded = _recorded(found[STAMP_TRIGGER].comment)
    if recorded is None:
        raise MissingTriggerError(
            f"table {table.fullname!r}: its triggers were replaced. {_ADVICE}"
        )
    unrecorded = [str(c.name) for c in recorded_columns(table) if c.name not in recorded]
    if unrecorded:
        raise SchemaDriftError(
            f"table {table.fullname!r}: the history does not record the column(s) "
            f"{', '.join(unrecorded)} of the model. {_ADVICE}"
        )


def _check_registered(connection: Connection, table: Table, options: VersioningOptions) -> None:
    """Make sure that a table captured by the ORM is registered as such, and has no triggers."""
    row = _registered(connection, table, options)
    if row is None:
        raise NotInstalledError(
            f"table {table.fullname!r} is not versioned in this database. {_ADVICE}"
        )
    if row.capture != "orm":
        raise kind_mismatch(table.fullname, row.capture, "orm")
    if _has_triggers(connection, table):
        raise kind_mismatch(table.fullname, "trigger", "orm")
    recorded = {each.name for each in identities(row.columns) if each.current}
    unrecorded = [str(c.name) for c in recorded_columns(table) if c.name not in recorded]
    if unrecorded:
        raise SchemaDriftError(
            f"table {table.fullname!r}: the history does not record the column(s) "
            f"{', '.join(unrecorded)} of the model. {_ADVICE}"
        )


def _has_triggers(connection: Connection, table: Table) -> bool:
    if connection.dialect.name == "sqlite":
        return sqlite.has_triggers(connection, str(table.name))
    return connection.execute(_TRIGGERS, {"name": _relation(connection, table)}).first() is not None


def _relation(connection: Connection, table: Table) -> str:
    """The name of a table as ``to_regclass`` reads it."""
    quote = connection.dialect.identifier_preparer.quote
    full = (f"{quote(table.schema)}." if table.schema else "") + quote(str(table.name))
    return full.replace("%%", "%")


def _captured_otherwise(connection: Connection, table: Table, options: VersioningOptions) -> bool:
    row = _registered(connection, table, options)
    return row is not None and row.capture != options.capture


def _registered(
    connection: Connection, table: Table, options: VersioningOptions
) -> Row[Any] | None:
    """The registration of an enabled table."""
    listed = system_of(connection, options.schema).versioned_tables
    if not inspect(connection).has_table(listed.name, schema=listed.schema):
        return None
    default = connection.dialect.default_schema_name if listed.schema else "public"
    return connection.execute(
        select(listed).where(
            listed.c.table_schema == (table.schema or default),
            listed.c.table_name == str(table.name),
            listed.c.disabled_tx_id.is_(None),
        )
    ).one_or_none()


def _recorded(comment: str | None) -> list[str] | None:
    """The columns that a trigger's comment says it records; None when it is not ours."""
    match = _COMMENT.fullmatch(comment or "")
    return cast("list[str]", json.loads(match["columns"])) if match else None


__all__ = ["Registration", "check_capture", "forget_verified", "registration_of", "verify_capture"]
