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

from collections.abc import Callable, Hashable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import Dialect, Select, Table
from sqlalchemy.sql.elements import ClauseElement, _anonymous_label
from sqlalchemy.sql.functions import next_value

from sqlalchemy_temporal.errors import ReadOnlyPastError, UnsupportedReadError
from sqlalchemy_temporal.reading import refusal
from sqlalchemy_temporal.reading.dialects import rules_for
from sqlalchemy_temporal.reading.forms import render_rows
from sqlalchemy_temporal.reading.grouping import dependent_columns
from sqlalchemy_temporal.reading.option import AsOf, Bounds, option_of
from sqlalchemy_temporal.schema import is_versioned

if TYPE_CHECKING:
    from sqlalchemy.sql.compiler import SQLCompiler


def install(dialect: Dialect) -> None:
    """Let ``dialect`` compile statements that carry a moment.

    Only this dialect instance (that is, its engine) is changed, once. Statements without
    the option are compiled as before.

    Raises:
        UnsupportedDatabaseError: history cannot be read on this database.
    """
    present = dialect.statement_compiler
    if AsOfCompiler in present.__mro__:
        return
    rules_for(dialect)
    dialect.statement_compiler = cast("type[SQLCompiler]", _of_past(cast("Hashable", present)))


def adopt(compiler: Any) -> None:
    """Let a compiler at work know about moments from here on, if it does not yet.

    For statements that meet ``as_of(Customer, …)`` where no past was opened before: a
    compiler of the dialect's own is given what :class:`AsOfCompiler` adds.
    """
    if not isinstance(compiler, AsOfCompiler):
        compiler.__class__ = _of_past(cast("Hashable", type(compiler)))


@lru_cache(maxsize=64)
def _of_past(present: Hashable) -> type:
    base = cast("type", present)
    return type(f"AsOf{base.__name__}", (AsOfCompiler, base), {})


