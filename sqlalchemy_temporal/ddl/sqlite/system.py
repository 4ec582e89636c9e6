"""The triggers that number transactions and make commits on SQLite.

SQLite has neither sequences nor deferred triggers nor settings of a transaction, and no
trigger can see where a transaction begins or ends. It has one writer at a time. So what is
known of the transaction under way is a row of a table (``…_pending``), which a rollback
takes back with everything else, and there are two modes:

``client``
    Somebody says where the transaction begins and ends: the hooks on an engine
    (:mod:`sqlalchemy_temporal.clock.backends.sqlite_events`), or any client by writing to
    two views, ``INSERT INTO …_begin (author, message) VALUES (…)`` and ``INSERT INTO …_end
    VALUES (NULL)``. Everything in between is one commit. What was begun and not ended is in
    flight: no moment shows it until it is ended.
``statement``
    Nobody said so: each statement that changes versioned rows is a commit. A statement is
    known by its clock, which SQLite keeps still while it runs, together with the unbroken
    count of the connection's changes (``total_changes()``). Where the count is broken, e.g.
    by triggers of the application, a statement becomes several commits, never the other way
    round.

A transaction's id is its sequence number: with one writer, ids and commits are in one order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from sqlalchemy.engine import Dialect
from sqlalchemy.schema import CreateIndex, CreateTable

from sqlalchemy_temporal.ddl.postgresql.quoting import Quoter
from sqlalchemy_temporal.ddl.refs import first_branch
from sqlalchemy_temporal.schema import SystemTables, prefixed, system_of

TEMPLATE = 1

NOW = "strftime('%Y-%m-%d %H:%M:%f000', 'now')"
"""The statement's time in UTC, as SQLAlchemy writes it; SQLite knows milliseconds."""

NEW_UUID = "lower(hex(randomblob(16)))"


