"""Batch mode that copies a table into a new one, as SQLite needs it for most changes.

Alembic makes ``_alembic_tmp_name``, copies the rows, drops the table and renames the new one.
History is carried through as through the changes one by one: what rows lose is closed before,
columns are renamed and converted in history, and the new table gets its triggers.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Cast

from alembic_ext.runner import Runner, runner_of
from sqlalchemy_temporal.ddl import evolve
from sqlalchemy_temporal.ddl.evolve import Retype
from sqlalchemy_temporal.ddl.spec import TableSpec

if TYPE_CHECKING:
    from alembic.ddl.impl import DefaultImpl

_MEMO: Final = "sqlalchemy_temporal.batch"


def begin(runner: Runner, batch_impl: Any, before: TableSpec) -> None:
    """Before the copy: close what it loses, and convert and rename in history.

    Parameters:
        runner: of this run of migrations.
        batch_impl: Alembic's description of the new table.
        before: the table as it is recorded.
    """
    transfers: dict[str, dict[str, Any]] = batch_impl.column_transfers
    had = {column.name for column in before.columns}
    lost = [name for name in had if name not in transfers]
    retyped = [_retype(runner, before, name, transfers) for name in had if name in transfers]
    changes = [change for change in retyped if change is not None]
    added = [
        column
        for name, column in batch_impl.columns.items()
        if "expr" not in transfers.get(name, {"expr": None})
    ]
    valued = any(c.server_default is not None or c.computed is not None for c in added)
    values = bool(lost or valued) or any(not change.same for change in changes)
    runner.run(evolve.before_change(before, values=values, begin=not valued))
    runner.run(evolve.ConvertHistory(before, change) for change in changes)
    renamed = {
        name: str(transfers[name]["name"])
        for name in had
        if name in transfers and transfers[name].get("name", name) != name
    }
    memo: dict[Any, Any] = runner.impl.memo.setdefault(_MEMO, {})
    memo[batch_impl.temp_table_name] = (before, renamed)


def _retype(
    runner: Runner, before: TableSpec, name: str, transfers: dict[str, dict[str, Any]]
) -> Retype | None:
    expression = transfers[name].get("expr")
    if not isinstance(expression, Cast):
        return None
    old = next(column.type for column in before.columns if column.name == name)
    new = expression.type.compile(dialect=runner.dialect)
    return runner.retype(before, Retype(name, new, None, evolve.stored_alike(old, new)))


def is_temporary(impl: DefaultImpl, table: str) -> bool:
    """Whether a table is the copy that is to replace a versioned one."""
    return str(table) in impl.memo.get(_MEMO, {})


def is_replaced(impl: DefaultImpl, table: str) -> bool:
    """Whether a table is the one that a copy is about to replace."""
    return any(before.name == table for before, _ in impl.memo.get(_MEMO, {}).values())


def finish(impl: DefaultImpl, temporary: str) -> TableSpec | None:
    """After the new table has its name: rename in history; return what it was."""
    before, renamed = impl.memo[_MEMO].pop(str(temporary))
    if not isinstance(before, TableSpec):
        return None
    runner = runner_of(impl)
    options, spec = before.options, before
    for old, new in renamed.items():
        runner.run([evolve.RenameHistoryColumn(spec, old, new)])
        options = options.renamed(old, new)
        spec = replace(
            spec,
            options=options,
            key=tuple(new if name == old else name for name in spec.key),
            columns=tuple(
                replace(column, name=new) if column.name == old else column
                for column in spec.columns
            ),
        )
    return spec


__all__ = ["begin", "finish", "is_replaced", "is_temporary"]
