"""Where transactions begin and end on SQLite, told to the database by SQLAlchemy's events.

No trigger of SQLite can see the boundaries of a transaction, so :func:`attach` listens on
an engine: before the first statement of a transaction that may write, the transaction is
opened in the library's own table, and right before COMMIT it is closed, which makes the
commit (see :mod:`sqlalchemy_temporal.ddl.sqlite.system`). Reading opens nothing, so it takes
no lock.

An engine is attached by whatever of the library first meets it: ``create_all()`` and
:func:`~sqlalchemy_temporal.install`, a ``TemporalSession``, the flush of a versioned object
in any session, ``describe()``, ``resolve()``, a ``Repository``. What state there is lies in
``Connection.info``, which belongs to one database connection.

Python's ``sqlite3`` by default begins transactions by itself, and only before INSERT,
UPDATE, DELETE and REPLACE; a savepoint before the first of them would be committed when it
is released. The hooks begin the transaction before such a savepoint. In autocommit there is
no transaction to speak of: each statement is a commit, as for clients without hooks.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, cast
from uuid import UUID, uuid4

from sqlalchemy import Connection, Engine, event

from sqlalchemy_temporal.ddl.postgresql.quoting import Quoter
from sqlalchemy_temporal.ddl.sqlite.system import SystemSql
from sqlalchemy_temporal.errors import CaptureError, StaleParentError
from sqlalchemy_temporal.naming import DEFAULT_SCHEMA, INFO_KEY

_ATTACHED: Final = f"_{INFO_KEY}_schemas"
_LEGACY: Final = -1  # sqlite3.LEGACY_TRANSACTION_CONTROL, since Python 3.12
_WORD = re.compile(r"(?:\s+|--[^\n]*(?:\n|$)|/\*.*?\*/|\()*(?P<word>[A-Za-z]+)", re.DOTALL)
_WRITES: Final = frozenset({"INSERT", "UPDATE", "DELETE", "REPLACE"})
_WRITING = re.compile(r"\b(?:INSERT|UPDATE|DELETE|REPLACE)\b", re.IGNORECASE)
_TO = re.compile(r"\bTO\b", re.IGNORECASE)


@dataclass(slots=True)
class _State:
    """What is known of the transaction of one database connection, per schema.

    Attributes:
        token: what the opened transaction is recognised by.
        opened: whether it was opened; None when a savepoint was rolled back since.
        missing: whether the database has no versioning in the schema.
        settings: columns of the open transaction to set when it is opened.
    """

    token: str = field(default_factory=lambda: uuid4().hex)
    opened: bool | None = False
    missing: bool = False
    settings: dict[str, Any] = field(default_factory=dict)


def attach(bind: Engine | Connection, schema: str = DEFAULT_SCHEMA) -> None:
    """Let every transaction through an engine be one commit, from now on; repeatable.

    Does nothing on databases that know their transactions by themselves.

    Parameters:
        bind: the engine, or a connection of it.
        schema: the schema of the library's own tables.
    """
    if bind.dialect.name != "sqlite":
        return
    engine = _root(bind)
    schemas: set[str] | None = getattr(engine, _ATTACHED, None)
    if schemas is None:
        schemas = set()
        setattr(engine, _ATTACHED, schemas)
        _listen(engine, schemas)
    schemas.add(schema)


def _root(bind: Engine | Connection) -> Engine:
    engine: Any = bind.engine
    while hasattr(engine, "_proxied"):  # made by execution_options()
        engine = engine._proxied
    return cast("Engine", engine)


def _schemas(connection: Connection) -> tuple[str, ...]:
    return tuple(sorted(getattr(_root(connection), _ATTACHED, ())))


def _listen(engine: Engine, schemas: set[str]) -> None:
    def opening(connection: Connection, _: Any, statement: str, *rest: Any) -> None:
        _before_statement(connection, statement, rest[1], schemas)

    def closing(connection: Connection) -> None:
        try:
            for schema in schemas:
                _close(connection, schema)
        except BaseException:
            # SQLAlchemy takes the transaction for ended when it could not be committed, and
            # would give the connection back to the pool in the middle of it.
            connection.connection.rollback()
            _forget(connection)
            raise

    def unsure(connection: Connection, *_: Any) -> None:
        # The savepoint may have been older or younger than the opening.
        if not connection.invalidated:
            for schema in schemas:
                _state(connection, schema).opened = None

    def savepoint(connection: Connection, _: str) -> None:
        begin_really(connection)

    listeners: dict[str, Callable[..., None]] = {
        "before_cursor_execute": opening,
        "begin": _forget,
        "commit": closing,
        "rollback": _forget,
        "savepoint": savepoint,
        "rollback_savepoint": unsure,
    }
    for name, listener in listeners.items():
        event.listen(engine, name, listener)


def begin_really(connection: Connection) -> None:
    """Begin the transaction that SQLAlchemy has begun, where the driver puts that off."""
    if connection.dialect.name != "sqlite":
        return
    driver = connection.connection.driver_connection
    if not driver.in_transaction and _begins_by_itself(driver):  # type: ignore[union-attr]
        _run(connection, "BEGIN")


@contextmanager
def setting_up(connection: Connection, schema: str) -> Iterator[None]:
    """Open no transaction in the block, which makes what is needed for that."""
    state = _state(connection, schema)
    if state.opened:
        yield
        return
    state.missing = True
    yield
    state.missing = False


def torn_down(connection: Connection, schema: str) -> None:
    """Note that the library's own tables are gone, so there is nothing to close."""
    state = _state(connection, schema)
    state.opened, state.missing = False, True


