"""Resolve conflicts: row by row, by table, all at once, or by values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, insert, literal, null, select, update

from sqlalchemy_temporal.clock.describe import current_actor
from sqlalchemy_temporal.errors import MergeError
from sqlalchemy_temporal.repository.catalog import Entity, load_tables
from sqlalchemy_temporal.repository.described import VersionedTable
from sqlalchemy_temporal.repository.keys import key_values
from sqlalchemy_temporal.repository.merge.codec import encode_row, is_exact
from sqlalchemy_temporal.repository.merge.outcome import CELL
from sqlalchemy_temporal.repository.merge.plan import key_text
from sqlalchemy_temporal.repository.merge.state import GIVEN, Conflict, OpenMerge, conflict_from
from sqlalchemy_temporal.schema import SystemTables

_TAKEN = ("ours", "theirs", "base")


def resolve_conflicts(
    connection: Connection,
    tables: SystemTables,
    merge: OpenMerge,
    entities: Sequence[Entity],
    *,
    key: Any = None,
    take: str | None = None,
    values: Mapping[str, Any] | None = None,
    author: str | None = None,
) -> int:
    """Resolve conflicts of a merge; return how many.

    Parameters:
        entities: only of these tables; nothing for all.
        key: only the row with this key, of the one table given.
        take: the side that is right.
        values: the values of the disputed columns, and of others if given, of one row.
        author: who decides; the current actor by default.

    Raises:
        MergeError: there is no such conflict, or the resolution does not fit.
        ConfigurationError: an entity is not versioned, or ``key`` is not one of its.
    """
    if (take is None) == (values is None):
        raise MergeError("a resolution is either take=... or values=...")
    if take is not None and take not in _TAKEN:
        raise MergeError(f"take must be one of {', '.join(_TAKEN)}, not {take!r}")
    chosen = load_tables(connection, tables.schema, entities)
    who = author or current_actor().author
    if values is not None or key is not None:
        if len(chosen) != 1 or key is None:
            raise MergeError("one row is resolved by its table and key=...")
        return _one(connection, tables, merge, chosen[0], _Decision(key, take, values, who))
    conflict = tables.conflict
    where = [conflict.c.merge_id == merge.id, conflict.c.kind != GIVEN]
    if entities:
        where.append(conflict.c.table_name.in_([table.name for table in chosen]))
    marks = _marks(who, take, null())
    return connection.execute(update(conflict).where(*where).values(marks)).rowcount


def _marks(who: str | None, resolution: str | None, given: Any) -> dict[str, Any]:
    return {
        "resolution": resolution,
        "given": given,
        "resolved_by": who,
        "resolved_at": func.current_timestamp(),
    }


@dataclass(frozen=True, slots=True)
class _Decision:
    """What is decided about one row."""

    key: Any
    take: str | None
    values: Mapping[str, Any] | None
    who: str | None

    @property
    def marks(self) -> dict[str, Any]:
        given = null() if self.values is None else encode_row(self.values)
        return _marks(self.who, self.take or "values", given)


def _one(
    connection: Connection,
    tables: SystemTables,
    merge: OpenMerge,
    table: VersionedTable,
    decision: _Decision,
) -> int:
    conflict = tables.conflict
    text = _text_of(connection, table, decision.key)
    row = connection.execute(
        select(conflict).where(
            conflict.c.merge_id == merge.id,
            conflict.c.table_name == table.name,
            conflict.c.key_text == text,
        )
    ).one_or_none()
    if decision.values is not None:
        _check_values(table, decision.values, None if row is None else conflict_from(row))
    elif row is None:
        raise MergeError(f"{table.name} has no conflict at the key {decision.key!r}")
    if row is not None:
        connection.execute(update(conflict).where(conflict.c.id == row.id).values(decision.marks))
        return 1
    values = {
        "merge_id": merge.id,
        "table_name": table.name,
        "key_text": text,
        "row_key": encode_row(key_values(table, decision.key)),
        "kind": GIVEN,
        "columns": list(decision.values or ()),
        **dict.fromkeys(("base", "ours", "theirs"), null()),
        **decision.marks,
    }
    connection.execute(insert(conflict).values(values))
    return 1


def _text_of(connection: Connection, table: VersionedTable, key: Any) -> str:
    """The key as the plan writes it, by the database itself."""
    parts = key_values(table, key)
    typed = [literal(parts[name], table.live.c[name].type) for name in table.key]
    text: str = connection.execute(select(key_text(typed, connection.dialect.name))).scalar_one()
    return text


def _check_values(
    table: VersionedTable, values: Mapping[str, Any], conflict: Conflict | None
) -> None:
    unknown = [name for name in values if name not in table.values]
    if unknown:
        raise MergeError(
            f"{', '.join(unknown)}: {table.name} has no such column(s) that a merge can set"
        )
    if conflict is not None and conflict.kind == CELL:
        missing = [name for name in conflict.columns if name not in values]
        if missing:
            raise MergeError(
                f"{', '.join(missing)}: give values for all disputed columns of {table.name}"
            )
    unfit = [name for name, value in values.items() if not is_exact(value)]
    if unfit:
        raise MergeError(
            f"{', '.join(unfit)}: values of these types cannot be kept until the merge is "
            "committed; take a side, and change the row afterwards"
        )


__all__ = ["resolve_conflicts"]
