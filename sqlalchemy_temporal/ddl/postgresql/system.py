"""The functions that write: what a transaction does on its way to becoming a commit.

They are written in PL/pgSQL with every name qualified and the search path pinned, so that
they may run with their owner's rights.

``start_transaction``, ``stamp_insert``, ``stamp_given``, ``keep_stamp``
    Take the transaction's id from the library's own sequence at its first versioned
    write. Transaction ids of PostgreSQL itself do not survive dump and restore. Two
    advisory locks make the ids under way visible to readers: one announced before the id
    is taken, one that carries the id.
``note_change``
    Counts the rows of a statement and, at the first change, queues the commit stamp.
``stamp_commit``
    A deferred constraint trigger, run at commit: takes the committing lock (shared, so
    writers never wait for each other), the commit sequence number and the clock, and
    writes the one row of ``transaction``.
``expect_head``
    Refuses the commit of a transaction that insists on another HEAD than there is.
``add_system_column``
    Gives a live table its system column.
"""

from __future__ import annotations

from sqlalchemy_temporal.ddl import keys
from sqlalchemy_temporal.ddl.postgresql import (
    by_session,
    columns,
    drift,
    evolution,
    moments,
    partitions,
    sealing,
    views,
)
from sqlalchemy_temporal.ddl.postgresql.ids import own_id
from sqlalchemy_temporal.ddl.postgresql.quoting import HEADER, LOOKING_UP, QUALIFIED, Quoter
from sqlalchemy_temporal.naming import TX_COLUMN


def statements(schema: str, quote: Quoter) -> tuple[str, ...]:
    """The statements that create or replace the shared functions in ``schema``."""
    s = quote.name(schema)
    return (
        _start_transaction(s),
        _stamp_given(s, quote),
        _stamp_insert(s, quote),
        _keep_stamp(s, quote),
        _note_change(s),
        _expect_head(s),
        _stamp_commit(s),
        *columns.statements(s),
        *partitions.statements(s),
        *sealing.statements(s),
        *moments.statements(s),
        _add_system_column(s, quote),
        *views.system_statements(s),
        *drift.system_statements(s, quote),
        *evolution.system_statements(s, quote),
        *by_session.system_statements(s),
        *_stamp_trigger(s),
    )


def _start_transaction(s: str) -> str:
    return f"""
CREATE OR REPLACE FUNCTION {s}.start_transaction() RETURNS bigint
{QUALIFIED}
BEGIN
  RETURN {own_id(s)};
END $body$"""


def _stamp_insert(s: str, quote: Quoter) -> str:
    return f"""
CREATE OR REPLACE FUNCTION {s}.stamp_insert() RETURNS trigger
{QUALIFIED}
BEGIN
  NEW.{quote.tx} := CASE WHEN NEW.{quote.tx} IS NULL THEN {own_id(s)}
    ELSE {s}.stamp_given(TG_RELID) END;
  RETURN NEW;
END $body$"""


def _stamp_given(s: str, quote: Quoter) -> str:
    return f"""
CREATE OR REPLACE FUNCTION {s}.stamp_given(target oid) RETURNS bigint
{HEADER}
BEGIN
  -- The query in a condition of its own: PL/pgSQL runs a condition with a query as one, always.
  IF current_setting('session_replication_role') <> 'replica' THEN
    IF EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = target AND NOT a.attisdropped
        AND a.attnum > (SELECT x.attnum FROM pg_attribute x
          WHERE x.attrelid = target AND x.attname = {quote.literal(TX_COLUMN)})) THEN
      -- Columns that were added later come after it: a value meant for one of them is lost.
      RAISE EXCEPTION USING ERRCODE = 'invalid_column_reference',
        MESSAGE = 'a value was given for the system column {TX_COLUMN} of '
          || target::regclass::text || ', after which columns were added: name the columns '
          || 'in INSERT';
    END IF;
  END IF;
  RETURN {s}.start_transaction();
END $body$"""


