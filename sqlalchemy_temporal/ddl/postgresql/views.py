"""Views that show a table as of the moment the session travelled to.

``SELECT temporal_versioning.travel_to('2024-01-15 10:30+00')`` keeps the moment in
settings of the transaction; one view per versioned table, in a schema of their own, reads
them. With ``SET search_path = temporal_as_of, public`` any SQL travels in time.

A view is a shell around a SQL function with the query as text, which the planner puts in
its place (PostgreSQL docs, 36.5, Query Language Functions; the function is STABLE and has
neither owner's rights nor settings). A view over the tables themselves would make every
``ALTER TABLE ... DROP COLUMN`` and ``ALTER COLUMN ... TYPE`` fail, as it depends on the
columns; the text of a function depends on nothing.

The moment is read by scalar sub-selects, which are evaluated once for a query and not
once for a row.
"""

from __future__ import annotations

from sqlalchemy_temporal.ddl import keys
from sqlalchemy_temporal.ddl.blocks import BLOCK, BLOCK_SQL, BLOCKS_SQL, PRESENT
from sqlalchemy_temporal.ddl.postgresql.quoting import HEADER, Quoter
from sqlalchemy_temporal.ddl.postgresql.table import TableSql
from sqlalchemy_temporal.ddl.spec import ColumnSpec
from sqlalchemy_temporal.naming import END_COLUMN, TX_COLUMN

_PRESENT = 2**63 - 2
"""In the present every transaction is visible, and no live version has ended."""
_NEVER = 2**63 - 1


def _setting(name: str, otherwise: object, sql_type: str) -> str:
    value = f"NULLIF(pg_catalog.current_setting('temporal.as_of_{name}', true), '')"
    return f"(SELECT COALESCE({value}, '{otherwise}')::pg_catalog.{sql_type})"


_HI = _setting("hi", _PRESENT, "int8")
_LO = _setting("lo", _PRESENT, "int8")


# COALESCE makes it an array expression; a bare sub-select after ALL is a set of rows.
_INFLIGHT = f"COALESCE({_setting('inflight', '{}', '_int8')}, '{{}}')"
# In the present, no version of history stands.
_BLOCKS = f"COALESCE({_setting('blocks', f'{{{PRESENT}}}', '_int8')}, '{{}}')"


def _visible(column: str) -> str:
    return f"({column} <= {_HI} AND {column} <> ALL ({_INFLIGHT}))"


def view_statements(sql: TableSql, *, closed: bool = False) -> tuple[str, ...]:
    """Create the function and the view of one versioned table.

    Parameters:
        sql: the table.
        closed: whether its versioning is disabled. Then its past lies in history alone, and
            the live table, which has no system column, is read in the present only.
    """
    quote, spec = sql.quote, sql.spec
    columns = (*spec.columns, *spec.unrecorded)
    returned = ", ".join(f"{quote.parameter(c.name)} {c.type}" for c in columns)
    names = quote.names(c.name for c in columns)
    function = sql.function("as_of")
    started, live = f"l.{TX_COLUMN}", f"{sql.live} l"
    if closed:
        started, live = "0::pg_catalog.int8", f"{live} WHERE {_HI} = {_PRESENT}"
    return (
        f"CREATE SCHEMA IF NOT EXISTS {quote.name(spec.view_schema)}",
        f"""CREATE FUNCTION {function}() RETURNS TABLE ({returned})
LANGUAGE sql STABLE ROWS 1000 AS $body$
SELECT {quote.names((c.name for c in columns), "u.")} FROM (
  SELECT {_live(spec.columns, spec.unrecorded, quote)},
    {started} AS temporal_start, {_NEVER}::pg_catalog.int8 AS temporal_end,
    {PRESENT}::pg_catalog.int8 AS {BLOCK}
  FROM {live}
  UNION ALL
  SELECT {_past(spec.columns, spec.unrecorded, quote)}, h.{TX_COLUMN}, h.{END_COLUMN},
    {BLOCK_SQL}
  FROM {sql.history} h) AS u
WHERE {_is_known(sql)} AND u.{BLOCK} = ANY ({_BLOCKS}) AND u.temporal_end >= {_LO}
  AND {_visible("u.temporal_start")} AND NOT {_visible("u.temporal_end")}
$body$""",
        f"CREATE VIEW {view_name(sql)} AS SELECT {names} FROM {function}()",
    )


def _is_known(sql: TableSql) -> str:
    """Refuse to show a table at a moment of which nothing of it is recorded."""
    history = sql.quote.literal(f"{sql.spec.history_schema}.{sql.spec.history_table}")
    unknown = "NULLIF(pg_catalog.current_setting('temporal.as_of_unknown', true), '')"
    said = f"(COALESCE({unknown}, '{{}}')::pg_catalog.jsonb OPERATOR(pg_catalog.->) {history})"
    return (
        f"(SELECT CASE WHEN {said} IS NOT NULL THEN {sql.schema}.refuse_unknown("
        f"{sql.quote.literal(sql.spec.qualified)}, {said}) ELSE true END)"
    )


def drop_view_statements(sql: TableSql) -> tuple[str, ...]:
    """Drop the view and the function of one versioned table."""
    return (
        f"DROP VIEW IF EXISTS {view_name(sql)}",
        f"DROP FUNCTION IF EXISTS {sql.function('as_of')}()",
    )


