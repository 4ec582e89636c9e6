"""The past in asyncio, with psycopg and asyncpg."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import Engine, event, select, text
from sqlalchemy.ext.asyncio import (
    AsyncAttrs,
    AsyncEngine,
    async_scoped_session,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    ORMExecuteState,
    foreign,
    relationship,
    selectinload,
    with_loader_criteria,
)

from sqlalchemy_temporal.clock.describe import actor
from sqlalchemy_temporal.errors import ReadOnlyPastError, UnsupportedReadError
from sqlalchemy_temporal.reading.as_of import as_of
from sqlalchemy_temporal.schema import system_tables
from sqlalchemy_temporal.session import AsyncTemporalSession, TemporalSession
from tests.reading import test_constructs, test_loading, test_queries
from tests.reading.conftest import Zoo
from tests.reading.test_queries import graph
from tests.reading.test_session import small_zoo
from tests.reading.zoo import Address, Customer, Item, Order, Question, Tag


@pytest_asyncio.fixture(params=["psycopg", "asyncpg"])
async def engine(both: Zoo, request: pytest.FixtureRequest) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(both.url.set(drivername=f"postgresql+{request.param}"))
    yield engine
    await engine.dispose()


@pytest_asyncio.fixture
async def session(engine: AsyncEngine) -> AsyncIterator[AsyncTemporalSession]:
    async with AsyncTemporalSession(engine) as session:
        yield session


async def test_objects_and_lists(both: Zoo, session: AsyncTemporalSession) -> None:
    async with session.as_of(both.first) as past:
        assert past.moment == both.first
        ana = await past.get_one(Customer, 1)
        assert ana.name == "Ana"
        assert (await session.get_one(Customer, 1)).name == "Anna"
        statement = select(Customer).options(selectinload(Customer.orders)).order_by(Customer.id)
        customers = (await past.scalars(statement)).all()
        assert [[o.status for o in c.orders] for c in customers] == [["new"]] * 4
        await past.refresh(ana, ["addresses"])
        assert [a.city for a in ana.addresses] == ["city 1", "Oslo"]
        assert await past.scalar(select(Tag.name).where(Tag.id == 2)) == "green"


async def test_streaming(both: Zoo, session: AsyncTemporalSession) -> None:
    async with session.as_of(both.first) as past:
        stream = await past.stream_scalars(
            select(Customer).order_by(Customer.id).execution_options(yield_per=1)
        )
        assert [c.name async for c in stream] == ["Ana", "Ben", "Cleo", "Dan"]
        stream2 = await past.stream(select(Item.price).order_by(Item.price))
        assert [len(part) async for part in stream2.partitions(3)] == [3, 3, 2]


async def test_streaming_objects_of_two_moments(both: Zoo, session: AsyncTemporalSession) -> None:
    first, second = as_of(Customer, both.first), as_of(Customer, both.second)
    statement = (
        select(first, second)
        .outerjoin(second, second.id == first.id)
        .order_by(first.id)
        .execution_options(yield_per=2)
    )
    stream = await session.stream(statement)
    found = [(one.name, two and two.name) async for one, two in stream]
    assert found == [("Ana", "Anna"), ("Ben", "Ben"), ("Cleo", "Cleo"), ("Dan", None)]


async def test_what_is_awaited_of_an_object(both: Zoo, session: AsyncTemporalSession) -> None:
    class Awaited(AsyncAttrs, DeclarativeBase):
        pass

    class Buyer(Awaited):
        __table__ = Customer.__table__
        orders: Mapped[list[Bought]] = relationship(
            primaryjoin=lambda: Customer.__table__.c.id == foreign(Order.__table__.c.customer_id),
            viewonly=True,
            order_by=Order.__table__.c.id,
        )

    class Bought(Awaited):
        __table__ = Order.__table__

    for moment, statuses in ((both.first, ["new"]), (both.second, ["paid", "late"])):
        async with session.as_of(moment) as past:
            ana = await past.get_one(Buyer, 1)
            orders: Any = await ana.awaitable_attrs.orders
            assert [o.status for o in orders] == statuses
        then = as_of(Buyer, moment)
        ana = (await session.scalars(select(then).where(then.id == 1))).one()
        assert [o.status for o in await ana.awaitable_attrs.orders] == statuses


async def test_a_scoped_session(both: Zoo, engine: AsyncEngine) -> None:
    make = async_sessionmaker(engine, class_=AsyncTemporalSession)
    scoped = async_scoped_session(make, scopefunc=asyncio.current_task)
    async with scoped().as_of(both.first) as past:
        assert (await past.get_one(Customer, 1)).name == "Ana"
    await scoped.remove()


async def test_hooks_of_the_sessions_class(both: Zoo, engine: AsyncEngine) -> None:
    class Mine(TemporalSession):
        pass

    @event.listens_for(Mine, "do_orm_execute")
    def only_oslo(state: ORMExecuteState) -> None:
        state.statement = state.statement.options(
            with_loader_criteria(Address, Address.city == "Oslo")
        )

    make = async_sessionmaker(engine, class_=AsyncTemporalSession, sync_session_class=Mine)
    async with make() as session, session.as_of(both.first) as past:
        statement = select(Customer).options(selectinload(Customer.addresses))
        found = (await past.scalars(statement.order_by(Customer.id))).all()
        assert [[a.city for a in c.addresses] for c in found] == [["Oslo"]] * 4


async def test_the_parent_commits_and_rolls_back_inside(
    pg_engine: Engine, async_pg_engine: AsyncEngine
) -> None:
    small_zoo(pg_engine)
    name = select(Tag.name).where(Tag.id == 1)
    async with AsyncTemporalSession(async_pg_engine) as session, session.as_of("HEAD") as past:
        for end, now in ((session.rollback, "red"), (session.commit, "changed")):
            (await session.get_one(Tag, 1)).name = "changed"
            await session.flush()
            assert await past.scalar(name) == "red"
            await end()
            assert (await past.scalar(name), await session.scalar(name)) == ("red", now)


async def test_lazy_loading_within_run_sync(both: Zoo, session: AsyncTemporalSession) -> None:
    async with session.as_of(both.first) as past:
        names = await past.run_sync(
            lambda s: [t.name for t in s.get_one(Order, 300).tags]  # type: ignore[attr-defined]
        )
    assert sorted(names) == ["blue", "green", "red"]


@pytest.mark.parametrize("module", [test_queries, test_loading, test_constructs])
async def test_every_question_through_asyncio(both: Zoo, engine: AsyncEngine, module: Any) -> None:
    """Other drivers have other parameters; every question is asked through them, too."""
    asked: dict[str, Question] = module.questions
    with _sync(both) as then:
        expected = {}
        for name, ask in asked.items():
            expected[name] = ask(then)
            then.expunge_all()
    async with AsyncTemporalSession(engine) as session, session.as_of(both.first) as past:
        for name, ask in asked.items():
            assert await past.run_sync(ask) == expected[name], name
            past.expunge_all()


def _sync(both: Zoo) -> Any:
    from sqlalchemy.orm import Session

    return Session(both.then)


async def test_tasks_side_by_side(both: Zoo, engine: AsyncEngine) -> None:
    async def name(first: bool) -> str:
        moment = both.first if first else both.second
        async with AsyncTemporalSession(engine) as session, session.as_of(moment) as past:
            await asyncio.sleep(0)
            return (await past.get_one(Customer, 1)).name

    found = await asyncio.gather(*(name(i % 2 == 0) for i in range(8)))
    assert found == ["Ana", "Anna"] * 4


async def test_moments_by_name(both: Zoo, session: AsyncTemporalSession) -> None:
    assert await session.head() == both.second
    assert await session.moment("HEAD~1") == both.first
    async with session.as_of("HEAD~1") as past:
        assert (await past.get_one(Customer, 1)).name == "Ana"


async def test_writes_are_refused(both: Zoo, session: AsyncTemporalSession) -> None:
    async with session.as_of(both.first) as past:
        ana = await past.get_one(Customer, 1)
        with pytest.raises(ReadOnlyPastError):
            past.add(Tag(id=9, name="x"))
        with pytest.raises(ReadOnlyPastError):
            await past.commit()
        with pytest.raises(ReadOnlyPastError):
            await session.merge(ana)
        with pytest.raises(UnsupportedReadError):
            await past.execute(text("SELECT 1"))
        with pytest.raises(ReadOnlyPastError):
            await past.connection()
    with pytest.raises(ReadOnlyPastError):
        session.add(ana)


async def test_the_past_within_the_past(both: Zoo, session: AsyncTemporalSession) -> None:
    async with session.as_of(both.first) as first, session.as_of(both.second) as second:
        names = [(await s.get_one(Customer, 1)).name for s in (first, second, first)]
    assert names == ["Ana", "Anna", "Ana"]


async def test_descriptions(pg_engine: Engine, async_pg_engine: AsyncEngine) -> None:
    small_zoo(pg_engine)
    make = async_sessionmaker(async_pg_engine, class_=AsyncTemporalSession)
    async with make.begin() as session:
        session.describe("ana", context={"k": 1})
        session.add(Tag(id=3, name="blue"))
    with actor("ben"):
        async with make.begin() as session:
            (await session.get_one(Tag, 1)).name = "changed"
    table = system_tables("temporal_versioning").transaction
    statement = select(table.c.author, table.c.context).order_by(table.c.commit_seq.desc())
    async with make() as session:
        found = (await session.execute(statement.limit(2))).all()
    assert [tuple(row) for row in found] == [("ben", None), ("ana", {"k": 1})]


async def test_graph_of_eager_loads(both: Zoo, session: AsyncTemporalSession) -> None:
    with _sync(both) as then:
        expected = graph(then)
    async with session.as_of(both.first) as past:
        assert await past.run_sync(graph) == expected
