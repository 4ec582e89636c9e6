"""Keep the chain of hashes whole while versions are taken away or altered on purpose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, text

from sqlalchemy_temporal.ddl import keys
from sqlalchemy_temporal.ddl.postgresql import withdrawal
from sqlalchemy_temporal.ddl.postgresql.hashing import HashedTable
from sqlalchemy_temporal.ddl.postgresql.quoting import Quoter
from sqlalchemy_temporal.repository.hashed import hashed_tables, leaf_sql
from sqlalchemy_temporal.repository.hashing import pinned
from sqlalchemy_temporal.tables.recorded import RecordedTable


def hold_hashing(connection: Connection, one: RecordedTable) -> bool:
    """Keep commits from being hashed until this transaction ends.

    Returns:
        Whether commits that changed the table have hashes already, which what is done to
        their rows must be noted for.
    """
    if connection.dialect.name != "postgresql":
        return False
    connection.execute(text("SELECT pg_advisory_xact_lock(:kind, 0)"), {"kind": keys.LOCK_HASHING})
    root = one.system.commit_root
    hashed = select(root.c.seq).where(root.c.table_id == one.id).limit(1)
    return connection.execute(hashed).first() is not None


def note_purged(
    connection: Connection, one: RecordedTable, where: str, partition: str | None = None
) -> None:
    """Note the leaves of versions that are about to be removed.

    Parameters:
        connection: in the transaction that removes them, after :func:`hold_hashing`.
        one: whose versions.
        where: which, as a condition on ``h``; see :mod:`ddl.postgresql.withdrawal`.
        partition: the quoted partition they lie in; None for the whole history.
    """
    with pinned(connection):
        table = _hashed(connection, one)
        sql = leaf_sql(connection, one.system.schema, table)
        source = f"SELECT h.* FROM {partition or sql.history} AS h WHERE {where}"  # noqa: S608
        s = Quoter(connection.dialect).name(one.system.schema)
        connection.exec_driver_sql(withdrawal.note_purged(s, sql, table, source))


@dataclass(frozen=True, slots=True)
class Leaf:
    """The hash of one version, in the commit that wrote it.

    Attributes:
        tx_id: the transaction that wrote it.
        original: its hash before anything was redacted.
        current: its hash as it is.
    """

    tx_id: int
    original: bytes
    current: bytes


def leaves_of(
    connection: Connection, one: RecordedTable, versions: Sequence[tuple[int, int]]
) -> dict[int, Leaf]:
    """The leaves of some versions by ``temporal_id``, where the commit has a hash.

    Parameters:
        connection: after :func:`hold_hashing`.
        one: whose versions.
        versions: ``temporal_id`` and ending transaction of each.
    """
    with pinned(connection):
        table = _hashed(connection, one)
        sql = leaf_sql(connection, one.system.schema, table)
        s = Quoter(connection.dialect).name(one.system.schema)
        rows = connection.exec_driver_sql(withdrawal.written_leaves(s, sql, table, versions))
        return {row.id: Leaf(row.tx_id, bytes(row.original), bytes(row.current)) for row in rows}


def note_redacted(
    connection: Connection,
    one: RecordedTable,
    before: Mapping[int, Leaf],
    after: Mapping[int, Leaf],
) -> None:
    """Note the leaves of versions that were altered in this transaction."""
    s = Quoter(connection.dialect).name(one.system.schema)
    by = connection.scalar(text(f"SELECT {s}.start_transaction()"))
    values = [
        {
            "table_id": one.id,
            "tx_id": leaf.tx_id,
            "kind": "redacted",
            "original_hash": leaf.original,
            "current_hash": after[number].current,
            "by_tx_id": by,
        }
        for number, leaf in before.items()
        if after[number].current != leaf.current
    ]
    if values:
        connection.execute(insert(one.system.leaf_override), values)


def _hashed(connection: Connection, one: RecordedTable) -> HashedTable:
    found = hashed_tables(connection, one.system.schema)
    return next(table for table in found if table.id == one.id)


__all__ = ["Leaf", "hold_hashing", "leaves_of", "note_purged", "note_redacted"]
