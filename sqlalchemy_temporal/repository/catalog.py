"""The versioned tables of a database as Core objects, without any model.

:func:`load_tables` reads which tables are versioned from the library's own list, and what
they are like from the database's catalog: columns with their types, the key, generated and
identity columns, unique and foreign keys, and the order in which rows must be written so
that parents come before their children.

The ``Table`` objects are ordinary ones. The live table is marked versioned, so that
``as_of`` reads it; it leaves out the system column, which
:attr:`VersionedTable.stored` has.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any
from typing import cast as cast_type

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    DateTime,
    FromClause,
    MetaData,
    Row,
    Table,
    Text,
    cast,
    false,
    inspect,
    null,
    select,
)
from sqlalchemy.exc import NoInspectionAvailable
from sqlalchemy.sql.elements import quoted_name

from sqlalchemy_temporal.capture.orm.listen import listen
from sqlalchemy_temporal.clock.backends import clock_of
from sqlalchemy_temporal.ddl.columns import ColumnIdentity, identities
from sqlalchemy_temporal.errors import ConfigurationError
from sqlalchemy_temporal.naming import (
    DEFAULT_SCHEMA,
    END_COLUMN,
    FROM_COLUMN,
    ID_COLUMN,
    INFO_KEY,
    OPERATION_COLUMN,
    SYSTEM_COLUMNS,
    TO_COLUMN,
    TX_COLUMN,
    CaptureKind,
    VersioningOptions,
    qualified_name,
)
from sqlalchemy_temporal.repository import facts_postgresql, facts_sqlite
from sqlalchemy_temporal.repository.dependencies import in_order
from sqlalchemy_temporal.repository.described import (
    ColumnFacts,
    ForeignKeyInfo,
    TableFacts,
    UniqueInfo,
    VersionedTable,
)
from sqlalchemy_temporal.schema import (
    has_schemas,
    is_versioned,
    mark_versioned,
    options_of,
    system_of,
)
from sqlalchemy_temporal.stored import history_on, live_rows

Entity = type[Any] | Table | str
"""What names versioned tables: a mapped class, a ``Table``, or ``"name"`` or
``"schema.name"``."""


def load_tables(
    connection: Connection,
    schema: str = DEFAULT_SCHEMA,
    names: Iterable[Entity] | None = None,
    *,
    disabled: bool = False,
) -> list[VersionedTable]:
    """The versioned tables of the database, parents before children.

    Parameters:
        connection: where to look.
        schema: the schema of the library's own tables.
        names: only these; None or nothing for all. Members of an inheritance tree come
            with the table they inherit from.
        disabled: also tables whose versioning was ended, as long as they exist.

    Raises:
        ConfigurationError: a name is not that of a versioned table.
        NotInstalledError: the database has no versioning in ``schema``.
    """
    clock_of(connection).require(connection, schema)
    listed = system_of(connection, schema).versioned_tables
    every = connection.execute(select(listed).order_by(listed.c.id)).all()
    rows = [row for row in every if disabled or row.disabled_tx_id is None]
    wanted = list(names or ())
    if wanted:
        chosen = {id_ for entity in wanted for id_ in _ids_of(connection, entity, rows)}
        rows = [row for row in rows if row.id in chosen]
    if not rows:
        return []
    catalog = facts_postgresql if has_schemas(connection.dialect) else facts_sqlite
    facts = catalog.read(connection, [(r.table_schema, r.table_name) for r in rows])
    known = {
        qualified_name(r.table_schema, r.table_name) for r in every if r.disabled_tx_id is None
    }
    metadata = MetaData()
    tables = [
        _on_dialect(
            connection,
            row,
            _build(metadata, row, facts[row.table_schema, row.table_name], schema, known),
        )
        for row in rows
        if (row.table_schema, row.table_name) in facts
    ]
    return in_order(tables)


def choose(
    connection: Connection, tables: Sequence[VersionedTable], names: Iterable[Entity]
) -> list[VersionedTable]:
    """Those of ``tables``, as :func:`load_tables` gave them, that ``names`` name; all for none.

    Raises:
        ConfigurationError: a name is not that of one of them.
    """
    wanted = list(names)
    if not wanted:
        return list(tables)
    chosen: set[str] = set()
    for entity in wanted:
        named = {
            qualified_name(schema or _default(connection), name)
            for schema, name in _names_of(entity)
        }
        found = named & {table.name for table in tables}
        if not found:
            raise _unknown(entity, [table.name for table in tables])
        chosen |= found
    return [table for table in tables if table.name in chosen]


def _unknown(entity: Entity, known: Sequence[str]) -> ConfigurationError:
    return ConfigurationError(
        f"{entity!r} is not a versioned table of this database; it has "
        + (", ".join(known) or "none")
    )


def _ids_of(connection: Connection, entity: Entity, rows: Sequence[Row[Any]]) -> list[int]:
    """The registrations that ``entity`` names.

    Raises:
        ConfigurationError: it names none.
    """
    found = [
        row.id
        for schema, name in _names_of(entity)
        for row in rows
        if row.table_name == name and row.table_schema == (schema or _default(connection))
    ]
    if not found:
        raise _unknown(entity, [qualified_name(r.table_schema, r.table_name) for r in rows])
    return found


def _names_of(entity: Entity) -> list[tuple[str | None, str]]:
    if isinstance(entity, str):
        schema, _, name = entity.rpartition(".")
        return [(schema or None, name), (None, entity)] if schema else [(None, entity)]
    try:
        tables = [entity] if isinstance(entity, Table) else inspect(entity).tables
    except NoInspectionAvailable as error:
        raise ConfigurationError(
            f"{entity!r} is neither a mapped class nor a Table nor the name of a table"
        ) from error
    return [
        (table.schema, str(table.name))
        for table in tables
        if isinstance(table, Table) and is_versioned(table)
    ]


def _default(connection: Connection) -> str:
    if not has_schemas(connection.dialect):
        return "public"
    return connection.dialect.default_schema_name or "public"


def _build(
    metadata: MetaData, row: Row[Any], facts: TableFacts, schema: str, known: set[str]
) -> VersionedTable:
    recorded = [each for each in identities(row.columns) if each.current]
    columns = {c.name: c for c in facts.columns if c.name not in SYSTEM_COLUMNS}
    kept = tuple(name for name in columns if name in {each.name for each in recorded})
    live = _live(metadata, row, columns, schema)
    history = _history(row, columns, [each for each in recorded if each.name in columns])
    live.info[INFO_KEY]["history"] = history
    live.info[INFO_KEY]["width"] = len(live.c)
    history.info[f"{INFO_KEY}.live"] = live
    return VersionedTable(
        name=qualified_name(row.table_schema, row.table_name),
        schema=row.table_schema,
        table_name=row.table_name,
        live=live,
        stored=_stored(row, columns),
        history=history,
        key=tuple(row.key_columns),
        columns=kept,
        excluded=tuple(name for name in columns if name not in kept),
        generated=frozenset(n for n in kept if columns[n].generated),
        always_identity=frozenset(n for n, c in columns.items() if c.always_identity),
        sequences={n: c.sequence for n, c in columns.items() if c.sequence is not None},
        not_null=frozenset(n for n, c in columns.items() if c.not_null),
        types={n: c.sql_type for n, c in columns.items()},
        defaults={n: c.default for n, c in columns.items() if c.default is not None},
        since=_since(row),
        foreign_keys=_marked(facts.foreign_keys, known),
        referenced_by=_marked(facts.referenced_by, known),
        uniques=tuple(u for u in facts.uniques if set(u.columns) != set(row.key_columns)),
        kind=facts.kind,
        enabled_tx_id=row.enabled_tx_id,
        disabled_tx_id=row.disabled_tx_id,
        gaps=tuple(row.gaps),
    )


def _since(row: Row[Any]) -> dict[str, int]:
    """From which transaction on columns were recorded; retyped ones go on from before."""
    every = identities(row.columns)
    ended = {(each.name, each.until) for each in every if not each.current}
    return {
        each.name: each.since
        for each in every
        if each.current and (each.name, each.since) not in ended
    }


def _on_dialect(connection: Connection, row: Row[Any], table: VersionedTable) -> VersionedTable:
    """``table`` with the names that a database without schemas has for its parts."""
    if has_schemas(connection.dialect):
        return table
    live = table.live.to_metadata(MetaData(), schema=cast_type("Any", None))
    options = options_of(table.live) or VersioningOptions()
    suffix = row.options.get("history_table_suffix", options.history_table_suffix)
    live.info = {INFO_KEY: {**table.live.info[INFO_KEY]}}
    mark_versioned(live, replace(options, history_table_suffix=suffix))
    live.info[INFO_KEY]["history"].info[f"{INFO_KEY}.live"] = live
    return replace(
        table,
        live=live,
        stored=table.stored if row.disabled_tx_id is not None else live_rows(live),
        history=history_on(connection, live),
    )


def _marked(keys: Sequence[ForeignKeyInfo], known: set[str]) -> tuple[ForeignKeyInfo, ...]:
    return tuple(replace(key, is_versioned=key.table in known) for key in keys)


def _column(facts: ColumnFacts, key: bool, name: str | None = None) -> Column[Any]:
    made: Column[Any] = Column(
        quoted_name(name or facts.name, None),
        key=facts.name,
        primary_key=key,
        autoincrement=False,
        nullable=not facts.not_null,
    )
    made.type = facts.type  # set apart: an Enum must not come to create its type
    return made


def _live(metadata: MetaData, row: Row[Any], columns: dict[str, ColumnFacts], schema: str) -> Table:
    made = Table(
        row.table_name,
        metadata,
        *(_column(c, c.name in row.key_columns) for c in columns.values()),
        schema=row.table_schema,
    )
    capture: CaptureKind = "orm" if row.capture == "orm" else "trigger"
    options = VersioningOptions(
        exclude=tuple(row.excluded_columns),
        schema=schema,
        history_schema=row.history_schema,
        capture=capture,
    )
    mark_versioned(made, options)
    if capture == "orm":
        listen()  # what is written to it has to be seen, though no model declares it
    return made


def _stored(row: Row[Any], columns: dict[str, ColumnFacts]) -> FromClause:
    made = Table(
        row.table_name,
        MetaData(),
        *(_column(c, c.name in row.key_columns) for c in columns.values()),
        Column(TX_COLUMN, BigInteger, nullable=False, autoincrement=False),
        schema=row.table_schema,
    )
    if row.disabled_tx_id is None:
        return made
    # While it is disabled, none of its rows is a recorded version, and the system column
    # is not there.
    nothing = [cast(null(), column.type).label(column.key) for column in made.c]
    return select(*nothing).where(false()).subquery(row.table_name)


def _history(
    row: Row[Any], columns: dict[str, ColumnFacts], recorded: Sequence[ColumnIdentity]
) -> Table:
    kept = [_column(columns[each.name], False, each.history) for each in recorded]
    for column in kept:
        column.nullable = True
    return Table(
        row.history_table,
        MetaData(),
        *kept,
        Column(ID_COLUMN, BigInteger, nullable=False, autoincrement=False),
        Column(OPERATION_COLUMN, Text, nullable=False),
        Column(TX_COLUMN, BigInteger, primary_key=True, autoincrement=False),
        Column(END_COLUMN, BigInteger, primary_key=True, autoincrement=False),
        Column(FROM_COLUMN, DateTime(timezone=True)),
        Column(TO_COLUMN, DateTime(timezone=True)),
        schema=row.history_schema,
    )


__all__ = ["Entity", "ForeignKeyInfo", "UniqueInfo", "VersionedTable", "choose", "load_tables"]
