"""The functions that take history through a change of the live table's columns.

``close_versions``, ``begin_versions``
    End the current version of every row with this transaction: history gets a copy, and the
    system column is made anew with this transaction as its constant default, which neither
    rewrites the table nor fires anybody's triggers. For changes that alter or lose values of
    existing rows: a column dropped, of another type, or added with a value.
``follow_columns``
    Gives history the columns the live table has now. A column whose type changed is
    converted; the values as they were stay in a column of their own, which hashes of
    earlier commits are computed from.
``convert_column``
    The conversion of one column; names the rows that it fails for.
``backfill_column``
    Gives a column a value in the versions from before it existed, which no hash covers.
``rename_identity``, ``end_identity``
    Keep the list of column identities.

They run with the caller's rights and search path, as ``ALTER TABLE`` does.
"""

from __future__ import annotations

from sqlalchemy_temporal.ddl import keys
from sqlalchemy_temporal.ddl.postgresql.quoting import Quoter
from sqlalchemy_temporal.naming import (
    END_COLUMN,
    FROM_COLUMN,
    ID_COLUMN,
    MAX_IDENTIFIER_BYTES,
    OPERATION_COLUMN,
    TO_COLUMN,
    TX_COLUMN,
)

_NAMED_ROWS = 10
"""How many of the rows that cannot be converted an error names."""


def system_statements(s: str, quote: Quoter) -> tuple[str, ...]:
    """The statements that create or replace the functions in the quoted schema ``s``."""
    return (
        _close_versions(s),
        _begin_versions(s, quote),
        _end_identity(s),
        _rename_identity(s),
        _convert_column(s),
        _follow_columns(s),
        _backfill_column(s),
    )


def _close_versions(s: str) -> str:
    return f"""
CREATE OR REPLACE FUNCTION {s}.close_versions(
  live regclass, history regclass, recorded text[], counted text, alone boolean)
RETURNS bigint
LANGUAGE plpgsql AS $body$
DECLARE
  tx bigint := {s}.start_transaction();
  source text := CASE WHEN alone THEN 'ONLY ' ELSE '' END || live::text;
  names text;
  n bigint;
BEGIN
  SELECT string_agg(quote_ident(c.name), ', ' ORDER BY c.position) INTO names
  FROM unnest(recorded) WITH ORDINALITY AS c(name, position)
  JOIN pg_attribute a ON a.attrelid = live AND a.attname = c.name AND NOT a.attisdropped;
  -- Writers wait from here on, readers only when the columns themselves change.
  EXECUTE 'LOCK TABLE ' || source || ' IN SHARE ROW EXCLUSIVE MODE';
  EXECUTE 'INSERT INTO ' || history::text || ' (' || names ||
    ', {OPERATION_COLUMN}, {TX_COLUMN}, {END_COLUMN}, {FROM_COLUMN}, {TO_COLUMN}) SELECT '
    || names || ', ''UPDATE'', o.{TX_COLUMN}, $1, (SELECT x.started_at FROM {s}.transaction x '
    || 'WHERE x.id = o.{TX_COLUMN}), transaction_timestamp() FROM ' || source
    || ' o WHERE o.{TX_COLUMN} <> $1 ON CONFLICT DO NOTHING' USING tx;
  GET DIAGNOSTICS n = ROW_COUNT;
  PERFORM {s}.note_change(counted, 'update', n);
  RETURN n;
END $body$"""


def _begin_versions(s: str, quote: Quoter) -> str:
    return f"""
CREATE OR REPLACE FUNCTION {s}.begin_versions(live regclass) RETURNS void
LANGUAGE plpgsql AS $body$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = live
      AND a.attname = {quote.literal(TX_COLUMN)} AND a.attinhcount > 0) THEN
    EXECUTE 'ALTER TABLE ' || live::text || ' DROP COLUMN {quote.tx}';
    PERFORM {s}.add_system_column(live);
  END IF;
END $body$"""


def _end_identity(s: str) -> str:
    """Every entry whose values lie in the column gets the new name, the present one an end."""
    return f"""
CREATE OR REPLACE FUNCTION {s}.end_identity(listed bigint, named text) RETURNS text
LANGUAGE plpgsql AS $body$
DECLARE
  archive text;
BEGIN
  SELECT left(named, {MAX_IDENTIFIER_BYTES // 4}) || '__' || max((e.value ->> 'id')::integer)
  INTO archive
  FROM {s}.versioned_tables v, jsonb_array_elements(v.columns) AS e
  WHERE v.id = listed AND e.value ->> 'history' = named;
  archive := coalesce(archive, left(named, {MAX_IDENTIFIER_BYTES // 4}) || '__0');
  UPDATE {s}.versioned_tables v SET columns = (
    SELECT jsonb_agg(CASE WHEN e.value ->> 'history' <> named THEN e.value
      WHEN e.value ->> 'until' IS NULL THEN e.value
        || jsonb_build_object('history', archive, 'until', {s}.start_transaction())
      ELSE e.value || jsonb_build_object('history', archive) END ORDER BY e.position)
    FROM jsonb_array_elements(v.columns) WITH ORDINALITY AS e(value, position))
  WHERE v.id = listed;
  RETURN archive;
END $body$"""


