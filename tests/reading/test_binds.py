"""Sessions of several databases, and threads that share an engine."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, insert, select, text
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from sqlalchemy_temporal.errors import MomentError, UnknownRevisionError
from sqlalchemy_temporal.reading.as_of import as_of
from sqlalchemy_temporal.reading.session import AsOfSession
from sqlalchemy_temporal.session import TemporalSession
from tests.reading.conftest import Zoo, head
from tests.reading.zoo import Base, Customer, Employee, Engineer, Order, Tag

BOSS = select(Employee.name).where(Employee.id == 1)
NAME = select(Customer.name).where(Customer.id == 1)
GREEN = select(Tag.name).where(Tag.id == 2)


@pytest.fixture(params=[Session, TemporalSession])
def session(both: Zoo, request: pytest.FixtureRequest) -> Iterator[Session]:
    """Customers are in the database that went on, tags in the one that did not."""
    with request.param(
        binds={Customer: both.engine, Order: both.engine, Tag: both.then}
    ) as session:
        yield session


class TestSeveralBinds:
    def test_each_database_has_its_own_clock(self, session: Session) -> None:
        with as_of(session, "HEAD") as past:
            assert (past.scalar(NAME), past.scalar(GREEN)) == ("Anna", "green")
        with as_of(session, "HEAD~1") as past:
            assert past.scalar(NAME) == "Ana"
            assert past.scalar(GREEN) is None
        with as_of(session, timedelta(days=1)) as past, pytest.raises(MomentError):
            past.scalar(GREEN)

    def test_a_moment_of_one_is_none_of_the_other(self, both: Zoo, session: Session) -> None:
        with as_of(session, both.first) as past:
            assert past.scalar(NAME) == "Ana"
            with pytest.raises(UnknownRevisionError):
                past.scalar(GREEN)
            with pytest.raises(UnknownRevisionError):
                past.scalar(GREEN, bind_arguments={"bind": both.then})
            assert past.get_one(Customer, 1).name == "Ana"

    def test_a_bind_named_for_one_statement(self, both: Zoo, session: Session) -> None:
        with as_of(session, "HEAD") as past:
            there, here = ({"bind": engine} for engine in (both.then, both.engine))
            assert [past.scalar(GREEN, bind_arguments=b) for b in (there, here, there)] == [
                "green", "lime", "green",
            ]  # fmt: skip
            assert past.scalars(select(Tag.name), bind_arguments={"mapper": Tag}).first()
            assert past.get(Tag, 2, bind_arguments=here).name == "lime"  # type: ignore[union-attr]

    def test_each_connection_is_the_parents(self, both: Zoo, session: Session) -> None:
        session.execute(NAME)
        with as_of(session, "HEAD", text="allow") as past:
            for bind in (both.engine, both.then):
                arguments = {"bind": bind}
                pid = text("SELECT pg_backend_pid()")
                assert past.scalar(pid, bind_arguments=arguments) == session.scalar(
                    pid, bind_arguments=arguments
                )

    def test_loading_crosses_over(self, session: Session) -> None:
        with as_of(session, "HEAD") as past:
            assert [o.status for o in past.get_one(Customer, 1).orders] == ["paid", "late"]

    def test_a_subclass_that_routes_by_mapper(self, both: Zoo) -> None:
        class Routing(TemporalSession):
            def get_bind(self, mapper: Any = None, **kw: Any) -> Engine:
                tagged = mapper is not None and mapper.class_ is Tag
                return both.then if tagged else both.engine

        with Routing() as session, session.as_of("HEAD") as past:
            assert (past.scalar(NAME), past.scalar(GREEN)) == ("Anna", "green")

    def test_a_session_on_two_connections(self, both: Zoo) -> None:
        with both.engine.connect() as one, both.then.connect() as other:
            session = Session(binds={Customer: one, Tag: other})
            with as_of(session, "HEAD") as past:
                assert (past.scalar(NAME), past.scalar(GREEN)) == ("Anna", "green")
            assert one.in_transaction()
            session.close()


class TestThreads:
    """One engine, a session for each thread."""

    def test_that_all_compile_at_once(self, both: Zoo) -> None:
        engine = create_engine(both.url, pool_size=8)
        start = Barrier(8)

        def ask(number: int) -> list[Any]:
            moment = (both.first, both.second)[number % 2]
            start.wait()
            found = []
            with TemporalSession(engine) as session, session.as_of(moment) as past:
                for _ in range(5):
                    past.expire_all()
                    ana = past.get_one(Customer, 1)
                    engineer = past.get_one(Engineer, 2)
                    found.append(
                        (ana.name, [o.status for o in ana.orders], engineer.language,
                         session.scalar(NAME), past.scalar(BOSS))
                    )  # fmt: skip
            return found

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(ask, range(8)))
        engine.dispose()
        assert answers[0::2] == [[("Ana", ["new"], "python", "Anna", "Mia")] * 5] * 4
        assert answers[1::2] == [[("Anna", ["paid", "late"], "sql", "Anna", "Maya")] * 5] * 4

    def test_past_and_present_share_an_engine(self, both: Zoo) -> None:
        engine = create_engine(both.url, pool_size=4)
        start = Barrier(4)

        def ask(number: int) -> set[str | None]:
            start.wait()
            with Session(engine) as session:
                if number % 2:
                    return {session.scalar(NAME) for _ in range(20)}
                with as_of(session, both.first) as past:
                    return {past.scalar(NAME) for _ in range(20)}

        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(ask, range(4))) == [{"Ana"}, {"Anna"}] * 2
        engine.dispose()

    def test_a_moment_resolved_in_one_thread_is_read_in_others(self, both: Zoo) -> None:
        moment = head(both.engine)

        def ask(_: int) -> str:
            with TemporalSession(both.engine) as session, session.as_of(moment) as past:
                return past.get_one(Customer, 1).name

        with ThreadPoolExecutor(4) as pool:
            assert set(pool.map(ask, range(8))) == {"Anna"}

    def test_an_entity_of_a_moment_shared_by_threads(self, both: Zoo) -> None:
        then = as_of(Customer, both.first)
        statement = select(then).where(then.id == 1)

        def ask(_: int) -> tuple[str, int]:
            with Session(both.engine) as session:
                found = session.scalars(statement).one()
                return found.name, len(found.orders)

        with ThreadPoolExecutor(4) as pool:
            assert set(pool.map(ask, range(8))) == {("Ana", 1)}

    def test_a_scoped_session_has_a_past_for_each_thread(self, both: Zoo) -> None:
        scoped = scoped_session(sessionmaker(both.engine, class_=TemporalSession))
        start = Barrier(2)

        def ask(first: bool) -> tuple[str, bool]:
            with as_of(scoped, both.first if first else both.second) as past:
                start.wait()
                name = past.get_one(Customer, 1).name
                shared = past.present is scoped()
            scoped.remove()
            return name, shared

        with ThreadPoolExecutor(2) as pool:
            assert list(pool.map(ask, [True, False])) == [("Ana", True), ("Anna", True)]


class TestTransactions:
    def test_in_autocommit(self, both: Zoo) -> None:
        engine = both.engine.execution_options(isolation_level="AUTOCOMMIT")
        with Session(engine) as session, as_of(session, "HEAD~1") as past:
            assert past.get_one(Customer, 1).name == "Ana"

    @pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
    def test_with_a_fixed_snapshot(self, both: Zoo, level: str) -> None:
        engine = both.engine.execution_options(isolation_level=level)
        with Session(engine) as session:
            assert session.scalar(NAME) == "Anna"
            for when in (both.first, "HEAD~1"):
                with as_of(session, when) as past:
                    assert past.get_one(Customer, 1).name == "Ana"

    def test_in_a_transaction_that_only_reads(self, both: Zoo) -> None:
        with Session(both.engine) as session:
            session.execute(text("SET TRANSACTION READ ONLY"))
            with as_of(session, "HEAD~1") as past:
                assert past.get_one(Customer, 1).name == "Ana"

    def test_interleaved_blocks_and_a_parent_that_goes_on(self, pg_engine: Engine) -> None:
        with pg_engine.begin() as connection:
            Base.metadata.create_all(connection, tables=[Tag.__table__])  # type: ignore[list-item]
        one = select(Tag.name).where(Tag.id == 1)
        with TemporalSession(pg_engine) as session:
            session.add(Tag(id=1, name="v1"))
            session.commit()
            blocks: list[tuple[Any, AsOfSession]] = []
            for number in range(2, 5):
                block = session.as_of("HEAD")
                blocks.append((block, block.__enter__()))
                session.get_one(Tag, 1).name = f"v{number}"
                session.commit() if number != 3 else session.rollback()
            assert [past.scalar(one) for _, past in blocks] == ["v1", "v2", "v2"]
            session.execute(insert(Tag).values(id=2, name="pending"))
            assert [len(p.scalars(select(Tag)).all()) for _, p in blocks] == [1, 1, 1]
            blocks.pop(0)[0].__exit__(None, None, None)
            session.rollback()
            assert [past.get_one(Tag, 1).name for _, past in reversed(blocks)] == ["v2", "v2"]
            for block, _ in blocks:
                block.__exit__(None, None, None)
            assert session.scalar(one) == "v4"
