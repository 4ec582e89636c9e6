"""What ``list_temporal_tables`` and ``get_temporal_status`` answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Literal

from sqlalchemy_temporal.clock.moment import Unknown
from sqlalchemy_temporal.naming import CaptureKind
from sqlalchemy_temporal.tables.lookup import explained
from sqlalchemy_temporal.tables.render import Tabular, jsonable

State = Literal["enabled", "disabled"]


@dataclass(frozen=True, slots=True)
class TemporalTable:
    """A table that is or was versioned.

    Attributes:
        table: the table, as ``schema.table``.
        schema_name: its schema.
        table_name: its name.
        state: ``"enabled"`` or ``"disabled"``.
        capture: ``"trigger"`` or ``"orm"``: what records its changes.
        history_table: where its past is kept, as ``schema.table``.
        since: when it was first enabled (with time zone); None before that is committed.
        disabled_at: when it was disabled (with time zone); None while it is enabled.
        key: its key columns.
        columns: the columns that are recorded now.
        excluded: the columns that are not recorded.
        gaps: when it was disabled, and what was purged.
    """

    table: str
    schema_name: str
    table_name: str
    state: State
    capture: CaptureKind
    history_table: str
    since: datetime | None
    disabled_at: datetime | None
    key: tuple[str, ...]
    columns: tuple[str, ...]
    excluded: tuple[str, ...]
    gaps: tuple[Unknown, ...]

    @property
    def standing(self) -> str:
        """The state, and what records changes where triggers do not."""
        by_orm = self.state == "enabled" and self.capture == "orm"
        return f"{self.state} (orm)" if by_orm else self.state

    def to_dict(self) -> dict[str, Any]:
        """The same as values that JSON can have."""
        found = {each.name: jsonable(getattr(self, each.name)) for each in fields(self)}
        return found | {"gaps": [explained(gap) for gap in self.gaps]}


@dataclass(frozen=True, slots=True)
class TemporalTableList(Tabular):
    """The versioned tables of a database; iterate over them.

    Attributes:
        tables: each of them, in the order of their names.
    """

    tables: tuple[TemporalTable, ...]

    def __iter__(self) -> Iterator[TemporalTable]:
        return iter(self.tables)

    def __len__(self) -> int:
        return len(self.tables)

    def __getitem__(self, index: int) -> TemporalTable:
        return self.tables[index]

    def to_dict(self) -> dict[str, Any]:
        """The same as values that JSON can have."""
        return {"tables": [each.to_dict() for each in self.tables]}

    def headline(self) -> str:
        """How many."""
        return f"{len(self)} versioned table{'' if len(self) == 1 else 's'}"

    def header(self) -> Sequence[str]:
        """The names of the columns shown."""
        return ("table", "state", "since", "history", "gaps")

    def lines(self) -> Iterable[Sequence[Any]]:
        """One line for each table."""
        return (
            (each.table, each.standing, each.since, each.history_table, len(each.gaps))
            for each in self.tables
        )


@dataclass(frozen=True, slots=True)
class TemporalStatus(Tabular):
    """How the versioning of one table stands.

    Attributes:
        table: what is versioned, since when, with which gaps.
        inserts: rows inserted by all recorded commits.
        updates: rows updated by them.
        deletes: rows deleted by them.
        commits: commits that changed the table.
        last_change: when it was last changed (with time zone); None: never.
        history_rows: closed versions kept in history.
        history_bytes: what history takes on disk, indexes included; None when the database
            does not tell.
        table_bytes: the same of the table.
        drift: what is not in step between the table and what records it; empty when changes
            are recorded as they should be.
    """

    table: TemporalTable
    inserts: int
    updates: int
    deletes: int
    commits: int
    last_change: datetime | None
    history_rows: int
    history_bytes: int | None
    table_bytes: int | None
    drift: tuple[str, ...]

    @property
    def state(self) -> State:
        """``"enabled"`` or ``"disabled"``."""
        return self.table.state

    @property
    def gaps(self) -> tuple[Unknown, ...]:
        """When it was disabled, and what was purged."""
        return self.table.gaps

    @property
    def total_changes(self) -> int:
        """Rows inserted, updated and deleted."""
        return self.inserts + self.updates + self.deletes

    def to_dict(self) -> dict[str, Any]:
        """The same as values that JSON can have."""
        found = {e.name: jsonable(getattr(self, e.name)) for e in fields(self) if e.name != "table"}
        return self.table.to_dict() | found | {"total_changes": self.total_changes}

    def headline(self) -> str:
        """Which table, and whether it is recorded."""
        at = self.table.disabled_at or self.table.since
        since = f" since {at.isoformat(sep=' ')}" if at else ""
        return f"{self.table.table}: {self.table.standing}{since}"

    def header(self) -> Sequence[str]:
        """The names of the columns shown."""
        return ("figure", "value")

    def lines(self) -> Iterable[Sequence[Any]]:
        """One line for each figure."""
        shown = ("inserts", "updates", "deletes", "commits", "last_change")
        sizes = ("history_rows", "history_bytes", "table_bytes")
        history = ("history_table", self.table.history_table)
        return [history, *((name, getattr(self, name)) for name in (*shown, *sizes))]

    def footnotes(self) -> Iterable[str]:
        """Gaps and drift."""
        return [*(explained(gap) for gap in self.gaps), *(f"drift: {e}" for e in self.drift)]


__all__ = ["State", "TemporalStatus", "TemporalTable", "TemporalTableList"]
