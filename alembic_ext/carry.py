"""Ordinary operations on a versioned table carry its history along.

:class:`CarryingImpl` stands in front of Alembic's implementation of a dialect, where every way
to an ``ALTER TABLE`` comes by: ``op.add_column()``, batch mode, whatever other extensions
invoke. For a table that is not versioned, or is left alone by name
(``context.configure(temporal_leave_alone=["audit"])``), nothing differs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, Computed, ForeignKeyConstraint, Table
from sqlalchemy.types import TypeEngine, to_instance

from alembic_ext import batch
from alembic_ext.runner import Runner, runner_of
from alembic_ext.state import (
    TableState,
    spec_of,
    state_of,
    with_column,
    with_renamed,
    without_column,
)
from alembic_ext.toimpl import finish_rename
from sqlalchemy_temporal.ddl import elements, evolve, plans
from sqlalchemy_temporal.ddl.evolve import Retype
from sqlalchemy_temporal.ddl.installed import find_installed
from sqlalchemy_temporal.ddl.reflect import reflect_table
from sqlalchemy_temporal.ddl.spec import TableSpec
from sqlalchemy_temporal.errors import ConfigurationError

if TYPE_CHECKING:
    from alembic.ddl.impl import DefaultImpl

    _Base = DefaultImpl
else:
    _Base = object


class CarryingImpl(_Base):
    """What differs from a dialect's own implementation; put in front of it by ``register()``."""

    def create_table(self, table: Table, **kw: Any) -> None:
        """Remember the table, so that it can be versioned in a script of SQL."""
        super().create_table(table, **kw)
        if self.as_sql and not batch.is_temporary(self, table.name):
            runner_of(self).remember_created(table)

    def prep_table_for_batch(self, batch_impl: Any, table: Table) -> None:
        """Batch mode copies the table into a new one: note what becomes of its columns."""
        super().prep_table_for_batch(batch_impl, table)
        runner = runner_of(self)
        before = _recorded(runner, table.schema, table.name)
        if before is not None:
            batch.begin(runner, batch_impl, before)

    def add_column(
        self, table_name: str, column: Column[Any], *, schema: str | None = None, **kw: Any
    ) -> None:
        """History gets the column; rows that get a value with it had none before."""
        runner = runner_of(self)
        before = _recorded(runner, schema, table_name)
        if before is None:
            super().add_column(table_name, column, schema=schema, **kw)
            _note(runner, schema, table_name, lambda state: _added(runner, state, column))
            return
        valued = column.server_default is not None or column.computed is not None
        runner.run(evolve.before_change(before, values=valued, begin=False))
        super().add_column(table_name, column, schema=schema, **kw)
        if valued:
            # After the column, so that the system column stays the last one.
            runner.run([evolve.BeginVersions(before)])
        _finish(runner, before, lambda state: _added(runner, state, column))

    def drop_column(
        self, table_name: str, column: Column[Any], *, schema: str | None = None, **kw: Any
    ) -> None:
        """History gets the values that are lost, and keeps the column."""
        runner, name = runner_of(self), str(column.name)
        before = _recorded(runner, schema, table_name)
        if before is not None and name in before.key:
            raise ConfigurationError(
                f"column {name!r} is part of the key that the rows of {before.qualified!r} are "
                "followed by; disable versioning, change the key, and enable it again"
            )
        if before is not None:
            lost = name in before.column_names
            runner.run(evolve.before_change(before, values=lost))
        super().drop_column(table_name, column, schema=schema, **kw)
        if before is not None:
            _finish(runner, before, lambda state: without_column(state, name))
        else:
            _note(runner, schema, table_name, lambda state: without_column(state, name))

    def alter_column(
        self,
        table_name: str,
        column_name: str,
        *,
        name: str | None = None,
        type_: TypeEngine[Any] | None = None,
        schema: str | None = None,
        **kw: Any,
    ) -> None:
        """History is renamed and converted, too; other changes do not concern it."""
        runner = runner_of(self)
        before = _recorded(runner, schema, table_name)
        using = kw.get("postgresql_using")
        given = {"name": name, "type_": type_, "schema": schema, **kw}
        if before is not None and (name is not None or type_ is not None):
            with _altered(runner, before, column_name, name, (type_, using)):
                super().alter_column(table_name, column_name, **given)
            return
        super().alter_column(table_name, column_name, **given)
        if before is None:
            _note(
                runner,
                schema,
                table_name,
                lambda state: _changed(runner, state, column_name, name, type_),
            )

    def rename_table(
        self, old_table_name: str, new_table_name: str, schema: str | None = None
    ) -> None:
        """History goes by the new name, too."""
        runner = runner_of(self)
        if batch.is_temporary(self, old_table_name):
            super().rename_table(old_table_name, new_table_name, schema=schema)
            done = batch.finish(self, old_table_name)
            if done is not None:
                _finish(runner, done, lambda state: state)
            return
        before = _recorded(runner, schema, old_table_name)
        if before is not None:
            runner.run(evolve.before_change(before, values=False))
        super().rename_table(old_table_name, new_table_name, schema=schema)
        if before is not None:
            finish_rename(runner, before, str(new_table_name), before.schema)
        else:
            runner.rename_remembered(schema, old_table_name, str(new_table_name))

    def drop_table(self, table: Table, **kw: Any) -> None:
        """What the table had when it was dropped is kept in history."""
        runner = runner_of(self)
        if batch.is_replaced(self, table.name):
            super().drop_table(table, **kw)
            return
        before = _recorded(runner, table.schema, table.name)
        if before is not None:
            _disable(runner, before)
        super().drop_table(table, **kw)
        if before is None:
            runner.forget(table.schema, table.name)

    def add_constraint(self, const: Any, **kw: Any) -> None:
        """History gets the index that reading by a foreign key needs."""
        super().add_constraint(const, **kw)
        if isinstance(const, ForeignKeyConstraint):
            runner = runner_of(self)
            before = _recorded(runner, const.table.schema, const.table.name)
            if before is not None:
                runner.run([evolve.FollowColumns(_now(runner, before))])