def set_on_transaction(
    connection: Connection, settings: dict[str, Any], schema: str | None = None
) -> None:
    """Set columns of the open transaction, or of the one that the next write will open.

    In a savepoint the transaction is opened at once, so that what is set is rolled back with
    the savepoint.

    Parameters:
        connection: the connection whose transaction is meant.
        settings: values by the names of columns of the library's ``pending`` table.
        schema: the schema of the library's own tables; None for all that are in use.
    """
    if schema is None:
        for each in _schemas(connection) or (DEFAULT_SCHEMA,):
            set_on_transaction(connection, settings, each)
        return
    attach(connection, schema)
    state = _state(connection, schema)
    if connection.in_nested_transaction() and not state.opened and _has_transaction(connection):
        _open(connection, schema)
    if state.opened:
        _assign(connection, schema, settings)
    else:
        state.settings.update(settings)


def transaction_id(connection: Connection, schema: str) -> int | None:
    """The id of the connection's transaction, which is opened for it; None in autocommit."""
    attach(connection, schema)
    if not _has_transaction(connection):
        return None
    _open(connection, schema)
    row = _run(connection, _sql(connection, schema).under_way)
    return None if row is None else row[2]


def record_commit(
    connection: Connection,
    schema: str,
    operation: str,
    counts: Mapping[str, Mapping[str, int]],
) -> None:
    """Make the current transaction a commit of a kind, though it may change no row.

    Parameters:
        connection: a connection in a transaction.
        schema: the schema of the library's own tables.
        operation: what the commit is called.
        counts: by table, the numbers of rows by ``insert``, ``update`` and ``delete``.
    """
    if transaction_id(connection, schema) is None:
        raise CaptureError(
            "a connection in autocommit has no transaction to make a commit of; begin one"
        )
    set_on_transaction(connection, {"operation": operation}, schema)
    sql = _sql(connection, schema)
    for table, numbers in counts.items():
        given = tuple(numbers.get(kind, 0) for kind in ("insert", "update", "delete"))
        _run(connection, sql.add_counts, (*given, table))


# ------------------------------------------------------------------------------- listeners


def _before_statement(
    connection: Connection, statement: str, context: Any, schemas: set[str]
) -> None:
    kind = _kind(statement, context)
    if kind == "write":
        if _has_transaction(connection):
            for schema in schemas:
                _open(connection, schema)
    elif kind == "commit":
        for schema in schemas:
            _close(connection, schema)
    elif kind == "boundary":
        _forget(connection)


