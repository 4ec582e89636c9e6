"""The functions that resolve a time or a name to a moment.

``moment_at``, ``moment_of``, ``head``
    Resolve a time or a commit; they raise when there is none.
``unknown``
    The tables of which nothing is recorded at a moment, and why: their versioning began
    later, was disabled then, or their history up to then was purged.
``resolve``
    The same for every kind of question, telling of a problem instead of raising it, and
    how many commits wait to be sealed.

Names and the steps after them (``spring~3^2``) are in :mod:`ddl.postgresql.revisions`.
None of them writes: commits that are not sealed yet are computed from the transactions,
with the same result.
"""

from __future__ import annotations

from sqlalchemy_temporal.ddl import keys
from sqlalchemy_temporal.ddl.postgresql import revisions
from sqlalchemy_temporal.ddl.postgresql.quoting import HEADER


def statements(s: str) -> tuple[str, ...]:
    """The statements that create or replace the functions in the quoted schema ``s``."""
    return (
        _moment_at(s),
        _moment_of(s),
        _head(s),
        *revisions.statements(s),
        _known_at(s),
        _unknown(s),
        _resolve(s),
    )


def _fresh_or_refuse(s: str, last: str = "reached") -> str:
    """Refuse a moment that a fixed snapshot may not see completely.

    It does when it sees each commit from the last sealed one to ``last``: a number that
    is missing was rolled back, or is newer than the snapshot; there is no telling.
    """
    return f"""
  IF current_setting('transaction_isolation') <> 'read committed' AND {last} > (
      SELECT coalesce(max(c.seq), 0) + (
        SELECT count(*) FROM {s}.transaction t
        WHERE t.commit_seq > coalesce(max(c.seq), 0) AND t.commit_seq <= {last})
      FROM {s}.commit c) THEN
    RAISE EXCEPTION USING ERRCODE = '{keys.STATE_SNAPSHOT}',
      MESSAGE = 'this transaction''s snapshot may be older than the moment asked for',
      HINT = 'ask in a transaction with isolation level READ COMMITTED, or begin a new one';
  END IF;"""


def _moment_at(s: str) -> str:
    return f"""
CREATE OR REPLACE FUNCTION {s}.moment_at(asked timestamptz) RETURNS {s}.commit
{HEADER}
DECLARE
  reached bigint;
  found_at {s}.commit;
  first_at timestamptz;
BEGIN
  IF asked > clock_timestamp() THEN
    RAISE EXCEPTION USING ERRCODE = '{keys.STATE_FUTURE}',
      MESSAGE = 'the time ' || asked::text || ' has not come yet: it is '
        || clock_timestamp()::text || ' on the server';
  END IF;
  IF NOT EXISTS (SELECT FROM {s}.commit c WHERE c.effective_at > asked) THEN
    reached := {s}.barrier();{_fresh_or_refuse(s)}
    SELECT * INTO found_at FROM {s}.unsealed(reached) u
    WHERE u.effective_at <= asked ORDER BY u.seq DESC LIMIT 1;
  END IF;
  IF found_at.seq IS NULL THEN
    SELECT * INTO found_at FROM {s}.commit c
    WHERE c.effective_at <= asked ORDER BY c.effective_at DESC LIMIT 1;
  END IF;
  IF found_at.seq IS NULL THEN
    SELECT coalesce(
      (SELECT min(c.effective_at) FROM {s}.commit c),
      (SELECT min(t.committed_at) FROM {s}.transaction t)) INTO first_at;
    RAISE EXCEPTION USING ERRCODE = '{keys.STATE_BEFORE}',
      MESSAGE = 'nothing is known of ' || asked::text || ': '
        || coalesce('versioning began at ' || first_at::text, 'nothing was recorded yet');
  END IF;
  RETURN found_at;
END $body$"""


def _moment_of(s: str) -> str:
    return f"""
CREATE OR REPLACE FUNCTION {s}.moment_of(asked uuid) RETURNS {s}.commit
{HEADER}
DECLARE
  reached bigint;
  node {s}.commit;
BEGIN
  SELECT * INTO node FROM {s}.commit c WHERE c.uuid = asked;
  IF node.seq IS NULL THEN
    reached := {s}.barrier();
    SELECT * INTO node
    FROM {s}.unsealed(reached) u WHERE u.uuid = asked;{_fresh_or_refuse(s, "node.seq")}
  END IF;
  IF node.seq IS NULL THEN
    -- Somebody else may have sealed it just now.
    SELECT * INTO node FROM {s}.commit c WHERE c.uuid = asked;
  END IF;
  IF node.seq IS NULL AND current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION USING ERRCODE = '{keys.STATE_SNAPSHOT}',
      MESSAGE = 'this transaction''s snapshot does not see the commit ' || asked::text,
      HINT = 'begin a new transaction, or use isolation level READ COMMITTED';
  END IF;
  IF node.seq IS NULL THEN
    RAISE EXCEPTION USING ERRCODE = '{keys.STATE_UNKNOWN}',
      MESSAGE = 'no commit has the id ' || asked::text;
  END IF;
  RETURN node;
END $body$"""


