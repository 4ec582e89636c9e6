"""Where a commit begins and ends on SQLite, for every way to control transactions."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event, insert, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from sqlalchemy_temporal.clock.describe import describe
from sqlalchemy_temporal.clock.intent import Intent, write_intent
from sqlalchemy_temporal.clock.resolve import resolve
from sqlalchemy_temporal.errors import StaleParentError
from sqlalchemy_temporal.repository import Repository
from sqlalchemy_temporal.session import TemporalSession
from tests.sqlite.shop import Base, Customer, Order, commits, pending

CUSTOMERS, ORDERS = "public.customers", "public.orders"


def begin_explicitly(engine: Engine) -> None:
    """The recipe of SQLAlchemy's documentation: the driver begins nothing by itself."""

    @event.listens_for(engine, "connect")
    def take_over(connection: Any, _: object) -> None:
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN")


@pytest.fixture(params=["legacy", "recipe", "autocommit=False"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """A database whose driver begins transactions in each of the ways there are."""
    options: dict[str, Any] = {}
    if request.param == "autocommit=False":
        if sys.version_info < (3, 12):
            pytest.skip("the attribute autocommit came with Python 3.12")
        options = {"connect_args": {"autocommit": False}}
    engine = create_engine(f"sqlite:///{tmp_path / 'shop.db'}", **options)
    if request.param == "recipe":
        begin_explicitly(engine)
    Base.metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def plain(engine: Engine) -> Iterator[sqlite3.Connection]:
    """A client without SQLAlchemy, in autocommit unless it says BEGIN."""
    connection = sqlite3.connect(str(engine.url.database), isolation_level=None)
    yield connection
    connection.close()


def test_a_transaction_of_core_is_one_commit(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(insert(Customer).values(id=1, name="Ana"))
        connection.execute(text("INSERT INTO orders VALUES (1, 1), (2, 1)"))
        connection.exec_driver_sql("UPDATE customers SET name = 'Anna'")
    assert commits(engine) == [{CUSTOMERS: {"insert": 1}, ORDERS: {"insert": 2}}]


def test_a_transaction_of_a_plain_session_is_one_commit(engine: Engine) -> None:
    fresh = create_engine(engine.url)  # nothing of the library has met it
    with Session(fresh) as session:
        session.add(Customer(id=1, name="Ana"))
        session.flush()
        session.add(Order(id=1, customer_id=1))
        session.commit()
    fresh.dispose()
    assert commits(engine) == [{CUSTOMERS: {"insert": 1}, ORDERS: {"insert": 1}}]


def test_what_is_rolled_back_leaves_nothing(engine: Engine) -> None:
    with engine.connect() as connection:
        connection.execute(insert(Customer).values(id=1, name="Ana"))
        connection.rollback()
        connection.execute(insert(Customer).values(id=2, name="Ben"))
        connection.commit()
    assert commits(engine) == [{CUSTOMERS: {"insert": 1}}]
    assert pending(engine) == (None, None)


def test_a_statement_that_touched_no_row_makes_no_commit(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(update(Customer).values(name="nobody"))
    assert commits(engine) == []
    assert pending(engine) == (None, None)


def test_reading_takes_no_lock(engine: Engine, plain: sqlite3.Connection) -> None:
    with engine.connect() as connection:
        connection.execute(select(Customer)).all()
        connection.execute(text("WITH t AS (SELECT 1) SELECT * FROM t")).all()
        connection.execute(text("/* DELETE */ SELECT 1")).all()
        plain.execute("PRAGMA busy_timeout = 0")
        plain.execute("BEGIN IMMEDIATE")
        plain.execute("ROLLBACK")


class TestSavepoints:
    def test_one_that_is_rolled_back_takes_its_rows_along(self, engine: Engine) -> None:
        with engine.begin() as connection:
            inner = connection.begin_nested()
            connection.execute(insert(Customer).values(id=1, name="Ana"))
            inner.rollback()
            connection.execute(insert(Customer).values(id=2, name="Ben"))
        assert commits(engine) == [{CUSTOMERS: {"insert": 1}}]

    def test_one_before_the_first_write_is_not_a_transaction(self, engine: Engine) -> None:
        """Released, it would be committed by the driver's own control of transactions."""
        with engine.connect() as connection:
            with connection.begin_nested():
                connection.execute(insert(Customer).values(id=1, name="Ana"))
            connection.execute(insert(Customer).values(id=2, name="Ben"))
            connection.rollback()
        assert commits(engine) == []
        with engine.connect() as connection:
            assert connection.execute(select(Customer)).all() == []

    def test_rolled_back_to_before_the_only_write_there_is_no_commit(self, engine: Engine) -> None:
        with engine.begin() as connection:
            inner = connection.begin_nested()
            connection.execute(insert(Customer).values(id=1, name="Ana"))
            inner.rollback()
        assert commits(engine) == []
        assert pending(engine) == (None, None)

    def test_a_description_in_one_that_is_rolled_back_is_forgotten(self, engine: Engine) -> None:
        with engine.begin() as connection:
            describe(connection, "ana", "outside")
            inner = connection.begin_nested()
            describe(connection, "ben", "inside")
            inner.rollback()
            connection.execute(insert(Customer).values(id=1, name="Ana"))
        with engine.connect() as connection:
            assert Repository(connection).head.author == "ana"


class TestSession:
    def test_a_description_reaches_the_commit(self, engine: Engine) -> None:
        with TemporalSession(engine) as session:
            session.describe("ana", "Spring prices", {"request": 7})
            session.add(Customer(id=1, name="Ana"))
            session.commit()
            head = session.repository.head
        assert (head.author, head.message) == ("ana", "Spring prices")
        assert head.context == {"request": 7}

    def test_a_description_of_nothing_takes_no_lock(
        self, engine: Engine, plain: sqlite3.Connection
    ) -> None:
        plain.execute("BEGIN IMMEDIATE")
        with TemporalSession(engine) as session:
            session.describe("ana")
            session.execute(text("SELECT 1"))
            session.commit()
        plain.execute("ROLLBACK")

    def test_a_failed_flush_can_be_followed_by_another(self, engine: Engine) -> None:
        with TemporalSession(engine) as session:
            session.add(Customer(id=1, name="Ana"))
            session.commit()
            session.add(Customer(id=1, name="again"))
            with pytest.raises(IntegrityError):
                session.flush()
            session.rollback()
            session.add(Customer(id=2, name="Ben"))
            session.commit()
        assert commits(engine) == [{CUSTOMERS: {"insert": 1}}] * 2


def test_statements_that_control_the_transaction_are_understood(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'a.db'}", isolation_level="AUTOCOMMIT")
    Base.metadata.create_all(engine)
    with engine.connect() as connection:
        connection.exec_driver_sql("BEGIN")
        connection.exec_driver_sql("INSERT INTO customers VALUES (1, 'Ana')")
        connection.exec_driver_sql("INSERT INTO orders VALUES (1, 1)")
        connection.exec_driver_sql("-- done\nCOMMIT")
    assert commits(engine) == [{CUSTOMERS: {"insert": 1}, ORDERS: {"insert": 1}}]
    engine.dispose()


def test_in_autocommit_each_statement_is_a_commit(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'a.db'}", isolation_level="AUTOCOMMIT")
    Base.metadata.create_all(engine)
    with engine.connect() as connection:
        connection.execute(text("INSERT INTO customers VALUES (1, 'Ana'), (2, 'Ben')"))
        connection.execute(text("UPDATE customers SET name = 'x'"))
    assert commits(engine) == [{CUSTOMERS: {"insert": 2}}, {CUSTOMERS: {"update": 2}}]
    engine.dispose()


class TestClientsWithoutHooks:
    def test_each_statement_is_a_commit(self, engine: Engine, plain: sqlite3.Connection) -> None:
        plain.execute("BEGIN")
        plain.execute("INSERT INTO customers VALUES (1, 'Ana'), (2, 'Ben'), (3, 'Cleo')")
        plain.execute("UPDATE customers SET name = 'x' WHERE id > 1")
        plain.execute("DELETE FROM customers WHERE id = 3")
        plain.execute("COMMIT")
        assert commits(engine) == [
            {CUSTOMERS: {"insert": 3}},
            {CUSTOMERS: {"update": 2}},
            {CUSTOMERS: {"delete": 1}},
        ]

    def test_begin_and_end_make_one_of_them(
        self, engine: Engine, plain: sqlite3.Connection
    ) -> None:
        plain.execute("BEGIN")
        plain.execute(
            "INSERT INTO temporal_versioning_begin (author, message) VALUES ('cron', 'nightly')"
        )
        plain.execute("INSERT INTO customers VALUES (1, 'Ana')")
        plain.execute("INSERT INTO orders VALUES (1, 1)")
        plain.execute("INSERT INTO temporal_versioning_end VALUES (NULL)")
        plain.execute("COMMIT")
        assert commits(engine) == [{CUSTOMERS: {"insert": 1}, ORDERS: {"insert": 1}}]
        with engine.connect() as connection:
            assert Repository(connection).head.author == "cron"

    def test_what_was_begun_and_not_ended_is_in_flight(
        self, engine: Engine, plain: sqlite3.Connection
    ) -> None:
        plain.execute("INSERT INTO temporal_versioning_begin (author) VALUES ('cron')")
        plain.execute("INSERT INTO customers VALUES (1, 'Ana')")
        assert commits(engine) == []
        with pytest.raises(sqlite3.IntegrityError, match="open already"):
            plain.execute("INSERT INTO temporal_versioning_begin (author) VALUES ('again')")
        with engine.begin() as connection:  # the next to write ends it first
            connection.execute(insert(Customer).values(id=2, name="Ben"))
        assert commits(engine) == [{CUSTOMERS: {"insert": 1}}] * 2

    def test_rolled_back_nothing_is_left(self, engine: Engine, plain: sqlite3.Connection) -> None:
        plain.execute("BEGIN")
        plain.execute("INSERT INTO customers VALUES (1, 'Ana')")
        plain.execute("ROLLBACK")
        plain.execute("INSERT INTO customers VALUES (2, 'Ben')")
        assert commits(engine) == [{CUSTOMERS: {"insert": 1}}]

    def test_times_of_many_commits_in_a_millisecond_are_in_order(
        self, engine: Engine, plain: sqlite3.Connection
    ) -> None:
        plain.execute("BEGIN")
        for number in range(200):
            plain.execute("INSERT INTO customers VALUES (?, 'x')", (number,))
        plain.execute("COMMIT")
        with engine.connect() as connection:
            times = [commit.effective_at for commit in Repository(connection).log()]
        assert times == sorted(set(times), reverse=True)  # type: ignore[type-var]


class TestExpectedParent:
    def test_a_stale_one_is_refused(self, engine: Engine) -> None:
        with engine.connect() as connection:
            head = resolve(connection, "HEAD")
        with engine.begin() as connection:
            connection.execute(insert(Customer).values(id=1, name="Ana"))
        connection = engine.connect()
        connection.execute(insert(Customer).values(id=2, name="Ben"))
        write_intent(connection, Intent(expected_head=head.uuid))
        with pytest.raises(StaleParentError) as caught:
            connection.commit()
        assert caught.value.expected == str(head.uuid)
        connection.close()
        assert commits(engine) == [{CUSTOMERS: {"insert": 1}}]

    def test_a_right_one_is_taken(self, engine: Engine) -> None:
        with engine.begin() as connection:
            head = resolve(connection, "HEAD")
            write_intent(connection, Intent("RESTORE", parent=head.uuid, expected_head=head.uuid))
            connection.execute(insert(Customer).values(id=1, name="Ana"))
        with engine.connect() as connection:
            commit = Repository(connection).head
        assert (commit.operation, commit.parent_uuid) == ("RESTORE", head.uuid)


def test_a_connection_that_the_pool_closes_leaves_nothing_open(engine: Engine) -> None:
    once = create_engine(engine.url, poolclass=NullPool)
    with TemporalSession(once) as session:
        session.add(Customer(id=1, name="Ana"))
        session.flush()
    with TemporalSession(once) as session:
        session.add(Customer(id=1, name="Ana"))
        session.commit()
    assert commits(once) == [{CUSTOMERS: {"insert": 1}}]
