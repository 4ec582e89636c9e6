"""The library's own tables, and the history table that belongs to a live table.

Two kinds of ``Table`` come from here. :func:`system_tables` describes what lies once in
a database: transactions, commits, references and the list of versioned tables.
:func:`history_table` derives, from a live table, the table of its closed versions. Both
live in a :class:`~sqlalchemy.MetaData` of their own, so that code which walks the
application's metadata never meets them.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, Final, cast

from sqlalchemy import (
    ARRAY,
    JSON,
    BigInteger,
    Boolean,
    Column,
    Connection,
    Dialect,
    Engine,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Sequence,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    literal_column,
    or_,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.sql.elements import quoted_name

from sqlalchemy_temporal.errors import ConfigurationError, MissingKeyError
from sqlalchemy_temporal.instant import Instant
from sqlalchemy_temporal.naming import (
    END_COLUMN,
    FROM_COLUMN,
    ID_COLUMN,
    INFO_KEY,
    OPERATION_COLUMN,
    SYSTEM_COLUMNS,
    TO_COLUMN,
    TX_COLUMN,
    VersioningOptions,
    history_name,
)

_Json = JSON().with_variant(JSONB(), "postgresql")
_Time = Instant()
_Names = JSON().with_variant(ARRAY(Text), "postgresql")
_Ids = JSON().with_variant(ARRAY(BigInteger), "postgresql")
_Number = BigInteger().with_variant(Integer(), "sqlite")
"""The type of numbered keys; SQLite counts up only what is declared INTEGER."""

_SYSTEM: Final = f"{INFO_KEY}.system"


@dataclass(frozen=True, slots=True)
class SystemTables:
    """The library's own tables in one schema of one database.

    Attributes:
        schema: the schema as it is configured.
        metadata: their MetaData, which holds what else the database needs of them.
        pending: transactions under way: on PostgreSQL rows that make commit write its
            stamp, on SQLite the single row of the transaction that is open.
    """

    schema: str
    metadata: MetaData
    versioned_tables: Table
    transaction: Table
    commit: Table
    commit_root: Table
    leaf_override: Table
    ref: Table
    ref_log: Table
    merge: Table
    conflict: Table
    pk_change: Table
    pending: Table

    @property
    def sequences(self) -> tuple[Sequence, ...]:
        """The sequences that number transactions and commits; SQLite needs none."""
        return tuple(self.metadata._sequences.values())


def system_of(bind: Dialect | Engine | Connection, schema: str) -> SystemTables:
    """The library's own tables as the database of ``bind`` has them.

    In PostgreSQL they lie in a schema of their own. SQLite has no schemas: there they lie
    beside the application's tables, in the same file, and carry the schema's name as a
    prefix (``temporal_versioning_transaction``).

    Parameters:
        bind: a connection, an engine or a dialect.
        schema: the schema of the library's own tables.
    """
    dialect = bind if isinstance(bind, Dialect) else bind.dialect
    name = str(schema)  # Table.schema is a subclass of str, cached apart
    return _system_tables(name) if has_schemas(dialect) else _prefixed_tables(name)


def has_schemas(dialect: Dialect) -> bool:
    """Whether tables of one database can lie in schemas."""
    return dialect.name != "sqlite"


def is_system_table(table: Table) -> bool:
    """Whether ``table`` is one of the library's own."""
    return _SYSTEM in table.metadata.info


def system_tables(schema: str) -> SystemTables:
    """Describe the library's own tables as PostgreSQL has them; see :func:`system_of`."""
    return _system_tables(str(schema))


@lru_cache(maxsize=64)
def _system_tables(schema: str) -> SystemTables:
    metadata = MetaData(schema=schema, info={_SYSTEM: schema})
    Sequence("transaction_id_seq", metadata=metadata, schema=schema)
    Sequence("commit_seq", metadata=metadata, schema=schema, cache=1)
    pending = Table(
        "pending",
        metadata,
        Column("tx_id", BigInteger, nullable=False, autoincrement=False),
        prefixes=["UNLOGGED"],
        comment="Transactions under way: a row here makes commit write its stamp.",
    )
    return _described(schema, metadata, pending)


@lru_cache(maxsize=64)
def _prefixed_tables(schema: str) -> SystemTables:
    described = _described(schema, MetaData(), _sqlite_pending())
    metadata = MetaData(info={_SYSTEM: schema})
    tables = {}
    for each in fields(described):
        table = getattr(described, each.name)
        if isinstance(table, Table):
            copy = table.to_metadata(metadata, name=prefixed(schema, table.name))
            for index in copy.indexes:
                index.name = quoted_name(prefixed(schema, str(index.name)), None)
            tables[each.name] = copy
    _sqlite_counts(metadata, schema)
    return SystemTables(schema, metadata, **tables)


