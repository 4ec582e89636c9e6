"""``TemporalSession``: describing transactions, and naming moments."""

from __future__ import annotations

import contextvars
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, select, text
from sqlalchemy.orm import Session, sessionmaker

from sqlalchemy_temporal.clock.describe import actor, describe, reset_actor, set_actor
from sqlalchemy_temporal.errors import (
    ReadOnlyPastError,
    TwoPhaseError,
    UnknownOptionError,
)
from sqlalchemy_temporal.schema import system_tables
from sqlalchemy_temporal.session import TemporalSession
from tests.reading.test_session import small_zoo
from tests.reading.zoo import Tag


@pytest.fixture
def engine(pg_engine: Engine) -> Engine:
    return small_zoo(pg_engine)


@pytest.fixture
def session(engine: Engine) -> Iterator[TemporalSession]:
    with TemporalSession(engine) as session:
        yield session


def said(engine: Engine) -> tuple[Any, ...]:
    """Author, message and context of the last commit."""
    table = system_tables("temporal_versioning").transaction
    statement = select(table.c.author, table.c.message, table.c.context).order_by(
        table.c.commit_seq.desc()
    )
    with engine.connect() as connection:
        row = connection.execute(statement.limit(1)).one()
        return row.author, row.message, row.context


def change(session: Session, name: str = "changed") -> None:
    session.get_one(Tag, 1).name = name


class TestStatement:
    def test_the_commit_carries_what_was_said(
        self, engine: Engine, session: TemporalSession
    ) -> None:
        session.describe(author="ana", message="Spring prices", context={"request_id": "7"})
        change(session)
        session.commit()
        assert said(engine) == ("ana", "Spring prices", {"request_id": "7"})

    def test_it_may_be_said_after_the_change(
        self, engine: Engine, session: TemporalSession
    ) -> None:
        change(session)
        session.flush()
        session.describe("ana")
        session.commit()
        assert said(engine)[0] == "ana"

    def test_it_may_be_said_before_a_connection_is_used(
        self, engine: Engine, session: TemporalSession
    ) -> None:
        session.describe("ana")
        session.add(Tag(id=9, name="new"))
        session.commit()
        assert said(engine)[0] == "ana"

    def test_later_words_add_to_earlier_ones(
        self, engine: Engine, session: TemporalSession
    ) -> None:
        session.describe("ana", "first", {"a": 1, "b": 1})
        session.describe(message="second", context={"b": 2})
        change(session)
        session.commit()
        assert said(engine) == ("ana", "second", {"a": 1, "b": 2})

    def test_it_is_forgotten_after_the_commit(
        self, engine: Engine, session: TemporalSession
    ) -> None:
        session.describe("ana", "m", {"k": 1})
        change(session, "one")
        session.commit()
        change(session, "two")
        session.commit()
        assert said(engine) == (None, None, None)

    @pytest.mark.parametrize("begun", [True, False])
    def test_it_is_forgotten_after_a_rollback(
        self, engine: Engine, session: TemporalSession, begun: bool
    ) -> None:
        session.describe("ana")
        if begun:
            change(session)
            session.flush()
        session.rollback()
        change(session)
        session.commit()
        assert said(engine)[0] is None

    def test_it_survives_savepoints_rolled_back(
        self, engine: Engine, session: TemporalSession
    ) -> None:
        nested = session.begin_nested()
        session.describe("ana")
        change(session, "inside")
        session.flush()
        nested.rollback()
        with session.begin_nested():
            change(session, "kept")
        session.commit()
        assert said(engine)[0] == "ana"

    def test_begin_as_a_block(self, engine: Engine) -> None:
        with sessionmaker(engine, class_=TemporalSession).begin() as session:
            session.describe("ana")
            change(session)
        assert said(engine)[0] == "ana"

    def test_awkward_values(self, engine: Engine, session: TemporalSession) -> None:
        author = 'O\'Brien \\ "%s" :x ${y}\n😀'
        session.describe(author, "", {"'": [None, 1.5, {"é": True}]})
        change(session)
        session.commit()
        assert said(engine) == (author, None, {"'": [None, 1.5, {"é": True}]})

    @pytest.mark.parametrize(
        "given",
        [
            {"author": 7},
            {"message": b"x"},
            {"context": ["x"]},
            {"context": {"x": object()}},
            {"context": {"x": float("nan")}},
            {"author": "a\0b"},
        ],
    )
    def test_bad_values_are_refused(self, session: TemporalSession, given: Any) -> None:
        with pytest.raises(UnknownOptionError, match="describe"):
            session.describe(**given)

    def test_the_past_cannot_be_described(self, session: TemporalSession) -> None:
        with session.as_of("HEAD") as past:
            assert isinstance(past, TemporalSession)
            with pytest.raises(ReadOnlyPastError):
                past.describe("ana")

    def test_reading_the_past_does_not_forget_it(
        self, engine: Engine, session: TemporalSession
    ) -> None:
        session.describe("ana")
        with session.as_of("HEAD") as past:
            past.get(Tag, 1)
            past.rollback()
        change(session)
        session.commit()
        assert said(engine)[0] == "ana"

    def test_a_session_joined_into_a_transaction(self, engine: Engine) -> None:
        with engine.begin() as connection, TemporalSession(connection) as session:
            session.describe("ana")
            change(session)
            session.commit()
        assert said(engine)[0] == "ana"

    def test_several_binds(self, engine: Engine, session: TemporalSession) -> None:
        other = engine.execution_options()
        with TemporalSession(binds={Tag: other}) as several:
            several.describe("ana")
            change(several)
            several.commit()
        assert said(engine)[0] == "ana"


