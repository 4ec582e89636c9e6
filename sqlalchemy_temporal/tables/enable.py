"""``enable_temporal_versioning``, ``enable_many``: begin to record tables, by their names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from sqlalchemy import Connection, inspect, select, text

from sqlalchemy_temporal.capture.by_name import Installed, install_named, options_registered
from sqlalchemy_temporal.capture.install import system_exists
from sqlalchemy_temporal.errors import MissingKeyError, UnknownOptionError
from sqlalchemy_temporal.naming import (
    DEFAULT_SCHEMA,
    DEFAULT_SUFFIX,
    PartitionBy,
    VersioningOptions,
    current_name,
    qualified_name,
    replaced_name,
)
from sqlalchemy_temporal.schema import prefixed, system_of
from sqlalchemy_temporal.tables.access import AccessMode, writing
from sqlalchemy_temporal.tables.locks import Timeout
from sqlalchemy_temporal.tables.locks import lock_timeout as waiting
from sqlalchemy_temporal.tables.render import Tabular
from sqlalchemy_temporal.tables.work import Bind

# Partitions and heirs are recorded with the table that they belong to.
_TABLES: Final = text(
    """
    SELECT c.relname AS name, EXISTS (
      SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary) AS has_key
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = :schema AND c.relkind IN ('r', 'p') AND NOT c.relispartition
      AND c.relpersistence = 'p'
      AND NOT EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid)
    ORDER BY c.relname
    """
)


@dataclass(frozen=True, slots=True)
class EnabledTable(Tabular):
    """A table that is versioned now.

    Attributes:
        table: the table, as ``schema.table``.
        did: ``"enabled"``, ``"enabled again"`` after it had been disabled, ``"was enabled"``,
            or ``"brought into step"`` with columns that it gained or lost.
        history_table: where its past is kept, as ``schema.table``.
        key: its key columns.
        columns: the recorded columns.
        excluded: the columns that are not recorded.
    """

    table: str
    did: str
    history_table: str
    key: tuple[str, ...]
    columns: tuple[str, ...]
    excluded: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The same as values that JSON can have."""
        return {n: list(v) if isinstance(v, tuple) else v for n, v in asdict(self).items()}

    def headline(self) -> str:
        """What was done."""
        return f"{self.table}: {self.did}, history in {self.history_table}"


@dataclass(frozen=True, slots=True)
class EnabledTables(Tabular):
    """Tables that are versioned now; iterate over them.

    Attributes:
        tables: each of them.
        skipped: tables of the schema without a primary key, which were left out.
    """

    tables: tuple[EnabledTable, ...]
    skipped: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[EnabledTable]:
        return iter(self.tables)

    def __len__(self) -> int:
        return len(self.tables)

    def to_dict(self) -> dict[str, Any]:
        """The same as values that JSON can have."""
        return {"tables": [each.to_dict() for each in self], "skipped": list(self.skipped)}

    def headline(self) -> str:
        """How many."""
        return f"{len(self)} tables are versioned"

    def header(self) -> Sequence[str]:
        """The names of the columns shown."""
        return ("table", "did", "history")

    def lines(self) -> Iterable[Sequence[Any]]:
        """One line for each table."""
        return ((each.table, each.did, each.history_table) for each in self)

    def footnotes(self) -> Iterable[str]:
        """What was left out."""
        return [f"without a primary key, left out: {', '.join(self.skipped)}"] * bool(self.skipped)


def enable_temporal_versioning(
    bind: Bind,
    table_name: str,
    schema_name: str = "public",
    history_table_suffix: str = DEFAULT_SUFFIX,
    *,
    exclude: Iterable[str] = (),
    index: Iterable[str | Sequence[str]] = (),
    history_schema: str | None = None,
    history_partition_by: PartitionBy | None = None,
    lock_timeout: Timeout | None = None,
    access: AccessMode | None = None,
    schema: str = DEFAULT_SCHEMA,
) -> EnabledTable:
    """Begin to record every change of a table; repeatable.

    Rows that are there already exist since this transaction. They are neither copied nor
    rewritten: the table is locked for some milliseconds, whatever its size, from the moment
    the lock is had until the transaction ends.

    A table that is versioned already is left as it is, or brought into step when it gained
    or lost columns. One that was disabled is enabled again: history has a gap then.

    Parameters:
        bind: an engine, a connection or a session, of a role that owns the table.
        table_name: an ordinary table, a partitioned one, or one that others inherit from.
        schema_name: its schema.
        history_table_suffix: appended to its name to name its history table.
        exclude: columns that are not recorded.
        index: further columns, or lists of columns, to index on history.
        history_schema: where the history table is to lie; with the library's by default.
        history_partition_by: ``"month"`` partitions its history by month (PostgreSQL); for a
            history that is there already, see :func:`partition_history`.
        lock_timeout: how long to wait for a lock, in seconds or as a timedelta. While one
            waits for the lock, all who come later wait too.
        access: the access mode; ``"restricted"`` refuses the call.
        schema: the schema of the library's own tables.

    Raises:
        NotInstalledError: there is no such table.
        MissingKeyError: it has no primary key.
        ConfigurationError: it cannot be versioned, or has another history table.
        SchemaDriftError: its history does not fit it any more.
        LockTimeoutError: a lock was not to be had in time; nothing was changed.
        PrivilegeError: the role may not create what is needed.
        AccessModeError: the access mode allows reads only.
    """
    found = enable_many(
        bind,
        [table_name],
        schema_name,
        history_table_suffix,
        exclude={table_name: exclude},
        index={table_name: index},
        history_schema=history_schema,
        history_partition_by=history_partition_by,
        lock_timeout=lock_timeout,
        access=access,
        schema=schema,
    )
    return found.tables[0]


