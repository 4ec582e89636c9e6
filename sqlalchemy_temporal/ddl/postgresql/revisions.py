"""The functions that find a commit by a name, and walk from it to an ancestor.

``ref_kind``, ``ref_name``
    What a name asks for: ``tags/v1`` and ``heads/spring`` say their kind.
``is_named``
    Whether a name is that of a tag, a branch, or an abbreviated uuid or hash.
``moment_named``
    The commit of that name. The current branch is wherever HEAD is.
``abbreviated``
    The commits whose uuid or hash begins with some digits.
``walk``
    Follows ``~n`` (n times the first parent) and ``^n`` (the n-th parent).
"""

from __future__ import annotations

from sqlalchemy_temporal.ddl import keys
from sqlalchemy_temporal.ddl.postgresql.quoting import HEADER, LOOKING_UP


def statements(s: str) -> tuple[str, ...]:
    """The statements that create or replace the functions in the quoted schema ``s``."""
    return (
        _ref_kind(s),
        _ref_name(s),
        _abbreviated(s),
        _is_named(s),
        _moment_named(s),
        _walk(s),
    )


def _ref_kind(s: str) -> str:
    return f"""
CREATE OR REPLACE FUNCTION {s}.ref_kind(asked text) RETURNS text
LANGUAGE sql IMMUTABLE AS $body$
  SELECT CASE WHEN pg_catalog.starts_with(asked, 'tags/') THEN 'tag'
    WHEN pg_catalog.starts_with(asked, 'heads/') THEN 'branch' END
$body$"""


def _ref_name(s: str) -> str:
    return f"""
CREATE OR REPLACE FUNCTION {s}.ref_name(asked text) RETURNS text
LANGUAGE sql IMMUTABLE AS $body$
  SELECT CASE WHEN pg_catalog.starts_with(asked, 'tags/') THEN pg_catalog.substr(asked, 6)
    WHEN pg_catalog.starts_with(asked, 'heads/') THEN pg_catalog.substr(asked, 7)
    ELSE asked END
$body$"""


def _abbreviated(s: str) -> str:
    return f"""
CREATE OR REPLACE FUNCTION {s}.abbreviated(asked text) RETURNS SETOF uuid
{HEADER}
DECLARE
  digits text := lower(replace(asked, '-', ''));
  least uuid;
  most uuid;
BEGIN
  IF digits !~ '^[0-9a-f]{{{keys.SHORTEST},}}$' OR length(digits) > 64 THEN
    RETURN;
  END IF;
  IF length(digits) <= 32 THEN
    least := rpad(digits, 32, '0')::uuid;
    most := rpad(digits, 32, 'f')::uuid;
    RETURN QUERY SELECT c.uuid FROM {s}.commit c WHERE c.uuid BETWEEN least AND most
      UNION SELECT u.uuid FROM {s}.unsealed({s}.barrier()) u WHERE u.uuid BETWEEN least AND most;
  END IF;
  RETURN QUERY SELECT c.uuid FROM {s}.commit c
    WHERE c.hash BETWEEN decode(rpad(digits, 64, '0'), 'hex')
      AND decode(rpad(digits, 64, 'f'), 'hex')
      AND (least IS NULL OR c.uuid NOT BETWEEN least AND most);
END $body$"""


def _is_named(s: str) -> str:
    return f"""
CREATE OR REPLACE FUNCTION {s}.is_named(asked text) RETURNS boolean
{HEADER}
BEGIN
  RETURN EXISTS (SELECT FROM {s}.ref r WHERE r.name = {s}.ref_name(asked)
      AND r.kind = coalesce({s}.ref_kind(asked), r.kind))
    OR EXISTS (SELECT FROM {s}.abbreviated(asked));
END $body$"""