def _sqlite_pending() -> Table:
    """The one row that SQLite keeps of the transaction under way.

    ``mode`` is ``'client'`` when somebody opened the transaction and will close it, which
    makes the commit, and ``'statement'`` when nobody did: then each statement is a commit.
    """
    return Table(
        "pending",
        MetaData(),
        Column("one", Integer, primary_key=True, autoincrement=False),
        Column("tx_id", Integer),
        Column("mode", Text),
        Column("token", Text),
        Column("started_at", _Time),
        Column("operation", Text),
        Column("author", Text),
        Column("message", Text),
        Column("context", _Json),
        Column("parent_uuid", Uuid),
        Column("merge_parent_uuid", Uuid),
        Column("expected_head", Uuid),
        Column("statement_at", Text),
        Column("statement_changes", Integer),
        Column("touched", Integer, nullable=False, server_default=text("0")),
        Column("template", Text),
        comment="The transaction under way.",
    )


def _sqlite_counts(metadata: MetaData, schema: str) -> Table:
    return Table(
        prefixed(schema, "counts"),
        metadata,
        Column("name", Text, primary_key=True),
        Column("touched", Integer, nullable=False, server_default=text("0")),
        Column("inserted", Integer, nullable=False, server_default=text("0")),
        Column("updated", Integer, nullable=False, server_default=text("0")),
        Column("deleted", Integer, nullable=False, server_default=text("0")),
        comment="What the transaction under way changed, by table.",
    )


def prefixed(schema: str, name: str) -> str:
    """How a table of ``schema`` is called where there are no schemas."""
    return f"{schema}_{name}"


def _described(schema: str, metadata: MetaData, pending: Table) -> SystemTables:
    return SystemTables(
        schema=schema,
        metadata=metadata,
        versioned_tables=_versioned_tables(metadata),
        transaction=_transaction(metadata),
        commit=_commit(metadata),
        commit_root=_commit_root(metadata),
        leaf_override=_leaf_override(metadata),
        ref=_ref(metadata),
        ref_log=_ref_log(metadata),
        merge=_merge(metadata),
        conflict=_conflict(metadata),
        pk_change=_pk_change(metadata),
        pending=pending,
    )


def _versioned_tables(metadata: MetaData) -> Table:
    return Table(
        "versioned_tables",
        metadata,
        Column("id", _Number, Identity(always=True), primary_key=True),
        Column("table_schema", Text, nullable=False),
        Column("table_name", Text, nullable=False),
        Column("history_schema", Text, nullable=False),
        Column("history_table", Text, nullable=False),
        Column("key_columns", _Names, nullable=False),
        Column("excluded_columns", _Names, nullable=False),
        Column("capture", Text, nullable=False),
        Column("columns", _Json, nullable=False),
        Column("fingerprint", Text, nullable=False),
        Column("options", _Json, nullable=False, server_default=text("'{}'")),
        Column("enabled_tx_id", BigInteger, nullable=False),
        Column("enabled_at", _Time, nullable=False, server_default=func.current_timestamp()),
        Column("disabled_tx_id", BigInteger),
        Column("disabled_at", _Time),
        Column("gaps", _Json, nullable=False, server_default=text("'[]'")),
        Column("purged_seq", BigInteger),
        Column("partitioned_until", _Time),
        UniqueConstraint("table_schema", "table_name"),
        UniqueConstraint("history_schema", "history_table"),
        comment="Every table that is or was versioned.",
    )


def _transaction(metadata: MetaData) -> Table:
    table = Table(
        "transaction",
        metadata,
        Column("id", _Number, primary_key=True, autoincrement=False),
        Column("commit_seq", BigInteger, nullable=False),
        Column("started_at", _Time, nullable=False),
        Column("committed_at", _Time, nullable=False),
        Column("uuid", Uuid, nullable=False),
        Column("operation", Text, nullable=False),
        Column("database_user", Text, nullable=False),
        Column("author", Text),
        Column("message", Text),
        Column("context", _Json),
        Column("counts", _Json, nullable=False),
        Column("parent_uuid", Uuid),
        Column("merge_parent_uuid", Uuid),
        comment="One row per database transaction that changed versioned tables.",
    )
    # Only where the graph does not simply go on: it costs ordinary commits nothing.
    branches_off = or_(table.c.parent_uuid.is_not(None), table.c.merge_parent_uuid.is_not(None))
    Index(
        "transaction_branches_off",
        table.c.commit_seq,
        postgresql_where=branches_off,
        sqlite_where=branches_off,
    )
    return table


