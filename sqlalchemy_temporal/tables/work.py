"""Where maintenance of history runs: in transactions of its own, or in the caller's.

Given an Engine, long work is cut into steps, each committed by itself. Given a Connection
or a Session, all of it belongs to the caller's transaction, which commits or rolls it back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, text
from sqlalchemy.orm import Session, scoped_session

from sqlalchemy_temporal.capture.install import in_one_transaction
from sqlalchemy_temporal.clock.describe import Description, current_actor, write_description
from sqlalchemy_temporal.clock.hooks import record_commit
from sqlalchemy_temporal.ddl.privileges import explaining_refusal

Bind = Engine | Connection | Session | scoped_session[Any]
"""What maintenance works on; see the module."""


@dataclass(frozen=True, slots=True)
class Work:
    """A connection to work on, and whether steps may be committed by themselves.

    Attributes:
        connection: where to work.
        own: whether the transactions are ours.
        session: the session it belongs to, when one was given.
        restricted: whether the database is to refuse every write.
    """

    connection: Connection
    own: bool
    session: Session | None = None
    restricted: bool = False

    @contextmanager
    def step(self) -> Iterator[Connection]:
        """A transaction of its own where that may be; else a part of the caller's."""
        one = self.connection.begin() if self.own else in_one_transaction(self.connection)
        with one:
            if self.restricted and self.connection.dialect.name == "postgresql":
                # Ends with the transaction or the savepoint (PostgreSQL docs, SET TRANSACTION).
                self.connection.exec_driver_sql("SET TRANSACTION READ ONLY")
            yield self.connection

    def describe(self, author: str | None, reason: str | None) -> None:
        """Say who does it and why, in the current transaction.

        In a transaction of the caller's, what it said stands unless something is given.
        """
        said = Description.checked(author, reason, None)
        if self.own:
            write_description(self.connection, current_actor().updated(said))
        elif said:
            described = getattr(self.session, "describe", None)
            if described is None:
                write_description(self.connection, current_actor().updated(said))
            else:
                described(author=author, message=reason)


@contextmanager
def working(bind: Bind, *, restricted: bool = False) -> Iterator[Work]:
    """A place to work on for ``bind``; the server's refusals for lack of rights explained.

    Parameters:
        bind: an engine, a connection or a session.
        restricted: have the database refuse every write.

    Raises:
        PrivilegeError: the role may not change the library's tables.
    """
    with _privileges_explained():
        if isinstance(bind, Engine):
            engine = bind
            if engine.dialect.name == "postgresql":
                engine = engine.execution_options(isolation_level="READ COMMITTED")
            with engine.connect() as connection:
                yield Work(connection, own=True, restricted=restricted)
        elif isinstance(bind, Connection):
            yield Work(bind, own=False, restricted=restricted)
        else:
            session = bind() if isinstance(bind, scoped_session) else bind
            if not restricted:
                session.flush()
            yield Work(session.connection(), own=False, session=session, restricted=restricted)
            if not restricted:
                session.expire_all()  # what it has loaded may be something else now


def record(
    connection: Connection,
    schema: str,
    operation: str,
    counts: Mapping[str, Mapping[str, int]],
) -> None:
    """Make the current transaction a commit, though it may change no live row.

    Parameters:
        connection: a connection in a transaction.
        schema: the schema of the library's own tables.
        operation: what the commit is called, e.g. ``"PURGE"``.
        counts: by table (``schema.table``), numbers by what they count.
    """
    if connection.dialect.name == "sqlite":
        record_commit(connection, schema, operation, counts)
        return
    if connection.dialect.name == "sqlite":
        record_commit(connection, schema, operation, counts)
        return
    quoted = connection.dialect.identifier_preparer.quote(schema)
    connection.execute(
        text("SELECT set_config('temporal.operation', :operation, true)"),
        {"operation": operation},
    )
    note = text(f"SELECT {quoted}.note_change(:changed, :counted, :number)")
    for changed, numbers in counts.items():
        for counted, number in numbers.items():
            connection.execute(note, {"changed": changed, "counted": counted, "number": number})


@contextmanager
def _privileges_explained() -> Iterator[None]:
    with explaining_refusal(
        lambda said: (
            f"history was not changed: {said}. It belongs to the role that set up "
            "versioning; run this as that role"
        )
    ):
        yield


__all__ = ["Bind", "Work", "record", "working"]
