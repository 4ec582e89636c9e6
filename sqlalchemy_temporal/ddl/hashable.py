"""Refuse columns whose values could not be hashed, before anything is recorded of them."""

from __future__ import annotations

from sqlalchemy import Connection, text

from sqlalchemy_temporal.ddl.postgresql.encoding import Encoder
from sqlalchemy_temporal.ddl.postgresql.quoting import Quoter
from sqlalchemy_temporal.ddl.postgresql.types import type_shapes
from sqlalchemy_temporal.ddl.spec import TableSpec
from sqlalchemy_temporal.errors import UnhashableTypeError

_TYPES = text(
    """
    SELECT a.attname AS name, a.atttypid AS type
    FROM pg_attribute a
    JOIN pg_class c ON c.oid = a.attrelid AND c.relname = :name
    JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = :schema
    WHERE a.attnum > 0 AND NOT a.attisdropped
    ORDER BY a.attnum
    """
)


def refuse_unhashable(connection: Connection, spec: TableSpec) -> None:
    """Make sure that every recorded column of a PostgreSQL table can be hashed.

    Raises:
        UnhashableTypeError: one cannot; it names the column and the type.
    """
    if connection.dialect.name != "postgresql":
        return
    found = connection.execute(_TYPES, {"schema": spec.live_schema, "name": spec.name})
    types = {row.name: row.type for row in found if row.name in spec.column_names}
    shapes = type_shapes(connection, set(types.values()))
    encoder = Encoder(Quoter(connection.dialect), utf8=True)
    for name, oid in types.items():
        try:
            encoder.encoded(shapes[oid], "NULL")
        except UnhashableTypeError as error:
            raise UnhashableTypeError(error.type_name, f"{spec.qualified}.{name}") from error
