"""What a purge is to do, and the horizon it leaves behind."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection, func, update

from sqlalchemy_temporal.clock.moment import Moment
from sqlalchemy_temporal.tables.recorded import RecordedTable


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be removed, how, by whom and why; see ``purge_history``."""

    moment: Moment
    keep_last: int | None
    batch_size: int
    author: str | None
    reason: str | None
    patience: timedelta


@dataclass(frozen=True, slots=True)
class Removed:
    """What one step removed.

    Attributes:
        versions: how many versions.
        partition: the partition that was dropped with them, if one was.
    """

    versions: int
    partition: str | None = None


def move_horizon(connection: Connection, one: RecordedTable, boundary: int) -> None:
    """Note that nothing of the table is known before the commit numbered ``boundary``."""
    listed = one.system.versioned_tables
    connection.execute(
        update(listed)
        .where(listed.c.id == one.id, func.coalesce(listed.c.purged_seq, 0) < boundary)
        .values(purged_seq=boundary)
    )


__all__ = ["Order", "Removed", "move_horizon"]