def enable_many(
    bind: Bind,
    table_names: Iterable[str] | None = None,
    schema_name: str = "public",
    history_table_suffix: str = DEFAULT_SUFFIX,
    *,
    exclude: dict[str, Iterable[str]] | None = None,
    index: dict[str, Iterable[str | Sequence[str]]] | None = None,
    without_key: Literal["error", "skip"] = "error",
    history_schema: str | None = None,
    history_partition_by: PartitionBy | None = None,
    lock_timeout: Timeout | None = None,
    access: AccessMode | None = None,
    schema: str = DEFAULT_SCHEMA,
) -> EnabledTables:
    """Begin to record several tables, or all of a schema, in one transaction.

    Parameters:
        bind: an engine, a connection or a session.
        table_names: the tables; None for all tables of the schema.
        schema_name: their schema.
        history_table_suffix: appended to their names to name their history tables.
        exclude: columns that are not recorded, by table.
        index: further columns to index on history, by table.
        without_key: what to do with tables of a schema that have no primary key: refuse, or
            leave them out.
        history_schema: where the history tables are to lie.
        history_partition_by: ``"month"`` partitions their histories by month.
        lock_timeout: how long to wait for each lock, in seconds or as a timedelta.
        access: the access mode; ``"restricted"`` refuses the call.
        schema: the schema of the library's own tables.

    Returns:
        The tables, in the order of their names, which is that in which they are locked.

    Raises:
        MissingKeyError: tables have no primary key; the message names all of them.
        Others are those of :func:`enable_temporal_versioning`; then nothing was changed.
    """
    if isinstance(table_names, str):
        raise UnknownOptionError(f"table_names must be a list of names, not {table_names!r}")
    if without_key not in ("error", "skip"):
        raise UnknownOptionError(f"without_key must be 'error' or 'skip', not {without_key!r}")
    with writing(bind, access, "enabling versioning") as connection:
        skipped: tuple[str, ...] = ()
        if table_names is None:
            names, skipped = _tables_of(connection, schema_name, schema)
            if skipped and without_key == "error":
                raise MissingKeyError(
                    f"table(s) {', '.join(skipped)} of schema {schema_name!r} have no primary "
                    "key, so their rows cannot be followed through time; add one, name the "
                    "tables to version, or leave these out with without_key='skip'"
                )
        else:
            names = sorted(set(table_names))
        with waiting(connection, lock_timeout, [(schema_name, name) for name in names]):
            made = [
                install_named(
                    connection,
                    schema_name,
                    name,
                    VersioningOptions.from_mapping(
                        {
                            "exclude": (exclude or {}).get(name, ()),
                            "index": (index or {}).get(name, ()),
                            "schema": schema,
                            "history_schema": history_schema,
                            "history_partition_by": history_partition_by,
                            "history_table_suffix": history_table_suffix,
                        },
                        where=f"table {qualified_name(schema_name, name)!r}",
                    ),
                )
                for name in names
            ]
    return EnabledTables(tuple(_enabled(each) for each in made), skipped)


def _enabled(made: Installed) -> EnabledTable:
    spec = made.spec
    return EnabledTable(
        table=spec.qualified,
        did=made.did,
        history_table=f"{spec.history_schema}.{spec.history_table}",
        key=spec.key,
        columns=spec.column_names,
        excluded=tuple(column.name for column in spec.unrecorded),
    )


def _tables_of(
    connection: Connection, schema_name: str, schema: str
) -> tuple[list[str], tuple[str, ...]]:
    """The tables of a schema, and those of them that have no key."""
    if schema_name == schema:
        raise UnknownOptionError(f"the tables in {schema!r} are those of versioning itself")
    if connection.dialect.name == "postgresql":
        found = connection.execute(_TABLES, {"schema": schema_name}).all()
        keyed = [row.name for row in found if row.has_key]
        return keyed, tuple(row.name for row in found if not row.has_key)
    inspector = inspect(connection)
    own = _own_tables(connection, schema)
    prefix = prefixed(schema, "")
    names = [
        name
        for name in sorted(inspector.get_table_names())
        if name not in own and not name.startswith(prefix)
    ]
    keys = {name: inspector.get_pk_constraint(name)["constrained_columns"] for name in names}
    return [n for n in names if keys[n]], tuple(n for n in names if not keys[n])


def _own_tables(connection: Connection, schema: str) -> set[str]:
    """The tables that lie beside versioned ones, where there are no schemas."""
    if not system_exists(connection, schema):
        return set()
    own = set()
    for row in connection.execute(select(system_of(connection, schema).versioned_tables)):
        options = options_registered(row, schema)
        named = (None, row.table_name, options)
        own |= {row.history_table, current_name(*named), replaced_name(*named)}
    return own


__all__ = ["EnabledTable", "EnabledTables", "enable_many", "enable_temporal_versioning"]
