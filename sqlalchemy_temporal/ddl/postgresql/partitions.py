"""History in monthly partitions: the functions that make and keep them.

``partition_history``
    Turns a history table into one that is partitioned by month of ``temporal_valid_to``,
    the time at which the transaction that ended a version began. Rows move along; names,
    indexes and rights stay. The primary key gains the partition column, as PostgreSQL asks
    of it; the column follows from the ending transaction, so what the key refuses is the
    same as before. To be called with a short ``lock_timeout``, so that neither writers
    queue behind it nor the server has to end one of two that wait for each other.
``add_partition``
    Adds the partition of one month. Made apart and attached, so that writers of other
    partitions go on; what the DEFAULT partition holds of that month moves into it.
``maintain_partitions``
    Adds the partitions of the months to come, for every partitioned table. Sealing calls
    it when a month is about to run out. It waits for no lock: what it cannot do now, a
    later call does, and until then the DEFAULT partition takes the rows. So no write ever
    fails for want of a partition.

Months are those of UTC.
"""

from __future__ import annotations

from sqlalchemy_temporal.ddl import keys
from sqlalchemy_temporal.naming import ID_COLUMN, TO_COLUMN

_INVOKER = "LANGUAGE plpgsql SET search_path TO pg_catalog, pg_temp SET TimeZone TO 'UTC' AS $body$"
_DEFINER = _INVOKER.replace(" SET search", " SECURITY DEFINER SET search", 1)

DUE = "interval '10 days'"
"""So long before the last partition ends, sealing makes further ones."""


def statements(s: str) -> tuple[str, ...]:
    """The statements that create or replace the functions in the quoted schema ``s``."""
    return (
        _partition_name(s),
        _add_partition(s),
        _add_months(s),
        _maintain(s),
        _partition_history(s),
    )


def is_due(s: str) -> str:
    """The condition under which :func:`maintain_partitions` has something to do."""
    return (
        f"EXISTS (SELECT FROM {s}.versioned_tables v "
        f"WHERE v.partitioned_until < clock_timestamp() + {DUE})"
    )


def _partition_name(s: str) -> str:
    return f"""
CREATE OR REPLACE FUNCTION {s}.partition_name(history text, ending text) RETURNS text
LANGUAGE plpgsql IMMUTABLE SET search_path TO pg_catalog, pg_temp AS $body$
DECLARE
  base text := history;
BEGIN
  IF octet_length(history || ending) > 63 THEN
    WHILE octet_length(base || ending) > 54 LOOP
      base := left(base, -1);
    END LOOP;
    base := base || '_' || substr(md5(history), 1, 8);
  END IF;
  RETURN base || ending;
END $body$"""


def _add_partition(s: str) -> str:
    return f"""
CREATE OR REPLACE FUNCTION {s}.add_partition(parent regclass, month timestamptz)
RETURNS boolean
{_DEFINER}
DECLARE
  space text;
  history text;
  following timestamptz := (month AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC';
  child text;
  rest text;
  within text := '{TO_COLUMN} >= ' || quote_literal(month)
    || ' AND {TO_COLUMN} < ' || quote_literal(following);
BEGIN
  SELECT n.nspname, c.relname INTO space, history
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = parent;
  child := quote_ident(space) || '.'
    || quote_ident({s}.partition_name(history, to_char(month, '"_y"YYYY"m"MM')));
  IF to_regclass(child) IS NOT NULL THEN
    RETURN false;
  END IF;
  rest := (SELECT i.inhrelid::regclass::text
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = parent AND pg_get_expr(c.relpartbound, c.oid) = 'DEFAULT');
  IF rest IS NOT NULL THEN
    EXECUTE 'LOCK TABLE ' || rest || ' IN ACCESS EXCLUSIVE MODE';
  END IF;
  EXECUTE 'CREATE TABLE ' || child || ' (LIKE ' || parent::text || ' INCLUDING STORAGE)';
  IF rest IS NOT NULL THEN
    EXECUTE 'WITH moved AS (DELETE FROM ' || rest || ' WHERE ' || within || ' RETURNING *) '
      || 'INSERT INTO ' || child || ' SELECT * FROM moved';
  END IF;
  EXECUTE 'ALTER TABLE ' || parent::text || ' ATTACH PARTITION ' || child
    || ' FOR VALUES FROM (' || quote_literal(month) || ') TO (' || quote_literal(following) || ')';
  RETURN true;
END $body$"""


def _add_months(s: str) -> str:
    return f"""
CREATE OR REPLACE FUNCTION {s}.add_months(parent regclass, since timestamptz, ahead integer)
RETURNS integer
{_DEFINER}
DECLARE
  month timestamp := date_trunc('month', since AT TIME ZONE 'UTC');
  last timestamp := date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC')
    + make_interval(months => ahead);
  added integer := 0;
BEGIN
  WHILE month <= last LOOP
    IF {s}.add_partition(parent, month AT TIME ZONE 'UTC') THEN
      added := added + 1;
    END IF;
    month := month + interval '1 month';
  END LOOP;
  UPDATE {s}.versioned_tables v
  SET partitioned_until = (last + interval '1 month') AT TIME ZONE 'UTC'
  WHERE to_regclass(quote_ident(v.history_schema) || '.' || quote_ident(v.history_table)) = parent
    AND v.partitioned_until IS DISTINCT FROM (last + interval '1 month') AT TIME ZONE 'UTC';
  RETURN added;
END $body$"""


