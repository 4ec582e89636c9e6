"""Tables that cannot be merged by their base, because a commit knows nothing of them.

Before its versioning began, while that was disabled, and up to where it was purged, nothing
is recorded of a table. Such a state is neither empty nor that of another commit, so it is
not merged by. As long as the line to be merged recorded no change of the table, or led to
the very rows that are there, there is nothing to merge and no harm; else it is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import or_, select

from sqlalchemy_temporal.clock.commits import all_nodes
from sqlalchemy_temporal.errors import UnrecordedMomentError
from sqlalchemy_temporal.repository.catalog import load_tables
from sqlalchemy_temporal.repository.comparing import compare
from sqlalchemy_temporal.repository.dag import Range
from sqlalchemy_temporal.repository.described import VersionedTable
from sqlalchemy_temporal.repository.merge.question import Question
from sqlalchemy_temporal.repository.revisions import MOVES
from sqlalchemy_temporal.repository.unrecorded import restricted, unrecorded, wrote

_RANGES = 200
"""So many ranges of commits are looked through at a time."""


@dataclass(frozen=True, slots=True)
class Mergeable:
    """Which tables can be merged.

    Attributes:
        tables: those that can.
        unknown: those left as they are because the line to be merged says nothing about
            them, and why.
    """

    tables: list[VersionedTable]
    unknown: dict[str, str]


def mergeable(
    question: Question, tables: Sequence[VersionedTable], points: Sequence[int]
) -> Mergeable:
    """Sort out what can be merged.

    Parameters:
        question: what is to be merged.
        tables: the tables wanted, disabled ones too.
        points: the base, or the bases that are combined.

    Raises:
        UnrecordedMomentError: of a table that the other line changed, a base, that line's
            last commit or the present is not recorded.
    """
    bases = [("base", question.moment_at(point)) for point in points]
    last = ("commit to be merged", question.theirs)
    found, unknown, reasons = [], {}, {}
    for table in tables:
        error = unrecorded(table, [*bases, last])
        if error is None:
            found.append(table)
        else:
            reasons[table.name] = error
            if table.disabled_tx_id is None and unrecorded(table, [last]):
                unknown[table.name] = str(error)
    if reasons:
        changed = _changed(question, [each for each in tables if each.name in reasons])
        for table in tables:
            if table.name in changed and not _same_now(question, table):
                raise _refusal(reasons[table.name], table, tables)
    return Mergeable(found, unknown)


def _changed(question: Question, tables: Sequence[VersionedTable]) -> set[str]:
    """Those of ``tables`` that commits of theirs, and not of ours, changed."""
    by_name = {table.name: table for table in tables}
    changed: set[str] = set()
    for first in range(0, len(question.news), _RANGES):
        some = question.news[first : first + _RANGES]
        changed |= _changed_in(question, by_name, some)
    return changed


def _changed_in(
    question: Question, tables: dict[str, VersionedTable], ranges: Sequence[Range]
) -> set[str]:
    nodes = all_nodes(question.connection, question.tables)
    transaction = question.tables.transaction
    rows = question.connection.execute(
        select(nodes.c.uuid, nodes.c.parent_uuid, transaction.c.operation, transaction.c.counts)
        .join_from(nodes, transaction, transaction.c.id == nodes.c.tx_id)
        .where(or_(*(nodes.c.seq.between(*each) for each in ranges)))
    ).all()
    changed: set[str] = set()
    for row in rows:
        for name, table in tables.items():
            if name in changed or not wrote(row.counts, table):
                continue
            # A switch writes what another line had changed, and as such changes nothing.
            moved = row.operation in MOVES and row.parent_uuid is not None
            if not (moved and _same(question, table, row.parent_uuid, row.uuid)):
                changed.add(name)
    return changed


def _same(question: Question, table: VersionedTable, start: object, end: object) -> bool:
    """Whether a table is known to be the same at two commits; None is now."""
    diff = compare(
        question.connection,
        question.tables.schema,
        start,  # type: ignore[arg-type]
        end,  # type: ignore[arg-type]
        described=[table],
    )
    return not diff.unknown and not diff


def _same_now(question: Question, table: VersionedTable) -> bool:
    """Whether the live rows are theirs, so that there is nothing to decide."""
    return table.disabled_tx_id is None and _same(question, table, question.theirs, None)


def _refusal(
    error: UnrecordedMomentError, table: VersionedTable, tables: Sequence[VersionedTable]
) -> UnrecordedMomentError:
    rest = restricted("merge", "merge", table, tables)
    return type(error)(
        f"table {table.name!r} was changed on the line to be merged, and cannot be merged "
        f"{error}. Nothing was written. Make the table what it shall be, e.g. with restore(x, "
        f"{table.name!r}), which takes all its rows as they are there. {rest}".rstrip()
    )


def check_forward(question: Question) -> None:
    """Refuse to become theirs where a table that it changed is not recorded there any more.

    Raises:
        UnrecordedMomentError: there is such a table.
    """
    tables = load_tables(question.connection, question.tables.schema, disabled=True)
    mergeable(question, tables, ())


__all__ = ["Mergeable", "check_forward", "mergeable"]
