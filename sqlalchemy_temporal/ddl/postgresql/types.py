"""What the types of columns are made of, from the catalog of PostgreSQL.

A :class:`TypeShape` describes a type down to builtin ones: the elements of an array, the
fields of a composite, the base of a domain. Hashing needs to know, since the server's own
binary forms hold object ids, which differ from one database to another.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, Row, text

Kind = Literal["base", "enum", "array", "domain", "range", "multirange", "composite", "pseudo"]

_TYPES = text(
    """
    SELECT t.oid, n.nspname AS schema, t.typname AS name, t.typtype::text AS typtype,
           t.typcategory::text AS category, t.typelem, t.typbasetype,
           COALESCE(e.typarray = t.oid, false) AS is_array,
           CASE t.typtype WHEN 'c' THEN t.typrelid ELSE 0::oid END AS relation,
           (SELECT r.rngsubtype FROM pg_range r WHERE r.rngtypid = t.oid) AS subtype,
           x.extname AS extension, obj_description(t.oid, 'pg_type') AS comment
    FROM pg_type t
    JOIN pg_namespace n ON n.oid = t.typnamespace
    LEFT JOIN pg_type e ON e.oid = t.typelem
    LEFT JOIN pg_depend d
      ON d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e'
    LEFT JOIN pg_extension x ON x.oid = d.refobjid
    WHERE t.oid = ANY (CAST(:oids AS oid[]))
    """
)
_MULTIRANGES = text(
    "SELECT r.rngmultitypid AS oid, r.rngtypid AS range FROM pg_range r "
    "WHERE r.rngmultitypid = ANY (CAST(:oids AS oid[]))"
)
_FIELDS = text(
    """
    SELECT a.attrelid, a.attname AS name, a.atttypid AS type
    FROM pg_attribute a
    WHERE a.attrelid = ANY (CAST(:relations AS oid[])) AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY a.attrelid, a.attnum
    """
)
_KINDS: dict[str, Kind] = {
    "e": "enum",
    "d": "domain",
    "r": "range",
    "m": "multirange",
    "c": "composite",
    "p": "pseudo",
}


@dataclass(frozen=True, slots=True)
class TypeShape:
    """One type.

    Attributes:
        schema: where it lies; ``pg_catalog`` for builtin types.
        name: its name.
        kind: what sort of type it is.
        inner: the type of an array's elements, a range's bounds, a multirange's ranges, or
            below a domain.
        fields: name and type of each field of a composite.
        extension: the extension it belongs to.
        comment: what COMMENT ON TYPE says.
    """

    schema: str
    name: str
    kind: Kind
    inner: TypeShape | None = None
    fields: tuple[tuple[str, TypeShape], ...] = ()
    extension: str | None = None
    comment: str | None = None


def type_shapes(connection: Connection, oids: Collection[int]) -> dict[int, TypeShape]:
    """Describe types by their object ids."""
    found: dict[int, Row[Any]] = {}
    ranges: dict[int, int] = {}
    fields: dict[int, list[tuple[str, int]]] = defaultdict(list)
    wanted = set(oids)
    while wanted:
        rows = connection.execute(_TYPES, {"oids": sorted(wanted)}).all()
        found.update((row.oid, row) for row in rows)
        ranges.update(_ranges(connection, rows))
        relations = [row.relation for row in rows if row.relation]
        if relations:
            for row in connection.execute(_FIELDS, {"relations": relations}):
                fields[row.attrelid].append((row.name, row.type))
        wanted = {
            oid
            for row in rows
            for oid in _parts(row, ranges, fields)
            if oid is not None and oid not in found
        }
    return {oid: _shape(oid, found, ranges, fields) for oid in oids}


def _ranges(connection: Connection, rows: Collection[Row[Any]]) -> dict[int, int]:
    oids = [row.oid for row in rows if row.typtype == "m"]
    if not oids:  # and before PostgreSQL 14 there is no such column
        return {}
    return {row.oid: row.range for row in connection.execute(_MULTIRANGES, {"oids": oids})}


def _parts(
    row: Row[Any], ranges: dict[int, int], fields: dict[int, list[tuple[str, int]]]
) -> list[int | None]:
    inner = [_inner(row, ranges)]
    return inner + [oid for _, oid in fields.get(row.relation, [])]


def _inner(row: Row[Any], ranges: dict[int, int]) -> int | None:
    if row.is_array:
        return int(row.typelem)
    if row.typtype == "d":
        return int(row.typbasetype)
    found: int | None = ranges.get(row.oid, row.subtype)
    return found


def _shape(
    oid: int,
    found: dict[int, Row[Any]],
    ranges: dict[int, int],
    fields: dict[int, list[tuple[str, int]]],
) -> TypeShape:
    row = found[oid]
    inner = _inner(row, ranges)
    return TypeShape(
        schema=row.schema,
        name=row.name,
        kind="array" if row.is_array else _KINDS.get(row.typtype, "base"),
        inner=None if inner is None else _shape(inner, found, ranges, fields),
        fields=tuple(
            (name, _shape(part, found, ranges, fields)) for name, part in fields[row.relation]
        )
        if row.relation
        else (),
        extension=row.extension,
        comment=row.comment,
    )