def _moment_named(s: str) -> str:
    return f"""
CREATE OR REPLACE FUNCTION {s}.moment_named(asked text) RETURNS {s}.commit
{HEADER}
DECLARE
  kinds text[];
  at_commit uuid;
  node {s}.commit;
  candidates uuid[];
BEGIN
  SELECT array_agg(r.kind ORDER BY r.kind), min(r.commit_uuid::text)::uuid
  INTO kinds, at_commit
  FROM {s}.ref r
  WHERE r.name = {s}.ref_name(asked) AND r.kind = coalesce({s}.ref_kind(asked), r.kind);
  IF cardinality(kinds) > 1 THEN
    RAISE EXCEPTION USING ERRCODE = '{keys.STATE_AMBIGUOUS}',
      MESSAGE = quote_literal(asked) || ' is the name of both a tag and a branch',
      HINT = 'say which: ' || quote_literal('tags/' || asked) || ' or '
        || quote_literal('heads/' || asked);
  END IF;
  IF kinds IS NOT NULL AND at_commit IS NULL THEN
    -- HEAD first, and then whether the branch still is the current one.
    node := {s}.head();
    SELECT r.commit_uuid INTO at_commit FROM {s}.ref r
    WHERE r.name = {s}.ref_name(asked) AND r.kind = 'branch';
    IF at_commit IS NULL THEN
      RETURN node;
    END IF;
  END IF;
  IF kinds IS NULL THEN
    candidates := ARRAY(SELECT {s}.abbreviated(asked) ORDER BY 1 LIMIT 4);
    IF cardinality(candidates) > 1 THEN
      RAISE EXCEPTION USING ERRCODE = '{keys.STATE_AMBIGUOUS}',
        MESSAGE = quote_literal(asked) || ' is the beginning of several commits: '
          || array_to_string(candidates, ', '),
        HINT = 'give more digits';
    END IF;
    at_commit := candidates[1];
  END IF;
  IF at_commit IS NULL THEN
    RAISE EXCEPTION USING ERRCODE = '{keys.STATE_UNKNOWN}',
      MESSAGE = 'no tag, branch or commit is called ' || quote_literal(asked);
  END IF;
  RETURN {s}.moment_of(at_commit);
END $body$"""


def _walk(s: str) -> str:
    # Where the line simply goes on, ancestors are counted in the index instead of being
    # followed one by one.
    return f"""
CREATE OR REPLACE FUNCTION {s}.walk(start {s}.commit, steps text) RETURNS {s}.commit
{LOOKING_UP}
DECLARE
  node {s}.commit := start;
  found {s}.commit;
  waiting {s}.commit[];
  step text[];
  n bigint;
  began bigint;
  passed bigint;
  next uuid;
  sealed boolean;
BEGIN
  sealed := EXISTS (SELECT FROM {s}.commit c WHERE c.uuid = start.uuid);
  IF NOT sealed THEN
    waiting := ARRAY(SELECT u FROM {s}.unsealed(start.seq) u);
  END IF;
  FOR step IN SELECT m FROM regexp_matches(steps, '([~^])([0-9]*)', 'g') AS m LOOP
    n := coalesce(nullif(step[2], ''), '1')::bigint;
    IF step[1] = '^' AND n > 1 THEN
      IF n > 2 OR node.merge_parent_uuid IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = '{keys.STATE_UNKNOWN}',
          MESSAGE = 'the commit ' || node.uuid::text || ' has no parent number ' || n::text;
      END IF;
      next := node.merge_parent_uuid;
      n := 0;
    END IF;
    WHILE n > 0 OR next IS NOT NULL LOOP
      IF next IS NULL AND sealed THEN
        SELECT coalesce(max(t.commit_seq), 0) INTO began FROM {s}.transaction t
        WHERE t.commit_seq <= node.seq
          AND (t.parent_uuid IS NOT NULL OR t.merge_parent_uuid IS NOT NULL);
        SELECT * INTO found FROM {s}.commit c
        WHERE c.seq BETWEEN began AND node.seq ORDER BY c.seq DESC OFFSET n LIMIT 1;
        IF found.seq IS NULL THEN
          SELECT n - count(*) + 1 INTO n FROM {s}.commit c WHERE c.seq BETWEEN began AND node.seq;
          SELECT * INTO found FROM {s}.commit c WHERE c.seq >= began ORDER BY c.seq LIMIT 1;
        ELSE
          n := 0;
        END IF;
        node := found;
      END IF;
      IF next IS NULL AND n > 0 THEN
        next := node.parent_uuid;
        n := n - 1;
        IF next IS NULL THEN
          RAISE EXCEPTION USING ERRCODE = '{keys.STATE_BEFORE}',
            MESSAGE = 'there is no commit ' || steps || ' of ' || start.uuid::text
              || ': it lies before the first commit';
        END IF;
      END IF;
      IF next IS NOT NULL THEN
        SELECT * INTO found FROM {s}.commit c WHERE c.uuid = next;
        sealed := found.seq IS NOT NULL;
        IF NOT sealed THEN
          SELECT * INTO found FROM unnest(waiting) w WHERE w.uuid = next;
        END IF;
        node := found;
        next := NULL;
      END IF;
    END LOOP;
  END LOOP;
  RETURN node;
END $body$"""
