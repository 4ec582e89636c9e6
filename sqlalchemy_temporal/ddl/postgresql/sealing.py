"""The functions that seal: from transactions to commits in their exact order.

``running``
    The ids of all transactions under way.
``barrier``
    Reads the last sequence number *first* and then waits until each transaction that was
    just committing is gone: from then on every commit up to that number is visible.
``unsealed``, ``seal``
    Give each commit its strictly increasing effective time, its parent and the set of
    ids under way. The result is a function of the transactions alone, so it does not
    matter who seals, or when.
"""

from __future__ import annotations

from sqlalchemy_temporal.ddl import keys
from sqlalchemy_temporal.ddl.postgresql import partitions
from sqlalchemy_temporal.ddl.postgresql.quoting import HEADER, LOOKING_UP


def statements(s: str) -> tuple[str, ...]:
    """The statements that create or replace the functions in the quoted schema ``s``."""
    return (_running(s), _barrier(s), _unsealed(s), _seal(s))


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
{LOOKING_UP}
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
  node.hash := NULL; node.marks := NULL; node.deleted_at := NULL; node.deleted_by := NULL;
  node.deletion_reason := NULL;
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
  IF NOT pg_try_advisory_xact_lock({keys.LOCK_SEALING}, 0) THEN
    RETURN NULL;
  END IF;
  reached := {s}.barrier();
  INSERT INTO {s}.commit SELECT * FROM {s}.unsealed(reached);
  -- Rows here only carry the deferred trigger; those that can be seen have fired.
  DELETE FROM {s}.pending p
  WHERE p.tx_id IS DISTINCT FROM nullif(current_setting('temporal.tx_id', true), '')::bigint;
  IF {partitions.is_due(s)} THEN
    PERFORM {s}.maintain_partitions();
  END IF;
  RETURN reached;
END $body$"""
