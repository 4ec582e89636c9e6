"""Set up and take down versioning in a database, in one transaction each.

``metadata.create_all()`` and ``drop_all()`` come here through DDL events that
:func:`attach_ddl` puts on each versioned table, so that no other step is needed. Every
step is repeatable: what exists already is left alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, MetaData, Table, event, inspect, select, text

from sqlalchemy_temporal.capture import sqlite
from sqlalchemy_temporal.capture.check import Registration, registration_of
from sqlalchemy_temporal.capture.columns import prepare_again
from sqlalchemy_temporal.capture.kind import kind_mismatch
from sqlalchemy_temporal.capture.orm.listen import listen
from sqlalchemy_temporal.capture.orm.recorder import OURS
from sqlalchemy_temporal.capture.orm.state import EXPLICIT, forget_transaction
from sqlalchemy_temporal.clock.hooks import attach, begin_really, setting_up, torn_down
from sqlalchemy_temporal.ddl import elements, keys
from sqlalchemy_temporal.ddl.hashable import refuse_unhashable
from sqlalchemy_temporal.ddl.postgresql.quoting import Quoter
from sqlalchemy_temporal.ddl.privileges import explaining_refusal
from sqlalchemy_temporal.ddl.reflect import reflect_table
from sqlalchemy_temporal.ddl.spec import TableSpec, refuse_without_triggers
from sqlalchemy_temporal.errors import (
    ConfigurationError,
    SchemaDriftError,
    UnsupportedDatabaseError,
)
from sqlalchemy_temporal.naming import (
    INFO_KEY,
    VersioningOptions,
    qualified_name,
)
from sqlalchemy_temporal.schema import (
    history_table,
    is_versioned,
    options_of,
    recorded_columns,
    system_of,
)

_MINIMUM = {"postgresql": (13,), "sqlite": sqlite.MINIMUM_VERSION}


def attach_ddl(table: Table) -> None:
    """Make ``create_all()``/``drop_all()`` handle the versioning of ``table``, once.

    Copies of the table made by ``to_metadata()`` are handled, too.
    """
    state = table.info[INFO_KEY]
    if state.get("listening"):
        return
    state["listening"] = True
    if state["options"].capture == "orm":
        listen()
    event.listen(table, "after_create", _after_create_table, propagate=True)
    event.listen(table, "before_drop", _before_drop_table, propagate=True)
    metadata = table.metadata
    if not metadata.info.get(f"{INFO_KEY}.listening"):
        metadata.info[f"{INFO_KEY}.listening"] = True
        event.listen(metadata, "after_create", _after_create_all)
        event.listen(metadata, "after_drop", _after_drop_all)


def _after_create_table(target: Table, connection: Connection, **_: Any) -> None:
    install(connection, target)


def _before_drop_table(target: Table, connection: Connection, **_: Any) -> None:
    options = options_of(target)
    if options is not None and _supported(connection):
        uninstall(connection, target.schema, target.name, options)


def _after_create_all(target: MetaData, connection: Connection, **_: Any) -> None:
    """Version tables that were there before; ``create_all`` passes them over."""
    tables = [table for table in versioned_tables_of(target) if _exists(connection, table)]
    for table in tables:
        install(connection, table)


def _after_drop_all(target: MetaData, connection: Connection, **_: Any) -> None:
    """Drop the library's own schema with the last versioned table."""
    if not _supported(connection):
        return
    schemas = {o.schema for t in versioned_tables_of(target) if (o := options_of(t))}
    for schema in sorted(schemas):
        if not system_exists(connection, schema):
            continue
        registered = system_of(connection, schema).versioned_tables
        if connection.execute(select(registered.c.id).limit(1)).first() is None:
            execute(connection, [elements.DropSystem(schema)])
            torn_down(connection, schema)


def versioned_tables_of(metadata: MetaData) -> list[Table]:
    """The versioned tables of ``metadata``, parents before children."""
    return [table for table in metadata.sorted_tables if is_versioned(table)]


def install(connection: Connection, table: Table) -> None:
    """Make an existing live table versioned as its declaration says; repeatable.

    Parameters:
        connection: a connection of a role that owns the table. Everything happens in one
            transaction, or not at all.
        table: a table declared versioned.

    Raises:
        SchemaDriftError: it is versioned already and no longer matches.
        UnhashableTypeError: a column has a type whose values cannot be hashed.
        PrivilegeError: the role may not create what is needed.
        UnsupportedDatabaseError: the server cannot be used.
    """
    options = options_of(table)
    if options is None:
        raise ConfigurationError(f"table {table.fullname!r} is not declared versioned")
    check_server(connection)
    history_table(table)  # refuses a declaration that cannot be versioned
    key = tuple(str(column.name) for column in table.primary_key.columns)
    attach(connection, options.schema)
    with in_one_transaction(connection), privileges_explained(table.fullname):
        install_system(connection, options.schema)
        spec = install_table(connection, table.schema, table.name, options, key)
    _compare_model(table, spec)


