"""What belongs to versioning is never proposed for dropping."""

from __future__ import annotations

from collections.abc import Iterable

from alembic.operations import ops
from sqlalchemy import Connection

from sqlalchemy_temporal.ddl.installed import Installed, system_schemas
from sqlalchemy_temporal.naming import TX_COLUMN, current_name, replaced_name, view_schema
from sqlalchemy_temporal.schema import has_schemas, system_of


def protect(
    upgrade: ops.UpgradeOps, connection: Connection, installed: Iterable[Installed]
) -> None:
    """Take out of ``upgrade`` what concerns our own tables and the system column.

    Parameters:
        upgrade: what Alembic found; changed in place.
        connection: the database that was compared.
        installed: the tables that are or were versioned there.
    """
    tables = set(installed)
    ours = {each.history for each in tables}
    default = connection.dialect.default_schema_name
    whole: set[str] = set()
    for schema in system_schemas(connection):
        if has_schemas(connection.dialect):
            whole |= {schema, view_schema(schema)}
        else:
            found = system_of(connection, schema)
            ours |= {(str(default), str(t.name)) for t in found.metadata.sorted_tables}
    if not has_schemas(connection.dialect):
        ours = {(str(default), name) for _, name in ours}
        ours |= {
            (str(default), beside(each.declared, each.name, each.options))
            for each in tables
            for beside in (current_name, replaced_name)
        }

    def is_ours(op: ops.MigrateOperation) -> bool:
        schema = getattr(op, "schema", None) or default
        name = getattr(op, "table_name", None)
        return name is not None and (schema in whole or (schema, name) in ours)

    kept: list[ops.MigrateOperation] = []
    for op in upgrade.ops:
        if is_ours(op):
            continue
        if isinstance(op, ops.DropTableOp):
            _leave_out_system_column(op)
        if isinstance(op, ops.ModifyTableOps):
            op.ops = [each for each in op.ops if not _is_system_column(each)]
            if not op.ops:
                continue
        kept.append(op)
    upgrade.ops[:] = kept


def _leave_out_system_column(op: ops.DropTableOp) -> None:
    """The downgrade makes the table as it was declared; enabling adds the column again."""
    reverse = op._reverse
    if reverse is not None:
        reverse.columns = [
            each for each in reverse.columns if getattr(each, "name", None) != TX_COLUMN
        ]


def _is_system_column(op: ops.MigrateOperation) -> bool:
    named = (ops.DropColumnOp, ops.AlterColumnOp)
    return isinstance(op, named) and op.column_name == TX_COLUMN


__all__ = ["protect"]
