"""Running DDL elements in a migration, against a database or into a script of SQL.

One :class:`Runner` belongs to one Alembic implementation object, that is, to one run of
migrations over one database. With ``--sql`` it remembers what the operations so far have made
of each table, since there is no database to ask.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

from alembic.ddl.impl import DefaultImpl
from alembic.operations.batch import BatchOperationsImpl
from sqlalchemy import Connection, Dialect, Table, false, select, text
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.exc import DBAPIError

from alembic_ext.numbers import refuse_unconvertible
from alembic_ext.state import TableState, spec_of, state_of
from sqlalchemy_temporal.ddl import keys
from sqlalchemy_temporal.ddl.elements import CreateSystem, TemporalDDL
from sqlalchemy_temporal.ddl.evolve import BeginCommit, EndCommit, Retype
from sqlalchemy_temporal.ddl.installed import find_installed, system_schemas
from sqlalchemy_temporal.ddl.plans import archive_name, as_recorded, fitted
from sqlalchemy_temporal.ddl.postgresql.quoting import Quoter
from sqlalchemy_temporal.ddl.reflect import reflect_table
from sqlalchemy_temporal.ddl.spec import TableSpec, spec_from_table
from sqlalchemy_temporal.ddl.sqlite.system import SystemSql
from sqlalchemy_temporal.errors import (
    HistoryConversionError,
    LockTimeoutError,
    UnknownTableStateError,
)
from sqlalchemy_temporal.naming import VersioningOptions
from sqlalchemy_temporal.schema import mark_versioned, system_of

_MEMO: Final = "sqlalchemy_temporal.runner"
_Name = tuple[str | None, str]


class Runner:
    """Runs elements, and knows the tables that this run of migrations has met."""

    def __init__(self, impl: DefaultImpl) -> None:
        self.impl = impl
        self.left_alone: set[_Name] = set()
        self._tables: dict[_Name, TableState] = {}
        self._versioned: dict[_Name, bool] = {}
        self._kept: set[_Name] = set()
        self._systems: set[str] = set()
        self._inside = False
        self._schema = ""

    @property
    def offline(self) -> bool:
        """Whether SQL is written instead of run."""
        return self.impl.as_sql

    @property
    def connection(self) -> Connection:
        """The connection of the migration; only where there is one."""
        connection = self.impl.connection
        assert connection is not None, "there is no database to ask with --sql"  # noqa: S101
        return connection

    @property
    def dialect(self) -> Dialect:
        """The dialect to write for; a script of SQL doubles no percent signs for a driver."""
        if self.offline and self.impl.dialect.name == "postgresql":
            return PGDialect(paramstyle="named")  # type: ignore[no-untyped-call]
        return self.impl.dialect

    # Running -----------------------------------------------------------------------

    def run(self, plan: Iterable[TemporalDDL]) -> None:
        """Run the elements of a plan, each before the next is asked for.

        Raises:
            HistoryConversionError: versions in history cannot have a column's new type.
        """
        with self._one_commit():
            for element in plan:
                fitting = element if self.offline else fitted(self.connection, element)
                for statement in fitting.statements(self.dialect):
                    self.statement(statement)

    @contextmanager
    def _one_commit(self) -> Iterator[None]:
        """On SQLite each statement would be a commit, if nobody says where one ends."""
        if self.dialect.name != "sqlite" or self._inside:
            yield
            return
        began = self._begin_commit()
        self._inside = True
        try:
            yield
        finally:
            self._inside = False
        if began:
            for statement in EndCommit(self._schema).statements(self.dialect):
                self.statement(statement)

    def _begin_commit(self) -> bool:
        """Begin a commit where there are the means, and nobody has; say whether."""
        if self.offline:
            return False
        schemas = system_schemas(self.connection)
        if not schemas:
            return False
        self._schema = schemas[0]
        pending = system_of(self.connection, self._schema).pending
        # An engine that sessions use says itself where a commit begins: before the first write.
        self.connection.execute(pending.delete().where(false()))
        if self.connection.scalar(select(pending.c.mode)) == "client":
            return False
        for statement in BeginCommit(self._schema).statements(self.dialect):
            self.statement(statement)
        return True

    def statement(self, sql: str) -> None:
        """Run or write one statement."""
        if self.offline:
            self.impl.static_output(sql.strip() + self.impl.command_terminator)
            return
        try:
            self.connection.exec_driver_sql(sql)
        except DBAPIError as error:
            if keys.sqlstate(error) == keys.STATE_UNCONVERTIBLE:
                raise HistoryConversionError(str(error.orig)) from error
            raise

    def install_system(self, schema: str) -> None:
        """Create the library's own tables and functions, unless they are in place."""
        if schema in self._systems:
            return
        creation = CreateSystem(schema)
        if self.offline or not self._is_current(creation):
            self.run([creation])
        self._systems.add(schema)

    def _is_current(self, creation: CreateSystem) -> bool:
        quote = Quoter(self.dialect)
        if self.dialect.name != "postgresql":
            if creation.schema not in system_schemas(self.connection):
                return False
            pending = system_of(self.connection, creation.schema).pending
            template = self.connection.scalar(select(pending.c.template))
            return bool(template == SystemSql(creation.schema, quote).template())
        comment = self.connection.scalar(
            text("SELECT obj_description(to_regnamespace(:name), 'pg_namespace')"),
            {"name": quote.name(creation.schema)},
        )
        if comment == creation.comment(quote):
            return True
        self.connection.execute(
            text("SELECT pg_advisory_xact_lock(:kind, 0)"), {"kind": keys.LOCK_INSTALLING}
        )
        return False

    @contextmanager
    def patience(self, timeout: str | None, table: str) -> Iterator[None]:
        """Wait for locks at most ``timeout``; None for as long as the session does.

        Raises:
            LockTimeoutError: others held the table for longer.
        """
        if timeout is None or self.dialect.name != "postgresql":
            yield
            return
        quote = Quoter(self.dialect)
        before = None if self.offline else self.connection.scalar(text("SHOW lock_timeout"))
        self.statement(f"SET LOCAL lock_timeout = {quote.literal(timeout)}")
        try:
            yield
        except DBAPIError as error:
            if keys.sqlstate(error) != keys.STATE_LOCK_NOT_AVAILABLE:
                raise
            raise LockTimeoutError(
                f"table {table!r} was in use for longer than lock_timeout={timeout!r}; nothing "
                "was changed, and nobody waits behind this migration any more. Run it again when "
                "no long transaction uses the table (pg_stat_activity, pg_blocking_pids()), or "
                "with a longer lock_timeout"
            ) from error
        value = "DEFAULT" if before is None else quote.literal(before)
        self.statement(f"SET LOCAL lock_timeout = {value}")

    # What is known of tables ---------------------------------------------------------

    def name(self, schema: str | None, table: str) -> _Name:
        """How a table is remembered; the default schema by its name or without it."""
        default = self.impl.dialect.default_schema_name or "public"
        if schema in (None, default) or self.impl.dialect.name == "sqlite":
            return (None, str(table))
        return (str(schema), str(table))

    def recorded(self, schema: str | None, table: str) -> TableSpec | None:
        """A table as it is recorded now; None when its changes are not, or not known."""
        name = self.name(schema, table)
        if name in self.left_alone:
            return None
        if self.offline:
            state = self._tables.get(name) if self._versioned.get(name) else None
            return spec_of(state) if state is not None else None
        known = find_installed(self.connection, schema, table)
        if known is None or not known.enabled:
            return None
        live = reflect_table(
            self.connection, schema, table, known.options, key=known.key, lenient=True
        )
        return as_recorded(live, known)

    def retype(self, before: TableSpec, change: Retype) -> Retype:
        """The change of a type with what SQLite needs to know; refused where it would lose.

        Raises:
            HistoryConversionError: a text in history is no number, which SQLite's CAST makes
                nought without a word.
        """
        if self.dialect.name != "sqlite" or self.offline:
            return change
        known = find_installed(self.connection, None, before.name)
        if known is None or change.same:
            return change
        refuse_unconvertible(self.connection, before, change)
        return replace(change, archive=archive_name(known, change.column))

    def described(self, state: TableState) -> TableSpec:
        """The table of an operation as far as script and run tell; for ``--sql``.

        Raises:
            UnknownTableStateError: they do not tell.
        """
        known = self._tables.get(self.name(state.schema, state.table_name))
        if state.is_described:
            return spec_of(state)
        if known is None:
            raise UnknownTableStateError(
                f"with --sql there is no database to ask what table {state.table_name!r} is "
                "like. Give its operation key=[…] and columns={name: SQL type}, as autogenerate "
                "does, or begin at the revision that creates it"
            )
        return spec_of(replace(known, options=state.options, template=state.template))

    def remember(self, state: TableState, *, versioned: bool, kept: bool = False) -> None:
        """Note what a table is like after an operation; for ``--sql``.

        Parameters:
            state: the table.
            versioned: whether its changes are recorded from here on.
            kept: whether they were before, and its history was kept.
        """
        name = self.name(state.schema, state.table_name)
        self._tables[name] = state
        self._versioned[name] = versioned
        if kept:
            self._kept.add(name)
        else:
            self._kept.discard(name)

    def remembered(self, schema: str | None, table: str) -> TableState | None:
        """What :meth:`remember` was told of a table, whether it is versioned or not."""
        return self._tables.get(self.name(schema, table))

    def is_remembered_disabled(self, schema: str | None, table: str) -> bool:
        """Whether :meth:`remember` was told that its history was kept."""
        return self.name(schema, table) in self._kept

    def rename_remembered(self, schema: str | None, old: str, new: str) -> None:
        """Note that a table goes by another name, versioned or not."""
        state = self.remembered(schema, old)
        if state is not None:
            kept = self.is_remembered_disabled(schema, old)
            self.forget(schema, old)
            self.remember(replace(state, table_name=new), versioned=False, kept=kept)

    def forget(self, schema: str | None, table: str) -> None:
        """The table is gone."""
        name = self.name(schema, table)
        self._tables.pop(name, None)
        self._versioned.pop(name, None)
        self._kept.discard(name)

    def remember_created(self, table: Table) -> None:
        """Note a table that the script creates, so that it can be versioned later."""
        if not table.primary_key.columns:
            return
        copy = table.to_metadata(type(table.metadata)())
        mark_versioned(copy, VersioningOptions())
        self.remember(state_of(spec_from_table(copy, self.dialect)), versioned=False)


def runner_of(impl: DefaultImpl | BatchOperationsImpl) -> Runner:
    """The runner of an implementation object, made when first asked for."""
    real = impl.impl if isinstance(impl, BatchOperationsImpl) else impl
    memo: dict[Any, Any] = real.memo
    if _MEMO not in memo:
        memo[_MEMO] = Runner(real)
    found: Runner = memo[_MEMO]
    return found


__all__ = ["Runner", "runner_of"]
