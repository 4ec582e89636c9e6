"""What ``revert_table_data`` answers: what was written, or would be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy_temporal.clock.commit import Commit
from sqlalchemy_temporal.clock.moment import Unknown
from sqlalchemy_temporal.repository.described import ForeignKeyInfo
from sqlalchemy_temporal.repository.plan import PlannedRow
from sqlalchemy_temporal.repository.violations import Violation
from sqlalchemy_temporal.tables.change import summary
from sqlalchemy_temporal.tables.lookup import explained
from sqlalchemy_temporal.tables.render import Tabular, jsonable


@dataclass(frozen=True, slots=True)
class RevertTotals:
    """How many rows of one table are written, those that follow by foreign keys included."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0


@dataclass(frozen=True, slots=True, repr=False)
class RevertResult(Tabular):
    """What reverting tables did, or would do.

    Attributes:
        tables: the tables asked for, as ``schema.table``.
        as_of: the time of the commit whose state is the aim (with time zone).
        target: that commit.
        dry_run: whether nothing was written.
        totals: the rows written, by table; all of them, whatever the limit.
        rows: the rows, up to the limit: key, operation, the values before and after, the
            columns that change, and by which foreign key it follows from another row.
        more: whether there are more.
        violations: what constraints forbid; only a preview can have any.
        foreign_keys: the foreign keys between the rows written and other tables.
        gaps: what was not recorded between then and now.
        transaction: the id of the transaction it was done in; None for a preview, or when
            there was nothing to do.
        commit: the commit it became; None until its transaction is committed, which for a
            connection or a session its owner does.
    """

    tables: tuple[str, ...]
    as_of: datetime
    target: UUID
    dry_run: bool
    totals: Mapping[str, RevertTotals]
    rows: tuple[PlannedRow, ...]
    more: bool
    violations: tuple[Violation, ...]
    foreign_keys: tuple[ForeignKeyInfo, ...]
    gaps: tuple[Unknown, ...]
    transaction: int | None = None
    commit: Commit | None = None

    @property
    def inserted(self) -> int:
        """The rows inserted, in all tables."""
        return sum(each.inserted for each in self.totals.values())

    @property
    def updated(self) -> int:
        """The rows updated, in all tables."""
        return sum(each.updated for each in self.totals.values())

    @property
    def deleted(self) -> int:
        """The rows deleted, in all tables."""
        return sum(each.deleted for each in self.totals.values())

    @property
    def is_possible(self) -> bool:
        """Whether no constraint forbids it."""
        return not self.violations

    def __iter__(self) -> Iterator[PlannedRow]:
        return iter(self.rows)

    def __len__(self) -> int:
        return self.inserted + self.updated + self.deleted

    def to_dict(self) -> dict[str, Any]:
        """The same as values that JSON can have."""
        return {
            "tables": list(self.tables),
            "as_of": self.as_of.isoformat(),
            "target": str(self.target),
            "dry_run": self.dry_run,
            "totals": {name: asdict(each) for name, each in self.totals.items()},
            "rows": [
                {
                    "table": row.table,
                    "operation": row.operation,
                    "key": jsonable(row.key),
                    "before": jsonable(row.before),
                    "after": jsonable(row.after),
                    "changed": list(row.changed),
                    "origin": row.origin,
                }
                for row in self.rows
            ],
            "more": self.more,
            "violations": [str(each) for each in self.violations],
            "foreign_keys": [asdict(each) for each in self.foreign_keys],
            "gaps": [explained(gap) for gap in self.gaps],
            "transaction": self.transaction,
            "commit": str(self.commit.uuid) if self.commit else None,
        }

    def headline(self) -> str:
        """What was or would be done."""
        verb = "would be " if self.dry_run else ""
        return (
            f"{', '.join(self.tables)} as of {self.as_of.isoformat(sep=' ')}: {verb}"
            f"{self.inserted} inserted, {self.updated} updated, {self.deleted} deleted"
        )

    def header(self) -> Sequence[str]:
        """The names of the columns shown."""
        return ("table", "operation", "key", "what", "follows from")

    def lines(self) -> Iterable[Sequence[Any]]:
        """The rows."""
        for row in self.rows:
            origin = "" if row.origin == "plan" else row.origin
            yield row.table, row.operation, row.key, summary(row), origin

    def footnotes(self) -> Iterable[str]:
        """What forbids it, what was not recorded, and what to do to have it done."""
        notes = ["there are more rows than limit"] if self.more else []
        notes += [f"forbidden by {each}" for each in self.violations]
        notes += [explained(gap) for gap in self.gaps]
        if self.dry_run and self.is_possible and len(self):
            notes.append("nothing was changed; call with dry_run=False to do it")
        return notes

    def __repr__(self) -> str:
        return f"<RevertResult {self.headline()}>"


__all__ = ["RevertResult", "RevertTotals"]
