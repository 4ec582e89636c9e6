"""SQL expressions that give the canonical bytes of a value.

Built from the server's ``*_send`` functions of builtin types and from text as UTF-8, so that
they depend on no setting: the server's own ways to make bytes or text of a row
(``row::text``, ``to_jsonb``, ``record_send``) follow TimeZone, DateStyle, client_encoding or
object ids. Types of the user's own are taken apart until builtin ones are left. Every name
is qualified, or resolved with a pinned search path by the one who executes it.

An expression for a value assumes that it is not NULL; what becomes of NULL is decided
around it. See ``docs/verification.md`` for the forms.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import Final

from sqlalchemy_temporal.ddl.postgresql.quoting import Quoter
from sqlalchemy_temporal.ddl.postgresql.types import TypeShape
from sqlalchemy_temporal.errors import UnhashableTypeError

STABLE_TEXT: Final = "temporal: stable text"
"""In the comment of a type: its text form never changes and depends on no setting."""

_SENT: Final[dict[str, tuple[str, int | None]]] = {
    "bool": ("boolsend", 1),
    "int2": ("int2send", 2),
    "int4": ("int4send", 4),
    "int8": ("int8send", 8),
    "oid": ("oidsend", 4),
    "xid8": ("xid8send", 8),
    "numeric": ("numeric_send", None),
    "money": ("cash_send", 8),
    "uuid": ("uuid_send", 16),
    "date": ("date_send", 4),
    "time": ("time_send", 8),
    "timetz": ("timetz_send", 12),
    "timestamp": ("timestamp_send", 8),
    "timestamptz": ("timestamptz_send", 8),
    "interval": ("interval_send", 16),
    "inet": ("inet_send", None),
    "cidr": ("cidr_send", None),
    "macaddr": ("macaddr_send", 6),
    "macaddr8": ("macaddr8_send", 8),
    "bit": ("bit_send", None),
    "varbit": ("varbit_send", None),
    "char": ("charsend", 1),
    "point": ("point_send", 16),
    "line": ("line_send", 24),
    "lseg": ("lseg_send", 32),
    "box": ("box_send", 32),
    "path": ("path_send", None),
    "polygon": ("poly_send", None),
    "circle": ("circle_send", 24),
    "pg_lsn": ("pg_lsn_send", 8),
}
"""Builtin types whose binary form is the value itself, and its length where it is fixed."""

_NOT_A_NUMBER: Final = {"float4": ("7fc00000", 4), "float8": ("7ff8000000000000", 8)}
"""Bits of NaN, which differ between ways to compute it and are lost in a dump."""

_TEXTUAL: Final = {
    "text": "text",
    "varchar": "text",
    "name": "text",
    "bpchar": "char",
    "json": "json",
    "jsonb": "jsonb",
    "jsonpath": "jsonpath",
    "xml": "xml",
    "tsvector": "tsvector",
    "tsquery": "tsquery",
    "int2vector": "int2vector",
    "oidvector": "oidvector",
    "txid_snapshot": "pg_snapshot",
    "pg_snapshot": "pg_snapshot",
}
"""Builtin types taken as text, and the tag of that text."""

_OF_EXTENSIONS: Final = frozenset(
    {
        "citext",
        "hstore",
        "ltree",
        "lquery",
        "ltxtquery",
        "geometry",
        "geography",
        "vector",
        "halfvec",
        "sparsevec",
    }
)
"""Types of well-known extensions whose text is exact and follows no setting."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """How a type is encoded.

    Attributes:
        tag: the canonical name of the type.
        sql: the bytes of a value, as SQL.
        size: their number, where it is always the same.
        length: their number, as SQL, where that is cheaper than to count them.
    """

    tag: str
    sql: str
    size: int | None = None
    length: str | None = None


class Encoder:
    """Writes SQL expressions for values of PostgreSQL types.

    Parameters:
        quote: the dialect's quoting.
        utf8: whether the database itself stores text as UTF-8.
    """

    def __init__(self, quote: Quoter, *, utf8: bool) -> None:
        self._quote = quote
        self._utf8 = utf8
        self._numbers = count(1)

    def encoded(self, shape: TypeShape, value: str) -> Encoded:
        """How ``value``, an expression of the type ``shape``, is encoded.

        Raises:
            UnhashableTypeError: the type has no form that never changes.
        """
        encoders = {
            "domain": self._domain,
            "enum": self._enum,
            "array": self._list,
            "multirange": self._list,
            "range": self._range,
            "composite": self._composite,
        }
        return encoders.get(shape.kind, self._base)(shape, value)

    def framed(self, encoded: Encoded) -> str:
        """The bytes after their length (four bytes), as SQL."""
        if encoded.size is not None:
            return f"{constant(encoded.size.to_bytes(4, 'big'))} || {encoded.sql}"
        if encoded.length is not None:
            return f"int4send({encoded.length}) || {encoded.sql}"
        alias = self._alias()
        return (
            f"(SELECT int4send(octet_length({alias}.b)) || {alias}.b "
            f"FROM (SELECT {encoded.sql} AS b OFFSET 0) AS {alias})"
        )

    def optional(self, shape: TypeShape, value: str) -> str:
        """A byte 0 for NULL, or a byte 1 and the framed bytes, as SQL."""
        framed = self.framed(self.encoded(shape, value))
        return (
            f"CASE WHEN ({value}) IS NOT DISTINCT FROM NULL THEN {constant(bytes([0]))} "
            f"ELSE {constant(bytes([1]))} || {framed} END"
        )

    def field(self, number: int, shape: TypeShape, value: str) -> str:
        """A column of a row, as SQL: its number, type and framed bytes; nothing for NULL."""
        encoded = self.encoded(shape, value)
        head = number.to_bytes(4, "big") + _framed(encoded.tag.encode())
        return self._unless_null(shape, value, head, encoded)

    # By kind ---------------------------------------------------------------------------

    def _base(self, shape: TypeShape, value: str) -> Encoded:
        if shape.comment is not None and STABLE_TEXT in shape.comment:
            return self._text(f"({value})::text", f"text:{shape.name}")
        if shape.extension is not None and shape.name in _OF_EXTENSIONS:
            return self._text(f"({value})::text", f"text:{shape.name}")
        if shape.schema == "pg_catalog":
            if shape.name in _SENT:
                function, size = _SENT[shape.name]
                return Encoded(shape.name, f"{function}({value})", size)
            if shape.name in _NOT_A_NUMBER:
                bits, size = _NOT_A_NUMBER[shape.name]
                nan = constant(bytes.fromhex(bits))
                sql = f"CASE WHEN ({value}) = 'NaN' THEN {nan} ELSE {shape.name}send({value}) END"
                return Encoded(shape.name, f"({sql})", size)
            if shape.name == "bytea":
                return Encoded("bytea", f"({value})", None, f"octet_length({value})")
            if shape.name in _TEXTUAL:
                return self._text(f"({value})::text", _TEXTUAL[shape.name])
        label = shape.name if shape.schema == "pg_catalog" else f"{shape.schema}.{shape.name}"
        raise UnhashableTypeError(label)

    def _text(self, value: str, tag: str) -> Encoded:
        as_text = value if value.endswith("::text") else f"({value})::text"
        sql = f"convert_to({as_text}, 'UTF8')"
        return Encoded(tag, sql, None, f"octet_length({as_text if self._utf8 else sql})")

    def _domain(self, shape: TypeShape, value: str) -> Encoded:
        inner = _inner(shape)
        return self.encoded(inner, f"({value})::{self._type(inner)}")

    def _enum(self, _: TypeShape, value: str) -> Encoded:
        return self._text(value, "enum")

    def _list(self, shape: TypeShape, value: str) -> Encoded:
        alias, inner = self._alias(), _inner(shape)
        if shape.kind == "array":
            head = f"convert_to(coalesce(array_dims({value}), ''), 'UTF8')"
            number, tag = f"cardinality({value})", "{}[]"
        else:
            head = "''::bytea"
            number, tag = f"(SELECT count(*) FROM unnest({value}))", "multi{}"
        element = self.optional(inner, f"{alias}.e")
        begin = self.framed(Encoded("", head, None, f"octet_length({head})"))
        sql = (
            f"({begin} || coalesce((SELECT string_agg({element}, ''::bytea ORDER BY {alias}.o) "
            f"FROM (SELECT unnest({value}) AS e, generate_series(1, {number}) AS o) "
            f"AS {alias}), ''::bytea))"
        )
        return Encoded(tag.format(self.encoded(inner, "NULL").tag), sql)

    def _range(self, shape: TypeShape, value: str) -> Encoded:
        inner = _inner(shape)
        flags = (
            f"int2send((isempty({value})::integer + 2 * lower_inc({value})::integer "
            f"+ 4 * upper_inc({value})::integer + 8 * lower_inf({value})::integer "
            f"+ 16 * upper_inf({value})::integer)::smallint)"
        )
        bounds = " || ".join(self.optional(inner, f"{end}({value})") for end in ("lower", "upper"))
        tag = f"range({self.encoded(inner, 'NULL').tag})"
        return Encoded(tag, f"({flags} || {bounds})")

    def _composite(self, shape: TypeShape, value: str) -> Encoded:
        parts = []
        for name, field in shape.fields:
            part = f"({value}).{self._quote.name(name)}"
            encoded = self.encoded(field, part)
            head = _framed(name.encode()) + _framed(encoded.tag.encode())
            parts.append(self._unless_null(field, part, head, encoded))
        return Encoded("record", f"({' || '.join(parts) or repr('') + '::bytea'})")

    # Pieces ----------------------------------------------------------------------------

    def _unless_null(self, shape: TypeShape, value: str, head: bytes, encoded: Encoded) -> str:
        """``head`` and the framed bytes, or nothing for NULL.

        Builtin functions give NULL for NULL, which is cheaper to notice afterwards. A
        composite of nothing but NULLs is one, though ``IS NULL`` holds for it.
        """
        if encoded.size is not None:
            whole = f"{constant(head + encoded.size.to_bytes(4, 'big'))} || {encoded.sql}"
        else:
            whole = f"{constant(head)} || {self.framed(encoded)}"
        if shape.kind in ("base", "enum"):
            return f"coalesce({whole}, ''::bytea)"
        return f"CASE WHEN ({value}) IS NOT DISTINCT FROM NULL THEN ''::bytea ELSE {whole} END"

    def _type(self, shape: TypeShape) -> str:
        quote = self._quote.preparer.quote_identifier
        return f"{quote(shape.schema)}.{quote(shape.name)}"

    def _alias(self) -> str:
        return f"temporal_{next(self._numbers)}"


def constant(data: bytes) -> str:
    """``data`` as an SQL expression that the planner evaluates once."""
    return f"decode('{data.hex()}', 'hex')"


def _framed(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def _inner(shape: TypeShape) -> TypeShape:
    if shape.inner is None:
        raise UnhashableTypeError(f"{shape.schema}.{shape.name}")
    return shape.inner
