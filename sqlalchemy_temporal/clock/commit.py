"""A commit: one database transaction that changed versioned tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

_SHORT: Final = 10


@dataclass(frozen=True, slots=True, eq=False)
class Commit:
    """One transaction as a node of the commit graph.

    Two are equal when they have the same uuid: what sealing, hashing and deleting from the
    log add later makes no other commit of it.

    Attributes:
        uuid: its identity.
        seq: its number in the order of commits.
        tx_id: the id that versions carry in ``temporal_tx_id``.
        operation: what made it: COMMIT for ordinary work, BASELINE for setting versioning
            up, or the name of the operation (CHECKOUT, RESTORE, SWITCH, MERGE, …).
        author: who, as the application said; None when it did not say.
        message: what for.
        context: further facts, e.g. a request id.
        database_user: the database role that was logged in.
        started_at: when the transaction began (with time zone, server's clock).
        committed_at: when it was committed (with time zone, server's clock).
        effective_at: its exact, strictly increasing time; None until it is sealed.
        counts: rows inserted, updated and deleted, by table.
        parent_uuid: the commit it was based on; None for the first. Until it is sealed it
            is known from the log only, and None elsewhere.
        merge_parent_uuid: the commit that was merged into it; None for all but merges.
        hash: the SHA-256 that chains it to its parents; None until it is sealed.
        deleted_at: when it was deleted from the log (with time zone); None if it was not.
        deleted_by: who deleted it from the log.
        deletion_reason: why, if that was said.
    """

    uuid: UUID
    seq: int
    tx_id: int
    operation: str
    author: str | None
    message: str | None
    context: Any
    database_user: str
    started_at: datetime
    committed_at: datetime
    effective_at: datetime | None
    counts: Mapping[str, Mapping[str, int]]
    parent_uuid: UUID | None
    merge_parent_uuid: UUID | None = None
    hash: bytes | None = None
    deleted_at: datetime | None = None
    deleted_by: str | None = None
    deletion_reason: str | None = None

    def __eq__(self, other: object) -> bool:
        """Whether ``other`` is the same commit."""
        return self.uuid == other.uuid if isinstance(other, Commit) else NotImplemented

    def __hash__(self) -> int:
        """A number that equal commits share."""
        return hash(self.uuid)

    @property
    def parents(self) -> tuple[UUID, ...]:
        """Its parents: none for the first commit, two for a merge."""
        both = (self.parent_uuid, self.merge_parent_uuid)
        return tuple(uuid for uuid in both if uuid is not None)

    @property
    def is_merge(self) -> bool:
        """Whether another line was merged into it."""
        return self.merge_parent_uuid is not None

    @property
    def is_deleted(self) -> bool:
        """Whether it was deleted from the log; its data stays as it is."""
        return self.deleted_at is not None

    @property
    def short(self) -> str:
        """The first digits of its uuid, which name it where they are unambiguous."""
        return self.uuid.hex[:_SHORT]

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables whose rows it changed, as ``schema.table``."""
        return tuple(sorted(name for name, rows in self.counts.items() if any(rows.values())))
