"""The statements that take history through a change of the live table, on SQLite.

Columns of history have no type there and keep every value as it is; which transaction wrote a
row is noted beside the live table. So closing versions and renaming touch other tables only,
and a new type matters where values are converted.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy_temporal.ddl.sqlite.table import SqliteTableSql
from sqlalchemy_temporal.naming import END_COLUMN, FROM_COLUMN, OPERATION_COLUMN, TO_COLUMN
from sqlalchemy_temporal.naming import TX_COLUMN as TX


def close_statements(sql: SqliteTableSql) -> tuple[str, ...]:
    """End the current version of every row, and begin a new one."""
    q, system = sql.quote, sql.system
    key = " AND ".join(f"c.{q.name(name)} = l.{q.name(name)}" for name in sql.spec.key)
    names = q.names(sql.spec.column_names)
    began = f"(SELECT t.started_at FROM {system.name('transaction')} AS t WHERE t.id = c.{TX})"
    return (
        system.start,
        (
            f"INSERT OR IGNORE INTO {sql.history} ({names}, {OPERATION_COLUMN}, {TX}, "
            f"{END_COLUMN}, {FROM_COLUMN}, {TO_COLUMN}) "
            f"SELECT {q.names(sql.spec.column_names, 'l.')}, 'UPDATE', c.{TX}, p.tx_id, {began}, "
            f"p.started_at FROM {sql.live} AS l JOIN {sql.current} AS c ON {key}, "
            f"{system.name('pending')} AS p WHERE c.{TX} <> p.tx_id"
        ),
        system.count(sql.spec.qualified, "updated = updated + changes()"),
        f"UPDATE {sql.current} SET {TX} = {system.tx}",
        *sql.note_statements("SCHEMA"),
    )


def follow_statements(
    sql: SqliteTableSql, kept: Iterable[str], freed: Iterable[tuple[str, str]]
) -> tuple[str, ...]:
    """Add what history lacks; ``freed`` columns of it make room first."""
    made: list[str] = []
    present = {name.lower() for name in kept}
    for name, archive in freed:
        made += [_rename(sql.history, sql, name, archive), _end_identity(sql, name, archive)]
        present.discard(name.lower())
    made += [
        f"ALTER TABLE {sql.history} ADD COLUMN {sql.history_column(name)}"
        for name in sql.spec.column_names
        if name.lower() not in present
    ]
    return (*made, *sql.index_statements(), *sql.adopt_statements())


def convert_statements(
    sql: SqliteTableSql, column: str, sql_type: str, archive: str
) -> tuple[str, ...]:
    """Convert a column of history as batch mode converts the live one."""
    name, kept = sql.quote.name(column), sql.quote.name(archive)
    return (
        sql.system.start,
        f"ALTER TABLE {sql.history} ADD COLUMN {kept}",
        f"UPDATE {sql.history} SET {kept} = {name}, {name} = CAST({name} AS {sql_type})",
        _end_identity(sql, column, archive),
    )


def rename_statements(sql: SqliteTableSql, old: str, new: str) -> tuple[str, ...]:
    """Rename a column in history and, in the key, beside the live table."""
    made = [_rename(sql.history, sql, old, new)]
    if old in sql.spec.key:
        made.append(_rename(sql.current, sql, old, new))
    literal = sql.quote.literal
    entry = (
        f"CASE WHEN json_extract(e.value, '$.history') <> {literal(old)} THEN e.value "
        f"WHEN json_extract(e.value, '$.until') IS NULL THEN json_set(e.value, "
        f"'$.history', {literal(new)}, '$.name', {literal(new)}) "
        f"ELSE json_set(e.value, '$.history', {literal(new)}) END"
    )
    return (*made, _columns(sql, entry))


def move_statements(old: SqliteTableSql, new: SqliteTableSql) -> tuple[str, ...]:
    """Give the tables beside the live one the names that follow from its new name."""
    made = []
    if old.history != new.history:
        made += [f"DROP INDEX IF EXISTS {old.quote.name(name)}" for name in old.indexes()]
        made.append(f"ALTER TABLE {old.history} RENAME TO {new.history}")
        made.append(f"ALTER TABLE {old.current} RENAME TO {new.current}")
        made.append(f"DROP TABLE IF EXISTS {old.replaced}")
    literal, spec, system = new.quote.literal, new.spec, new.system
    names = f"table_name = {literal(spec.name)}"
    history = f", history_table = {literal(spec.history_table)}"
    return (
        *made,
        *new.index_statements(),
        f"UPDATE {system.name('versioned_tables')} SET {names}{history} WHERE {old.registered}",
        f"UPDATE {system.name('pk_change')} SET {names} WHERE {old.registered}",
        (
            f"INSERT OR IGNORE INTO {system.name('counts')} (name) "
            f"VALUES ({literal(spec.qualified)})"
        ),
    )


def backfill_statements(sql: SqliteTableSql, column: str, expression: str) -> tuple[str, ...]:
    """Give a column a value in the versions from before it was recorded."""
    began = (
        f"(SELECT json_extract(e.value, '$.since') FROM {sql.system.name('versioned_tables')} "
        f"AS v, json_each(v.columns) AS e WHERE {sql.registered} "
        f"AND json_extract(e.value, '$.name') = {sql.quote.literal(column)} "
        "AND json_extract(e.value, '$.until') IS NULL)"
    )
    name = sql.quote.name(column)
    return (f"UPDATE {sql.history} SET {name} = {expression} WHERE {TX} < {began}",)


def _rename(table: str, sql: SqliteTableSql, old: str, new: str) -> str:
    return f"ALTER TABLE {table} RENAME COLUMN {sql.quote.name(old)} TO {sql.quote.name(new)}"


def _end_identity(sql: SqliteTableSql, column: str, archive: str) -> str:
    """Every entry whose values lie in the column gets the new name, the present one an end."""
    kept, name = sql.quote.literal(archive), sql.quote.literal(column)
    entry = (
        f"CASE WHEN json_extract(e.value, '$.history') <> {name} THEN e.value "
        f"WHEN json_extract(e.value, '$.until') IS NULL THEN json_set(e.value, "
        f"'$.history', {kept}, '$.until', {sql.system.tx}) "
        f"ELSE json_set(e.value, '$.history', {kept}) END"
    )
    return _columns(sql, entry)


def _columns(sql: SqliteTableSql, entry: str) -> str:
    listed = sql.system.name("versioned_tables")
    return (
        f"UPDATE {listed} AS v SET columns = (SELECT json_group_array(json({entry})) "
        f"FROM json_each(v.columns) AS e) WHERE {sql.registered}"
    )
