"""The hashes of commits, each over those before it: reading, computing, comparing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, text

from sqlalchemy_temporal.ddl.postgresql.chain import COMMIT_FIELDS, select_links
from sqlalchemy_temporal.repository.canonical import (
    Lineage,
    TableRoot,
    commit_hash,
)
from sqlalchemy_temporal.repository.said import Redacted, originals_of, redacted_between


@dataclass(frozen=True, slots=True)
class Link:
    """One commit of the chain, as it is stored.

    Attributes:
        seq: its sequence number.
        fields: the bytes of its fields.
        roots: what it did to each table.
        lineage: the stored hashes it builds on.
        hash: its own stored hash.
        marks: what tells which field was edited.
        originals: the hashes of fields that were redacted.
        row: further columns, for checks: ``uuid``, ``tx_id``, ``parent_uuid``, ``known``.
    """

    seq: int
    fields: dict[str, bytes | None]
    roots: tuple[TableRoot, ...]
    lineage: Lineage
    hash: bytes | None
    marks: bytes | None
    originals: dict[str, bytes]
    row: Any

    def computed(self, lineage: Lineage | None = None) -> bytes:
        """The hash it should have."""
        return commit_hash(lineage or self.lineage, self.fields, self.roots, self.originals)


def links(
    connection: Connection, schema: str, after: int, upto: int, *, step: int = 2000
) -> Iterator[Link]:
    """The commits numbered ``after + 1`` to ``upto``, in order, a few at a time."""
    statement = text(select_links(in_text(connection, schema)))
    while True:
        with planned(connection, "enable_seqscan"):
            rows = connection.execute(statement, {"after": after, "upto": upto, "step": step}).all()
        redacted = redacted_between(connection, schema, (row.tx_id for row in rows))
        yield from (_link(row, redacted.get(row.tx_id)) for row in rows)
        if len(rows) < step:
            return
        after = rows[-1].seq


def _link(row: Row[Any], redacted: Redacted | None) -> Link:
    values: Sequence[Any] = tuple(row)
    first = row._fields.index("f0")
    fields = {name: _bytes(values[first + number]) for number, name in enumerate(COMMIT_FIELDS)}
    return Link(
        seq=row.seq,
        fields=fields,
        roots=tuple(_root(bytes(each)) for each in row.roots or ()),
        lineage=Lineage(_bytes(row.previous_hash), _bytes(row.parent_hash), _bytes(row.merge_hash)),
        hash=_bytes(row.hash),
        marks=_bytes(row.marks),
        originals=originals_of(fields, redacted),
        row=row,
    )


def _root(data: bytes) -> TableRoot:
    number, leaves = int.from_bytes(data[:4], "big"), int.from_bytes(data[4:12], "big")
    return TableRoot(number, leaves, data[12:])


def _bytes(value: Any) -> bytes | None:
    return None if value is None else bytes(value)


def in_text(connection: Connection, schema: str) -> str:
    """The quoted ``schema`` as ``text()`` takes it, which knows ``:name`` and ``%`` itself."""
    quoted = connection.dialect.identifier_preparer.quote(schema)
    return quoted.replace("%%", "%").replace(":", "\\:")


@contextmanager
def planned(connection: Connection, without: str) -> Iterator[None]:
    """Plan without a way that statistics which lag behind suggest, e.g. ``enable_nestloop``."""
    setting = text("SELECT set_config(:name, :value, true)")
    before = connection.scalar(text("SELECT current_setting(:name)"), {"name": without})
    connection.execute(setting, {"name": without, "value": "off"})
    yield
    connection.execute(setting, {"name": without, "value": before})
