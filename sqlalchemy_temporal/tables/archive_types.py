"""How a database type is read from the server, and what it becomes in Parquet.

Values are kept exactly. What Parquet has no exact type for, or what readers do not share
(intervals, JSON, enumerations, ranges, composite types, unbounded numerics, uuids), is
kept as the text that PostgreSQL reads back. Times travel as whole microseconds, so that no
driver's idea of a time zone or of the year 10000 gets in the way.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from sqlalchemy import BigInteger, Numeric, Text, cast, extract, literal_column, type_coerce
from sqlalchemy.sql.elements import ColumnElement, quoted_name
from sqlalchemy.types import NullType

if TYPE_CHECKING:
    import pyarrow as pa

Reading = Literal["plain", "text", "days", "microseconds", "typed"]
"""How a value is read: as the driver gives it, as its text, as a number counted from 1970 on,
or as the library's own type of the column gives it."""

_MAX_DIGITS: Final = 76
"""Of the widest decimal of Arrow and Parquet."""
_DIGITS_128: Final = 38
_NUMERIC: Final = re.compile(r"numeric\((\d+),(-?\d+)\)")
_ARRAY: Final = re.compile(r"(.+?)(?:\[\])+")
_PLAIN: Final = {
    "smallint": "int16",
    "integer": "int32",
    "bigint": "int64",
    "real": "float",
    "double precision": "double",
    "boolean": "bool",
    "text": "string",
    "bytea": "binary",
}
_COUNTED: Final[dict[str, tuple[Reading, str]]] = {
    "date": ("days", "date32"),
    "timestamp without time zone": ("microseconds", "timestamp"),
    "timestamp with time zone": ("microseconds", "timestamptz"),
    "time without time zone": ("microseconds", "time64"),
}
_ELEMENTS: Final = frozenset(_PLAIN) - {"bytea"}
_AFFINITIES: Final = (
    (("INT",), "INTEGER"),
    (("CHAR", "CLOB", "TEXT"), "TEXT"),
    (("BLOB",), "BLOB"),
    (("REAL", "FLOA", "DOUB"), "REAL"),
)
_SQLITE: Final = {"INTEGER": "int64", "REAL": "double", "BLOB": "binary"}


@dataclass(frozen=True, slots=True)
class Stored:
    """How one column is archived.

    Attributes:
        name: its name.
        type: its type as the database calls it.
        reading: how its values are read from the server.
        arrow: the name of its type in Arrow, as :func:`arrow_type` knows it.
    """

    name: str
    type: str
    reading: Reading
    arrow: str


def stored_postgresql(name: str, sql_type: str, *, as_text: bool) -> Stored:
    """How a column of PostgreSQL is archived.

    Parameters:
        name: the column.
        sql_type: its type, as ``format_type`` gives it.
        as_text: keep it as text whatever its type.
    """
    plain = _without_length(sql_type)
    reading: Reading = "plain"
    arrow = _list_of(sql_type) or _decimal(sql_type) or _PLAIN.get(plain)
    if plain in _COUNTED:
        reading, arrow = _COUNTED[plain]
    if as_text or arrow is None:
        reading, arrow = "text", "string"
    return Stored(name, sql_type, reading, arrow)


def _list_of(sql_type: str) -> str | None:
    array = _ARRAY.fullmatch(sql_type)
    element = _without_length(array[1]) if array else None
    return f"list:{_PLAIN[element]}" if element in _ELEMENTS else None


def _decimal(sql_type: str) -> str | None:
    numeric = _NUMERIC.fullmatch(sql_type)
    if numeric is None:
        return None
    digits, scale = int(numeric[1]), int(numeric[2])
    return f"decimal:{digits}:{scale}" if 0 <= scale <= digits <= _MAX_DIGITS else None


def affinity(declared: str) -> str:
    """The affinity of a declared type (SQLite docs, Datatypes, 3.1)."""
    kind = declared.upper()
    for parts, found in _AFFINITIES:
        if any(part in kind for part in parts):
            return found
    return "NUMERIC" if kind else "BLOB"


def stored_sqlite(name: str, sql_type: str, *, as_text: bool) -> Stored:
    """How a column of SQLite is archived: by the affinity of its declared type."""
    arrow = None if as_text else _SQLITE.get(sql_type)
    if arrow is None:
        return Stored(name, sql_type, "text", "string")
    return Stored(name, sql_type, "plain", arrow)


def read(stored: Stored, source: ColumnElement[Any]) -> ColumnElement[Any]:
    """The SQL that reads ``source`` as ``stored`` says; its values are the driver's own."""
    found: ColumnElement[Any]
    match stored.reading:
        case "text":
            found = cast(source, Text)
        case "days":
            found = source - literal_column("DATE '1970-01-01'")
        case "microseconds":
            whole = extract("epoch", source) * literal_column("1000000")
            found = cast(cast(whole, Numeric(38, 0)), BigInteger)
        case "plain":
            found = source
        case "typed":
            return source.label(quoted_name(stored.name, None))
    return type_coerce(found, NullType()).label(quoted_name(stored.name, None))


def arrow_type(name: str) -> pa.DataType:
    """The type of Arrow that a :class:`Stored` names."""
    import pyarrow as pa

    kind, _, rest = name.partition(":")
    match kind:
        case "list":
            return pa.list_(arrow_type(rest))
        case "decimal":
            digits, scale = map(int, rest.split(":"))
            wide = pa.decimal128 if digits <= _DIGITS_128 else pa.decimal256
            return wide(digits, scale)
        case "timestamp":
            return pa.timestamp("us")
        case "timestamptz":
            return pa.timestamp("us", tz="UTC")
        case "time64":
            return pa.time64("us")
        case _:
            return pa.type_for_alias(kind)


def _without_length(sql_type: str) -> str:
    """A type without the length or precision that changes nothing about its values."""
    bare = re.sub(r"\(\d+\)", "", sql_type)
    return "text" if bare == "character varying" else bare


__all__ = [
    "Reading",
    "Stored",
    "affinity",
    "arrow_type",
    "read",
    "stored_postgresql",
    "stored_sqlite",
]
