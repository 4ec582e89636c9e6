"""Taking a transaction's id: the piece of SQL that several functions have in common."""

from __future__ import annotations

from sqlalchemy_temporal.ddl import keys


def take_id(s: str) -> str:
    """One statement that takes this transaction's id and tells it to the session.

    The writing lock is announced before the id exists: who sees neither this lock nor
    the one on the id can be sure that the id will be larger than all there are. One
    statement, because each expression of PL/pgSQL is set up anew in each transaction.
    """
    return f"""PERFORM pg_advisory_xact_lock_shared({keys.LOCK_ID}, (q.id & 2147483647)::integer),
    set_config('temporal.tx_id', q.id::text, true)
    FROM (SELECT nextval('{s}.transaction_id_seq') AS id
      FROM (SELECT pg_advisory_xact_lock_shared({keys.LOCK_WRITING}, 0) OFFSET 0) AS announced
      OFFSET 0) AS q"""


NO_ID = "coalesce(current_setting('temporal.tx_id', true), '') = ''"
"""Settings local to a transaction read as an empty string after it has ended."""
