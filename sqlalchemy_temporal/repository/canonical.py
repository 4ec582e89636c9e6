"""The bytes that hashes are taken of: the part that is the same on every database.

What is written here and in ``docs/verification.md`` is all that is needed to compute the
hashes again without this library. All numbers are big-endian. ``frame(x)`` is the length of
``x`` as four bytes, and ``x``.

- A *leaf* is the SHA-256 of one thing that a commit did to one table: it begins with a letter
  that says what, and the number of the table (four bytes).
- A *root* is the hash of all leaves of one commit and one table, sorted as bytes: leaves
  with the same first byte are hashed together, and then these hashes (:func:`root_of`).
- The hash of a *commit* is taken of the hashes it builds on, its fields and its roots
  (:func:`commit_hash`).
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Final

WRITTEN: Final = b"W"
"""A version that the commit wrote."""
ENDED: Final = b"E"
"""A version that the commit ended."""
KEY_CHANGED: Final = b"K"
"""A row whose key the commit changed."""
COLUMN_SINCE: Final = b"S"
"""A column that the table has from the commit on."""
COLUMN_UNTIL: Final = b"U"
"""A column that it has until the commit."""
ENABLED: Final = b"T"
"""The table, versioned from the commit on."""
OVERRIDDEN: Final = b"O"
"""Leaves of earlier commits that the commit replaced, on purpose."""

BUCKET: Final = b"B"
ROOT: Final = b"R"
COMMIT: Final = b"C"

SAID: Final = ("transaction.author", "transaction.message", "transaction.context")
"""What was said of a commit. Its hash is over hashes of these, so that they can be redacted."""
OF_COMMITS: Final = 0
"""The number that stands for the table of transactions where others have theirs."""
SAYS: Final = "commit"
"""The kind of entries of ``leaf_override`` about what was said of a commit."""

HASH_SIZE: Final = 32
MARK_SIZE: Final = 4
FIELD_MARK_SIZE: Final = 2


def sha256(data: bytes) -> bytes:
    """The SHA-256 of ``data``."""
    return hashlib.sha256(data).digest()


def int4(value: int) -> bytes:
    """``value`` as four bytes."""
    return struct.pack(">i", value)


def int8(value: int) -> bytes:
    """``value`` as eight bytes."""
    return struct.pack(">q", value)


def frame(data: bytes) -> bytes:
    """``data`` after its length."""
    return int4(len(data)) + data


def optional(data: bytes | None) -> bytes:
    """A byte 0 for nothing, or a byte 1 and the framed ``data``."""
    return b"\0" if data is None else b"\1" + frame(data)


def field_head(column_id: int, tag: str) -> bytes:
    """What stands before the framed value of a column: its number and its type."""
    return int4(column_id) + frame(tag.encode())


def leaf_head(kind: bytes, table_id: int) -> bytes:
    """What a leaf begins with."""
    return kind + int4(table_id)


def mark_of(leaf: bytes) -> bytes:
    """The part of a leaf that is kept to tell which rows a root was made of."""
    return leaf[:MARK_SIZE]


def root_of(leaves: Iterable[bytes]) -> bytes:
    """The root over ``leaves``, in any order; all are kept in memory."""
    ordered = sorted(leaves)
    return sha256(ROOT + b"".join(_buckets(ordered)))


def _buckets(ordered: Iterable[bytes]) -> Iterator[bytes]:
    for _, group in groupby(ordered, key=lambda leaf: leaf[0]):
        yield sha256(BUCKET + b"".join(group))


@dataclass(frozen=True, slots=True)
class TableRoot:
    """What a commit did to one table, as stored with the commit.

    Attributes:
        table_id: the table's number.
        leaves: how many leaves there are.
        root: the hash of all.
    """

    table_id: int
    leaves: int
    root: bytes


@dataclass(frozen=True, slots=True)
class Lineage:
    """The hashes that a commit builds on; None where there is no such commit.

    Attributes:
        previous: that of the commit before it in sequence, whatever its line.
        parent: that of its parent.
        merge_parent: that of its second parent.
    """

    previous: bytes | None
    parent: bytes | None
    merge_parent: bytes | None


Hashes = Mapping[str, bytes]
"""Hashes of fields as they were before they were redacted, by name."""
_NONE: Final[Hashes] = {}


def field_hash(value: bytes | None) -> bytes:
    """The hash of one field."""
    return sha256(optional(value))


def commit_hash(
    lineage: Lineage,
    fields: Mapping[str, bytes | None],
    roots: Iterable[TableRoot],
    originals: Hashes = _NONE,
) -> bytes:
    """The hash of a commit.

    Parameters:
        lineage: the hashes it builds on.
        fields: its own values, in their fixed order.
        roots: one for each table it changed.
        originals: the hashes of fields that were redacted.
    """
    parts = [COMMIT]
    parts += [optional(h) for h in (lineage.previous, lineage.parent, lineage.merge_parent)]
    parts += [
        originals.get(name, field_hash(value)) if name in SAID else optional(value)
        for name, value in fields.items()
    ]
    parts += [
        int4(each.table_id) + int8(each.leaves) + each.root
        for each in sorted(roots, key=lambda each: each.table_id)
    ]
    return sha256(b"".join(parts))


def field_marks(fields: Mapping[str, bytes | None], originals: Hashes = _NONE) -> bytes:
    """Two bytes for each field, which tell later which of them was edited."""
    hashes = (originals.get(name, field_hash(value)) for name, value in fields.items())
    return b"".join(each[:FIELD_MARK_SIZE] for each in hashes)


def edited_fields(
    fields: Mapping[str, bytes | None], marks: bytes, originals: Hashes = _NONE
) -> list[str]:
    """The names of the fields that ``marks`` does not fit."""
    now, size = field_marks(fields, originals), FIELD_MARK_SIZE
    return [
        name
        for index, name in enumerate(fields)
        if now[index * size : (index + 1) * size] != marks[index * size : (index + 1) * size]
    ]
