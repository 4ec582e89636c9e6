"""The history table, trigger functions and triggers of one versioned table.

An ordinary table has statement triggers with transition tables: one set-based ``INSERT``
records all rows a statement changed. Two row triggers stamp the rows themselves. Static
SQL reads a single transition table and joins nothing: PL/pgSQL plans it once per
connection, at the size of the first transition table it meets, so a join would be planned
for one row and then run for a million, or the other way round. Where a join is needed
(rows of several transactions, or rows that a statement did not change) the SQL is
executed dynamically and planned for the sizes at hand.

A partitioned table or a member of an inheritance tree has row triggers instead. Statement
triggers on a parent miss what is written to a partition directly; row triggers are cloned
to every partition, also to one attached later (PostgreSQL docs, CREATE TRIGGER).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sqlalchemy_temporal.ddl.blocks import BLOCK, BLOCK_SQL
from sqlalchemy_temporal.ddl.postgresql import drift
from sqlalchemy_temporal.ddl.postgresql.ids import ID, KNOWN_ID, own_id
from sqlalchemy_temporal.ddl.postgresql.quoting import (
    HEADER,
    LOOKING_UP,
    QUALIFIED,
    Quoter,
    looking_up,
)
from sqlalchemy_temporal.ddl.spec import TableSpec
from sqlalchemy_temporal.naming import (
    END_COLUMN,
    FROM_COLUMN,
    ID_COLUMN,
    OPERATION_COLUMN,
    TO_COLUMN,
    TX_COLUMN,
    shorten,
)

TEMPLATE = 1
"""The version of the generated SQL. A released template is never edited: migrations
that were written with it name it."""

TRUNCATE_TRIGGER = "temporal_capture_truncate"
KEEP_TRIGGER = "~temporal_keep"
STAMP_TRIGGER = "~temporal_stamp"
"""Triggers fire in the order of their names. The tilde sorts after every letter, so that
the row is stamped after the application's own BEFORE triggers had their say."""
INSERT_STAMP_TRIGGER = "~temporal_stamp_insert"
INSERT_TRIGGER = "temporal_capture_insert"
UPDATE_TRIGGER = "temporal_capture_update"
DELETE_TRIGGER = "temporal_capture_delete"
TRIGGERS = frozenset(
    {
        KEEP_TRIGGER,
        STAMP_TRIGGER,
        INSERT_STAMP_TRIGGER,
        INSERT_TRIGGER,
        UPDATE_TRIGGER,
        DELETE_TRIGGER,
        TRUNCATE_TRIGGER,
    }
)
"""Every versioned table has these, whatever its kind."""

_PURPOSES = (
    "stamp_update",
    "capture_row",
    "capture_insert_row",
    "capture_insert",
    "capture_update",
    "capture_delete",
    "capture_truncate",
)
_NO_COUNTS = (
    "coalesce(pg_catalog.current_setting('temporal.counts', true), '') OPERATOR(pg_catalog.=) ''"
)
_SAME = "OPERATOR(pg_catalog.*=)"
_EQUAL = "OPERATOR(pg_catalog.=)"


