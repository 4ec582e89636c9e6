"""Make commits and versions of staged rows.

Imported commits get the first ids and numbers there are, so that everything else holds as if
they had been made here: they come before the baseline, each is visible to all later ones,
none was in flight, and sealing and hashing follow from the rows. The baseline is an ordinary
one; it ends recorded versions whose rows have changed since unrecorded.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy import (
    Connection,
    case,
    func,
    insert,
    literal,
    literal_column,
    select,
    text,
    update,
)

from sqlalchemy_temporal.capture.check import forget_verified
from sqlalchemy_temporal.capture.install import install_system
from sqlalchemy_temporal.clock.hooks import attach, set_on_transaction, transaction_id
from sqlalchemy_temporal.imports import staging
from sqlalchemy_temporal.imports.live import without_triggers
from sqlalchemy_temporal.imports.source import Recorded, Source
from sqlalchemy_temporal.imports.target import ALIVE, NUMBER, STATE, Target
from sqlalchemy_temporal.naming import (
    END_COLUMN,
    FROM_COLUMN,
    OPERATION_COLUMN,
    TO_COLUMN,
    TX_COLUMN,
)
from sqlalchemy_temporal.schema import SystemTables, system_of

_BATCH: Final = 1000

Progress = Callable[[int, int], None]
"""Called with the commits imported so far, and how many there are."""

Counts = Mapping[str, Mapping[str, int]]


def write(
    connection: Connection,
    source: Source,
    targets: tuple[Target, ...],
    *,
    count: int,
    schema: str,
    progress: Progress | None,
) -> None:
    """Write all commits and versions, and begin to version the tables.

    Parameters:
        connection: in a transaction.
        source: what was staged.
        targets: the tables.
        count: the number of commits.
        schema: the schema of the library's own tables.
        progress: told after each batch of commits.
    """
    system = system_of(connection, schema)
    attach(connection, schema)
    install_system(connection, schema)
    _reserve(connection, system, count)
    _commits(connection, system, source, targets, count=count, progress=progress)
    for target in targets:
        target.install(connection)
    baseline, began = _baseline(connection, system)
    for target in targets:
        _ended_by_imported(connection, system, target)
        _ended_by_baseline(connection, system, target, baseline, began)
        _keep_writers(connection, target)
    _known_since_first(connection, system)
    forget_verified(connection)


def _reserve(connection: Connection, system: SystemTables, count: int) -> None:
    """Let the next transaction come after the imported ones."""
    if connection.dialect.name == "sqlite":
        transaction_id(connection, system.schema)
        set_on_transaction(connection, {"tx_id": count + 1}, system.schema)
        return
    for sequence in system.sequences:
        name = connection.dialect.identifier_preparer.format_sequence(sequence)
        connection.execute(
            text(
                "SELECT setval(CAST(:name AS regclass), "
                "greatest(CAST(:count AS bigint), nextval(CAST(:name AS regclass)) - 1))"
            ),
            {"name": name.replace("%%", "%"), "count": count},
        )


# Commits ------------------------------------------------------------------------------------


def _commits(
    connection: Connection,
    system: SystemTables,
    source: Source,
    targets: tuple[Target, ...],
    *,
    count: int,
    progress: Progress | None,
) -> None:
    counts = _counts(connection, targets)
    pending: tuple[int, Counts] | None = next(counts, None)
    user = _user(connection)
    chain = _Chain(connection, system)
    rows: list[dict[str, Any]] = []
    for each in source.transactions(connection):
        told: Counts = {}
        if pending is not None and pending[0] == each.number:
            told, pending = pending[1], next(counts, None)
        rows.append(_transaction(each, told, user))
        if len(rows) == _BATCH or each.number == count:
            connection.execute(insert(system.transaction), rows)
            chain.add(rows)
            rows = []
            if progress is not None:
                progress(each.number, count)


def _transaction(each: Recorded, counts: Counts, user: str) -> dict[str, Any]:
    silent = each.operation == "BASELINE"  # whose rows are not counted
    return {
        "id": each.number,
        "commit_seq": each.number,
        "started_at": each.at,
        "committed_at": each.at,
        "uuid": uuid4(),
        "operation": each.operation,
        "database_user": user,
        "author": each.author,
        "message": each.message,
        "context": dict(each.context) or None,
        "counts": {} if silent else counts,
        "parent_uuid": None,
        "merge_parent_uuid": None,
    }


def _user(connection: Connection) -> str:
    if connection.dialect.name == "sqlite":
        return ""
    return str(connection.scalar(text("SELECT session_user")))


def _counts(connection: Connection, targets: Sequence[Target]) -> Iterator[tuple[int, Counts]]:
    """What each transaction did to each table, in the order of their numbers."""

    def of(target: Target) -> Iterator[tuple[int, str, str, int]]:
        for number, kind, rows in staging.counted(connection, target):
            yield number, target.spec.qualified, kind, rows

    merged = heapq.merge(*(of(target) for target in targets), key=itemgetter(0))
    for number, found in groupby(merged, key=itemgetter(0)):
        told: dict[str, dict[str, int]] = {}
        for _, table, kind, rows in found:
            told.setdefault(table, {})[kind] = rows
        yield number, told


class _Chain:
    """Seals commits as they are written, where nobody else does so later (SQLite)."""

    def __init__(self, connection: Connection, system: SystemTables) -> None:
        self.connection, self.system = connection, system
        self.parent: UUID | None = None
        self.at: datetime | None = None

    def add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Seal transactions, which follow those before."""
        if self.connection.dialect.name != "sqlite":
            return
        sealed = []
        for row in rows:
            at = row["committed_at"]
            if self.at is not None:
                at = max(at, self.at + timedelta(microseconds=1))
            sealed.append(
                {
                    "seq": row["commit_seq"],
                    "tx_id": row["id"],
                    "uuid": row["uuid"],
                    "parent_uuid": self.parent,
                    "merge_parent_uuid": None,
                    "effective_at": at,
                    "hi": row["id"],
                    "lo": row["id"] + 1,
                    "inflight": [],
                }
            )
            self.parent, self.at = row["uuid"], at
        self.connection.execute(insert(self.system.commit), sealed)