def _commit(metadata: MetaData) -> Table:
    return Table(
        "commit",
        metadata,
        Column("seq", _Number, primary_key=True, autoincrement=False),
        Column("tx_id", BigInteger, nullable=False, unique=True),
        Column("uuid", Uuid, nullable=False, unique=True),
        Column("parent_uuid", Uuid),
        Column("merge_parent_uuid", Uuid),
        Column("effective_at", _Time, nullable=False, unique=True),
        Column("hi", BigInteger, nullable=False),
        Column("lo", BigInteger, nullable=False),
        Column("inflight", _Ids, nullable=False),
        Column("hash", LargeBinary),
        Column("marks", LargeBinary),
        Column("deleted_at", _Time),
        Column("deleted_by", Text),
        Column("deletion_reason", Text),
        comment="Sealed transactions: nodes of the commit graph, in their exact order.",
    )


def _commit_root(metadata: MetaData) -> Table:
    """Per commit and changed table, the root of the hashes of its changed rows (leaves).

    ``marks`` holds the first four bytes of each leaf, in their order: when a root does not
    match any more, they tell which rows it is because of.
    """
    return Table(
        "commit_root",
        metadata,
        Column("seq", _Number, primary_key=True, autoincrement=False),
        Column("table_id", Integer, primary_key=True, autoincrement=False),
        Column("leaves", BigInteger, nullable=False),
        Column("root", LargeBinary, nullable=False),
        Column("marks", LargeBinary, nullable=False),
        comment="What each commit did to each table, as one hash.",
    )


def _leaf_override(metadata: MetaData) -> Table:
    """Hashes of rows that were taken away or altered on purpose, so that roots still match.

    ``tx_id`` is the transaction whose commit the leaf belongs to, ``by_tx_id`` the one that
    purged or redacted; the commit of the latter covers the entry by a leaf of its own.

    ``kind = 'redacted'``: one version was altered; ``original_hash`` is its leaf as it was,
    ``current_hash`` as it is now. ``kind = 'purged'``: versions are gone; ``original_hash``
    holds their leaves one after the other, 32 bytes each, ``current_hash`` is null. A null
    ``original_hash`` says that all the commit did to this table is gone: its root in
    ``commit_root`` stands for it.
    """
    return Table(
        "leaf_override",
        metadata,
        Column("id", _Number, Identity(always=True), primary_key=True),
        Column("table_id", Integer, nullable=False),
        Column("tx_id", BigInteger, nullable=False),
        Column("kind", Text, nullable=False),
        Column("original_hash", LargeBinary),
        Column("current_hash", LargeBinary),
        Column("by_tx_id", BigInteger, nullable=False),
        Index("leaf_override_table_tx", "table_id", "tx_id"),
        Index("leaf_override_by", "by_tx_id"),
        comment="Hashes of versions that were redacted or purged on purpose.",
    )


def _ref(metadata: MetaData) -> Table:
    table = Table(
        "ref",
        metadata,
        Column("kind", Text, primary_key=True),
        Column("name", Text, primary_key=True),
        Column("commit_uuid", Uuid),
        Column("author", Text),
        Column("created_at", _Time, nullable=False, server_default=func.current_timestamp()),
        comment="Tags and branches; the current branch has no commit of its own: it is at HEAD.",
    )
    current = table.c.commit_uuid.is_(None)
    Index("ref_current", table.c.kind, unique=True, postgresql_where=current, sqlite_where=current)
    return table


def _ref_log(metadata: MetaData) -> Table:
    return Table(
        "ref_log",
        metadata,
        Column("id", _Number, Identity(always=True), primary_key=True),
        Column("at", _Time, nullable=False, server_default=func.current_timestamp()),
        Column("kind", Text, nullable=False),
        Column("name", Text, nullable=False),
        Column("action", Text, nullable=False),
        Column("old_uuid", Uuid),
        Column("new_uuid", Uuid),
        Column("author", Text),
        Column("database_user", Text),
        comment="What happened to tags, branches and HEAD, in order.",
    )


