"""Commits of SQLite, with the bytes of their fields, and giving them their hashes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, bindparam, insert, select, update

from sqlalchemy_temporal.ddl.postgresql.chain import COMMIT_FIELDS
from sqlalchemy_temporal.repository.canonical import Lineage, TableRoot, field_marks, int8
from sqlalchemy_temporal.repository.chain import Link
from sqlalchemy_temporal.repository.said import Redacted, originals_of, redacted_between
from sqlalchemy_temporal.repository.sqlite_leaves import (
    SqliteLeaves,
    original_root,
    sqlite_tables,
)
from sqlalchemy_temporal.schema import system_of

_COMMITS: Final = 1000
_NUMBERS = frozenset({"seq", "tx_id", "hi", "lo", "id", "commit_seq"})


@dataclass(frozen=True, slots=True)
class Node:
    """What is checked of a commit beside its hash; see :class:`~…chain.Link`."""

    uuid: UUID
    tx_id: int
    parent_uuid: UUID | None
    merge_parent_uuid: UUID | None
    parent_seq: int | None
    merge_seq: int | None
    known: bool
    hi: int
    lo: int
    inflight: tuple[int, ...]
    effective_at: str
    committed_at: str | None


def sqlite_links(connection: Connection, schema: str, after: int, upto: int) -> Iterator[Link]:
    """The commits numbered ``after + 1`` to ``upto``, in order, a few at a time."""
    while True:
        found = _some(connection, schema, after, upto)
        yield from found
        if len(found) < _COMMITS:
            return
        after = found[-1].seq


def _some(connection: Connection, schema: str, after: int, upto: int) -> list[Link]:
    system = system_of(connection, schema)
    quote = connection.dialect.identifier_preparer.quote_identifier
    commit, transaction, root = (
        quote(str(table.name)) for table in (system.commit, system.transaction, system.commit_root)
    )
    names = {"commit": "c", "transaction": "t"}
    fields = ", ".join(
        f"+{names[table]}.{quote(column)}"
        for table, _, column in (name.partition(".") for name in COMMIT_FIELDS)
    )
    rows = connection.exec_driver_sql(
        f"SELECT c.seq, +c.hash, +c.marks, "  # noqa: S608 - quoted names, bound values
        f"(SELECT b.hash FROM {commit} AS b WHERE b.seq < c.seq ORDER BY b.seq DESC LIMIT 1), "
        f"+p.hash, p.seq, +m.hash, m.seq, t.id IS NOT NULL, {fields} "
        f"FROM {commit} AS c LEFT JOIN {transaction} AS t ON t.id = c.tx_id "
        f"LEFT JOIN {commit} AS p ON p.uuid = c.parent_uuid "
        f"LEFT JOIN {commit} AS m ON m.uuid = c.merge_parent_uuid "
        f"WHERE c.seq > ? AND c.seq <= ? ORDER BY c.seq LIMIT {_COMMITS}",
        (after, upto),
    ).all()
    last = rows[-1][0] if rows else after
    roots: dict[int, list[TableRoot]] = {}
    for row in connection.exec_driver_sql(
        f"SELECT seq, table_id, leaves, +root FROM {root} "  # noqa: S608 - quoted
        "WHERE seq > ? AND seq <= ? ORDER BY seq, table_id",
        (after, last),
    ):
        roots.setdefault(row[0], []).append(TableRoot(row[1], row[2], bytes(row[3])))
    at = 9 + list(COMMIT_FIELDS).index("commit.tx_id")
    redacted = redacted_between(connection, schema, (row[at] for row in rows))
    return [_link(row, tuple(roots.get(row[0], ())), redacted.get(row[at])) for row in rows]


def _link(row: Any, roots: tuple[TableRoot, ...], redacted: Redacted | None) -> Link:
    raw = dict(zip(COMMIT_FIELDS, row[9:], strict=True))
    fields = {name: sqlite_field(name.partition(".")[2], value) for name, value in raw.items()}
    return Link(
        seq=row[0],
        fields=fields,
        roots=roots,
        lineage=Lineage(row[3], row[4], row[6]),
        hash=row[1],
        marks=row[2],
        originals=originals_of(fields, redacted),
        row=Node(
            uuid=_uuid(raw["commit.uuid"]),
            tx_id=raw["commit.tx_id"],
            parent_uuid=_uuid(raw["commit.parent_uuid"]),
            merge_parent_uuid=_uuid(raw["commit.merge_parent_uuid"]),
            parent_seq=row[5],
            merge_seq=row[7],
            known=bool(row[8]),
            hi=raw["commit.hi"],
            lo=raw["commit.lo"],
            inflight=tuple(json.loads(raw["commit.inflight"])),
            effective_at=raw["commit.effective_at"],
            committed_at=raw["transaction.committed_at"],
        ),
    )


def _uuid(value: str | None) -> Any:
    return None if value is None else UUID(value)


def sqlite_field(name: str, value: Any) -> bytes | None:
    """The bytes of a field as it is stored."""
    if value is None:
        return None
    if name in _NUMBERS:
        return int8(value)
    if name.endswith("uuid"):
        return UUID(value).bytes
    if name == "inflight":
        return b"".join(int8(each) for each in json.loads(value))
    return str(value).encode()


def hash_sqlite_commits(
    connection: Connection, schema: str, progress: Callable[[int], None] | None
) -> int:
    """Hash every commit that has no hash yet, in the transaction of ``connection``."""
    commit = system_of(connection, schema).commit
    done = 0
    while True:
        last = connection.scalar(
            select(commit.c.seq)
            .where(commit.c.hash.is_not(None))
            .order_by(commit.c.seq.desc())
            .limit(1)
        )
        seqs = connection.scalars(
            select(commit.c.seq)
            .where(commit.c.seq > (last or 0))
            .order_by(commit.c.seq)
            .limit(_COMMITS)
        ).all()
        if not seqs:
            return done
        _write_roots(connection, schema, last or 0, seqs[-1])
        _write_hashes(connection, schema, last or 0, seqs[-1])
        done += len(seqs)
        if progress is not None:
            progress(done)


def _write_roots(connection: Connection, schema: str, after: int, upto: int) -> None:
    system = system_of(connection, schema)
    commit, root = system.commit, system.commit_root
    seqs = set(
        connection.scalars(select(commit.c.seq).where(commit.c.seq.between(after + 1, upto)))
    )
    there = connection.execute(
        select(root.c.seq, root.c.table_id).where(root.c.seq.between(after + 1, upto))
    )
    stored = {(row.seq, row.table_id) for row in there}
    for table in sqlite_tables(connection, schema):
        reader = SqliteLeaves(connection, schema, table)
        originals = reader.originals(after, upto)
        values = []
        for seq, leaves in reader.commits(after, upto):
            if seq in seqs and (seq, table.id) not in stored:
                number, hashed, marks = original_root(leaves, originals.pop(seq, ({}, [])))
                values.append(_root(seq, table.id, number, hashed, marks))
        for seq, known in originals.items():  # commits of which nothing is left
            if seq in seqs and (seq, table.id) not in stored:
                values.append(_root(seq, table.id, *original_root((), known)))
        if values:
            connection.execute(insert(root), values)


def _root(seq: int, table_id: int, leaves: int, root: bytes, marks: bytes) -> dict[str, Any]:
    return {"seq": seq, "table_id": table_id, "leaves": leaves, "root": root, "marks": marks}


def _write_hashes(connection: Connection, schema: str, after: int, upto: int) -> None:
    commit = system_of(connection, schema).commit
    fresh: dict[Any, bytes] = {}
    values: list[dict[str, Any]] = []
    previous: bytes | None = None
    for link in list(sqlite_links(connection, schema, after, upto)):
        lineage = Lineage(
            previous if values else link.lineage.previous,
            fresh.get(link.row.parent_uuid, link.lineage.parent),
            fresh.get(link.row.merge_parent_uuid, link.lineage.merge_parent),
        )
        previous = fresh[link.row.uuid] = link.computed(lineage)
        values.append(
            {"at": link.seq, "h": previous, "m": field_marks(link.fields, link.originals)}
        )
    statement = update(commit).where(commit.c.seq == bindparam("at"))
    connection.execute(statement.values(hash=bindparam("h"), marks=bindparam("m")), values)
