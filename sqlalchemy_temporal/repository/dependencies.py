"""The order in which tables are written: those referred to before those that refer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy_temporal.repository.described import VersionedTable


def in_order(tables: Sequence[VersionedTable]) -> list[VersionedTable]:
    """``tables``, parents before children, each with its ``position``.

    Where tables refer to each other in a circle there is no such order; then the one that
    refers to the fewest others that are left comes first, by name among equals.
    """
    left = {table.name: table for table in tables}
    needs = {
        name: {key.referred for key in table.foreign_keys if key.referred in left} - {name}
        for name, table in left.items()
    }
    ordered: list[VersionedTable] = []
    while left:
        name = min(left, key=lambda each: (len(needs[each] & left.keys()), each))
        ordered.append(replace(left.pop(name), position=len(ordered)))
    return ordered


__all__ = ["in_order"]
