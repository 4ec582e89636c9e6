"""Laws 1 and 2 through the ORM: the past is what a plain-Python model remembers of it."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, ForeignKey, delete, select, update
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    mapped_column,
    relationship,
    selectinload,
    sessionmaker,
)

from sqlalchemy_temporal.model.declare import Versioned
from sqlalchemy_temporal.session import TemporalSession


class Base(DeclarativeBase):
    pass


class Author(Versioned, Base):
    __tablename__ = "author"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str]
    books: Mapped[list[Book]] = relationship(
        back_populates="author", cascade="all, delete-orphan", order_by="Book.id"
    )


class Book(Versioned, Base):
    __tablename__ = "book"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    title: Mapped[str]
    author_id: Mapped[int] = mapped_column(ForeignKey("author.id"))
    author: Mapped[Author] = relationship(back_populates="books")


@dataclass
class Shelf:
    """The model: what the two tables should hold."""

    authors: dict[int, str] = field(default_factory=dict)
    books: dict[int, tuple[str, int]] = field(default_factory=dict)

    def tree(self) -> dict[int, tuple[str, dict[int, str]]]:
        return {
            key: (name, {b: t for b, (t, a) in self.books.items() if a == key})
            for key, name in self.authors.items()
        }


KEYS = st.integers(1, 4)
WORDS = st.sampled_from(["a", "b", "c", ""])
OPERATIONS = st.one_of(
    st.tuples(st.just("author"), KEYS, WORDS),
    st.tuples(st.just("book"), KEYS, KEYS, WORDS),
    st.tuples(st.just("drop author"), KEYS),
    st.tuples(st.just("drop book"), KEYS),
    st.tuples(st.just("rename all"), WORDS),
    st.tuples(st.just("retitle"), KEYS, WORDS),
    st.tuples(st.just("flush")),
    st.tuples(st.just("detour"), KEYS, WORDS),
)
PROGRAMS = st.lists(st.tuples(st.lists(OPERATIONS, max_size=6), st.booleans()), max_size=8)


def apply(session: Session, shelf: Shelf, operation: tuple[Any, ...]) -> None:
    """Do one operation to the session and to the model alike."""
    match operation:
        case ("author", key, name):
            found = session.get(Author, key)
            if found is None:
                session.add(Author(id=key, name=name))
            else:
                found.name = name
            shelf.authors[key] = name
        case ("book", key, owner, title) if owner in shelf.authors:
            book = session.get(Book, key)
            author = session.get_one(Author, owner)
            if book is None:
                session.add(Book(id=key, title=title, author=author))
            else:
                book.title, book.author = title, author
            shelf.books[key] = (title, owner)
        case ("drop author", key) if key in shelf.authors:
            session.delete(session.get_one(Author, key))
            del shelf.authors[key]
            shelf.books = {b: v for b, v in shelf.books.items() if v[1] != key}
        case ("drop book", key):
            session.execute(delete(Book).where(Book.id == key))
            shelf.books.pop(key, None)
        case ("rename all", name):
            session.execute(update(Author).values(name=name))
            shelf.authors = dict.fromkeys(shelf.authors, name)
        case ("retitle", key, title):
            session.execute(update(Book).where(Book.author_id == key).values(title=title))
            shelf.books = {b: (title if a == key else t, a) for b, (t, a) in shelf.books.items()}
        case ("detour", key, name):
            session.flush()
            with session.begin_nested() as savepoint:
                session.execute(update(Author).where(Author.id == key).values(name=name))
                savepoint.rollback()
    session.flush()


def tree(session: Session) -> dict[int, tuple[str, dict[int, str]]]:
    authors = session.scalars(select(Author).options(selectinload(Author.books)))
    return {a.id: (a.name, {b.id: b.title for b in a.books}) for a in authors}


@pytest.fixture
def sessions(any_engine: Engine) -> sessionmaker[TemporalSession]:
    Base.metadata.create_all(any_engine)
    return sessionmaker(any_engine, class_=TemporalSession)


@settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(program=PROGRAMS)
def test_the_past_is_what_a_plain_python_model_remembers(
    sessions: sessionmaker[TemporalSession], program: list[tuple[list[Any], bool]]
) -> None:
    with sessions.begin() as session:
        session.execute(delete(Book))
        session.execute(delete(Author))
    shelf, remembered = Shelf(), []
    for operations, committed in program:
        tried = copy.deepcopy(shelf)
        with sessions() as session:
            for operation in operations:
                apply(session, tried, operation)
            if committed:
                session.commit()
                shelf = tried
            else:
                session.rollback()
        with sessions() as session:
            remembered.append((session.head, shelf.tree()))
            assert tree(session) == shelf.tree()
    with sessions() as session:
        for moment, expected in remembered:
            with session.as_of(moment.uuid) as past:
                assert tree(past) == expected
            with session.as_of(moment.effective_at) as past:
                assert tree(past) == expected
