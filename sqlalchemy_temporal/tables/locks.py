"""Waiting for locks only so long, and saying who holds them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from sqlalchemy_temporal.capture.install import in_autocommit
from sqlalchemy_temporal.ddl import keys
from sqlalchemy_temporal.errors import LockTimeoutError, UnknownOptionError

Timeout = float | timedelta
"""Seconds, or a timedelta."""

_LOCK_NOT_AVAILABLE: Final = "55P03"
"""``lock_not_available`` (PostgreSQL docs, appendix A)."""

_HOLDERS = text(
    """
    SELECT DISTINCT a.pid, a.usename, a.application_name, a.state, l.relation::regclass::text
      AS held, date_trunc('seconds', clock_timestamp() - a.xact_start)::text AS since, a.query
    FROM pg_locks l
    JOIN pg_stat_activity a ON a.pid = l.pid
    JOIN unnest(CAST(:names AS text[])) AS w(name) ON l.relation = to_regclass(w.name)
    WHERE l.granted AND l.pid <> pg_backend_pid()
    ORDER BY a.pid
    """
)


@contextmanager
def lock_timeout(
    connection: Connection, timeout: Timeout | None, names: Sequence[tuple[str | None, str]]
) -> Iterator[None]:
    """Wait for locks in the block only so long.

    Parameters:
        connection: a connection in a transaction.
        timeout: how long to wait for each lock; None for as long as the server is set to.
        names: schema and name of the tables that are locked, for the message.

    Raises:
        LockTimeoutError: a lock was not to be had; the block was undone.
        UnknownOptionError: the timeout is no time.
    """
    if timeout is None:
        yield
        return
    milliseconds = _milliseconds(timeout)
    if connection.dialect.name != "postgresql":
        yield  # one writer at a time, for whom the driver's own timeout waits
        return
    before = connection.scalar(text("SELECT current_setting('lock_timeout')"))
    _set(connection, f"{milliseconds}ms")
    try:
        if in_autocommit(connection):
            yield
        else:
            with connection.begin_nested():
                yield
    except DBAPIError as error:
        if keys.sqlstate(error) != _LOCK_NOT_AVAILABLE:
            raise
        holders: tuple[str, ...] = ()
        if not in_autocommit(connection):
            holders = _holders(connection, names)
            _set(connection, before)
        raise _refusal(names, milliseconds, holders) from error
    else:
        _set(connection, before)


def _milliseconds(timeout: Timeout) -> int:
    seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
    if seconds <= 0:
        raise UnknownOptionError(
            f"lock_timeout must be a positive number of seconds or a timedelta, not {timeout!r}"
        )
    return max(1, round(seconds * 1000))


def _set(connection: Connection, value: str | None) -> None:
    connection.execute(
        text("SELECT set_config('lock_timeout', :value, true)"), {"value": value or "0"}
    )


def _holders(connection: Connection, names: Sequence[tuple[str | None, str]]) -> tuple[str, ...]:
    quote = connection.dialect.identifier_preparer.quote_identifier
    full = [".".join(quote(part) for part in name if part).replace("%%", "%") for name in names]
    lines = []
    for row in connection.execute(_HOLDERS, {"names": full}):
        who = ", ".join(filter(None, (row.usename, row.application_name, row.state)))
        query = " ".join((row.query or "").split())
        lines.append(f"process {row.pid} ({who}) uses {row.held} since {row.since}: {query}")
    return tuple(lines)


def _refusal(
    names: Sequence[tuple[str | None, str]], milliseconds: int, holders: tuple[str, ...]
) -> LockTimeoutError:
    tables = ", ".join(".".join(part for part in name if part) for name in names)
    who = "; ".join(holders) or "whoever had it has gone by now"
    return LockTimeoutError(
        f"could not lock {tables} within {milliseconds / 1000:g} s, so nothing was changed: {who}. "
        "The lock is needed for a short time only, but it waits for transactions that use the "
        "table, and others wait behind it. Try again, at a quieter time or with a longer "
        "lock_timeout, or end the transaction that holds it",
        holders=holders,
    )


__all__ = ["Timeout", "lock_timeout"]