def _rename_identity(s: str) -> str:
    """Also frees the new name in history, when a column of the past has it."""
    return f"""
CREATE OR REPLACE FUNCTION {s}.rename_identity(
  live_schema text, live_name text, history regclass, old_name text, new_name text)
RETURNS void
LANGUAGE plpgsql AS $body$
DECLARE
  listed bigint := (SELECT v.id FROM {s}.versioned_tables v
    WHERE v.table_schema = live_schema AND v.table_name = live_name);
BEGIN
  IF EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = history
      AND a.attname = new_name AND NOT a.attisdropped) THEN
    EXECUTE 'ALTER TABLE ' || history::text || ' RENAME COLUMN ' || quote_ident(new_name)
      || ' TO ' || quote_ident({s}.end_identity(listed, new_name));
  END IF;
  EXECUTE 'ALTER TABLE ' || history::text || ' RENAME COLUMN ' || quote_ident(old_name)
    || ' TO ' || quote_ident(new_name);
  UPDATE {s}.versioned_tables v SET columns = (
    SELECT jsonb_agg(CASE WHEN e.value ->> 'history' = old_name
      THEN e.value || jsonb_build_object('history', new_name)
        || CASE WHEN e.value ->> 'until' IS NULL
          THEN jsonb_build_object('name', new_name) ELSE '{{}}' END
      ELSE e.value END ORDER BY e.position)
    FROM jsonb_array_elements(v.columns) WITH ORDINALITY AS e(value, position))
  WHERE v.id = listed;
END $body$"""


def _convert_column(s: str) -> str:
    return f"""
CREATE OR REPLACE FUNCTION {s}.convert_column(
  live_schema text, live_name text, history regclass, named text, new_type text, written text,
  same boolean)
RETURNS void
LANGUAGE plpgsql AS $body$
DECLARE
  listed record;
  archive text;
  old_type text;
  target text := quote_ident(named);
  expression text := coalesce(written, target || '::' || new_type);
  one record;
  problem text;
  failed text[] := '{{}}';
BEGIN
  SELECT v.id, v.key_columns INTO listed FROM {s}.versioned_tables v
  WHERE v.table_schema = live_schema AND v.table_name = live_name;
  SELECT format_type(a.atttypid, a.atttypmod) INTO STRICT old_type
  FROM pg_attribute a WHERE a.attrelid = history AND a.attname = named AND NOT a.attisdropped;
  BEGIN
    IF same THEN
      EXECUTE 'ALTER TABLE ' || history::text || ' ALTER COLUMN ' || target
        || ' TYPE ' || new_type;
      RETURN;
    END IF;
    archive := quote_ident({s}.end_identity(listed.id, named));
    EXECUTE 'ALTER TABLE ' || history::text || ' ADD COLUMN ' || archive || ' ' || old_type;
    -- One rewrite for both: each expression sees the row as it was.
    EXECUTE 'ALTER TABLE ' || history::text || ' ALTER COLUMN ' || archive || ' TYPE '
      || old_type || ' USING ' || target || ', ALTER COLUMN ' || target || ' TYPE '
      || new_type || ' USING ' || expression;
    RETURN;
  EXCEPTION WHEN data_exception OR integrity_constraint_violation OR cannot_coerce THEN
    problem := SQLERRM;
  END;
  FOR one IN EXECUTE 'SELECT h.{ID_COLUMN} AS id, h.{TX_COLUMN} AS tx, h.' || target
    || '::text AS value, to_jsonb(h) AS every FROM ' || history::text || ' h ORDER BY 1'
  LOOP
    BEGIN
      EXECUTE 'SELECT (' || expression || ')::' || new_type || ' FROM ' || history::text
        || ' WHERE {ID_COLUMN} = $1' USING one.id;
    EXCEPTION WHEN data_exception OR integrity_constraint_violation OR cannot_coerce THEN
      failed := failed || ((SELECT string_agg(k.name || '=' || (one.every ->> k.name), ', ')
        FROM unnest(listed.key_columns) AS k(name)) || ' of transaction ' || one.tx::text
        || ': ' || coalesce(quote_literal(one.value), 'NULL'));
      EXIT WHEN cardinality(failed) >= {_NAMED_ROWS};
    END;
  END LOOP;
  RAISE EXCEPTION USING ERRCODE = '{keys.STATE_UNCONVERTIBLE}',
    MESSAGE = 'versions in the history of ' || live_schema || '.' || live_name || ' cannot have '
      || 'column ' || target || ' as ' || new_type || ' (' || problem || '): '
      || array_to_string(failed, '; '),
    HINT = 'give postgresql_using an expression that converts old values, too';
END $body$"""


