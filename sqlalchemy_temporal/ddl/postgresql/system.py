"""The functions that every versioned table of one schema shares.

They are written in PL/pgSQL with every name qualified and the search path pinned, so that
they may run with their owner's rights. Per transaction they do this:

``start_transaction``, ``take_id``, ``stamp_insert``
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

And for readers:

``barrier``
    Reads the last sequence number *first* and then waits until each transaction that was
    just committing is gone: from then on every commit up to that number is visible.
``unsealed``, ``seal``
    Give each commit its strictly increasing effective time, its parent and the set of
    ids under way. The result is a function of the transactions alone, so it does not
    matter who seals, or when.
``moment_at``, ``moment_of``, ``head``, ``ancestor``
    Resolve a time or a commit to a moment; they raise when there is none.
``resolve``
    The same for every kind of question, telling of a problem instead of raising it.
"""

from __future__ import annotations

from sqlalchemy_temporal.ddl import keys
from sqlalchemy_temporal.ddl.postgresql import views
from sqlalchemy_temporal.ddl.postgresql.ids import NO_ID, take_id
from sqlalchemy_temporal.ddl.postgresql.quoting import HEADER, Quoter

def statements(schema: str, quote: Quoter) -> tuple[str, ...]:
    """The statements that create or replace the shared functions in ``schema``."""
    s = quote.name(schema)
    return (
        _start_transaction(s),
        _take_id(s),
        _stamp_insert(s, quote),
        _note_change(s),
        _stamp_commit(s),
        _running(s),
        _barrier(s),
        _unsealed(s),
        _seal(s),
        _moment_at(s),
        _moment_of(s),
        _head(s),
        _ancestor(s),
        _resolve(s),
        _add_system_column(s, quote),
        *views.system_statements(s),
        *_stamp_trigger(s),
    )


def _start_transaction(s: str) -> str:
    return f"""
CREATE OR REPLACE FUNCTION {s}.start_transaction() RETURNS bigint
{HEADER}
BEGIN
  IF {NO_ID} THEN
    {take_id(s)};
  END IF;
  RETURN current_setting('temporal.tx_id')::bigint;
END $body$"""


def _take_id(s: str) -> str:
    return f"""
CREATE OR REPLACE FUNCTION {s}.take_id() RETURNS trigger
{HEADER}
BEGIN
  {take_id(s)};
  RETURN NEW;
END $body$"""


def _stamp_insert(s: str, quote: Quoter) -> str:
    return f"""
CREATE OR REPLACE FUNCTION {s}.stamp_insert() RETURNS trigger
{HEADER}
BEGIN
  IF {NO_ID} THEN
    {take_id(s)};
  END IF;
  NEW.{quote.tx} := current_setting('temporal.tx_id')::bigint;
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
BEGIN
  IF coalesce(current_setting('temporal.counts', true), '') = '' THEN
    INSERT INTO {s}.pending (tx_id) VALUES ({s}.start_transaction());
  ELSIF current_setting('temporal.stamped', true) = 'done' THEN
    -- Stamped early (SET CONSTRAINTS ... IMMEDIATE): what comes later must be stamped too.
    PERFORM set_config('temporal.stamped', 'again', true);
    INSERT INTO {s}.pending (tx_id) VALUES ({s}.start_transaction());
  END IF;
  IF rows <> 0 THEN
    of_table := of_table || jsonb_build_object(
      operation, coalesce((of_table ->> operation)::bigint, 0) + rows);
    counts := counts || jsonb_build_object(changed, of_table);
  END IF;
  PERFORM set_config('temporal.counts', counts::text, true);
END $body$"""


