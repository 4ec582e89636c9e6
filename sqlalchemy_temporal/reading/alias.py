"""A table as of a moment as one element of FROM, beside others of other moments."""

from __future__ import annotations

from typing import Any

from sqlalchemy import FromClause, Table
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.elements import _truncated_label
from sqlalchemy.sql.selectable import FromClauseAlias, FromGrouping, Join
from sqlalchemy.sql.util import ClauseAdapter
from sqlalchemy.sql.visitors import InternalTraversal, _TraverseInternalsType

from sqlalchemy_temporal.clock.moment import Moment
from sqlalchemy_temporal.errors import UnsupportedReadError, UnversionedTableError
from sqlalchemy_temporal.reading import refusal
from sqlalchemy_temporal.reading.compiler import adopt
from sqlalchemy_temporal.reading.entity_loading import let_entities_load
from sqlalchemy_temporal.reading.forms import render_rows
from sqlalchemy_temporal.reading.option import Bounds
from sqlalchemy_temporal.reading.secondaries import find_secondaries
from sqlalchemy_temporal.schema import is_versioned


class AsOfAlias(FromClauseAlias):
    """The rows of a versioned table as of a moment, under a name of their own.

    Unlike a table in a session of the past it has its own moment, so it means the same in
    any statement of any session. It is not an ``Alias``: of that the ORM would make another
    alias by going back to the table, which is of the present.
    """

    __visit_name__ = "alias"
    _is_subquery = True  # keeps older SQLAlchemy too from going back to the table

    _traverse_internals: _TraverseInternalsType = [  # noqa: RUF012 - as SQLAlchemy declares it
        *FromClauseAlias._traverse_internals,
        ("bounds", InternalTraversal.dp_has_cache_key),
    ]

    element: Table
    moment: Moment
    bounds: Bounds

    @classmethod
    def of(cls, table: Table, moment: Moment, bounds: Bounds, name: str | None) -> AsOfAlias:
        """``table`` as of ``moment``.

        Raises:
            UnversionedTableError: the table has no history.
            UnrecordedMomentError: nothing of it is recorded at ``moment``.
        """
        if not is_versioned(table):
            raise UnversionedTableError(
                f"table {table.fullname!r} has no history, so how it was is not known; declare "
                "it versioned"
            )
        refusal.check_known(table, moment)
        alias: AsOfAlias = cls._construct(table, name=name)
        alias.moment = moment
        alias.bounds = bounds
        return alias


@compiles(AsOfAlias)
def _render(
    alias: AsOfAlias,
    compiler: Any,
    asfrom: bool = False,
    from_linter: Any = None,
    enclosing_alias: Any = None,
    **kw: Any,
) -> str:
    if not asfrom:
        return ""
    adopt(compiler)
    find_secondaries(compiler, alias)
    let_entities_load(compiler, alias)
    text = render_rows(compiler, alias.element, alias, alias.bounds, "rows", **kw)
    if enclosing_alias is not None and enclosing_alias.element is alias:
        return text
    name: str = alias.name
    if isinstance(name, _truncated_label):
        name = compiler._truncated_identifier("alias", name)
    if from_linter:
        original: Any = alias
        from_linter.froms[original._de_clone()] = name
    suffix: str = compiler.get_render_as_alias_suffix(compiler.preparer.format_alias(alias, name))
    return text + suffix


def selectable_as_of(source: FromClause, moment: Moment, name: str | None) -> FromClause:
    """``source``, a table or a join of tables, with each table as of ``moment``.

    Raises:
        UnversionedTableError: a table has no history.
        UnsupportedReadError: ``source`` is something else.
    """
    return _replaced(source, moment, Bounds.of(moment), name)


def _replaced(source: FromClause, moment: Moment, bounds: Bounds, name: str | None) -> FromClause:
    if isinstance(source, Table):
        return AsOfAlias.of(source, moment, bounds, name)
    if isinstance(source, FromGrouping):
        return FromGrouping(_replaced(source.element, moment, bounds, name))
    if isinstance(source, Join):
        left = _replaced(source.left, moment, bounds, _part(name, source.left))
        right = _replaced(source.right, moment, bounds, _part(name, source.right))
        adapter = ClauseAdapter(left).chain(ClauseAdapter(right))
        onclause = adapter.traverse(source.onclause)
        return left.join(right, onclause, isouter=source.isouter, full=source.full)
    raise UnsupportedReadError(
        f"as_of() takes classes mapped to a table or to a join of tables, not to a "
        f"{type(source).__name__}; ask for the subclasses one by one"
    )


def _part(name: str | None, source: FromClause) -> str | None:
    return f"{name}_{source.name}" if name and isinstance(source, Table) else name
