"""Which tables of a database are captured by the ORM."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, text

from sqlalchemy_temporal.capture.orm.recorder import OURS
from sqlalchemy_temporal.capture.orm.state import TableName
from sqlalchemy_temporal.ddl.installed import Installed, installed_tables
from sqlalchemy_temporal.ddl.postgresql.table import STAMP_TRIGGER
from sqlalchemy_temporal.errors import PrivilegeError
from sqlalchemy_temporal.naming import TX_COLUMN

_HIDDEN: Final = text(
    """
    SELECT count(*) FROM pg_namespace n
    LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = 'versioned_tables'
    WHERE obj_description(n.oid, 'pg_namespace') LIKE 'sqlalchemy-temporal template=%'
      AND NOT (has_schema_privilege(n.oid, 'USAGE')
        AND COALESCE(has_table_privilege(c.oid, 'SELECT'), false))
    """
)
_WITHOUT_TRIGGER: Final = text(
    """
    SELECT n.nspname, c.relname FROM pg_attribute a
    JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE a.attname = :column AND NOT a.attisdropped AND c.relkind IN ('r', 'p')
      AND a.attnotnull AND a.atthasdef AND NOT EXISTS (
        SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname = :trigger)
    """
)


@dataclass(frozen=True, slots=True)
class Captured:
    """The tables that are captured by the ORM.

    Attributes:
        tables: how each of them is versioned.
        hidden: tables that seem to be, where the role may not read which are.
    """

    tables: Mapping[TableName, Installed]
    hidden: Collection[TableName] = ()

    def refuse_hidden(self, name: TableName) -> None:
        """Refuse to write a table that this role cannot record.

        Raises:
            PrivilegeError: it is one.
        """
        if name in self.hidden:
            raise PrivilegeError(
                f"table {'.'.join(name)!r} is captured by the ORM, and this role may not record "
                "its changes: it needs USAGE on the schema of versioning, and to read and write "
                "the tables there; see docs/capture.md"
            )


def captured_tables(connection: Connection) -> Captured:
    """Look up what is captured by the ORM in this database."""
    if connection.dialect.name == "postgresql" and connection.scalar(
        _HIDDEN, execution_options={OURS: True}
    ):
        names = {"column": TX_COLUMN, "trigger": STAMP_TRIGGER}
        rows = connection.execute(_WITHOUT_TRIGGER, names, execution_options={OURS: True})
        return Captured({}, frozenset((row.nspname, row.relname) for row in rows))
    return Captured(
        {
            (each.schema, each.name): each
            for each in installed_tables(connection)
            if each.enabled and each.options.capture == "orm"
        }
    )


__all__ = ["Captured", "captured_tables"]
