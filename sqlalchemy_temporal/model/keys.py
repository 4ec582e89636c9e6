"""Following an object through changes of its primary key.

The triggers record every change of a key in ``pk_change``, as JSON objects of column names
and values. Within one transaction a row may change its key several times and rows may swap
keys, so what counts is where each key came from over the whole transaction.
"""

from __future__ import annotations

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
)

from sqlalchemy_temporal.model.line import Span
from sqlalchemy_temporal.model.selectable import PENDING
from sqlalchemy_temporal.naming import DEFAULT_SCHEMA
from sqlalchemy_temporal.schema import key_columns, options_of, system_tables

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
    changes = _tables(table).pk_change
    seq = _seq(table)
    arrivals = (
        _changes(table)
        .with_only_columns(changes.c.tx_id, seq)
        .where(
            *(
                _part(changes.c.new_key, column) == part
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
    changes = _tables(table).pk_change
    columns = key_columns(table)
    statement = (
        _changes(table)
        .with_only_columns(
            *(_part(changes.c.old_key, column) for column in columns),
            *(_part(changes.c.new_key, column) for column in columns),
        )
        .where(changes.c.tx_id == tx_id)
        .order_by(changes.c.id)
    )
    origins: dict[Key, Key] = {}
    for row in connection.execute(statement):
        old, new = tuple(row[: len(columns)]), tuple(row[len(columns) :])
        origins[new] = origins.pop(old, old)
    return origins.get(key, key)


def _changes(table: Table) -> Select[Any]:
    tables = _tables(table)
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


def _seq(table: Table) -> ColumnElement[int]:
    return func.coalesce(_tables(table).transaction.c.commit_seq, PENDING).label("seq")


def _tables(table: Table) -> Any:
    options = options_of(table)
    return system_tables(options.schema if options else DEFAULT_SCHEMA)


def _part(document: ColumnElement[Any], column: ColumnElement[Any]) -> ColumnElement[Any]:
    """One column of a recorded key, as a value of the column's own type."""
    text = func.jsonb_extract_path_text(document, str(column.name))
    return cast(text, column.type)


__all__ = ["Key", "spans_of"]