def install_table(
    connection: Connection,
    schema: str | None,
    name: str,
    options: VersioningOptions,
    key: tuple[str, ...],
) -> TableSpec:
    """Make one table versioned, its partitions and the tables that inherit from it, too.

    Parameters are those of :func:`reflect_table`; the library's own tables are in place.
    """
    live = reflect_table(connection, schema, name, options, key=key)
    spec = live.spec
    known = registration_of(connection, spec)
    if options.capture == "orm":
        listen()
    refuse_without_triggers(spec)
    if known is not None and known.disabled_tx_id is None and live.has_system_column:
        if known.capture != options.capture:
            raise kind_mismatch(spec.qualified, known.capture, options.capture)
        refuse_drift(connection, spec, known)
        return spec
    if known is not None:
        prepare_again(connection, spec, known)
    refuse_unhashable(connection, spec)
    plan = list(elements.enable(spec) if known is None else elements.enable_again(spec))
    if live.has_system_column:
        plan = [e for e in plan if not isinstance(e, elements.AddSystemColumn)]
    execute(connection, plan)
    for partition_schema, partition in live.partitions:
        execute(connection, [elements.CatchTruncate(spec, partition_schema, partition)])
    for child_schema, child in live.children:
        # Rows of a child are rows of its parent: their history must be, too.
        member = install_table(connection, child_schema, child, options, spec.key)
        if known is None:
            execute(connection, [elements.InheritHistory(member, spec)])
    return spec


def uninstall(
    connection: Connection, schema: str | None, name: str, options: VersioningOptions
) -> None:
    """Remove everything versioning made for one table, its history included.

    Raises:
        PrivilegeError: the role may not drop it.
    """
    if not system_exists(connection, options.schema):
        return
    with in_one_transaction(connection), privileges_explained(qualified_name(schema, name)):
        _uninstall_table(connection, schema, name, options, ())


def _uninstall_table(
    connection: Connection,
    schema: str | None,
    name: str,
    options: VersioningOptions,
    key: tuple[str, ...],
) -> None:
    live = reflect_table(connection, schema, name, options, key=key)
    for child_schema, child in live.children:
        _uninstall_table(connection, child_schema, child, options, live.spec.key)
    for partition_schema, partition in live.partitions:
        execute(connection, [elements.DropCatchTruncate(live.spec, partition_schema, partition)])
    plan = list(elements.disable(live.spec))
    if live.inherits_system_column:
        plan = [e for e in plan if not isinstance(e, elements.DropSystemColumn)]
    execute(connection, plan)


def install_system(connection: Connection, schema: str) -> None:
    """Create the library's own schema, tables and functions, unless they are in place."""
    creation = elements.CreateSystem(schema)
    if connection.dialect.name == "sqlite":
        if not sqlite.system_is_current(connection, schema):
            with setting_up(connection, schema):
                execute(connection, [creation])
        return
    quote = Quoter(connection.dialect)
    comment = connection.scalar(
        text("SELECT obj_description(to_regnamespace(:name), 'pg_namespace')"),
        {"name": quote.name(schema)},
    )
    if comment == creation.comment(quote):
        return
    _refuse_second(connection, schema)
    connection.execute(
        text("SELECT pg_advisory_xact_lock(:kind, 0)"), {"kind": keys.LOCK_INSTALLING}
    )
    execute(connection, [creation])


def _refuse_second(connection: Connection, schema: str) -> None:
    """One schema of ours in a database: transactions carry one id, taken from its sequence."""
    other = connection.scalar(
        text(
            "SELECT n.nspname FROM pg_namespace n WHERE n.nspname <> :schema AND "
            "obj_description(n.oid, 'pg_namespace') LIKE 'sqlalchemy-temporal template=%'"
        ),
        {"schema": schema},
    )
    if other is not None:
        raise ConfigurationError(
            f"this database has versioning in schema {other!r} already, and a database can have "
            f"it in one schema only; use schema={other!r}, or another database"
        )


def system_exists(connection: Connection, schema: str) -> bool:
    """Whether the library's own tables are there."""
    listed = system_of(connection, schema).versioned_tables
    return inspect(connection).has_table(listed.name, schema=listed.schema)


