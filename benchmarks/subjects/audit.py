"""postgresql-audit: triggers that write every change as JSON to one table."""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import Connection, Engine
from sqlalchemy.orm import DeclarativeBase, configure_mappers

from benchmarks.models import COLUMNS, KEYS, Models, declare
from benchmarks.subjects.base import Moment, Subject


class Audit(Subject):
    """postgresql-audit with statement triggers, which it has by default.

    It has no way to ask for the past. The statements here build rows again from the last
    activity of each key, and use the indexes that it makes: none by key.
    """

    key: ClassVar[str] = "audit"
    title: ClassVar[str] = "postgresql-audit"
    about: ClassVar[str] = "one log of changes as JSON; the past is computed from it"
    package: ClassVar[str] = "postgresql-audit"
    has_past: ClassVar[bool] = True

    def declare(self) -> Models:
        """Declare its models, once in a process."""
        from postgresql_audit import VersioningManager

        base: Any = type("Base", (DeclarativeBase,), {})
        manager = VersioningManager(schema_name="audit")
        manager.init(base)
        manager.values = {"actor_id": "bench"}
        models = declare(base, __versioned__={})
        configure_mappers()
        return models

    def create(self, engine: Engine) -> None:
        """Make its tables in an empty database."""
        # Its own come first: the others are made audited by a function that these bring.
        metadata = self.models.metadata
        metadata.create_all(engine, [metadata.tables[name] for name in self.histories()[::-1]])
        super().create(engine)

    def histories(self) -> list[str]:
        """The tables in which it keeps history."""
        return ["audit.activity", "audit.transaction"]

    def fill(self, connection: Connection, table: str, changes: str) -> None:
        """Write one more version of every row, as it would record it; in one transaction."""
        # A table that is updated whole costs its trigger minutes: it subtracts JSON row by row.
        column = changes.partition("=")[0].strip()
        key = KEYS[table]
        connection.exec_driver_sql(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        connection.exec_driver_sql(
            f"WITH old AS (SELECT {key} AS key, to_jsonb(t) AS old_data FROM {table} AS t), "
            f"new AS (UPDATE {table} SET {changes} RETURNING {key} AS key, "
            f"jsonb_build_object('{column}', {column}) AS changed_data) "
            "INSERT INTO audit.activity (id, schema_name, table_name, relid, issued_at, "
            "native_transaction_id, verb, old_data, changed_data) "
            "SELECT nextval('audit.activity_id_seq'), 'public', "
            f"'{table}', '{table}'::regclass, statement_timestamp() AT TIME ZONE 'UTC', "
            "pg_current_xact_id(), 'update', old_data, changed_data FROM old JOIN new USING (key)"
        )
        connection.exec_driver_sql(f"ALTER TABLE {table} ENABLE TRIGGER USER")

    def moment(self, connection: Connection) -> Moment:
        """The present, named so that it can be asked for when it is past."""
        return connection.exec_driver_sql("SELECT max(id) FROM audit.activity").scalar_one()

    def past(self, table: str) -> str:
        """A SELECT of a table's columns as of ``:moment``."""
        names = COLUMNS[table]
        fields = ", ".join(f"(r.row).{name}" for name in names if name != KEYS[table])
        key = self._key(table)
        return (
            f"SELECT r.key AS {KEYS[table]}, {fields} FROM (SELECT DISTINCT ON ({key}) "
            f"{key} AS key, verb, jsonb_populate_record(NULL::{table}, old_data || changed_data) "
            f"AS row FROM audit.activity WHERE table_name = '{table}' AND id <= :moment "
            f"ORDER BY {key}, id DESC) AS r WHERE verb <> 'delete'"
        )

    def versions_of_a_row(self, table: str) -> str:
        """A SELECT of all versions of the row ``:key``, oldest first."""
        return (
            "SELECT a.*, t.issued_at, t.actor_id FROM audit.activity AS a "
            "LEFT JOIN audit.transaction AS t ON t.id = a.transaction_id "
            f"WHERE a.table_name = '{table}' AND {self._key(table)} = :key ORDER BY a.id"
        )

    def changes_between(self, table: str) -> str:
        """A SELECT of the changes after ``:first`` up to ``:last``, in their order."""
        return (
            "SELECT a.*, t.issued_at, t.actor_id FROM audit.activity AS a "
            "LEFT JOIN audit.transaction AS t ON t.id = a.transaction_id "
            f"WHERE a.table_name = '{table}' AND a.id > :first AND a.id <= :last ORDER BY a.id"
        )

    def keys_changed(self, table: str) -> str:
        """A SELECT of the keys, as ``key``, of rows changed after ``:first`` up to ``:last``."""
        return (
            f"SELECT DISTINCT {self._key(table)} AS key FROM audit.activity "
            f"WHERE table_name = '{table}' AND id > :first AND id <= :last"
        )

    def _key(self, table: str) -> str:
        name = KEYS[table]
        value = f"coalesce(changed_data ->> '{name}', old_data ->> '{name}')"
        return value if name == "icao" else f"({value})::bigint"