class TestBlock:
    def test_every_commit_inside_carries_it(self, engine: Engine, session: TemporalSession) -> None:
        with session.describe("ana", context={"k": 1}):
            for name in ("one", "two"):
                change(session, name)
                session.commit()
                assert said(engine) == ("ana", None, {"k": 1})

    def test_what_was_said_before_holds_again_afterwards(
        self, engine: Engine, session: TemporalSession
    ) -> None:
        with session.describe("outer", "o"):
            with session.describe("inner"):
                change(session, "one")
                session.commit()
                assert said(engine) == ("inner", "o", None)
            change(session, "two")
            session.commit()
            assert said(engine) == ("outer", "o", None)
        change(session, "three")
        session.commit()
        assert said(engine) == (None, None, None)

    def test_a_statement_inside_is_for_one_transaction(
        self, engine: Engine, session: TemporalSession
    ) -> None:
        with session.describe("ana"):
            session.describe(message="once")
            change(session, "one")
            session.commit()
            assert said(engine)[:2] == ("ana", "once")
            change(session, "two")
            session.commit()
            assert said(engine)[:2] == ("ana", None)

    def test_it_ends_after_an_error_too(self, engine: Engine, session: TemporalSession) -> None:
        with pytest.raises(ZeroDivisionError), session.describe("ana"):
            _ = 1 / 0
        change(session)
        session.commit()
        assert said(engine)[0] is None


class TestActor:
    def test_every_session_of_the_block(self, engine: Engine) -> None:
        with actor("ana", request_id="7"):
            for name in ("one", "two"):
                with TemporalSession(engine) as session, session.begin():
                    change(session, name)
                assert said(engine) == ("ana", None, {"request_id": "7"})
        with TemporalSession(engine) as session, session.begin():
            change(session, "three")
        assert said(engine) == (None, None, None)

    def test_the_session_says_more(self, engine: Engine, session: TemporalSession) -> None:
        with actor("ana", request_id="7"):
            session.describe(author="ben", context={"k": 1})
            change(session)
            session.commit()
        assert said(engine) == ("ben", None, {"request_id": "7", "k": 1})

    def test_set_and_reset(self, engine: Engine) -> None:
        token = set_actor("ana")
        with TemporalSession(engine) as session, session.begin():
            change(session)
        assert said(engine)[0] == "ana"
        reset_actor(token)
        with TemporalSession(engine) as session, session.begin():
            change(session, "again")
        assert said(engine)[0] is None

    def test_other_contexts_do_not_see_it(self, engine: Engine) -> None:
        def save() -> None:
            with TemporalSession(engine) as session, session.begin():
                change(session, "other")

        other = contextvars.copy_context()
        with actor("ana"):
            other.run(save)
        assert said(engine)[0] is None


class TestCore:
    def test_the_commit_carries_what_was_said(self, engine: Engine) -> None:
        tag: Any = Tag.__table__
        with engine.begin() as connection:
            describe(connection, "ana", "m", {"k": 1})
            connection.execute(tag.update().values(name="x"))
        assert said(engine) == ("ana", "m", {"k": 1})

    def test_a_session_that_says_nothing_leaves_it(
        self, engine: Engine, session: TemporalSession
    ) -> None:
        describe(session.connection(), "ana")
        change(session)
        session.commit()
        assert said(engine)[0] == "ana"


class TestMoments:
    def test_head(self, session: TemporalSession) -> None:
        before = session.head
        change(session)
        session.commit()
        after = session.head
        assert after.seq > before.seq
        assert session.moment("HEAD~1") == before
        assert session.moment(after.uuid) == after

    def test_inside_of_the_past(self, session: TemporalSession) -> None:
        with session.as_of("HEAD") as past:
            assert isinstance(past, TemporalSession)
            assert past.head == session.head == past.moment


def test_two_phase_commits_are_refused(engine: Engine) -> None:
    with pytest.raises(TwoPhaseError, match="twophase"):
        TemporalSession(engine, twophase=True)


def test_a_database_without_versioning_is_left_alone(sqlite_engine: Engine) -> None:
    with TemporalSession(sqlite_engine) as session:
        session.describe("ana")
        assert session.execute(text("SELECT 1")).scalar() == 1
        session.commit()


def test_nothing_is_asked_of_the_database_when_nothing_is_said(engine: Engine) -> None:
    from tests.reading.test_cache import statements

    with statements(engine) as seen, TemporalSession(engine) as session:
        session.get(Tag, 1)
        session.commit()
    assert len(seen) == 1


def test_the_connection_is_a_connection(session: TemporalSession) -> None:
    assert isinstance(session.connection(), Connection)
