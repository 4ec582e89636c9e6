"""Taking a transaction's id: the piece of SQL that several functions have in common."""

from __future__ import annotations

from typing import Final

from sqlalchemy_temporal.ddl import keys

ID: Final = "pg_catalog.current_setting('temporal.tx_id', true)"
"""This transaction's id as text. Settings local to a transaction read as an empty string
after it has ended, and as NULL before the first."""

KNOWN_ID: Final = f"('0' OPERATOR(pg_catalog.||) {ID})::pg_catalog.int8"
"""The id; 0 or NULL where none was taken."""


def own_id(s: str) -> str:
    """An expression: this transaction's id, which is taken unless it has one.

    The writing lock is announced before the id exists: who sees neither this lock nor
    the one on the id can be sure that the id will be larger than all there are.

    One expression, whose parts are evaluated in their order: PL/pgSQL sets up each anew in
    each transaction, and a query costs ten times as much. All names are qualified, so that it
    may stand in functions without a search path of their own.
    """
    sequence = f"'{s}.transaction_id_seq'::pg_catalog.regclass"
    lock = "pg_catalog.pg_advisory_xact_lock_shared"
    return f"""CASE
    WHEN {ID} OPERATOR(pg_catalog.<>) '' THEN {ID}::pg_catalog.int8
    WHEN {lock}({keys.LOCK_WRITING}, 0) IS NOT NULL
      AND pg_catalog.set_config('temporal.tx_id', pg_catalog.nextval(
        {sequence})::pg_catalog.text, true) IS NOT NULL
      AND {lock}({keys.LOCK_ID}, (pg_catalog.currval({sequence})
        OPERATOR(pg_catalog.&) 2147483647)::pg_catalog.int4) IS NOT NULL
    THEN pg_catalog.currval({sequence}) END"""
