"""History in monthly partitions, for tables that grow without end (PostgreSQL).

A month that is old enough is dropped as a whole by ``purge_history``, which takes no time
and returns its bytes to the disk. Questions to the past find the partitions they need by
the index ``(end, start)`` of each: a partition whose versions all ended before costs one
probe of an index. Rows cannot be pruned by time exactly, as a transaction that began in one
month may be committed in the next.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import BigInteger, Connection, column, not_, select, table, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.elements import quoted_name

from sqlalchemy_temporal.clock.moment import Moment
from sqlalchemy_temporal.ddl import keys
from sqlalchemy_temporal.ddl.postgresql.quoting import Quoter
from sqlalchemy_temporal.errors import (
    ConfigurationError,
    LockTimeoutError,
    UnsupportedDatabaseError,
)
from sqlalchemy_temporal.naming import DEFAULT_SCHEMA, END_COLUMN, ID_COLUMN, TX_COLUMN
from sqlalchemy_temporal.repository.withdrawal import hold_hashing
from sqlalchemy_temporal.tables.access import AccessMode, require_unrestricted
from sqlalchemy_temporal.tables.locks import lock_timeout
from sqlalchemy_temporal.tables.recorded import RecordedTable, recorded_tables
from sqlalchemy_temporal.tables.retention import is_over
from sqlalchemy_temporal.tables.work import Bind, working

_PARTITIONS = text(
    """
    SELECT n.nspname AS schema, c.relname AS name,
           (to_date(substring(c.relname FROM '_y(\\d{4}m\\d{2})$'), 'YYYY"m"MM')
             + interval '1 month') AT TIME ZONE 'UTC' AS ends
    FROM pg_inherits i
    JOIN pg_class c ON c.oid = i.inhrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_class p ON p.oid = i.inhparent AND p.relkind = 'p'
    WHERE i.inhparent = to_regclass(:history)
    ORDER BY c.relname
    """
)
_BRIEFLY: Final = timedelta(seconds=0.5)
_KIND = text("SELECT relkind::text FROM pg_class WHERE oid = to_regclass(:history)")


@dataclass(frozen=True, slots=True)
class Partition:
    """One month of a history table.

    Attributes:
        schema: the schema of the partition.
        name: its name.
        ends: the end of the month (with time zone, UTC); None for the partition of
            everything else.
    """

    schema: str
    name: str
    ends: datetime | None


def partition_history(
    bind: Bind,
    table_name: str,
    schema_name: str = "public",
    *,
    months_ahead: int = 2,
    patience: timedelta = timedelta(seconds=10),
    access: AccessMode | None = None,
    schema: str = DEFAULT_SCHEMA,
) -> int:
    """Partition the history of a table by the month in which versions ended.

    Its rows are moved, about a minute for ten million: the history is locked meanwhile, so
    writers of the live table wait. To begin with partitions, enable versioning with
    ``history_partition_by="month"`` instead.

    The primary key of history gains ``temporal_valid_to``, as PostgreSQL asks for. That
    time follows from the transaction that ended the version, so the key refuses the same
    duplicates as before.

    Parameters:
        bind: an Engine, or a Connection or Session whose transaction is used, of a role
            that owns the history table.
        table_name: a versioned table.
        schema_name: its schema.
        months_ahead: for so many months to come partitions are made at once.
        patience: how long to try. Each try waits half a second for a lock at most, so that
            writers do not queue behind it. In a caller's transaction there is one try.
        access: ``"restricted"`` allows reads only, which refuses this.
        schema: the schema of the library's own tables.

    Returns:
        The number of versions moved; 0 when it was partitioned already.

    Raises:
        AccessModeError: the mode allows reads only.
        NotInstalledError: the table is not versioned.
        ConfigurationError: it belongs to an inheritance tree.
        LockTimeoutError: the history was not to be had in time; nothing was changed.
        UnsupportedDatabaseError: the database is not PostgreSQL.
        PrivilegeError: the role may not do it.
    """
    require_unrestricted(bind, access, "partition_history()")
    deadline = time.monotonic() + patience.total_seconds()
    with working(bind) as work:
        while True:
            try:
                with work.step() as connection:
                    one = _alone(connection, table_name, schema_name, schema)
                    return _partition(connection, one, months_ahead)
            except LockTimeoutError:
                if not work.own or time.monotonic() > deadline:
                    raise
            time.sleep(secrets.SystemRandom().uniform(0.05, 0.5))


def _alone(connection: Connection, table_name: str, schema_name: str, schema: str) -> RecordedTable:
    """The table, which must not belong to an inheritance tree."""
    _require_postgresql(connection)
    (one, *others) = recorded_tables(connection, schema, [table_name], table_schema=schema_name)
    if one.only or others:
        raise ConfigurationError(
            f"table {one.qualified!r} belongs to an inheritance tree, whose histories "
            "inherit from each other: they cannot be partitioned"
        )
    return one


def _partition(connection: Connection, one: RecordedTable, months_ahead: int) -> int:
    history = _regclass(connection, one.history_schema, one.history_name)
    if connection.scalar(_KIND, {"history": history}) == "p":
        return 0
    # Before any lock on the table, and for as long as it takes.
    hold_hashing(connection)
    quoted = connection.dialect.identifier_preparer.quote(one.system.schema)
    statement = text(f"SELECT {quoted}.partition_history(CAST(:history AS regclass), :ahead)")
    with lock_timeout(connection, _BRIEFLY, [(one.history_schema, one.history_name)]):
        moved = connection.scalar(statement, {"history": history, "ahead": months_ahead})
    return int(moved or 0)


def maintain_history_partitions(
    bind: Bind,
    *,
    months_ahead: int = 2,
    access: AccessMode | None = None,
    schema: str = DEFAULT_SCHEMA,
) -> int:
    """Make the partitions of the months to come, for every partitioned history.

    Sealing does it too, ten days before the last one ends, so this is for those who want
    it done at a time of their choosing. What a partition that was made late should have
    held is moved into it from the DEFAULT partition.

    Parameters:
        bind: an Engine, or a Connection or Session whose transaction is used.
        months_ahead: how many months after the current one.
        access: ``"restricted"`` allows reads only, which refuses this.
        schema: the schema of the library's own tables.

    Returns:
        The number of partitions made. A table that somebody has locked is left for the
        next time.

    Raises:
        AccessModeError: the mode allows reads only.
        UnsupportedDatabaseError: the database is not PostgreSQL.
    """
    require_unrestricted(bind, access, "maintain_history_partitions()")
    with working(bind) as work, work.step() as connection:
        _require_postgresql(connection)
        quoted = connection.dialect.identifier_preparer.quote(schema)
        statement = text(f"SELECT {quoted}.maintain_partitions(:ahead)")
        return int(connection.scalar(statement, {"ahead": months_ahead}) or 0)


def partitions_of(connection: Connection, one: RecordedTable) -> list[Partition]:
    """The partitions of a history table, oldest first; none when it is not partitioned."""
    if connection.dialect.name != "postgresql":
        return []
    history = _regclass(connection, one.history_schema, one.history_name)
    rows = connection.execute(_PARTITIONS, {"history": history})
    return [Partition(row.schema, row.name, row.ends) for row in rows]


def whole_partitions(
    connection: Connection, one: RecordedTable, moment: Moment
) -> Iterator[Partition]:
    """The past months of which every version is over at ``moment``."""
    for partition in partitions_of(connection, one):
        if partition.ends is None or partition.ends > moment.effective_at:
            continue
        rows = partition_rows(partition)
        needed = select(rows.c[END_COLUMN]).where(not_(is_over(connection, moment, rows))).limit(1)
        if connection.execute(needed).first() is None:
            yield partition


def partition_rows(partition: Partition) -> Any:
    """The partition as what SELECT and DELETE take."""
    return table(
        quoted_name(partition.name, None),
        *(column(name, BigInteger) for name in (ID_COLUMN, TX_COLUMN, END_COLUMN)),
        schema=partition.schema,
    )


def drop_partition(connection: Connection, partition: Partition, patience: str = "2s") -> bool:
    """Drop a partition; False when the locks for it could not be had in time."""
    quote = Quoter(connection.dialect)
    name = quote.qualified(partition.schema, partition.name)
    try:
        with connection.begin_nested():
            connection.execute(
                text("SELECT set_config('lock_timeout', :patience, true)"), {"patience": patience}
            )
            connection.exec_driver_sql(f"DROP TABLE {name}")
            connection.exec_driver_sql("SET LOCAL lock_timeout TO DEFAULT")
    except DBAPIError as error:
        if keys.sqlstate(error) != keys.STATE_LOCK_NOT_AVAILABLE:
            raise
        return False
    return True


def _require_postgresql(connection: Connection) -> None:
    if connection.dialect.name != "postgresql":
        raise UnsupportedDatabaseError(
            f"{connection.dialect.name!r} has no partitions; history can be partitioned on "
            "PostgreSQL only"
        )


def _regclass(connection: Connection, schema: str, name: str) -> str:
    quote = connection.dialect.identifier_preparer.quote
    return f"{quote(schema)}.{quote(name)}".replace("%%", "%")


__all__ = [
    "Partition",
    "drop_partition",
    "maintain_history_partitions",
    "partition_history",
    "partition_rows",
    "partitions_of",
    "whole_partitions",
]
