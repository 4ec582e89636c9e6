"""The SQL that keeps the chain of hashes whole when versions are purged or redacted.

A commit that was hashed is proved by the leaves of its rows. Before a version goes, or
changes on purpose, its leaves are noted in ``leaf_override``. A commit of which all leaves
go at once needs none of them: its root stands for it, and the entry is empty. Commits that
are not hashed yet need nothing: their hash will be over what is left.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy_temporal.ddl.postgresql.hashing import HashedTable, LeafSql
from sqlalchemy_temporal.naming import END_COLUMN, ID_COLUMN, TX_COLUMN


def over(hi: int, inflight: Iterable[int], after: int, upto: int) -> str:
    """The condition on versions ``h`` that transactions after ``after`` up to ``upto`` ended.

    Parameters:
        hi: the largest id visible at the moment they must be over at.
        inflight: smaller ids that are not visible then.
        after: the smallest ending transaction, exclusive.
        upto: the largest, inclusive.
    """
    hidden = ", ".join(str(int(each)) for each in inflight)
    end = f"h.{END_COLUMN}"
    return (
        f"{end} > {int(after)} AND {end} <= {int(min(upto, hi))} "
        f"AND {end} <> ALL (ARRAY[{hidden}]::bigint[])"
    )


def among(temporary: str) -> str:
    """The condition that versions ``h`` are listed in a temporary table."""
    same = " AND ".join(f"c.{name} = h.{name}" for name in (ID_COLUMN, END_COLUMN, TX_COLUMN))
    return f"EXISTS (SELECT FROM pg_temp.{temporary} AS c WHERE {same})"


def note_purged(s: str, sql: LeafSql, table: HashedTable, source: str) -> str:
    """Note the leaves of the versions that ``source`` selects, which are about to go.

    Parameters:
        s: the quoted schema of the library's own tables.
        sql: what writes the leaves of the table.
        table: the table.
        source: a query of whole rows of its history.
    """
    began, ended = f"x.tx_id = h.{TX_COLUMN}", f"x.tx_id = h.{END_COLUMN}"
    some = "x.seq NOT IN (SELECT w.seq FROM whole AS w)"
    written = f"SELECT x.seq, x.tx_id, {sql.written('h', live=False)} AS leaf FROM gone AS h"
    leaves = (
        f"{written} JOIN x ON {began} WHERE {some} UNION ALL "
        f"SELECT x.seq, x.tx_id, {sql.ended('h')} FROM gone AS h JOIN x ON {ended} WHERE {some}"
    )
    if table.overridden:
        leaves = f"SELECT q.seq, q.tx_id, {_original(s, table, 'q')} AS leaf FROM ({leaves}) AS q"
    entry = f"{table.id}, {{}}, 'purged', {{}}, NULL::bytea, {s}.start_transaction()".format
    return f"""WITH x AS MATERIALIZED (SELECT c.tx_id, c.seq FROM {s}.commit AS c
    WHERE c.hash IS NOT NULL),
  gone AS MATERIALIZED ({source}),
  whole AS MATERIALIZED (
    SELECT q.seq, q.tx_id FROM (
      SELECT x.seq, x.tx_id FROM gone AS h JOIN x ON {began} UNION ALL
      SELECT x.seq, x.tx_id FROM gone AS h JOIN x ON {ended}) AS q
    GROUP BY q.seq, q.tx_id HAVING count(*) = (
      SELECT r.leaves FROM {s}.commit_root AS r WHERE r.seq = q.seq AND r.table_id = {table.id}))
INSERT INTO {s}.leaf_override
  (table_id, tx_id, kind, original_hash, current_hash, by_tx_id)
SELECT {entry("l.tx_id", "string_agg(l.leaf, ''::bytea)")} FROM ({leaves}) AS l GROUP BY l.tx_id
UNION ALL
SELECT {entry("w.tx_id", "NULL::bytea")} FROM whole AS w"""


def written_leaves(
    s: str, sql: LeafSql, table: HashedTable, versions: Iterable[tuple[int, int]]
) -> str:
    """The leaves of some versions: ``id``, ``tx_id``, ``original``, ``current``.

    ``original`` is the leaf before anything was redacted. Versions that commits without a
    hash wrote are left out.

    Parameters:
        s: the quoted schema of the library's own tables.
        sql: what writes the leaves of the table.
        table: the table.
        versions: ``temporal_id`` and ending transaction of each; the latter has an index.
    """
    pairs = list(versions)
    ids, ends = ({str(int(pair[n])) for pair in pairs} for n in (0, 1))
    leaves = (
        f"SELECT h.{ID_COLUMN} AS id, x.tx_id, {sql.written('h', live=False)} AS leaf "
        f"FROM {sql.history} AS h JOIN x ON x.tx_id = h.{TX_COLUMN} "
        f"WHERE h.{END_COLUMN} = ANY (ARRAY[{', '.join(ends)}]::bigint[]) "
        f"AND h.{ID_COLUMN} = ANY (ARRAY[{', '.join(ids)}]::bigint[])"
    )
    return (
        f"WITH x AS (SELECT c.tx_id, c.seq FROM {s}.commit AS c WHERE c.hash IS NOT NULL) "
        f"SELECT q.id, q.tx_id, {_original(s, table, 'q')} AS original, q.leaf AS current "
        f"FROM ({leaves}) AS q"
    )


def _original(s: str, table: HashedTable, alias: str) -> str:
    """The leaf ``alias.leaf`` as it was before it was redacted."""
    return (
        f"coalesce((SELECT v.original_hash FROM {s}.leaf_override AS v "
        f"WHERE v.table_id = {table.id} AND v.tx_id = {alias}.tx_id AND v.kind = 'redacted' "
        f"AND v.current_hash = {alias}.leaf LIMIT 1), {alias}.leaf)"
    )


__all__ = ["among", "note_purged", "over", "written_leaves"]
