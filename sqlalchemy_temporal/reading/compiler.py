"""The compiler that turns a statement carrying a moment into a question to the past.

:func:`install` puts :class:`AsOfCompiler` in front of the compiler class of one dialect
instance. A statement without the option :class:`~sqlalchemy_temporal.reading.option.AsOf`
is compiled as before. In a statement with it

* a versioned table renders as the SELECT of its rows at the moment, under the same name,
  wherever SQLAlchemy puts it: FROM, joins, aliases, subqueries, CTEs, LATERAL, unions;
* history tables and the library's own tables are read as they are: they are the record of
  all time, not something that was different at a moment;
* everything whose answer might be of the present is refused, see
  :mod:`sqlalchemy_temporal.reading.refusal`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import Dialect, Select, Table, TableClause
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import _anonymous_label

from sqlalchemy_temporal.errors import ReadOnlyPastError, UnsupportedReadError
from sqlalchemy_temporal.reading import refusal
from sqlalchemy_temporal.reading.dialects import rules_for
from sqlalchemy_temporal.reading.equalities import Equalities
from sqlalchemy_temporal.reading.grouping import dependent_columns
from sqlalchemy_temporal.reading.option import AsOf, Bounds, option_of
from sqlalchemy_temporal.reading.rows import AsStored, Form, rows_as_of
from sqlalchemy_temporal.schema import is_versioned, key_columns

if TYPE_CHECKING:
    from sqlalchemy import FromClause

    _Compiler = SQLCompiler
else:
    _Compiler = object

_EQUALITIES = "sqlalchemy_temporal.equalities"
_PASSED_ON = ("literal_binds", "literal_execute", "render_postcompile", "visiting_cte")


def install(dialect: Dialect) -> None:
    """Let ``dialect`` compile statements that carry a moment.

    Only this dialect instance (that is, its engine) is changed, once. Statements without
    the option are compiled as before.

    Raises:
        UnsupportedDatabaseError: history cannot be read on this database.
    """
    present = dialect.statement_compiler
    if issubclass(present, AsOfCompiler):
        return
    rules_for(dialect)
    dialect.statement_compiler = cast(
        "type[SQLCompiler]", type(f"AsOf{present.__name__}", (AsOfCompiler, present), {})
    )


class AsOfCompiler(_Compiler):
    """What differs from a dialect's own compiler, see the module."""

    @property
    def as_of(self) -> AsOf | None:
        """The moment that the statement being compiled is asked about."""
        try:
            return cast("AsOf | None", self.__dict__["_temporal_as_of"])
        except KeyError:
            found = self.__dict__["_temporal_as_of"] = option_of(self.statement)
            return found

    # ---------------------------------------------------------------------------- tables

    def visit_table(self, table: Any, asfrom: bool = False, **kw: Any) -> str:
        option = self.as_of
        if option is None or isinstance(table, AsStored):
            return super().visit_table(table, asfrom=asfrom, **kw)
        if not (asfrom or kw.get("ashint") or kw.get("within_tstring")):
            return ""
        if not refusal.is_rewritten(table, option.policy):
            return super().visit_table(table, asfrom=asfrom, **kw)
        if kw.get("within_tstring") or table in (kw.get("fromhints") or ()):
            raise UnsupportedReadError(
                f"table {table.fullname!r} is named inside SQL text or has a hint; "
                "as of a moment it can only stand in FROM by itself"
            )
        if self.schema_translate_map and table.schema in self.schema_translate_map:
            raise UnsupportedReadError(
                f"schema_translate_map renames the schema of {table.fullname!r}; its history "
                "is named after the schema declared, so the past cannot be read through it"
            )
        return self._render_as_of(table, option, **kw)

    def _render_as_of(
        self,
        table: Table,
        option: AsOf,
        *,
        enclosing_alias: Any = None,
        from_linter: Any = None,
        ambiguous_table_name_map: Any = None,
        **kw: Any,
    ) -> str:
        if from_linter:
            from_linter.froms[table] = table.fullname
        aliased = enclosing_alias is not None and enclosing_alias.element is table
        text = render_rows(
            self, table, option.bounds, enclosing_alias if aliased else table, option.policy.plan, kw
        )
        if aliased:
            return text
        name = self._name_as_of(table, ambiguous_table_name_map)
        return text + self.get_render_as_alias_suffix(self.preparer.quote(name))

    def _name_as_of(self, table: Any, ambiguous: Any = None) -> str:
        """What the rows of a table are called in the statement.

        The name of a table without schema is its own, so that columns render as ever. One
        with a schema cannot be called ``schema.table`` any more, and its bare name may be
        another table's.
        """
        if self.preparer.schema_for_object(table):
            label = _anonymous_label.safe_construct(hash(table), table.name)
            return self._truncated_identifier("alias", label)
        if ambiguous and table.name in ambiguous:
            return self._truncated_identifier("alias", ambiguous[table.name])
        return cast("str", table.name)

    def visit_column(self, column: Any, *args: Any, include_table: bool = True, **kw: Any) -> str:
        option = self.as_of
        if option is None:
            return super().visit_column(column, *args, include_table=include_table, **kw)
        if column.is_literal:
            refusal.check_text(column.name, option.policy)
        table = column.table
        if (
            include_table
            and isinstance(table, Table)
            and is_versioned(table)
            and self.preparer.schema_for_object(table)
        ):
            name = super().visit_column(column, *args, include_table=False, **kw)
            return f"{self.preparer.quote(self._name_as_of(table))}.{name}"
        return super().visit_column(column, *args, include_table=include_table, **kw)

    # ------------------------------------------------------------------------ statements

    def get_select_precolumns(self, select: Any, **kw: Any) -> str:
        if self.as_of is not None:
            refusal.check_select(select, self.as_of.policy)
        return super().get_select_precolumns(select, **kw)

    def group_by_clause(self, select: Any, **kw: Any) -> str:
        text = super().group_by_clause(select, **kw)
        if self.as_of is None or not text or not isinstance(select, Select):
            return text
        kw.pop("asfrom", None)
        more = [self.process(column, **kw) for column in dependent_columns(select)]
        return ", ".join([text, *more])

    def for_update_clause(self, select: Any, **kw: Any) -> str:
        if self.as_of is not None:
            raise ReadOnlyPastError(
                "rows of the past cannot be locked; leave out with_for_update(), or lock the "
                "present rows in the present session"
            )
        return super().for_update_clause(select, **kw)

    def visit_insert(self, insert_stmt: Any, *args: Any, **kw: Any) -> str:
        self._refuse_write("INSERT")
        return super().visit_insert(insert_stmt, *args, **kw)

    def visit_update(self, update_stmt: Any, *args: Any, **kw: Any) -> str:
        self._refuse_write("UPDATE")
        return super().visit_update(update_stmt, *args, **kw)

    def visit_delete(self, delete_stmt: Any, *args: Any, **kw: Any) -> str:
        self._refuse_write("DELETE")
        return super().visit_delete(delete_stmt, *args, **kw)

    def visit_next_value_func(self, next_value: Any, **kw: Any) -> str:
        self._refuse_write("nextval()")
        return super().visit_next_value_func(next_value, **kw)

    def _refuse_write(self, what: str) -> None:
        if self.as_of is not None:
            raise ReadOnlyPastError(f"{what} in a statement to the past; the past is read-only")

    # ---------------------------------------------------- what might read the present unseen

    def visit_textclause(self, textclause: Any, *args: Any, **kw: Any) -> str:
        if self.as_of is not None:
            refusal.check_text(textclause.text, self.as_of.policy)
        return super().visit_textclause(textclause, *args, **kw)

    def visit_tstring(self, tstring: Any, *args: Any, **kw: Any) -> str:
        if self.as_of is not None:
            refusal.check_text("a template string", self.as_of.policy)
        return super().visit_tstring(tstring, *args, **kw)

    def visit_function(self, func: Any, *args: Any, **kw: Any) -> str:
        if self.as_of is not None:
            refusal.check_function(func, self.as_of.policy, rules_for(self.dialect).functions)
        return super().visit_function(func, *args, **kw)

    def visit_custom_op_binary(self, element: Any, operator: Any, **kw: Any) -> str:
        if self.as_of is not None:
            refusal.check_operator(operator, self.as_of.policy)
        return super().visit_custom_op_binary(element, operator, **kw)

    def visit_tablesample(self, tablesample: Any, *args: Any, **kw: Any) -> str:
        if self.as_of is not None:
            raise UnsupportedReadError(
                "TABLESAMPLE picks pages of a stored table, which the past does not have; "
                "use order_by(func.random()).limit(n)"
            )
        return super().visit_tablesample(tablesample, *args, **kw)


