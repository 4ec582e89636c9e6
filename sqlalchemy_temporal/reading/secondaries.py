"""Association tables that a join along a relationship of ``as_of(Entity, …)`` brings in."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Alias, FromClause, Table
from sqlalchemy.sql.elements import _anonymous_label
from sqlalchemy.sql.selectable import FromGrouping

from sqlalchemy_temporal.reading import refusal
from sqlalchemy_temporal.schema import is_versioned


def find_secondaries(compiler: Any, alias: Any) -> None:
    """Have the association tables of the relationships of ``alias`` read at its moment.

    A join along a many-to-many relationship brings them in without a word of the user's.
    They belong to the object whose relationship it is, so its moment is theirs.

    Raises:
        UnrecordedMomentError: nothing of such a table is recorded at the moment.
    """
    entry = compiler.stack[-1] if compiler.stack else {}
    for join in entry.get("asfrom_froms", ()):
        if not hasattr(join, "_target_adapter"):  # not along a relationship
            continue
        right = join.right.element if isinstance(join.right, FromGrouping) else join.right
        ends: tuple[tuple[Any, Any], ...] = (
            (getattr(join.left, "right", None), getattr(join.left, "onclause", None)),
            (getattr(right, "left", None), join.onclause),  # of an outer join
        )
        for between, condition in ends:
            if _is_secondary(between) and _mentions(condition, alias):
                refusal.check_known(between.element, alias.moment)
                compiler.secondaries[between] = alias.bounds


def _is_secondary(source: Any) -> bool:
    """Whether ``source`` is an alias as the ORM makes them of association tables."""
    return (
        isinstance(source, Alias)
        and isinstance(source.name, _anonymous_label)
        and isinstance(source.element, Table)
        and is_versioned(source.element)
    )


def _mentions(condition: Any, alias: FromClause) -> bool:
    return condition is not None and alias in condition._from_objects
