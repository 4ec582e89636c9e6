"""Where the operations run: an engine, a connection or a session, and what they may do there.

An ``Engine`` gives each call a transaction of its own. A ``Connection`` or ``Session`` lends
its transaction: what is written becomes permanent when its owner commits.

The access mode ``"restricted"`` allows reads only. That is not left to this library's code:
the database is told, with a transaction (or, inside of somebody else's, a savepoint) that is
read-only.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Literal, cast, get_args

from sqlalchemy import Connection, Engine
from sqlalchemy.orm import Session, scoped_session

from sqlalchemy_temporal.capture.install import in_autocommit, in_one_transaction
from sqlalchemy_temporal.clock.describe import current_actor, write_description
from sqlalchemy_temporal.errors import AccessModeError, UnknownOptionError
from sqlalchemy_temporal.tables.work import Bind

AccessMode = Literal["restricted", "unrestricted"]
"""``"restricted"`` allows reads only, ``"unrestricted"`` everything."""

ACCESS_OPTION: Final = "temporal_access"
"""The execution option that makes the mode a property of an engine or a connection:
``engine.execution_options(temporal_access="restricted")``."""

_MODES: Final = get_args(AccessMode)


def mode_of(bind: Bind, access: AccessMode | None = None) -> AccessMode:
    """The mode that holds for a call on ``bind``: the stricter of the bind's and the call's.

    Parameters:
        bind: an engine, a connection or a session.
        access: the mode asked for by the call; None for that of the bind.

    Raises:
        UnknownOptionError: there is no such mode.
    """
    target = _database(bind)
    options = {} if target is None else target.get_execution_options()
    given = (access, options.get(ACCESS_OPTION))
    for mode in given:
        if mode is not None and mode not in _MODES:
            raise UnknownOptionError(f"access must be one of {', '.join(_MODES)}, not {mode!r}")
    return "restricted" if "restricted" in given else "unrestricted"


def _database(bind: Bind) -> Engine | Connection | None:
    if isinstance(bind, Engine | Connection):
        return bind
    session = bind() if isinstance(bind, scoped_session) else bind
    if not isinstance(session, Session):
        raise UnknownOptionError(
            f"bind must be an Engine, a Connection or a Session, not {bind!r}; with asyncio, use "
            "await connection.run_sync(function, ...)"
        )
    return session.bind


@contextmanager
def reading(bind: Bind, access: AccessMode | None = None) -> Iterator[Connection]:
    """A connection to read with, in a transaction; read-only in the mode ``restricted``."""
    restricted = mode_of(bind, access) == "restricted"
    with _transaction(bind) as connection:
        if restricted:
            with _read_only(connection):
                yield connection
        else:
            yield connection


def require_unrestricted(bind: Bind, access: AccessMode | None, what: str) -> None:
    """Refuse a call that writes in a mode that allows reads only.

    Parameters:
        bind: an engine, a connection or a session.
        access: the mode asked for by the call.
        what: the call, for the message.

    Raises:
        AccessModeError: the mode is ``"restricted"``.
    """
    if mode_of(bind, access) == "restricted":
        raise AccessModeError(
            f"{what} writes, so it needs access='unrestricted'; the mode here is 'restricted', "
            "which allows reads only"
        )


@contextmanager
def writing(bind: Bind, access: AccessMode | None, what: str) -> Iterator[Connection]:
    """A connection to write with, in a transaction.

    Parameters:
        bind: an engine, a connection or a session.
        access: the mode asked for by the call.
        what: the call, for the message.

    Raises:
        AccessModeError: the mode allows reads only.
    """
    require_unrestricted(bind, access, what)
    session = _session(bind)
    if session is not None:
        session.flush()
    with _transaction(bind) as connection:
        if isinstance(bind, Engine) and current_actor():
            write_description(connection, current_actor())
        yield connection
    if session is not None:
        session.expire_all()  # what it has loaded may be something else now


def _session(bind: Bind) -> Session | None:
    if isinstance(bind, scoped_session):
        return cast("Session", bind())
    return bind if isinstance(bind, Session) else None


@contextmanager
def _transaction(bind: Bind) -> Iterator[Connection]:
    session = _session(bind)
    if session is not None:
        yield session.connection()
    elif isinstance(bind, Connection):
        if in_autocommit(bind):
            with in_one_transaction(bind):
                yield bind
        else:
            if not bind.in_transaction():
                bind.begin()  # for its owner to commit
            yield bind
    else:
        engine = cast("Engine", bind)
        if engine.dialect.name == "postgresql":
            # Whatever is set for others: what is read after a lock was had must be new.
            engine = engine.execution_options(isolation_level="READ COMMITTED")
        with engine.connect() as connection, in_one_transaction(connection):
            yield connection


@contextmanager
def _read_only(connection: Connection) -> Iterator[None]:
    """Let the database refuse every write inside of the block."""
    if connection.dialect.name == "sqlite":
        before = connection.exec_driver_sql("PRAGMA query_only").scalar()
        connection.exec_driver_sql("PRAGMA query_only = ON")
        try:
            yield
        finally:
            connection.exec_driver_sql(f"PRAGMA query_only = {int(before or 0)}")
        return
    if in_autocommit(connection):  # in a transaction of ours
        connection.exec_driver_sql("SET TRANSACTION READ ONLY")
        yield
        return
    # The setting ends with the savepoint (PostgreSQL docs, SET TRANSACTION).
    with connection.begin_nested():
        connection.exec_driver_sql("SET TRANSACTION READ ONLY")
        yield


__all__ = ["AccessMode", "mode_of", "reading", "require_unrestricted", "writing"]
