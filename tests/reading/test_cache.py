"""Statements are compiled once for all moments, and read rows by their key."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event, select
from sqlalchemy.orm import Session, joinedload, selectinload

from sqlalchemy_temporal.reading.as_of import as_of
from tests.reading.conftest import Zoo
from tests.reading.zoo import Address, Customer, Employee, Engineer, Item, Order, Tag


@pytest.fixture
def engine(both: Zoo) -> Iterator[Engine]:
    """An engine with an empty cache."""
    engine = create_engine(both.url)
    yield engine
    engine.dispose()


@contextmanager
def compiled(engine: Engine) -> Iterator[list[str]]:
    """The statements that are run, with whether their compiled form was in the cache."""
    seen: list[str] = []

    def note(*call: Any) -> None:
        context = call[4]
        if context.compiled is not None:
            seen.append(context.cache_hit.name)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", note)


@contextmanager
def statements(engine: Engine) -> Iterator[list[str]]:
    """The text of the statements that are run."""
    seen: list[str] = []

    def note(*call: Any) -> None:
        seen.append(call[2])

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", note)


def ask(session: Session) -> Any:
    """Statements of every origin: by key, lazy, eager, inheritance, Core."""
    session.expunge_all()
    ana = session.get_one(Customer, 1)
    session.refresh(ana)
    statement = select(Customer).options(
        selectinload(Customer.addresses), joinedload(Customer.orders).joinedload(Order.tags)
    )
    return (
        ana.name,
        [o.status for o in ana.orders],
        ana.note,
        [c.name for c in session.scalars(statement).unique()],
        session.get_one(Employee, 2).name,
        session.execute(select(Tag.__table__).where(Tag.__table__.c.id == 2)).all(),
        session.scalars(select(Tag.name).union(select(Address.city))).all(),
    )


def test_every_other_moment_hits_the_cache(both: Zoo, engine: Engine) -> None:
    with Session(engine) as session:
        with as_of(session, both.first) as past:
            first = ask(past)
        with compiled(engine) as hits:
            for moment in (both.second, both.first, both.second):
                with as_of(session, moment) as past:
                    assert (ask(past) == first) == (moment == both.first)
        assert len(hits) >= 20
        assert set(hits) == {"CACHE_HIT"}


def test_past_and_present_do_not_share_compiled_forms(both: Zoo, engine: Engine) -> None:
    statement = select(Customer.name).where(Customer.id == 1)
    with Session(engine) as session, as_of(session, both.first) as past:
        answers = [s.scalar(statement) for s in (session, past, session, past)]
    assert answers == ["Anna", "Ana", "Anna", "Ana"]


def test_a_statement_object_used_for_two_moments(both: Zoo, engine: Engine) -> None:
    statement = select(Customer.name).where(Customer.id == 1)
    with (
        Session(engine) as session,
        as_of(session, both.first) as first,
        as_of(session, both.second) as second,
    ):
        assert [s.scalar(statement) for s in (first, second, first)] == ["Ana", "Anna", "Ana"]


def test_without_a_cache_the_moment_is_right_too(both: Zoo) -> None:
    engine = create_engine(both.url, query_cache_size=0)
    with Session(engine) as session:
        for moment, name in ((both.first, "Ana"), (both.second, "Anna"), (both.first, "Ana")):
            with as_of(session, moment) as past:
                assert past.get_one(Customer, 1).name == name
    engine.dispose()


class TestForms:
    """Which form of SQL is chosen, see ``reading.rows``."""

    def sql(self, both: Zoo, statement: Any, **options: Any) -> str:
        with (
            Session(both.engine) as session,
            as_of(session, both.first, **options) as past,
            statements(both.engine) as seen,
        ):
            past.execute(statement).all()
        return seen[-1]

    @pytest.mark.parametrize(
        "statement",
        [
            select(Tag).where(Tag.id == 1),
            select(Tag).where(1 == Tag.id),  # noqa: SIM300 - the other way around
            select(Tag).where((Tag.id == 1) & (Tag.name == "x")),
            select(Item).where(Item.order_id == 1, Item.line == 2),
            select(Order).where(Order.id == 1).with_only_columns(Order.status),
        ],
    )
    def test_by_key(self, both: Zoo, statement: Any) -> None:
        assert self.sql(both, statement).count("LIMIT 1") == 1

    @pytest.mark.parametrize(
        "statement",
        [
            select(Tag).where((Tag.id == 1) | (Tag.name == "x")),
            select(Tag).where(~(Tag.id == 1)),
            select(Tag).where(Tag.id != 1),
            select(Tag).where(Tag.id > 1),
            select(Tag).where(Tag.id.in_([1])),
            select(Tag).where(Tag.name == "x"),
            select(Tag.id).group_by(Tag.id).having(Tag.id == 1),
            select(Item).where(Item.order_id == 1),
            select(Order).outerjoin(Order.customer.and_(Order.id == 1)),
        ],
    )
    def test_not_by_key(self, both: Zoo, statement: Any) -> None:
        assert "LIMIT 1" not in self.sql(both, statement)

    def test_a_key_that_follows_from_a_join(self, both: Zoo) -> None:
        assert self.sql(both, select(Engineer).where(Engineer.id == 2)).count("LIMIT 1") == 2
        statement = select(Order).join(Order.customer).where(Order.customer_id == 2)
        assert self.sql(both, statement).count("LIMIT 1") == 1
        statement = select(Order).outerjoin(Order.customer).where(Order.customer_id == 2)
        assert self.sql(both, statement).count("LIMIT 1") == 1

    def test_joins_of_whole_tables_filter_inside(self, both: Zoo) -> None:
        whole = select(Customer.name, Order.id).join(Customer.orders)
        assert ") AS v" not in self.sql(both, whole)
        assert self.sql(both, whole.where(Order.status == "x")).count(") AS v") == 2
        assert self.sql(both, whole, plan="rows").count(") AS v") == 2
        assert ") AS v" not in self.sql(both, whole.where(Order.status == "x"), plan="table")
