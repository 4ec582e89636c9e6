"""Whether two values of a column are equal as values of its type.

That is a coarser question than whether a value was changed: 1.0 and 1.00 are the same
number, and two JSON texts with their keys in another order the same document. NULL equals
NULL and NaN equals NaN. Types without an equality of their own (``xml``, ``point``), or
with one that means something else (two boxes are "equal" when their areas are), are
compared byte by byte.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, case, cast, func
from sqlalchemy.dialects.postgresql import DOMAIN, JSONB
from sqlalchemy.types import ARRAY, JSON, NullType, TypeEngine

from sqlalchemy_temporal.repository.compare import same
from sqlalchemy_temporal.repository.described import VersionedTable

Equal = Callable[[ColumnElement[Any], ColumnElement[Any]], ColumnElement[bool]]

_BYTEWISE: Final = re.compile(
    r"^(xml|point|line|lseg|box|path|polygon|circle|refcursor|pg_snapshot|txid_snapshot)\b"
)


def equality(table: VersionedTable, name: str, dialect_name: str) -> Equal:
    """How two values of a column are compared."""
    type_ = table.live.c[name].type
    if dialect_name == "postgresql":
        return _on_postgresql(type_, table.types[name])
    return _json_text if isinstance(type_, JSON) else _not_distinct


def _on_postgresql(type_: TypeEngine[Any], sql_type: str) -> Equal:
    if isinstance(type_, DOMAIN):
        return _on_postgresql(type_.data_type, _name(type_.data_type))
    if isinstance(type_, ARRAY):
        inner = _on_postgresql(type_.item_type, _name(type_.item_type))
        return _not_distinct if inner is _not_distinct else _bytewise
    if isinstance(type_, JSON) and not isinstance(type_, JSONB):
        return _as_jsonb
    if isinstance(type_, NullType) or _BYTEWISE.match(sql_type):
        return _bytewise
    return _not_distinct


def _name(type_: TypeEngine[Any]) -> str:
    return type_.__visit_name__.lower()


def _not_distinct(left: ColumnElement[Any], right: ColumnElement[Any]) -> ColumnElement[bool]:
    return left.is_not_distinct_from(right)


def _bytewise(left: ColumnElement[Any], right: ColumnElement[Any]) -> ColumnElement[bool]:
    return same([left], [right])


def _as_jsonb(left: ColumnElement[Any], right: ColumnElement[Any]) -> ColumnElement[bool]:
    return cast(left, JSONB).is_not_distinct_from(cast(right, JSONB))


def _json_text(left: ColumnElement[Any], right: ColumnElement[Any]) -> ColumnElement[bool]:
    valid = and_(func.json_valid(left) == 1, func.json_valid(right) == 1)
    return case(
        (valid, func.json(left).is_not_distinct_from(func.json(right))),
        else_=left.is_not_distinct_from(right),
    )


__all__ = ["Equal", "equality"]
