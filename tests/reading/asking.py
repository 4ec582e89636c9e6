"""Asking the same question of the past and of a present that was that past."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from sqlalchemy_temporal.clock.moment import Moment
from sqlalchemy_temporal.reading.as_of import as_of
from sqlalchemy_temporal.reading.policy import Plan
from tests.reading.conftest import Zoo
from tests.reading.zoo import Question


def rows(session: Session, statement: Any) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in session.execute(statement)]


def plain(instance: Any) -> Any:
    """What an object looks like, by its loaded columns."""
    if instance is None:
        return None
    mapper = instance.__mapper__
    return type(instance).__name__, {
        attribute.key: getattr(instance, attribute.key)
        for attribute in mapper.column_attrs
        if attribute.key != "last_seen"
    }


def assert_as_it_was(both: Zoo, ask: Question) -> None:
    """The answers as of both moments are those of when they were the present."""
    with Session(both.then) as session:
        first = ask(session)
    with Session(both.engine) as session:
        second = ask(session)
    cases: tuple[tuple[Moment, Plan, Any], ...] = (
        (both.first, "auto", first),
        (both.first, "table", first),
        (both.second, "auto", second),
    )
    for moment, plan, expected in cases:
        with Session(both.engine) as session, as_of(session, moment, plan=plan) as past:
            found = ask(past)
            assert found == expected, (moment.seq, plan)
