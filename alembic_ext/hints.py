"""Renames that the models hint at, instead of a drop and a creation.

A column says ``mapped_column(info={"temporal_renamed_from": "old"})``, a table
``__table_args__ = {"info": {"temporal_renamed_from": "old"}}``, or ``"schema.old"`` when it
also moves. A hint may stay: it is heeded only while the old one is there and the new is not.
"""

from __future__ import annotations

from typing import Any, Final

from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from sqlalchemy import Table

from alembic_ext.ops import RenameColumnOp, RenameVersionedTableOp
from alembic_ext.state import TableState
from sqlalchemy_temporal.schema import options_of

HINT: Final = "temporal_renamed_from"
_Key = tuple[str | None, str]


def apply_hints(upgrade: ops.UpgradeOps, context: AutogenContext, installed: set[_Key]) -> None:
    """Turn pairs of a drop and a creation into the renames that are hinted at.

    Parameters:
        upgrade: what Alembic found; changed in place.
        context: of this run of autogenerate.
        installed: the versioned tables of the database, as Alembic calls them.
    """
    tables = {(table.schema, str(table.name)): table for table in context.sorted_tables}
    for table in tables.values():
        if HINT in table.info:
            _rename_table(upgrade, table, installed, context)
    for each in upgrade.ops:
        if isinstance(each, ops.ModifyTableOps):
            named = tables.get((each.schema, each.table_name))
            if named is not None:
                _rename_columns(each, named)


def _default(context: AutogenContext) -> str | None:
    connection = context.connection
    return connection.dialect.default_schema_name if connection is not None else None


def _rename_table(
    upgrade: ops.UpgradeOps, table: Table, installed: set[_Key], context: AutogenContext
) -> None:
    schema, _, name = str(table.info[HINT]).rpartition(".")
    default = _default(context)
    old = (None if schema in ("", default) else schema, name)
    if "." not in str(table.info[HINT]):
        old = (None if table.schema == default else table.schema, name)
    new = (None if table.schema == default else table.schema, str(table.name))
    created = _only(upgrade, ops.CreateTableOp, new)
    dropped = _only(upgrade, ops.DropTableOp, old)
    if created is None or dropped is None:
        return
    options = options_of(table)
    if old in installed and options is not None:
        state = TableState(old[1], old[0], options)
        renamed: ops.MigrateOperation = RenameVersionedTableOp(
            state, new[1], new[0] or (old[0] and default), default or "public"
        )
    elif old[0] == new[0]:
        renamed = ops.RenameTableOp(old[1], new[1], schema=old[0])
    else:
        return
    before = [op for op in upgrade.ops if isinstance(op, ops.ModifyTableOps) and _key(op) == old]
    rest = [op for op in upgrade.ops if op not in (created, dropped) and op not in before]
    upgrade.ops[:] = [*before, renamed, *rest]


def _only(upgrade: ops.UpgradeOps, kind: type[Any], key: _Key) -> ops.MigrateOperation | None:
    return next((op for op in upgrade.ops if isinstance(op, kind) and _key(op) == key), None)


def _key(op: Any) -> _Key:
    return (op.schema, str(op.table_name))


def _rename_columns(change: ops.ModifyTableOps, table: Table) -> None:
    dropped = {op.column_name: op for op in change.ops if isinstance(op, ops.DropColumnOp)}
    for index, op in enumerate(list(change.ops)):
        if not isinstance(op, ops.AddColumnOp):
            continue
        old = table.c[op.column.key].info.get(HINT) if op.column.key in table.c else None
        if old in dropped:
            change.ops[index] = RenameColumnOp(
                change.table_name, old, schema=change.schema, modify_name=str(op.column.name)
            )
            change.ops.remove(dropped.pop(old))


__all__ = ["HINT", "apply_hints"]
