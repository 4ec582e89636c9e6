"""Following an object through changes of its primary key.

The triggers record every change of a key in ``pk_change``, as JSON objects of column names
and values. Within one transaction a row may change its key several times and rows may swap
keys, so what counts is where each key came from over the whole transaction.
"""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    Table,
    and_,
    cast,
    func,
    literal,
    select,
    type_coerce,
)

from sqlalchemy_temporal.model.line import Span
from sqlalchemy_temporal.model.selectable import PENDING
from sqlalchemy_temporal.naming import DEFAULT_SCHEMA
from sqlalchemy_temporal.schema import key_columns, options_of, system_of

Key = tuple[Any, ...]


def spans_of(connection: Connection, table: Table, key: Key) -> tuple[Span, ...]:
    """Under which keys, and when, the row lies whose latest key is ``key``; latest first.

    Parameters:
        connection: where to look.
        table: the live table; with joined-table inheritance the one of the base class.
        key: the values of its primary key, in the order of its columns.
    """
    spans: list[Span] = []
    before: int | None = None
    while True:
        found = _last_arrival(connection, table, key, before)
        if found is None:
            spans.append(Span(key, None, before))
            return tuple(spans)
        since, origin = found
        spans.append(Span(key, since, before))
        key, before = origin, since


def _last_arrival(
    connection: Connection, table: Table, key: Key, before: int | None
) -> tuple[int, Key] | None:
    """When a row last came to ``key`` from another, and from which."""
    changes = _tables(connection, table).pk_change
    seq = _seq(connection, table)
    arrivals = (
        _changes(connection, table)
        .with_only_columns(changes.c.tx_id, seq)
        .where(
            *(
                _part(connection, changes.c.new_key, column) == part
                for column, part in zip(key_columns(table), key, strict=True)
            )
        )
        .distinct()
        .order_by(seq.desc())
    )
    if before is not None:
        arrivals = arrivals.where(seq < literal(before, BigInteger))
    for tx_id, since in connection.execute(arrivals).all():
        origin = _origin(connection, table, tx_id, key)
        if origin != key:
            return since, origin
    return None


def _origin(connection: Connection, table: Table, tx_id: int, key: Key) -> Key:
    """The key at the beginning of transaction ``tx_id`` of the row that ended at ``key``."""
    changes = _tables(connection, table).pk_change
    columns = key_columns(table)
    statement = (
        _changes(connection, table)
        .with_only_columns(
            *(_part(connection, changes.c.old_key, column) for column in columns),
            *(_part(connection, changes.c.new_key, column) for column in columns),
        )
        .where(changes.c.tx_id == tx_id)
        .order_by(changes.c.id)
    )
    origins: dict[Key, Key] = {}
    for row in connection.execute(statement):
        old, new = tuple(row[: len(columns)]), tuple(row[len(columns) :])
        origins[new] = origins.pop(old, old)
    return origins.get(key, key)


def _changes(connection: Connection, table: Table) -> Select[Any]:
    tables = _tables(connection, table)
    changes, transaction = tables.pk_change, tables.transaction
    return (
        select(changes)
        .outerjoin(transaction, transaction.c.id == changes.c.tx_id)
        .where(
            and_(
                changes.c.table_schema == (table.schema or "public"),
                changes.c.table_name == table.name,
            )
        )
    )


def _seq(connection: Connection, table: Table) -> ColumnElement[int]:
    return func.coalesce(_tables(connection, table).transaction.c.commit_seq, PENDING).label("seq")


def _tables(connection: Connection, table: Table) -> Any:
    options = options_of(table)
    return system_of(connection, options.schema if options else DEFAULT_SCHEMA)


def _part(
    connection: Connection, document: ColumnElement[Any], column: ColumnElement[Any]
) -> ColumnElement[Any]:
    """One column of a recorded key, as a value of the column's own type."""
    if connection.dialect.name == "sqlite":
        # Stored in JSON as it is in the column; a CAST would make a number of a date.
        return type_coerce(func.json_extract(document, _path(str(column.name))), column.type)
    text = func.jsonb_extract_path_text(document, str(column.name))
    return cast(text, column.type)


def _path(name: str) -> str:
    """The place of a member in a JSON document; any name is one when written as a string."""
    return f"$.{json.dumps(name, ensure_ascii=False)}"


__all__ = ["Key", "spans_of"]