def _kind(statement: str, context: Any) -> str:
    """What a statement is to the transaction: write, commit, boundary or nothing of these."""
    if context is not None and (context.isinsert or context.isupdate or context.isdelete):
        return "write"
    found = _WORD.match(statement)
    word = found["word"].upper() if found else ""
    if word in _WRITES or (word == "WITH" and _WRITING.search(statement)):
        return "write"
    if word in ("COMMIT", "END"):
        return "commit"
    if word == "BEGIN" or (word == "ROLLBACK" and not _TO.search(statement)):
        return "boundary"
    return ""


def _forget(connection: Connection) -> None:
    """Look again whether the database has versioning, and whether a transaction is open."""
    if not connection.invalidated:  # what was known of a connection that is lost went with it
        connection.info.pop(_ATTACHED, None)


def _state(connection: Connection, schema: str) -> _State:
    states: dict[str, _State] = connection.info.setdefault(_ATTACHED, {})
    return states.setdefault(schema, _State())


def _has_transaction(connection: Connection) -> bool:
    """Whether a write is in a transaction, or will begin one by itself."""
    driver: Any = connection.connection.driver_connection
    return driver.in_transaction or _begins_by_itself(driver)


def _begins_by_itself(driver: Any) -> bool:
    # Of aiosqlite's connection, which has no such attribute: it may be read in the thread of
    # the connection only. In autocommit what is opened stays in flight until it is closed.
    if getattr(driver, "autocommit", _LEGACY) != _LEGACY:
        return False
    return driver.isolation_level is not None


def _open(connection: Connection, schema: str) -> None:
    state = _state(connection, schema)
    if state.opened or state.missing:
        return
    sql = _sql(connection, schema)
    try:
        # A write comes first: after a read, the lock might not be had any more.
        _run(connection, sql.take_lock)
    except sqlite3.OperationalError as error:
        if "no such table" not in str(error):
            raise
        state.missing = True
        return
    mode, token = _pending(connection, schema)
    if mode != "client" or token != state.token:
        if mode == "client":  # somebody began it, committed and never ended it
            _run(connection, sql.end, (None,))
        _run(connection, sql.begin, (state.token, _now()))
    state.opened = True
    if state.settings:
        _assign(connection, schema, state.settings)


def _close(connection: Connection, schema: str) -> None:
    state = _state(connection, schema)
    if state.opened is None and not state.missing:
        state.opened = _pending(connection, schema) == ("client", state.token)
    if state.opened:
        _check_parent(connection, schema)
        _run(connection, _sql(connection, schema).end, (_now(),))
    connection.info.get(_ATTACHED, {}).pop(schema, None)


def _pending(connection: Connection, schema: str) -> tuple[str | None, str | None]:
    """The mode and the token of the transaction under way."""
    row = _run(connection, _sql(connection, schema).under_way)
    return (None, None) if row is None else (row[0], row[1])


def _check_parent(connection: Connection, schema: str) -> None:
    """Refuse a commit that expected another HEAD; there is one writer, so none comes between."""
    row = _run(connection, _sql(connection, schema).parents)
    if row is None or row[0] is None or row[0] == row[1]:
        return
    expected, actual = UUID(row[0]), row[1] and UUID(row[1])
    raise StaleParentError(
        f"the commit was based on {expected}, but HEAD is {actual}; nothing of it was kept. Read "
        "again what it depends on, and try again on the new HEAD",
        expected=str(expected),
        actual=str(actual) if actual else None,
    )


def _assign(connection: Connection, schema: str, settings: dict[str, Any]) -> None:
    _run(connection, _sql(connection, schema).assign(settings), tuple(settings.values()))


def _sql(connection: Connection, schema: str) -> SystemSql:
    return SystemSql(schema, Quoter(connection.dialect))


def _run(connection: Connection, statement: str, values: tuple[Any, ...] = ()) -> Any:
    """Run a statement without the events that brought us here; the first row, if any."""
    cursor = connection.connection.cursor()
    try:
        cursor.execute(statement, values)
        return cursor.fetchone() if cursor.description else None
    finally:
        cursor.close()


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


__all__ = [
    "attach",
    "begin_really",
    "record_commit",
    "set_on_transaction",
    "setting_up",
    "torn_down",
    "transaction_id",
]