def _merge(metadata: MetaData) -> Table:
    table = Table(
        "merge",
        metadata,
        Column("id", _Number, Identity(always=True), primary_key=True),
        Column("status", Text, nullable=False),
        Column("revision", Text, nullable=False),
        Column("ours_uuid", Uuid, nullable=False),
        Column("theirs_uuid", Uuid, nullable=False),
        Column("strict", Boolean, nullable=False),
        Column("tables", _Names),
        Column("author", Text),
        Column("message", Text),
        Column("started_at", _Time, nullable=False, server_default=func.current_timestamp()),
        Column("ended_at", _Time),
        comment="Merges that met conflicts: open, committed or aborted.",
    )
    is_open = table.c.status == literal_column("'open'")
    Index("merge_open", table.c.status, unique=True, postgresql_where=is_open, sqlite_where=is_open)
    return table


def _conflict(metadata: MetaData) -> Table:
    return Table(
        "conflict",
        metadata,
        Column("id", _Number, Identity(always=True), primary_key=True),
        Column("merge_id", BigInteger, nullable=False),
        Column("table_name", Text, nullable=False),
        Column("key_text", Text, nullable=False),
        Column("row_key", _Json, nullable=False),
        Column("kind", Text, nullable=False),
        Column("columns", _Json, nullable=False),
        Column("base", _Json),
        Column("ours", _Json),
        Column("theirs", _Json),
        Column("resolution", Text),
        Column("given", _Json),
        Column("resolved_by", Text),
        Column("resolved_at", _Time),
        UniqueConstraint("merge_id", "table_name", "key_text"),
        comment="Rows that both sides of a merge changed, and how each is resolved.",
    )


def _pk_change(metadata: MetaData) -> Table:
    return Table(
        "pk_change",
        metadata,
        Column("id", _Number, Identity(always=True), primary_key=True),
        Column("table_schema", Text, nullable=False),
        Column("table_name", Text, nullable=False),
        Column("tx_id", BigInteger, nullable=False),
        Column("old_key", _Json, nullable=False),
        Column("new_key", _Json, nullable=False),
        Index("pk_change_table_tx", "table_schema", "table_name", "tx_id"),
        comment="Rows whose key was changed: the old key and the new one.",
    )


def options_of(table: Table) -> VersioningOptions | None:
    """The versioning options of ``table``, or None when it is not versioned."""
    entry = table.info.get(INFO_KEY)
    return entry["options"] if entry else None


def is_versioned(table: Table) -> bool:
    """Whether ``table`` was declared versioned."""
    return INFO_KEY in table.info


def mark_versioned(table: Table, options: VersioningOptions) -> None:
    """Record on ``table`` itself that it is versioned, and how."""
    table.info.setdefault(INFO_KEY, {})["options"] = options


def key_columns(table: Table) -> tuple[Column[Any], ...]:
    """The primary key columns of ``table``.

    Raises:
        MissingKeyError: there is none.
    """
    columns = tuple(table.primary_key.columns)
    if not columns:
        raise MissingKeyError(
            f"table {table.fullname!r} has no primary key, so its rows cannot be followed "
            "through time; add a primary key, or mark the identifying columns with "
            "primary_key=True"
        )
    return columns


def recorded_columns(table: Table) -> tuple[Column[Any], ...]:
    """The columns of ``table`` that its history keeps, in order.

    Raises:
        ConfigurationError: an excluded column does not exist or belongs to the key, or a
            column has the name of a system column.
    """
    options = options_of(table) or VersioningOptions()
    keys = {column.name for column in key_columns(table)}
    for name in options.exclude:
        if name not in table.c and name not in {c.name for c in table.c}:
            raise ConfigurationError(
                f"table {table.fullname!r}: excluded column {name!r} does not exist"
            )
        if name in keys:
            raise ConfigurationError(
                f"table {table.fullname!r}: key column {name!r} cannot be excluded"
            )
    taken = {str(name) for column in table.c for name in (column.name, column.key)}
    clash = sorted(taken & set(SYSTEM_COLUMNS))
    if clash == [TX_COLUMN]:
        raise ConfigurationError(
            f"table {table.fullname!r} has the system column {TX_COLUMN!r}: reflected from a table "
            "that is versioned already, it comes with the others. Reflect without it, with "
            "Table(..., autoload_with=engine, include_columns=[...]), or use "
            "TemporalTables(engine), which needs no Table"
        )
    if clash:
        raise ConfigurationError(
            f"table {table.fullname!r}: column name(s) {', '.join(clash)} are used by "
            "versioning; rename the column(s)"
        )
    return tuple(column for column in table.c if column.name not in options.exclude)


