"""A commit: one database transaction that changed versioned tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Commit:
    """One transaction as a node of the commit graph.

    Attributes:
        uuid: its identity.
        seq: its number in the order of commits.
        tx_id: the id that versions carry in ``temporal_tx_id``.
        operation: what made it: COMMIT, or BASELINE for setting versioning up.
        author: who, as the application said; None when it did not say.
        message: what for.
        context: further facts, e.g. a request id.
        database_user: the database role that was logged in.
        started_at: when the transaction began (with time zone, server's clock).
        committed_at: when it was committed (with time zone, server's clock).
        effective_at: its exact, strictly increasing time; None until it is sealed.
        counts: rows inserted, updated and deleted, by table.
        parent_uuid: the commit before it; None for the first, or until it is sealed.
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
