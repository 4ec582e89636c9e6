"""The events of SQLAlchemy by which changes are recorded.

They are put on the class :class:`~sqlalchemy.Engine`, and thereby on every engine there is and
will be, as soon as the first table is declared, or set up, with ``capture="orm"``: no engine may
write such a table unseen. Nothing is listened for in programs that have no such table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from sqlalchemy import Connection, CursorResult, Delete, Engine, Insert, Table, Update, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.engine.base import TwoPhaseTransaction
from sqlalchemy.sql.dml import UpdateBase

from sqlalchemy_temporal.capture.check import verify_capture
from sqlalchemy_temporal.capture.kind import kind_mismatch
from sqlalchemy_temporal.capture.orm.captured import Captured, captured_tables
from sqlalchemy_temporal.capture.orm.cascades import Consequences, load_graph
from sqlalchemy_temporal.capture.orm.postgresql import PostgreSQLRecorder
from sqlalchemy_temporal.capture.orm.recorder import OURS, Recorder
from sqlalchemy_temporal.capture.orm.refusal import written_tables
from sqlalchemy_temporal.capture.orm.session import is_of_session, listen_to_sessions
from sqlalchemy_temporal.capture.orm.sqlite import SQLiteRecorder
from sqlalchemy_temporal.capture.orm.state import (
    EXPLICIT,
    Known,
    TableName,
    forget_transaction,
    known_of,
    state_of,
)
from sqlalchemy_temporal.capture.orm.work import before_delete, before_insert, before_update
from sqlalchemy_temporal.ddl.reflect import reflect_table
from sqlalchemy_temporal.errors import CaptureError, TwoPhaseError, UnrecordedWriteError
from sqlalchemy_temporal.naming import VersioningOptions
from sqlalchemy_temporal.schema import options_of

_SUPPORTED = ("postgresql", "sqlite")


def listen() -> None:
    """Record what is written to tables captured by the ORM, from now on; repeatable."""
    if event.contains(Engine, "before_execute", _before):
        return
    listen_to_sessions()
    event.listen(Engine, "before_execute", _before, retval=True)
    event.listen(Engine, "after_execute", _after)
    event.listen(Engine, "before_cursor_execute", _before_cursor)
    event.listen(Engine, "after_cursor_execute", _after_cursor)
    event.listen(Engine, "handle_error", _failed)
    for name in ("begin", "commit", "rollback", "rollback_savepoint"):
        event.listen(Engine, name, forget_transaction)


# ------------------------------------------------------------------------------- listeners


def _before(
    connection: Connection,
    element: Any,
    multiple: Sequence[Mapping[str, Any]],
    single: Mapping[str, Any],
    options: Mapping[str, Any],
) -> tuple[Any, Any, Any]:
    if isinstance(element, UpdateBase) and not options.get(OURS):
        state = state_of(connection)
        state.work, state.rowcount = None, 0
        sets = list(multiple) or ([single] if single else [])
        element = _record(connection, element, sets, options)
    return element, multiple, single


def _after(
    connection: Connection,
    element: Any,
    _multiple: Any,
    _single: Any,
    options: Mapping[str, Any],
    _result: CursorResult[Any],
) -> None:
    if not isinstance(element, UpdateBase) or options.get(OURS):
        return
    state = state_of(connection)
    work, state.work = state.work, None
    if work is not None:
        work.finish(connection, state.rowcount)


def _before_cursor(
    connection: Connection, _cursor: Any, statement: str, _values: Any, context: Any, _many: bool
) -> None:
    """Refuse what is seen as text only, and what is written inside of another statement."""
    if context is None or context.execution_options.get(OURS) or _unsupported(connection):
        return
    compiled = context.compiled
    if compiled is None or getattr(compiled, "isplaintext", False):
        _refuse_text(connection, statement)
        return
    for cte in getattr(compiled, "ctes", None) or ():
        if isinstance(cte.element, UpdateBase):
            _refuse_inner(connection, cte.element, context.execution_options)


def _after_cursor(
    connection: Connection, cursor: Any, _statement: str, _values: Any, context: Any, _many: bool
) -> None:
    """Add up how many rows were inserted: afterwards the cursor may be closed."""
    if context is None or not context.isinsert or context.execution_options.get(OURS):
        return
    state = state_of(connection)
    if state.work is not None and state.rowcount is not None:
        state.rowcount = None if cursor.rowcount < 0 else state.rowcount + cursor.rowcount


def _failed(context: ExceptionContext) -> None:
    """SQLite lets a transaction go on after a statement that failed."""
    connection = context.connection
    if connection is None or connection.dialect.name != "sqlite" or connection.invalidated:
        return
    state = state_of(connection)
    work, state.work = state.work, None
    if work is not None:
        work.abandon(connection)


# --------------------------------------------------------------------------------- recording


def _record(
    connection: Connection,
    element: Any,
    sets: Sequence[Mapping[str, Any]],
    options: Mapping[str, Any],
) -> Any:
    table = element.table
    declared = options_of(table) if isinstance(table, Table) else None
    if declared is not None and declared.capture == "orm":
        _check_declared(connection, table, declared)
    elif _unsupported(connection):
        return element
    known, captured = _known(connection)
    if not captured.tables and not captured.hidden:
        return element
    name = _name_of(connection, table, options)
    captured.refuse_hidden(name)
    if name in captured.tables and declared is not None and declared.capture != "orm":
        raise kind_mismatch(".".join(name), "orm", declared.capture)
    graph = known.graph
    if graph is None:
        graph = known.graph = load_graph(connection, captured.tables)
    if name not in captured.tables and name not in graph.edges:
        return element
    _check_transaction(connection, name)

    def recorders(of: TableName) -> Recorder | None:
        return _recorder(connection, known, captured, of)

    work: Any
    if isinstance(element, Insert):
        recorder = recorders(name)
        if recorder is None:
            return element
        element, work = before_insert(connection, element, sets, recorder)
    elif isinstance(element, Update):
        along = Consequences(connection, graph, recorders)
        element, work = before_update(connection, element, sets, name, along)
    else:
        deleting = cast("Delete", element)
        along = Consequences(connection, graph, recorders)
        element, work = before_delete(connection, deleting, sets, name, along)
    state_of(connection).work = work
    return element


def _check_declared(connection: Connection, table: Table, declared: VersioningOptions) -> None:
    if _unsupported(connection):
        raise CaptureError(
            f"table {table.fullname!r} is versioned, and on the dialect "
            f"{connection.dialect.name!r} nothing records it: PostgreSQL 13 or later and SQLite "
            "are supported"
        )
    if declared.core == "refuse" and not is_of_session(connection):
        raise UnrecordedWriteError(
            f"table {table.fullname!r} is declared with core='refuse': write it through a Session"
        )
    verify_capture(connection, [table._deannotate()])


def _check_transaction(connection: Connection, name: TableName) -> None:
    label = ".".join(name)
    if isinstance(connection.get_transaction(), TwoPhaseTransaction):
        raise TwoPhaseError(
            f"{label}: versioned changes cannot be prepared, as moments after them would stay "
            "uncertain; use ordinary transactions"
        )
    driver = connection.connection.dbapi_connection
    if (
        connection.dialect.name == "postgresql"
        and driver is not None
        and not connection.info.get(EXPLICIT)
        and connection.dialect.detect_autocommit_setting(driver)
    ):
        raise CaptureError(
            f"table {label!r} is captured by the ORM, which takes a transaction: this connection "
            "is in autocommit"
        )


def _unsupported(connection: Connection) -> bool:
    return connection.dialect.name not in _SUPPORTED


def _known(connection: Connection) -> tuple[Known, Captured]:
    known = known_of(connection)
    if known.captured is None:
        known.captured = captured_tables(connection)
    return known, known.captured


def _name_of(connection: Connection, table: Any, options: Mapping[str, Any]) -> TableName:
    """Schema and name that a table has in the database."""
    schema = getattr(table, "schema", None)
    translated = options.get("schema_translate_map") or {}
    schema = translated.get(schema, schema)
    if connection.dialect.name == "sqlite":
        return "public", str(table.name)
    default = connection.dialect.default_schema_name or "public"
    return str(schema or default), str(getattr(table, "name", ""))


def recorder_of(connection: Connection, name: TableName) -> Recorder | None:
    """What records a table; None when the ORM does not capture it."""
    known, captured = _known(connection)
    return _recorder(connection, known, captured, name)


def _recorder(
    connection: Connection, known: Known, captured: Captured, name: TableName
) -> Recorder | None:
    found = known.recorders.get(name)
    if found is None and name in captured.tables:
        each = captured.tables[name]
        live = reflect_table(
            connection, each.schema, each.name, each.options, key=each.key, lenient=True
        )
        made = PostgreSQLRecorder if connection.dialect.name == "postgresql" else SQLiteRecorder
        spec = replace(live.spec, schema=each.declared)
        found = known.recorders[name] = made(spec, connection.dialect)
    return found


# ------------------------------------------------------------------------------------ refusal


def _refuse_text(connection: Connection, statement: str) -> None:
    written = list(written_tables(statement))
    if not written:
        return
    _, captured = _known(connection)
    for schema, name in (*captured.tables, *captured.hidden):
        for said_schema, said in written:
            if said.lower() == name.lower() and said_schema in (None, schema):
                raise UnrecordedWriteError(
                    f"this statement writes the table {name!r}, which is captured by the ORM: what "
                    "it changes cannot be told from its text. Use insert(), update() or delete() "
                    f"of SQLAlchemy, or capture the table by triggers: {statement[:200]}"
                )


def _refuse_inner(connection: Connection, element: Any, options: Mapping[str, Any]) -> None:
    name = _name_of(connection, element.table, options)
    _, captured = _known(connection)
    captured.refuse_hidden(name)
    if name in captured.tables:
        raise UnrecordedWriteError(
            f"table {name[1]!r} is captured by the ORM, and is written inside of another "
            "statement (a CTE), where its changes cannot be told: execute it by itself"
        )


__all__ = ["listen", "recorder_of"]
