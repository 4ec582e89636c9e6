"""Which versions are over at a moment, so that no later moment needs them.

A closed version is needed by the moments between its beginning and its end. When its end
is visible at a moment, it is visible at every later one too: then the version is over for
all of them, and taking it away changes none of their answers. Nothing else may be taken:
not the live rows, and not a version that ended after the moment, however old it is. A
baseline is safe for the same reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, Connection, Select, case, exists, func, literal, select
from sqlalchemy.sql.elements import ColumnElement

from sqlalchemy_temporal.clock.moment import Moment
from sqlalchemy_temporal.naming import END_COLUMN, ID_COLUMN, TX_COLUMN
from sqlalchemy_temporal.reading.dialects import rules_for
from sqlalchemy_temporal.reading.dialects.rules import BIGGEST_ID
from sqlalchemy_temporal.reading.option import Bounds
from sqlalchemy_temporal.reading.rows import visible
from sqlalchemy_temporal.tables.recorded import RecordedTable


@dataclass(frozen=True, slots=True)
class Amount:
    """How much of one table's history is over at a moment.

    Attributes:
        versions: all closed versions.
        over: those that would be taken away.
        boundary: the number of the last commit that ended one of those; None without any.
        size: the bytes of the history table and its indexes.
    """

    versions: int
    over: int
    boundary: int | None
    size: int

    @property
    def bytes(self) -> int:
        """About how many bytes ``over`` takes, by its share of the versions."""
        return round(self.size * self.over / self.versions) if self.versions else 0


def is_over(connection: Connection, moment: Moment, history: Any) -> ColumnElement[bool]:
    """Whether a row of ``history`` is over at ``moment`` and at every later one."""
    return visible(history.c[END_COLUMN], Bounds.of(moment), rules_for(connection.dialect))


def versions_over(
    connection: Connection, one: RecordedTable, moment: Moment, keep_last: int | None
) -> Select[Any]:
    """Select id, end and start of the versions that are over, but for the newest ones.

    Parameters:
        connection: where it will be run.
        one: whose versions.
        moment: at which they are over.
        keep_last: leave out so many newest versions of each row; its current version is
            the first of them.
    """
    history = one.history
    chosen: Select[Any] = select(history.c[ID_COLUMN], history.c[END_COLUMN], history.c[TX_COLUMN])
    chosen = _alone(chosen, one, history)
    if keep_last is None:
        return chosen.where(is_over(connection, moment, history))
    transaction, live = one.system.transaction, one.live
    same = zip(one.key, one.history_key, strict=True)
    lives = exists(
        select(1).select_from(live).where(*(live.c[n] == history.c[past] for n, past in same))
    )
    newest_first = func.row_number().over(
        partition_by=[history.c[name] for name in one.history_key],
        # Without a number yet: ended by the transaction under way.
        order_by=func.coalesce(transaction.c.commit_seq, BIGGEST_ID).desc(),
    )
    standing = literal(0, BigInteger) if one.disabled else case((lives, 1), else_=0)
    ranked = (
        chosen.add_columns((newest_first + standing).label("temporal_rank"))
        .join(transaction, transaction.c.id == history.c[END_COLUMN], isouter=True)
        .subquery("ranked")
    )
    return select(ranked.c[ID_COLUMN], ranked.c[END_COLUMN], ranked.c[TX_COLUMN]).where(
        ranked.c.temporal_rank > keep_last, is_over(connection, moment, ranked)
    )


def measure(
    connection: Connection, one: RecordedTable, moment: Moment, keep_last: int | None
) -> Amount:
    """Count what is over at ``moment``; reads the whole history of the table."""
    history, transaction = one.history, one.system.transaction
    total = _alone(select(func.count()).select_from(history), one, history)
    over = versions_over(connection, one, moment, keep_last).subquery("over")
    ends = select(over.c[END_COLUMN], func.count().label("n")).group_by(over.c[END_COLUMN])
    by_end = ends.subquery("by_end")
    counted = connection.execute(
        select(
            total.scalar_subquery(),
            func.coalesce(func.sum(by_end.c.n), 0),
            func.max(transaction.c.commit_seq),
        ).select_from(by_end.join(transaction, transaction.c.id == by_end.c[END_COLUMN]))
    ).one()
    return Amount(int(counted[0]), int(counted[1]), counted[2], size_of(connection, one))


def size_of(connection: Connection, one: RecordedTable) -> int:
    """The bytes of the history table with its indexes and partitions; 0 when not known."""
    if connection.dialect.name != "postgresql":
        return 0
    quote = connection.dialect.identifier_preparer.quote
    name = f"{quote(one.history_schema)}.{quote(one.history_name)}".replace("%%", "%")
    tree = func.pg_partition_tree(func.to_regclass(name)).table_valued("relid").alias("tree")
    whole = select(func.coalesce(func.sum(func.pg_total_relation_size(tree.c.relid)), 0))
    alone = select(func.coalesce(func.pg_total_relation_size(func.to_regclass(name)), 0))
    # An ordinary table has no partition tree.
    return int(connection.scalar(whole) or connection.scalar(alone) or 0)


def _alone(statement: Select[Any], one: RecordedTable, history: Any) -> Select[Any]:
    """Without the members of an inheritance tree that are registered themselves."""
    return statement.with_hint(history, "ONLY", "postgresql") if one.only else statement


__all__ = ["Amount", "is_over", "measure", "size_of", "versions_over"]
