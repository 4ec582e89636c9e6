"""Staged rows: what was recorded, in temporary tables, compared with what there is now.

Whatever another library writes is brought into one form, the state of a row after a numbered
transaction, or that it does not exist after it. The rest follows from the order: a state
lasts until the next one of the same row. What the source itself says of the ends of its
versions is not used; it is what goes wrong first.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from typing import cast as cast_type

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    case,
    cast,
    exists,
    func,
    insert,
    literal,
    literal_column,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.sql.expression import Select, Subquery, TableClause

from sqlalchemy_temporal.imports.source import Named
from sqlalchemy_temporal.imports.target import ALIVE, NUMBER, STATE, Target, numbers, streaming

NEXT = "temporal_import_next"
NEXT_ALIVE = "temporal_import_next_alive"
BEFORE_ALIVE = "temporal_import_before_alive"
GONE, CHANGED, CURRENT = 0, 1, 2
"""States of the last recorded states: there is no such row, another one, the same."""


def same_key(target: Target, left: Any, right: Any) -> ColumnElement[bool]:
    """Whether two rows have one key."""
    return and_(*(left.c[name] == right.c[name] for name in target.spec.key))


def create_numbers(connection: Connection, type_: str) -> None:
    """Make the temporary table of the source's transactions; their ids have type ``type_``."""
    columns = cast(literal(None), Named(type_)).label("source"), _number(connection, NUMBER)
    _create(connection, numbers(connection), select(*columns))


def create(connection: Connection, target: Target) -> None:
    """Make the temporary tables of one table, empty."""
    live = [target.live.c[name] for name in target.columns]
    _create(
        connection,
        target.staged,
        select(*live, _number(connection, NUMBER), _number(connection, ALIVE)),
    )
    _create(
        connection,
        target.last,
        select(*live, _number(connection, NUMBER), _number(connection, STATE)),
    )


def _number(connection: Connection, name: str) -> ColumnElement[Any]:
    kind = "INTEGER" if connection.dialect.name == "sqlite" else "bigint"
    return cast(literal_column("0"), Named(kind)).label(name)


def _create(connection: Connection, table: TableClause, rows: Select[Any]) -> None:
    drop(connection, table)
    quote = connection.dialect.identifier_preparer.quote
    nothing = rows.where(literal_column("1") == literal_column("0"))
    compiled = nothing.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True})
    connection.exec_driver_sql(f"CREATE TEMPORARY TABLE {quote(table.name)} AS {compiled}")


def drop(connection: Connection, table: TableClause) -> None:
    """Drop a temporary table, if there is one."""
    name = connection.dialect.identifier_preparer.format_table(table)
    connection.exec_driver_sql(f"DROP TABLE IF EXISTS {name}")


def drop_all(connection: Connection, targets: tuple[Target, ...]) -> None:
    """Drop all temporary tables."""
    for target in targets:
        drop(connection, target.staged)
        drop(connection, target.last)
    drop(connection, numbers(connection))


def index(connection: Connection, table: TableClause, *columns: str) -> None:
    """Index a temporary table that was just filled, and tell the planner its size."""
    quote = connection.dialect.identifier_preparer.quote
    name, over = quote(f"{table.name}_idx"), ", ".join(quote(each) for each in columns)
    full = connection.dialect.identifier_preparer.format_table(table)
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(f"CREATE INDEX temp.{name} ON {quote(table.name)} ({over})")
        return
    connection.exec_driver_sql(f"CREATE INDEX {name} ON {full} ({over})")
    connection.exec_driver_sql(f"ANALYZE {full}")


def drop_index(connection: Connection, table: TableClause) -> None:
    """Undo :func:`index`."""
    name = connection.dialect.identifier_preparer.quote(f"{table.name}_idx")
    connection.exec_driver_sql(f"DROP INDEX {table.schema}.{name}")


def lined(target: Target) -> Subquery:
    """Staged rows with what comes before and after them."""
    rows = target.staged

    def beside(function: Any, name: str) -> ColumnElement[Any]:
        line = function(rows.c[name]).over(
            partition_by=[rows.c[key] for key in target.spec.key], order_by=rows.c[NUMBER]
        )
        return cast_type("ColumnElement[Any]", line)

    return select(
        *(rows.c[name] for name in target.columns),
        rows.c[NUMBER],
        rows.c[ALIVE],
        beside(func.lead, NUMBER).label(NEXT),
        beside(func.lead, ALIVE).label(NEXT_ALIVE),
        beside(func.lag, ALIVE).label(BEFORE_ALIVE),
    ).subquery("lined")


