"""Find a versioned table by its name, and what of its past was not recorded."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, MetaData, Row, Table, select

from sqlalchemy_temporal.capture.install import system_exists
from sqlalchemy_temporal.clock.moment import Moment, Unknown
from sqlalchemy_temporal.errors import ConfigurationError, NotInstalledError, UnknownOptionError
from sqlalchemy_temporal.naming import VersioningOptions, qualified_name
from sqlalchemy_temporal.repository.catalog import load_tables
from sqlalchemy_temporal.repository.described import VersionedTable
from sqlalchemy_temporal.schema import mark_versioned, system_of


def find_table(
    connection: Connection, table_name: str, schema_name: str | None, schema: str
) -> VersionedTable:
    """The table called ``schema_name.table_name``, which is or was versioned.

    Parameters:
        connection: where to look.
        table_name: its name.
        schema_name: its schema.
        schema: the schema of the library's own tables.

    Raises:
        NotInstalledError: it was never versioned in this database, or it is gone.
    """
    if not isinstance(table_name, str):
        raise UnknownOptionError(f"table_name must be the name of a table, not {table_name!r}")
    label = qualified_name(schema_name, table_name)
    refusal = NotInstalledError(
        f"table {label!r} is not versioned in this database; begin with "
        f"enable_temporal_versioning(bind, {table_name!r}), and see list_temporal_tables(bind)"
    )
    if not system_exists(connection, schema):
        raise refusal
    wanted = Table(table_name, MetaData(), schema=schema_name)
    mark_versioned(wanted, VersioningOptions(schema=schema))
    try:
        found = load_tables(connection, schema, [wanted], disabled=True)
    except ConfigurationError as error:
        raise refusal from error
    for table in found:
        if table.table_name == table_name:
            return table
    raise NotInstalledError(
        f"table {label!r} was versioned and has been dropped since; what is left of it can be "
        "read with SQL in its history table"
    )


def registered(connection: Connection, schema: str, table: VersionedTable) -> Row[Any]:
    """How ``table`` is entered in the list of versioned tables."""
    listed = system_of(connection, schema).versioned_tables
    return connection.execute(
        select(listed).where(
            listed.c.table_schema == table.schema, listed.c.table_name == table.table_name
        )
    ).one()


def gaps_between(
    connection: Connection,
    schema: str,
    table: VersionedTable,
    start: Moment | None,
    end: Moment,
    *,
    since_ever: bool = False,
) -> tuple[Unknown, ...]:
    """What was not recorded of ``table`` after ``start`` and up to ``end``, oldest first.

    Parameters:
        connection: where to look.
        schema: the schema of the library's own tables.
        table: the table.
        start: None for the beginning of its versioning.
        end: the last moment.
        since_ever: whether a time before everything recorded was asked for.

    Raises:
        UnrecordedMomentError: nothing of that time was recorded.
    """
    refuse_unknown(table, start, end)
    row = registered(connection, schema, table)
    history = f"{row.history_schema}.{row.history_table}"
    spans = spans_of(row)
    known = times_of(connection, schema, {row.enabled_tx_id, *(tx for s in spans for tx in s)})
    found = []
    if since_ever or (start is not None and not start.sees(row.enabled_tx_id)):
        found.append(Unknown(history, "before", None, known.get(row.enabled_tx_id)))
    horizon = horizon_of(connection, schema, row.purged_seq)
    if row.purged_seq is not None and (start is None or start.seq < row.purged_seq):
        found.append(Unknown(history, "purged", None, horizon))
    for since, until in spans:
        begun = end.sees(since)
        over = start is not None and until is not None and start.sees(until)
        if begun and not over and since != until:
            ended = None if until is None else known.get(until)
            found.append(Unknown(history, "gap", known.get(since), ended))
    return tuple(found)


def refuse_unknown(table: VersionedTable, start: Moment | None, end: Moment) -> None:
    """Refuse a stretch of time of which nothing was recorded.

    Raises:
        UnrecordedMomentError: it lies before versioning, in one gap, or before the horizon.
    """
    earlier = start.unknown if start is not None else frozenset()
    for unknown in end.unknown:
        if unknown.history != table.history.fullname:
            continue
        if unknown.why != "gap" or unknown in earlier:
            raise unknown.error(repr(table.name))


def spans_of(row: Row[Any]) -> list[tuple[int, int | None]]:
    """The transactions from and until which a registered table was disabled, oldest first."""
    spans: list[tuple[int, int | None]] = [(gap["since"], gap["until"]) for gap in row.gaps]
    if row.disabled_tx_id is not None:
        spans.append((row.disabled_tx_id, None))
    return spans


def times_of(
    connection: Connection, schema: str, tx_ids: Iterable[int | None]
) -> dict[int, datetime]:
    """The exact times of transactions, by id; those under way have none."""
    tables = system_of(connection, schema)
    transaction, commit = tables.transaction, tables.commit
    rows = connection.execute(
        select(transaction.c.id, transaction.c.committed_at, commit.c.effective_at)
        .outerjoin_from(transaction, commit, commit.c.tx_id == transaction.c.id)
        .where(transaction.c.id.in_([tx for tx in tx_ids if tx is not None]))
    )
    return {row.id: row.effective_at or row.committed_at for row in rows}


def horizon_of(connection: Connection, schema: str, seq: int | None) -> datetime | None:
    """The time of the commit numbered ``seq``, from which on a purged table is known."""
    commit = system_of(connection, schema).commit
    if seq is None:
        return None
    at: datetime | None = connection.scalar(
        select(commit.c.effective_at).where(commit.c.seq == seq)
    )
    return at


def explained(gap: Unknown) -> str:
    """One line about ``gap``."""
    since = gap.since.isoformat(sep=" ") if gap.since else None
    until = gap.until.isoformat(sep=" ") if gap.until else None
    match gap.why:
        case "before":
            return f"not recorded: before versioning began{f', at {until}' if until else ''}"
        case "purged":
            return f"purged: what was before {until or 'the horizon'}"
    return f"not recorded: from {since} {f'until {until}' if until else 'on'} (disabled)"


__all__ = [
    "explained",
    "find_table",
    "gaps_between",
    "horizon_of",
    "refuse_unknown",
    "registered",
    "spans_of",
    "times_of",
]
