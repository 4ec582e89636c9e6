"""Take versions away, or alter them, on purpose, on SQLite; see ``withdrawal``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, insert

from sqlalchemy_temporal.clock.hooks import transaction_id
from sqlalchemy_temporal.errors import NotInstalledError
from sqlalchemy_temporal.repository.sqlite_leaves import SqliteLeaves, sqlite_tables
from sqlalchemy_temporal.schema import system_of


def record_purged(
    connection: Connection, schema: str, table_id: int, versions: Sequence[int]
) -> None:
    """Keep the hashes of versions that are about to be deleted from history.

    Parameters:
        connection: in the transaction that will delete them, as a commit of its own kind.
        schema: the schema of the library's own tables.
        table_id: the table's number in the list of versioned tables.
        versions: their ``temporal_id``.

    Raises:
        NotInstalledError: no table has this number.
    """
    reader = _reader(connection, schema, table_id)
    kept: dict[int, list[bytes]] = defaultdict(list)
    for written, ended in reader.of_versions(versions):
        kept[written.seq].append(written.leaf)
        kept[ended.seq].append(ended.leaf)
    rows = []
    for tx_id, leaves in kept.items():
        redacted = reader.originals(tx_id - 1, tx_id).get(tx_id, ({}, []))[0]
        joined = b"".join(sorted(redacted.get(leaf, leaf) for leaf in leaves))
        rows.append({"tx_id": tx_id, "original_hash": joined})
    _write(connection, schema, table_id, "purged", rows)


@contextmanager
def redacting(
    connection: Connection, schema: str, table_id: int, versions: Sequence[int]
) -> Iterator[None]:
    """Keep the hashes that versions of history have before and after the block alters them.

    Parameters:
        connection: in the transaction that alters them, as a commit of its own kind.
        schema: the schema of the library's own tables.
        table_id: the table's number in the list of versioned tables.
        versions: their ``temporal_id``.

    Raises:
        NotInstalledError: no table has this number.
    """
    reader = _reader(connection, schema, table_id)
    before = {written.version: written for written, _ in reader.of_versions(versions)}
    yield
    rows = []
    for after, _ in list(reader.of_versions(versions)):
        old = before[after.version]
        if old.leaf == after.leaf:
            continue
        redacted = reader.originals(old.seq - 1, old.seq).get(old.seq, ({}, []))[0]
        original = redacted.get(old.leaf, old.leaf)
        rows.append({"tx_id": old.seq, "original_hash": original, "current_hash": after.leaf})
    _write(connection, schema, table_id, "redacted", rows)


def _reader(connection: Connection, schema: str, table_id: int) -> SqliteLeaves:
    for table in sqlite_tables(connection, schema):
        if table.id == table_id:
            return SqliteLeaves(connection, schema, table)
    raise NotInstalledError(f"no versioned table has the number {table_id}")


def _write(
    connection: Connection, schema: str, table_id: int, kind: str, rows: list[dict[str, Any]]
) -> None:
    if not rows:
        return
    by = transaction_id(connection, schema)
    same = {"table_id": table_id, "kind": kind, "by_tx_id": by}
    override = system_of(connection, schema).leaf_override
    connection.execute(insert(override), [same | row for row in rows])


__all__ = ["record_purged", "redacting"]
