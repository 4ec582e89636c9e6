"""Rows of one table at several commits, side by side, as expressions of SQL."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    and_,
    case,
    false,
    not_,
    null,
    or_,
    select,
    true,
    type_coerce,
)

from sqlalchemy_temporal.clock.moment import Moment
from sqlalchemy_temporal.errors import UnrecordedMomentError
from sqlalchemy_temporal.reading.as_of import as_of
from sqlalchemy_temporal.repository.described import VersionedTable
from sqlalchemy_temporal.repository.merge.bases import (
    Base,
    CombinedBase,
    NoBase,
    OneBase,
    UnknownBase,
)
from sqlalchemy_temporal.repository.merge.equality import Equal
from sqlalchemy_temporal.repository.staging import live

Flag = ColumnElement[bool]


@dataclass(frozen=True, slots=True)
class RowAt:
    """The row of a key at one commit.

    Attributes:
        stands: whether there is such a row.
        cells: its values, one for each of the merge's columns.
        known: for each cell, whether its value is known; it always is but in a base that
            several commits were combined into.
        certain: whether it is known at all if the row was there.
    """

    stands: Flag
    cells: tuple[ColumnElement[Any], ...]
    known: tuple[Flag, ...]
    certain: Flag


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns that are merged, and how their values are compared."""

    table: VersionedTable
    names: tuple[str, ...]
    equal: tuple[Equal, ...]

    def same(self, number: int, one: RowAt, two: RowAt) -> Flag:
        """Whether a cell is known to have equal values in two rows that both stand."""
        equal = self.equal[number](one.cells[number], two.cells[number])
        return and_(one.known[number], two.known[number], equal)

    def all_same(self, one: RowAt, two: RowAt) -> Flag:
        """The same for all cells."""
        return and_(true(), *(self.same(i, one, two) for i in range(len(self.names))))

    def nothing(self, *, certain: bool) -> RowAt:
        """A row that is not there, or of which nothing is known."""
        empty = tuple(type_coerce(null(), self.table.live.c[n].type) for n in self.names)
        known = tuple(true() if certain else false() for _ in self.names)
        return RowAt(false(), empty, known, true() if certain else false())


class SideBySide:
    """Joins the rows of several commits to a list of keys.

    Parameters:
        columns: the columns that are merged.
        keys: the keys, as a source with the columns ``k0``, ``k1``, …
        moment_at: gives the moment of a point of the graph.
    """

    def __init__(
        self, columns: Columns, keys: FromClause, moment_at: Callable[[int], Moment]
    ) -> None:
        self._columns = columns
        self._moment_at = moment_at
        self._table = columns.table
        self._keys = keys
        self._count = 0
        self.key: tuple[ColumnElement[Any], ...] = tuple(
            keys.c[f"k{i}"] for i in range(len(self._table.key))
        )
        self.source: FromClause = keys

    def at(self, moment: Moment) -> RowAt:
        """The rows as of a moment; nothing is known of them where it is not recorded.

        That is so only of commits by which bases are combined: see ``unrecorded``.
        """
        try:
            past = as_of(self._table.live, moment, name=self._name("p"))
        except UnrecordedMomentError:
            return self._columns.nothing(certain=False)
        return self._join(past)

    def live(self) -> tuple[RowAt, FromClause]:
        """The rows as they are now, and the source they come from."""
        stored = live(self._table, self._name("o"))
        return self._join(stored), stored

    def past(self, moment: Moment) -> tuple[RowAt, FromClause]:
        """The rows as of a moment, and the source they come from."""
        past = as_of(self._table.live, moment, name=self._name("t"))
        return self._join(past), past

    def base(self, base: Base) -> RowAt:
        """The rows by which others are merged."""
        match base:
            case OneBase(point):
                return self.at(self._moment_at(point))
            case NoBase():
                return self._columns.nothing(certain=True)
            case UnknownBase():
                return self._columns.nothing(certain=False)
            case CombinedBase():
                return self._combined(base)

    def _name(self, letter: str) -> str:
        self._count += 1
        return f"{letter}{self._count}"

    def _join(self, other: FromClause) -> RowAt:
        on = [other.c[name] == key for name, key in zip(self._table.key, self.key, strict=True)]
        self.source = self.source.outerjoin(other, and_(*on))
        return RowAt(
            other.c[self._table.key[0]].is_not(None),
            tuple(other.c[name] for name in self._columns.names),
            tuple(true() for _ in self._columns.names),
            true(),
        )

    def _combined(self, base: CombinedBase) -> RowAt:
        """Two bases merged by a third, in a query of its own."""
        inner = SideBySide(self._columns, self._keys, self._moment_at)
        left, right, common = (inner.base(each) for each in (base.left, base.right, base.base))
        merged = combine(self._columns, common, left, right)
        query = (
            select(
                *(key.label(f"k{i}") for i, key in enumerate(inner.key)),
                merged.stands.label("stands"),
                merged.certain.label("certain"),
                *(cell.label(f"c{i}") for i, cell in enumerate(merged.cells)),
                *(known.label(f"w{i}") for i, known in enumerate(merged.known)),
            )
            .select_from(inner.source)
            .subquery(self._name("v"))
        )
        on = [query.c[f"k{i}"] == key for i, key in enumerate(self.key)]
        self.source = self.source.outerjoin(query, and_(*on))
        numbers = range(len(self._columns.names))
        return RowAt(
            query.c.stands,
            tuple(query.c[f"c{i}"] for i in numbers),
            tuple(query.c[f"w{i}"] for i in numbers),
            query.c.certain,
        )


def combine(columns: Columns, base: RowAt, left: RowAt, right: RowAt) -> RowAt:
    """Two rows merged by a third, as far as they can be without a conflict."""
    both = and_(left.stands, right.stands)
    one = or_(left.stands, right.stands)
    cells, known = [], []
    for i in range(len(columns.names)):
        left_kept = and_(base.stands, columns.same(i, left, base))
        right_kept = and_(base.stands, columns.same(i, right, base))
        cells.append(
            case(
                (not_(right.stands), left.cells[i]),
                (not_(left.stands), right.cells[i]),
                (left_kept, right.cells[i]),
                else_=left.cells[i],
            )
        )
        known.append(
            case(
                (not_(right.stands), left.known[i]),
                (not_(left.stands), right.known[i]),
                (left_kept, right.known[i]),
                (right_kept, left.known[i]),
                else_=columns.same(i, left, right),
            )
        )
    # One of them deleted the row, or the other one added it.
    kept = or_(
        and_(left.stands, columns.all_same(left, base)),
        and_(right.stands, columns.all_same(right, base)),
    )
    stands = case((both, true()), (not_(one), false()), (base.stands, not_(kept)), else_=true())
    certain = and_(
        left.certain,
        right.certain,
        or_(both, not_(one), and_(base.certain, or_(not_(base.stands), kept))),
    )
    return RowAt(stands, tuple(cells), tuple(known), certain)


__all__ = ["Columns", "Flag", "RowAt", "SideBySide", "combine"]
