"""Taking a transaction's id: the piece of SQL that several functions have in common."""

from __future__ import annotations

from typing import Final

from sqlalchemy_temporal.ddl import keys

NO_ID: Final = "coalesce(current_setting('temporal.tx_id', true), '') = ''"
"""Settings local to a transaction read as an empty string after it has ended."""


def take_id(s: str, variable: str = "new_id") -> str:
    """Statements that take this transaction's id and tell it to the session.

    The writing lock is announced before the id exists: who sees neither this lock nor
    the one on the id can be sure that the id will be larger than all there are.

    Written as conditions, which PL/pgSQL evaluates as plain expressions: a ``PERFORM`` is
    a query, and setting up three of them is a third of what a short transaction costs.
    """
    return f"""IF pg_advisory_xact_lock_shared({keys.LOCK_WRITING}, 0) IS NOT NULL THEN
      {variable} := nextval('{s}.transaction_id_seq');
    END IF;
    IF pg_advisory_xact_lock_shared(
        {keys.LOCK_ID}, ({variable} & 2147483647)::integer) IS NULL
      OR set_config('temporal.tx_id', {variable}::text, true) IS NULL
    THEN
    END IF;"""
