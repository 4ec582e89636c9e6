"""Numbers and codes that the SQL functions and the Python code must agree on.

Advisory locks are taken with two-part keys whose first part says what the lock is for.
They lie in one number space with the application's own, so the first parts are unlikely
values: ``0x7456`` is "tV".
"""

from __future__ import annotations

from typing import Final

from sqlalchemy.exc import DBAPIError

LOCK_COMMITTING: Final = 0x7456_0001
"""Held shared by a transaction from its commit stamp until its end (the barrier)."""
LOCK_WRITING: Final = 0x7456_0002
"""Held shared by a transaction from before it takes its id until its end."""
LOCK_ID: Final = 0x7456_0003
"""Held by a transaction under way; the second part is its id modulo 2**31."""
LOCK_SEALING: Final = 0x7456_0004
"""Held by the one transaction that seals commits."""
LOCK_INSTALLING: Final = 0x7456_0005
"""Held while the library's own objects are created or dropped."""
LOCK_HASHING: Final = 0x7456_0006
"""Held by the one transaction that computes the hashes of commits."""

STATE_INSUFFICIENT_PRIVILEGE: Final = "42501"
"""``insufficient_privilege`` (PostgreSQL docs, appendix A)."""
STATE_LOCK_NOT_AVAILABLE: Final = "55P03"
"""``lock_not_available``."""
STATE_SERIALIZATION: Final = "40001"
"""``serialization_failure``: the transaction is to be tried again."""
STATE_FUTURE: Final = "TV001"
STATE_BEFORE: Final = "TV002"
STATE_UNKNOWN: Final = "TV003"
STATE_SNAPSHOT: Final = "TV004"
STATE_BARRIER: Final = "TV005"
STATE_GAP: Final = "TV006"
STATE_PURGED: Final = "TV007"
STATE_AMBIGUOUS: Final = "TV008"
STATE_STALE: Final = "TV009"
STATE_DRIFT: Final = "TV010"
"""A table was changed without its history."""
STATE_UNCONVERTIBLE: Final = "TV011"
"""Versions in history cannot have a column's new type."""

SHORTEST: Final = 4
"""Digits that an abbreviated uuid or hash must have at least."""


def sqlstate(error: DBAPIError) -> str | None:
    """The five-character SQLSTATE of a driver's error, when it has one."""
    return getattr(error.orig, "sqlstate", None) or getattr(error.orig, "pgcode", None)