def _stamp_commit(s: str) -> str:
    return f"""
CREATE OR REPLACE FUNCTION {s}.stamp_commit() RETURNS trigger
{HEADER}
BEGIN
  IF coalesce(current_setting('temporal.stamped', true), '') <> '' THEN
    DELETE FROM {s}.transaction WHERE id = NEW.tx_id;
  END IF;
  -- The lock before the number: a reader that saw the number sees the lock too.
  INSERT INTO {s}.transaction (
    id, commit_seq, started_at, committed_at, uuid, operation, database_user,
    author, message, context, counts, parent_uuid, merge_parent_uuid)
  SELECT
    NEW.tx_id, q.seq, transaction_timestamp(), clock_timestamp(), gen_random_uuid(),
    coalesce(nullif(current_setting('temporal.operation', true), ''), 'COMMIT'),
    session_user,
    nullif(current_setting('temporal.author', true), ''),
    nullif(current_setting('temporal.message', true), ''),
    nullif(current_setting('temporal.context', true), '')::jsonb,
    current_setting('temporal.counts')::jsonb,
    nullif(current_setting('temporal.parent', true), '')::uuid,
    nullif(current_setting('temporal.merge_parent', true), '')::uuid
  FROM (SELECT nextval('{s}.commit_seq') AS seq,
      set_config('temporal.stamped', 'done', true)
    FROM (SELECT pg_advisory_xact_lock_shared({keys.LOCK_COMMITTING}, 0) OFFSET 0) AS locked
    OFFSET 0) AS q;
  RETURN NULL;
END $body$"""


def _stamp_trigger(s: str) -> tuple[str, ...]:
    return (
        f"DROP TRIGGER IF EXISTS stamp_commit ON {s}.pending",
        (
            f"CREATE CONSTRAINT TRIGGER stamp_commit AFTER INSERT ON {s}.pending "
            "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW "
            f"EXECUTE FUNCTION {s}.stamp_commit()"
        ),
        f"ALTER TABLE {s}.pending ENABLE ALWAYS TRIGGER stamp_commit",
    )


def _held(number: int) -> str:
    """The condition on ``pg_locks`` for our advisory locks of one kind in this database."""
    return (
        f"l.locktype = 'advisory' AND l.classid = {number}::oid AND l.objsubid = 2 "
        "AND l.granted AND l.database = "
        "(SELECT d.oid FROM pg_database d WHERE d.datname = current_database())"
    )


def _running(s: str) -> str:
    return f"""
CREATE OR REPLACE FUNCTION {s}.running() RETURNS bigint[]
{HEADER}
DECLARE
  last bigint;
  low_bits bigint[];
  undecided boolean;
BEGIN
  LOOP
    -- The ids of every transaction under way. One that announced itself and has no id
    -- yet is between two instructions: look again.
    SELECT count(DISTINCT l.virtualtransaction) FILTER (WHERE l.classid = {keys.LOCK_WRITING}::oid)
         > count(DISTINCT l.virtualtransaction) FILTER (WHERE l.classid = {keys.LOCK_ID}::oid),
         array_agg(l.objid::bigint) FILTER (WHERE l.classid = {keys.LOCK_ID}::oid)
    INTO undecided, low_bits
    FROM pg_locks l
    WHERE ({_held(keys.LOCK_WRITING)}) OR ({_held(keys.LOCK_ID)});
    EXIT WHEN NOT undecided;
    PERFORM pg_sleep(0.0005);
  END LOOP;
  -- Only the low 31 bits fit into the lock; the id is the largest one with these bits
  -- that the sequence, read after the locks, has reached.
  SELECT q.last_value INTO last FROM {s}.transaction_id_seq q;
  RETURN ARRAY(SELECT last - ((last - u.bits) & 2147483647) FROM unnest(low_bits) AS u(bits));
END $body$"""


def _barrier(s: str) -> str:
    return f"""
CREATE OR REPLACE FUNCTION {s}.barrier() RETURNS bigint
{HEADER}
DECLARE
  patience interval :=
    coalesce(nullif(current_setting('temporal.patience', true), ''), '10 seconds');
  reached bigint;
  committing text[];
  waiting text;
  deadline timestamptz := clock_timestamp() + patience;
BEGIN
  -- First the number, then who holds the lock: the other way round misses one that
  -- stamps in between.
  SELECT CASE WHEN q.is_called THEN q.last_value ELSE 0 END INTO reached
  FROM {s}.commit_seq q;
  SELECT array_agg(l.virtualtransaction) INTO committing
  FROM pg_locks l WHERE {_held(keys.LOCK_COMMITTING)} AND l.pid IS DISTINCT FROM pg_backend_pid();
  WHILE committing IS NOT NULL LOOP
    SELECT string_agg(coalesce('process ' || l.pid::text, 'a prepared transaction'), ', ')
    INTO waiting
    FROM pg_locks l
    WHERE {_held(keys.LOCK_COMMITTING)} AND l.virtualtransaction = ANY (committing);
    EXIT WHEN waiting IS NULL;
    IF clock_timestamp() > deadline THEN
      RAISE EXCEPTION USING ERRCODE = '{keys.STATE_BARRIER}',
        MESSAGE = 'a transaction that is committing did not end within ' || patience::text
          || ': ' || waiting,
        HINT = 'end it, or roll back the prepared transaction (see pg_prepared_xacts)';
    END IF;
    PERFORM pg_sleep(0.0005);
  END LOOP;
  IF coalesce(current_setting('temporal.stamped', true), '') <> '' THEN
    -- Stamped early, and not committed yet: this transaction's own commit is none.
    reached := least(reached, (SELECT t.commit_seq - 1 FROM {s}.transaction t
      WHERE t.id = current_setting('temporal.tx_id')::bigint));
  END IF;
  RETURN reached;
END $body$"""


