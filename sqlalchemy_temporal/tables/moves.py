"""From which key to which each row went in a transaction that changed keys."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    ColumnElement,
    Connection,
    Integer,
    Select,
    String,
    and_,
    cast,
    func,
    literal,
    select,
)

from sqlalchemy_temporal.repository.described import VersionedTable
from sqlalchemy_temporal.schema import SystemTables
from sqlalchemy_temporal.tables.span import Period


def _of_table(table: VersionedTable, system: SystemTables) -> ColumnElement[bool]:
    changes = system.pk_change
    return and_(changes.c.table_schema == table.schema, changes.c.table_name == table.table_name)


def keys_changed(
    connection: Connection, table: VersionedTable, period: Period, system: SystemTables
) -> bool:
    """Whether any row of the table changed its key in the period."""
    changes = system.pk_change
    found = select(changes.c.id).where(
        _of_table(table, system), period.contains(connection, changes.c.tx_id)
    )
    return connection.execute(found.limit(1)).first() is not None


def moves(
    connection: Connection, table: VersionedTable, period: Period, system: SystemTables
) -> Select[Any]:
    """The key each row had at the beginning (``start``) and at the end of a transaction.

    A row may change its key several times in one transaction, and rows may swap theirs by
    way of a third. What counts is the whole way, so the recorded steps are put together.
    """
    changes = system.pk_change
    text = String() if connection.dialect.name == "sqlite" else changes.c.old_key.type
    old, new = (_raw(changes.c[name], text) for name in ("old_key", "new_key"))
    steps = (
        select(changes.c.tx_id, changes.c.id, old.label("old_key"), new.label("new_key"))
        .where(_of_table(table, system), period.contains(connection, changes.c.tx_id))
        .cte("steps")
    )
    earlier, later = steps.alias("earlier"), steps.alias("later")
    arrived = (
        select(earlier.c.id)
        .where(
            earlier.c.tx_id == steps.c.tx_id,
            earlier.c.id < steps.c.id,
            earlier.c.new_key == steps.c.old_key,
        )
        .exists()
    )
    ways = (
        select(
            steps.c.tx_id,
            steps.c.old_key.label("start"),
            steps.c.new_key.label("stop"),
            steps.c.id,
        )
        .where(~arrived)
        .cte("ways", recursive=True)
    )
    ways = ways.union_all(
        select(ways.c.tx_id, ways.c.start, later.c.new_key, later.c.id).where(
            later.c.tx_id == ways.c.tx_id,
            later.c.id > ways.c.id,
            later.c.old_key == ways.c.stop,
        )
    )
    last = select(
        ways.c.tx_id,
        ways.c.start,
        ways.c.stop,
        func.row_number()
        .over(partition_by=(ways.c.tx_id, ways.c.start), order_by=ways.c.id.desc())
        .label("place"),
    ).subquery("way")
    return select(last.c.tx_id, last.c.start, last.c.stop).where(
        last.c.place == literal(1, Integer)
    )


def _raw(column: Column[Any], kind: Any) -> ColumnElement[Any]:
    return column if kind is column.type else cast(column, kind)


def key_document(connection: Connection, table: VersionedTable) -> ColumnElement[Any]:
    """The key of a closed version as the triggers write keys into ``pk_change``."""
    pairs = [part for name in table.key for part in (name, table.history.c[name])]
    if connection.dialect.name == "sqlite":
        return func.json_object(*pairs, type_=String)
    return func.jsonb_build_object(*pairs)


def key_part(document: ColumnElement[Any], column: Any) -> ColumnElement[Any]:
    """One column of a recorded key, as a value of the column's own type."""
    name = str(column.key)
    if isinstance(document.type, JSON):
        return cast(func.jsonb_extract_path_text(document, name), column.type)
    return func.json_extract(document, f'$."{name}"', type_=column.type)


__all__ = ["key_document", "key_part", "keys_changed", "moves"]