def history_metadata(metadata: MetaData) -> MetaData:
    """The companion of ``metadata`` that holds its history tables."""
    found = metadata.info.get(INFO_KEY)
    if found is None:
        found = metadata.info[INFO_KEY] = MetaData()
    return cast("MetaData", found)


def history_table(table: Table) -> Table:
    """The history table of a versioned ``table``: its closed versions.

    It has the recorded columns of the live table without defaults, generation,
    uniqueness or references, and the system columns: ``temporal_id``,
    ``temporal_operation`` (what ended this version), ``temporal_tx_id`` and
    ``temporal_end_tx_id`` (the transactions that wrote and that ended it) and
    ``temporal_valid_from``, ``temporal_valid_to`` (when those began, for people).

    Raises:
        ConfigurationError: ``table`` is not versioned, or cannot be.
    """
    table = table._deannotate()  # ORM statements hold annotated copies
    entry = table.info.get(INFO_KEY)
    if entry is None:
        raise ConfigurationError(
            f"table {table.fullname!r} is not versioned; inherit Versioned in its model "
            "or call versioned_table(table)"
        )
    found = entry.get("history")
    if found is not None and live_of(found) is not table:
        # A copy made by to_metadata() shares the entry of its original.
        entry = table.info[INFO_KEY] = {"options": entry["options"]}
        found = None
    if found is None:
        found = entry["history"] = _build_history(table, entry["options"])
    elif entry["width"] != len(table.c):
        _append_new_columns(found, table)
    entry["width"] = len(table.c)
    return cast("Table", found)


def bare_column(column: Column[Any]) -> Column[Any]:
    """A column of the same name, key and type, and nothing else.

    The type is set afterwards: a Column given an Enum, or an array of one, would register
    to create and drop the type together with its table, which the live table does.
    """
    bare: Column[Any] = Column(
        quoted_name(column.name, getattr(column.name, "quote", None)),
        key=column.key,
        nullable=True,
        autoincrement=False,
    )
    bare.type = column.type
    return bare


def _append_new_columns(history: Table, table: Table) -> None:
    """Add what ``table`` gained since, e.g. from single-table subclasses."""
    for column in recorded_columns(table):
        if column.key not in history.c:
            history.append_column(bare_column(column))


def _build_history(table: Table, options: VersioningOptions) -> Table:
    metadata = history_metadata(table.metadata)
    name = history_name(table.schema, table.name, options)
    _forget_replaced(metadata, table, f"{options.effective_history_schema}.{name}")
    return Table(
        name,
        metadata,
        *(bare_column(column) for column in recorded_columns(table)),
        Column(ID_COLUMN, BigInteger, Identity(always=True), nullable=False),
        Column(OPERATION_COLUMN, Text, nullable=False),
        Column(TX_COLUMN, BigInteger, primary_key=True, autoincrement=False),
        Column(END_COLUMN, BigInteger, primary_key=True, autoincrement=False),
        Column(FROM_COLUMN, _Time),
        Column(TO_COLUMN, _Time),
        schema=options.effective_history_schema,
        info={f"{INFO_KEY}.live": table},
    )


def _forget_replaced(metadata: MetaData, table: Table, history_key: str) -> None:
    """Drop the description of a table that was removed from the application's MetaData."""
    present = metadata.tables.get(history_key)
    live = None if present is None else live_of(present)
    if present is None or live is None:
        return
    if table.metadata.tables.get(live.key) is live:
        raise ConfigurationError(
            f"tables {live.fullname!r} and {table.fullname!r} would share the history table "
            f"{present.fullname!r}; give one of them another history_table_suffix"
        )
    metadata.remove(present)


def live_of(history: Table) -> Table | None:
    """The live table a history table belongs to, or None for any other table."""
    return cast("Table | None", history.info.get(f"{INFO_KEY}.live"))


def foreign_key_columns(table: Table) -> tuple[tuple[str, ...], ...]:
    """The local column lists of ``table``'s foreign keys that history keeps."""
    recorded = {column.name for column in recorded_columns(table)}
    found = []
    for constraint in table.foreign_key_constraints:
        names = tuple(column.name for column in constraint.columns)
        if set(names) <= recorded:
            found.append(names)
    return tuple(sorted(set(found)))


__all__ = [
    "SystemTables",
    "bare_column",
    "foreign_key_columns",
    "has_schemas",
    "history_metadata",
    "history_table",
    "is_system_table",
    "is_versioned",
    "key_columns",
    "live_of",
    "mark_versioned",
    "options_of",
    "prefixed",
    "recorded_columns",
    "system_of",
    "system_tables",
]
