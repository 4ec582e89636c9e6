"""The operations of versioning as small data objects: what is to be done, and its reverse.

How it is done says :mod:`alembic_ext.toimpl`, how it is written into a script
:mod:`alembic_ext.render`, and when it is needed :mod:`alembic_ext.compare`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alembic.operations import Operations
from alembic.operations.ops import AlterColumnOp, MigrateOperation

from alembic_ext.state import TableState, table_state
from sqlalchemy_temporal.errors import ConfigurationError


class VersioningOp(MigrateOperation):
    """An operation on one versioned table.

    Parameters:
        state: the table, and how it is versioned.
    """

    name: str

    def __init__(self, state: TableState) -> None:
        self.state = state

    @property
    def table_name(self) -> str:
        """The name of the live table."""
        return self.state.table_name

    @property
    def schema(self) -> str | None:
        """The schema of the live table."""
        return self.state.schema

    def to_diff_tuple(self) -> tuple[Any, ...]:
        """What ``alembic check`` says of it."""
        return (self.name, self.schema, self.table_name)


class EnableVersioningOp(VersioningOp):
    """Record every change of a table from now on; what it has now is the baseline.

    Parameters:
        state: the table, and how it is versioned.
        lock_timeout: how long to wait for the table at most, as PostgreSQL writes it.
        drop_history: whether undoing this drops the history, too.
        again: whether its history was kept from before; with ``--sql`` nobody can look.
    """

    name = "enable_versioning"

    def __init__(
        self,
        state: TableState,
        *,
        lock_timeout: str | None = None,
        drop_history: bool = False,
        again: bool = False,
    ) -> None:
        super().__init__(state)
        self.again = again
        self.lock_timeout = lock_timeout
        self.drop_history = drop_history

    @classmethod
    def enable_versioning(
        cls,
        operations: Operations,
        table_name: str,
        *,
        schema: str | None = None,
        lock_timeout: str | None = None,
        again: bool = False,
        **options: Any,
    ) -> None:
        """Record every change of a table from now on.

        Parameters:
            table_name: the table. It must exist.
            schema: its schema.
            lock_timeout: how long to wait for the table at most, e.g. ``"5s"``.
            again: its history was kept from before; needed for ``--sql`` alone.
            options: as in ``__versioned__`` (``exclude``, ``index``, ``history_schema``,
                ``history_table_suffix``, ``capture``), ``versioning_schema`` (the library's
                own schema), ``template``, and what the table is like for ``--sql``:
                ``key``, ``columns``, ``generated``, ``foreign_keys``, ``kind``.
        """
        state = table_state(table_name, schema, options)
        operations.invoke(cls(state, lock_timeout=lock_timeout, again=again))

    def reverse(self) -> DisableVersioningOp:
        """Stop recording it."""
        return DisableVersioningOp(self.state, drop_history=self.drop_history)


class DisableVersioningOp(VersioningOp):
    """Stop recording a table.

    Parameters:
        state: the table, and how it was versioned.
        drop_history: drop its history, too. Otherwise moments up to now can still be read.
    """

    name = "disable_versioning"

    def __init__(self, state: TableState, *, drop_history: bool = False) -> None:
        super().__init__(state)
        self.drop_history = drop_history

    @classmethod
    def disable_versioning(
        cls,
        operations: Operations,
        table_name: str,
        *,
        schema: str | None = None,
        drop_history: bool = False,
        **options: Any,
    ) -> None:
        """Stop recording the changes of a table.

        Parameters:
            table_name: the table.
            schema: its schema.
            drop_history: drop its history, too.
            options: as for ``enable_versioning``.
        """
        operations.invoke(cls(table_state(table_name, schema, options), drop_history=drop_history))

    def reverse(self) -> EnableVersioningOp:
        """Record it again, from a new baseline."""
        kept = not self.drop_history
        return EnableVersioningOp(self.state, drop_history=self.drop_history, again=kept)


class SyncVersioningOp(VersioningOp):
    """Bring history and triggers to what the live table now is.

    Parameters:
        state: the table, and how it is to be versioned.
        before: how it was versioned, for the reverse.
        problems: what is not in step, for people.
    """

    name = "sync_versioning"

    def __init__(
        self, state: TableState, *, before: TableState | None = None, problems: tuple[str, ...] = ()
    ) -> None:
        super().__init__(state)
        self.before = before or state
        self.problems = problems

    @classmethod
    def sync_versioning(
        cls, operations: Operations, table_name: str, *, schema: str | None = None, **options: Any
    ) -> None:
        """Bring history and triggers to what the table now is; repeatable.

        Parameters:
            table_name: the table.
            schema: its schema.
            options: how it is to be versioned, as for ``enable_versioning``.
        """
        operations.invoke(cls(table_state(table_name, schema, options)))

    def reverse(self) -> SyncVersioningOp:
        """Version it as it was before."""
        return SyncVersioningOp(self.before, before=self.state)

    def to_diff_tuple(self) -> tuple[Any, ...]:
        """Also what is wrong."""
        return (*super().to_diff_tuple(), *self.problems)


class RenameVersionedTableOp(VersioningOp):
    """Rename a table, or move it to another schema, and its history with it.

    Parameters:
        state: the table under its old name.
        new_name: the new name.
        new_schema: the new schema.
        home: what the default schema is called, to come back to.
    """

    name = "rename_versioned_table"

    def __init__(
        self, state: TableState, new_name: str, new_schema: str | None, home: str = "public"
    ) -> None:
        super().__init__(state)
        self.new_name = new_name
        self.new_schema = new_schema
        self.home = home

    @classmethod
    def rename_versioned_table(
        cls,
        operations: Operations,
        table_name: str,
        new_name: str,
        *,
        schema: str | None = None,
        new_schema: str | None = None,
        **options: Any,
    ) -> None:
        """Rename a versioned table, or move it, and its history with it.

        Parameters:
            table_name: its name.
            new_name: its new name.
            schema: its schema.
            new_schema: its new schema; None to leave it where it is.
            options: as for ``enable_versioning``.
        """
        state = table_state(table_name, schema, options)
        operations.invoke(cls(state, new_name, new_schema or schema))

    def reverse(self) -> RenameVersionedTableOp:
        """Give it its old name back."""
        moved = TableState(self.new_name, self.new_schema, self.state.options, self.state.template)
        back = self.schema if self.schema == self.new_schema else self.schema or self.home
        return RenameVersionedTableOp(moved, self.table_name, back, self.home)

    def to_diff_tuple(self) -> tuple[Any, ...]:
        """Also the new name."""
        return (*super().to_diff_tuple(), self.new_schema, self.new_name)


class BackfillVersioningOp(VersioningOp):
    """Give a new column a value in the versions from before it existed.

    Parameters:
        state: the table.
        values: column names and what they were; a ``str`` is SQL with the names of columns.
    """

    name = "backfill_versioning"

    def __init__(self, state: TableState, values: Mapping[str, Any]) -> None:
        super().__init__(state)
        if not values:
            raise ConfigurationError(f"backfill of table {state.table_name!r} names no column")
        self.values = dict(values)

    @classmethod
    def backfill_versioning(
        cls,
        operations: Operations,
        table_name: str,
        values: Mapping[str, Any],
        *,
        schema: str | None = None,
        **options: Any,
    ) -> None:
        """Give new columns a value in the versions from before they existed.

        Parameters:
            table_name: the table.
            values: for each column, its value or a SQL expression (``sa.text("…")``) over
                the columns of the same version.
            schema: its schema.
            options: as for ``enable_versioning``.
        """
        operations.invoke(cls(table_state(table_name, schema, options), values))

    def reverse(self) -> BackfillVersioningOp:
        """Make them NULL again."""
        return BackfillVersioningOp(self.state, dict.fromkeys(self.values))


class ExpectVersioningOp(VersioningOp):
    """Say what a table is like before the operations that follow; needed for ``--sql`` alone.

    Parameters:
        state: the table.
        silent: whether this belongs to the reverse, and is not written itself.
    """

    name = "expect_versioning"

    def __init__(self, state: TableState, *, silent: bool = False) -> None:
        super().__init__(state)
        self.silent = silent

    @classmethod
    def expect_versioning(
        cls, operations: Operations, table_name: str, *, schema: str | None = None, **options: Any
    ) -> None:
        """Say what a versioned table is like here, so that ``--sql`` needs no database.

        Parameters:
            table_name: the table.
            schema: its schema.
            options: as for ``enable_versioning``.
        """
        operations.invoke(cls(table_state(table_name, schema, options)))

    def reverse(self) -> ExpectVersioningOp:
        """What is said before is silent in the reverse, and the other way round."""
        return ExpectVersioningOp(self.state, silent=not self.silent)


class RenameColumnOp(AlterColumnOp):
    """Rename a column. Alembic's own operation has no reverse of this, and no rendering."""

    def reverse(self) -> RenameColumnOp:
        """Give it its old name back."""
        return RenameColumnOp(
            self.table_name,
            str(self.modify_name),
            schema=self.schema,
            modify_name=self.column_name,
        )

    def to_diff_tuple(self) -> Any:
        """What ``alembic check`` says of it."""
        return ("rename_column", self.schema, self.table_name, self.column_name, self.modify_name)


OPERATIONS: tuple[type[VersioningOp], ...] = (
    EnableVersioningOp,
    DisableVersioningOp,
    SyncVersioningOp,
    RenameVersionedTableOp,
    BackfillVersioningOp,
    ExpectVersioningOp,
)

__all__ = [
    "OPERATIONS",
    "BackfillVersioningOp",
    "DisableVersioningOp",
    "EnableVersioningOp",
    "ExpectVersioningOp",
    "RenameColumnOp",
    "RenameVersionedTableOp",
    "SyncVersioningOp",
    "VersioningOp",
]