def _unsealed(s: str) -> str:
    return f"""
CREATE OR REPLACE FUNCTION {s}.unsealed(reached bigint) RETURNS SETOF {s}.commit
{HEADER}
DECLARE
  -- Who runs is listed before the transactions are read: one that ends in between is
  -- then known from both.
  under_way bigint[] := {s}.running();
  last {s}.commit;
  node {s}.commit;
  tx record;
BEGIN
  SELECT * INTO last FROM {s}.commit c ORDER BY c.seq DESC LIMIT 1;
  IF last.seq IS NULL THEN
    last.seq := 0; last.hi := 0; last.lo := 0; last.inflight := '{{}}';
    last.effective_at := '-infinity';
  END IF;
  node := last;
  node.hash := NULL; node.deleted_at := NULL; node.deleted_by := NULL;
  -- Ids that were under way and have been rolled back since are forgotten.
  SELECT coalesce(array_agg(u.id), '{{}}') INTO node.inflight
  FROM unnest(last.inflight) AS u(id)
  WHERE u.id = ANY (under_way) OR EXISTS (
    SELECT FROM {s}.transaction t WHERE t.id = u.id AND t.commit_seq > last.seq);
  FOR tx IN
    SELECT t.* FROM {s}.transaction t
    WHERE t.id >= last.lo AND t.commit_seq > last.seq AND t.commit_seq <= reached
    ORDER BY t.commit_seq
  LOOP
    IF tx.id > node.hi THEN
      node.inflight := node.inflight || ARRAY(
        SELECT t.id FROM {s}.transaction t WHERE t.id > node.hi AND t.id < tx.id
        UNION
        SELECT u.id FROM unnest(under_way) AS u(id) WHERE u.id > node.hi AND u.id < tx.id);
      node.hi := tx.id;
    ELSE
      node.inflight := array_remove(node.inflight, tx.id);
    END IF;
    node.parent_uuid := coalesce(tx.parent_uuid, node.uuid);
    node.merge_parent_uuid := tx.merge_parent_uuid;
    node.seq := tx.commit_seq;
    node.tx_id := tx.id;
    node.uuid := tx.uuid;
    node.lo := coalesce((SELECT min(u.id) FROM unnest(node.inflight) AS u(id)), node.hi + 1);
    node.effective_at := greatest(tx.committed_at, node.effective_at + interval '1 microsecond');
    RETURN NEXT node;
  END LOOP;
END $body$"""


def _seal(s: str) -> str:
    return f"""
CREATE OR REPLACE FUNCTION {s}.seal() RETURNS bigint
{HEADER}
DECLARE
  reached bigint;
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed'
      OR current_setting('transaction_read_only') = 'on' THEN
    RETURN NULL;
  END IF;
  reached := {s}.barrier();
  IF NOT pg_try_advisory_xact_lock({keys.LOCK_SEALING}, 0) THEN
    RETURN NULL;
  END IF;
  INSERT INTO {s}.commit SELECT * FROM {s}.unsealed(reached);
  -- Rows here only carry the deferred trigger; those that can be seen have fired.
  DELETE FROM {s}.pending p
  WHERE p.tx_id IS DISTINCT FROM nullif(current_setting('temporal.tx_id', true), '')::bigint;
  RETURN reached;
END $body$"""


