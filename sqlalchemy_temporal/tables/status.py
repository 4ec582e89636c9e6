"""``list_temporal_tables`` and ``get_temporal_status``: what is versioned, and how it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import BigInteger, Connection, Row, cast, func, select, text

from sqlalchemy_temporal.capture.by_name import options_registered
from sqlalchemy_temporal.capture.check import check_capture, registration_of
from sqlalchemy_temporal.capture.columns import refuse_retyped
from sqlalchemy_temporal.capture.install import refuse_drift, system_exists
from sqlalchemy_temporal.clock.moment import Unknown
from sqlalchemy_temporal.ddl.columns import identities
from sqlalchemy_temporal.ddl.reflect import reflect_table
from sqlalchemy_temporal.errors import ConfigurationError, InstallationError
from sqlalchemy_temporal.naming import DEFAULT_SCHEMA, qualified_name
from sqlalchemy_temporal.repository.described import VersionedTable
from sqlalchemy_temporal.schema import system_of
from sqlalchemy_temporal.tables.access import AccessMode, reading
from sqlalchemy_temporal.tables.lookup import (
    find_table,
    horizon_of,
    registered,
    spans_of,
    times_of,
)
from sqlalchemy_temporal.tables.standing import TemporalStatus, TemporalTable, TemporalTableList
from sqlalchemy_temporal.tables.work import Bind

_COUNTED: Final = ("insert", "update", "delete")
_SIZE = text(
    """
    SELECT coalesce(sum(pg_total_relation_size(t.relid)), pg_total_relation_size(c.relation))
    FROM (SELECT to_regclass(:name) AS relation) AS c
    LEFT JOIN LATERAL pg_partition_tree(c.relation) AS t ON true
    GROUP BY c.relation
    """
)


def list_temporal_tables(
    bind: Bind,
    schema_name: str | None = None,
    *,
    access: AccessMode | None = None,
    schema: str = DEFAULT_SCHEMA,
) -> TemporalTableList:
    """The tables that are or were versioned.

    Parameters:
        bind: an engine, a connection or a session.
        schema_name: only those of this schema.
        access: ``"restricted"`` reads in a read-only transaction.
        schema: the schema of the library's own tables.

    Returns:
        None of them in a database without versioning.
    """
    with reading(bind, access) as connection:
        if not system_exists(connection, schema):
            return TemporalTableList(())
        listed = system_of(connection, schema).versioned_tables
        statement = select(listed).order_by(listed.c.table_schema, listed.c.table_name)
        if schema_name is not None:
            statement = statement.where(listed.c.table_schema == schema_name)
        rows = connection.execute(statement).all()
        times = times_of(connection, schema, {tx for row in rows for tx in _marks(row)})
        return TemporalTableList(tuple(_described(connection, schema, row, times) for row in rows))


def get_temporal_status(
    bind: Bind,
    table_name: str,
    schema_name: str = "public",
    *,
    access: AccessMode | None = None,
    schema: str = DEFAULT_SCHEMA,
) -> TemporalStatus:
    """How the versioning of a table stands: since when, what it recorded, what it takes.

    Parameters:
        bind: an engine, a connection or a session.
        table_name: the table.
        schema_name: its schema.
        access: ``"restricted"`` reads in a read-only transaction.
        schema: the schema of the library's own tables.

    Raises:
        NotInstalledError: the table was never versioned.
    """
    with reading(bind, access) as connection:
        table = find_table(connection, table_name, schema_name, schema)
        row = registered(connection, schema, table)
        counts = _counts(connection, schema, table)
        history = connection.scalar(select(func.count()).select_from(table.history))
        return TemporalStatus(
            table=_described(connection, schema, row, times_of(connection, schema, _marks(row))),
            inserts=counts.inserts,
            updates=counts.updates,
            deletes=counts.deletes,
            commits=counts.commits,
            last_change=counts.last_change,
            history_rows=int(history or 0),
            history_bytes=_size(connection, table.history.schema, table.history.name),
            table_bytes=_size(connection, table.live.schema, table.live.name),
            drift=_drift(connection, schema, table, row),
        )


def _marks(row: Row[Any]) -> set[int | None]:
    """The transactions in which a table was enabled or disabled."""
    return {row.enabled_tx_id, *(tx for span in spans_of(row) for tx in span)}


def _described(
    connection: Connection, schema: str, row: Row[Any], times: Mapping[int, datetime]
) -> TemporalTable:
    spans = spans_of(row)
    history = f"{row.history_schema}.{row.history_table}"
    gaps = [
        Unknown(history, "gap", times.get(since), times.get(until or 0))
        for since, until in spans
        if since != until
    ]
    horizon = horizon_of(connection, schema, row.purged_seq)
    if row.purged_seq is not None:
        gaps.insert(0, Unknown(history, "purged", None, horizon))
    disabled = row.disabled_tx_id
    return TemporalTable(
        table=qualified_name(row.table_schema, row.table_name),
        schema_name=row.table_schema,
        table_name=row.table_name,
        state="enabled" if disabled is None else "disabled",
        capture="orm" if row.capture == "orm" else "trigger",
        history_table=history,
        since=times.get(row.enabled_tx_id),
        disabled_at=None if disabled is None else times.get(disabled),
        key=tuple(row.key_columns),
        columns=tuple(each.name for each in identities(row.columns) if each.current),
        excluded=tuple(row.excluded_columns),
        gaps=tuple(gaps),
    )


@dataclass(frozen=True, slots=True)
class _Counts:
    """What all commits did to a table, as they counted it themselves."""

    inserts: int
    updates: int
    deletes: int
    commits: int
    last_change: datetime | None


def _counts(connection: Connection, schema: str, table: VersionedTable) -> _Counts:
    transaction = system_of(connection, schema).transaction
    found = [transaction.c.counts[table.name][name].as_string() for name in _COUNTED]
    totals = [func.coalesce(func.sum(cast(number, BigInteger)), 0) for number in found]
    figures = [*totals, func.count(), func.max(transaction.c.committed_at)]
    changed = func.coalesce(*found).is_not(None)
    inserts, updates, deletes, commits, last = connection.execute(
        select(*figures).where(changed)
    ).one()
    return _Counts(int(inserts), int(updates), int(deletes), commits, last)


def _size(connection: Connection, schema: str | None, name: str) -> int | None:
    if connection.dialect.name != "postgresql":
        return None
    quote = connection.dialect.identifier_preparer.quote_identifier
    full = ".".join(quote(part) for part in (schema, name) if part).replace("%%", "%")
    size = connection.scalar(_SIZE, {"name": full})
    return None if size is None else int(size)


def _drift(
    connection: Connection, schema: str, table: VersionedTable, row: Row[Any]
) -> tuple[str, ...]:
    """What keeps changes of the table from being recorded as they should be."""
    if row.disabled_tx_id is not None:
        return ()
    found = []
    try:
        check_capture(connection, table.live)
    except InstallationError as error:
        found.append(str(error))
    try:
        spec = reflect_table(
            connection, row.table_schema, row.table_name, options_registered(row, schema)
        ).spec
        known = registration_of(connection, spec)
        if known is not None:
            refuse_drift(connection, spec, known)
            refuse_retyped(connection, spec)
    except (InstallationError, ConfigurationError) as error:
        found.append(str(error))
    return tuple(found)


__all__ = ["get_temporal_status", "list_temporal_tables"]
