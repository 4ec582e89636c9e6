"""GROUP BY a primary key, where rows come from a SELECT and not from a table.

PostgreSQL lets a column be selected that is not grouped by when the primary key of its
table is: the key determines it. For the rows of a moment the same is true but PostgreSQL
does not know it. Adding the columns to GROUP BY makes no other groups, as within a group
they have one value, also where an outer join filled in NULLs.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnClause, FromClause, Select, Table
from sqlalchemy.sql import visitors
from sqlalchemy.sql.functions import cube, grouping_sets, rollup
from sqlalchemy.sql.selectable import FromClauseAlias

from sqlalchemy_temporal.schema import is_versioned, key_columns

_SETS = (cube, grouping_sets, rollup)
"""Of these PostgreSQL concludes nothing either."""


def dependent_columns(select: Select[Any], *, tables: bool) -> list[ColumnClause[Any]]:
    """The columns that a SELECT uses, and that the keys it groups by determine.

    Parameters:
        select: the statement, as it is compiled.
        tables: whether tables are of the past here; if not, only ``as_of()`` is.
    """
    if any(isinstance(clause, _SETS) for clause in select._group_by_clauses):
        return []
    grouped = {
        (clause.table, clause.name): clause
        for clause in select._group_by_clauses
        if isinstance(clause, ColumnClause) and clause.table is not None
    }
    sources = {source for source, _ in grouped if _has_whole_key(source, grouped, tables)}
    if not sources:
        return []
    used = _columns([*select.selected_columns, *select._having_criteria, *select._order_by_clauses])
    return [
        column for place, column in used.items() if place[0] in sources and place not in grouped
    ]


def _has_whole_key(
    source: FromClause, grouped: dict[tuple[FromClause, str], ColumnClause[Any]], tables: bool
) -> bool:
    if not tables and getattr(source, "moment", None) is None:
        return False
    table = source.element if isinstance(source, FromClauseAlias) else source
    if not isinstance(table, Table) or not is_versioned(table):
        return False
    return all((source, key.name) in grouped for key in key_columns(table))


def _columns(clauses: Iterable[Any]) -> dict[tuple[FromClause, str], ColumnClause[Any]]:
    found: dict[tuple[FromClause, str], ColumnClause[Any]] = {}
    for clause in clauses:
        for element in visitors.iterate(clause):
            if isinstance(element, ColumnClause) and element.table is not None:
                found.setdefault((element.table, element.name), element)
    return found
