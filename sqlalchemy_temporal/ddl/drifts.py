"""What is not as it should be in the versioning of one table, and what cures it.

The live table is taken as it is; compared with it are what is registered, the history table,
and every function, trigger and view, with what would be generated for it now.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from sqlalchemy import Connection, text

from sqlalchemy_temporal.ddl import elements
from sqlalchemy_temporal.ddl.installed import Installed
from sqlalchemy_temporal.ddl.postgresql.quoting import Quoter
from sqlalchemy_temporal.ddl.postgresql.table import TableSql
from sqlalchemy_temporal.ddl.reflect import reflect_table
from sqlalchemy_temporal.ddl.spec import TableSpec
from sqlalchemy_temporal.ddl.sqlite.table import SqliteTableSql
from sqlalchemy_temporal.errors import ConfigurationError, NotInstalledError
from sqlalchemy_temporal.naming import VersioningOptions

_TRIGGERS = text(
    """
    SELECT t.tgname AS name, t.tgenabled::text AS enabled, t.tgqual IS NOT NULL AS conditional,
           p.proname AS function, obj_description(t.oid, 'pg_trigger') AS comment
    FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
    WHERE t.tgrelid = to_regclass(:name) AND NOT t.tgisinternal
    """
)
_FUNCTIONS = text(
    """
    SELECT p.proname AS name, p.prosrc AS body FROM pg_proc p
    JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE n.nspname = :schema AND p.proname = ANY (:names) AND p.pronargs = 0
    """
)
_COLUMNS = text(
    """
    SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type
    FROM pg_attribute a
    WHERE a.attrelid = to_regclass(:name) AND a.attnum > 0 AND NOT a.attisdropped
    """
)
_INDEXES = text(
    """
    SELECT i.relname FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
    WHERE x.indrelid = to_regclass(:name)
    """
)
_SQLITE_TRIGGERS = text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
_SQLITE_COLUMNS = text("SELECT name FROM pragma_table_xinfo(:name)")
_RELATION = text("SELECT to_regclass(:name) IS NOT NULL")


@dataclass(frozen=True, slots=True)
class Drift:
    """One thing that is not as it should be.

    Attributes:
        table: the live table, as ``schema.table``.
        what: what is wrong, in one sentence without a full stop.
        cure: the operation that puts it right.
    """

    table: str
    what: str
    cure: str

    def __str__(self) -> str:
        return f"{self.table}: {self.what}; cure: {self.cure}"


def drifts_of(
    connection: Connection, known: Installed, options: VersioningOptions | None = None
) -> list[Drift]:
    """Compare what is there for an enabled table with what should be.

    Parameters:
        connection: where to look.
        known: the table as it is registered.
        options: how it is to be versioned; as it is registered by default.
    """
    label = f"{known.schema}.{known.name}"
    cure = f"op.sync_versioning({known.name!r}) or sync_versioning(connection, table)"
    wanted = options or known.options
    try:
        live = reflect_table(
            connection, known.schema, known.name, wanted, key=known.key, lenient=options is None
        )
    except NotInstalledError:
        gone = "the table is gone, and was not disabled before"
        return [Drift(label, gone, f"op.disable_versioning({known.name!r}) before dropping it")]
    except ConfigurationError as error:
        return [Drift(label, str(error), "correct the declaration")]
    spec = replace(live.spec, schema=known.declared)
    # How history is partitioned shows in no trigger, and is changed by other means.
    parted = replace(
        known.options, history_partition_by=wanted.history_partition_by, core=wanted.core
    )
    known = replace(known, options=parted)
    found = [*option_drifts(known.options, wanted), *_columns(known, spec, live.has_system_column)]
    if connection.dialect.name == "postgresql":
        found += _objects(connection, known, spec)
    elif set(known.recorded) == set(spec.column_names) and known.options == spec.options:
        found += _sqlite_objects(connection, known, spec)
    return [Drift(label, what, cure) for what in found]


def option_drifts(had: VersioningOptions, wanted: VersioningOptions) -> Iterator[str]:
    """How a table is versioned otherwise than it shall be."""
    if set(had.exclude) != set(wanted.exclude):
        yield f"excluded are {_listed(had.exclude)}, and shall be {_listed(wanted.exclude)}"
    if had.capture != wanted.capture:
        yield f"captured by {had.capture}, and shall be by {wanted.capture}"
    if had.effective_history_schema != wanted.effective_history_schema:
        yield (
            f"the history lies in schema {had.effective_history_schema}, and shall lie in "
            f"{wanted.effective_history_schema}"
        )
    if had.history_table_suffix != wanted.history_table_suffix:
        yield (
            f"the suffix of the history is {had.history_table_suffix!r}, and shall be "
            f"{wanted.history_table_suffix!r}"
        )
    if set(had.index) != set(wanted.index):
        yield (
            f"indexed on history are {_listed(map('+'.join, had.index))}, and shall be "
            f"{_listed(map('+'.join, wanted.index))}"
        )


def _listed(names: object) -> str:
    return ", ".join(names) or "none"  # type: ignore[arg-type]


def _columns(known: Installed, spec: TableSpec, has_system_column: bool) -> Iterator[str]:
    excluded = known.options.exclude
    added = [c for c in spec.column_names if c not in known.recorded and c not in excluded]
    every = {*spec.column_names, *(c.name for c in spec.unrecorded)}
    gone = [c for c in known.recorded if c not in every]
    if added:
        yield f"column(s) {', '.join(added)} are not recorded"
    if gone:
        yield f"recorded column(s) {', '.join(gone)} are gone"
    if not has_system_column:
        yield "the system column is missing"


def _objects(connection: Connection, known: Installed, spec: TableSpec) -> Iterator[str]:
    quote = Quoter(connection.dialect)
    # What was made was made for the columns that were recorded; others are told of above.
    sql = TableSql(spec, quote)
    yield from _history(connection, known, spec, quote)
    if set(known.recorded) != set(spec.column_names) or known.options != spec.options:
        return
    rows = connection.execute(_TRIGGERS, {"name": _plain(sql.live)}).all()
    triggers = {row.name: row for row in rows}
    if spec.options.capture == "orm":
        for name in sorted(triggers.keys() & sql.triggers().keys()):
            yield f"trigger {name} records the table, too, which is captured by the ORM"
        yield from _view(connection, sql)
        return
    for name, definition in sql.triggers().items():
        row = triggers.get(name)
        if row is None:
            yield f"trigger {name} is missing"
        elif row.enabled != "A":
            yield f"trigger {name} is disabled"
        elif row.function not in _plain(definition) or row.conditional != (" WHEN (" in definition):
            yield f"trigger {name} was edited"
    expected = elements.trigger_comment(spec, connection.dialect)
    comment = triggers["~temporal_stamp"].comment if "~temporal_stamp" in triggers else expected
    if comment != _plain(expected) or known.fingerprint != _plain(
        elements.fingerprint(spec, connection.dialect)
    ):
        yield "the triggers were made for another declaration or by another version"
        return
    yield from _functions(connection, sql)


def _functions(connection: Connection, sql: TableSql) -> Iterator[str]:
    names = sql.function_names()
    rows = connection.execute(
        _FUNCTIONS, {"schema": sql.spec.options.schema, "names": list(names)}
    ).all()
    bodies = {row.name: row.body for row in rows}
    for statement in sql.function_statements():
        head, body, *_ = statement.split("$body$")
        name = next(n for n in names if f"{sql.schema}.{sql.quote.name(n)}()" in head)
        if name not in bodies:
            yield f"function {name} is missing"
        elif bodies[name] != _plain(body):
            yield f"function {name} was edited"
    yield from _view(connection, sql)


def _view(connection: Connection, sql: TableSql) -> Iterator[str]:
    view = f"{sql.quote.name(sql.spec.view_schema)}.{sql.quote.name(sql.spec.view)}"
    if not connection.scalar(_RELATION, {"name": _plain(view)}):
        yield f"view {sql.spec.view_schema}.{sql.spec.view} is missing"


def _history(
    connection: Connection, known: Installed, spec: TableSpec, quote: Quoter
) -> Iterator[str]:
    name = _plain(quote.qualified(*known.history))
    rows = connection.execute(_COLUMNS, {"name": name}).all()
    if not rows:
        yield f"the history table {'.'.join(known.history)} is missing"
        return
    types = {row.name: row.type for row in rows}
    for column in spec.columns:
        if column.name not in known.recorded:
            continue
        if column.name not in types:
            yield f"column {column.name} is missing in the history"
        elif types[column.name] != column.type:
            yield (
                f"column {column.name} is {column.type}, and {types[column.name]} in the history"
            )
    indexes = set(connection.scalars(_INDEXES, {"name": name}))
    if known.options.index == spec.options.index and known.history == (
        spec.history_schema,
        spec.history_table,
    ):
        for index in TableSql(spec, quote).indexes():
            if index not in indexes:
                yield f"index {index} of the history is missing"


def _sqlite_objects(connection: Connection, known: Installed, spec: TableSpec) -> Iterator[str]:
    made = SqliteTableSql(spec, Quoter(connection.dialect)).triggers()
    there = {row.name: row.sql for row in connection.execute(_SQLITE_TRIGGERS)}
    for name, statement in made.items():
        if spec.options.capture == "orm":
            if name in there:
                yield f"trigger {name} records the table, too, which is captured by the ORM"
        elif name not in there:
            yield f"trigger {name} is missing"
        elif there[name] != statement:
            yield f"trigger {name} was edited, or is for another declaration"
    history = set(connection.scalars(_SQLITE_COLUMNS, {"name": known.history[1]}))
    if not history:
        yield f"the history table {known.history[1]} is missing"
    for column in spec.column_names:
        if history and column not in history:
            yield f"column {column} is missing in the history"


def _plain(sql: str) -> str:
    """SQL as the server has it, without what the driver needs doubled."""
    return sql.replace("%%", "%")


__all__ = ["Drift", "drifts_of", "option_drifts"]
