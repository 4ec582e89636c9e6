"""When the operations are needed: models compared with what a database has.

Runs after Alembic has compared the tables themselves, and completes what it found: a versioned
table that is created is enabled after it, one that is dropped is disabled before, and what
belongs to versioning itself is never proposed for dropping.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from sqlalchemy import Connection, Table

from alembic_ext.hints import HINT, apply_hints
from alembic_ext.ops import (
    DisableVersioningOp,
    EnableVersioningOp,
    ExpectVersioningOp,
    RenameColumnOp,
    RenameVersionedTableOp,
    SyncVersioningOp,
)
from alembic_ext.protect import protect
from alembic_ext.state import TableState, state_of
from sqlalchemy_temporal.ddl.drifts import drifts_of, option_drifts
from sqlalchemy_temporal.ddl.installed import Installed, installed_tables
from sqlalchemy_temporal.ddl.plans import as_recorded
from sqlalchemy_temporal.ddl.reflect import reflect_table
from sqlalchemy_temporal.ddl.spec import LiveTable, spec_from_table
from sqlalchemy_temporal.naming import INFO_KEY, VersioningOptions
from sqlalchemy_temporal.schema import is_versioned, options_of

_Key = tuple[str | None, str]


def compare_versioning(
    context: AutogenContext, upgrade_ops: ops.UpgradeOps, schemas: set[str | None]
) -> None:
    """Add the operations of versioning to those that Alembic found.

    Parameters:
        context: of this run of autogenerate.
        upgrade_ops: what was found so far; changed in place.
        schemas: the schemas that are compared.
    """
    connection = context.connection
    if connection is None or connection.dialect.name not in ("postgresql", "sqlite"):
        return
    Comparison(context, connection, upgrade_ops).run(schemas)


@dataclass(frozen=True, slots=True)
class Comparison:
    """One comparison of models with one database."""

    context: AutogenContext
    connection: Connection
    upgrade: ops.UpgradeOps

    def run(self, schemas: set[str | None]) -> None:
        """Complete the operations found so far."""
        installed = {self.key(each.schema, each.name): each for each in self.installed()}
        protect(self.upgrade, self.connection, list(installed.values()))
        apply_hints(self.upgrade, self.context, set(installed))
        models = {self.key(t.schema, t.name): t for t in self.context.sorted_tables}
        for key, table in models.items():
            if is_versioned(table) and self.is_meant(table, key, schemas):
                self.compare(table, key, installed.get(key))
        for key, known in installed.items():
            versioned = key in models and is_versioned(models[key])
            if known.enabled and not versioned and not self.is_renamed(key):
                self.disable(known, key, models.get(key), schemas)

    def installed(self) -> Iterator[Installed]:
        """Every table that is or was versioned in this database."""
        return installed_tables(self.connection)

    def key(self, schema: str | None, name: str) -> _Key:
        """A table as Alembic calls it: without the name of the default schema."""
        default = self.connection.dialect.default_schema_name
        if schema in (None, default) or self.connection.dialect.name == "sqlite":
            return (None, str(name))
        return (str(schema), str(name))

    def is_meant(self, table: Table, key: _Key, schemas: set[str | None]) -> bool:
        """Whether the filters of ``env.py`` let the table through."""
        schema, name = key
        return (
            (schema in schemas or self.created(key) is not None)
            and self.context.run_name_filters(name, "table", {"schema_name": schema})
            and self.context.run_object_filters(table, name, "table", False, None)
        )

    # What Alembic found -------------------------------------------------------------

    def created(self, key: _Key) -> int | None:
        """Where in the operations the table is created."""
        return self._position(ops.CreateTableOp, key)

    def _position(self, kind: type[ops.MigrateOperation], key: _Key) -> int | None:
        for index, each in enumerate(self.upgrade.ops):
            if isinstance(each, kind):
                named = self.key(getattr(each, "schema", None), getattr(each, "table_name", ""))
                if named == key:
                    return index
        return None

    def modified(self, key: _Key) -> int | None:
        """Where its columns are changed."""
        position = self._position(ops.ModifyTableOps, key)
        if position is None:
            return None
        change = self.upgrade.ops[position]
        columns = (ops.AddColumnOp, ops.DropColumnOp, ops.AlterColumnOp)
        assert isinstance(change, ops.ModifyTableOps)  # noqa: S101 - asked for
        return position if any(isinstance(each, columns) for each in change.ops) else None

    def is_renamed(self, key: _Key) -> bool:
        """Whether the table is about to get another name."""
        return self._position(RenameVersionedTableOp, key) is not None

    # What is to be done ---------------------------------------------------------------

    def compare(self, table: Table, key: _Key, known: Installed | None) -> None:
        """Enable the table or bring it into step, where that is needed."""
        created = self.created(key)
        if created is not None:
            unmark(self.upgrade.ops[created])
            plain = TableState(str(table.name), table.schema, self.options(table))
            self.upgrade.ops.insert(created + 1, EnableVersioningOp(plain, drop_history=True))
            return
        if any(
            isinstance(each, RenameVersionedTableOp)
            and self.key(each.new_schema, each.new_name) == key
            for each in self.upgrade.ops
        ):
            return
        wanted = state_of(spec_from_table(table, self.connection.dialect))
        if known is None or not known.enabled:
            self.upgrade.ops.append(EnableVersioningOp(wanted))
            return
        before = self.recorded(known)
        position = self.modified(key)
        wanted = self.in_order(wanted, before, position)
        said, after = ExpectVersioningOp(before), before
        if position is None:
            options: VersioningOptions | None = self.options(table).fitting(self.live(known))
        else:
            options, after = None, self.carried(before, wanted, position)
        problems = [drift.what for drift in drifts_of(self.connection, known, options)]
        if position is not None:
            problems += option_drifts(after.options, wanted.options)
        if position is None and not problems:
            return
        follows: list[ops.MigrateOperation] = [ExpectVersioningOp(wanted, silent=True)]
        if problems:
            sync = SyncVersioningOp(wanted, before=after, problems=tuple(problems))
            follows = [sync, *follows]
        if position is not None:
            self.upgrade.ops[position + 1 : position + 1] = follows
            self.upgrade.ops.insert(position, said)
        else:
            self.upgrade.ops += [said, *follows]

    def carried(self, before: TableState, wanted: TableState, position: int) -> TableState:
        """The table after the changes of its columns, versioned as it was before them."""
        options, change = before.options, self.upgrade.ops[position]
        assert isinstance(change, ops.ModifyTableOps)  # noqa: S101 - asked for
        for each in change.ops:
            if isinstance(each, RenameColumnOp):
                options = options.renamed(each.column_name, str(each.modify_name))
        return replace(wanted, options=options.fitting(dict(wanted.columns)))

    def in_order(self, wanted: TableState, before: TableState, position: int | None) -> TableState:
        """The table with its columns in the order of the database, new ones at the end."""
        names = [name for name, _ in before.columns]
        change = self.upgrade.ops[position] if position is not None else None
        for each in change.ops if isinstance(change, ops.ModifyTableOps) else ():
            if isinstance(each, RenameColumnOp):
                new = str(each.modify_name)
                names = [new if name == each.column_name else name for name in names]
        types = dict(wanted.columns)
        first = [(name, types[name]) for name in names if name in types]
        added = [entry for entry in wanted.columns if entry[0] not in names]
        return replace(wanted, columns=(*first, *added))

    def options(self, table: Table) -> VersioningOptions:
        """How a versioned table is declared."""
        options = options_of(table)
        assert options is not None  # noqa: S101 - it is versioned
        return options

    def live(self, known: Installed) -> set[str]:
        """The columns the table has now."""
        spec = self._reflected(known).spec
        return {column.name for column in (*spec.columns, *spec.unrecorded)}

    def _reflected(self, known: Installed) -> LiveTable:
        return reflect_table(
            self.connection, known.schema, known.name, known.options, key=known.key, lenient=True
        )

    def recorded(self, known: Installed) -> TableState:
        """The table as it is recorded now."""
        return state_of(as_recorded(self._reflected(known), known))

    def disable(
        self, known: Installed, key: _Key, table: Table | None, schemas: set[str | None]
    ) -> None:
        """Stop recording a table that the models no longer have, or no longer version."""
        dropped = self._position(ops.DropTableOp, key)
        if dropped is None and (table is None or not self.is_meant(table, key, schemas)):
            return
        op = DisableVersioningOp(self.recorded(known))
        if dropped is not None:
            self.upgrade.ops.insert(dropped, op)
        else:
            self.upgrade.ops.append(op)


def unmark(op: ops.MigrateOperation) -> None:
    """Take out of a creation what declarations note on a table; scripts do not depend on them."""
    assert isinstance(op, ops.CreateTableOp)  # noqa: S101 - asked for
    op.info = {name: value for name, value in op.info.items() if name not in (INFO_KEY, HINT)}


__all__ = ["compare_versioning"]
