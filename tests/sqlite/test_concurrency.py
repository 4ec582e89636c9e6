"""Several connections, threads and asyncio on one SQLite database."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, func, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session

from sqlalchemy_temporal.clock.resolve import resolve
from sqlalchemy_temporal.reading.as_of import as_of
from sqlalchemy_temporal.repository import Repository
from sqlalchemy_temporal.session import AsyncTemporalSession, TemporalSession
from tests.sqlite.shop import Base, Customer, Order, commits

WRITERS, EACH = 4, 6


@pytest.fixture(params=["delete", "wal"])
def engine(request: pytest.FixtureRequest, sqlite_engine: Engine) -> Engine:
    @event.listens_for(sqlite_engine, "connect")
    def configure(connection: Any, _: object) -> None:
        connection.execute("PRAGMA busy_timeout = 20000")
        connection.execute(f"PRAGMA journal_mode = {request.param}")

    Base.metadata.create_all(sqlite_engine)
    return sqlite_engine


def test_commits_of_threads_are_whole_and_in_order(engine: Engine) -> None:
    """Each writer adds a customer and an order at once; each moment has as many of both."""

    def write(writer: int) -> None:
        for number in range(EACH):
            key = writer * EACH + number + 1
            with TemporalSession(engine) as session:
                session.describe(f"writer {writer}")
                session.add(Customer(id=key, name="x"))
                session.flush()
                session.add(Order(id=key, customer_id=key))
                session.commit()

    def read(_: int) -> list[tuple[Any, tuple[int, int]]]:
        answers = []
        for _ in range(EACH):
            with Session(engine) as session:
                moment = resolve(session.connection(), "HEAD")
                answers.append((moment.uuid, counted(session, moment.uuid)))
        return answers

    with ThreadPoolExecutor(WRITERS + 2) as threads:
        writing = [threads.submit(write, n) for n in range(WRITERS)]
        reading = [threads.submit(read, n) for n in range(2)]
        for future in writing:
            future.result()
        answers = [answer for future in reading for answer in future.result()]
    assert commits(engine) == [
        {"public.customers": {"insert": 1}, "public.orders": {"insert": 1}}
    ] * (WRITERS * EACH)
    with Session(engine) as session:
        for uuid, answer in answers:
            assert answer[0] == answer[1]
            assert counted(session, uuid) == answer


def counted(session: Session, when: Any) -> tuple[int, int]:
    with as_of(session, when) as past:
        customers = past.scalar(select(func.count()).select_from(Customer)) or 0
        return customers, past.scalar(select(func.count()).select_from(Order)) or 0


def test_a_reader_keeps_its_answer_while_another_connection_writes(engine: Engine) -> None:
    with TemporalSession(engine) as session:
        session.add(Customer(id=1, name="Ana"))
        session.commit()
        head = session.head
        session.commit()
        with TemporalSession(engine) as other:
            other.get_one(Customer, 1).name = "Anna"
            other.commit()
        with session.as_of(head.uuid) as past:
            assert past.get_one(Customer, 1).name == "Ana"
        with session.as_of("HEAD") as past:
            assert past.get_one(Customer, 1).name == "Anna"


@pytest.mark.parametrize("memory", [False, True])
@pytest.mark.parametrize("plain", [False, True])
async def test_aiosqlite(tmp_path: Path, memory: bool, plain: bool) -> None:
    path = "" if memory else f"/{tmp_path / 'a.db'}"
    engine = create_async_engine(f"sqlite+aiosqlite://{path}")
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    maker = async_sessionmaker(engine, class_=AsyncSession if plain else AsyncTemporalSession)
    async with maker() as session:
        session.add(Customer(id=1, name="Ana"))
        await session.flush()
        session.add(Order(id=1, customer_id=1))
        await session.commit()
        async with session.begin_nested() as savepoint:
            (await session.get_one(Customer, 1)).name = "lost"
            await session.flush()
            await savepoint.rollback()
        (await session.get_one(Customer, 1)).name = "Anna"
        await session.commit()
    async with AsyncTemporalSession(engine) as session:
        async with session.as_of("HEAD~1") as past:
            assert (await past.get_one(Customer, 1)).name == "Ana"
        log = await session.run_sync(lambda each: Repository(each).log())
    assert [dict(commit.counts) for commit in log[:2]] == [
        {"public.customers": {"update": 1}},
        {"public.customers": {"insert": 1}, "public.orders": {"insert": 1}},
    ]
    await engine.dispose()
    await asyncio.sleep(0)


PROGRAM = """
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker
from sqlalchemy_temporal import TemporalSession, Versioned

class Base(DeclarativeBase):
    pass

class Product(Versioned, Base):
    __tablename__ = "products"
    id: Mapped[int] = mapped_column(primary_key=True)
    price: Mapped[int]

engine = create_engine("sqlite:///shop.db")
Base.metadata.create_all(engine)
Session = sessionmaker(engine, class_=TemporalSession)
with Session.begin() as session:
    session.add(Product(id=1, price=10))
with Session.begin() as session:
    session.get_one(Product, 1).price = 12
with Session() as session, session.as_of("HEAD~1") as past:
    print(past.get_one(Product, 1).price)
engine.dispose()

import sys
optional = {"psycopg", "psycopg2", "asyncpg", "alembic", "rich"}
print(sorted(optional & set(sys.modules)))
"""


def test_the_smallest_program_needs_nothing_but_this_package(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    finished = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM],
        cwd=tmp_path,
        env={"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (finished.stdout, finished.stderr) == ("10\n[]\n", "")
