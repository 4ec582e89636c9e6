"""Copies of a row's values that lie outside of its history: conflicts of merges.

A merge that met conflicts keeps the three sides of each row, and what was decided, after
it is committed or given up, too.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, select, update

from sqlalchemy_temporal.repository.merge.codec import encode
from sqlalchemy_temporal.repository.merge.plan import key_text
from sqlalchemy_temporal.tables.recorded import RecordedTable
from sqlalchemy_temporal.tables.redact_versions import Key, Line

_SIDES: Final = ("base", "ours", "theirs", "given")


def redact_conflicts(
    line: Line, keys: Collection[Key], columns: Sequence[str], replacement: Mapping[str, Any]
) -> int:
    """Overwrite columns in the conflicts of a row, of all merges.

    Names that the table does not have any more are cleared as well: it is not known which
    of its columns they were.

    Parameters:
        line: finds the row.
        keys: the keys it has and had.
        columns: what to overwrite.
        replacement: what to write, by column; NULL otherwise.

    Returns:
        How many conflicts were altered.
    """
    connection, one = line.connection, line.one
    conflict = one.system.conflict
    texts = [key_text(line.literals(key), connection.dialect.name) for key in keys]
    rows = connection.execute(
        select(conflict).where(
            conflict.c.table_name == one.qualified, conflict.c.key_text.in_(texts)
        )
    ).all()
    return sum(_redact(connection, one, row, columns, replacement) for row in rows)


def _redact(
    connection: Connection,
    one: RecordedTable,
    row: Row[Any],
    columns: Sequence[str],
    replacement: Mapping[str, Any],
) -> bool:
    known = {name for name, _ in one.columns} | set(one.key)
    written: dict[str, Any] = {}
    for side in _SIDES:
        values = getattr(row, side)
        if isinstance(values, dict):
            after = {
                name: encode(replacement.get(name)) if name in columns or name not in known else old
                for name, old in values.items()
            }
            if after != values:
                written[side] = after
    if written:
        conflict = one.system.conflict
        connection.execute(update(conflict).where(conflict.c.id == row.id).values(written))
    return bool(written)


__all__ = ["redact_conflicts"]
