"""Conditions, columns and orders as the operations take them, as SQL about one table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Table, and_
from sqlalchemy.sql import visitors
from sqlalchemy.sql.elements import ColumnClause
from sqlalchemy.sql.roles import ExpressionElementRole

from sqlalchemy_temporal.errors import UnknownOptionError
from sqlalchemy_temporal.repository.keys import typed_value

Where = Mapping[str, Any] | ColumnElement[bool] | Callable[[Table], ColumnElement[bool]]
"""Which rows: values by column name (a list for one of several, None for NULL), an
expression about columns of these names, or a function that makes one from the ``Table``."""

OrderBy = str | ColumnElement[Any] | Sequence[str | ColumnElement[Any]]
"""By what to order: names of columns, with ``-`` in front for descending, or expressions."""


def column_of(table: Table, name: str) -> ColumnElement[Any]:
    """The column of ``table`` called ``name``.

    Raises:
        UnknownOptionError: there is none.
    """
    found = table.c.get(name)
    if found is None:
        raise UnknownOptionError(
            f"table {table.fullname!r} has no column {name!r}; it has {', '.join(table.c.keys())}"
        )
    return found


def condition(table: Table, where: Where | None) -> list[ColumnElement[bool]]:
    """The conditions that ``where`` puts on rows of ``table``.

    Raises:
        UnknownOptionError: a column does not exist, or it is no condition at all.
    """
    if where is None:
        return []
    if isinstance(where, Mapping):
        return [_equal(column_of(table, name), value) for name, value in where.items()]
    if not isinstance(where, ExpressionElementRole) and callable(where):
        where = where(table)
    return [adapted(table, where)]


def _equal(column: ColumnElement[Any], value: Any) -> ColumnElement[bool]:
    if isinstance(value, list | tuple | set | frozenset):
        chosen = [each for each in value if each is not None]
        found = column.in_(chosen)
        return found if len(chosen) == len(value) else found | column.is_(None)
    return column.is_(None) if value is None else column == value


def adapted(table: Table, expression: Any) -> ColumnElement[Any]:
    """``expression`` with its columns taken by name from ``table``.

    Raises:
        UnknownOptionError: it is no expression, or about columns that ``table`` lacks.
    """
    if hasattr(expression, "__clause_element__"):  # an attribute of a mapped class
        expression = expression.__clause_element__()
    if not isinstance(expression, ColumnElement):
        raise UnknownOptionError(
            f"{expression!r} is neither a mapping of column names to values nor an SQLAlchemy "
            "expression"
        )

    def replace(element: Any, **_: object) -> Any:
        if not isinstance(element, ColumnClause) or element.is_literal:
            return None
        other = element.table
        if other is not None and getattr(other, "name", None) != table.name:
            return None
        return column_of(table, str(element.name))

    found: ColumnElement[Any] = visitors.replacement_traverse(expression, {}, replace)
    return found


def columns_named(table: Table, names: Iterable[str] | None) -> list[ColumnElement[Any]]:
    """The columns called ``names``, or all of them.

    Raises:
        UnknownOptionError: one does not exist.
    """
    if names is None:
        return list(table.c)
    if isinstance(names, str):
        raise UnknownOptionError(f"columns must be a list of column names, not {names!r}")
    return [column_of(table, name) for name in names]


def order(table: Table, key: Sequence[str], by: OrderBy | None) -> list[ColumnElement[Any]]:
    """What to order by: what is asked for and then the key, so that the order is total.

    Raises:
        UnknownOptionError: a column does not exist.
    """
    given: Sequence[Any] = () if by is None else by if isinstance(by, list | tuple) else (by,)
    asked = [_term(table, each) for each in given]
    return [*asked, *(column_of(table, name) for name in key)]


def _term(table: Table, by: Any) -> ColumnElement[Any]:
    if not isinstance(by, str):
        return adapted(table, by)
    if by in table.c:
        return table.c[by]
    name, _, direction = by.partition(" ")
    if direction.strip().lower() in ("asc", "desc"):
        column = column_of(table, name)
        return column.desc() if direction.strip().lower() == "desc" else column.asc()
    return column_of(table, by[1:]).desc() if by.startswith("-") else column_of(table, by)


# -------------------------------------------------------------------------------------- keys


def key_values(table: Table, key: Sequence[str], column: str | None, value: Any) -> tuple[Any, ...]:
    """The values of a primary key, in the order of its columns.

    Parameters:
        table: the table.
        key: the names of the key columns.
        column: the name of the key column, when ``value`` is a single value; None when there
            is one only.
        value: a value, or for a composite key a mapping, or a sequence in the key's order.
            Text is taken for what it says when the column is of another type.

    Raises:
        UnknownOptionError: it is not a key of the table.
    """
    if column is not None:
        value = {column: value}
    if isinstance(value, Mapping):
        if set(value) != set(key):
            raise _not_the_key(table, key, value)
        values = [value[name] for name in key]
    elif isinstance(value, list | tuple):
        values = list(value)
    else:
        values = [value]
    if len(values) != len(key):
        raise _not_the_key(table, key, value)
    return tuple(typed_value(table, name, each) for name, each in zip(key, values, strict=True))


def _not_the_key(table: Table, key: Sequence[str], given: Any) -> UnknownOptionError:
    return UnknownOptionError(
        f"{given!r} does not name a row of {table.fullname!r}, whose primary key is "
        f"({', '.join(key)})"
    )


def same_key(left: Sequence[ColumnElement[Any]], right: Sequence[Any]) -> ColumnElement[bool]:
    """That two keys are equal, part by part."""
    return and_(*(one == other for one, other in zip(left, right, strict=True)))


__all__ = [
    "OrderBy",
    "Where",
    "adapted",
    "column_of",
    "columns_named",
    "condition",
    "key_values",
    "order",
    "same_key",
]