class AsOfCompiler:
    """What differs from a dialect's own compiler, see the module.

    A mixin: :func:`install` puts it in front of a subclass of
    :class:`~sqlalchemy.sql.compiler.SQLCompiler`, which has the attributes named here.
    """

    dialect: Dialect
    preparer: Any
    process: Callable[..., str]
    schema_translate_map: Any
    stack: list[Any]
    statement: Any

    def _as_usual(self, method: str, *args: Any, **kw: Any) -> str:
        """Compile as the dialect's own compiler does."""
        return cast("str", getattr(super(), method)(*args, **kw))

    @property
    def as_of(self) -> AsOf | None:
        """The moment that the statement being compiled is asked about."""
        try:
            return cast("AsOf | None", self.__dict__["_temporal_as_of"])
        except KeyError:
            found = self.__dict__["_temporal_as_of"] = option_of(self.statement)
            return found

    @property
    def secondaries(self) -> dict[Any, Bounds]:
        """Association tables that are read at another moment than the statement."""
        found: dict[Any, Bounds] = self.__dict__.setdefault("_temporal_secondaries", {})
        return found

    # ---------------------------------------------------------------------------- tables

    def visit_table(self, table: Any, asfrom: bool = False, **kw: Any) -> str:
        """A table: a versioned one as its rows at the moment."""
        option = self.as_of
        bounds = self.secondaries.get(kw.get("enclosing_alias"))
        if bounds is not None and asfrom:
            return render_rows(self, table, kw["enclosing_alias"], bounds, "rows", **kw)
        if option is None:
            return self._as_usual("visit_table", table, asfrom=asfrom, **kw)
        if not (asfrom or kw.get("ashint") or kw.get("within_tstring")):
            return ""
        if not refusal.is_rewritten(table, option.policy):
            return self._as_usual("visit_table", table, asfrom=asfrom, **kw)
        if kw.get("within_tstring") or table in (kw.get("fromhints") or ()):
            raise UnsupportedReadError(
                f"table {table.fullname!r} is named inside SQL text or has a hint; "
                "as of a moment it can only stand in FROM by itself"
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
        refusal.check_known(table._deannotate(), option.moment)
        if from_linter:
            from_linter.froms[table] = table.fullname
        aliased = enclosing_alias is not None and enclosing_alias.element is table
        element = enclosing_alias if aliased else table
        text = render_rows(self, table, element, option.bounds, option.policy.plan, **kw)
        if aliased:
            return text
        name = self._name_as_of(table, ambiguous_table_name_map)
        return text + self._as_usual("get_render_as_alias_suffix", self.preparer.quote(name))

    def _name_as_of(self, table: Any, ambiguous: Any = None) -> str:
        """What the rows of a table are called in the statement.

        The name of a table without schema is its own, so that columns render as ever. One
        with a schema cannot be called ``schema.table`` any more, and its bare name may be
        another table's.
        """
        if self.preparer.schema_for_object(table):
            label = _anonymous_label.safe_construct(hash(table), table.name)
            return self._as_usual("_truncated_identifier", "alias", label)
        if ambiguous and table.name in ambiguous:
            return self._as_usual("_truncated_identifier", "alias", ambiguous[table.name])
        return cast("str", table.name)

    def visit_column(self, column: Any, *args: Any, include_table: bool = True, **kw: Any) -> str:
        """A column, of a table that may go by another name here."""
        option = self.as_of
        if option is None:
            return self._as_usual("visit_column", column, *args, include_table=include_table, **kw)
        if column.is_literal:
            refusal.check_text(column.name, option.policy)
        table = column.table
        if (
            include_table
            and isinstance(table, Table)
            and is_versioned(table)
            and self.preparer.schema_for_object(table)
        ):
            name = self._as_usual("visit_column", column, *args, include_table=False, **kw)
            return f"{self.preparer.quote(self._name_as_of(table))}.{name}"
        return self._as_usual("visit_column", column, *args, include_table=include_table, **kw)

    # ------------------------------------------------------------------------ statements

    def get_select_precolumns(self, select: Any, **kw: Any) -> str:
        """The place in a SELECT, after the ORM has built it, for checking it."""
        if self.as_of is not None:
            refusal.check_select(select, self.as_of.policy)
        return self._as_usual("get_select_precolumns", select, **kw)

    def visit_compound_select(self, cs: Any, *args: Any, **kw: Any) -> str:
        """A UNION and its kin, whose ORDER BY and LIMIT are no SELECT's."""
        if self.as_of is not None:
            refusal.check_select(cs, self.as_of.policy)
        return self._as_usual("visit_compound_select", cs, *args, **kw)

    def _render_values(self, element: Any, **kw: Any) -> str:
        """The rows of VALUES, which nothing that goes through a statement's parts sees."""
        if self.as_of is not None:
            for rows in element._data:
                for row in rows:
                    for value in row:
                        if isinstance(value, ClauseElement):
                            refusal.check_select(value, self.as_of.policy)
        return self._as_usual("_render_values", element, **kw)

    def group_by_clause(self, select: Any, **kw: Any) -> str:
        """GROUP BY, with the columns that a key grouped by determines."""
        text = self._as_usual("group_by_clause", select, **kw)
        if not text or not isinstance(select, Select):
            return text
        kw.pop("asfrom", None)
        columns = dependent_columns(select, tables=self.as_of is not None)
        more = [self.process(column, **kw) for column in columns]
        return ", ".join([text, *more])

    def for_update_clause(self, select: Any, **kw: Any) -> str:
        """FOR UPDATE, which the past refuses."""
        if self.as_of is not None:
            raise ReadOnlyPastError(
                "rows of the past cannot be locked; leave out with_for_update(), or lock the "
                "present rows in the present session"
            )
        return self._as_usual("for_update_clause", select, **kw)

    def visit_insert(self, insert_stmt: Any, *args: Any, **kw: Any) -> str:
        """INSERT, which the past refuses."""
        self._refuse_write("INSERT")
        return self._as_usual("visit_insert", insert_stmt, *args, **kw)

    def visit_update(self, update_stmt: Any, *args: Any, **kw: Any) -> str:
        """UPDATE, which the past refuses."""
        self._refuse_write("UPDATE")
        return self._as_usual("visit_update", update_stmt, *args, **kw)

    def visit_delete(self, delete_stmt: Any, *args: Any, **kw: Any) -> str:
        """DELETE, which the past refuses."""
        self._refuse_write("DELETE")
        return self._as_usual("visit_delete", delete_stmt, *args, **kw)

    def _refuse_write(self, what: str) -> None:
        if self.as_of is not None:
            raise ReadOnlyPastError(f"{what} in a statement to the past; the past is read-only")

    # ---------------------------------------------------- what might read the present unseen

    def visit_textclause(self, textclause: Any, *args: Any, **kw: Any) -> str:
        """SQL text."""
        if self.as_of is not None:
            in_from = bool(kw.get("asfrom"))
            refusal.check_text(textclause.text, self.as_of.policy, in_from=in_from)
        return self._as_usual("visit_textclause", textclause, *args, **kw)

    def visit_tstring(self, tstring: Any, *args: Any, **kw: Any) -> str:
        """A template string."""
        if self.as_of is not None:
            refusal.check_text("a template string", self.as_of.policy)
        return self._as_usual("visit_tstring", tstring, *args, **kw)

    def visit_function(self, func: Any, *args: Any, **kw: Any) -> str:
        """A function."""
        if isinstance(func, next_value):
            self._refuse_write("nextval()")
        if self.as_of is not None:
            refusal.check_function(func, self.as_of.policy, rules_for(self.dialect).functions)
        return self._as_usual("visit_function", func, *args, **kw)

    def visit_custom_op_binary(self, element: Any, operator: Any, **kw: Any) -> str:
        """An operator written as text."""
        self._check_operator(operator)
        return self._as_usual("visit_custom_op_binary", element, operator, **kw)

    def visit_custom_op_unary_operator(self, element: Any, operator: Any, **kw: Any) -> str:
        """An operator written as text, before its operand."""
        self._check_operator(operator)
        return self._as_usual("visit_custom_op_unary_operator", element, operator, **kw)

    def visit_custom_op_unary_modifier(self, element: Any, operator: Any, **kw: Any) -> str:
        """An operator written as text, after its operand."""
        self._check_operator(operator)
        return self._as_usual("visit_custom_op_unary_modifier", element, operator, **kw)

    def _check_operator(self, operator: Any) -> None:
        if self.as_of is not None:
            refusal.check_operator(operator, self.as_of.policy)

    def visit_extract(self, extract: Any, **kw: Any) -> str:
        """EXTRACT, whose field is written as it is."""
        if self.as_of is not None:
            refusal.check_field(extract.field, self.as_of.policy)
        return self._as_usual("visit_extract", extract, **kw)

    def visit_typeclause(self, typeclause: Any, **kw: Any) -> str:
        """The type of a CAST, which a type of the application's own writes."""
        text = self._as_usual("visit_typeclause", typeclause, **kw)
        if self.as_of is not None:
            refusal.check_type(text, self.as_of.policy)
        return text

    def visit_tablesample(self, tablesample: Any, *args: Any, **kw: Any) -> str:
        """TABLESAMPLE, which the past refuses."""
        if self.as_of is not None:
            raise UnsupportedReadError(
                "TABLESAMPLE picks pages of a stored table, which the past does not have; "
                "use order_by(func.random()).limit(n)"
            )
        return self._as_usual("visit_tablesample", tablesample, *args, **kw)
