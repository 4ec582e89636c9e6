"""DDL elements: one per kind of object, rendered by the dialect that executes it.

An element holds what to make (a schema name or a :class:`TableSpec`); how it is made is
the business of ``ddl/postgresql``. :meth:`TemporalDDL.statements` gives the single
statements, for drivers that take one at a time; compiling an element joins them.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import CreateIndex, CreateSequence, CreateTable, ExecutableDDLElement
from sqlalchemy.sql.compiler import DDLCompiler

from sqlalchemy_temporal.ddl.postgresql import system, views
from sqlalchemy_temporal.ddl.postgresql.quoting import Quoter
from sqlalchemy_temporal.ddl.postgresql.table import TEMPLATE, TRUNCATE_TRIGGER, TableSql
from sqlalchemy_temporal.ddl.refs import first_branch
from sqlalchemy_temporal.ddl.spec import TableSpec
from sqlalchemy_temporal.ddl.sqlite import system as sqlite_system
from sqlalchemy_temporal.ddl.sqlite.system import SystemSql
from sqlalchemy_temporal.ddl.sqlite.table import SqliteTableSql
from sqlalchemy_temporal.errors import ConfigurationError, UnsupportedDatabaseError
from sqlalchemy_temporal.naming import view_schema
from sqlalchemy_temporal.schema import system_tables


class TemporalDDL(ExecutableDDLElement):
    """One object of versioning; subclasses say which."""

    inherit_cache = False

    def statements(self, dialect: Dialect) -> tuple[str, ...]:
        """The single statements for ``dialect``.

        Raises:
            UnsupportedDatabaseError: the dialect has no such object.
        """
        match dialect.name:
            case "postgresql":
                return tuple(self.on_postgresql(Quoter(dialect)))
            case "sqlite":
                return tuple(self.on_sqlite(Quoter(dialect)))
            case other:
                raise UnsupportedDatabaseError(
                    f"{type(self).__name__} has no form for the dialect {other!r}; "
                    "trigger capture needs PostgreSQL 13 or later, or SQLite"
                )

    def on_postgresql(self, quote: Quoter) -> tuple[str, ...]:
        """The statements on PostgreSQL."""
        raise NotImplementedError

    def on_sqlite(self, quote: Quoter) -> tuple[str, ...]:
        """The statements on SQLite.

        Raises:
            UnsupportedDatabaseError: SQLite has no such object.
        """
        raise UnsupportedDatabaseError(
            f"{type(self).__name__} has no form on SQLite, which has neither partitions nor "
            "inheritance of tables"
        )


@compiles(TemporalDDL)
def _compile(element: TemporalDDL, compiler: DDLCompiler, **_: Any) -> str:
    return ";\n".join(element.statements(compiler.dialect))


class SchemaElement(TemporalDDL):
    """An element that belongs to the library's schema as a whole."""

    def __init__(self, schema: str) -> None:
        self.schema = schema


class CreateSystem(SchemaElement):
    """Create the library's own tables and functions."""

    def on_postgresql(self, quote: Quoter) -> tuple[str, ...]:
        """Tables by SQLAlchemy's own DDL, functions from :mod:`ddl.postgresql.system`."""
        tables = system_tables(self.schema)
        name = quote.name(self.schema)
        created = [
            f"CREATE SCHEMA IF NOT EXISTS {name}",
            *(
                _text(CreateSequence(sequence, if_not_exists=True), quote.dialect)
                for sequence in tables.sequences
            ),
        ]
        for table in tables.metadata.sorted_tables:
            created.append(_text(CreateTable(table, if_not_exists=True), quote.dialect))
            created.extend(
                _text(CreateIndex(index, if_not_exists=True), quote.dialect)
                for index in table.indexes
            )
        return (
            *created,
            *system.statements(self.schema, quote),
            first_branch(f"{name}.{quote.name(tables.ref.name)}"),
            f"COMMENT ON SCHEMA {name} IS {quote.literal(self.comment(quote))}",
        )

    def on_sqlite(self, quote: Quoter) -> tuple[str, ...]:
        """Tables with a prefix in place of a schema, and the triggers they share."""
        return SystemSql(self.schema, quote).create()

    def comment(self, quote: Quoter) -> str:
        """What the schema's comment says, so that a changed library is noticed."""
        digest = _digest(system.statements(self.schema, quote))
        return f"sqlalchemy-temporal template={TEMPLATE} digest={digest}"


