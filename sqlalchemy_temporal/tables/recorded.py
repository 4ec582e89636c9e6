"""The registered tables, as maintenance of their history needs them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    DateTime,
    TableClause,
    Text,
    column,
    inspect,
    select,
    table,
)
from sqlalchemy import text as sql_text
from sqlalchemy.sql.elements import quoted_name

from sqlalchemy_temporal.capture.orm.listen import listen
from sqlalchemy_temporal.ddl.columns import identities
from sqlalchemy_temporal.errors import NotInstalledError
from sqlalchemy_temporal.naming import (
    END_COLUMN,
    FROM_COLUMN,
    ID_COLUMN,
    OPERATION_COLUMN,
    TO_COLUMN,
    TX_COLUMN,
    qualified_name,
)
from sqlalchemy_temporal.schema import SystemTables, system_of

_INHERITANCE = sql_text(
    """
    SELECT cn.nspname || '.' || c.relname AS child, pn.nspname || '.' || p.relname AS parent
    FROM pg_inherits i
    JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_namespace cn ON cn.oid = c.relnamespace
    JOIN pg_class p ON p.oid = i.inhparent JOIN pg_namespace pn ON pn.oid = p.relnamespace
    WHERE p.relkind = 'r' AND NOT c.relispartition
    """
)


@dataclass(frozen=True, slots=True)
class RecordedTable:
    """One table of the list of versioned tables.

    Attributes:
        id: its number in the list.
        schema: the live table's schema.
        name: the live table's name.
        history_schema: the schema of its history table.
        history_name: the name of its history table.
        key: the key columns.
        history_key: what they are called in history.
        columns: its recorded columns, and what they are called in history.
        disabled: whether its changes are not recorded at present, or it was dropped.
        purged_seq: the number of the commit from which on it is known; None for all.
        system: the library's own tables.
        only: whether its history is a member of an inheritance tree, and must be named
            with ONLY so that each member is dealt with once.
        in_schemas: whether the database has schemas to look for tables in.
    """

    id: int
    schema: str
    name: str
    history_schema: str
    history_name: str
    key: tuple[str, ...]
    history_key: tuple[str, ...]
    columns: tuple[tuple[str, str], ...]
    disabled: bool
    purged_seq: int | None
    system: SystemTables
    only: bool = False
    in_schemas: bool = True

    @property
    def qualified(self) -> str:
        """``schema.table``, as used in counts and messages."""
        return qualified_name(self.schema, self.name)

    @property
    def history(self) -> TableClause:
        """The history table with its key and system columns."""
        return table(
            quoted_name(self.history_name, None),
            *(column(name) for name in self.history_key),
            column(ID_COLUMN, BigInteger),
            column(OPERATION_COLUMN, Text),
            column(TX_COLUMN, BigInteger),
            column(END_COLUMN, BigInteger),
            column(FROM_COLUMN, DateTime(timezone=True)),
            column(TO_COLUMN, DateTime(timezone=True)),
            schema=self.history_schema if self.in_schemas else None,
        )

    @property
    def live(self) -> TableClause:
        """The live table with its key columns."""
        return table(
            quoted_name(self.name, None),
            *(column(name) for name in self.key),
            schema=self.schema if self.in_schemas else None,
        )


def recorded_tables(
    connection: Connection,
    schema: str,
    names: Sequence[str] | None = None,
    *,
    table_schema: str = "public",
) -> list[RecordedTable]:
    """The registered tables called ``names`` in ``table_schema``, or all there are.

    Tables of one inheritance tree come together: a row of a child is one of its parent, so
    they have one past.

    Raises:
        NotInstalledError: one of the names is not registered.
    """
    system = system_of(connection, schema)
    listed = system.versioned_tables
    rows = connection.execute(select(listed).order_by(listed.c.id)).all()
    found = [_recorded(row, system) for row in rows]
    if any(row.capture == "orm" for row in rows):
        listen()  # what is written to them has to be seen, though no model declares them
    trees = _trees(connection, found)
    if names is not None:
        asked = {qualified_name(table_schema, name) for name in names}
        missing = sorted(asked - {each.qualified for each in found})
        if missing:
            raise NotInstalledError(
                f"not versioned in this database: {', '.join(missing)}; "
                f"versioned are {', '.join(sorted(e.qualified for e in found)) or 'no tables'}"
            )
        roots = {trees.get(e.id, e.id) for e in found if e.qualified in asked}
        found = [e for e in found if trees.get(e.id, e.id) in roots]
    return [
        replace(each, only=each.id in trees, disabled=each.disabled or not has_live)
        for each, has_history, has_live in _there(connection, found)
        if has_history or names is not None
    ]


def _there(
    connection: Connection, found: Iterable[RecordedTable]
) -> list[tuple[RecordedTable, bool, bool]]:
    """For each table, whether its history and the live table are there, or were dropped."""
    has_table = inspect(connection).has_table
    return [
        (
            each,
            has_table(each.history_name, schema=each.history_schema if each.in_schemas else None),
            has_table(each.name, schema=each.schema if each.in_schemas else None),
        )
        for each in found
    ]


def _recorded(row: Any, system: SystemTables) -> RecordedTable:
    named = {each.name: each.history for each in identities(row.columns) if each.current}
    return RecordedTable(
        id=row.id,
        schema=row.table_schema,
        name=row.table_name,
        history_schema=row.history_schema,
        history_name=row.history_table,
        key=tuple(row.key_columns),
        history_key=tuple(named.get(name, name) for name in row.key_columns),
        columns=tuple(named.items()),
        disabled=row.disabled_tx_id is not None,
        purged_seq=row.purged_seq,
        system=system,
        in_schemas=system.metadata.schema is not None,
    )


def _trees(connection: Connection, found: Iterable[RecordedTable]) -> dict[int, int]:
    """For each member of an inheritance tree, one number for its tree."""
    if connection.dialect.name != "postgresql":
        return {}
    by_name = {f"{e.history_schema}.{e.history_name}": e.id for e in found}
    tree: dict[int, int] = {}
    for row in connection.execute(_INHERITANCE):
        child, parent = by_name.get(row.child), by_name.get(row.parent)
        if child is not None and parent is not None:
            old, new = tree.setdefault(child, child), tree.setdefault(parent, parent)
            tree = {one: new if root == old else root for one, root in tree.items()}
    return tree


__all__ = ["RecordedTable", "recorded_tables"]
