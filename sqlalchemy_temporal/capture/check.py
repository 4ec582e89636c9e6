"""Ask a database whether the changes of a table are being recorded."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

from sqlalchemy import Connection, Table, select, text

from sqlalchemy_temporal.capture import sqlite
from sqlalchemy_temporal.clock.hooks import attach
from sqlalchemy_temporal.ddl.columns import ColumnIdentity, identities
from sqlalchemy_temporal.ddl.postgresql.table import STAMP_TRIGGER, TRIGGERS
from sqlalchemy_temporal.ddl.spec import TableSpec
from sqlalchemy_temporal.errors import MissingTriggerError, NotInstalledError, SchemaDriftError
from sqlalchemy_temporal.naming import INFO_KEY
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
    """

    id: int
    identities: tuple[ColumnIdentity, ...]
    key: tuple[str, ...]
    history: tuple[str, str]
    fingerprint: str
    enabled_tx_id: int
    disabled_tx_id: int | None

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
    )


def verify_capture(connection: Connection, tables: Iterable[Table]) -> None:
    """Make sure that changes of ``tables`` are recorded, asking once per connection.

    Parameters:
        connection: where the tables are about to be written.
        tables: tables declared versioned; others are passed over.

    Raises:
        NotInstalledError: a table was never set up for versioning in this database.
        MissingTriggerError: one of its triggers is missing, disabled or was edited.
        SchemaDriftError: its model has columns that its history does not record.
    """
    known: set[str] = connection.info.setdefault(f"{INFO_KEY}.verified", set())
    for table in tables:
        options = options_of(table)
        if options is None or options.capture != "trigger" or table.fullname in known:
            continue
        attach(connection, options.schema)
        check_capture(connection, table)
        known.add(table.fullname)


def forget_verified(connection: Connection) -> None:
    """Ask again at the next write; for use after DDL on the same connection."""
    connection.info.pop(f"{INFO_KEY}.verified", None)


def check_capture(connection: Connection, table: Table) -> None:
    """The same for one table, asking anew; see :func:`verify_capture`."""
    if connection.dialect.name == "sqlite":
        sqlite.verify(connection, table, _ADVICE)
        return
    quote = connection.dialect.identifier_preparer.quote
    full = (f"{quote(table.schema)}." if table.schema else "") + quote(str(table.name))
    rows = connection.execute(_TRIGGERS, {"name": full.replace("%%", "%")}).all()
    found = {row.name: row for row in rows}
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


def _recorded(comment: str | None) -> list[str] | None:
    """The columns that a trigger's comment says it records; None when it is not ours."""
    match = _COMMENT.fullmatch(comment or "")
    return cast("list[str]", json.loads(match["columns"])) if match else None


__all__ = ["Registration", "check_capture", "forget_verified", "registration_of", "verify_capture"]