class DropSystem(SchemaElement):
    """Drop the library's own schema and everything it made in it."""

    def on_postgresql(self, quote: Quoter) -> tuple[str, ...]:
        """Refused by the server while a versioned table still calls a function of it."""
        return (
            f"DROP SCHEMA IF EXISTS {quote.name(view_schema(self.schema))} CASCADE",
            f"DROP SCHEMA IF EXISTS {quote.name(self.schema)} CASCADE",
        )

    def on_sqlite(self, quote: Quoter) -> tuple[str, ...]:
        """Every table with the prefix."""
        return SystemSql(self.schema, quote).drop()


class TableElement(TemporalDDL):
    """An element that belongs to one versioned table."""

    def __init__(self, spec: TableSpec) -> None:
        self.spec = spec


class AddSystemColumn(TableElement):
    """Give the live table its system column; existing rows begin now."""

    def on_postgresql(self, quote: Quoter) -> tuple[str, ...]:
        """Takes a brief ACCESS EXCLUSIVE lock; existing rows are not rewritten."""
        sql = TableSql(self.spec, quote)
        table = quote.regclass(self.spec.live_schema, self.spec.name)
        return (f"SELECT {sql.schema}.add_system_column({table})",)

    def on_sqlite(self, quote: Quoter) -> tuple[str, ...]:
        """A table beside the live one, which is not changed; see :mod:`ddl.sqlite.table`."""
        return tuple(SqliteTableSql(self.spec, quote).current_statements())


class DropSystemColumn(TableElement):
    """Take the system column away from the live table."""

    def on_postgresql(self, quote: Quoter) -> tuple[str, ...]:
        """Does not rewrite the table."""
        sql = TableSql(self.spec, quote)
        return (f"ALTER TABLE {sql.live} DROP COLUMN IF EXISTS {quote.tx}",)

    def on_sqlite(self, quote: Quoter) -> tuple[str, ...]:
        """The table beside the live one."""
        return tuple(SqliteTableSql(self.spec, quote).drop_current_statements())


class AdoptRows(TableElement):
    """Let rows begin now that were written while no trigger saw them."""

    def on_postgresql(self, quote: Quoter) -> tuple[str, ...]:
        """Nothing: the system column cannot be without a value."""
        return ()

    def on_sqlite(self, quote: Quoter) -> tuple[str, ...]:
        """Rows that the table beside the live one does not know, and such as are gone."""
        return tuple(SqliteTableSql(self.spec, quote).adopt_statements())


class CreateHistory(TableElement):
    """Create the history table and its indexes."""

    def on_postgresql(self, quote: Quoter) -> tuple[str, ...]:
        """The columns' types are taken from the live table by the server."""
        made = list(TableSql(self.spec, quote).history_statements())
        if self.spec.history_schema != self.spec.options.schema:
            made.insert(0, f"CREATE SCHEMA IF NOT EXISTS {quote.name(self.spec.history_schema)}")
        return tuple(made)

    def on_sqlite(self, quote: Quoter) -> tuple[str, ...]:
        """Beside the live table, in the same file."""
        return tuple(SqliteTableSql(self.spec, quote).history_statements())


class PartitionHistory(TableElement):
    """Partition the history table by month."""

    def on_postgresql(self, quote: Quoter) -> tuple[str, ...]:
        """Moves the rows it has; nobody can write the table meanwhile."""
        if self.spec.kind == "inherited":
            raise ConfigurationError(
                f"table {self.spec.qualified!r} belongs to an inheritance tree, whose histories "
                "inherit from each other: they cannot be partitioned"
            )
        history = quote.regclass(self.spec.history_schema, self.spec.history_table)
        schema = quote.name(self.spec.options.schema)
        return (f"SELECT {schema}.partition_history({history})",)


class InheritHistory(TableElement):
    """Make a child's history part of its parent's, as its rows are."""

    def __init__(self, spec: TableSpec, parent: TableSpec) -> None:
        super().__init__(spec)
        self.parent = parent

    def on_postgresql(self, quote: Quoter) -> tuple[str, ...]:
        """A question to the parent's history then sees the child's."""
        child, parent = TableSql(self.spec, quote), TableSql(self.parent, quote)
        return (f"ALTER TABLE {child.history} INHERIT {parent.history}",)


class PartitionElement(TableElement):
    """An element on one partition of a versioned table."""

    def __init__(self, spec: TableSpec, schema: str, partition: str) -> None:
        super().__init__(spec)
        self.schema = schema
        self.partition = partition


