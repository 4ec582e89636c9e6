"""Traps of transactions: order, threads, and who commits."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from sqlalchemy_temporal import TemporalSession, actor
from tests.traps.conftest import Shop


def commits(session: TemporalSession) -> int:
    """How many there are besides the one that began versioning."""
    return len(session.repository.log(operation="COMMIT"))


@pytest.mark.postgresql
def test_a_lower_transaction_id_that_commits_later_is_later(shop: Shop) -> None:
    # Elsewhere the order is that of the ids, or of the times at which transactions began:
    # an answer given in between changes once the older transaction commits.
    with shop.session() as slow:
        slow.add(shop.Item(id=1, name="slow"))
        slow.flush()
        between = shop.commit(lambda s: s.add(shop.Item(id=2, name="quick")))
        assert shop.names(between) == {2: "quick"}
        slow.commit()
    assert shop.names(between) == {2: "quick"}
    assert shop.names("HEAD") == {1: "slow", 2: "quick"}


@pytest.mark.parametrize("capture", ["trigger"], indirect=True)  # the ORM takes a transaction
def test_in_autocommit_each_statement_is_a_commit(shop: Shop) -> None:
    # Elsewhere everything waits for an event at commit, which never comes.
    with shop.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for number in (1, 2):
            connection.execute(text(f"INSERT INTO tag (id) VALUES ({number})"))
    with shop.session() as session:
        assert commits(session) == 2
        with session.as_of("HEAD~1") as past:
            assert past.scalars(select(shop.Tag.id)).all() == [1]


def test_a_session_within_a_transaction_of_a_test_records_and_leaves_nothing(shop: Shop) -> None:
    # Elsewhere the "commit" that is only a savepoint flushes the transaction's state, or
    # the outer rollback leaves it behind in memory for the next test.
    for _ in range(2):
        with shop.engine.connect() as connection, connection.begin() as outer:
            with TemporalSession(
                bind=connection, join_transaction_mode="create_savepoint"
            ) as session:
                session.add(shop.Item(id=1, name="a"))
                session.commit()
                session.get_one(shop.Item, 1).name = "b"
                session.rollback()
                assert session.get_one(shop.Item, 1).name == "a"
            outer.rollback()
    with shop.session() as session:
        assert session.scalars(select(shop.Item)).all() == []
        assert commits(session) == 0


@pytest.mark.postgresql
def test_threads_that_share_an_engine_do_not_share_an_author(shop: Shop) -> None:
    # Elsewhere the current transaction lies in a global keyed by connection or session, and
    # one thread's changes are ascribed to another's user.
    def write(number: int) -> None:
        with actor(f"user {number}"), shop.session.begin() as session:
            session.add(shop.Item(id=number, name=f"of {number}"))
            session.flush()
            session.get_one(shop.Item, number).stock = number

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(write, range(30)))
    with shop.session() as session:
        for item in session.scalars(select(shop.Item)):
            (version,) = item.versions
            assert version.commit.author == f"user {item.id}"


def test_a_transaction_that_is_rolled_back_leaves_no_commit(shop: Shop) -> None:
    # Elsewhere the row of the transaction is written on a connection of its own and stays.
    shop.commit(lambda s: s.add(shop.Tag(id=1)))
    with shop.session() as session:
        session.add(shop.Tag(id=2))
        session.flush()
        session.rollback()
    with Session(shop.engine) as session:
        assert session.scalars(select(shop.Tag.id)).all() == [1]
    with shop.session() as session:
        assert commits(session) == 1