def compare(connection: Connection, target: Target) -> None:
    """Find the last state of each row, and whether the live table has it."""
    index(connection, target.staged, *target.spec.key, NUMBER)
    rows, live = lined(target), target.live
    state = case(
        (live.c[target.spec.key[0]].is_(None), GONE),
        (_same(connection, target, rows), CURRENT),
        else_=CHANGED,
    )
    last = (
        select(*(rows.c[name] for name in target.columns), rows.c[NUMBER], state)
        .outerjoin_from(rows, live, same_key(target, rows, live))
        .where(rows.c[NEXT].is_(None), rows.c[ALIVE] == 1)
    )
    connection.execute(insert(target.last).from_select([*target.columns, NUMBER, STATE], last))
    index(connection, target.last, *target.spec.key)


def _same(connection: Connection, target: Target, rows: Subquery) -> ColumnElement[bool]:
    """Whether a recorded row and the live one are the same, byte by byte.

    On PostgreSQL as the triggers compare (``*=``); ``json`` as ``jsonb``, since that is how
    others have kept it.
    """
    live, types = target.live, {each.name: each.type for each in target.spec.columns}
    if connection.dialect.name == "sqlite":
        return and_(
            *(
                rows.c[name].collate("BINARY").is_not_distinct_from(live.c[name])
                for name in target.columns
            )
        )

    def record(side: Any) -> ColumnElement[Any]:
        values = (
            cast(side.c[name], JSONB) if types[name] == "json" else side.c[name]
            for name in target.columns
        )
        return cast(func.row(*values), Named("record"))

    return record(rows).op("OPERATOR(pg_catalog.*=)", is_comparison=True)(record(live))


def operation(rows: Any) -> ColumnElement[str]:
    """What a staged row is: an insertion, a change, a deletion, or nothing."""
    was, is_ = func.coalesce(rows.c[BEFORE_ALIVE], 0) == 1, rows.c[ALIVE] == 1
    return case(
        (and_(is_, ~was), literal_column("'insert'")),
        (is_, literal_column("'update'")),
        (was, literal_column("'delete'")),
        else_=literal_column("'ignored'"),
    )


def totals(connection: Connection, target: Target) -> dict[str, int]:
    """The number of staged rows by what they are."""
    rows = lined(target)
    kind = operation(rows).label("kind")
    found = connection.execute(select(kind, func.count()).group_by(kind)).all()
    return {str(row[0]): int(row[1]) for row in found}


def states(connection: Connection, target: Target) -> dict[int, int]:
    """The number of last states by how they compare with the live table."""
    state = target.last.c[STATE]
    found = connection.execute(select(state, func.count()).group_by(state)).all()
    return {int(row[0]): int(row[1]) for row in found}


def unrecorded(connection: Connection, target: Target) -> int:
    """The number of live rows of which no last state is known."""
    live, last = target.live, target.last
    known = exists().where(same_key(target, last, live))
    return int(connection.scalar(select(func.count()).select_from(live).where(~known)) or 0)


def counted(connection: Connection, target: Target) -> Iterator[tuple[int, str, int]]:
    """Number of the transaction, operation and number of rows, in order."""
    rows = lined(target)
    kind = operation(rows).label("kind")
    statement = (
        select(rows.c[NUMBER], kind, func.count())
        .where(kind != literal_column("'ignored'"))
        .group_by(rows.c[NUMBER], kind)
        .order_by(rows.c[NUMBER], kind)
    )
    found = connection.execute(statement, execution_options=streaming(connection))
    for row in found:
        yield int(row[0]), str(row[1]), int(row[2])


__all__ = [
    "CHANGED",
    "CURRENT",
    "GONE",
    "NEXT",
    "NEXT_ALIVE",
    "compare",
    "counted",
    "create",
    "create_numbers",
    "drop_all",
    "drop_index",
    "index",
    "lined",
    "same_key",
    "states",
    "totals",
    "unrecorded",
]