def view_name(sql: TableSql) -> str:
    """The quoted view of one versioned table."""
    return f"{sql.quote.name(sql.spec.view_schema)}.{sql.quote.name(sql.spec.view)}"


def _live(
    columns: tuple[ColumnSpec, ...], unrecorded: tuple[ColumnSpec, ...], quote: Quoter
) -> str:
    """The live row; what is not recorded is shown in the present only."""
    now = f"{_HI} = {_PRESENT}"
    shown = [f"l.{quote.name(c.name)}" for c in columns]
    shown += [
        f"CASE WHEN {now} THEN l.{quote.name(c.name)} END AS {quote.name(c.name)}"
        for c in unrecorded
    ]
    return ", ".join(shown)


def _past(
    columns: tuple[ColumnSpec, ...], unrecorded: tuple[ColumnSpec, ...], quote: Quoter
) -> str:
    shown = [f"h.{quote.name(c.name)}" for c in columns]
    shown += [f"NULL::{c.type}" for c in unrecorded]
    return ", ".join(shown)


def system_statements(s: str) -> tuple[str, ...]:
    """The functions that set the moment, in the quoted schema ``s``."""
    moment = f"""PERFORM set_config('temporal.as_of_hi', node.hi::text, true),
    set_config('temporal.as_of_lo', node.lo::text, true),
    set_config('temporal.as_of_inflight', node.inflight::text, true),
    set_config('temporal.as_of_blocks',
      ({BLOCKS_SQL.format(ids="(node.inflight || node.hi)")})::text, true),
    set_config('temporal.as_of_unknown', {s}.unknown(node)::text, true);
  RETURN node.effective_at;"""
    return (
        f"""
CREATE OR REPLACE FUNCTION {s}.refuse_unknown(name text, said jsonb) RETURNS boolean
{HEADER}
BEGIN
  RAISE EXCEPTION USING
    ERRCODE = CASE said ->> 'why' WHEN 'before' THEN '{keys.STATE_BEFORE}'
      WHEN 'gap' THEN '{keys.STATE_GAP}' ELSE '{keys.STATE_PURGED}' END,
    MESSAGE = 'nothing is known of ' || name || ' at this moment: ' || CASE said ->> 'why'
      WHEN 'before' THEN 'its versioning began later' || coalesce(', at ' || (said ->> 'until'), '')
      WHEN 'gap' THEN 'its versioning was disabled from ' || (said ->> 'since')
        || coalesce(' until ' || (said ->> 'until'), ' and still is')
      ELSE 'its history up to then was purged; it is known again from '
        || coalesce(said ->> 'until', 'later') || ' on' END;
END $body$""",
        f"""
CREATE OR REPLACE FUNCTION {s}.instant(written text) RETURNS timestamptz
{HEADER}
DECLARE
  zone text := current_setting('TimeZone');
  east timestamptz;
  west timestamptz;
BEGIN
  -- What means two instants in two time zones has none of its own.
  PERFORM set_config('TimeZone', 'Etc/GMT-3', true);
  east := written::timestamptz;
  PERFORM set_config('TimeZone', 'Etc/GMT+3', true);
  west := written::timestamptz;
  PERFORM set_config('TimeZone', zone, true);
  IF east <> west THEN
    RAISE EXCEPTION USING ERRCODE = '{keys.STATE_UNKNOWN}',
      MESSAGE = quote_literal(written) || ' has no time zone, so it is not an instant',
      HINT = 'add one, e.g. ' || quote_literal(written || '+00');
  END IF;
  RETURN east;
END $body$""",
        f"""
CREATE OR REPLACE FUNCTION {s}.travel_to(moment timestamptz) RETURNS timestamptz
{HEADER}
DECLARE
  node {s}.commit;
BEGIN
  IF moment IS NULL THEN
    PERFORM set_config('temporal.as_of_hi', '', true),
      set_config('temporal.as_of_lo', '', true),
      set_config('temporal.as_of_inflight', '', true),
      set_config('temporal.as_of_blocks', '', true),
      set_config('temporal.as_of_unknown', '', true);
    RETURN NULL;
  END IF;
  node := {s}.moment_at(moment);
  {moment}
END $body$""",
        f"""
CREATE OR REPLACE FUNCTION {s}.travel_to(revision text) RETURNS timestamptz
{HEADER}
DECLARE
  node {s}.commit;
  base text := substring(revision FROM '^(.+?)(?:~[0-9]*|\\^[0-9]*)*$');
  steps text := substr(revision, length(base) + 1);
BEGIN
  IF revision IS NULL THEN
    RETURN {s}.travel_to(NULL::timestamptz);
  END IF;
  IF base = 'HEAD' THEN
    node := {s}.head();
  ELSIF {s}.is_named(base) THEN
    node := {s}.moment_named(base);
  ELSIF base ~ '^[0-9a-fA-F-]{{36}}$' THEN
    node := {s}.moment_of(base::uuid);
  ELSE
    BEGIN
      node := {s}.moment_at({s}.instant(base));
    EXCEPTION WHEN invalid_datetime_format OR datetime_field_overflow THEN
      RAISE EXCEPTION USING ERRCODE = '{keys.STATE_UNKNOWN}',
        MESSAGE = quote_literal(base) || ' is neither a time nor a tag, a branch or a commit';
    END;
  END IF;
  IF steps <> '' THEN
    node := {s}.walk(node, steps);
  END IF;
  {moment}
END $body$""",
    )
