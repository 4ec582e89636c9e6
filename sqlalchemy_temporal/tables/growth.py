"""How large a history is, and how fast it grows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import BigInteger, Connection, Date, cast, func, select

from sqlalchemy_temporal.errors import UnknownOptionError
from sqlalchemy_temporal.naming import DEFAULT_SCHEMA
from sqlalchemy_temporal.tables.access import AccessMode, reading
from sqlalchemy_temporal.tables.partitions import partitions_of
from sqlalchemy_temporal.tables.recorded import RecordedTable, recorded_tables
from sqlalchemy_temporal.tables.render import Tabular, jsonable
from sqlalchemy_temporal.tables.retention import size_of
from sqlalchemy_temporal.tables.work import Bind

_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class HistoryGrowth(Tabular):
    """The size of one table's history, and its growth over a window of time.

    Attributes:
        table: the table, as ``schema.table``.
        versions: closed versions in history.
        bytes: what they take on the disk, with indexes; 0 when the database does not tell.
        window: how far back growth was counted.
        added: closed versions that commits within the window made, as they counted
            themselves; also of those that were purged since.
        days: the same by day (UTC), oldest first; days without any are left out.
        partitions: the partitions of history; 0 when it is not partitioned.
        oldest: since when the oldest closed version was valid (with time zone).
    """

    table: str
    versions: int
    bytes: int
    window: timedelta
    added: int
    days: tuple[tuple[date, int], ...]
    partitions: int
    oldest: datetime | None

    @property
    def versions_per_day(self) -> float:
        """Closed versions added in a day of the window, on average."""
        return self.added / (self.window / _DAY)

    @property
    def bytes_per_day(self) -> float:
        """About how many bytes those take."""
        return self.bytes / self.versions * self.versions_per_day if self.versions else 0.0

    def to_dict(self) -> dict[str, Any]:
        """The same as values that JSON can have."""
        found = {each.name: jsonable(getattr(self, each.name)) for each in fields(self)}
        averages = {
            "versions_per_day": self.versions_per_day,
            "bytes_per_day": self.bytes_per_day,
        }
        return found | averages

    def headline(self) -> str:
        """The size, and the growth of a day."""
        return (
            f"{self.table}: {self.versions} versions, {self.bytes} bytes; "
            f"{self.versions_per_day:.1f} versions a day over {self.window / _DAY:g} days"
        )

    def header(self) -> Sequence[str]:
        """The names of the columns shown."""
        return ("day", "versions")

    def lines(self) -> Iterable[Sequence[Any]]:
        """One line for each day."""
        return self.days


def history_growth(
    bind: Bind,
    table_name: str,
    schema_name: str = "public",
    *,
    window: timedelta = timedelta(days=30),
    access: AccessMode | None = None,
    schema: str = DEFAULT_SCHEMA,
) -> HistoryGrowth:
    """The size of a table's history, and how fast it grows.

    Parameters:
        bind: an engine, a connection or a session.
        table_name: the table.
        schema_name: its schema.
        window: count growth over this time up to now.
        access: ``"restricted"`` reads in a read-only transaction.
        schema: the schema of the library's own tables.

    Raises:
        NotInstalledError: the table is not versioned.
        UnknownOptionError: ``window`` is not positive.
    """
    if window <= timedelta(0):
        raise UnknownOptionError(f"window must be positive, not {window!r}")
    with reading(bind, access) as connection:
        found = recorded_tables(connection, schema, [table_name], table_schema=schema_name)
        one = next(e for e in found if (e.schema, e.name) == (schema_name, table_name))
        history = one.history
        counted = select(func.count(), func.min(history.c.temporal_valid_from))
        counted = counted.select_from(history)
        if one.only:
            counted = counted.with_hint(history, "ONLY", "postgresql")
        versions, oldest = connection.execute(counted).one()
        days = _days(connection, one, window)
        return HistoryGrowth(
            table=one.qualified,
            versions=versions,
            bytes=size_of(connection, one),
            window=window,
            added=sum(number for _, number in days),
            days=days,
            partitions=len(partitions_of(connection, one)),
            oldest=oldest,
        )


def _days(
    connection: Connection, one: RecordedTable, window: timedelta
) -> tuple[tuple[date, int], ...]:
    """By day, how many versions the commits of the window ended."""
    transaction = one.system.transaction
    since = datetime.now(UTC) - window
    of_table = transaction.c.counts[one.qualified]
    numbers = [of_table[name].as_string() for name in ("update", "delete")]
    ended = sum(
        (func.coalesce(cast(each, BigInteger), 0) for each in numbers), start=cast(0, BigInteger)
    )
    within = [transaction.c.committed_at > since, func.coalesce(*numbers).is_not(None)]
    if connection.dialect.name == "sqlite":
        found: Counter[date] = Counter()
        for at, number in connection.execute(
            select(transaction.c.committed_at, ended).where(*within)
        ):
            found[at.astimezone(UTC).date()] += number
        return tuple(sorted((day, number) for day, number in found.items() if number))
    day = cast(func.timezone("UTC", transaction.c.committed_at), Date)
    rows = connection.execute(
        select(day, func.sum(ended))
        .where(*within)
        .group_by(day)
        .having(func.sum(ended) > 0)
        .order_by(day)
    )
    return tuple((row[0], int(row[1])) for row in rows)


__all__ = ["HistoryGrowth", "history_growth"]
