"""A merge that waits for its conflicts to be resolved, as rows of the database.

The live tables are not touched until the merge is committed, so it can wait as long as it
takes, survive the session it was begun in, and be aborted without a trace. What may be
resolved by anyone lies in two tables: ``merge``, of which one row at most is open, and
``conflict``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import SimpleNamespace
from typing import Any, Final, Literal
from uuid import UUID

from sqlalchemy import Connection, Row, delete, func, insert, null, select, update
from sqlalchemy.exc import IntegrityError

from sqlalchemy_temporal.errors import MergeError
from sqlalchemy_temporal.repository.merge.codec import decode_row, encode_row
from sqlalchemy_temporal.repository.merge.plan import TableMerge
from sqlalchemy_temporal.schema import SystemTables

Resolution = Literal["ours", "theirs", "base", "values"]
OPEN: Final = "open"
COMMITTED: Final = "committed"
ABORTED: Final = "aborted"
GIVEN: Final = "given"
"""The kind of a row that is no conflict, and was given other values all the same."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """A row that both sides of a merge changed in ways that exclude each other.

    Attributes:
        table: ``schema.name``.
        key: the row's key, by column.
        kind: ``"cell"``, ``"both_added"``, ``"deleted_by_us"``, ``"deleted_by_them"``,
            ``"strict"`` or ``"dropped_column"``; see ``docs/merging.md``. ``"given"`` is a
            row without a conflict that was given values in a resolution.
        columns: the disputed columns.
        base: the row as both sides knew it; None if there was none.
        ours: the row at HEAD; None if it is deleted there.
        theirs: the row in what is merged; None if it is deleted there.
        resolution: ``"ours"``, ``"theirs"``, ``"base"`` or ``"values"``; None while open.
        values: the values of a resolution by values.
        resolved_by: who resolved it.
        resolved_at: when (with time zone).
    """

    table: str
    key: Mapping[str, Any]
    kind: str
    columns: tuple[str, ...]
    base: Mapping[str, Any] | None
    ours: Mapping[str, Any] | None
    theirs: Mapping[str, Any] | None
    resolution: Resolution | None = None
    values: Mapping[str, Any] | None = None
    resolved_by: str | None = None
    resolved_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Whether it waits to be resolved."""
        return self.resolution is None

    @property
    def cells(self) -> dict[str, tuple[Any, Any, Any]]:
        """The disputed cells: base, ours and theirs by column."""
        sides = [side or {} for side in (self.base, self.ours, self.theirs)]
        return {
            name: (sides[0].get(name), sides[1].get(name), sides[2].get(name))
            for name in self.columns
        }


@dataclass(frozen=True, slots=True)
class OpenMerge:
    """The merge that is open.

    Attributes:
        id: its number.
        revision: what was asked to be merged.
        ours: the commit that was HEAD when it was last looked at.
        theirs: the commit that is merged.
        strict: whether rows that both sides touched are conflicts.
        tables: the tables it is restricted to; empty for all.
        author: who merges.
        message: the message of the merge commit.
        started_at: when it was begun (with time zone).
    """

    id: int
    revision: str
    ours: UUID
    theirs: UUID
    strict: bool
    tables: tuple[str, ...]
    author: str | None
    message: str | None
    started_at: datetime


def find_open(connection: Connection, tables: SystemTables) -> OpenMerge | None:
    """The merge that is open, if one is."""
    merge = tables.merge
    row = connection.execute(select(merge).where(merge.c.status == OPEN)).one_or_none()
    if row is None:
        return None
    return OpenMerge(
        row.id,
        row.revision,
        row.ours_uuid,
        row.theirs_uuid,
        row.strict,
        tuple(row.tables or ()),
        row.author,
        row.message,
        row.started_at,
    )


def require_open(connection: Connection, tables: SystemTables) -> OpenMerge:
    """The merge that is open.

    Raises:
        MergeError: none is.
    """
    found = find_open(connection, tables)
    if found is None:
        raise MergeError("no merge is in progress; begin one with merge()")
    return found


def begin(connection: Connection, tables: SystemTables, values: Mapping[str, Any]) -> int:
    """Write down a merge; return its number.

    Raises:
        MergeError: another one is open.
    """
    merge = tables.merge
    try:
        with connection.begin_nested():
            number: int = connection.execute(
                insert(merge).values(status=OPEN, **values).returning(merge.c.id)
            ).scalar_one()
    except IntegrityError as error:
        raise MergeError(
            "another merge is in progress; commit it with merge_commit() or give it up with "
            "merge_abort()"
        ) from error
    return number