def _head(s: str) -> str:
    return f"""
CREATE OR REPLACE FUNCTION {s}.head() RETURNS {s}.commit
{HEADER}
DECLARE
  reached bigint;
  node {s}.commit;
BEGIN
  reached := {s}.barrier();{_fresh_or_refuse(s)}
  SELECT * INTO node FROM {s}.unsealed(reached) u ORDER BY u.seq DESC LIMIT 1;
  IF node.seq IS NULL THEN
    SELECT * INTO node FROM {s}.commit c ORDER BY c.seq DESC LIMIT 1;
  END IF;
  IF node.seq IS NULL THEN
    RAISE EXCEPTION USING ERRCODE = '{keys.STATE_BEFORE}',
      MESSAGE = 'there is no commit yet: nothing was recorded';
  END IF;
  RETURN node;
END $body$"""


def _known_at(s: str) -> str:
    return f"""
CREATE OR REPLACE FUNCTION {s}.known_at(tx bigint, noted timestamptz) RETURNS timestamptz
{HEADER}
BEGIN
  RETURN coalesce(
    (SELECT c.effective_at FROM {s}.commit c WHERE c.tx_id = tx),
    (SELECT t.committed_at FROM {s}.transaction t WHERE t.id = tx),
    noted);
END $body$"""


def _unknown(s: str) -> str:
    def sees(tx: str) -> str:
        return f"({tx} <= node.hi AND {tx} <> ALL (node.inflight))"

    return f"""
CREATE OR REPLACE FUNCTION {s}.unknown(node {s}.commit) RETURNS jsonb
{HEADER}
BEGIN
  RETURN coalesce((
    SELECT jsonb_object_agg(v.history_schema || '.' || v.history_table, CASE
      WHEN NOT {sees("v.enabled_tx_id")} THEN jsonb_build_object('why', 'before',
        'since', NULL, 'until', {s}.known_at(v.enabled_tx_id, v.enabled_at))
      WHEN v.purged_seq > node.seq THEN jsonb_build_object('why', 'purged', 'since', NULL,
        'until', (SELECT c.effective_at FROM {s}.commit c WHERE c.seq = v.purged_seq))
      ELSE jsonb_build_object('why', 'gap',
        'since', {s}.known_at(g.since, g.since_at), 'until', {s}.known_at(g.until, g.until_at))
      END)
    FROM {s}.versioned_tables v
    LEFT JOIN LATERAL (
      SELECT x.since, x.since_at, x.until, x.until_at
      FROM jsonb_to_recordset(v.gaps) AS x(
        since bigint, since_at timestamptz, until bigint, until_at timestamptz)
      UNION ALL
      SELECT v.disabled_tx_id, v.disabled_at, NULL, NULL WHERE v.disabled_tx_id IS NOT NULL
    ) AS g ON {sees("g.since")} AND {sees("g.until")} IS NOT TRUE
    WHERE NOT {sees("v.enabled_tx_id")} OR v.purged_seq > node.seq OR g.since IS NOT NULL
  ), '{{}}');
END $body$"""


def _resolve(s: str) -> str:
    states = (
        keys.STATE_FUTURE,
        keys.STATE_BEFORE,
        keys.STATE_UNKNOWN,
        keys.STATE_SNAPSHOT,
        keys.STATE_BARRIER,
        keys.STATE_AMBIGUOUS,
    )
    caught = " OR ".join(f"SQLSTATE '{state}'" for state in states)
    return f"""
CREATE OR REPLACE FUNCTION {s}.resolve(
  kind text, asked text, steps text,
  OUT problem text, OUT message text, OUT hint text,
  OUT seq bigint, OUT uuid uuid, OUT effective_at timestamptz,
  OUT hi bigint, OUT lo bigint, OUT inflight bigint[], OUT unsealed bigint,
  OUT unknown jsonb, OUT closed text[])
{HEADER}
DECLARE
  node {s}.commit;
BEGIN
  -- What cannot be resolved is an answer, not an error: the transaction goes on.
  BEGIN
    CASE kind
      WHEN 'head' THEN
        node := {s}.head();
      WHEN 'commit' THEN
        node := {s}.moment_of(asked::uuid);
      WHEN 'ref' THEN
        node := {s}.moment_named(asked);
      WHEN 'time' THEN
        node := {s}.moment_at(asked::timestamptz);
      WHEN 'ago' THEN
        node := {s}.moment_at(clock_timestamp() - asked::interval);
    END CASE;
    IF steps <> '' THEN
      node := {s}.walk(node, steps);
    END IF;
  EXCEPTION WHEN {caught} THEN
    problem := SQLSTATE;
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
    RETURN;
  END;
  seq := node.seq; uuid := node.uuid; effective_at := node.effective_at;
  hi := node.hi; lo := node.lo; inflight := node.inflight;
  unknown := {s}.unknown(node);
  closed := ARRAY(
    SELECT v.history_schema || '.' || v.history_table FROM {s}.versioned_tables v
    WHERE v.disabled_tx_id IS NOT NULL ORDER BY 1);
  unsealed := (SELECT q.last_value FROM {s}.commit_seq q)
    - (SELECT coalesce(max(c.seq), 0) FROM {s}.commit c);
END $body$"""
