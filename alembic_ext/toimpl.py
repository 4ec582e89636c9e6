"""How the operations of :mod:`alembic_ext.ops` are done."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from alembic.operations import Operations
from sqlalchemy import ClauseElement, literal

from alembic_ext.ops import (
    BackfillVersioningOp,
    DisableVersioningOp,
    EnableVersioningOp,
    ExpectVersioningOp,
    RenameVersionedTableOp,
    SyncVersioningOp,
)
from alembic_ext.runner import Runner, runner_of
from alembic_ext.state import state_of
from sqlalchemy_temporal.ddl import elements, evolve, plans
from sqlalchemy_temporal.ddl.installed import find_installed
from sqlalchemy_temporal.ddl.spec import TableSpec
from sqlalchemy_temporal.errors import ConfigurationError, NotInstalledError


def enable_versioning(operations: Operations, op: EnableVersioningOp) -> None:
    """Make the table versioned, from a baseline of what it has now."""
    runner, options = runner_of(operations.impl), op.state.options
    with runner.patience(op.lock_timeout, op.table_name):
        runner.install_system(options.schema)
        if not runner.offline:
            runner.run(
                plans.enable(runner.connection, op.schema, op.table_name, options, op.state.key)
            )
            return
        spec = runner.described(op.state)
        again = op.again or runner.is_remembered_disabled(op.schema, op.table_name)
        runner.run(plans.enable_again(spec) if again else elements.enable(spec))
        runner.remember(state_of(spec), versioned=True)


def disable_versioning(operations: Operations, op: DisableVersioningOp) -> None:
    """Stop recording the table; with its history kept, moments up to now can be read."""
    runner = runner_of(operations.impl)
    if runner.offline:
        spec = runner.described(op.state)
        runner.run(elements.disable(spec, keep_history=not op.drop_history))
        runner.remember(state_of(spec), versioned=False, kept=not op.drop_history)
        return
    known = find_installed(runner.connection, op.schema, op.table_name)
    if known is None:
        raise NotInstalledError(
            f"table {op.table_name!r} is not versioned in this database, so it cannot be disabled"
        )
    runner.install_system(known.options.schema)
    runner.run(plans.disable(runner.connection, known, drop_history=op.drop_history))


def sync_versioning(operations: Operations, op: SyncVersioningOp) -> None:
    """Bring history and triggers to what the table is, whatever was done to it."""
    runner, options = runner_of(operations.impl), op.state.options
    runner.install_system(options.schema)
    if not runner.offline:
        runner.run(plans.sync(runner.connection, op.schema, op.table_name, options))
        return
    before = runner.recorded(op.schema, op.table_name)
    spec = runner.described(op.state)
    changed = before is not None and before.options.exclude != spec.options.exclude
    runner.run(evolve.before_change(before or spec, values=changed))
    if before is not None:
        had, shall = before.history_schema, spec.history_schema
        if (had, before.history_table) != (shall, spec.history_table):
            runner.run([evolve.MoveHistory(before, spec)])
    runner.run(evolve.after_change(spec))
    if before is not None:
        runner.run(evolve.drop_indexes(before, spec))
    runner.remember(state_of(spec), versioned=True)


def rename_versioned_table(operations: Operations, op: RenameVersionedTableOp) -> None:
    """Rename the table, or move it to another schema, and its history with it."""
    runner = runner_of(operations.impl)
    before = runner.recorded(op.schema, op.table_name)
    if before is None and runner.offline:
        before = runner.described(op.state)
    if before is None:
        raise NotInstalledError(
            f"table {op.table_name!r} is not versioned in this database; rename it with "
            "op.rename_table()"
        )
    rename(runner, before, op.new_name, op.new_schema)


def rename(runner: Runner, before: TableSpec, name: str, schema: str | None) -> None:
    """Rename and move a versioned table."""
    runner.run(evolve.before_change(before, values=False))
    schema = runner.name(schema, name)[0]
    if schema != runner.name(before.schema, name)[0]:
        home = runner.dialect.default_schema_name or "public"
        runner.run([evolve.MoveTable(before, schema or home)])
    if name != before.name:
        runner.run([evolve.RenameTable(replace(before, schema=schema, found_in=None), name)])
    finish_rename(runner, before, name, schema)


def finish_rename(runner: Runner, before: TableSpec, name: str, schema: str | None) -> None:
    """Take history along with a table that has its new name already."""
    stays = runner.name(schema, name)[0] == runner.name(before.schema, name)[0]
    found_in = before.found_in if stays else schema
    moved = replace(before, name=name, schema=schema, found_in=found_in)
    runner.run([evolve.MoveHistory(before, moved), *evolve.after_change(moved)])
    runner.forget(before.schema, before.name)
    runner.remember(state_of(moved), versioned=True)


def backfill_versioning(operations: Operations, op: BackfillVersioningOp) -> None:
    """Give columns a value in the versions from before they existed."""
    runner = runner_of(operations.impl)
    spec = runner.recorded(op.schema, op.table_name)
    if spec is None and runner.offline:
        spec = runner.described(op.state)
    if spec is None:
        raise NotInstalledError(f"table {op.table_name!r} is not versioned in this database")
    unknown = sorted(set(op.values) - set(spec.column_names))
    if unknown:
        raise ConfigurationError(
            f"table {op.table_name!r} records no column(s) {', '.join(unknown)} to backfill"
        )
    runner.run(evolve.before_change(spec, values=True))
    runner.run(
        evolve.BackfillColumn(spec, name, _as_sql(runner, value))
        for name, value in op.values.items()
    )
    runner.run(evolve.after_change(spec))


def _as_sql(runner: Runner, value: Any) -> str:
    expression = value if isinstance(value, ClauseElement) else literal(value)
    if value is None:
        return "NULL"
    return str(expression.compile(dialect=runner.dialect, compile_kwargs={"literal_binds": True}))


def expect_versioning(operations: Operations, op: ExpectVersioningOp) -> None:
    """Remember what the table is like; a database is asked instead."""
    runner = runner_of(operations.impl)
    if runner.offline and op.state.is_described:
        runner.remember(op.state, versioned=True)


IMPLEMENTATIONS = {
    EnableVersioningOp: enable_versioning,
    DisableVersioningOp: disable_versioning,
    SyncVersioningOp: sync_versioning,
    RenameVersionedTableOp: rename_versioned_table,
    BackfillVersioningOp: backfill_versioning,
    ExpectVersioningOp: expect_versioning,
}

__all__ = ["IMPLEMENTATIONS", "finish_rename", "rename"]
