"""The merge of a table with its conflicts resolved, as one query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, case, literal, or_

from sqlalchemy_temporal.repository.changes import ChangeQuery
from sqlalchemy_temporal.repository.merge.outcome import STRICT
from sqlalchemy_temporal.repository.merge.plan import TableMerge
from sqlalchemy_temporal.repository.merge.state import Conflict
from sqlalchemy_temporal.schema import SystemTables


def decided(
    merge: TableMerge,
    tables: SystemTables,
    merge_id: int,
    conflicts: Sequence[tuple[int, Conflict]],
) -> ChangeQuery:
    """What to change in the live table, with every conflict resolved as it was decided.

    Parameters:
        merge: the merge of the table.
        tables: the library's own tables.
        merge_id: the number of the merge.
        conflicts: its conflicts with their numbers.
    """
    rows = merge.rows
    decision = tables.conflict.alias("decision")
    source = rows.outerjoin(
        decision,
        and_(
            decision.c.merge_id == merge_id,
            decision.c.table_name == merge.table.name,
            decision.c.key_text == rows.c.key_text,
        ),
    )
    given = {
        number: conflict.values
        for number, conflict in conflicts
        if conflict.values is not None and conflict.table == merge.table.name
    }
    in_conflict = rows.c.kind.is_not(None)  # not only about a column that is gone
    takes = {
        side: and_(in_conflict, decision.c.resolution == side)
        for side in ("ours", "theirs", "base")
    }
    cells = [_cell(merge, i, decision, given, takes) for i in range(len(merge.columns.names))]
    stands = case(
        (takes["theirs"], rows.c.t),
        (takes["base"], rows.c.b),
        (decision.c.resolution == "values", or_(rows.c.o, rows.c.t)),
        else_=rows.c.m,
    )
    settled = or_(rows.c.kind.is_(None), decision.c.resolution.is_not(None))
    return merge.changes(cells, stands, source=source, where=settled)


def _cell(
    merge: TableMerge,
    number: int,
    decision: Any,
    given: Mapping[int, Mapping[str, Any]],
    takes: Mapping[str, ColumnElement[bool]],
) -> ColumnElement[Any]:
    """A cell of the decided row. A side that is taken decides about disputed cells only.

    Where whole rows are in conflict, it decides about the whole row.
    """
    rows = merge.rows
    name = merge.columns.names[number]
    whole = or_(rows.c.kind == STRICT, rows.c.o != rows.c.t)
    disputed = or_(rows.c[f"d{number}"], whole)
    options: list[tuple[ColumnElement[bool], ColumnElement[Any]]] = [
        (decision.c.id == each, literal(values[name], merge.table.live.c[name].type))
        for each, values in given.items()
        if name in values
    ]
    for side, letter in (("theirs", "t"), ("base", "b"), ("ours", "o")):
        options.append((and_(takes[side], disputed), rows.c[f"{letter}{number}"]))
    return case(*options, else_=rows.c[f"m{number}"])


__all__ = ["decided"]
