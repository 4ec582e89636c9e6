"""Drop whole months of history.

Dropping a table is not undone for snapshots that were taken before, as deleting rows is: a
transaction with a fixed snapshot would find the month empty, without the horizon that says
so. Therefore the horizon is committed first; then every transaction that was under way is
waited for; and where one stays too long, the rows are deleted instead.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from sqlalchemy import delete, func, select, text, true

from sqlalchemy_temporal.naming import END_COLUMN
from sqlalchemy_temporal.repository.withdrawal import hold_hashing, record_purged
from sqlalchemy_temporal.tables.order import Order, Removed, move_horizon
from sqlalchemy_temporal.tables.partitions import (
    Partition,
    drop_partition,
    partition_rows,
    whole_partitions,
)
from sqlalchemy_temporal.tables.recorded import RecordedTable
from sqlalchemy_temporal.tables.work import Work, record

_UNDER_WAY = text(
    """
    SELECT l.virtualtransaction FROM pg_locks l
    JOIN pg_stat_activity a ON a.pid = l.pid
    WHERE l.locktype = 'virtualxid' AND l.pid <> pg_backend_pid()
      AND a.datname = current_database()
      AND coalesce(a.backend_type, 'client backend') = 'client backend'
    """
)
_INTERVAL: Final = 0.02
"""Seconds between two looks at what is still under way."""


def drop_months(work: Work, one: RecordedTable, order: Order) -> Iterator[Removed]:
    """Drop each partition of which every version is over."""
    with work.step() as connection:
        found = list(whole_partitions(connection, one, order.moment))
    for partition in found:
        versions = _let_go(work, one, partition, order)
        if not _wait(work, order.patience):
            _empty(work, partition)
            yield Removed(versions)
            continue
        with work.step() as connection:
            dropped = drop_partition(connection, partition)
        if not dropped:
            _empty(work, partition)
        yield Removed(versions, f"{partition.schema}.{partition.name}" if dropped else None)


def _let_go(work: Work, one: RecordedTable, partition: Partition, order: Order) -> int:
    """Move the horizon past the month, and record how many versions go."""
    rows, transaction = partition_rows(partition), one.system.transaction
    with work.step() as connection:
        hold_hashing(connection)
        ends = select(rows.c[END_COLUMN]).distinct()
        last = select(func.max(transaction.c.commit_seq)).where(transaction.c.id.in_(ends))
        boundary = connection.scalar(last)
        if boundary is None:
            return 0
        versions = connection.scalar(select(func.count()).select_from(rows)) or 0
        work.describe(order.author, order.reason)
        record_purged(connection, one.system.schema, one.id, rows, lambda _: [true()])
        move_horizon(connection, one, boundary)
        record(connection, one.system.schema, "PURGE", {one.qualified: {"purge": versions}})
    return versions


def _wait(work: Work, patience: timedelta) -> bool:
    """Wait until every transaction now under way has ended; False when that takes too long."""
    deadline = time.monotonic() + patience.total_seconds()
    with work.step() as connection:
        older = set(connection.scalars(_UNDER_WAY))
    while older:
        if time.monotonic() >= deadline:
            return False
        time.sleep(_INTERVAL)
        with work.step() as connection:
            older &= set(connection.scalars(_UNDER_WAY))
    return True


def _empty(work: Work, partition: Partition) -> None:
    """Delete the rows, which older snapshots go on seeing; the partition goes another time."""
    with work.step() as connection:
        connection.execute(delete(partition_rows(partition)))


__all__ = ["drop_months"]
