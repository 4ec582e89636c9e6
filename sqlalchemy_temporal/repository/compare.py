"""Whether two values are the same, exactly as the database stores them.

What capture takes for a change is a difference here: 1.0 and 1.00 are equal numbers and
different values, NULL is itself, and so is NaN. Types that have no equality, such as
``json`` or ``point``, can be compared, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Boolean, ColumnElement
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ClauseList
from sqlalchemy.sql.visitors import InternalTraversal, _TraverseInternalsType


class SameValues(ColumnElement[bool]):
    """Whether each of ``left`` is the same value as that of ``right`` in its place.

    Parameters:
        left: expressions.
        right: as many, of the same types.
    """

    inherit_cache = True
    type = Boolean()
    _traverse_internals: _TraverseInternalsType = [  # noqa: RUF012 - as SQLAlchemy declares it
        ("left", InternalTraversal.dp_clauseelement),
        ("right", InternalTraversal.dp_clauseelement),
    ]

    def __init__(
        self, left: Sequence[ColumnElement[Any]], right: Sequence[ColumnElement[Any]]
    ) -> None:
        self.left = ClauseList(*left)
        self.right = ClauseList(*right)

    @property
    def _from_objects(self) -> list[Any]:
        return [*self.left._from_objects, *self.right._from_objects]


@compiles(SameValues, "postgresql")
def _same_on_postgresql(element: SameValues, compiler: SQLCompiler, **kw: Any) -> str:
    """Byte by byte (PostgreSQL docs, 9.25.6, Composite Type Comparison)."""
    left, right = (
        ", ".join(compiler.process(each, **kw) for each in side.clauses)
        for side in (element.left, element.right)
    )
    return f"(ROW({left})::record OPERATOR(pg_catalog.*=) ROW({right})::record)"


@compiles(SameValues, "sqlite")
def _same_on_sqlite(element: SameValues, compiler: SQLCompiler, **kw: Any) -> str:
    """By kind and value: 1 and 1.0 differ in kind, and text is not folded."""
    pairs = [
        (compiler.process(one, **kw), compiler.process(other, **kw))
        for one, other in zip(element.left.clauses, element.right.clauses, strict=True)
    ]
    tests = [
        f"typeof({one}) = typeof({other}) AND {one} IS {other} COLLATE BINARY"
        for one, other in pairs
    ]
    return f"({' AND '.join(tests) or '1'})"


def same(
    left: Sequence[ColumnElement[Any]], right: Sequence[ColumnElement[Any]]
) -> ColumnElement[bool]:
    """Whether all of ``left`` are the same values as those of ``right``."""
    return SameValues(left, right)


__all__ = ["same"]
