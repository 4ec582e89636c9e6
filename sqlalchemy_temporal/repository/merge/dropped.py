"""Columns that one side of a merge dropped and the other one wrote to.

A table has one shape, so a column that is dropped is gone for every branch. What the other
side had written to it would be lost without a word: that is a conflict, with the values
that history has kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Column, Connection, MetaData, Select, Table, and_, select
from sqlalchemy.types import NullType

from sqlalchemy_temporal.clock.moment import Moment
from sqlalchemy_temporal.ddl.columns import ColumnIdentity, identities
from sqlalchemy_temporal.naming import END_COLUMN, TX_COLUMN
from sqlalchemy_temporal.repository.catalog import load_tables
from sqlalchemy_temporal.repository.compare import same
from sqlalchemy_temporal.repository.described import VersionedTable
from sqlalchemy_temporal.repository.merge.codec import encode_row
from sqlalchemy_temporal.repository.merge.plan import key_text
from sqlalchemy_temporal.repository.sides import side_of
from sqlalchemy_temporal.schema import SystemTables

DROPPED_COLUMN: Final = "dropped_column"


@dataclass(frozen=True, slots=True)
class Tips:
    """The last commits of both sides that have a content of their own, and their base.

    Attributes:
        base: the base.
        ours: the tip of ours.
        theirs: the tip of theirs.
    """

    base: Moment
    ours: Moment
    theirs: Moment


def dropped_columns(
    connection: Connection, tables: SystemTables, tips: Tips, among: frozenset[str]
) -> list[dict[str, Any]]:
    """Conflicts about dropped columns, as rows of the table ``conflict``.

    Parameters:
        among: the names of the tables that are merged.
    """
    listed = tables.versioned_tables
    rows = connection.execute(
        select(listed.c.table_schema, listed.c.table_name, listed.c.columns).where(
            listed.c.disabled_tx_id.is_(None)
        )
    ).all()
    found: list[dict[str, Any]] = []
    for row in rows:
        for column in identities(row.columns):
            if column.until is None or not tips.base.sees(column.since):
                continue
            if tips.base.sees(column.until):
                continue
            for table in load_tables(connection, tables.schema, [_name(row)]):
                if table.name in among:
                    found += _lost(connection, table, column, tips)
    return found


def _name(row: Any) -> str:
    return f"{row.table_schema}.{row.table_name}" if row.table_schema else str(row.table_name)


def _lost(
    connection: Connection, table: VersionedTable, column: ColumnIdentity, tips: Tips
) -> Iterator[dict[str, Any]]:
    """What the side that still had the column at its tip had written to it."""
    for side, tip in (("ours", tips.ours), ("theirs", tips.theirs)):
        if column.until is None or tip.sees(column.until):
            continue  # this side's tip came after the column was dropped
        for row in connection.execute(_changed(connection, table, column, tips.base, tip)):
            key = {name: row._mapping[f"k{i}"] for i, name in enumerate(table.key)}
            sides: dict[str, Any] = {"ours": encode_row(key), "theirs": encode_row(key)}
            sides["base"] = encode_row(key | {column.name: row.before})
            sides[side] = encode_row(key | {column.name: row.after})
            yield {
                "table_name": table.name,
                "key_text": row.key_text,
                "row_key": encode_row(key),
                "kind": DROPPED_COLUMN,
                "columns": [column.name],
                **sides,
            }


def _changed(
    connection: Connection,
    table: VersionedTable,
    column: ColumnIdentity,
    base: Moment,
    tip: Moment,
) -> Select[Any]:
    """The rows whose value in the column is another one at ``tip`` than in the base."""
    dialect = connection.dialect
    before = _history(table, column).alias("before")
    after = _history(table, column).alias("after")
    conditions = []
    for version, moment in ((before, base), (after, tip)):
        side = side_of(moment, dialect)
        conditions += [side.sees(version.c[TX_COLUMN]), side.ended_later(version.c[END_COLUMN])]
    key = [before.c[name] for name in table.key]
    value = [version.c[_VALUE] for version in (before, after)]
    return (
        select(
            *(part.label(f"k{i}") for i, part in enumerate(key)),
            value[0].label("before"),
            value[1].label("after"),
            key_text(key, dialect.name).label("key_text"),
        )
        .join_from(before, after, and_(*(before.c[n] == after.c[n] for n in table.key)))
        .where(*conditions, ~same([value[0]], [value[1]]))
        .order_by(*key)
    )


_VALUE: Final = "temporal_dropped_value"


def _history(table: VersionedTable, column: ColumnIdentity) -> Table:
    """The history table with its key and the dropped column."""
    history = table.history
    names = [*table.key, TX_COLUMN, END_COLUMN]
    return Table(
        history.name,
        MetaData(),
        *(Column(history.c[name].name, history.c[name].type, key=name) for name in names),
        Column(column.history, NullType(), key=_VALUE),
        schema=history.schema,
    )


def with_dropped(
    found: list[dict[str, Any]], dropped: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """All conflicts; a row that has one already gets the dropped column added to it."""
    by_row = {(row["table_name"], row["key_text"]): row for row in found}
    for row in dropped:
        known = by_row.setdefault((row["table_name"], row["key_text"]), row)
        if known is row:
            found.append(row)
            continue
        known["columns"] = [*known["columns"], *row["columns"]]
        for side in ("base", "ours", "theirs"):
            if isinstance(known[side], dict):  # otherwise the row is not there
                known[side] = {**row[side], **known[side]}
    return found


__all__ = ["DROPPED_COLUMN", "Tips", "dropped_columns", "with_dropped"]