class CatchTruncate(PartitionElement):
    """Record the truncation of one partition, which does not fire the parent's trigger."""

    def on_postgresql(self, quote: Quoter) -> tuple[str, ...]:
        """The only trigger that PostgreSQL does not clone to partitions by itself."""
        sql = TableSql(self.spec, quote)
        return tuple(sql.truncate_statements(quote.qualified(self.schema, self.partition)))


class DropCatchTruncate(PartitionElement):
    """Undo :class:`CatchTruncate`."""

    def on_postgresql(self, quote: Quoter) -> tuple[str, ...]:
        """Safe to run when it is missing."""
        partition = quote.qualified(self.schema, self.partition)
        return (f"DROP TRIGGER IF EXISTS {quote.name(TRUNCATE_TRIGGER)} ON {partition}",)


class DropHistory(TableElement):
    """Drop the history table: the past of the table is gone."""

    def on_postgresql(self, quote: Quoter) -> tuple[str, ...]:
        """Only the history table itself."""
        return (f"DROP TABLE IF EXISTS {TableSql(self.spec, quote).history}",)

    def on_sqlite(self, quote: Quoter) -> tuple[str, ...]:
        """Only the history table itself."""
        return (f"DROP TABLE IF EXISTS {SqliteTableSql(self.spec, quote).history}",)


class CreateCapture(TableElement):
    """Create the functions and triggers that record changes."""

    def on_postgresql(self, quote: Quoter) -> tuple[str, ...]:
        """Functions, triggers, and a comment that carries the fingerprint."""
        if self.spec.options.capture == "orm":
            return ()
        sql = TableSql(self.spec, quote)
        return (
            *sql.function_statements(),
            *sql.trigger_statements(),
            (
                f"COMMENT ON TRIGGER {quote.name('~temporal_stamp')} ON {sql.live} "
                f"IS {quote.literal(trigger_comment(self.spec, quote.dialect))}"
            ),
        )

    def on_sqlite(self, quote: Quoter) -> tuple[str, ...]:
        """Row triggers; their text is kept by SQLite, so it can be compared."""
        if self.spec.options.capture == "orm":
            return ()
        return tuple(SqliteTableSql(self.spec, quote).triggers().values())


class DropCapture(TableElement):
    """Drop the functions and triggers that record changes."""

    def on_postgresql(self, quote: Quoter) -> tuple[str, ...]:
        """Safe to run when some of them are missing."""
        return tuple(TableSql(self.spec, quote).drop_trigger_statements())

    def on_sqlite(self, quote: Quoter) -> tuple[str, ...]:
        """Safe to run when some of them are missing."""
        return tuple(SqliteTableSql(self.spec, quote).drop_trigger_statements())


class CreateView(TableElement):
    """Create the view that shows the table as of the moment travelled to."""

    def on_postgresql(self, quote: Quoter) -> tuple[str, ...]:
        """It depends on no column of the table, so that migrations stay free."""
        return views.view_statements(TableSql(self.spec, quote))

    def on_sqlite(self, quote: Quoter) -> tuple[str, ...]:
        """None: SQLite has no settings that a view could read the moment from."""
        return ()


class CreateClosedView(TableElement):
    """Create that view for a table whose versioning is disabled."""

    def on_postgresql(self, quote: Quoter) -> tuple[str, ...]:
        """The past from history alone; the present from the live table."""
        return views.view_statements(TableSql(self.spec, quote), closed=True)

    def on_sqlite(self, quote: Quoter) -> tuple[str, ...]:
        """None, as for :class:`CreateView`."""
        return ()


class DropView(TableElement):
    """Drop that view."""

    def on_postgresql(self, quote: Quoter) -> tuple[str, ...]:
        """Safe to run when it is missing."""
        return views.drop_view_statements(TableSql(self.spec, quote))

    def on_sqlite(self, quote: Quoter) -> tuple[str, ...]:
        """None, as for :class:`CreateView`."""
        return ()


class CloseHistory(TableElement):
    """Copy what the table has now into history, as ended by this transaction."""

    def on_postgresql(self, quote: Quoter) -> tuple[str, ...]:
        """One set-based INSERT, during which others may read the table and not write it."""
        return tuple(TableSql(self.spec, quote).close_statements())

    def on_sqlite(self, quote: Quoter) -> tuple[str, ...]:
        """One set-based INSERT; SQLite has one writer at a time."""
        return tuple(SqliteTableSql(self.spec, quote).close_statements())


