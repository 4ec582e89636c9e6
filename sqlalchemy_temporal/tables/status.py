"""``list_temporal_tables`` and ``get_temporal_status``: what is versioned, and how it stands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final, Literal

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
    explained,
    find_table,
    horizon_of,
    registered,
    spans_of,
    times_of,
)
from sqlalchemy_temporal.tables.render import Tabular, jsonable
from sqlalchemy_temporal.tables.work import Bind

State = Literal["enabled", "disabled"]

_COUNTED: Final = ("insert", "update", "delete")
_SIZE = text(
    """
    SELECT coalesce(sum(pg_total_relation_size(t.relid)), pg_total_relation_size(c.relation))
    FROM (SELECT to_regclass(:name) AS relation) AS c
    LEFT JOIN LATERAL pg_partition_tree(c.relation) AS t ON true
    GROUP BY c.relation
    """
)


@dataclass(frozen=True, slots=True)
class TemporalTable:
    """A table that is or was versioned.

    Attributes:
        table: the table, as ``schema.table``.
        schema_name: its schema.
        table_name: its name.
        state: ``"enabled"`` or ``"disabled"``.
        history_table: where its past is kept, as ``schema.table``.
        since: when it was first enabled (with time zone); None before that is committed.
        disabled_at: when it was disabled (with time zone); None while it is enabled.
        key: its key columns.
        columns: the columns that are recorded now.
        excluded: the columns that are not recorded.
        gaps: when it was disabled, and what was purged.
    """

    table: str
    schema_name: str
    table_name: str
    state: State
    history_table: str
    since: datetime | None
    disabled_at: datetime | None
    key: tuple[str, ...]
    columns: tuple[str, ...]
    excluded: tuple[str, ...]
    gaps: tuple[Unknown, ...]

    def to_dict(self) -> dict[str, Any]:
        """The same as values that JSON can have."""
        found = {each.name: jsonable(getattr(self, each.name)) for each in fields(self)}
        return found | {"gaps": [explained(gap) for gap in self.gaps]}


@dataclass(frozen=True, slots=True)
class TemporalTableList(Tabular):
    """The versioned tables of a database; iterate over them.

    Attributes:
        tables: each of them, in the order of their names.
    """

    tables: tuple[TemporalTable, ...]

    def __iter__(self) -> Iterator[TemporalTable]:
        return iter(self.tables)

    def __len__(self) -> int:
        return len(self.tables)

    def __getitem__(self, index: int) -> TemporalTable:
        return self.tables[index]

    def to_dict(self) -> dict[str, Any]:
        """The same as values that JSON can have."""
        return {"tables": [each.to_dict() for each in self.tables]}

    def headline(self) -> str:
        """How many."""
        return f"{len(self)} versioned table{'' if len(self) == 1 else 's'}"

    def header(self) -> Sequence[str]:
        """The names of the columns shown."""
        return ("table", "state", "since", "history", "gaps")

    def lines(self) -> Iterable[Sequence[Any]]:
        """One line for each table."""
        return (
            (each.table, each.state, each.since, each.history_table, len(each.gaps))
            for each in self.tables
        )


@dataclass(frozen=True, slots=True)
class TemporalStatus(Tabular):
    """How the versioning of one table stands.

    Attributes:
        table: what is versioned, since when, with which gaps.
        inserts: rows inserted by all recorded commits.
        updates: rows updated by them.
        deletes: rows deleted by them.
        commits: commits that changed the table.
        last_change: when it was last changed (with time zone); None: never.
        history_rows: closed versions kept in history.
        history_bytes: what history takes on disk, indexes included; None when the database
            does not tell.
        table_bytes: the same of the table.
        drift: what is not in step between the table and what records it; empty when changes
            are recorded as they should be.
    """

    table: TemporalTable
    inserts: int
    updates: int
    deletes: int
    commits: int
    last_change: datetime | None
    history_rows: int
    history_bytes: int | None
    table_bytes: int | None
    drift: tuple[str, ...]

    @property
    def state(self) -> State:
        """``"enabled"`` or ``"disabled"``."""
        return self.table.state

    @property
    def gaps(self) -> tuple[Unknown, ...]:
        """When it was disabled, and what was purged."""
        return self.table.gaps

    @property
    def total_changes(self) -> int:
        """Rows inserted, updated and deleted."""
        return self.inserts + self.updates + self.deletes

    def to_dict(self) -> dict[str, Any]:
        """The same as values that JSON can have."""
        found = {e.name: jsonable(getattr(self, e.name)) for e in fields(self) if e.name != "table"}
        return self.table.to_dict() | found | {"total_changes": self.total_changes}

    def headline(self) -> str:
        """Which table, and whether it is recorded."""
        at = self.table.disabled_at or self.table.since
        since = f" since {at.isoformat(sep=' ')}" if at else ""
        return f"{self.table.table}: {self.state}{since}"

    def header(self) -> Sequence[str]:
        """The names of the columns shown."""
        return ("figure", "value")

    def lines(self) -> Iterable[Sequence[Any]]:
        """One line for each figure."""
        shown = ("inserts", "updates", "deletes", "commits", "last_change")
        sizes = ("history_rows", "history_bytes", "table_bytes")
        history = ("history_table", self.table.history_table)
        return [history, *((name, getattr(self, name)) for name in (*shown, *sizes))]

    def footnotes(self) -> Iterable[str]:
        """Gaps and drift."""
        return [*(explained(gap) for gap in self.gaps), *(f"drift: {e}" for e in self.drift)]


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
        return TemporalTableList(tuple(_described(connection, schema, row) for row in rows))


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
            table=_described(connection, schema, row),
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


def _described(connection: Connection, schema: str, row: Row[Any]) -> TemporalTable:
    spans = spans_of(row)
    times = times_of(connection, schema, {row.enabled_tx_id, *(tx for s in spans for tx in s)})
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


__all__ = [
    "TemporalStatus",
    "TemporalTable",
    "TemporalTableList",
    "get_temporal_status",
    "list_temporal_tables",
]