class SystemSql:
    """Renders the SQL of the library's own objects.

    Parameters:
        schema: the schema as configured, here the prefix of every name.
        quote: the dialect's quoting.
    """

    def __init__(self, schema: str, quote: Quoter) -> None:
        self.schema = schema
        self.quote = quote
        self.tables: SystemTables = system_of(quote.dialect, schema)

    def name(self, name: str) -> str:
        """A quoted object of the library."""
        return self.quote.name(prefixed(self.schema, name))

    @property
    def tx(self) -> str:
        """The id of the transaction under way."""
        return f"(SELECT p.tx_id FROM {self.name('pending')} AS p)"

    @property
    def start(self) -> str:
        """Begin the commit of a statement, unless it or a client's transaction has begun."""
        return self.start_if("1")

    def start_if(self, condition: str) -> str:
        """The same, where it is needed only on a condition."""
        return (
            f"UPDATE {self.name('pending')} SET touched = touched + 1 WHERE (mode IS NULL "
            "OR (mode = 'statement' AND (statement_changes IS NOT total_changes() "
            f"OR statement_at IS NOT {NOW}))) AND {condition}"
        )

    @property
    def finish(self) -> str:
        """Remember the count of changes, to know the statement by; this is one more."""
        return (
            f"UPDATE {self.name('pending')} SET statement_changes = total_changes() + 1 "
            "WHERE mode = 'statement'"
        )

    def count(self, table: str, *changes: str) -> str:
        """Count changed rows of ``table``, as assignments to columns."""
        assigned = ", ".join(("touched = 1", *changes))
        return (
            f"UPDATE {self.name('counts')} SET {assigned} WHERE name = {self.quote.literal(table)}"
        )

    # What the hooks run ------------------------------------------------------------

    @property
    def take_lock(self) -> str:
        """Take the write lock and change nothing."""
        return f"DELETE FROM {self.name('pending')} WHERE 0"

    @property
    def under_way(self) -> str:
        """The mode, the token and the id of the transaction under way."""
        return f"SELECT mode, token, tx_id FROM {self.name('pending')}"

    @property
    def begin(self) -> str:
        """Open a transaction; parameters: its token and when it began."""
        return f"INSERT INTO {self.name('begin')} (token, started_at) VALUES (?, ?)"

    @property
    def end(self) -> str:
        """Close the transaction under way; parameter: the time, or None."""
        return f"INSERT INTO {self.name('end')} (committed_at) VALUES (?)"

    @property
    def parents(self) -> str:
        """The HEAD that the transaction under way expects, and HEAD."""
        return (
            f"SELECT p.expected_head, (SELECT c.uuid FROM {self.name('commit')} AS c "
            f"ORDER BY c.seq DESC LIMIT 1) FROM {self.name('pending')} AS p"
        )

    @property
    def add_counts(self) -> str:
        """Count rows; parameters: inserted, updated, deleted, and the table."""
        return (
            f"UPDATE {self.name('counts')} SET touched = 1, inserted = inserted + ?, "
            "updated = updated + ?, deleted = deleted + ? WHERE name = ?"
        )

    def assign(self, columns: Iterable[str]) -> str:
        """Set columns of the transaction under way; parameters: their values."""
        assigned = ", ".join(f"{self.quote.name(column)} = ?" for column in columns)
        return f"UPDATE {self.name('pending')} SET {assigned}"

    # Statements --------------------------------------------------------------------

    def create(self) -> tuple[str, ...]:
        """Create everything; what is there already stays."""
        made = []
        for table in self.tables.metadata.sorted_tables:
            made.append(str(CreateTable(table, if_not_exists=True).compile(dialect=self._dialect)))
            made += [
                str(CreateIndex(index, if_not_exists=True).compile(dialect=self._dialect))
                for index in table.indexes
            ]
        pending = self.name("pending")
        return (
            *(statement.strip() for statement in made),
            first_branch(self.name("ref")),
            (
                f"CREATE UNIQUE INDEX IF NOT EXISTS {self.name('transaction_uuid')} "
                f"ON {self.name('transaction')} (uuid)"
            ),
            *self.drop_programs(),
            *self._programs(),
            f"INSERT OR IGNORE INTO {pending} (one) VALUES (1)",
            f"UPDATE {pending} SET template = {self.quote.literal(self.template())}",
        )

    def template(self) -> str:
        """What ``pending`` says about the library, so that another version is noticed."""
        digest = hashlib.sha256("\n".join(self._programs()).encode()).hexdigest()[:16]
        return f"sqlalchemy-temporal template={TEMPLATE} digest={digest}"

    def drop(self) -> tuple[str, ...]:
        """Drop everything."""
        return (
            *self.drop_programs(),
            *(
                f"DROP TABLE IF EXISTS {self.quote.name(table.name)}"
                for table in reversed(self.tables.metadata.sorted_tables)
            ),
        )

    def drop_programs(self) -> tuple[str, ...]:
        """Drop the views and triggers."""
        return (
            f"DROP VIEW IF EXISTS {self.name('begin')}",
            f"DROP VIEW IF EXISTS {self.name('end')}",
            f"DROP TRIGGER IF EXISTS {self.name('statement')}",
            f"DROP TRIGGER IF EXISTS {self.name('statement_counts')}",
        )

    @property
    def _dialect(self) -> Dialect:
        return self.quote.dialect

    def _programs(self) -> tuple[str, ...]:
        described = "author, message, context, operation, parent_uuid, merge_parent_uuid, token"
        return (
            (
                f"CREATE VIEW {self.name('begin')} AS SELECT {described}, started_at, tx_id "
                f"FROM {self.name('pending')} WHERE mode = 'client'"
            ),
            f"CREATE VIEW {self.name('end')} AS SELECT NULL AS committed_at",
            self._trigger(
                "begin_client", f"INSTEAD OF INSERT ON {self.name('begin')}", self._begin()
            ),
            self._trigger("end_client", f"INSTEAD OF INSERT ON {self.name('end')}", self._end()),
            self._trigger(
                "statement", f"AFTER UPDATE OF touched ON {self.name('pending')}", self._statement()
            ),
            self._trigger(
                "statement_counts",
                f"AFTER UPDATE ON {self.name('counts')} WHEN NEW.touched AND "
                f"(SELECT p.mode FROM {self.name('pending')} AS p) = 'statement'",
                [
                    (
                        f"UPDATE {self.name('transaction')} SET counts = {self._counts()} "
                        f"WHERE id = {self.tx}"
                    )
                ],
            ),
        )

    def _trigger(self, name: str, when: str, body: Iterable[str]) -> str:
        return trigger(self.name(name), when, body)

    def _next_id(self) -> str:
        return f"(SELECT coalesce(max(t.id), 0) + 1 FROM {self.name('transaction')} AS t)"

    def _reset_counts(self) -> str:
        return (
            f"UPDATE {self.name('counts')} SET touched = 0, inserted = 0, updated = 0, "
            "deleted = 0 WHERE touched"
        )

    def _begin(self) -> list[str]:
        pending = self.name("pending")
        message = (
            "a versioned transaction is open already: end it with INSERT INTO "
            f"{prefixed(self.schema, 'end')} VALUES (NULL)"
        )
        return [
            (
                f"SELECT RAISE(ABORT, {self.quote.literal(message)}) "
                f"WHERE (SELECT p.mode FROM {pending} AS p) = 'client'"
            ),
            self._reset_counts(),
            (
                f"UPDATE {pending} SET tx_id = {self._next_id()}, mode = 'client', "
                f"started_at = coalesce(NEW.started_at, {NOW}), token = NEW.token, "
                "author = NEW.author, message = NEW.message, context = NEW.context, "
                "operation = NEW.operation, parent_uuid = NEW.parent_uuid, "
                "merge_parent_uuid = NEW.merge_parent_uuid, expected_head = NULL"
            ),
        ]

    def _end(self) -> list[str]:
        pending = self.name("pending")
        changed = f"EXISTS (SELECT 1 FROM {self.name('counts')} WHERE touched)"
        return [
            f"""INSERT INTO {self.name("transaction")} (id, commit_seq, started_at,
    committed_at, uuid, operation, database_user, author, message, context, counts,
    parent_uuid, merge_parent_uuid)
  SELECT p.tx_id, p.tx_id, p.started_at, coalesce(NEW.committed_at, {NOW}), {NEW_UUID},
    coalesce(p.operation, 'COMMIT'), '', p.author, p.message, p.context, {self._counts()},
    p.parent_uuid, p.merge_parent_uuid
  FROM {pending} AS p WHERE p.mode = 'client' AND {changed}""",
            self._seal(
                f"{changed} AND t.id = {self.tx} AND (SELECT p.mode FROM {pending} AS p) = 'client'"
            ),
            self._reset_counts(),
            (
                f"UPDATE {pending} SET tx_id = NULL, mode = NULL, token = NULL, author = NULL, "
                "message = NULL, context = NULL, operation = NULL, parent_uuid = NULL, "
                "merge_parent_uuid = NULL, expected_head = NULL"
            ),
        ]

    def _statement(self) -> list[str]:
        pending = self.name("pending")
        return [
            (
                f"UPDATE {pending} SET tx_id = {self._next_id()}, mode = 'statement', "
                f"started_at = {NOW}, statement_at = {NOW}, statement_changes = NULL"
            ),
            self._reset_counts(),
            f"""INSERT INTO {self.name("transaction")} (id, commit_seq, started_at,
    committed_at, uuid, operation, database_user, counts)
  SELECT p.tx_id, p.tx_id, p.started_at, p.started_at, {NEW_UUID}, 'COMMIT', '', '{{}}'
  FROM {pending} AS p""",
            self._seal(f"t.id = {self.tx}"),
        ]

    def _counts(self) -> str:
        """The counts as JSON, without those that are nought, as PostgreSQL has them."""
        number = "json_patch('{}', json_object('insert', nullif(c.inserted, 0), "
        number += "'update', nullif(c.updated, 0), 'delete', nullif(c.deleted, 0)))"
        return (
            f"(SELECT json_group_object(c.name, {number}) FROM {self.name('counts')} AS c "
            "WHERE c.touched AND (c.inserted OR c.updated OR c.deleted))"
        )

    def _seal(self, which: str) -> str:
        """The commit of a transaction: after the last one, whatever the clock says."""
        last = f"(SELECT max(m.seq) FROM {self.name('commit')} AS m)"
        later = _text_of(
            f"max({_number_of('t.committed_at')}, coalesce({_number_of('c.effective_at')} + 1, 0))"
        )
        return f"""INSERT INTO {self.name("commit")} (seq, tx_id, uuid, parent_uuid,
    merge_parent_uuid, effective_at, hi, lo, inflight)
  SELECT t.id, t.id, t.uuid, coalesce(t.parent_uuid, c.uuid), t.merge_parent_uuid,
    {later}, t.id, t.id + 1, '[]'
  FROM {self.name("transaction")} AS t LEFT JOIN {self.name("commit")} AS c ON c.seq = {last}
  WHERE {which}"""


def trigger(name: str, when: str, body: Iterable[str]) -> str:
    """A row trigger; its name is quoted."""
    statements = "".join(f"  {statement};\n" for statement in body)
    return f"CREATE TRIGGER {name} {when}\nBEGIN\n{statements}END"


def _number_of(text: str) -> str:
    """A time as microseconds since 1970."""
    return (
        f"(CAST(strftime('%s', substr({text}, 1, 19)) AS INTEGER) * 1000000 "
        f"+ CAST(substr({text} || '000000', 21, 6) AS INTEGER))"
    )


def _text_of(number: str) -> str:
    """Microseconds since 1970 as a time."""
    return (
        f"(SELECT strftime('%Y-%m-%d %H:%M:%S', q.n / 1000000, 'unixepoch') "
        f"|| substr('.' || (1000000 + q.n % 1000000), 1, 1) "
        f"|| substr(1000000 + q.n % 1000000, 2) FROM (SELECT {number} AS n) AS q)"
    )