class MarkDisabled(TableElement):
    """Note that the table is not recorded from this transaction on."""

    def on_postgresql(self, quote: Quoter) -> tuple[str, ...]:
        """A commit of its own kind, so that there is a moment to end with."""
        sql = TableSql(self.spec, quote)
        return (
            (
                f"UPDATE {sql.schema}.versioned_tables "
                f"SET disabled_tx_id = {sql.schema}.start_transaction(), "
                f"disabled_at = transaction_timestamp() WHERE {_registered(self.spec, quote)}"
            ),
            *_noted(sql, "DISABLE"),
        )

    def on_sqlite(self, quote: Quoter) -> tuple[str, ...]:
        """A commit of its own kind, so that there is a moment to end with."""
        return tuple(SqliteTableSql(self.spec, quote).disabled_statements())


class Register(TableElement):
    """Write the table into the list of versioned tables.

    ``operation`` is what the commit that this makes is called.
    """

    def __init__(self, spec: TableSpec, *, operation: str = "BASELINE") -> None:
        super().__init__(spec)
        self.operation = operation

    def on_postgresql(self, quote: Quoter) -> tuple[str, ...]:
        """Registered again, a table keeps the transaction it was first enabled in."""
        spec, sql = self.spec, TableSql(self.spec, quote)
        begin = f"{sql.schema}.start_transaction()"
        values = ", ".join(
            (
                quote.literal(spec.live_schema),
                quote.literal(spec.name),
                quote.literal(spec.history_schema),
                quote.literal(spec.history_table),
                _array(spec.key, quote),
                _array(spec.options.exclude, quote),
                quote.literal(spec.options.capture),
                self._identities(quote, "NULL"),
                quote.literal(fingerprint(spec, quote.dialect)),
                f"{quote.literal(_options(spec))}::jsonb",
                begin,
            )
        )
        return (
            (
                f"INSERT INTO {sql.schema}.versioned_tables AS v (table_schema, table_name, "
                "history_schema, history_table, key_columns, excluded_columns, capture, columns, "
                f"fingerprint, options, enabled_tx_id) VALUES ({values}) "
                "ON CONFLICT (table_schema, table_name) DO UPDATE SET "
                "key_columns = excluded.key_columns, excluded_columns = excluded.excluded_columns, "
                f"capture = excluded.capture, columns = {self._identities(quote, 'v.columns')}, "
                "fingerprint = excluded.fingerprint, options = excluded.options, "
                # What happened since it was disabled is not known.
                "gaps = CASE WHEN v.disabled_tx_id IS NULL THEN v.gaps "
                "ELSE v.gaps || jsonb_build_array(jsonb_build_object("
                "'since', v.disabled_tx_id, 'since_at', v.disabled_at, "
                "'until', excluded.enabled_tx_id, 'until_at', transaction_timestamp())) END, "
                "disabled_tx_id = NULL, disabled_at = NULL"
            ),
            # Setting up is itself a commit, so that there is a moment to begin with.
            *_noted(sql, self.operation),
        )

    def on_sqlite(self, quote: Quoter) -> tuple[str, ...]:
        """Registered again, a table keeps the transaction it was first enabled in."""
        return tuple(
            SqliteTableSql(self.spec, quote).register_statements(
                fingerprint(self.spec, quote.dialect), _options(self.spec)
            )
        )

    def _identities(self, quote: Quoter, known: str) -> str:
        """The identities of the columns, given those that are ``known``."""
        spec, schema = self.spec, quote.name(self.spec.options.schema)
        return (
            f"{schema}.column_identities({known}, {quote.regclass(spec.live_schema, spec.name)}, "
            f"{_array(spec.column_names, quote)}, {schema}.start_transaction())"
        )


class Unregister(TableElement):
    """Strike the table from the list of versioned tables."""

    def on_postgresql(self, quote: Quoter) -> tuple[str, ...]:
        """Leaves transactions and commits as they are."""
        sql, which = TableSql(self.spec, quote), _registered(self.spec, quote)
        return (
            f"DELETE FROM {sql.schema}.versioned_tables WHERE {which}",
            f"DELETE FROM {sql.schema}.pk_change WHERE {which}",
        )

    def on_sqlite(self, quote: Quoter) -> tuple[str, ...]:
        """Leaves transactions and commits as they are."""
        return tuple(SqliteTableSql(self.spec, quote).unregister_statements())