def end(connection: Connection, tables: SystemTables, merge_id: int, status: str) -> None:
    """Close a merge."""
    merge = tables.merge
    connection.execute(
        update(merge)
        .where(merge.c.id == merge_id)
        .values(status=status, ended_at=func.current_timestamp())
    )


def move(connection: Connection, tables: SystemTables, merge_id: int, ours: UUID) -> None:
    """Note that the merge was looked at again with another HEAD."""
    merge = tables.merge
    connection.execute(update(merge).where(merge.c.id == merge_id).values(ours_uuid=ours))


# --------------------------------------------------------------------------------- conflicts


def found_conflicts(connection: Connection, merges: Iterable[TableMerge]) -> list[dict[str, Any]]:
    """The conflicts of a plan, as rows of the table ``conflict``."""
    return [_as_row(each, row) for each in merges for row in connection.execute(each.conflicts())]


def _as_row(merge: TableMerge, row: Row[Any]) -> dict[str, Any]:
    cells = row._mapping
    names = merge.columns.names
    key = {name: cells[f"k{i}"] for i, name in enumerate(merge.table.key)}

    def side(letter: str) -> Any:
        if not cells[letter]:
            return null()
        return encode_row(key | {name: cells[f"{letter}{i}"] for i, name in enumerate(names)})

    disputed = [name for i, name in enumerate(names) if cells[f"d{i}"]]
    return {
        "table_name": merge.table.name,
        "key_text": row.key_text,
        "row_key": encode_row(key),
        "kind": row.kind,
        "columns": disputed or list(names),
        "base": side("b"),
        "ours": side("o"),
        "theirs": side("t"),
    }


def store(
    connection: Connection,
    tables: SystemTables,
    merge_id: int,
    found: Sequence[Mapping[str, Any]],
) -> None:
    """Bring the stored conflicts into step with those found.

    A conflict whose three sides are as they were keeps its resolution. Values given to rows
    without a conflict stay.
    """
    conflict = tables.conflict
    known = {
        (row.table_name, row.key_text): row
        for row in connection.execute(select(conflict).where(conflict.c.merge_id == merge_id))
    }
    wanted = {(row["table_name"], row["key_text"]): row for row in found}
    gone = [
        row.id
        for place, row in known.items()
        if (place in wanted and not _same_sides(row, wanted[place]))
        or (place not in wanted and row.kind != GIVEN)
    ]
    for number in gone:
        connection.execute(delete(conflict).where(conflict.c.id == number))
    kept = {place for place, row in known.items() if row.id not in gone}
    added = [{"merge_id": merge_id, **row} for place, row in wanted.items() if place not in kept]
    for row in added:
        connection.execute(insert(conflict).values(row))


def _same_sides(stored: Row[Any], found: Mapping[str, Any]) -> bool:
    return stored.kind == found["kind"] and all(
        getattr(stored, side) == (found[side] if isinstance(found[side], dict) else None)
        for side in ("base", "ours", "theirs")
    )


def list_conflicts(
    connection: Connection, tables: SystemTables, merge_id: int
) -> list[tuple[int, Conflict]]:
    """The conflicts of a merge with their numbers, in the order of tables and keys."""
    conflict = tables.conflict
    rows = connection.execute(
        select(conflict).where(conflict.c.merge_id == merge_id).order_by(conflict.c.id)
    )
    return [(row.id, conflict_from(row)) for row in rows]


def conflict_from(row: Row[Any] | Any) -> Conflict:
    """A row of the table ``conflict`` as a value."""

    def decoded(value: Any) -> dict[str, Any] | None:
        return decode_row(value) if isinstance(value, dict) else None

    return Conflict(
        table=row.table_name,
        key=decode_row(row.row_key),
        kind=row.kind,
        columns=tuple(row.columns),
        base=decoded(row.base),
        ours=decoded(row.ours),
        theirs=decoded(row.theirs),
        resolution=row.resolution,
        values=decoded(row.given),
        resolved_by=row.resolved_by,
        resolved_at=row.resolved_at,
    )


def conflict_of(found: Mapping[str, Any]) -> Conflict:
    """A conflict that was found and is not written down."""
    nothing = dict.fromkeys(("resolution", "given", "resolved_by", "resolved_at"))
    return conflict_from(SimpleNamespace(**nothing, **found))


__all__ = [
    "ABORTED",
    "COMMITTED",
    "GIVEN",
    "OPEN",
    "Conflict",
    "OpenMerge",
    "Resolution",
    "begin",
    "conflict_from",
    "conflict_of",
    "end",
    "find_open",
    "found_conflicts",
    "list_conflicts",
    "move",
    "require_open",
    "store",
]
