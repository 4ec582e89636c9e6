"""Remove versions that are over, in batches."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Delete,
    MetaData,
    Table,
    delete,
    exists,
    func,
    insert,
    select,
)

from sqlalchemy_temporal.clock.moment import Moment
from sqlalchemy_temporal.naming import END_COLUMN, ID_COLUMN, TX_COLUMN
from sqlalchemy_temporal.repository import sqlite_withdrawal
from sqlalchemy_temporal.repository.withdrawal import hold_hashing, record_purged
from sqlalchemy_temporal.tables import months
from sqlalchemy_temporal.tables.order import Order, Removed, move_horizon
from sqlalchemy_temporal.tables.recorded import RecordedTable
from sqlalchemy_temporal.tables.retention import is_over, versions_over
from sqlalchemy_temporal.tables.work import Work, record


def remove(work: Work, one: RecordedTable, order: Order) -> Iterator[Removed]:
    """Remove the versions of one table that are over, step by step.

    Whole months go first, where they are partitions and transactions are ours. The rest
    goes in batches. A batch is a range of ending transactions, which the index
    ``(end, start)`` finds. It is a commit by itself where that may be: the horizon moves in
    the transaction that removes, so that no snapshot sees one without the other.
    """
    if work.own and order.keep_last is None:
        yield from months.drop_months(work, one, order)
    with _chosen(work, one, order) as chosen:
        last = 0
        while True:
            with work.step() as connection:
                if connection.dialect.name == "postgresql":
                    hold_hashing(connection)
                upto = _next_end(connection, one, order, chosen, after=last)
                if upto is None:
                    return
                work.describe(order.author, order.reason)
                batch = _Batch(connection, one, order.moment, chosen, last, upto)
                removed = batch.run()
            if removed:
                yield Removed(removed)
            last = upto


@contextmanager
def _chosen(work: Work, one: RecordedTable, order: Order) -> Iterator[Table | None]:
    """With ``keep_last``, a temporary table of the versions to remove; else None.

    Which versions are the newest of their row needs all of them sorted, once.
    """
    if order.keep_last is None:
        yield None
        return
    chosen = Table(
        f"temporal_over_{secrets.token_hex(4)}",
        MetaData(),
        Column(ID_COLUMN, BigInteger),
        Column(END_COLUMN, BigInteger, index=True),
        Column(TX_COLUMN, BigInteger),
        prefixes=["TEMPORARY"],
    )
    with work.step() as connection:
        chosen.create(connection, checkfirst=False)
        source = versions_over(connection, one, order.moment, order.keep_last)
        connection.execute(insert(chosen).from_select([c.name for c in chosen.c], source))
    yield chosen
    # After an error it goes with the transaction, or with the connection.
    with work.step() as connection:
        chosen.drop(connection, checkfirst=False)


def _next_end(
    connection: Connection, one: RecordedTable, order: Order, chosen: Table | None, *, after: int
) -> int | None:
    """The ending transaction at which a batch is full; None when there is nothing left."""
    source: Any = one.history if chosen is None else chosen
    end = source.c[END_COLUMN]
    rest = select(end).where(end > after, end <= order.moment.hi)
    full = connection.scalar(rest.order_by(end).offset(order.batch_size - 1).limit(1))
    if full is not None:
        return int(full)
    last = connection.scalar(rest.with_only_columns(func.max(end)))
    return None if last is None else int(last)


@dataclass(frozen=True, slots=True)
class _Batch:
    """The versions that transactions after ``after`` up to ``upto`` ended."""

    connection: Connection
    one: RecordedTable
    moment: Moment
    chosen: Table | None
    after: int
    upto: int

    def run(self) -> int:
        """Remove them, move the horizon, and record it; the number of versions."""
        boundary = self._boundary()
        if boundary is None:
            return 0
        if self.connection.dialect.name == "postgresql":
            record_purged(
                self.connection, self.one.system.schema, self.one.id, self.one.history, self._chosen
            )
        else:
            history = self.one.history
            found = select(history.c[ID_COLUMN]).where(*self._chosen(history))
            versions = self.connection.scalars(found).all()
            sqlite_withdrawal.record_purged(
                self.connection, self.one.system.schema, self.one.id, versions
            )
        move_horizon(self.connection, self.one, boundary)
        removed = self.connection.execute(self._statement()).rowcount
        counts = {self.one.qualified: {"purge": removed}}
        record(self.connection, self.one.system.schema, "PURGE", counts)
        return removed

    def _range(self, source: Any) -> list[ColumnElement[bool]]:
        end = source.c[END_COLUMN]
        return [end > self.after, end <= self.upto, is_over(self.connection, self.moment, source)]

    def _chosen(self, history: Any) -> list[ColumnElement[bool]]:
        """The conditions on ``history`` that choose them."""
        if self.chosen is None:
            return self._range(history)
        same = (self.chosen.c[c.name] == history.c[c.name] for c in self.chosen.c)
        return [*self._range(history), exists().where(*same)]

    def _boundary(self) -> int | None:
        """The number of the last commit that ended one of them."""
        source: Any = self.one.history if self.chosen is None else self.chosen
        transaction = self.one.system.transaction
        ends = select(source.c[END_COLUMN]).where(*self._range(source)).distinct()
        last = select(func.max(transaction.c.commit_seq)).where(transaction.c.id.in_(ends))
        found: int | None = self.connection.scalar(last)
        return found

    def _statement(self) -> Delete:
        history = self.one.history
        statement = delete(history).where(*self._chosen(history))
        if self.one.only:
            statement = statement.with_hint("ONLY", history, "postgresql")
        return statement


__all__ = ["remove"]