def _recorded(runner: Runner, schema: str | None, table: str) -> TableSpec | None:
    left = runner.impl.context_opts.get("temporal_leave_alone") or ()
    name = f"{schema}.{table}" if schema else str(table)
    if left is True or name in left or table in left:
        return None
    found = runner.recorded(schema, table)
    if found is not None and found.kind == "inherited":
        raise ConfigurationError(
            f"table {found.qualified!r} inherits from another, or others from it, and its history "
            "does as well; a migration cannot carry that along. Disable versioning, change the "
            "table, and enable versioning again"
        )
    return found


def _note(runner: Runner, schema: str | None, table: str, change: Any) -> None:
    """Follow the changes of a table that may be versioned later, in a script of SQL."""
    state = runner.remembered(schema, table) if runner.offline else None
    if state is not None:
        kept = runner.is_remembered_disabled(schema, table)
        runner.remember(change(state), versioned=False, kept=kept)


def _now(runner: Runner, before: TableSpec) -> TableSpec:
    """The table after a change that kept its name, as the database has it."""
    if runner.offline:
        return before
    live = reflect_table(
        runner.connection,
        before.schema,
        before.name,
        before.options,
        key=before.key,
        lenient=True,
    )
    return live.spec


def _finish(runner: Runner, before: TableSpec, change: Any) -> None:
    """Make history and triggers for the table as it is after the change."""
    state = change(state_of(before))
    after = spec_of(state)
    if not runner.offline:
        live = reflect_table(
            runner.connection,
            before.schema,
            before.name,
            state.options,
            key=state.key,
            lenient=True,
        )
        after = live.spec
    runner.run(evolve.after_change(after))
    if runner.offline:
        runner.remember(state, versioned=True)


@contextmanager
def _altered(
    runner: Runner,
    before: TableSpec,
    column: str,
    name: str | None,
    kind: tuple[TypeEngine[Any] | None, str | None],
) -> Iterator[None]:
    type_, using = kind
    spec = next((each for each in before.columns if each.name == column), None)
    change = None
    if spec is not None and type_ is not None:
        new_type = to_instance(type_).compile(dialect=runner.dialect)
        same = using is None and evolve.stored_alike(spec.type, new_type)
        change = runner.retype(before, Retype(column, new_type, using, same))
    runner.run(evolve.before_change(before, values=change is not None and not change.same))
    if change is not None:
        runner.run([evolve.ConvertHistory(before, change)])
    yield
    if name is not None and name != column and spec is not None:
        runner.run([evolve.RenameHistoryColumn(before, column, name)])
    _finish(runner, before, lambda state: _changed(runner, state, column, name, type_))


def _added(runner: Runner, state: TableState, column: Column[Any]) -> TableState:
    computed: Computed | None = column.computed
    generated: tuple[str | None] | None = None
    if computed is not None:
        generated = (None if computed.persisted else str(computed.sqltext),)
    return with_column(
        state, str(column.name), column.type.compile(dialect=runner.dialect), generated
    )


def _changed(
    runner: Runner,
    state: TableState,
    column: str,
    name: str | None,
    type_: TypeEngine[Any] | None,
) -> TableState:
    if type_ is not None:
        state = with_column(state, column, to_instance(type_).compile(dialect=runner.dialect))
    return state if name is None else with_renamed(state, column, name)


def _disable(runner: Runner, before: TableSpec) -> None:
    """Keep the history of a table that is about to be dropped, which no view can show."""
    plan: Iterable[elements.TemporalDDL] = elements.disable(before, keep_history=True)
    if runner.offline:
        runner.remember(state_of(before), versioned=False, kept=True)
    else:
        known = find_installed(runner.connection, before.live_schema, before.name)
        if known is not None:
            plan = plans.disable(runner.connection, known, drop_history=False)
    runner.run(each for each in plan if not isinstance(each, elements.CreateClosedView))


__all__ = ["CarryingImpl"]
