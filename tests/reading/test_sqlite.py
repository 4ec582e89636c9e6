"""The past on SQLite, with its own driver and with aiosqlite."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import Engine, Table, create_engine, insert, select, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import Session, selectinload

from sqlalchemy_temporal.clock.moment import Moment
from sqlalchemy_temporal.errors import (
    ReadOnlyPastError,
    UnsupportedReadError,
    UnversionedTableError,
)
from sqlalchemy_temporal.reading.as_of import as_of
from sqlalchemy_temporal.session import AsyncTemporalSession, TemporalSession
from tests.reading import test_loading, zoo_relations
from tests.reading.conftest import head
from tests.reading.zoo import Base, Employee, Engineer, Manager, Node, Setting, Tag, Truck, Vehicle
from tests.reading.zoo_relations import Author, Award, Book, Film, Song, friendships

TABLES: tuple[Any, ...] = (
    *(
        entity.__table__
        for entity in (
            Author, Award, Book, Film, Song, Employee, Engineer, Manager, Node, Setting, Tag, Truck,
            Vehicle,
        )
    ),
    friendships,
)  # fmt: skip
OTHERS = {"many_to_many_by_hand", "literal_columns_beside_entities"}
"""Questions to tables that SQLite cannot have."""
QUESTIONS = {name: ask for name, ask in test_loading.questions.items() if name not in OTHERS}


@dataclass(frozen=True)
class Pair:
    """As the zoo of PostgreSQL: one database that stayed in the first state, one that went on."""

    then: Engine
    engine: Engine
    first: Moment
    second: Moment


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    directory = tmp_path_factory.mktemp("past")
    then, now = (create_engine(f"sqlite:///{directory / name}.db") for name in ("then", "now"))
    for engine in (then, now):
        with engine.begin() as connection:
            Base.metadata.create_all(connection, tables=list(dict.fromkeys(TABLES)))
        with Session(engine) as session:
            zoo_relations.first_state(session)
            _first(session)
            session.commit()
    first = head(now)
    with Session(now) as session:
        zoo_relations.second_state(session)
        _second(session)
        session.commit()
    yield Pair(then, now, first, head(now))
    then.dispose()
    now.dispose()


def _first(session: Session) -> None:
    boss = Manager(id=1, name="Mia", budget=100)
    root = Node(id=1, name="root", children=[Node(id=2, name="left"), Node(id=3, name="right")])
    session.add_all(
        [boss, Engineer(id=2, name="Eli", language="python", boss=boss), root,
         Truck(id=2, name="big", payload=7), Tag(id=1, name="red"), Setting(id=1, value="old")]
    )  # fmt: skip


def _second(session: Session) -> None:
    session.get_one(Manager, 1).name = "Maya"
    session.get_one(Engineer, 2).language = "sql"
    session.get_one(Node, 3).parent_id = 2
    session.get_one(Truck, 2).payload = 8
    session.get_one(Tag, 1).name = "ruby"
    session.get_one(Setting, 1).value = "new"


@pytest.mark.parametrize("name", list(QUESTIONS))
def test_as_it_was(pair: Pair, name: str) -> None:
    ask = QUESTIONS[name]
    with Session(pair.then) as then, Session(pair.engine) as now:
        expected = ask(then), ask(now)
        with as_of(now, pair.first) as first, as_of(now, pair.second) as second:
            assert (ask(first), ask(second)) == expected


async def test_every_question_through_asyncio(pair: Pair) -> None:
    with Session(pair.then) as then:
        expected = {}
        for name, ask in QUESTIONS.items():
            expected[name] = ask(then)
            then.expunge_all()
    engine = create_async_engine(pair.engine.url.set(drivername="sqlite+aiosqlite"))
    async with AsyncTemporalSession(engine) as session, session.as_of(pair.first) as past:
        for name, ask in QUESTIONS.items():
            assert await past.run_sync(ask) == expected[name], name
            past.expunge_all()
    await engine.dispose()


async def test_lists_and_streams_through_asyncio(pair: Pair) -> None:
    engine = create_async_engine(pair.engine.url.set(drivername="sqlite+aiosqlite"))
    async with AsyncTemporalSession(engine) as session:
        async with session.as_of("HEAD~1") as past:
            statement = select(Author).options(selectinload(Author.books)).order_by(Author.id)
            found = (await past.scalars(statement)).all()
            assert [[b.title for b in a.books] for a in found] == [["Aim", "Bow"], ["Cap"], []]
            stream = await past.stream_scalars(select(Book.title).order_by(Book.id))
            assert [title async for title in stream] == ["Aim", "Bow", "Cap"]
            with pytest.raises(ReadOnlyPastError):
                await past.execute(insert(Tag).values(id=9, name="x"))
        then = as_of(Book, await session.moment("HEAD~1"))
        titles = select(then.title, Book.title).join(Book, Book.id == then.id).where(Book.id == 1)
        assert (await session.execute(titles)).all() == [("Aim", "Aims")]
    await engine.dispose()


def test_two_moments_and_the_present(pair: Pair) -> None:
    first, second = as_of(Author, pair.first), as_of(Author, pair.second)
    friend = as_of(Author, pair.first)
    with TemporalSession(pair.engine) as session:
        names = select(first.name, second.name).join(second, second.id == first.id)
        assert session.execute(names.where(first.id == 3)).all() == [("Ada", "Cyd")]
        friends = select(first.name, friend.name).join(first.friends.of_type(friend))
        assert session.execute(friends).all() == [("Ada", "Bob")]
        ada: Any = session.scalars(select(first).where(first.id == 1)).one()
        assert (ada.longest, [b.title for b in ada.books]) == (200, ["Aim", "Bow"])


def test_what_is_refused(pair: Pair) -> None:
    table: Any = Tag.__table__
    assert isinstance(table, Table)
    with Session(pair.engine) as session, as_of(session, pair.first) as past:
        with pytest.raises(UnversionedTableError):
            past.get(Setting, 1)
        for statement in (text("SELECT 1"), select(text("name")).select_from(text("tags"))):
            with pytest.raises(UnsupportedReadError):
                past.execute(statement)
        with pytest.raises(ReadOnlyPastError):
            past.execute(insert(table).values(id=9, name="x"))
        assert past.scalar(select(table.c.name)) == "red"


def test_a_parent_that_goes_on(pair: Pair) -> None:
    name = select(Tag.name).where(Tag.id == 1)
    with TemporalSession(pair.engine) as session, session.as_of("HEAD") as past:
        session.get_one(Tag, 1).name = "pending"
        session.flush()
        assert (session.scalar(name), past.scalar(name)) == ("pending", "ruby")
        session.rollback()
        assert (session.scalar(name), past.scalar(name)) == ("ruby", "ruby")
