"""A moment: exactly which transactions are visible at a point of the past."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy_temporal.errors import (
    BeforeVersioningError,
    PurgedHistoryError,
    UnrecordedMomentError,
    VersioningGapError,
)

Why = Literal["before", "gap", "purged"]


@dataclass(frozen=True, slots=True)
class Unknown:
    """A table of which nothing is recorded at a moment, and why.

    Attributes:
        history: its history table, as ``schema.table``.
        why: ``"before"`` its versioning began, in a ``"gap"`` in which it was disabled, or
            its history was ``"purged"``.
        since: when the gap began (with time zone); None for the other reasons.
        until: from when on it is known again (with time zone); None when versioning is
            still disabled, or when that is not known.
    """

    history: str
    why: Why
    since: datetime | None = None
    until: datetime | None = None

    def error(self, table: str) -> UnrecordedMomentError:
        """The error that refuses ``table``, as it is to be called in the message."""
        begins = f" at {self.until.isoformat()}" if self.until else ""
        match self.why:
            case "before":
                return BeforeVersioningError(
                    f"nothing is known of table {table} at this moment: its versioning began "
                    f"later{begins and ','}{begins}"
                )
            case "purged":
                return PurgedHistoryError(
                    f"nothing is known of table {table} at this moment: its history up to "
                    f"then was purged; it is known again from {begins[4:] or 'later'} on"
                )
            case "gap":
                since = self.since.isoformat() if self.since else "then"
                ends = f"until {begins[4:]}" if begins else "and still is"
                return VersioningGapError(
                    f"nothing is known of table {table} at this moment: its versioning was "
                    f"disabled from {since} {ends}"
                )


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
        unknown: the tables of which nothing is recorded at this moment, and why.
        closed: the history tables (``schema.table``) of tables whose versioning is
            disabled at present: their past lies in history alone.
    """

    seq: int
    uuid: UUID
    effective_at: datetime
    hi: int
    inflight: tuple[int, ...]
    lo: int
    schema: str
    unknown: frozenset[Unknown] = frozenset()
    closed: frozenset[str] = frozenset()

    def sees(self, tx_id: int) -> bool:
        """Whether the changes of transaction ``tx_id`` are visible at this moment."""
        return tx_id <= self.hi and tx_id not in self.inflight
