"""What tables are like, from the catalog of PostgreSQL: one query for each kind of fact."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Row, TextClause, inspect, text
from sqlalchemy.types import NullType, TypeEngine

from sqlalchemy_temporal.naming import qualified_name
from sqlalchemy_temporal.repository.described import (
    ColumnFacts,
    ForeignKeyInfo,
    TableFacts,
    UniqueInfo,
)

Name = tuple[str, str]
"""Schema and name of a table."""

_RELATIONS = text(
    """
    SELECT c.oid, n.nspname AS schema, c.relname AS name, c.relkind::text AS kind,
           EXISTS (SELECT FROM pg_inherits i WHERE c.oid IN (i.inhparent, i.inhrelid)) AS in_tree
    FROM unnest(CAST(:schemas AS text[]), CAST(:names AS text[])) AS w(schema, name)
    JOIN pg_namespace n ON n.nspname = w.schema
    JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w.name AND c.relkind IN ('r', 'p')
    """
)
_COLUMNS = text(
    """
    SELECT a.attrelid AS oid, a.attname AS name, a.attgenerated <> '' AS generated,
           a.attidentity = 'a' AS always_identity, a.attnotnull AS not_null,
           format_type(a.atttypid, a.atttypmod) AS type,
           (SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef d
            WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum) AS default_value,
           (SELECT min(d.objid::regclass::text) FROM pg_depend d
            JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'
            WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
              AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum
              AND d.deptype IN ('a', 'i')) AS sequence
    FROM pg_attribute a
    WHERE a.attrelid = ANY (CAST(:oids AS oid[])) AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY a.attrelid, a.attnum
    """
)
_UNIQUES = text(
    """
    SELECT i.indrelid AS oid, c.relname AS name, i.indpred IS NOT NULL AS partial,
           coalesce((SELECT k.condeferrable FROM pg_constraint k
                     WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u')), false)
             AS deferrable,
           ARRAY(SELECT a.attname::text
                 FROM unnest(i.indkey::smallint[]) WITH ORDINALITY AS k(attnum, place)
                 LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
                   AND k.attnum <> 0
                 WHERE k.place <= i.indnkeyatts ORDER BY k.place) AS columns
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    WHERE i.indrelid = ANY (CAST(:oids AS oid[])) AND i.indisunique AND i.indisvalid
    ORDER BY i.indrelid, c.relname
    """
)
_FOREIGN_KEYS = text(
    """
    SELECT f.conrelid AS oid, f.confrelid AS referred_oid, f.conname AS name,
           n.nspname AS schema, c.relname AS table, rn.nspname AS referred_schema,
           rc.relname AS referred_table, f.confdeltype::text AS on_delete,
           f.confupdtype::text AS on_update, f.condeferrable AS deferrable,
           ARRAY(SELECT a.attname::text FROM unnest(f.conkey) WITH ORDINALITY AS k(attnum, place)
                 JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.attnum
                 ORDER BY k.place) AS columns,
           ARRAY(SELECT a.attname::text FROM unnest(f.confkey) WITH ORDINALITY AS k(attnum, place)
                 JOIN pg_attribute a ON a.attrelid = f.confrelid AND a.attnum = k.attnum
                 ORDER BY k.place) AS referred_columns,
           ARRAY(SELECT a.attname::text FROM pg_attribute a
                 WHERE a.attrelid = f.conrelid  -- no such column before PostgreSQL 15
                   AND to_jsonb(f) -> 'confdelsetcols' @> to_jsonb(a.attnum)
                 ORDER BY a.attnum) AS set_columns
    FROM pg_constraint f
    JOIN pg_class c ON c.oid = f.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_class rc ON rc.oid = f.confrelid JOIN pg_namespace rn ON rn.oid = rc.relnamespace
    WHERE f.contype = 'f' AND f.conparentid = 0
      AND (f.conrelid = ANY (CAST(:oids AS oid[])) OR f.confrelid = ANY (CAST(:oids AS oid[])))
    ORDER BY f.oid
    """
)
_ACTIONS = {
    "a": "NO ACTION",
    "r": "RESTRICT",
    "c": "CASCADE",
    "n": "SET NULL",
    "d": "SET DEFAULT",
}


def read(connection: Connection, names: Sequence[Name]) -> dict[Name, TableFacts]:
    """Describe the tables ``names``; those that do not exist are left out."""
    found = connection.execute(
        _RELATIONS, {"schemas": [s for s, _ in names], "names": [n for _, n in names]}
    ).all()
    oids = [row.oid for row in found]
    columns = _by_oid(connection, _COLUMNS, oids)
    uniques = _by_oid(connection, _UNIQUES, oids)
    outgoing: dict[int, list[ForeignKeyInfo]] = defaultdict(list)
    incoming: dict[int, list[ForeignKeyInfo]] = defaultdict(list)
    for row in connection.execute(_FOREIGN_KEYS, {"oids": oids}):
        outgoing[row.oid].append(_foreign_key(row))
        incoming[row.referred_oid].append(_foreign_key(row))
    types = _types(connection, names)
    return {
        (row.schema, row.name): TableFacts(
            columns=tuple(_column(c, types[row.schema, row.name]) for c in columns[row.oid]),
            uniques=tuple(_unique(u) for u in uniques[row.oid]),
            foreign_keys=tuple(outgoing[row.oid]),
            referenced_by=tuple(incoming[row.oid]),
            kind="partitioned" if row.kind == "p" else "inherited" if row.in_tree else "ordinary",
        )
        for row in found
    }


def _by_oid(
    connection: Connection, statement: TextClause, oids: Iterable[int]
) -> dict[int, list[Row[Any]]]:
    found: dict[int, list[Row[Any]]] = defaultdict(list)
    for row in connection.execute(statement, {"oids": list(oids)}):
        found[row.oid].append(row)
    return found


def _types(connection: Connection, names: Sequence[Name]) -> dict[Name, dict[str, TypeEngine[Any]]]:
    """The columns' types as SQLAlchemy knows them.

    A type it does not know, such as a composite one, is left to the driver; that is no
    reason to warn, as such values are read and written by the server alone.
    """
    inspector = inspect(connection)
    found: dict[Name, dict[str, TypeEngine[Any]]] = {}
    for schema in {schema for schema, _ in names}:
        wanted = [name for each, name in names if each == schema]
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Did not recognize type")
            reflected = inspector.get_multi_columns(schema=schema, filter_names=wanted)
        for (_, name), columns in reflected.items():
            found[schema, name] = {column["name"]: column["type"] for column in columns}
    return found


def _column(row: Row[Any], types: dict[str, TypeEngine[Any]]) -> ColumnFacts:
    return ColumnFacts(
        name=row.name,
        type=types.get(row.name, NullType()),
        sql_type=row.type,
        not_null=row.not_null,
        generated=row.generated,
        always_identity=row.always_identity,
        sequence=row.sequence,
        default=None if row.generated else row.default_value,
    )


def _unique(row: Row[Any]) -> UniqueInfo:
    named = all(name is not None for name in row.columns)
    return UniqueInfo(row.name, tuple(row.columns) if named else (), row.deferrable, row.partial)


def _foreign_key(row: Row[Any]) -> ForeignKeyInfo:
    return ForeignKeyInfo(
        name=row.name,
        table=qualified_name(row.schema, row.table),
        columns=tuple(row.columns),
        referred=qualified_name(row.referred_schema, row.referred_table),
        referred_columns=tuple(row.referred_columns),
        on_delete=_ACTIONS[row.on_delete],
        on_update=_ACTIONS[row.on_update],
        deferrable=row.deferrable,
        set_columns=tuple(row.set_columns),
    )