def _fresh_or_refuse(s: str) -> str:
    """Refuse a moment that a fixed snapshot may not see completely."""
    return f"""
  IF current_setting('transaction_isolation') <> 'read committed' AND reached <> (
      SELECT coalesce(max(c.seq), 0) + (
        SELECT count(*) FROM {s}.transaction t
        WHERE t.commit_seq > coalesce(max(c.seq), 0) AND t.commit_seq <= reached)
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
    IF {s}.seal() IS NULL THEN
      reached := {s}.barrier();{_fresh_or_refuse(s)}
      SELECT * INTO found_at FROM {s}.unsealed(reached) u
      WHERE u.effective_at <= asked ORDER BY u.seq DESC LIMIT 1;
      IF found_at.seq IS NOT NULL THEN
        RETURN found_at;
      END IF;
    END IF;
  END IF;
  SELECT * INTO found_at FROM {s}.commit c
  WHERE c.effective_at <= asked ORDER BY c.effective_at DESC LIMIT 1;
  IF found_at.seq IS NULL THEN
    SELECT min(c.effective_at) INTO first_at FROM {s}.commit c;
    IF first_at IS NULL THEN
      SELECT min(t.committed_at) INTO first_at FROM {s}.transaction t;
    END IF;
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
    IF {s}.seal() IS NULL THEN
      reached := {s}.barrier();{_fresh_or_refuse(s)}
      SELECT * INTO node FROM {s}.unsealed(reached) u WHERE u.uuid = asked;
    END IF;
    IF node.seq IS NULL THEN
      -- Sealed just now, here or by somebody else.
      SELECT * INTO node FROM {s}.commit c WHERE c.uuid = asked;
    END IF;
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
  IF {s}.seal() IS NULL THEN
    reached := {s}.barrier();{_fresh_or_refuse(s)}
    SELECT * INTO node FROM {s}.unsealed(reached) u ORDER BY u.seq DESC LIMIT 1;
  END IF;
  IF node.seq IS NULL THEN
    SELECT * INTO node FROM {s}.commit c ORDER BY c.seq DESC LIMIT 1;
  END IF;
  IF node.seq IS NULL THEN
    RAISE EXCEPTION USING ERRCODE = '{keys.STATE_BEFORE}',
      MESSAGE = 'there is no commit yet: nothing was recorded';
  END IF;
  RETURN node;
END $body$"""


def _ancestor(s: str) -> str:
    return f"""
CREATE OR REPLACE FUNCTION {s}.ancestor(start {s}.commit, back integer) RETURNS {s}.commit
{HEADER}
DECLARE
  node {s}.commit := start;
  steps integer := back;
BEGIN
  WHILE steps > 0 LOOP
    IF node.parent_uuid IS NULL THEN
      RAISE EXCEPTION USING ERRCODE = '{keys.STATE_BEFORE}',
        MESSAGE = back::text || ' commits before ' || start.uuid::text
          || ' is before the first commit';
    END IF;
    node := {s}.moment_of(node.parent_uuid);
    steps := steps - 1;
  END LOOP;
  RETURN node;
END $body$"""


def _resolve(s: str) -> str:
    states = (
        keys.STATE_FUTURE,
        keys.STATE_BEFORE,
        keys.STATE_UNKNOWN,
        keys.STATE_SNAPSHOT,
        keys.STATE_BARRIER,
    )
    caught = " OR ".join(f"SQLSTATE '{state}'" for state in states)
    return f"""
CREATE OR REPLACE FUNCTION {s}.resolve(
  kind text, asked text, back integer,
  OUT problem text, OUT message text, OUT hint text,
  OUT seq bigint, OUT uuid uuid, OUT effective_at timestamptz,
  OUT hi bigint, OUT lo bigint, OUT inflight bigint[])
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
        SELECT r.commit_uuid INTO uuid FROM {s}.ref r WHERE r.name = asked;
        IF uuid IS NULL THEN
          RAISE EXCEPTION USING ERRCODE = '{keys.STATE_UNKNOWN}',
            MESSAGE = 'no tag, branch or commit is called ' || quote_literal(asked);
        END IF;
        node := {s}.moment_of(uuid);
      WHEN 'time' THEN
        node := {s}.moment_at(asked::timestamptz);
      WHEN 'ago' THEN
        node := {s}.moment_at(clock_timestamp() - asked::interval);
    END CASE;
    IF back > 0 THEN
      node := {s}.ancestor(node, back);
    END IF;
  EXCEPTION WHEN {caught} THEN
    problem := SQLSTATE;
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
    RETURN;
  END;
  seq := node.seq; uuid := node.uuid; effective_at := node.effective_at;
  hi := node.hi; lo := node.lo; inflight := node.inflight;
END $body$"""


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
