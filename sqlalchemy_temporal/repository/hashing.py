"""Give sealed commits their hashes, off the path of those who write.

A commit is hashed once, when somebody asks for it: :func:`hash_commits`, which ``verify``
and ``digest`` call first. One transaction hashes at a time, in batches; what it finds is a
function of what the commits did alone, so it does not matter who hashes, or when.

Rows of a batch are found without reading more of a table than needed: versions that ended
through the index of history by ending transaction, their successors in the live table by
key. Only when a commit of the batch inserted rows is the live table read, once for the
whole batch.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, select, text

from sqlalchemy_temporal.clock.seal import has_spare, read_only, seal
from sqlalchemy_temporal.ddl import keys
from sqlalchemy_temporal.ddl.postgresql.chain import insert_roots, update_hashes
from sqlalchemy_temporal.ddl.postgresql.hashing import HashedTable, Scope, roots
from sqlalchemy_temporal.errors import UnsupportedDatabaseError
from sqlalchemy_temporal.repository.canonical import Lineage, field_marks
from sqlalchemy_temporal.repository.chain import Link, in_text, links, planned
from sqlalchemy_temporal.repository.hashed import hashed_tables, leaf_sql
from sqlalchemy_temporal.schema import system_of

_COMMITS: Final = 5000
_ROWS: Final = 500_000
"""A batch has at most so many commits, and rows unless one commit alone has more."""

_MANY: Final = 200
"""Commits for which reading whole tables is planned, rather than looking rows up."""
_PINNED: Final = {
    "search_path": "pg_catalog, pg_temp",
    "row_security": "off",
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
}
_SILENT: Final = frozenset({"BASELINE", "DISABLE"})
"""Operations whose rows are not counted."""


@dataclass(frozen=True, slots=True)
class _Batch:
    """Commits to be hashed together.

    Attributes:
        rows: the commits: ``seq``, ``tx_id``, ``lo``, ``operation``, ``counts``.
        key_changes: the tables (schema, name) in which they changed keys.
        overrides: the tables (id) of which they redacted or purged versions.
    """

    rows: Sequence[Row[Any]]
    key_changes: frozenset[tuple[str, str]]
    overrides: frozenset[int]

    @property
    def lo(self) -> int:
        """No version that ended in a transaction with a smaller id matters."""
        return min(int(min(row.lo, row.tx_id)) for row in self.rows)

    def scope_of(self, table: HashedTable) -> Scope | None:
        """Where to look for leaves of ``table``; None when there cannot be any."""
        ids = {row.tx_id for row in self.rows}
        if any(self._is_silent(row) for row in self.rows):
            return Scope(self.lo)
        counted = [
            row.counts[table.qualified] for row in self.rows if table.qualified in row.counts
        ]
        if not counted:
            concerned = table.id in self.overrides or any(tx in ids for tx, _ in table.fixed)
            return Scope(self.lo, by_key=True) if concerned else None
        complete = (table.schema, table.name) not in self.key_changes and not any(
            "insert" in each for each in counted
        )
        # A purge took versions whose keys would lead to live rows.
        complete = complete and self.rows[0].seq > table.purged_seq
        return Scope(self.lo, by_key=complete and table.has_history)

    def _is_silent(self, row: Row[Any]) -> bool:
        return row.operation in _SILENT or not row.counts

    def names(self) -> set[str]:
        """The tables that were changed, as they were called then."""
        return {name for row in self.rows for name in row.counts}


def hash_commits(
    connection: Connection, schema: str, *, progress: Callable[[int], None] | None = None
) -> int:
    """Seal and hash every commit so far, on another connection where there is one to spare.

    Parameters:
        connection: whose database it is about. In its transaction when its pool has no other
            connection; nobody else can hash until that ends.
        schema: the schema of the library's own tables.
        progress: called with the number of commits hashed, after each batch.

    Returns:
        The number of commits hashed. None are when the role may not, or the server takes no
        writes: ``verify`` says how many are without.

    Raises:
        UnhashableTypeError: a column has a type that cannot be hashed.
        UnsupportedDatabaseError: the database is not PostgreSQL.
    """
    if connection.dialect.name != "postgresql":
        raise UnsupportedDatabaseError(
            f"hashes of commits are not computed on {connection.dialect.name!r}, so there is "
            "nothing to verify and no digest; use PostgreSQL"
        )
    if read_only(connection) or not _may_hash(connection, schema):
        return 0
    done = 0
    with apart(connection) as turn:
        while True:
            with turn() as other:
                if done == 0:
                    seal(other, schema)
                hashed = _hash_batch(other, schema)
            if hashed == 0:
                return done
            done += hashed
            if progress is not None:
                progress(done)


@contextmanager
def apart(connection: Connection, isolation: str = "READ COMMITTED") -> Iterator[Callable[[], Any]]:
    """Transactions on another connection, or savepoints where there is none to spare.

    Parameters:
        connection: a connection of the pool.
        isolation: the isolation level of the transactions.
    """
    engine = connection.engine
    if not has_spare(engine.pool):
        yield lambda: pinned(connection)
        return
    with engine.execution_options(isolation_level=isolation).connect() as other:
        yield lambda: pinned(other)


@contextmanager
def pinned(connection: Connection) -> Iterator[Connection]:
    """A transaction, or a savepoint, in which no setting of the session's own holds.

    Names mean the server's own functions, every row is seen or there is an error, and
    times come in a form that every driver reads. A connection in AUTOCOMMIT is used as it is:
    settings would stay.
    """
    driver = connection.connection.dbapi_connection
    if driver is not None and connection.dialect.detect_autocommit_setting(driver):
        yield connection
        return
    with connection.begin_nested() if connection.in_transaction() else connection.begin():
        before = {
            name: connection.scalar(text("SELECT current_setting(:name)"), {"name": name})
            for name in _PINNED
        }
        _set(connection, _PINNED)
        yield connection
        _set(connection, before)


def _set(connection: Connection, settings: Mapping[str, Any]) -> None:
    for name, value in settings.items():
        connection.execute(
            text("SELECT set_config(:name, :value, true)"), {"name": name, "value": value}
        )


def _may_hash(connection: Connection, schema: str) -> bool:
    system = system_of(connection, schema)
    prepare = connection.dialect.identifier_preparer.format_table
    return bool(
        connection.scalar(
            text(
                "SELECT has_table_privilege(:commit, 'UPDATE') "
                "AND has_table_privilege(:root, 'INSERT')"
            ),
            {
                "commit": prepare(system.commit).replace("%%", "%"),
                "root": prepare(system.commit_root).replace("%%", "%"),
            },
        )
    )


def _hash_batch(connection: Connection, schema: str) -> int:
    connection.execute(text("SELECT pg_advisory_xact_lock(:kind, 0)"), {"kind": keys.LOCK_HASHING})
    batch = _next(connection, schema)
    if batch is None:
        return 0
    first, last = batch.rows[0].seq, batch.rows[-1].seq
    commits = [(row.tx_id, row.seq) for row in batch.rows]
    tables = hashed_tables(connection, schema)
    known = {table.qualified for table in tables}
    s = connection.dialect.identifier_preparer.quote(schema)
    for table in tables:
        scope = batch.scope_of(table)
        if scope is None and not batch.names() <= known:
            scope = Scope(batch.lo)  # renamed since
        if scope is None:
            continue
        many = len(commits) > _MANY
        if many:
            scope = Scope(scope.lo)
        leaves = leaf_sql(connection, schema, table).original_leaves(scope)
        with planned(connection, "enable_nestloop") if many else nullcontext():
            connection.exec_driver_sql(insert_roots(s, table.id, roots(leaves), commits))
    _write_hashes(connection, schema, list(links(connection, schema, first - 1, last)))
    return len(batch.rows)


def _next(connection: Connection, schema: str) -> _Batch | None:
    system = system_of(connection, schema)
    commit, transaction = system.commit, system.transaction
    last = connection.scalar(
        select(commit.c.seq)
        .where(commit.c.hash.is_not(None))
        .order_by(commit.c.seq.desc())
        .limit(1)
    )
    statement: Select[Any] = (
        select(
            commit.c.seq,
            commit.c.tx_id,
            commit.c.lo,
            transaction.c.operation,
            transaction.c.counts,
        )
        .join_from(commit, transaction, transaction.c.id == commit.c.tx_id)
        .where(commit.c.seq > (last or 0))
        .order_by(commit.c.seq)
        .limit(_COMMITS)
    )
    found = connection.execute(statement).all()
    rows = found[: _within(found)]
    if not rows:
        return None
    within = (rows[0].tx_id, *(row.tx_id for row in rows))
    changed, override = system.pk_change, system.leaf_override
    key_changes = connection.execute(
        select(changed.c.table_schema, changed.c.table_name)
        .where(changed.c.tx_id.between(min(within), max(within)))
        .distinct()
    )
    overrides = connection.scalars(
        select(override.c.table_id)
        .where(override.c.by_tx_id.between(min(within), max(within)))
        .distinct()
    )
    return _Batch(rows, frozenset((row[0], row[1]) for row in key_changes), frozenset(overrides))


def _within(rows: Sequence[Row[Any]]) -> int:
    """How many of ``rows`` make a batch."""
    total = 0
    for index, row in enumerate(rows):
        total += sum(abs(n) for table in row.counts.values() for n in table.values())
        if total > _ROWS:
            return max(index, 1)
    return len(rows)


def _write_hashes(connection: Connection, schema: str, chain: Sequence[Link]) -> None:
    """Hash commits in their order; each needs those before it."""
    fresh: dict[Any, bytes] = {}
    previous = chain[0].lineage.previous
    values = []
    for link in chain:
        lineage = Lineage(
            previous,
            fresh.get(link.row.parent_uuid, link.lineage.parent),
            fresh.get(link.row.merge_parent_uuid, link.lineage.merge_parent),
        )
        previous = fresh[link.row.uuid] = link.computed(lineage)
        values.append(
            {
                "seq": link.seq,
                "hash": previous.hex(),
                "marks": field_marks(link.fields, link.originals).hex(),
            }
        )
    connection.execute(
        text(update_hashes(in_text(connection, schema))), {"values": json.dumps(values)}
    )