class CreateHistoryIndexes(TableElement):
    """Create the indexes of history that are not there yet."""

    def on_postgresql(self, quote: Quoter) -> tuple[str, ...]:
        """Those of this version of the library."""
        return tuple(TableSql(self.spec, quote).index_statements())

    def on_sqlite(self, quote: Quoter) -> tuple[str, ...]:
        """The same."""
        return tuple(SqliteTableSql(self.spec, quote).index_statements())


def fingerprint(spec: TableSpec, dialect: Dialect) -> str:
    """A digest of everything that is generated for ``spec``."""
    if spec.options.capture == "orm":
        return f"template={TEMPLATE} capture=orm digest={_digest(spec.column_names)}"
    if dialect.name == "sqlite":
        triggers = SqliteTableSql(spec, Quoter(dialect)).triggers()
        return f"template={sqlite_system.TEMPLATE} digest={_digest(tuple(triggers.values()))}"
    sql = TableSql(spec, Quoter(dialect))
    made = (*sql.function_statements(), *sql.trigger_statements())
    return f"template={TEMPLATE} digest={_digest(made)}"


def trigger_comment(spec: TableSpec, dialect: Dialect) -> str:
    """What the comment of the stamp trigger says: the fingerprint and what is recorded.

    Comments can be read by every role, so each can check that its writes are recorded
    without a right on the library's own tables.
    """
    return f"{fingerprint(spec, dialect)} columns={json.dumps(spec.column_names)}"


def enable(spec: TableSpec) -> tuple[TemporalDDL, ...]:
    """Everything that makes a table versioned, in order."""
    return (
        AddSystemColumn(spec),
        CreateHistory(spec),
        CreateCapture(spec),
        CreateView(spec),
        Register(spec),
        *([PartitionHistory(spec)] if spec.options.history_partition_by else []),
    )


def disable(spec: TableSpec, *, keep_history: bool = False) -> tuple[TemporalDDL, ...]:
    """Everything that unmakes it, in order.

    Parameters:
        spec: the table.
        keep_history: keep the history table and the registration. What the table has now
            is copied into history; moments up to then can still be read.
    """
    if keep_history:
        return (
            CloseHistory(spec),
            MarkDisabled(spec),
            DropView(spec),
            DropCapture(spec),
            DropSystemColumn(spec),
            CreateClosedView(spec),
        )
    return (
        DropView(spec),
        DropCapture(spec),
        DropHistory(spec),
        Unregister(spec),
        DropSystemColumn(spec),
    )


def enable_again(spec: TableSpec) -> tuple[TemporalDDL, ...]:
    """Everything that makes a table versioned whose history was kept, in order."""
    return (
        AddSystemColumn(spec),
        CreateCapture(spec),
        DropView(spec),
        CreateView(spec),
        Register(spec),
    )


def _options(spec: TableSpec) -> str:
    """What names were made from, so that they can be found again without a declaration."""
    options = spec.options
    return json.dumps(
        {
            "schema": spec.schema,
            "history_table_suffix": options.history_table_suffix,
            "index": options.index,
            "uniques": spec.uniques,
        }
    )


def _registered(spec: TableSpec, quote: Quoter) -> str:
    return (
        f"table_schema = {quote.literal(spec.live_schema)} "
        f"AND table_name = {quote.literal(spec.name)}"
    )


def _noted(sql: TableSql, operation: str) -> tuple[str, ...]:
    """Make this transaction a commit of the kind ``operation``, though no row changes."""
    changed = sql.quote.literal(sql.spec.qualified)
    return (
        f"SELECT set_config('temporal.operation', '{operation}', true)",
        f"SELECT {sql.schema}.note_change({changed}, 'insert', 0)",
    )


def _array(names: tuple[str, ...], quote: Quoter) -> str:
    return f"ARRAY[{', '.join(quote.literal(name) for name in names)}]::text[]"


def _digest(statements: tuple[str, ...]) -> str:
    return hashlib.sha256("\n".join(statements).encode()).hexdigest()[:16]


def _text(element: ExecutableDDLElement, dialect: Dialect) -> str:
    return str(element.compile(dialect=dialect)).strip()


__all__ = [
    "AddSystemColumn",
    "AdoptRows",
    "CloseHistory",
    "CreateCapture",
    "CreateClosedView",
    "CreateHistory",
    "CreateHistoryIndexes",
    "CreateSystem",
    "CreateView",
    "DropCapture",
    "DropHistory",
    "DropSystem",
    "DropSystemColumn",
    "DropView",
    "MarkDisabled",
    "PartitionHistory",
    "Register",
    "TemporalDDL",
    "Unregister",
    "disable",
    "enable",
    "enable_again",
    "fingerprint",
]