# Versions -----------------------------------------------------------------------------------


def _baseline(connection: Connection, system: SystemTables) -> tuple[int, Any]:
    """The transaction under way, and when it began."""
    number = connection.scalars(select(system.versioned_tables.c.enabled_tx_id).limit(1)).one()
    if connection.dialect.name == "sqlite":
        began = connection.scalar(select(system.pending.c.started_at))
    else:
        began = connection.scalar(select(func.transaction_timestamp()))
    return int(number), began


def _columns(target: Target) -> list[str]:
    system = [OPERATION_COLUMN, TX_COLUMN, END_COLUMN, FROM_COLUMN, TO_COLUMN]
    return [*target.columns, *system]


def _ended_by_imported(connection: Connection, system: SystemTables, target: Target) -> None:
    rows = staging.lined(target)
    begun, ended = system.transaction.alias("begun"), system.transaction.alias("ended")
    versions = (
        select(
            *(rows.c[name] for name in target.columns),
            case(
                (rows.c[staging.NEXT_ALIVE] == 1, literal_column("'UPDATE'")),
                else_=literal_column("'DELETE'"),
            ),
            rows.c[NUMBER],
            rows.c[staging.NEXT],
            begun.c.started_at,
            ended.c.started_at,
        )
        .join_from(rows, begun, begun.c.id == rows.c[NUMBER])
        .join(ended, ended.c.id == rows.c[staging.NEXT])
        .where(rows.c[ALIVE] == 1)
        .order_by(rows.c[staging.NEXT])
    )
    connection.execute(insert(target.history).from_select(_columns(target), versions))


def _ended_by_baseline(
    connection: Connection, system: SystemTables, target: Target, baseline: int, began: Any
) -> None:
    last = target.last
    begun = system.transaction.alias("begun")
    at = system.transaction.c.started_at.type
    versions = (
        select(
            *(last.c[name] for name in target.columns),
            case(
                (last.c[STATE] == staging.CHANGED, literal_column("'UPDATE'")),
                else_=literal_column("'DELETE'"),
            ),
            last.c[NUMBER],
            literal_column(str(baseline)),
            begun.c.started_at,
            literal(began, at),
        )
        .join_from(last, begun, begun.c.id == last.c[NUMBER])
        .where(last.c[STATE] != staging.CURRENT)
    )
    connection.execute(insert(target.history).from_select(_columns(target), versions))


def _keep_writers(connection: Connection, target: Target) -> None:
    """Ascribe rows that are as recorded last to the transactions that wrote them."""
    last = target.last
    if connection.dialect.name == "sqlite":
        current = target.current
        same = staging.same_key(target, last, current) & (last.c[STATE] == staging.CURRENT)
        number = select(last.c[NUMBER]).where(same)
        connection.execute(
            update(current).where(number.exists()).values({TX_COLUMN: number.scalar_subquery()})
        )
        return
    live = target.live
    with without_triggers(connection, target.spec.live_schema, target.spec.name):
        connection.execute(
            update(live)
            .where(staging.same_key(target, live, last), last.c[STATE] == staging.CURRENT)
            .values({TX_COLUMN: last.c[NUMBER]})
        )


def _known_since_first(connection: Connection, system: SystemTables) -> None:
    """The tables, and the columns they have now, are known from the first commit on."""
    listed, transaction = system.versioned_tables, system.transaction
    first = connection.execute(
        select(transaction.c.id, transaction.c.started_at).order_by(transaction.c.id).limit(1)
    ).one()
    for row in connection.execute(select(listed.c.id, listed.c.columns)).all():
        connection.execute(
            update(listed)
            .where(listed.c.id == row.id)
            .values(
                enabled_tx_id=first.id,
                enabled_at=first.started_at,
                columns=[{**column, "since": first.id} for column in row.columns],
            )
        )


__all__ = ["Progress", "write"]