def _maintain(s: str) -> str:
    return f"""
CREATE OR REPLACE FUNCTION {s}.maintain_partitions(ahead integer DEFAULT 2) RETURNS integer
{_DEFINER.replace(" AS $body$", " SET lock_timeout TO '200ms' AS $body$")}
DECLARE
  parent regclass;
  added integer := 0;
BEGIN
  FOR parent IN
    SELECT c.oid::regclass FROM {s}.versioned_tables v
    JOIN pg_class c
      ON c.oid = to_regclass(quote_ident(v.history_schema) || '.' || quote_ident(v.history_table))
    WHERE c.relkind = 'p' ORDER BY v.id
  LOOP
    BEGIN
      added := added + {s}.add_months(parent, clock_timestamp(), ahead);
    EXCEPTION WHEN lock_not_available OR deadlock_detected OR insufficient_privilege THEN
      RAISE LOG USING MESSAGE = 'partitions of ' || parent::text || ' are made later: ' || SQLERRM;
    END;
  END LOOP;
  RETURN added;
END $body$"""


def _partition_history(s: str) -> str:
    return f"""
CREATE OR REPLACE FUNCTION {s}.partition_history(history regclass, ahead integer DEFAULT 2)
RETURNS bigint
{_INVOKER}
DECLARE
  space text;
  bare text;
  full_name text := history::text;
  aside text;
  aside_name text;
  parent regclass;
  live regclass;
  key text;
  key_name text;
  definitions text[];
  definition text;
  serial text;
  last_id bigint;
  first_at timestamptz;
  moved bigint;
  granted record;
BEGIN
  SELECT n.nspname, c.relname INTO space, bare
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = history;
  full_name := quote_ident(space) || '.' || quote_ident(bare);
  -- Nobody hashes meanwhile: what was looked up of the table would not fit it afterwards.
  PERFORM pg_advisory_xact_lock({keys.LOCK_HASHING}, 0);
  -- Writers wait before their triggers begin, which would not find the history they know.
  live := (SELECT to_regclass(quote_ident(v.table_schema) || '.' || quote_ident(v.table_name))
    FROM {s}.versioned_tables v WHERE v.history_schema = space AND v.history_table = bare);
  IF live IS NOT NULL THEN
    EXECUTE 'LOCK TABLE ' || live::text || ' IN SHARE ROW EXCLUSIVE MODE';
  END IF;
  EXECUTE 'LOCK TABLE ' || full_name || ' IN ACCESS EXCLUSIVE MODE';
  -- The lock of a sequence outlives a savepoint that is rolled back: whoever holds that one
  -- may be waiting for us. So it goes first, while little is lost by giving up.
  serial := pg_get_serial_sequence(full_name, '{ID_COLUMN}');
  EXECUTE 'SELECT last_value FROM ' || serial INTO last_id;
  EXECUTE 'ALTER TABLE ' || full_name || ' ALTER COLUMN {ID_COLUMN} DROP IDENTITY';
  SELECT array_agg(pg_get_indexdef(i.indexrelid)) INTO definitions
  FROM pg_index i WHERE i.indrelid = history AND NOT i.indisprimary;
  SELECT c.conname, string_agg(quote_ident(a.attname), ', ' ORDER BY k.position)
  INTO key_name, key
  FROM pg_constraint c
  CROSS JOIN LATERAL unnest(c.conkey) WITH ORDINALITY AS k(attnum, position)
  JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.attnum
  WHERE c.conrelid = history AND c.contype = 'p' GROUP BY c.conname;
  aside_name := quote_ident({s}.partition_name(bare, '_aside'));
  aside := quote_ident(space) || '.' || aside_name;
  EXECUTE 'ALTER TABLE ' || full_name || ' RENAME TO ' || aside_name;
  EXECUTE 'CREATE TABLE ' || full_name || ' (LIKE ' || aside
    || ' INCLUDING STORAGE) PARTITION BY RANGE ({TO_COLUMN})';
  EXECUTE 'ALTER TABLE ' || full_name || ' ALTER COLUMN {ID_COLUMN} ADD GENERATED ALWAYS AS '
    || 'IDENTITY (START WITH ' || last_id + 1 || ' CACHE 32)';
  parent := to_regclass(full_name);
  EXECUTE 'CREATE TABLE ' || quote_ident(space) || '.'
    || quote_ident({s}.partition_name(bare, '_rest')) || ' PARTITION OF ' || full_name
    || ' DEFAULT';
  FOR granted IN
    SELECT r.rolname, x.privilege_type
    FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) AS x
    LEFT JOIN pg_roles r ON r.oid = x.grantee
    WHERE c.oid = history AND x.grantee <> c.relowner
  LOOP
    EXECUTE 'GRANT ' || granted.privilege_type || ' ON ' || full_name || ' TO '
      || coalesce(quote_ident(granted.rolname), 'PUBLIC');
  END LOOP;
  EXECUTE 'SELECT min({TO_COLUMN}) FROM ' || aside INTO first_at;
  UPDATE {s}.versioned_tables v SET partitioned_until = '-infinity'
  WHERE v.history_schema = space AND v.history_table = bare;
  PERFORM {s}.add_months(parent, coalesce(first_at, clock_timestamp()), ahead);
  EXECUTE 'INSERT INTO ' || full_name || ' OVERRIDING SYSTEM VALUE SELECT * FROM ' || aside;
  GET DIAGNOSTICS moved = ROW_COUNT;
  EXECUTE 'DROP TABLE ' || aside;
  EXECUTE 'ALTER TABLE ' || full_name || ' ADD CONSTRAINT ' || quote_ident(key_name)
    || ' PRIMARY KEY (' || key || ', {TO_COLUMN})';
  FOREACH definition IN ARRAY coalesce(definitions, '{{}}') LOOP
    EXECUTE definition;
  END LOOP;
  EXECUTE 'ANALYZE ' || full_name;
  RETURN moved;
END $body$"""
