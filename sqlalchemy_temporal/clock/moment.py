"""A moment: exactly which transactions are visible at a point of the past."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Moment:
    """A resolved point of the past.

    A transaction ``tx`` is visible at the moment when ``tx <= hi`` and ``tx`` is not in
    ``inflight``. Ids alone do not order commits: a transaction may take its id early and
    commit late, so the ids that were under way have to be known.

    Attributes:
        seq: the sequence number of the last commit that is visible.
        uuid: that commit's identity.
        effective_at: that commit's effective time (with time zone).
        hi: the largest visible transaction id.
        inflight: the ids up to ``hi`` that were not committed at the moment.
        lo: the smallest id that may not be visible; versions that ended before it are
            over at this moment, which lets an index skip them.
        schema: the schema of the library's tables it was resolved in.
        unborn: the history tables (``schema.table``) of tables whose versioning began
            later, so that nothing is known of them at this moment.
    """

    seq: int
    uuid: UUID
    effective_at: datetime
    hi: int
    inflight: tuple[int, ...]
    lo: int
    schema: str
    unborn: frozenset[str] = frozenset()

    def sees(self, tx_id: int) -> bool:
        """Whether the changes of transaction ``tx_id`` are visible at this moment."""
        return tx_id <= self.hi and tx_id not in self.inflight
