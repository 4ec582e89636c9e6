"""Undo one commit on top of what came after it.

Each row that the commit changed is taken back to what it was before, cell by cell, as long
as nothing else has changed the same since. Where something has, the two are in conflict.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    case,
    func,
    literal_column,
    not_,
    or_,
    select,
)

from sqlalchemy_temporal.repository.changes import ChangeQuery, differ
from sqlalchemy_temporal.repository.compare import same
from sqlalchemy_temporal.repository.described import VersionedTable
from sqlalchemy_temporal.repository.staging import live

OnConflict = Literal["refuse", "keep", "overwrite"]
"""What becomes of a row that was changed again: nothing is written at all, it is kept as it
is where the two differ, or it is taken back nevertheless."""

_MAX: int = 1000
"""Conflicts that are listed."""


@dataclass(frozen=True, slots=True)
class RevertConflict:
    """A row that was changed again since the commit that is to be undone.

    Attributes:
        table: ``schema.name``.
        key: the row's key.
        before: the row before the commit; None when it did not exist.
        committed: the row as the commit left it; None when it deleted it.
        now: the row as it is; None when it does not exist.
    """

    table: str
    key: Mapping[str, Any]
    before: Mapping[str, Any] | None
    committed: Mapping[str, Any] | None
    now: Mapping[str, Any] | None

    def __str__(self) -> str:
        """The conflict in a few words."""
        key = "/".join(str(value) for value in self.key.values())
        what = "deleted" if self.now is None else "changed"
        if self.committed is None:
            what = "inserted again"
        return f"{self.table} {key} was {what} since"


@dataclass(frozen=True, slots=True)
class Reversal:
    """How one table is taken back.

    Attributes:
        table: the table.
        query: the changes of live rows.
        conflicts: a SELECT of the rows in conflict: whether each of before, committed and
            now exists, then their columns.
    """

    table: VersionedTable
    query: ChangeQuery
    conflicts: Any


def reversal(made: ChangeQuery, on_conflict: OnConflict) -> Reversal:
    """How to undo the changes ``made`` by a commit.

    Parameters:
        made: the changes from the commit's parent to the commit.
        on_conflict: what becomes of rows that were changed again.
    """
    table, size = made.table, range(len(made.table.columns))
    of = made.select(
        made.had.label("had"),
        made.has.label("has"),
        *(column.label(f"k{i}") for i, column in enumerate(made.key)),
        *(column.label(f"b{i}") for i, column in enumerate(made.before)),
        *(column.label(f"c{i}") for i, column in enumerate(made.after)),
    ).subquery("made")
    now = live(table, "now")
    pairs = (now.c[name] == of.c[f"k{i}"] for i, name in enumerate(table.key))
    source = of.outerjoin(now, and_(*pairs))
    exists = now.c[table.key[0]].is_not(None)
    had, has = of.c.had, of.c.has
    before = [of.c[f"b{i}"] for i in size]
    committed = [of.c[f"c{i}"] for i in size]
    present = [now.c[name] for name in table.columns]
    cells = [_Cell(b, c, n) for b, c, n in zip(before, committed, present, strict=True)]
    updated = and_(had, has)
    conflict = or_(
        and_(updated, not_(exists)),
        and_(updated, or_(*(cell.conflict for cell in cells))),
        and_(not_(has), exists, not_(same(present, before))),
        and_(not_(had), exists, not_(same(present, committed))),
    )
    untouched = and_(conflict, not_(and_(updated, exists)))
    after = _after(cells, updated, exists, on_conflict)
    shall: ColumnElement[Any] = had
    if on_conflict != "overwrite":
        shall = case((untouched, exists), else_=had)
    query = ChangeQuery(
        table=table,
        key=tuple(of.c[f"k{i}"] for i in range(len(table.key))),
        before=tuple(present),
        after=after,
        had=exists,
        has=shall,
        source=source,
        where=and_(
            literal_column("1") == literal_column("1")
            if on_conflict == "overwrite"
            else not_(untouched),
            differ(present, after, exists, shall),
        ),
    )
    flags = (had, has, exists)
    conflicts = (
        select(
            *(flag.label(f"f{i}") for i, flag in enumerate(flags)), *before, *committed, *present
        )
        .select_from(source)
        .where(conflict)
        .order_by(*query.key)
    )
    return Reversal(table, query, conflicts)


@dataclass(frozen=True, slots=True)
class _Cell:
    before: ColumnElement[Any]
    committed: ColumnElement[Any]
    now: ColumnElement[Any]

    @property
    def conflict(self) -> ColumnElement[bool]:
        """Whether the commit changed it, and something else did so since."""
        return and_(
            not_(same([self.before], [self.committed])),
            not_(same([self.now], [self.committed])),
            not_(same([self.now], [self.before])),
        )


def _after(
    cells: Sequence[_Cell],
    updated: ColumnElement[bool],
    exists: ColumnElement[bool],
    on_conflict: OnConflict,
) -> tuple[ColumnElement[Any], ...]:
    """Each cell: where the commit did not change it, as it is now."""
    found = []
    for cell in cells:
        keep = same([cell.before], [cell.committed])
        if on_conflict != "overwrite":
            keep = or_(keep, cell.conflict)
        found.append(case((and_(updated, exists, keep), cell.now), else_=cell.before))
    return tuple(found)


def list_conflicts(connection: Connection, reversals: Sequence[Reversal]) -> list[RevertConflict]:
    """The rows in conflict, at most a thousand of each table."""
    found = []
    for each in reversals:
        table, width = each.table, len(each.table.columns)
        for row in connection.execute(each.conflicts.limit(_MAX)):
            flags, values = row[:3], row[3:]
            sides = [
                dict(zip(table.columns, values[i * width : (i + 1) * width], strict=True))
                if flag
                else None
                for i, flag in enumerate(flags)
            ]
            shown = next(side for side in sides if side is not None)
            key = {name: shown[name] for name in table.key}
            found.append(RevertConflict(table.name, key, *sides))
    return found


def count_conflicts(connection: Connection, reversals: Sequence[Reversal]) -> int:
    """How many rows are in conflict."""
    return sum(
        connection.scalar(select(func.count()).select_from(each.conflicts.subquery("q"))) or 0
        for each in reversals
    )


__all__ = [
    "OnConflict",
    "Reversal",
    "RevertConflict",
    "count_conflicts",
    "list_conflicts",
    "reversal",
]
