"""Which columns of a SELECT's tables are fixed to parameters by its conditions.

A comparison ``column = :parameter`` may be repeated inside of what stands for the table
when every row of the answer has to satisfy it. That is so for

* conjuncts of WHERE. They reject NULL, so it does not matter on which side of an outer
  join the table is: a row that is left out inside could only have been rejected, and a row
  extended with NULLs in its place is rejected too;
* conjuncts of the ON of an inner join, and, for the right side of a left join only, of its
  ON: rows of that side that do not satisfy it match nothing. A row of the left side would
  be kept and extended, so nothing follows for it. ON of a full join says nothing.

From ``a.x = b.y`` and ``a.x = :p`` follows ``b.y = :p``: in both directions for the
conjuncts of WHERE and of inner joins, from left to right for left joins. It is concluded
for integers and UUIDs only; equality of texts depends on type and collation, so it need not
carry over from one column to another.

Conditions under OR, NOT or in HAVING are not looked at: they fix nothing by themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

from sqlalchemy import (
    BinaryExpression,
    BindParameter,
    ColumnClause,
    ColumnElement,
    FromClause,
    Integer,
    Select,
    TypeDecorator,
    Uuid,
    column,
)
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import BooleanClauseList, Grouping
from sqlalchemy.sql.selectable import Join

from sqlalchemy_temporal.stored import quoted

_Place: TypeAlias = tuple[FromClause, str]


class Equalities:
    """The columns that the conditions of one SELECT fix to parameters.

    Parameters:
        select: the statement, as it is compiled (after the ORM has built it).
        froms: everything in its FROM, joins and their parts included.
    """

    def __init__(self, select: Select[Any], froms: Iterable[FromClause]) -> None:
        self._fixed: dict[_Place, BinaryExpression[Any]] = {}
        self._follows: list[tuple[ColumnClause[Any], ColumnClause[Any]]] = []
        for condition in _conjuncts(select._where_criteria):
            self._learn(condition)
        for element in froms:
            if isinstance(element, Join):
                self._learn_join(element)
        self._conclude()

    def of(self, element: FromClause, columns: Iterable[Any]) -> list[ColumnElement[bool]] | None:
        """A comparison for each of ``columns`` of ``element``, or None if one is not fixed.

        In the comparisons the column has its name only.
        """
        found = [self._fixed.get((element, c.name)) for c in columns]
        if not found or not all(equality is not None for equality in found):
            return None
        return [_bare(equality) for equality in found if equality is not None]

    def _learn(
        self, condition: ColumnElement[Any], *, only: frozenset[FromClause] | None = None
    ) -> None:
        if not isinstance(condition, BinaryExpression) or condition.operator is not operators.eq:
            return
        left, right = _column(condition.left), _column(condition.right)
        if left is not None and right is not None:
            if only is None or right.table in only:
                self._follows.append((left, right))
            if only is None or left.table in only:
                self._follows.append((right, left))
            return
        fixed, value = (left, condition.right) if left is not None else (right, condition.left)
        if fixed is None or not _is_parameter(value):
            return
        if only is None or fixed.table in only:
            self._fixed.setdefault(_place(fixed), condition)

    def _learn_join(self, join: Join) -> None:
        if join.full or join.onclause is None:
            return
        only = frozenset(join.right._from_objects) if join.isouter else None
        for condition in _conjuncts([join.onclause]):
            self._learn(condition, only=only)

    def _conclude(self) -> None:
        changed = bool(self._fixed)
        while changed:
            changed = False
            for known, other in self._follows:
                equality = self._fixed.get(_place(known))
                if equality is None or _place(other) in self._fixed:
                    continue
                if _carries_over(known.type) and _carries_over(other.type):
                    value = _value(equality)
                    self._fixed[_place(other)] = BinaryExpression(other, value, operators.eq)
                    changed = True


def _conjuncts(conditions: Iterable[Any]) -> Iterator[ColumnElement[Any]]:
    for condition in conditions:
        if isinstance(condition, BooleanClauseList) and condition.operator is operators.and_:
            yield from _conjuncts(condition.clauses)
        elif isinstance(condition, Grouping):
            yield from _conjuncts([condition.element])
        else:
            yield condition


def _column(expression: object) -> ColumnClause[Any] | None:
    if (
        isinstance(expression, ColumnClause)
        and expression.table is not None
        and not expression.is_literal
    ):
        return expression
    return None


def _is_parameter(expression: object) -> bool:
    return isinstance(expression, BindParameter) and not expression.expanding


def _place(fixed: ColumnClause[Any]) -> _Place:
    assert fixed.table is not None  # noqa: S101 - for the type checker: see _column
    return (fixed.table, fixed.name)


def _value(equality: BinaryExpression[Any]) -> ColumnElement[Any]:
    return equality.right if _is_parameter(equality.right) else equality.left


def _carries_over(kind: Any) -> bool:
    return isinstance(kind, Integer | Uuid) and not isinstance(kind, TypeDecorator)


def _bare(equality: BinaryExpression[Any]) -> ColumnElement[bool]:
    sides = [
        side if _is_parameter(side) else column(quoted(side.name), side.type)
        for side in (equality.left, equality.right)
        if isinstance(side, BindParameter | ColumnClause)
    ]
    left, right = sides
    return BinaryExpression(
        left, right, operators.eq, type_=equality.type, modifiers=equality.modifiers
    )
