"""What becomes of one row that both sides of a merge may have changed.

========================  ===========================  ==========================================
ours                      theirs                       outcome
========================  ===========================  ==========================================
as in the base            changed, added or deleted    theirs
changed, added, deleted   as in the base               ours
changed                   changed                      cell by cell: the side that changed it
the same cell changed     to another value             conflict ``cell``
added                     added, with other values     conflict ``both_added``
deleted                   changed                      conflict ``deleted_by_us``
changed                   deleted                      conflict ``deleted_by_them``
any change                any other, ``strict``        conflict ``strict``
========================  ===========================  ==========================================

What both sides did alike is no conflict, unless ``strict`` is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, case, false, literal_column, not_, null, or_, true
from sqlalchemy.types import Text

from sqlalchemy_temporal.repository.merge.rows import Columns, Flag, RowAt

CELL: Final = "cell"
BOTH_ADDED: Final = "both_added"
DELETED_BY_US: Final = "deleted_by_us"
DELETED_BY_THEM: Final = "deleted_by_them"
STRICT: Final = "strict"
KINDS: Final = (CELL, BOTH_ADDED, DELETED_BY_US, DELETED_BY_THEM, STRICT)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of a row.

    Attributes:
        kind: the kind of conflict, or NULL.
        disputed: for each cell, whether both sides want another value in it.
        cells: the merged cells; those of ours where they are disputed.
        stands: whether the merged row is there; as in ours where that is disputed.
    """

    kind: ColumnElement[Any]
    disputed: tuple[Flag, ...]
    cells: tuple[ColumnElement[Any], ...]
    stands: Flag


def outcome(columns: Columns, base: RowAt, ours: RowAt, theirs: RowAt, *, strict: bool) -> Outcome:
    """Merge a row, see the module."""
    both = and_(ours.stands, theirs.stands)
    had = and_(base.certain, base.stands)
    numbers = range(len(columns.names))
    they_kept = [and_(had, columns.same(i, theirs, base)) for i in numbers]
    we_kept = [and_(had, columns.same(i, ours, base)) for i in numbers]
    alike = [columns.same(i, ours, theirs) for i in numbers]
    disputed = tuple(not_(or_(they_kept[i], we_kept[i], alike[i])) for i in numbers)
    they_kept_all = and_(had, columns.all_same(theirs, base))
    we_kept_all = and_(had, columns.all_same(ours, base))
    # Where it is not known if the row was there, neither side is known to have kept it.
    was_there = or_(base.stands, not_(base.certain))
    kinds = [
        (and_(both, not_(was_there), or_(false(), *disputed)), BOTH_ADDED),
        (and_(both, or_(false(), *disputed)), CELL),
        (and_(not_(ours.stands), theirs.stands, was_there, not_(they_kept_all)), DELETED_BY_US),
        (and_(ours.stands, not_(theirs.stands), was_there, not_(we_kept_all)), DELETED_BY_THEM),
    ]
    if strict:
        kinds.append((and_(both, not_(they_kept_all), not_(we_kept_all)), STRICT))
    return Outcome(
        kind=case(*((when, _name(kind)) for when, kind in kinds), else_=null()),
        disputed=tuple(and_(both, each) for each in disputed),
        cells=tuple(
            case(
                (not_(ours.stands), theirs.cells[i]),
                (not_(theirs.stands), ours.cells[i]),
                (they_kept[i], ours.cells[i]),
                (we_kept[i], theirs.cells[i]),
                else_=ours.cells[i],
            )
            for i in numbers
        ),
        stands=case(
            (both, true()),
            # Only one of them has it: kept unless the other one deleted it.
            (ours.stands, not_(and_(had, we_kept_all))),
            (theirs.stands, not_(was_there)),
            else_=ours.stands,
        ),
    )


def _name(kind: str) -> ColumnElement[Any]:
    return literal_column(f"'{kind}'", Text)


__all__ = [
    "BOTH_ADDED",
    "CELL",
    "DELETED_BY_THEM",
    "DELETED_BY_US",
    "KINDS",
    "STRICT",
    "Outcome",
    "outcome",
]
