"""Conditions that each database says in its own way, in statements built without one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import (
    Boolean,
    ColumnElement,
    and_,
    column,
    exists,
    func,
    null,
    select,
    true,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.visitors import InternalTraversal, _TraverseInternalsType


class ByDialect(ColumnElement[bool]):
    """A condition with one form on SQLite and another everywhere else.

    Parameters:
        otherwise: the condition on other databases.
        sqlite: the condition on SQLite.
    """

    inherit_cache = True
    __visit_name__ = "temporal_by_dialect"
    _traverse_internals: _TraverseInternalsType = [  # noqa: RUF012 - as SQLAlchemy declares it
        ("otherwise", InternalTraversal.dp_clauseelement),
        ("sqlite", InternalTraversal.dp_clauseelement),
    ]
    type = Boolean()

    def __init__(self, otherwise: ColumnElement[bool], sqlite: ColumnElement[bool]) -> None:
        self.otherwise = otherwise
        self.sqlite = sqlite

    @property
    def _from_objects(self) -> Any:
        return self.otherwise._from_objects


@compiles(ByDialect)
def _render(element: ByDialect, compiler: Any, **kw: Any) -> str:
    form = element.sqlite if compiler.dialect.name == "sqlite" else element.otherwise
    return f"({compiler.process(form, **kw)})"


def contains_text(text: ColumnElement[Any], part: str) -> ColumnElement[bool]:
    """Whether ``part`` occurs in ``text``, letter by letter; LIKE of SQLite ignores case."""
    return ByDialect(text.contains(part, autoescape=True), func.instr(text, part) > 0)


def contains_json(document: ColumnElement[Any], part: Mapping[str, Any]) -> ColumnElement[bool]:
    """Whether a JSON document holds everything that ``part`` does, as JSONB's ``@>`` has it."""
    return ByDialect(
        type_coerce(document, JSONB).contains(dict(part)),
        and_(true(), *_contained(document, "$", dict(part))),
    )


def _contained(document: ColumnElement[Any], path: str, part: Any) -> Iterator[ColumnElement[bool]]:
    kind = func.json_type(document, path)
    match part:
        case dict():
            yield kind == "object"
            for name, value in part.items():
                member = f"{path}.{json.dumps(str(name), ensure_ascii=False)}"
                yield from _contained(document, member, value)
        case list() | tuple():
            yield kind == "array"
            for value in part:
                yield _some_element(document, path, value)
        case None:
            yield kind == "null"
        case bool():
            yield kind == ("true" if part else "false")
        case str():
            yield and_(kind == "text", func.json_extract(document, path) == part)
        case _:
            yield and_(kind.in_(["integer", "real"]), func.json_extract(document, path) == part)


def _some_element(document: ColumnElement[Any], path: str, part: Any) -> ColumnElement[bool]:
    """Whether one of the elements of an array contains ``part``."""
    each = func.json_each(document, path).table_valued(
        column("value"), column("type"), name=f"e{abs(hash((path, repr(part)))) % 10**8}"
    )
    match part:
        case dict() | list() | tuple():
            inside = and_(
                each.c.type.in_(["object", "array"]), *_contained(each.c.value, "$", part)
            )
        case None:
            inside = each.c.type == "null"
        case bool():
            inside = each.c.type == ("true" if part else "false")
        case str():
            inside = and_(each.c.type == "text", each.c.value == part)
        case _:
            inside = and_(each.c.type.in_(["integer", "real"]), each.c.value == part)
    return exists(select(null()).select_from(each).where(inside))


def has_member(document: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """Whether a JSON object has a member called ``name``."""
    path = f"$.{json.dumps(name, ensure_ascii=False)}"
    return ByDialect(
        type_coerce(document, JSONB).has_key(name), func.json_type(document, path).is_not(None)
    )


__all__ = ["ByDialect", "contains_json", "contains_text", "has_member"]
