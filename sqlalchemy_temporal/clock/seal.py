"""Sealing on demand, in a transaction of its own.

A moment can be resolved whether commits are sealed or not; sealed ones are found, the
others are computed each time. Sealing in the transaction of the one who asks would make a
reader a writer, hold up everybody else's sealing until that transaction ends, and be lost
when it is rolled back, as readers mostly are.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, Engine, text
from sqlalchemy.pool import NullPool, Pool, QueuePool

from sqlalchemy_temporal.naming import DEFAULT_SCHEMA

ENOUGH: Final = 64
"""Unsealed commits that are worth a transaction: computing them takes about a millisecond,
and sealing them about as long as five commits."""


def seal(connection: Connection, schema: str = DEFAULT_SCHEMA) -> bool:
    """Seal every commit so far, in the transaction of ``connection``.

    Parameters:
        connection: a connection that may write, in READ COMMITTED. Commit soon: nobody
            else can seal before.
        schema: the schema of the library's own tables.

    Returns:
        Whether it did; False when somebody else is sealing, or the transaction is
        read-only or has a fixed snapshot.
    """
    if connection.dialect.name == "sqlite":
        return True  # with one writer at a time, each commit is sealed as it is made
    quoted = connection.dialect.identifier_preparer.quote(schema)
    return connection.scalar(text(f"SELECT {quoted}.seal()")) is not None


def seal_apart(connection: Connection, schema: str) -> None:
    """Seal on another connection of the same pool, when it has one to spare."""
    engine = connection.engine
    if connection.dialect.name == "sqlite":
        return
    if not has_spare(engine.pool) or read_only(connection):
        return
    with _plain(engine).begin() as other:
        seal(other, schema)


def has_spare(pool: Pool) -> bool:
    """Whether another connection can be had at once; never wait, never share."""
    if isinstance(pool, NullPool):
        return True
    if not isinstance(pool, QueuePool):
        return False
    unlimited = pool._max_overflow == -1
    return unlimited or pool.checkedin() > 0 or pool.overflow() < pool._max_overflow


def read_only(connection: Connection) -> bool:
    """Whether nothing may be written: a standby, a read-only default or transaction."""
    return bool(
        connection.scalar(
            text(
                "SELECT pg_is_in_recovery() "
                "OR current_setting('default_transaction_read_only') = 'on' "
                "OR current_setting('transaction_read_only') = 'on'"
            )
        )
    )


def _plain(engine: Engine) -> Engine:
    return engine.execution_options(isolation_level="READ COMMITTED")
