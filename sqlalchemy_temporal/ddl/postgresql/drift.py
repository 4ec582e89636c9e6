"""The check that a table still has the columns its history records.

Somebody may change a table by hand: the triggers would go on recording the columns they were
made for, and lose what is in a new one without a word. So each function that closes
versions begins with :func:`check`, a call of ``in_step``, which raises an error that names
``sync_versioning``.

It costs nothing at each write. ``in_step`` is declared IMMUTABLE and called with constants,
so PL/pgSQL evaluates it when it plans the expression, once per connection, and keeps the
result. One of the constants is the live table as ``regclass``, on which the plan depends
therefore (PostgreSQL keeps such dependencies for ``nextval('seq')``): any ``ALTER TABLE``
makes the server plan the expression anew, and so look again.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy_temporal.ddl import keys
from sqlalchemy_temporal.ddl.postgresql.quoting import HEADER, Quoter
from sqlalchemy_temporal.ddl.spec import TableSpec
from sqlalchemy_temporal.naming import TX_COLUMN

_HINT = "changed by hand? sync_versioning brings history into step"


def check(spec: TableSpec, quote: Quoter) -> str:
    """A statement that raises when ``spec``'s table has changed since its triggers were made.

    The comment is seen in the context of the server's own error when a column or the table
    itself goes by another name.
    """
    return f"IF {call(spec, quote)} /* {_HINT} */ THEN\n  END IF;"


def call(spec: TableSpec, quote: Quoter) -> str:
    """The condition itself, for statements outside of triggers; true, or it raises."""
    constants = (
        quote.regclass(spec.live_schema, spec.name),
        quote.regclass(spec.history_schema, spec.history_table),
        _array(spec.column_names, quote),
        _array((column.name for column in spec.unrecorded), quote),
    )
    return f"{quote.name(spec.options.schema)}.in_step({', '.join(constants)})"


def _array(names: Iterable[str], quote: Quoter) -> str:
    listed = ", ".join(quote.literal(name) for name in names)
    return f"ARRAY[{listed}]::pg_catalog.text[]"


def system_statements(s: str, quote: Quoter) -> tuple[str, ...]:
    """The function that compares, in the quoted schema ``s``.

    The names come from the row type, which is current even under a snapshot older than
    the change; the types from the catalog.
    """
    return (
        f"""
CREATE OR REPLACE FUNCTION {s}.in_step(
  live regclass, history regclass, recorded text[], unrecorded text[]) RETURNS boolean
{HEADER.replace("SECURITY", "IMMUTABLE SECURITY")}
DECLARE
  shape record;
  present text[];
  problems text[];
BEGIN
  EXECUTE 'SELECT * FROM ' || live::text || ' WHERE false' INTO shape;
  present := array_remove(ARRAY(SELECT json_object_keys(row_to_json(shape))),
    {quote.literal(TX_COLUMN)});
  problems := ARRAY(
    SELECT 'column ' || quote_ident(p.name) || ' is not recorded'
    FROM unnest(present) AS p(name)
    WHERE p.name <> ALL (recorded) AND p.name <> ALL (unrecorded)
    UNION ALL
    SELECT 'recorded column ' || quote_ident(r.name) || ' is gone'
    FROM unnest(recorded) AS r(name) WHERE r.name <> ALL (present)
    UNION ALL
    SELECT 'column ' || quote_ident(l.attname) || ' is '
      || format_type(l.atttypid, l.atttypmod) || ', in history '
      || coalesce(format_type(h.atttypid, h.atttypmod), 'missing')
    FROM pg_attribute l
    LEFT JOIN pg_attribute h ON h.attrelid = history AND h.attname = l.attname
      AND h.attnum > 0 AND NOT h.attisdropped
    WHERE l.attrelid = live AND l.attnum > 0 AND NOT l.attisdropped
      AND l.attname = ANY (recorded)
      AND (h.atttypid, h.atttypmod) IS DISTINCT FROM (l.atttypid, l.atttypmod));
  IF problems <> '{{}}' THEN
    RAISE EXCEPTION USING ERRCODE = '{keys.STATE_DRIFT}',
      MESSAGE = 'table ' || live::text || ' was changed without its history ('
        || array_to_string(problems, '; ') || '), so this change of its rows was refused: '
        || 'run sync_versioning(connection, table), or op.sync_versioning() in a migration';
  END IF;
  RETURN true;
END $body$""",
    )
