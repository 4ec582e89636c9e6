"""The SQL that compares what is stored with what should be."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy_temporal.ddl.postgresql.hashing import HashedTable, LeafSql, Scope, roots
from sqlalchemy_temporal.ddl.postgresql.quoting import Quoter
from sqlalchemy_temporal.naming import (
    END_COLUMN,
    FROM_COLUMN,
    ID_COLUMN,
    TO_COLUMN,
    TX_COLUMN,
)

_OWN = "nullif(current_setting('temporal.tx_id', true), '')::bigint"
"""The id of the transaction under way here, whose rows nobody else sees."""


@dataclass(frozen=True, slots=True)
class Range:
    """The commits to check.

    Attributes:
        after: those with a larger number than this,
        upto: up to this one.
        lo: the smallest transaction id that may matter to one of them.
    """

    after: int
    upto: int
    lo: int


def _commits(s: str, within: Range) -> str:
    return (
        f"WITH x AS MATERIALIZED (SELECT c.tx_id, c.seq FROM {s}.commit AS c "
        f"WHERE c.seq > {within.after} AND c.seq <= {within.upto}) "
    )


def compare_roots(s: str, sql: LeafSql, table: HashedTable, within: Range) -> str:
    """Per commit: ``seq``, ``leaves``, whether the ``rows`` fit, which columns are off."""
    scope = Scope(within.lo) if within.after else Scope()
    stored = (
        f"SELECT r.* FROM {s}.commit_root AS r WHERE r.table_id = {table.id} "
        f"AND r.seq > {within.after} AND r.seq <= {within.upto}"
    )
    gone = (
        f"SELECT x.seq FROM {s}.leaf_override AS o JOIN x ON x.tx_id = o.tx_id "
        f"WHERE o.table_id = {table.id} AND o.kind = 'purged' AND o.original_hash IS NULL"
    )
    same = "a.{0} IS NOT DISTINCT FROM r.{0}".format
    where = f" WHERE coalesce(a.seq, r.seq) NOT IN ({gone})" if table.overridden else ""
    return (
        f"{_commits(s, within)}SELECT coalesce(a.seq, r.seq) AS seq, "
        f"coalesce(a.leaves, 0) AS leaves, {same('leaves')} AS leaves_same, "
        f"{same('root')} AS root_same, {same('marks')} AS marks_same "
        f"FROM ({roots(sql.original_leaves(scope))}) AS a FULL JOIN ({stored}) AS r "
        f"ON r.seq = a.seq{where}"
    )


def locate_leaves(s: str, sql: LeafSql, seqs: list[int]) -> str:
    """Every leaf of some commits, with where it comes from, in the order of commits."""
    wanted = ", ".join(str(seq) for seq in seqs)
    return (
        f"WITH x AS MATERIALIZED (SELECT c.tx_id, c.seq FROM {s}.commit AS c "
        f"WHERE c.seq IN ({wanted})) "
        f"SELECT q.* FROM ({sql.leaves(Scope(), located=True)}) AS q ORDER BY q.seq, q.leaf"
    )


def _key(table: HashedTable, quote: Quoter, alias: str, *, live: bool) -> str:
    pairs = [
        f"{quote.literal(c.identity.name)}, "
        f"{alias}.{quote.name(c.identity.name if live else c.identity.history)}"
        for c in table.columns
        if c.key and c.identity.current
    ]
    return f"jsonb_build_object({', '.join(pairs)})::text"


def unaccounted(
    s: str, sql: LeafSql, table: HashedTable, quote: Quoter, limit: int
) -> tuple[str, ...]:
    """Rows that name a transaction that is no commit: ``place``, ``column``, ``key``, ``tx``."""
    made = []

    def query(place: str, rows: str, alias: str, column: str, *, live: bool) -> None:
        made.append(
            f"SELECT '{place}' AS place, '{column}' AS column, "
            f"{_key(table, quote, alias, live=live)} AS key, {alias}.{column} AS tx "
            f"FROM {rows} AS {alias} "
            f"LEFT JOIN {s}.transaction AS t ON t.id = {alias}.{column} "
            f"WHERE t.id IS NULL AND {alias}.{column} IS DISTINCT FROM {_OWN} LIMIT {limit}"
        )

    if table.has_live:
        query("live", sql.live, "l", TX_COLUMN, live=True)
    if table.has_history:
        query("history", sql.history, "h", TX_COLUMN, live=False)
        query("history", sql.history, "h", END_COLUMN, live=False)
    return tuple(made)


def overlaps(s: str, sql: LeafSql, table: HashedTable, quote: Quoter, limit: int) -> str:
    """Rows with two versions at the same time: ``key``, ``seq`` of the later one."""
    keys = [c for c in table.columns if c.key and c.identity.current]
    live = ", ".join(f"l.{quote.name(c.identity.name)} AS k{c.identity.id}" for c in keys)
    past = ", ".join(f"h.{quote.name(c.identity.history)} AS k{c.identity.id}" for c in keys)
    names = ", ".join(f"v.k{c.identity.id}" for c in keys)
    pairs = ", ".join(f"{quote.literal(c.identity.name)}, q.k{c.identity.id}" for c in keys)
    versions = []
    if table.has_live:
        versions.append(
            f"SELECT {live}, l.{TX_COLUMN} AS began, NULL::bigint AS ended FROM {sql.live} AS l"
        )
    if table.has_history:
        versions.append(
            f"SELECT {past}, h.{TX_COLUMN} AS began, h.{END_COLUMN} AS ended "
            f"FROM {sql.history} AS h"
        )
    return (
        f"SELECT jsonb_build_object({pairs})::text AS key, q.next AS seq FROM ("
        f"SELECT {names}, e.commit_seq AS ended, lead(b.commit_seq) OVER ("
        f"PARTITION BY {names} ORDER BY b.commit_seq, e.commit_seq) AS next "
        f"FROM ({' UNION ALL '.join(versions)}) AS v "
        f"JOIN {s}.transaction AS b ON b.id = v.began "
        f"LEFT JOIN {s}.transaction AS e ON e.id = v.ended) AS q "
        f"WHERE q.next < q.ended OR (q.ended IS NULL AND q.next IS NOT NULL) LIMIT {limit}"
    )


def fields_of_version(s: str, sql: LeafSql, seq: int, key: str, version: int | None) -> str:
    """The fields of one version, and of those before and after it in its place.

    Parameters:
        s: the schema of the library's own tables.
        sql: what writes the leaves.
        seq: the commit that wrote the version.
        key: its key as JSON.
        version: its ``temporal_id``; None for the live row.
    """

    def fields(alias: str, *, live: bool) -> str:
        return ", ".join(each or "''::bytea" for each in sql.fields(alias, live=live))

    live, past = sql.has_key("l", key, live=True), sql.has_key("h", key, live=False)
    of_live = f"SELECT false AS own, {fields('l', live=True)} FROM {sql.live} AS l, x WHERE {live}"
    of_past = f"SELECT false, {fields('h', live=False)} FROM {sql.history} AS h, x WHERE {past}"
    if version is None:
        parts = [
            f"{of_live.replace('false', 'true', 1)} AND l.{TX_COLUMN} = x.tx_id",
            f"{of_past} AND h.{END_COLUMN} = x.tx_id",
        ]
    else:
        this = f"SELECT v.{END_COLUMN} FROM {sql.history} AS v WHERE v.{ID_COLUMN} = {version}"
        parts = [
            f"{of_past.replace('false', 'true', 1)} AND h.{ID_COLUMN} = {version}",
            f"{of_past} AND h.{END_COLUMN} = x.tx_id AND h.{ID_COLUMN} <> {version}",
            f"{of_past} AND h.{TX_COLUMN} IN ({this}) AND h.{ID_COLUMN} <> {version}",
            f"{of_live} AND l.{TX_COLUMN} IN ({this})",
        ]
    return (
        f"WITH x AS MATERIALIZED (SELECT c.tx_id, c.seq FROM {s}.commit AS c WHERE c.seq = {seq}) "
        + " UNION ALL ".join(parts)
    )


def times_of_version(s: str, sql: LeafSql, version: int) -> str:
    """Of one version: whether its times are those of its transactions, or of others."""

    def known(column: str) -> str:
        return f"EXISTS (SELECT FROM {s}.transaction AS t WHERE t.started_at = h.{column})"

    return (
        f"SELECT b.started_at IS NOT DISTINCT FROM h.{FROM_COLUMN} AS from_same, "
        f"e.started_at IS NOT DISTINCT FROM h.{TO_COLUMN} AS to_same, "
        f"{known(FROM_COLUMN)} AS from_known, {known(TO_COLUMN)} AS to_known "
        f"FROM {sql.history} AS h LEFT JOIN {s}.transaction AS b ON b.id = h.{TX_COLUMN} "
        f"LEFT JOIN {s}.transaction AS e ON e.id = h.{END_COLUMN} "
        f"WHERE h.{ID_COLUMN} = {version}"
    )
