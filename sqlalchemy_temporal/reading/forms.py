"""Which form of SQL reads a table, and its text, at the place where it stands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Alias, FromClause, Select, Table

from sqlalchemy_temporal.errors import UnsupportedReadError
from sqlalchemy_temporal.reading.dialects import rules_for
from sqlalchemy_temporal.reading.equalities import Equalities
from sqlalchemy_temporal.reading.option import Bounds
from sqlalchemy_temporal.reading.policy import Plan
from sqlalchemy_temporal.reading.rows import Form, rows_as_of
from sqlalchemy_temporal.schema import history_table, key_columns

_EQUALITIES: Final = "sqlalchemy_temporal.equalities"
_PASSED_ON: Final = ("literal_binds", "literal_execute", "render_postcompile", "visiting_cte")


def render_rows(
    compiler: Any, table: Table, element: FromClause, bounds: Bounds, plan: Plan, **kw: Any
) -> str:
    """The rows of ``table`` at a moment, in parentheses.

    Parameters:
        compiler: the compiler at work.
        table: the versioned table.
        element: what stands in FROM and what columns refer to: the table or its alias.
        bounds: the moment.
        plan: see :class:`~sqlalchemy_temporal.reading.policy.Policy`.
        kw: the keywords of the visit, of which those about rendering are passed on.

    Raises:
        UnsupportedReadError: ``schema_translate_map`` would lead to other tables.
    """
    plain = table._deannotate()  # the ORM puts annotated copies in statements
    _refuse_translation(compiler.schema_translate_map or {}, plain)
    form, key = _form(compiler, plain, element, plan)
    rows = rows_as_of(plain, bounds, rules_for(compiler.dialect), form=form, key=key)
    kept = {name: kw[name] for name in _PASSED_ON if name in kw}
    text: str = compiler.process(rows, asfrom=True, **kept)
    return f"({text})"


def _refuse_translation(renamed: Mapping[str | None, str | None], table: Table) -> None:
    if table.schema in renamed or history_table(table).schema in renamed:
        raise UnsupportedReadError(
            f"schema_translate_map renames the schema of {table.fullname!r} or of its history, "
            "which is named after the schema declared, so the past cannot be read through it"
        )


def _form(compiler: Any, table: Table, element: FromClause, plan: Plan) -> tuple[Form, list[Any]]:
    entry = compiler.stack[-1] if compiler.stack else {}
    select = entry.get("selectable")
    if not isinstance(select, Select):
        return (Form.TABLE if plan == "table" else Form.ROWS), []
    froms = entry["asfrom_froms"]
    if _EQUALITIES not in entry:
        entry[_EQUALITIES] = Equalities(select, froms)
    key = entry[_EQUALITIES].of(element, key_columns(table))
    if key is not None:
        return Form.KEY, key
    whole = plan == "auto" and len(compiler.stack) == 1 and _joins_whole_tables(select, froms)
    return (Form.TABLE if whole or plan == "table" else Form.ROWS), []


def _joins_whole_tables(select: Select[Any], froms: Any) -> bool:
    """Whether nothing limits what is read.

    Asked of outermost SELECTs only: inside of another, that one's conditions may reach down.
    """
    if select._where_criteria or select._has_row_limiting_clause:
        return False
    sources = [source.element if isinstance(source, Alias) else source for source in froms]
    return sum(isinstance(source, Table) for source in sources) > 1
