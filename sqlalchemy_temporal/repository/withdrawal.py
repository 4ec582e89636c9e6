"""Take versions away, or alter them, on purpose: so that what was committed still verifies.

Whoever purges calls :func:`record_purged` before deleting; whoever redacts does it inside
of ``with redacting(…)``. Both keep the hashes that the versions had, in the transaction
that makes the change, and that transaction's commit covers what was kept. ``verify`` then
reports such versions apart, and any other change as what it is.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    CTE,
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    FromClause,
    LargeBinary,
    MetaData,
    Select,
    SelectBase,
    Subquery,
    Table,
    and_,
    cast,
    func,
    insert,
    literal,
    literal_column,
    null,
    select,
    table,
    union_all,
)
from sqlalchemy.dialects.postgresql import aggregate_order_by

from sqlalchemy_temporal.ddl import keys
from sqlalchemy_temporal.ddl.postgresql.hashing import LeafSql
from sqlalchemy_temporal.errors import NotInstalledError, UnhashableTypeError
from sqlalchemy_temporal.naming import END_COLUMN, ID_COLUMN, TX_COLUMN
from sqlalchemy_temporal.repository.hashed import hashed_tables, leaf_sql
from sqlalchemy_temporal.repository.hashing import pinned
from sqlalchemy_temporal.schema import SystemTables, system_of

Chosen = Callable[[Any], Sequence[ColumnElement[bool]]]
"""Given the history table under another name, the conditions that choose versions."""

_SIDES: Final = (TX_COLUMN, END_COLUMN)
"""A version has a hash in the commit that wrote it and one in the commit that ended it."""


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """What is needed to record that versions of one table are withdrawn.

    Attributes:
        connection: in the transaction that withdraws them, as a commit of its own kind.
        schema: the schema of the library's own tables.
        table_id: the table's number in the list of versioned tables.
        history: its history table, with the columns that conditions need.
    """

    connection: Connection
    schema: str
    table_id: int
    history: FromClause

    @property
    def _system(self) -> SystemTables:
        return system_of(self.connection, self.schema)

    def is_hashed(self) -> bool:
        """Whether a commit that changed the table has a hash."""
        root = self._system.commit_root
        found = select(root.c.seq).where(root.c.table_id == self.table_id).limit(1)
        return self.connection.execute(found).first() is not None

    def hashed(self, without: CTE) -> Subquery:
        """The other commits that have a hash: ``tx_id``, ``seq``, called ``x``."""
        commit = self._system.commit
        found = select(commit.c.tx_id, commit.c.seq).where(commit.c.hash.is_not(None))
        return found.where(commit.c.tx_id.not_in(select(without.c.tx))).subquery("x")

    def whole(self, chosen: Chosen) -> CTE:
        """The commits of whose leaves all are those of chosen versions: ``tx``."""
        h, root, commit = self.history.alias("h"), self._system.commit_root, self._system.commit
        ids = union_all(*(select(h.c[side].label("tx")).where(*chosen(h)) for side in _SIDES))
        found = ids.subquery("ids")
        return (
            select(found.c.tx)
            .join(commit, commit.c.tx_id == found.c.tx)
            .join(root, and_(root.c.seq == commit.c.seq, root.c.table_id == self.table_id))
            .group_by(found.c.tx, root.c.leaves)
            .having(func.count() == root.c.leaves)
            .cte("whole")
        )

    def leaves(
        self, sql: LeafSql, side: str, chosen: Chosen, commits: FromClause | None = None
    ) -> Select[Any]:
        """Of chosen versions: ``version``, ``ended``, ``tx`` and ``leaf`` on one side.

        Parameters:
            sql: what writes the leaves.
            side: the column of the transaction whose leaves they are.
            chosen: which versions.
            commits: only of these commits, called ``x``; None for all.
        """
        h = self.history.alias("h")
        transaction = self._system.transaction
        x = select(transaction.c.id.label("tx_id"), transaction.c.commit_seq.label("seq"))
        commits = x.subquery("x") if commits is None else commits
        leaf = sql.written("h", live=False) if side == TX_COLUMN else sql.ended("h")
        return (
            select(
                h.c[ID_COLUMN].label("version"),
                h.c[END_COLUMN].label("ended"),
                h.c[side].label("tx"),
                literal_column(leaf.replace("%%", "%"), LargeBinary).label("leaf"),
            )
            .join_from(h, commits, commits.c.tx_id == h.c[side])
            .where(*chosen(h))
        )

    def sql(self) -> LeafSql:
        """What writes the expressions for the table's leaves.

        Raises:
            NotInstalledError: no table has this number.
            UnhashableTypeError: a column has a type that cannot be hashed.
        """
        for each in hashed_tables(self.connection, self.schema):
            if each.id == self.table_id:
                return leaf_sql(self.connection, self.schema, each)
        raise NotInstalledError(f"no versioned table has the number {self.table_id}")

    def originals(self, leaves: FromClause) -> tuple[Select[Any], ColumnElement[bytes]]:
        """``leaves`` as they were before an earlier redaction: rows, and the hash to take."""
        before = self._system.leaf_override.alias("before")
        rows = select(leaves).outerjoin_from(
            leaves,
            before,
            and_(
                before.c.table_id == self.table_id,
                before.c.tx_id == leaves.c.tx,
                before.c.current_hash == leaves.c.leaf,
            ),
        )
        return rows, func.coalesce(before.c.original_hash, leaves.c.leaf)

    def write(self, values: SelectBase, names: Sequence[str]) -> None:
        """Insert the overrides that ``values`` selects."""
        override = self._system.leaf_override
        self.connection.execute(insert(override).from_select([*names], values))

    @property
    def by(self) -> ColumnElement[int]:
        """The id of the transaction that withdraws; it gets one if it has none."""
        quoted = self.connection.dialect.identifier_preparer.quote(self.schema)
        return literal_column(f"{quoted.replace('%%', '%')}.start_transaction()", BigInteger)


def hold_hashing(connection: Connection) -> None:
    """Keep commits from being hashed until the transaction of ``connection`` ends.

    Taken before a history table is touched, it waits for nobody who waits for that table.
    """
    connection.execute(select(func.pg_advisory_xact_lock(keys.LOCK_HASHING, 0)))


def record_purged(
    connection: Connection, schema: str, table_id: int, history: FromClause, chosen: Chosen
) -> None:
    """Keep the hashes of versions that are about to be deleted from history.

    Only commits that have a hash are concerned: that of the others will be over what is
    left, so nobody else hashes until the transaction ends. Where all that a commit did to
    the table goes at once, its root stands for it, and no hash of a version is kept.

    Parameters:
        connection: in the transaction that will delete them, as a commit of its own kind.
        schema: the schema of the library's own tables.
        table_id: the table's number in the list of versioned tables.
        history: its history table, with the columns that ``chosen`` needs.
        chosen: which versions.

    Raises:
        NotInstalledError: no table has this number.
        UnhashableTypeError: a column has a type that cannot be hashed.
    """
    hold_hashing(connection)
    this = Withdrawal(connection, schema, table_id, history)
    if not this.is_hashed():
        return
    with pinned(connection):
        sql = this.sql()
        whole = this.whole(chosen)
        sides = (this.leaves(sql, side, chosen, this.hashed(whole)) for side in _SIDES)
        leaves = union_all(*sides).subquery("q")
        rows, original = this.originals(leaves)
        joined = func.string_agg(
            original, aggregate_order_by(literal_column("''::bytea"), original)
        )
        kept = rows.with_only_columns(
            literal(table_id), leaves.c.tx, literal("purged"), joined, this.by
        ).group_by(leaves.c.tx)
        nothing = cast(null(), LargeBinary)
        gone = select(literal(table_id), whole.c.tx, literal("purged"), nothing, this.by)
        this.write(
            union_all(kept, gone), ("table_id", "tx_id", "kind", "original_hash", "by_tx_id")
        )


def is_hashable(connection: Connection, schema: str, table_id: int) -> bool:
    """Whether versions of a table can be hashed: not with columns of some types."""
    try:
        Withdrawal(connection, schema, table_id, table("none")).sql().written("h", live=False)
    except UnhashableTypeError:
        return False
    return True


@contextmanager
def redacting(
    connection: Connection, schema: str, table_id: int, history: FromClause, chosen: Chosen
) -> Iterator[None]:
    """Keep the hashes that versions of history have before and after the block alters them.

    The block must leave them their ``temporal_id`` and their transactions.

    Parameters:
        connection: in the transaction that alters them, as a commit of its own kind.
        schema: the schema of the library's own tables.
        table_id: the table's number in the list of versioned tables.
        history: its history table, with the columns that ``chosen`` needs.
        chosen: which versions.

    Raises:
        NotInstalledError: no table has this number.
        UnhashableTypeError: a column has a type that cannot be hashed.
    """
    this = Withdrawal(connection, schema, table_id, history)
    kept = {side: _temporary() for side in _SIDES}
    for side, before in kept.items():
        before.create(connection, checkfirst=False)
        with pinned(connection):
            found = this.leaves(this.sql(), side, chosen)
            connection.execute(insert(before).from_select([c.name for c in before.c], found))
    yield
    for side, before in kept.items():
        with pinned(connection):
            _write_redacted(this, side, before)
        before.drop(connection, checkfirst=False)


def _temporary() -> Table:
    return Table(
        f"temporal_before_{secrets.token_hex(4)}",
        MetaData(),
        Column("version", BigInteger),
        Column("ended", BigInteger),
        Column("tx", BigInteger),
        Column("leaf", LargeBinary),
        prefixes=["TEMPORARY"],
    )


def _write_redacted(this: Withdrawal, side: str, before: Table) -> None:
    def same(h: Any) -> list[ColumnElement[bool]]:
        return [h.c[END_COLUMN].in_(select(before.c.ended))]

    after = this.leaves(this.sql(), side, same).subquery("after")
    rows, original = this.originals(before)
    this.write(
        rows.join(
            after,
            and_(after.c.version == before.c.version, after.c.ended == before.c.ended),
        )
        .where(after.c.leaf != before.c.leaf)
        .with_only_columns(
            literal(this.table_id),
            before.c.tx,
            literal("redacted"),
            original,
            after.c.leaf,
            this.by,
        ),
        ("table_id", "tx_id", "kind", "original_hash", "current_hash", "by_tx_id"),
    )


__all__ = ["Chosen", "Withdrawal", "hold_hashing", "is_hashable", "record_purged", "redacting"]
