"""Find out, from a PostgreSQL database, what hashing its versioned tables takes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Row, select, text

from sqlalchemy_temporal.ddl.columns import ColumnIdentity, identities
from sqlalchemy_temporal.ddl.postgresql.hashing import HashedColumn, HashedTable, LeafSql
from sqlalchemy_temporal.ddl.postgresql.quoting import Quoter
from sqlalchemy_temporal.ddl.postgresql.types import TypeShape, type_shapes
from sqlalchemy_temporal.naming import TX_COLUMN
from sqlalchemy_temporal.repository import canonical
from sqlalchemy_temporal.schema import system_of

_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_NEVER: Final = 2**62

_ATTRIBUTES = text(
    """
    SELECT n.nspname AS schema, c.relname AS table, c.relkind::text AS kind,
           a.attname AS name, a.atttypid AS type
    FROM unnest(CAST(:schemas AS text[]), CAST(:names AS text[])) AS w (schema, name)
    JOIN pg_namespace n ON n.nspname = w.schema
    JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w.name
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    """
)

Place = tuple[str, str]
"""Schema and name of a table."""


def time_bytes(instant: datetime) -> bytes:
    """An instant as microseconds since the year 2000 in UTC, eight bytes."""
    return canonical.int8((instant - _EPOCH) // timedelta(microseconds=1))


def hashed_tables(connection: Connection, schema: str) -> list[HashedTable]:
    """Every registered table, with the types of its columns and when it had which."""
    system = system_of(connection, schema)
    rows = connection.execute(
        select(system.versioned_tables).order_by(system.versioned_tables.c.id)
    ).all()
    columns = {row.id: identities(row.columns) for row in rows}
    numbers = _numbers(connection, schema, rows, columns)
    kinds, types = _attributes(connection, rows)
    oids = {oid for each in types.values() for oid in each.values()}
    shapes = type_shapes(connection, oids)
    overridden = set(connection.scalars(select(system.leaf_override.c.table_id).distinct()))
    found = []
    for row in rows:
        live, history = (
            (row.table_schema, row.table_name),
            (row.history_schema, row.history_table),
        )
        found.append(
            HashedTable(
                id=row.id,
                schema=row.table_schema,
                name=row.table_name,
                history_schema=row.history_schema,
                history_table=row.history_table,
                key=tuple(row.key_columns),
                columns=_columns(row, columns[row.id], numbers, types, shapes),
                has_live=TX_COLUMN in types.get(live, {}) and row.disabled_tx_id is None,
                has_history=history in kinds,
                live_only=kinds.get(live) != "p",
                history_only=kinds.get(history) != "p",
                fixed=_fixed(row, columns[row.id]),
                overridden=row.id in overridden,
                purged_seq=row.purged_seq or 0,
            )
        )
    return [*found, _of_commits(schema)] if canonical.OF_COMMITS in overridden else found


def _of_commits(schema: str) -> HashedTable:
    """What stands for the table of transactions; its leaves are those of redactions."""
    return HashedTable(
        id=canonical.OF_COMMITS,
        schema=schema,
        name="transaction",
        history_schema=schema,
        history_table="transaction",
        key=(),
        columns=(),
        has_live=False,
        has_history=False,
        live_only=False,
        history_only=False,
    )


def leaf_sql(connection: Connection, schema: str, table: HashedTable) -> LeafSql:
    """What writes the queries for ``table`` in this database.

    Raises:
        UnhashableTypeError: a column has a type that cannot be hashed.
    """
    encoding = connection.scalar(text("SELECT current_setting('server_encoding')"))
    return LeafSql(table, Quoter(connection.dialect), schema, utf8=encoding == "UTF8")


def _attributes(
    connection: Connection, rows: list[Row[Any]] | Any
) -> tuple[dict[Place, str], dict[Place, dict[str, int]]]:
    wanted = [(row.table_schema, row.table_name) for row in rows]
    wanted += [(row.history_schema, row.history_table) for row in rows]
    kinds: dict[Place, str] = {}
    types: dict[Place, dict[str, int]] = defaultdict(dict)
    found = connection.execute(
        _ATTRIBUTES, {"schemas": [s for s, _ in wanted], "names": [n for _, n in wanted]}
    )
    for row in found:
        kinds[row.schema, row.table] = row.kind
        types[row.schema, row.table][row.name] = row.type
    return kinds, types


def _columns(
    row: Row[Any],
    listed: tuple[ColumnIdentity, ...],
    numbers: Mapping[int, int],
    types: Mapping[Place, Mapping[str, int]],
    shapes: Mapping[int, TypeShape],
) -> tuple[HashedColumn, ...]:
    live = types.get((row.table_schema, row.table_name), {})
    history = types.get((row.history_schema, row.history_table), {})
    return tuple(
        HashedColumn(
            identity=each,
            since_seq=0 if each.since == row.enabled_tx_id else numbers.get(each.since, _NEVER),
            until_seq=None if each.until is None else numbers.get(each.until, _NEVER),
            live=shapes.get(live.get(each.name, 0)),
            history=shapes.get(history.get(each.history, 0)),
            key=each.name in row.key_columns,
        )
        for each in sorted(listed, key=lambda each: each.id)
    )


def _numbers(
    connection: Connection,
    schema: str,
    rows: list[Row[Any]] | Any,
    columns: Mapping[int, tuple[ColumnIdentity, ...]],
) -> dict[int, int]:
    """The sequence numbers of the transactions in which columns came and went."""
    wanted = {row.enabled_tx_id for row in rows}
    for each in columns.values():
        wanted.update(column.since for column in each)
        wanted.update(column.until for column in each if column.until is not None)
    transaction = system_of(connection, schema).transaction
    found = connection.execute(
        select(transaction.c.id, transaction.c.commit_seq).where(transaction.c.id.in_(wanted))
    )
    return {row.id: row.commit_seq for row in found}


def _fixed(row: Row[Any], listed: tuple[ColumnIdentity, ...]) -> tuple[tuple[int, bytes], ...]:
    """The leaves that the registration of a table gives to the commits that changed it."""

    def leaf(kind: bytes, data: bytes) -> bytes:
        return canonical.sha256(canonical.leaf_head(kind, row.id) + data)

    made = [(row.enabled_tx_id, leaf(canonical.ENABLED, time_bytes(row.enabled_at)))]
    for each in listed:
        number = canonical.int4(each.id)
        made.append((each.since, leaf(canonical.COLUMN_SINCE, number)))
        if each.until is not None:
            made.append((each.until, leaf(canonical.COLUMN_UNTIL, number)))
    return tuple(made)
