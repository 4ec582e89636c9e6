"""What was said of commits and redacted since: author, message and context.

The hash of a commit is over the hashes of these. An entry of ``leaf_override`` keeps them as
they were, together with those of what stands there now; the commit that redacted covers the
entry. Any other change of what stands there is none that was recorded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, select

from sqlalchemy_temporal.repository.canonical import (
    HASH_SIZE,
    OF_COMMITS,
    SAID,
    SAYS,
    field_hash,
)
from sqlalchemy_temporal.schema import system_of


@dataclass(frozen=True, slots=True)
class Redacted:
    """The hashes of what was said of a commit.

    Attributes:
        original: as they were.
        current: as they are now.
    """

    original: bytes
    current: bytes


def redacted_between(
    connection: Connection, schema: str, ids: Iterable[int]
) -> dict[int, Redacted]:
    """What was redacted of commits, by transaction."""
    wanted = list(ids)
    if not wanted:
        return {}
    override = system_of(connection, schema).leaf_override
    rows = connection.execute(
        select(override.c.tx_id, override.c.original_hash, override.c.current_hash)
        .where(
            override.c.table_id == OF_COMMITS,
            override.c.kind == SAYS,
            override.c.tx_id.between(min(wanted), max(wanted)),
        )
        .order_by(override.c.id)
    )
    return {
        row.tx_id: Redacted(bytes(row.original_hash or b""), bytes(row.current_hash or b""))
        for row in rows
    }


def originals_of(fields: Mapping[str, bytes | None], redacted: Redacted | None) -> dict[str, bytes]:
    """The hashes to take for fields that are what redacting made of them."""
    if redacted is None:
        return {}
    found = {}
    for index, name in enumerate(SAID):
        part = slice(index * HASH_SIZE, (index + 1) * HASH_SIZE)
        if name in fields and redacted.current[part] == field_hash(fields[name]):
            found[name] = redacted.original[part]
    return found


__all__ = ["Redacted", "originals_of", "redacted_between"]