def refuse_drift(connection: Connection, spec: TableSpec, known: Registration) -> None:
    """Raise when the registered table is not the one at hand."""
    added = [c for c in spec.column_names if c not in known.columns]
    gone = [c for c in known.columns if c not in spec.column_names]
    if added or gone:
        parts = []
        if added:
            parts.append(f"column(s) {', '.join(added)} are not recorded")
        if gone:
            parts.append(f"recorded column(s) {', '.join(gone)} are gone or excluded")
        raise SchemaDriftError(
            f"table {spec.qualified!r} has changed since its history table was created: "
            f"{'; '.join(parts)}. Bring history into step with sync_versioning(connection, "
            "table), or op.sync_versioning() in a migration"
        )
    if known.fingerprint != elements.fingerprint(spec, connection.dialect):
        raise SchemaDriftError(
            f"the triggers of table {spec.qualified!r} were made for another declaration or "
            "by another version of the library. Make them anew with "
            "sync_versioning(connection, table)"
        )


def _compare_model(table: Table, spec: TableSpec) -> None:
    missing = [str(c.name) for c in recorded_columns(table) if c.name not in spec.column_names]
    if missing:
        raise SchemaDriftError(
            f"table {spec.qualified!r} has no column(s) {', '.join(missing)}, which its model "
            "declares. Add them to the table (ALTER TABLE, or a migration) and call "
            "sync_versioning(connection, table)"
        )


def execute(connection: Connection, plan: Iterable[elements.TemporalDDL]) -> None:
    """Run DDL elements one statement at a time, as every driver can."""
    for element in plan:
        for statement in element.statements(connection.dialect):
            connection.exec_driver_sql(statement, execution_options={OURS: True})


def check_server(connection: Connection) -> None:
    """Refuse a database that cannot have triggers of ours.

    Raises:
        UnsupportedDatabaseError: another dialect, or a version that is too old.
    """
    if not _supported(connection):
        raise UnsupportedDatabaseError(
            f"the dialect {connection.dialect.name!r} is not supported, whatever captures changes; "
            "use PostgreSQL 13 or later, or SQLite"
        )
    version = connection.dialect.server_version_info or ()
    minimum = _MINIMUM[connection.dialect.name]
    if version < minimum:
        raise UnsupportedDatabaseError(
            f"{connection.dialect.name} {'.'.join(map(str, version))} is too old: versioning "
            f"needs {'.'.join(map(str, minimum))} or later"
        )


def _supported(connection: Connection) -> bool:
    return connection.dialect.name in _MINIMUM


def _exists(connection: Connection, table: Table) -> bool:
    return inspect(connection).has_table(table.name, schema=table.schema)


@contextmanager
def in_one_transaction(connection: Connection) -> Iterator[None]:
    """Run the block as one transaction even on a connection in AUTOCOMMIT mode."""
    attach(connection)
    if connection.info.get(EXPLICIT):
        yield
    elif connection.dialect.name == "sqlite" and not connection.in_transaction():
        with connection.begin():  # whose listeners may begin what the driver does not
            if in_autocommit(connection):
                yield from _explicit_transaction(connection)
            else:
                begin_really(connection)
                yield
    elif not in_autocommit(connection):
        with connection.begin_nested() if connection.in_transaction() else connection.begin():
            yield
    else:
        yield from _explicit_transaction(connection)


def _explicit_transaction(connection: Connection) -> Iterator[None]:
    connection.exec_driver_sql("BEGIN")
    forget_transaction(connection)
    connection.info[EXPLICIT] = True
    try:
        yield
    except BaseException:
        connection.exec_driver_sql("ROLLBACK")
        raise
    else:
        connection.exec_driver_sql("COMMIT")
    finally:
        del connection.info[EXPLICIT]
        forget_transaction(connection)


def in_autocommit(connection: Connection) -> bool:
    """Whether each statement is its own transaction on this connection."""
    driver = connection.connection.dbapi_connection
    if driver is None or not connection.dialect.detect_autocommit_setting(driver):
        return False
    # Somebody may have begun a transaction by hand, as a recipe for SQLite does.
    inner: Any = connection.connection.driver_connection
    return not (connection.dialect.name == "sqlite" and inner.in_transaction)


@contextmanager
def privileges_explained(label: str) -> Iterator[None]:
    """Turn the server's refusal for lack of rights into an error that says what to do."""
    with explaining_refusal(
        lambda said: (
            f"versioning of {label!r} was not set up, nothing was changed: {said}. "
            "It needs a role that owns the table and may create a schema in this database "
            "(GRANT CREATE ON DATABASE ... TO ...); run it once as such a role, after that "
            "any role may write to the table"
        )
    ):
        yield
