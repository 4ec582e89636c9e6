"""Every change of a table between two moments, as one query.

A change is where one version ended and the next began: the versions of the table that
began in the period are joined with those that ended in it, by key and transaction. What
only began was inserted (or was there when versioning began), what only ended was deleted.
Where rows changed their keys, the key from which each one came is looked up in
``pk_change`` first.

Versions are read by the index of history ``(temporal_end_tx_id, temporal_tx_id)`` from the
start of the period on; current rows are filtered by the transaction that wrote them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Select,
    and_,
    case,
    func,
    select,
    union_all,
)
from sqlalchemy.sql.elements import Label

from sqlalchemy_temporal.errors import UnknownOptionError
from sqlalchemy_temporal.naming import END_COLUMN, OPERATION_COLUMN, TX_COLUMN
from sqlalchemy_temporal.repository.described import VersionedTable
from sqlalchemy_temporal.schema import SystemTables, system_of
from sqlalchemy_temporal.tables.expressions import same_key
from sqlalchemy_temporal.tables.moves import key_document, key_part, keys_changed, moves
from sqlalchemy_temporal.tables.span import Period

OPERATIONS: Final = ("INSERT", "UPDATE", "DELETE", "TRUNCATE", "BASELINE")
"""What a change can be. ``DELETE`` asks for truncated rows, too."""


@dataclass(frozen=True, slots=True)
class Events:
    """The query for the changes of one table.

    Attributes:
        statement: selects the recorded columns before the change and after it, whether
            there was a row before and is one after it, the kind and the transaction.
        columns: the recorded columns.
    """

    statement: Select[Any]
    columns: tuple[str, ...]


def check_operation(operation: str | None) -> str | None:
    """``operation`` in capitals.

    Raises:
        UnknownOptionError: there is no such operation.
    """
    if operation is None:
        return None
    if str(operation).upper() not in OPERATIONS:
        raise UnknownOptionError(
            f"operation must be one of {', '.join(OPERATIONS)}, not {operation!r}"
        )
    return operation.upper()


def events(
    connection: Connection,
    table: VersionedTable,
    period: Period,
    schema: str,
    *,
    operation: str | None = None,
    author: str | None = None,
    newest_first: bool = False,
) -> Events:
    """The query for the changes of ``table`` in a period.

    Parameters:
        connection: where it will run.
        table: the table.
        period: the commits.
        schema: the schema of the library's own tables.
        operation: only changes of this kind; None for all but ``BASELINE``.
        author: only by this author.
        newest_first: begin with the last commit.
    """
    system = system_of(connection, schema)
    baselines = [table.enabled_tx_id, *(gap["until"] for gap in table.gaps)]
    begun = _begun(connection, table, period).subquery("a")
    ended = _ended(connection, table, period, system).subquery("b")
    key = [begun.c[name] for name in table.key]
    came_from = [ended.c[f"{_CAME_TO}{n}"] for n in range(len(table.key))]
    joined = begun.join(
        ended, and_(begun.c[_TX] == ended.c[_TX], same_key(key, came_from)), full=True
    )
    tx = func.coalesce(begun.c[_TX], ended.c[_TX])
    kind = case(
        (and_(begun.c[_TX].is_not(None), ended.c[_TX].is_not(None)), "UPDATE"),
        (begun.c[_TX].in_(baselines), "BASELINE"),
        (begun.c[_TX].is_not(None), "INSERT"),
        else_=ended.c[OPERATION_COLUMN],
    )
    transaction = system.transaction
    statement = (
        select(
            *_numbered("before", ended, table.columns),
            *_numbered("after", begun, table.columns),
            ended.c[_TX].is_not(None).label("temporal_was"),
            begun.c[_TX].is_not(None).label("temporal_is"),
            kind.label("temporal_change"),
            tx.label("temporal_tx"),
        )
        .select_from(joined.join(transaction, transaction.c.id == tx))
        .where(_asked(kind, operation))
    )
    if author is not None:
        statement = statement.where(transaction.c.author == author)
    seq = transaction.c.commit_seq
    keys = [
        func.coalesce(one, other)
        for one, other in zip(key, (ended.c[name] for name in table.key), strict=True)
    ]
    ordered = statement.order_by(seq.desc() if newest_first else seq, *keys)
    return Events(ordered, table.columns)


_TX: Final = "temporal_at"
_CAME_TO: Final = "temporal_came_to_"


def _asked(kind: ColumnElement[str], operation: str | None) -> ColumnElement[bool]:
    if operation is None:
        return kind != "BASELINE"
    return kind.in_(["DELETE", "TRUNCATE"]) if operation == "DELETE" else kind == operation


def _numbered(side: str, source: FromClause, names: Sequence[str]) -> list[Label[Any]]:
    return [source.c[name].label(f"{side}_{number}") for number, name in enumerate(names)]


def _begun(connection: Connection, table: VersionedTable, period: Period) -> Any:
    """The versions that began in the period, with the transaction."""
    history = table.history
    started = history.c[TX_COLUMN]
    closed = select(*_recorded(history, table), started.label(_TX)).where(
        period.contains(connection, started)
    )
    if period.start is not None:  # what began later ended later; the index is by ends
        closed = closed.where(history.c[END_COLUMN] >= period.start.lo)
    written = table.stored.c[TX_COLUMN]
    current = select(*_recorded(table.stored, table), written.label(_TX)).where(
        period.contains(connection, written)
    )
    return union_all(current, closed)


def _recorded(source: FromClause, table: VersionedTable) -> list[ColumnElement[Any]]:
    return [source.c[name].label(name) for name in table.columns]


def _ended(
    connection: Connection, table: VersionedTable, period: Period, system: SystemTables
) -> Select[Any]:
    """The versions that ended in the period, with the key that the row had after it."""
    history = table.history
    end = history.c[END_COLUMN]
    source: FromClause = history
    came_to: list[ColumnElement[Any]] = [history.c[name] for name in table.key]
    if keys_changed(connection, table, period, system):
        moved = moves(connection, table, period, system).subquery("m")
        source = history.outerjoin(
            moved, and_(moved.c.tx_id == end, moved.c.start == key_document(connection, table))
        )
        came_to = [
            case((moved.c.tx_id.is_not(None), key_part(moved.c.stop, part)), else_=part)
            for part in came_to
        ]
    return (
        select(
            *_recorded(history, table),
            end.label(_TX),
            history.c[OPERATION_COLUMN],
            *(part.label(f"{_CAME_TO}{n}") for n, part in enumerate(came_to)),
        )
        .select_from(source)
        .where(period.contains(connection, end), history.c[OPERATION_COLUMN] != "DISABLE")
    )


__all__ = ["OPERATIONS", "Events", "check_operation", "events"]