def _keep_stamp(s: str, quote: Quoter) -> str:
    return f"""
CREATE OR REPLACE FUNCTION {s}.keep_stamp() RETURNS trigger
LANGUAGE plpgsql AS $body$
BEGIN
  NEW.{quote.tx} := OLD.{quote.tx};
  RETURN NEW;
END $body$"""


def _note_change(s: str) -> str:
    return f"""
CREATE OR REPLACE FUNCTION {s}.note_change(changed text, operation text, rows bigint)
RETURNS void
{HEADER}
DECLARE
  counts jsonb := coalesce(nullif(current_setting('temporal.counts', true), ''), '{{}}')::jsonb;
  of_table jsonb := coalesce(counts -> changed, '{{}}');
  own bigint;
  first boolean := coalesce(current_setting('temporal.counts', true), '') = '';
BEGIN
  IF rows <> 0 THEN
    of_table := of_table || jsonb_build_object(
      operation, coalesce((of_table ->> operation)::bigint, 0) + rows);
    counts := counts || jsonb_build_object(changed, of_table);
  END IF;
  -- The counts before the row: with constraints immediate, that is stamped at once.
  PERFORM set_config('temporal.counts', counts::text, true);
  IF first THEN
    INSERT INTO {s}.pending (tx_id) VALUES ({s}.start_transaction());
  ELSIF current_setting('temporal.stamped', true) = 'done' THEN
    -- Stamped early (SET CONSTRAINTS ... IMMEDIATE): what comes later must be stamped too.
    PERFORM set_config('temporal.stamped', 'again', true);
    own := {s}.start_transaction();
    DELETE FROM {s}.transaction WHERE id = own;
    INSERT INTO {s}.pending (tx_id) VALUES (own);
  END IF;
END $body$"""


_SAID = ("operation", "author", "message", "context")
"""What commits say of themselves; parents are only given together with an operation."""


def _said(name: str) -> str:
    return f"pg_catalog.current_setting('temporal.{name}', true)"


def _stamp_commit(s: str) -> str:
    lock = f"pg_catalog.pg_advisory_xact_lock_shared({keys.LOCK_COMMITTING}, 0)"
    number = f"'{s}.commit_seq'::pg_catalog.regclass"
    columns = "id, commit_seq, started_at, committed_at, uuid, database_user, counts, operation"
    values = f"""NEW.tx_id,
    -- The lock before the number: a reader that saw the number sees the lock too.
    CASE WHEN {lock} IS NOT NULL
      AND pg_catalog.set_config('temporal.stamped', 'done', true) IS NOT NULL
      THEN pg_catalog.nextval({number}) END,
    pg_catalog.transaction_timestamp(), pg_catalog.clock_timestamp(),
    -- Not gen_random_uuid(): where the server is built without OpenSSL, that opens, reads
    -- and closes a device for every commit. The id makes it unique in this database.
    pg_catalog.encode(pg_catalog.int8send(
      pg_catalog.hashfloat8extended(pg_catalog.random(), NEW.tx_id))
      OPERATOR(pg_catalog.||) pg_catalog.float8send(pg_catalog.random()), 'hex')::pg_catalog.uuid,
    session_user, pg_catalog.current_setting('temporal.counts')::pg_catalog.jsonb"""

    def given(name: str) -> str:
        return f"CASE WHEN {_said(name)} OPERATOR(pg_catalog.<>) '' THEN {_said(name)} END"

    settings = ", ".join(_said(name) for name in ("expected_head", *_SAID))
    return f"""
CREATE OR REPLACE FUNCTION {s}.stamp_commit() RETURNS trigger
{QUALIFIED}
BEGIN
  IF greatest({settings}) OPERATOR(pg_catalog.<>) '' THEN
    IF {_said("expected_head")} OPERATOR(pg_catalog.<>) '' THEN
      PERFORM {s}.expect_head({_said("expected_head")}::pg_catalog.uuid);
    END IF;
    INSERT INTO {s}.transaction ({columns},
      author, message, context, parent_uuid, merge_parent_uuid)
    VALUES ({values},
    coalesce({given("operation")}, 'COMMIT'),
    {given("author")},
    {given("message")},
    ({given("context")})::pg_catalog.jsonb,
    ({given("parent")})::pg_catalog.uuid,
    ({given("merge_parent")})::pg_catalog.uuid);
  ELSE
    -- Most say nothing about themselves.
    INSERT INTO {s}.transaction ({columns})
    VALUES ({values}, 'COMMIT');
  END IF;
  RETURN NULL;
END $body$"""