@dataclass(frozen=True, slots=True)
class TableSql:
    """Renders the SQL of one versioned table."""

    spec: TableSpec
    quote: Quoter

    # Names -------------------------------------------------------------------------

    @property
    def schema(self) -> str:
        """The quoted schema of the library's objects."""
        return self.quote.name(self.spec.options.schema)

    @property
    def live(self) -> str:
        """The quoted live table."""
        return self.quote.qualified(self.spec.live_schema, self.spec.name)

    @property
    def history(self) -> str:
        """The quoted history table."""
        return self.quote.qualified(self.spec.history_schema, self.spec.history_table)

    def function(self, purpose: str) -> str:
        """A quoted generated function."""
        return f"{self.schema}.{self.quote.name(self.spec.function(purpose))}"

    @property
    def noop_setting(self) -> str:
        """The setting that says: this transaction wrote rows without changing them."""
        return f"temporal.unchanged_{self.spec.token}"

    # History table -----------------------------------------------------------------

    def history_statements(self) -> Iterator[str]:
        """Create the history table and its indexes.

        Its primary key is the index that reads by key need, and a guard against recording
        a version twice: the live table's key, the transaction that ended the version and,
        so that visibility is decided in the index, the one that wrote it.
        """
        q = self.quote
        yield (
            f"CREATE TABLE {self.history} AS SELECT {q.names(self.spec.column_names)} "
            f"FROM {self.live} WITH NO DATA"
        )
        yield (
            f"ALTER TABLE {self.history} "
            f"ADD COLUMN {ID_COLUMN} bigint GENERATED ALWAYS AS IDENTITY (CACHE 32), "
            f"ADD COLUMN {OPERATION_COLUMN} text NOT NULL, "
            f"ADD COLUMN {TX_COLUMN} bigint NOT NULL, "
            f"ADD COLUMN {END_COLUMN} bigint NOT NULL, "
            f"ADD COLUMN {FROM_COLUMN} timestamptz, "
            f"ADD COLUMN {TO_COLUMN} timestamptz, "
            f"ADD PRIMARY KEY ({q.names((*self.spec.key, END_COLUMN, TX_COLUMN))})"
        )
        yield from self.index_statements()

    def indexes(self) -> dict[str, tuple[str, ...]]:
        """Index names of the history table and their columns; :data:`BLOCK` is computed."""
        table = self.spec.history_table
        found: dict[str, tuple[str, ...]] = {
            shorten(f"{table}_time_idx"): (END_COLUMN, TX_COLUMN),
            shorten(f"{table}_block_idx"): (BLOCK, END_COLUMN, TX_COLUMN),
        }
        covered = [self.spec.key]
        for columns in (*self.spec.foreign_keys, *self.spec.options.index):
            if all(columns != seen[: len(columns)] for seen in covered):
                covered.append(columns)
                found[shorten(f"{table}_{'_'.join(columns)}_idx")] = (
                    *columns,
                    END_COLUMN,
                    TX_COLUMN,
                )
        return found

    def index_statements(self) -> Iterator[str]:
        """Create the indexes of the history table that do not exist yet."""
        for name, columns in self.indexes().items():
            parts = (f"({BLOCK_SQL})" if c == BLOCK else self.quote.name(c) for c in columns)
            yield (
                f"CREATE INDEX IF NOT EXISTS {self.quote.name(name)} ON {self.history} "
                f"({', '.join(parts)})"
            )

    # Functions ---------------------------------------------------------------------

    def function_statements(self) -> Iterator[str]:
        """Create or replace the trigger functions."""
        yield self._stamp_update_function()
        if self.spec.kind != "ordinary":
            yield self._capture_row_function()
            yield self._capture_insert_row_function()
        else:
            yield self._capture_insert_function()
            yield self._capture_update_function()
            yield self._capture_delete_function()
        yield self._capture_truncate_function()

    def function_names(self) -> tuple[str, ...]:
        """All functions a table may have, unquoted; what it has depends on its columns."""
        return tuple(self.spec.function(purpose) for purpose in _PURPOSES)

    @property
    def _header(self) -> str:
        """How functions that close versions begin.

        Expressions of virtual columns are the application's, and not qualified: they need a
        search path.
        """
        return HEADER if self._computed else QUALIFIED

    @property
    def _computed(self) -> bool:
        return any(column.expression for column in self.spec.columns)

    def _create(self, purpose: str, body: str, *, header: str = HEADER) -> str:
        # The expressions of virtual columns name others, which may be called as our variables.
        directive = "#variable_conflict use_column\n" if self._computed else ""
        return (
            f"CREATE OR REPLACE FUNCTION {self.function(purpose)}() RETURNS trigger\n"
            f"{header}\n{directive}{body} $body$"
        )

    def _unchanged(self) -> str:
        """The condition under which an update changed nothing that is recorded.

        Compared byte by byte (``*=``, PostgreSQL docs, Row-wise comparison): 1.0 and 1.00
        are equal numbers and different values. Generated columns are not computed yet in
        a BEFORE trigger, and follow from the others.
        """
        if not self._compares_some:
            return f"NEW {_SAME} OLD"
        names = [column.name for column in self.spec.columns if not column.generated]
        return f"{self._record(names, 'NEW.')} {_SAME} {self._record(names, 'OLD.')}"

    @property
    def _compares_some(self) -> bool:
        """Whether only some columns of a row say if it was changed."""
        return bool(self.spec.unrecorded) or any(c.generated for c in self.spec.columns)

    def _record(self, names: Iterable[str], prefix: str) -> str:
        """A record of some columns; the cast makes operators see it as one value."""
        return f"ROW({self.quote.names(names, prefix)})::pg_catalog.record"

    def _stamp_update_function(self) -> str:
        """Runs for every row: each expression and each setting it can do without counts.

        Conditions of triggers would do some of it, but PostgreSQL parses them anew for each
        statement, at twice the price of the same in PL/pgSQL.
        """
        tx, key = self.quote.tx, self.spec.key
        # Arrays compare as the index does, whatever the type; records would, too, and cost more.
        changed = " OR ".join(
            f"ARRAY[OLD.{name}] OPERATOR(pg_catalog.<>) ARRAY[NEW.{name}]"
            for name in map(self.quote.name, key)
        )
        # A column that is gone would be stumbled over here.
        first = f"{self._in_step()}\n  " if self._compares_some else ""
        return self._create(
            "stamp_update",
            f"""DECLARE
  temporal_path pg_catalog.text;
BEGIN
  {first}IF {self._unchanged()} THEN
    IF pg_catalog.set_config('{self.noop_setting}', '1', true) IS NULL THEN
    END IF;
  ELSE
    NEW.{tx} := {own_id(self.schema)};
    IF {changed} THEN
      {self._on_our_path(self._record_key())}
    END IF;
  END IF;
  RETURN NEW;
END""",
            header=QUALIFIED,
        )

    def _record_key(self) -> str:
        q = self.quote

        def as_object(row: str) -> str:
            pairs = (f"{q.literal(name)}, {row}.{q.name(name)}" for name in self.spec.key)
            return f"pg_catalog.jsonb_build_object({', '.join(pairs)})"

        return f"""INSERT INTO {self.schema}.pk_change
      (table_schema, table_name, tx_id, old_key, new_key)
    VALUES ({q.literal(self.spec.live_schema)}, {q.literal(self.spec.name)}, NEW.{q.tx},
      {as_object("OLD")}, {as_object("NEW")});"""

    # What the capture functions begin and end with ---------------------------------

    def _in_step(self) -> str:
        """Refuse to record with the columns of yesterday."""
        return drift.check(self.spec, self.quote)

    def _note(self, operation: str, rows: str) -> str:
        return (
            f"PERFORM {self.schema}.note_change("
            f"{self.quote.literal(self.spec.qualified)}, {operation}, {rows});"
        )

    def _counts(self, operation: str) -> str:
        """The counts of a transaction's first change, up to the number of rows."""
        return self.quote.literal(f'{{{json.dumps(self.spec.qualified)}: {{"{operation}": ')

    def _note_first(self, operation: str, tx: str) -> str:
        """Note the ``n`` rows of a transaction's first change, and queue the stamp."""
        return f"""GET DIAGNOSTICS n = ROW_COUNT;
  IF n OPERATOR(pg_catalog.>) 0 AND {_NO_COUNTS}
    AND pg_catalog.set_config('temporal.counts', {self._counts(operation)}
      OPERATOR(pg_catalog.||) n::pg_catalog.text OPERATOR(pg_catalog.||) '}}}}', true) IS NOT NULL
  THEN
    INSERT INTO {self.schema}.pending (tx_id) VALUES ({tx});
    RETURN NULL;
  END IF;"""

    def _capture_insert_function(self) -> str:
        """Counting, and queueing the stamp at the first change, are one query."""
        return self._create(
            "capture_insert",
            f"""DECLARE
  n bigint;
BEGIN
  IF {_NO_COUNTS} THEN
    INSERT INTO {self.schema}.pending (tx_id)
    SELECT {ID}::pg_catalog.int8 FROM new_rows
    HAVING CASE WHEN pg_catalog.count(*) OPERATOR(pg_catalog.>) 0 THEN
      pg_catalog.set_config('temporal.counts', {self._counts("insert")}
        OPERATOR(pg_catalog.||) pg_catalog.count(*)::pg_catalog.text
        OPERATOR(pg_catalog.||) '}}}}', true) IS NOT NULL END;
  ELSE
    SELECT pg_catalog.count(*) INTO n FROM new_rows;
    IF n OPERATOR(pg_catalog.>) 0 THEN
      {self._note("'insert'", "n")}
    END IF;
  END IF;
  RETURN NULL;
END""",
            header=QUALIFIED,
        )

    # Closing versions --------------------------------------------------------------

    def _target(self) -> str:
        return (
            f"{self.history} ({self.quote.names(self.spec.column_names)}, "
            f"{OPERATION_COLUMN}, {TX_COLUMN}, {END_COLUMN}, {FROM_COLUMN}, {TO_COLUMN})"
        )

    def _values(self, alias: str) -> str:
        """The recorded columns of a row, virtual generated ones computed again."""
        return ", ".join(
            f"({column.expression})"
            if column.expression
            else f"{alias}.{self.quote.name(column.name)}"
            for column in self.spec.columns
        )

    def _close(self, source: str, operation: str, tx: str, *, more: str = "") -> str:
        """Record the versions of ``source`` that another transaction wrote.

        Each looks up when that began: rows of a large statement are of many transactions, and
        what would look up a common one first costs a statement of one row more. States between
        the statements of one transaction are not versions: no moment can see them. Variables
        have names that no column of the application may have.
        """
        return f"""INSERT INTO {self._target()}
  SELECT {self._values("o")}, {operation}, o.{TX_COLUMN}, {tx},
    (SELECT x.started_at FROM {self.schema}.transaction x WHERE x.id {_EQUAL} o.{TX_COLUMN}),
    pg_catalog.transaction_timestamp()
  FROM {source} o WHERE o.{TX_COLUMN} OPERATOR(pg_catalog.<>) {tx} {more}"""

    def close_statements(self) -> Iterator[str]:
        """Copy what the table has now into history, ended by this transaction.

        Writers are locked out first, readers are not: they are only at the end, when the
        triggers and the system column go.
        """
        only = "ONLY " if self.spec.kind == "inherited" else ""
        names, tx = self.spec.column_names, f"{self.schema}.start_transaction()"
        computed = ", ".join(
            f"({c.expression}) AS {self.quote.name(c.name)}"
            if c.expression
            else self.quote.name(c.name)
            for c in self.spec.columns
        )
        # Disabled, enabled and disabled again in one transaction, rows that this transaction
        # wrote are there from the first time.
        before = f"SELECT FROM {self.history} h WHERE h.{END_COLUMN} = {tx} "
        before += f"AND h.{OPERATION_COLUMN} = 'DISABLE'"
        yield f"LOCK TABLE {only}{self.live} IN SHARE ROW EXCLUSIVE MODE"
        yield f"""INSERT INTO {self._target()}
  SELECT {self.quote.names(names, "o.")}, 'DISABLE', o.{TX_COLUMN}, (SELECT {tx}),
    x.started_at, transaction_timestamp()
  FROM (SELECT {computed}, {TX_COLUMN} FROM {only}{self.live}) o
  LEFT JOIN {self.schema}.transaction x ON x.id = o.{TX_COLUMN}
  WHERE o.{TX_COLUMN} <> (SELECT {tx}) OR NOT (SELECT EXISTS ({before}))"""

    def _close_planned_anew(self, source: str, operation: str, *, more: str = "") -> str:
        """The same, planned for the sizes at hand; the values are bound."""
        sql = self._close(source, operation, "$1", more=more)
        return f"EXECUTE $sql${sql}$sql$ USING temporal_tx"

    def _on_our_path(self, statements: str) -> str:
        """Statements that look operators up, in a function without a search path of its own."""
        path = "pg_catalog.set_config('search_path',"
        return f"""temporal_path := pg_catalog.current_setting('search_path');
    PERFORM {path} 'pg_catalog, pg_temp', true);
    {statements}
    PERFORM {path} temporal_path, true);"""

    def _same_key(self, other: str, row: str) -> str:
        return self.quote.equal(self.spec.key, f"{other}.", f"{row}.")

    def _capture_update_function(self) -> str:
        # Rows the statement wrote without changing them: their version goes on.
        goes_on = (
            f"AND NOT EXISTS (SELECT FROM {self.live} l "
            f"WHERE {self._same_key('l', 'o')} AND l.{TX_COLUMN} = o.{TX_COLUMN})"
        )
        no_op = f"pg_catalog.current_setting('{self.noop_setting}', true)"
        planned_anew = f"""{self._close_planned_anew("old_rows", "'UPDATE'", more=goes_on)};
    GET DIAGNOSTICS n = ROW_COUNT;"""
        return self._create(
            "capture_update",
            f"""DECLARE
  n bigint;
  temporal_path pg_catalog.text;
  temporal_tx bigint := {KNOWN_ID};
BEGIN
  {self._in_step()}
  IF temporal_tx OPERATOR(pg_catalog.>) 0 AND ({no_op} OPERATOR(pg_catalog.=) '1') IS NOT TRUE THEN
    {self._close("old_rows", "'UPDATE'", "temporal_tx")};
    {self._note_first("update", "temporal_tx")}
  ELSIF temporal_tx OPERATOR(pg_catalog.>) 0 THEN
    {self._on_our_path(planned_anew)}
  ELSE
    RETURN NULL;
  END IF;
  IF n OPERATOR(pg_catalog.=) 0 THEN
    -- Apart: PL/pgSQL runs a condition that holds a query as a query, always.
    IF NOT EXISTS (SELECT FROM old_rows o WHERE o.{TX_COLUMN} {_EQUAL} temporal_tx) THEN
      RETURN NULL;
    END IF;
  END IF;
  {self._note("'update'", "n")}
  RETURN NULL;
END""",
            header=looking_up(self._header),
        )

    def _capture_delete_function(self) -> str:
        relabel = self._relabel("FROM old_rows o WHERE o." + TX_COLUMN + " = $1 AND ")
        relabelling = f"""EXECUTE $sql${relabel}$sql$ USING temporal_tx;
    GET DIAGNOSTICS relabelled = ROW_COUNT;"""
        return self._create(
            "capture_delete",
            f"""DECLARE
  seen bigint;
  n bigint;
  relabelled bigint;
  temporal_path pg_catalog.text;
  written bigint;
  temporal_tx bigint;
BEGIN
  {self._in_step()}
  SELECT i.{TX_COLUMN} INTO written FROM old_rows i;
  IF written IS NULL THEN
    RETURN NULL;
  END IF;
  temporal_tx := {own_id(self.schema)};
  {self._close("old_rows", "'DELETE'", "temporal_tx")};
  {self._note_first("delete", "temporal_tx")}
  SELECT pg_catalog.count(*) INTO seen FROM old_rows;
  IF n OPERATOR(pg_catalog.<) seen AND NOT {_NO_COUNTS} THEN
    -- Rows that this transaction wrote before: deleted is what became of them.
    {self._on_our_path(relabelling)}
    {self._note("'insert'", "relabelled OPERATOR(pg_catalog.-) (seen OPERATOR(pg_catalog.-) n)")}
    {self._note("'update'", "OPERATOR(pg_catalog.-) relabelled")}
    {self._note("'delete'", "relabelled")}
  END IF;
  {self._note("'delete'", "n")}
  RETURN NULL;
END""",
            header=looking_up(self._header),
        )

    def _relabel(self, source: str, row: str = "o", tx: str = "$1") -> str:
        return f"""UPDATE {self.history} h SET {OPERATION_COLUMN} = 'DELETE'
    {source}{self._same_key("h", row)}
    AND h.{END_COLUMN} = {tx} AND h.{OPERATION_COLUMN} = 'UPDATE'"""

    def _capture_row_function(self) -> str:
        tx = self.quote.tx
        return self._create(
            "capture_row",
            f"""DECLARE
  temporal_tx bigint := {self.schema}.start_transaction();
  relabelled bigint;
BEGIN
  {self._in_step()}
  IF OLD.{tx} <> temporal_tx THEN
    INSERT INTO {self._target()}
    SELECT {self._values("o")}, TG_OP, o.{tx}, temporal_tx,
      (SELECT x.started_at FROM {self.schema}.transaction x WHERE x.id = o.{tx}),
      transaction_timestamp()
    FROM (SELECT OLD.*) o;
    {self._note("lower(TG_OP)", "1")}
  ELSIF TG_OP = 'DELETE' THEN
    {self._relabel("WHERE ", "OLD", "temporal_tx")};
    GET DIAGNOSTICS relabelled = ROW_COUNT;
    {self._note("'insert'", "relabelled - 1")}
    {self._note("'update'", "-relabelled")}
    {self._note("'delete'", "relabelled")}
  END IF;
  RETURN NULL;
END""",
            header=LOOKING_UP,
        )

    def _capture_insert_row_function(self) -> str:
        return self._create(
            "capture_insert_row",
            f"""BEGIN
  {self._note("'insert'", "1")}
  RETURN NULL;
END""",
        )

    def _capture_truncate_function(self) -> str:
        # Members of an inheritance tree each record their own rows. A partitioned parent
        # records all, for partitions attached later that have no such trigger.
        only = "ONLY " if self.spec.kind == "inherited" else ""
        once = "ON CONFLICT DO NOTHING" if self.spec.kind == "partitioned" else ""
        source = f"{only}$sql$ || TG_RELID::regclass::text || $sql$"
        return self._create(
            "capture_truncate",
            f"""DECLARE
  temporal_tx bigint := {self.schema}.start_transaction();
  n bigint;
BEGIN
  {self._in_step()}
  {self._close_planned_anew(source, "'TRUNCATE'", more=once)};
  GET DIAGNOSTICS n = ROW_COUNT;
  IF n > 0 THEN
    {self._note("'delete'", "n")}
  END IF;
  RETURN NULL;
END""",
        )

    # Triggers ----------------------------------------------------------------------

    def triggers(self) -> dict[str, str]:
        """Trigger names and what follows ``CREATE TRIGGER name``."""
        live, q = self.live, self.quote
        found = {
            KEEP_TRIGGER: f"BEFORE UPDATE OF {q.tx} ON {live} FOR EACH ROW "
            f"EXECUTE FUNCTION {self.schema}.keep_stamp()",
            INSERT_STAMP_TRIGGER: f"BEFORE INSERT ON {live} FOR EACH ROW WHEN ("
            f"(NEW.{q.tx}::text = current_setting('temporal.tx_id', true)) IS NOT TRUE) "
            f"EXECUTE FUNCTION {self.schema}.stamp_insert()",
            STAMP_TRIGGER: f"BEFORE UPDATE ON {live} FOR EACH ROW "
            f"EXECUTE FUNCTION {self.function('stamp_update')}()",
            TRUNCATE_TRIGGER: f"BEFORE TRUNCATE ON {live} FOR EACH STATEMENT "
            f"EXECUTE FUNCTION {self.function('capture_truncate')}()",
        }
        if self.spec.kind != "ordinary":
            return found | self._row_triggers()
        return found | {
            INSERT_TRIGGER: f"AFTER INSERT ON {live} REFERENCING NEW TABLE AS new_rows "
            f"FOR EACH STATEMENT EXECUTE FUNCTION {self.function('capture_insert')}()",
            UPDATE_TRIGGER: f"AFTER UPDATE ON {live} REFERENCING OLD TABLE AS old_rows "
            f"FOR EACH STATEMENT EXECUTE FUNCTION {self.function('capture_update')}()",
            DELETE_TRIGGER: f"AFTER DELETE ON {live} REFERENCING OLD TABLE AS old_rows "
            f"FOR EACH STATEMENT EXECUTE FUNCTION {self.function('capture_delete')}()",
        }

    def _row_triggers(self) -> dict[str, str]:
        live, tx = self.live, self.quote.tx
        capture = self.function("capture_row")
        return {
            INSERT_TRIGGER: f"AFTER INSERT ON {live} FOR EACH ROW "
            f"EXECUTE FUNCTION {self.function('capture_insert_row')}()",
            UPDATE_TRIGGER: f"AFTER UPDATE ON {live} FOR EACH ROW "
            f"WHEN (OLD.{tx} <> NEW.{tx}) EXECUTE FUNCTION {capture}()",
            DELETE_TRIGGER: f"AFTER DELETE ON {live} FOR EACH ROW EXECUTE FUNCTION {capture}()",
        }

    def trigger_statements(self) -> Iterator[str]:
        """Create the triggers, so that they fire also for replicated changes."""
        for name, definition in self.triggers().items():
            yield f"CREATE TRIGGER {self.quote.name(name)} {definition}"
            yield f"ALTER TABLE {self.live} ENABLE ALWAYS TRIGGER {self.quote.name(name)}"

    def truncate_statements(self, relation: str) -> Iterator[str]:
        """Create the trigger that records a truncation of ``relation``, quoted."""
        name = self.quote.name(TRUNCATE_TRIGGER)
        yield (
            f"CREATE TRIGGER {name} BEFORE TRUNCATE ON {relation} FOR EACH STATEMENT "
            f"EXECUTE FUNCTION {self.function('capture_truncate')}()"
        )
        yield f"ALTER TABLE {relation} ENABLE ALWAYS TRIGGER {name}"

    def drop_trigger_statements(self) -> Iterator[str]:
        """Drop the triggers and the functions they call."""
        for name in self.triggers():
            yield f"DROP TRIGGER IF EXISTS {self.quote.name(name)} ON {self.live}"
        for name in self.function_names():
            yield f"DROP FUNCTION IF EXISTS {self.schema}.{self.quote.name(name)}()"