def render_rows(
    compiler: SQLCompiler,
    table: Table,
    bounds: Bounds,
    element: FromClause,
    plan: str,
    kw: dict[str, Any],
) -> str:
    """The rows of ``table`` at a moment, in parentheses.

    Parameters:
        compiler: the compiler at work.
        table: the versioned table.
        bounds: the moment.
        element: what stands in FROM and what columns refer to: the table or its alias.
        plan: see :class:`~sqlalchemy_temporal.reading.policy.Policy`.
        kw: the keywords of the visit, of which those about rendering are passed on.
    """
    form, key = _form(compiler, table, element, plan)
    rules = rules_for(compiler.dialect)
    rows = rows_as_of(table, bounds, rules, form=form, key=key)
    kept = {name: kw[name] for name in _PASSED_ON if name in kw}
    return f"({compiler.process(rows, asfrom=True, **kept)})"


def _form(
    compiler: SQLCompiler, table: Table, element: FromClause, plan: str
) -> tuple[Form, list[Any]]:
    entry = cast("dict[str, Any]", compiler.stack[-1]) if compiler.stack else {}
    select = entry.get("selectable")
    if not isinstance(select, Select):
        return (Form.TABLE if plan == "table" else Form.ROWS), []
    froms = entry["asfrom_froms"]
    if _EQUALITIES not in entry:
        entry[_EQUALITIES] = Equalities(select, froms)
    key = entry[_EQUALITIES].of(element, key_columns(table))
    if key is not None:
        return Form.KEY, key
    if plan == "table" or (plan == "auto" and _joins_whole_tables(compiler, select, froms)):
        return Form.TABLE, []
    return Form.ROWS, []


def _joins_whole_tables(compiler: SQLCompiler, select: Select[Any], froms: Any) -> bool:
    # Inside of another statement the conditions of that one may reach down here.
    restricted = bool(select._where_criteria) or select._has_row_limiting_clause
    tables = [f for f in froms if isinstance(getattr(f, "element", f), TableClause)]
    return len(compiler.stack) == 1 and not restricted and len(tables) > 1