def _expect_head(s: str) -> str:
    return f"""
CREATE OR REPLACE FUNCTION {s}.expect_head(expected uuid) RETURNS void
{LOOKING_UP}
DECLARE
  last {s}.commit;
  newest uuid;
  newest_seq bigint;
  reached bigint;
BEGIN
  -- Waits for those that are committing, and lets nobody commit before this transaction.
  PERFORM pg_advisory_xact_lock({keys.LOCK_COMMITTING}, 0);
  SELECT CASE WHEN q.is_called THEN q.last_value ELSE 0 END INTO reached
  FROM {s}.commit_seq q;
  SELECT * INTO last FROM {s}.commit c ORDER BY c.seq DESC LIMIT 1;
  SELECT t.uuid, t.commit_seq INTO newest, newest_seq FROM {s}.transaction t
  WHERE t.id >= coalesce(last.lo, 0) AND t.commit_seq > coalesce(last.seq, 0)
    AND t.id <> current_setting('temporal.tx_id')::bigint
  ORDER BY t.commit_seq DESC LIMIT 1;
  IF coalesce(newest, last.uuid) IS DISTINCT FROM expected THEN
    RAISE EXCEPTION USING ERRCODE = '{keys.STATE_STALE}',
      MESSAGE = 'the commit was based on ' || expected::text || ', but HEAD is '
        || coalesce(newest, last.uuid)::text,
      HINT = 'read again what it depends on, and try again';
  ELSIF current_setting('transaction_isolation') <> 'read committed'
      AND reached > coalesce(newest_seq, last.seq, 0) THEN
    -- The fixed snapshot does not show who took the numbers since.
    RAISE EXCEPTION USING ERRCODE = '{keys.STATE_STALE}',
      MESSAGE = 'the commit was based on ' || expected::text
        || ', but HEAD may have moved since this transaction''s snapshot was taken',
      HINT = 'try again, or use isolation level READ COMMITTED';
  END IF;
END $body$"""


def _stamp_trigger(s: str) -> tuple[str, ...]:
    """Made once: a transaction that has changed versioned rows can no longer alter it."""
    return (
        f"""DO $do$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_trigger t
      WHERE t.tgrelid = '{s}.pending'::regclass AND t.tgname = 'stamp_commit') THEN
    CREATE CONSTRAINT TRIGGER stamp_commit AFTER INSERT ON {s}.pending
      DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION {s}.stamp_commit();
    ALTER TABLE {s}.pending ENABLE ALWAYS TRIGGER stamp_commit;
  END IF;
END $do$""",
    )


def _add_system_column(s: str, quote: Quoter) -> str:
    return f"""
CREATE OR REPLACE FUNCTION {s}.add_system_column(target regclass) RETURNS bigint
LANGUAGE plpgsql SET search_path TO pg_catalog, pg_temp AS $body$
DECLARE
  tx bigint := {s}.start_transaction();
BEGIN
  -- A constant default fills existing rows without rewriting the table (PostgreSQL docs,
  -- ALTER TABLE, ADD COLUMN); they exist since this transaction.
  EXECUTE 'ALTER TABLE ' || target::text || ' ADD COLUMN {quote.tx} bigint NOT NULL DEFAULT '
    || tx::text;
  EXECUTE 'ALTER TABLE ' || target::text || ' ALTER COLUMN {quote.tx} SET DEFAULT '
    || '(NULLIF(pg_catalog.current_setting(''temporal.tx_id'', true), ''''))::bigint';
  RETURN tx;
END $body$"""
