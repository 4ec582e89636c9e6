"""The states of rows that activities of postgresql-audit tell."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Integer,
    Text,
    case,
    cast,
    func,
    literal_column,
    or_,
    select,
    union_all,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.sql.expression import Subquery, TableClause

from sqlalchemy_temporal.imports.target import NUMBER, Target

FIRST: Final = 1
"""The commit that holds what was there when recording began."""


def last_states(
    activity: TableClause, of: ColumnElement[bool], known: TableClause, target: Target
) -> Subquery:
    """One state per row and transaction: that after its last activity.

    An activity that changed the key begins one row and leaves another. Of one statement
    that moves keys along, what begins counts, in whichever order rows were met.
    """
    after = _after(activity)
    joined = activity.join(known, cast(activity.c.native_transaction_id, Text) == known.c.source)
    alive = case((activity.c.verb == "delete", 0), else_=1)
    common = (activity.c.id, activity.c.issued_at, known.c[NUMBER].label("number"))
    begun = (
        select(*common, after.label("state"), alive.label("alive"), _int(0).label("left"))
        .select_from(joined)
        .where(of)
    )
    moved = or_(*(activity.c.old_data.op("->")(n) != after.op("->")(n) for n in target.spec.key))
    left = (
        select(*common, activity.c.old_data, _int(0), _int(1))
        .select_from(joined)
        .where(of, activity.c.verb == "update", moved)
    )
    each = union_all(begun, left).subquery("each_state")
    place = func.row_number().over(
        partition_by=[*_keys(target, each.c.state), each.c.number],
        order_by=[each.c.issued_at.desc(), each.c.left, each.c.id.desc()],
    )
    placed = select(each.c.number, each.c.state, each.c.alive, place.label("place")).subquery()
    return (
        select(placed.c.number, placed.c.state, placed.c.alive)
        .where(placed.c.place == 1)
        .subquery("events")
    )


def states_before(activity: TableClause, of: ColumnElement[bool], target: Target) -> Subquery:
    """What each row was before its first activity, if it was there."""
    olds = select(activity.c.id, activity.c.old_data.label("state"), _int(1).label("was"))
    news = select(activity.c.id, _after(activity), _int(0))
    each = union_all(
        olds.where(of, activity.c.verb != "insert"),
        news.where(of, activity.c.verb != "delete"),
    ).subquery("each_state")
    place = func.row_number().over(
        partition_by=_keys(target, each.c.state), order_by=[each.c.id, each.c.was.desc()]
    )
    first = select(each.c.state, each.c.was, place.label("place")).subquery()
    return (
        select(_int(FIRST).label("number"), first.c.state, _int(1).label("alive"))
        .where(first.c.place == 1, first.c.was == 1)
        .subquery("before")
    )


def _after(activity: TableClause) -> ColumnElement[Any]:
    """The row after an activity."""
    return activity.c.old_data.op("||", return_type=JSONB())(activity.c.changed_data)


def _keys(target: Target, state: ColumnElement[Any]) -> list[ColumnElement[Any]]:
    return [state.op("->")(name) for name in target.spec.key]


def _int(number: int) -> ColumnElement[int]:
    return literal_column(str(number), Integer)


__all__ = ["FIRST", "last_states", "states_before"]
