"""How the operations of :mod:`alembic_ext.ops` are written into a migration script."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from alembic.autogenerate.api import AutogenContext
from alembic.operations.ops import MigrateOperation
from sqlalchemy import ClauseElement

from alembic_ext.ops import (
    BackfillVersioningOp,
    DisableVersioningOp,
    EnableVersioningOp,
    ExpectVersioningOp,
    RenameColumnOp,
    RenameVersionedTableOp,
    SyncVersioningOp,
    VersioningOp,
)
from alembic_ext.state import arguments
from sqlalchemy_temporal.errors import ConfigurationError

_WIDTH = 88


def _prefix(context: AutogenContext) -> str:
    prefix = context.opts.get("alembic_module_prefix") or "op."
    return str(prefix)


def _call(context: AutogenContext, op: VersioningOp, *names: str, **more: Any) -> str:
    said = arguments(op.state) | {name: value for name, value in more.items() if value}
    written = [repr(str(name)) for name in (op.table_name, *names)]
    written += [f"{name}={value!r}" for name, value in said.items()]
    line = f"{_prefix(context)}{op.name}({', '.join(written)})"
    if len(line) <= _WIDTH:
        return line
    return "\n".join((f"{_prefix(context)}{op.name}(", *(f"    {each}," for each in written), ")"))


def enable_versioning(context: AutogenContext, op: EnableVersioningOp) -> str:
    """``op.enable_versioning(…)``."""
    return _call(context, op, lock_timeout=op.lock_timeout, again=op.again)


def disable_versioning(context: AutogenContext, op: DisableVersioningOp) -> str:
    """``op.disable_versioning(…)``."""
    return _call(context, op, drop_history=op.drop_history)


def sync_versioning(context: AutogenContext, op: SyncVersioningOp) -> str:
    """``op.sync_versioning(…)``, below what it is for."""
    lines = [f"# {problem}" for problem in op.problems]
    return "\n".join((*lines, _call(context, op)))


def rename_versioned_table(context: AutogenContext, op: RenameVersionedTableOp) -> str:
    """``op.rename_versioned_table(…)``."""
    moved = op.new_schema if op.new_schema != op.schema else None
    return _call(context, op, op.new_name, new_schema=moved)


def backfill_versioning(context: AutogenContext, op: BackfillVersioningOp) -> str:
    """``op.backfill_versioning(…)``."""
    for name, value in op.values.items():
        if isinstance(value, ClauseElement):
            raise ConfigurationError(
                f"backfill of {op.table_name}.{name}: an SQL expression cannot be written into a "
                "script; write the operation by hand"
            )
    return _call(context, op, values=op.values)


def expect_versioning(context: AutogenContext, op: ExpectVersioningOp) -> list[str]:
    """``op.expect_versioning(…)``, in the direction that it is for."""
    return [] if op.silent else [_call(context, op)]


def rename_column(context: AutogenContext, op: RenameColumnOp) -> str:
    """``op.alter_column("table", "old", new_column_name="new")``, also in batch mode."""
    written = [repr(str(op.column_name)), f"new_column_name={str(op.modify_name)!r}"]
    if getattr(context, "_has_batch", False):
        return f"batch_op.alter_column({', '.join(written)})"
    if op.schema:
        written.append(f"schema={str(op.schema)!r}")
    return f"{_prefix(context)}alter_column({str(op.table_name)!r}, {', '.join(written)})"


RENDERERS: dict[type[MigrateOperation], Callable[..., Any]] = {
    EnableVersioningOp: enable_versioning,
    DisableVersioningOp: disable_versioning,
    SyncVersioningOp: sync_versioning,
    RenameVersionedTableOp: rename_versioned_table,
    BackfillVersioningOp: backfill_versioning,
    ExpectVersioningOp: expect_versioning,
    RenameColumnOp: rename_column,
}

__all__ = ["RENDERERS"]