def _follow_columns(s: str) -> str:
    return f"""
CREATE OR REPLACE FUNCTION {s}.follow_columns(
  live_schema text, live_name text, live regclass, history regclass, recorded text[])
RETURNS void
LANGUAGE plpgsql AS $body$
DECLARE
  listed bigint := (SELECT v.id FROM {s}.versioned_tables v
    WHERE v.table_schema = live_schema AND v.table_name = live_name);
  one record;
BEGIN
  FOR one IN
    SELECT l.attname AS name, format_type(l.atttypid, l.atttypmod) AS type,
      format_type(h.atttypid, h.atttypmod) AS kept, EXISTS (
        SELECT FROM {s}.versioned_tables v, jsonb_array_elements(v.columns) AS e
        WHERE v.id = listed AND e.value ->> 'name' = l.attname
          AND e.value ->> 'until' IS NULL) AS known
    FROM pg_attribute l
    LEFT JOIN pg_attribute h ON h.attrelid = history AND h.attname = l.attname
      AND h.attnum > 0 AND NOT h.attisdropped
    WHERE l.attrelid = live AND l.attnum > 0 AND NOT l.attisdropped
      AND l.attname = ANY (recorded)
      AND (h.atttypid, h.atttypmod) IS DISTINCT FROM (l.atttypid, l.atttypmod)
    ORDER BY l.attnum
  LOOP
    IF one.kept IS NOT NULL AND one.known THEN
      PERFORM {s}.convert_column(live_schema, live_name, history, one.name, one.type, NULL,
        {s}.stored_as(one.kept) = {s}.stored_as(one.type));
      CONTINUE;
    END IF;
    IF one.kept IS NOT NULL THEN
      -- Another column of this name was here before.
      EXECUTE 'ALTER TABLE ' || history::text || ' RENAME COLUMN ' || quote_ident(one.name)
        || ' TO ' || quote_ident({s}.end_identity(listed, one.name));
    END IF;
    EXECUTE 'ALTER TABLE ' || history::text || ' ADD COLUMN ' || quote_ident(one.name)
      || ' ' || one.type;
  END LOOP;
END $body$"""


def _backfill_column(s: str) -> str:
    return f"""
CREATE OR REPLACE FUNCTION {s}.backfill_column(
  live_schema text, live_name text, history regclass, named text, expression text)
RETURNS bigint
LANGUAGE plpgsql AS $body$
DECLARE
  begun bigint;
  n bigint;
BEGIN
  SELECT (e.value ->> 'since')::bigint INTO begun
  FROM {s}.versioned_tables v, jsonb_array_elements(v.columns) AS e
  WHERE v.table_schema = live_schema AND v.table_name = live_name
    AND e.value ->> 'name' = named AND e.value ->> 'until' IS NULL;
  IF EXISTS (SELECT FROM {s}.versioned_tables v, jsonb_array_elements(v.columns) AS e
      WHERE v.table_schema = live_schema AND v.table_name = live_name
        AND e.value ->> 'history' = named AND e.value ->> 'until' IS NOT NULL) THEN
    RAISE EXCEPTION USING ERRCODE = '{keys.STATE_UNCONVERTIBLE}',
      MESSAGE = 'column ' || quote_ident(named) || ' of ' || live_schema || '.' || live_name
        || ' existed before and was dropped: its past is what it was, and cannot be backfilled';
  END IF;
  -- Ids alone do not order commits; the one that began the column may be this one.
  EXECUTE 'UPDATE ' || history::text || ' AS h SET ' || quote_ident(named) || ' = '
    || expression || ' WHERE h.{TX_COLUMN} <> $1 AND EXISTS (SELECT FROM {s}.transaction t '
    || 'WHERE t.id = h.{TX_COLUMN} AND t.commit_seq < coalesce((SELECT b.commit_seq FROM '
    || '{s}.transaction b WHERE b.id = $1), 9223372036854775807))' USING begun;
  GET DIAGNOSTICS n = ROW_COUNT;
  RETURN n;
END $body$"""
