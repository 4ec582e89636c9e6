"""The function that keeps the identities of a table's columns.

``column_identities``
    What ``versioned_tables.columns`` shall hold, from what it held, what the catalog has
    now, and the transaction at hand. See :mod:`sqlalchemy_temporal.ddl.columns`.

A column keeps its identity as long as stored values are the same bytes under its new type:
longer or shorter ``varchar``, ``char`` and ``bit varying``, ``text`` for ``varchar``, more
digits of a ``numeric`` with the same scale.
"""

from __future__ import annotations

from sqlalchemy_temporal.ddl.postgresql.quoting import HEADER


def statements(s: str) -> tuple[str, ...]:
    """The statements that create or replace the functions in the quoted schema ``s``."""
    return (_stored_as(s), _column_identities(s))


def _stored_as(s: str) -> str:
    return f"""
CREATE OR REPLACE FUNCTION {s}.stored_as(type text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path TO pg_catalog, pg_temp AS $body$
  SELECT CASE
    WHEN type ~ '^(text|character varying(\\(\\d+\\))?)$' THEN 'text'
    WHEN type ~ '^numeric\\(\\d+,-?\\d+\\)$' THEN regexp_replace(type, '\\(\\d+,', '(')
    WHEN type ~ '^(character|bit varying)(\\(\\d+\\))?$' THEN regexp_replace(type, '\\(.*', '')
    ELSE type END
$body$"""


def _column_identities(s: str) -> str:
    return f"""
CREATE OR REPLACE FUNCTION {s}.column_identities(
  known jsonb, live regclass, recorded text[], tx bigint) RETURNS jsonb
{HEADER}
DECLARE
  answer jsonb := '[]';
  entry jsonb;
  kept text[] := '{{}}';
  next_id integer := 1;
  now record;
BEGIN
  FOR entry IN SELECT e.value FROM jsonb_array_elements(coalesce(known, '[]')) AS e LOOP
    next_id := greatest(next_id, (entry ->> 'id')::integer + 1);
    IF entry ->> 'until' IS NULL THEN
      SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type
      INTO now
      FROM pg_attribute a
      WHERE a.attrelid = live AND a.attnum > 0 AND NOT a.attisdropped
        AND a.attname = entry ->> 'name' AND a.attname = ANY (recorded);
      IF now.name IS NOT NULL
          AND {s}.stored_as(now.type) = {s}.stored_as(entry ->> 'type') THEN
        kept := kept || now.name::text;
        entry := entry || jsonb_build_object('type', now.type);
      ELSE
        entry := entry || jsonb_build_object('until', tx);
      END IF;
    END IF;
    answer := answer || jsonb_build_array(entry);
  END LOOP;
  FOR now IN
    SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type
    FROM pg_attribute a
    WHERE a.attrelid = live AND a.attnum > 0 AND NOT a.attisdropped
      AND a.attname = ANY (recorded) AND a.attname <> ALL (kept)
    ORDER BY a.attnum
  LOOP
    answer := answer || jsonb_build_array(jsonb_build_object(
      'id', next_id, 'name', now.name, 'type', now.type,
      'since', tx, 'until', NULL, 'history', now.name));
    next_id := next_id + 1;
  END LOOP;
  RETURN answer;
END $body$"""
