"""Describe a live table from the catalog of a PostgreSQL database.

What the triggers record is taken from what the table really has, not from what a model
says of it: a column that only the database knows would otherwise be lost without a word.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

from sqlalchemy_temporal.ddl.spec import (
    ColumnSpec,
    LiveTable,
    TableKind,
    TableSpec,
    check_columns,
)
from sqlalchemy_temporal.ddl.sqlite import reflect as sqlite
from sqlalchemy_temporal.errors import (
    ConfigurationError,
    MissingKeyError,
    NotInstalledError,
)
from sqlalchemy_temporal.naming import TX_COLUMN, VersioningOptions

_RELATION = text(
    """
    SELECT c.oid, n.nspname AS schema, c.relkind::text AS kind, c.relispartition AS partition,
           EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = c.oid OR i.inhrelid = c.oid)
             AS in_tree
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid = to_regclass(:name)
    """
)
_COLUMNS = text(
    """
    SELECT a.attname AS name, a.attgenerated::text AS generated, a.attislocal AS local,
           format_type(a.atttypid, a.atttypmod) AS type,
           CASE WHEN a.attgenerated = 'v' THEN pg_get_expr(d.adbin, d.adrelid) END AS expression
    FROM pg_attribute a
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = :oid AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY a.attnum
    """
)
_KEY = text(
    """
    SELECT a.attname
    FROM pg_index i
    CROSS JOIN LATERAL unnest(i.indkey::smallint[]) WITH ORDINALITY AS k(attnum, position)
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
    WHERE i.indrelid = :oid AND i.indisprimary AND k.position <= i.indnkeyatts
    ORDER BY k.position
    """
)
_FOREIGN_KEYS = text(
    """
    SELECT array_agg(a.attname::text ORDER BY k.position) AS columns
    FROM pg_constraint f
    CROSS JOIN LATERAL unnest(f.conkey) WITH ORDINALITY AS k(attnum, position)
    JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.attnum
    WHERE f.conrelid = :oid AND f.contype = 'f'
    GROUP BY f.oid ORDER BY 1
    """
)


_CHILDREN = text(
    """
    SELECT n.nspname AS schema, c.relname AS name
    FROM pg_inherits i
    JOIN pg_class c ON c.oid = i.inhrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE i.inhparent = :oid
    ORDER BY c.oid
    """
)


def reflect_table(
    connection: Connection,
    schema: str | None,
    name: str,
    options: VersioningOptions,
    *,
    key: tuple[str, ...] = (),
    lenient: bool = False,
) -> LiveTable:
    """Describe ``schema.name`` as it is in the database.

    Parameters:
        connection: where to look.
        schema: the table's schema; None for the first match on the search path.
        name: the table's name.
        options: how it is versioned.
        key: the key columns to use when the table has no primary key constraint.
        lenient: pass over columns that the options name and the table no longer has.

    Raises:
        NotInstalledError: there is no such table.
        MissingKeyError: it has no primary key.
        ConfigurationError: it is a view or another thing that cannot be versioned, or an
            excluded column does not exist or belongs to the key.
    """
    if connection.dialect.name == "sqlite":
        return sqlite.reflect_table(connection, schema, name, options, key=key, lenient=lenient)
    quote = connection.dialect.identifier_preparer.quote
    # The preparer doubles percent signs for statement text; this name is a value.
    full = (f"{quote(schema)}." if schema else "") + quote(name)
    found = connection.execute(_RELATION, {"name": full.replace("%%", "%")}).one_or_none()
    label = f"{schema}.{name}" if schema else name
    if found is None:
        raise NotInstalledError(f"there is no table {label!r} in this database")
    if found.kind not in ("r", "p"):
        raise ConfigurationError(f"{label!r} is not an ordinary or partitioned table")
    if found.partition:
        raise ConfigurationError(
            f"{label!r} is a partition; version its partitioned parent instead"
        )
    rows = connection.execute(_COLUMNS, {"oid": found.oid}).all()
    primary = tuple(connection.scalars(_KEY, {"oid": found.oid})) or key
    if not primary:
        raise MissingKeyError(
            f"table {label!r} has no primary key, so its rows cannot be followed through "
            "time; add one, or name the identifying columns in the model's primary key"
        )
    names = {row.name for row in rows}
    if lenient:
        options = options.fitting(names)
    check_columns(label, names, primary, options)
    columns = tuple(
        ColumnSpec(row.name, row.generated != "", row.expression, row.type)
        for row in rows
        if row.name != TX_COLUMN
    )
    kept = tuple(column for column in columns if column.name not in options.exclude)
    foreign = (tuple(value) for value in connection.scalars(_FOREIGN_KEYS, {"oid": found.oid}))
    recorded = {column.name for column in kept}
    members = tuple(
        (row.schema, row.name) for row in connection.execute(_CHILDREN, {"oid": found.oid})
    )
    spec = TableSpec(
        schema=schema,
        name=name,
        columns=kept,
        key=primary,
        foreign_keys=tuple(dict.fromkeys(f for f in foreign if set(f) <= recorded)),
        options=options,
        kind=_kind(found.kind, in_tree=found.in_tree),
        unrecorded=tuple(c for c in columns if c.name in options.exclude),
        found_in=found.schema,
        partitions=members if found.kind == "p" else (),
    )
    return LiveTable(
        spec,
        has_system_column=TX_COLUMN in names,
        inherits_system_column=any(row.name == TX_COLUMN and not row.local for row in rows),
        children=members if found.kind == "r" else (),
        partitions=members if found.kind == "p" else (),
    )


def _kind(relkind: str, *, in_tree: bool) -> TableKind:
    if relkind == "p":
        return "partitioned"
    return "inherited" if in_tree else "ordinary"
