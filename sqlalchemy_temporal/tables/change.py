"""One recorded change of one row, and results that are lists of such."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy_temporal.clock.commit import Commit
from sqlalchemy_temporal.clock.moment import Unknown
from sqlalchemy_temporal.tables.lookup import explained
from sqlalchemy_temporal.tables.render import jsonable
from sqlalchemy_temporal.tables.stream import Held, Streamed


@dataclass(frozen=True, slots=True)
class RecordedChange:
    """What one commit did to one row.

    Attributes:
        table: the table, as ``schema.table``.
        operation: ``INSERT``, ``UPDATE``, ``DELETE``, ``TRUNCATE``, or ``BASELINE`` for a row
            that was there when versioning began.
        key: the primary key; for a change of it, the new one.
        before: the recorded columns before; None when there was no such row.
        after: the recorded columns after; None when there is no such row any more.
        commit: the commit that did it.
    """

    table: str
    operation: str
    key: Mapping[str, Any]
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    commit: Commit

    @property
    def changed(self) -> tuple[str, ...]:
        """The columns whose value differs; all of them for a row that came or went."""
        if self.before is None or self.after is None:
            return tuple(self.before or self.after or ())
        return tuple(name for name, old in self.before.items() if old != self.after[name])

    @property
    def author(self) -> str | None:
        """Who did it, as the application said."""
        return self.commit.author

    @property
    def message(self) -> str | None:
        """What for."""
        return self.commit.message

    @property
    def at(self) -> datetime:
        """When it was committed (with time zone)."""
        return self.commit.effective_at or self.commit.committed_at

    def to_dict(self) -> dict[str, Any]:
        """The same as values that JSON can have."""
        return {
            "table": self.table,
            "operation": self.operation,
            "key": jsonable(self.key),
            "before": jsonable(self.before),
            "after": jsonable(self.after),
            "changed": list(self.changed),
            "at": self.at.isoformat(),
            "author": self.author,
            "message": self.message,
            "commit": str(self.commit.uuid),
            "transaction": self.commit.tx_id,
        }

    def __str__(self) -> str:
        who = f" by {self.author}" if self.author else ""
        return (
            f"{self.at.isoformat(sep=' ')} {self.operation} {self.table} "
            f"{described(self.key)}{who}: {self.summary()}"
        )

    def summary(self) -> str:
        """What became of the values, in one line."""
        return summary(self)


def summary(change: Any) -> str:
    """What became of the values of a row, in one line."""
    before, after = change.before, change.after
    if before is None or after is None:
        return described(after or before or {})
    return ", ".join(
        f"{name}: {_spoken(before[name])} → {_spoken(after[name])}" for name in change.changed
    )


def described(values: Mapping[str, Any]) -> str:
    """``values`` in one line."""
    return ", ".join(f"{name}={_spoken(value)}" for name, value in values.items())


def _spoken(value: Any) -> str:
    """A value as people write it; text in quotes."""
    return repr(value) if isinstance(value, str) else str(value)


@dataclass(frozen=True, slots=True, repr=False)
class Changes(Streamed[RecordedChange]):
    """Changes of a table; iterate over them.

    Attributes:
        table: the table, as ``schema.table``.
        start: from when on (with time zone); None: from the beginning of versioning.
        end: up to when (with time zone).
        gaps: what was not recorded in that time. Changes in it are not among these.
    """

    table: str
    start: datetime | None
    end: datetime
    gaps: tuple[Unknown, ...]
    _held: Held[RecordedChange] = field(repr=False)

    @property
    def held(self) -> Held[RecordedChange]:
        """The first changes, and how to read all."""
        return self._held

    @property
    def changes(self) -> tuple[RecordedChange, ...]:
        """All changes, in memory."""
        return tuple(self)

    @property
    def is_complete(self) -> bool:
        """Whether everything in that time was recorded and none was left out by ``limit``."""
        return not self.gaps and not self.more

    def to_dict(self) -> dict[str, Any]:
        """The same as values that JSON can have, all changes included."""
        return {
            "table": self.table,
            "start": self.start.isoformat() if self.start else None,
            "end": self.end.isoformat(),
            "gaps": [explained(gap) for gap in self.gaps],
            "changes": [change.to_dict() for change in self],
            "more": self.more,
        }

    def subject(self) -> str:
        """What these are changes of."""
        return self.table

    def headline(self) -> str:
        """Of what, when, how many."""
        number = len(self.held.first)
        count = f"{number} change{'' if number == 1 else 's'}" if self.held.is_all else "many"
        since = f" from {self.start.isoformat(sep=' ')}" if self.start else ""
        return f"{self.subject()}{since} up to {self.end.isoformat(sep=' ')}: {count}"

    def header(self) -> Sequence[str]:
        """The names of the columns shown."""
        return ("at", "operation", "key", "what", "author", "message")

    def lines(self) -> Iterable[Sequence[Any]]:
        """The changes that are held."""
        return (
            (c.at, c.operation, c.key, c.summary(), c.author or "", c.message or "")
            for c in self.held.first
        )

    def footnotes(self) -> Iterable[str]:
        """Gaps, and whether there are more."""
        more = ["there are more changes than limit"] if self.more else []
        return [*more, *(explained(gap) for gap in self.gaps)]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.headline()}>"


__all__ = ["Changes", "RecordedChange", "described", "summary"]
