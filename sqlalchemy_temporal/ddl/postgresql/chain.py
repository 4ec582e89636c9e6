"""The SQL that reads commits for their hashes, and writes these."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

_UTF8 = "convert_to({}, 'UTF8')".format
_TIME = "timestamptz_send({})".format
_UUID = "uuid_send({})".format
_PLAIN = "int8send({})".format

COMMIT_FIELDS: Final[dict[str, str]] = {
    "commit.seq": _PLAIN("c.seq"),
    "commit.tx_id": _PLAIN("c.tx_id"),
    "commit.uuid": _UUID("c.uuid"),
    "commit.parent_uuid": _UUID("c.parent_uuid"),
    "commit.merge_parent_uuid": _UUID("c.merge_parent_uuid"),
    "commit.effective_at": _TIME("c.effective_at"),
    "commit.hi": _PLAIN("c.hi"),
    "commit.lo": _PLAIN("c.lo"),
    "commit.inflight": (
        "coalesce((SELECT string_agg(int8send(i.id), ''::bytea ORDER BY i.n) "
        "FROM unnest(c.inflight) WITH ORDINALITY AS i (id, n)), ''::bytea)"
    ),
    "transaction.id": _PLAIN("t.id"),
    "transaction.commit_seq": _PLAIN("t.commit_seq"),
    "transaction.started_at": _TIME("t.started_at"),
    "transaction.committed_at": _TIME("t.committed_at"),
    "transaction.uuid": _UUID("t.uuid"),
    "transaction.operation": _UTF8("t.operation"),
    "transaction.database_user": _UTF8("t.database_user"),
    "transaction.author": _UTF8("t.author"),
    "transaction.message": _UTF8("t.message"),
    "transaction.context": _UTF8("t.context::text"),
    "transaction.counts": _UTF8("t.counts::text"),
    "transaction.parent_uuid": _UUID("t.parent_uuid"),
    "transaction.merge_parent_uuid": _UUID("t.merge_parent_uuid"),
}
"""The fields that a commit's hash covers, in order, and their bytes in PostgreSQL."""


def select_links(s: str) -> str:
    """Commits in order with the bytes of their fields, their roots and what they build on."""
    fields = ", ".join(f"{sql} AS f{number}" for number, sql in enumerate(COMMIT_FIELDS.values()))
    roots = (
        "SELECT array_agg(int4send(r.table_id) || int8send(r.leaves) || r.root "
        f"ORDER BY r.table_id) FROM {s}.commit_root r WHERE r.seq = c.seq"
    )
    return (
        f"SELECT c.seq, c.tx_id, c.uuid, c.hash, c.marks, c.parent_uuid, c.merge_parent_uuid, "
        f"c.effective_at, c.hi, c.lo, c.inflight, t.id IS NOT NULL AS known, t.committed_at, "
        f"t.parent_uuid AS stated_parent_uuid, {fields}, ({roots}) AS roots, "
        f"(SELECT b.hash FROM {s}.commit b WHERE b.seq < c.seq ORDER BY b.seq DESC LIMIT 1) "
        "AS previous_hash, p.hash AS parent_hash, p.seq AS parent_seq, m.hash AS merge_hash, "
        f"m.seq AS merge_seq FROM {s}.commit c "
        f"LEFT JOIN {s}.transaction t ON t.id = c.tx_id "
        f"LEFT JOIN {s}.commit p ON p.uuid = c.parent_uuid "
        f"LEFT JOIN {s}.commit m ON m.uuid = c.merge_parent_uuid "
        "WHERE c.seq > :after AND c.seq <= :upto ORDER BY c.seq LIMIT :step"
    )


def insert_roots(s: str, table_id: int, roots: str, commits: Iterable[tuple[int, int]]) -> str:
    """Write the roots of one table for some commits, given as transaction id and number.

    As constants, so that the planner knows how many there are: a join with a guessed number
    would compare each row with each commit.
    """
    pairs = list(commits)
    ids, seqs = (",".join(str(pair[at]) for pair in pairs) for at in (0, 1))
    return (
        "WITH x AS MATERIALIZED (SELECT u.tx_id, u.seq "
        f"FROM unnest('{{{ids}}}'::bigint[], '{{{seqs}}}'::bigint[]) AS u (tx_id, seq)) "
        f"INSERT INTO {s}.commit_root (seq, table_id, leaves, root, marks) "
        f"SELECT q.seq, {table_id}, q.leaves, q.root, q.marks FROM ({roots}) AS q "
        "ON CONFLICT DO NOTHING"  # sealed again: what was hashed stays
    )


def update_hashes(s: str) -> str:
    """Write the hashes of commits, given as JSON in ``:values``; those there are stay."""
    return (
        f"UPDATE {s}.commit AS c SET hash = decode(v.hash, 'hex'), "
        "marks = decode(v.marks, 'hex') FROM jsonb_to_recordset(CAST(:values AS jsonb)) "
        "AS v (seq bigint, hash text, marks text) WHERE c.seq = v.seq AND c.hash IS NULL"
    )
