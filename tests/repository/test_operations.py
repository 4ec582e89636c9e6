"""Commits on purpose: blocks, expected parents, checkout, rollback, execute."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, Engine, insert, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

from sqlalchemy_temporal import TemporalSession, Versioned
from sqlalchemy_temporal.clock.commit import Commit
from sqlalchemy_temporal.errors import (
    BeforeVersioningError,
    CommitError,
    ConfigurationError,
    StaleParentError,
)
from sqlalchemy_temporal.repository import Repository
from tests.repository.shop import rows, run


class Base(DeclarativeBase):
    pass


class Price(Versioned, Base):
    __tablename__ = "price"

    id: Mapped[int] = mapped_column(primary_key=True)
    amount: Mapped[int]


@pytest.fixture
def engine(pg_engine: Engine) -> Engine:
    """Three commits after the first: 1, 2 and 3 as the only price."""
    Base.metadata.create_all(pg_engine)
    with pg_engine.connect() as connection:
        run(connection, "INSERT INTO price VALUES (1, 1)")
        run(connection, "UPDATE price SET amount = 2")
        run(connection, "UPDATE price SET amount = 3")
    return pg_engine


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    with engine.connect() as found:
        yield found


# --------------------------------------------------------------------------------- blocks


def test_a_block_on_an_engine_is_one_described_commit(engine: Engine) -> None:
    with Repository(engine).committing("Sale", author="ana", context={"a": 1}) as repo:
        repo.connection.execute(text("UPDATE price SET amount = 9"))
    with engine.connect() as connection:
        head = Repository(connection).head
        assert (head.message, head.author, head.context) == ("Sale", "ana", {"a": 1})


def test_a_block_that_fails_leaves_nothing(engine: Engine) -> None:
    def fail() -> None:
        with Repository(engine).committing("Sale") as repo:
            repo.connection.execute(text("UPDATE price SET amount = 9"))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    with engine.connect() as connection:
        assert rows(connection, "price") == [(1, 3)]


def test_a_block_on_a_sessionmaker_commits_its_session(engine: Engine) -> None:
    maker = sessionmaker(engine, class_=TemporalSession)
    with Repository(maker).committing("Sale") as repo:
        repo.connection.execute(text("UPDATE price SET amount = 9"))
    with engine.connect() as connection:
        assert Repository(connection).head.message == "Sale"


def test_committing_the_current_transaction_returns_the_commit(connection: Connection) -> None:
    connection.execute(text("UPDATE price SET amount = 9"))
    made = Repository(connection).commit("Sale", author="bo")
    assert made == Repository(connection).head
    assert (made.message, made.author) == ("Sale", "bo")


def test_committing_a_session_flushes_and_describes(engine: Engine) -> None:
    with TemporalSession(engine) as session:
        session.add(Price(id=2, amount=5))
        made = session.repository.commit("One more")
        assert made.counts == {"public.price": {"insert": 1}}
        assert made.message == "One more"


def test_a_commit_of_nothing_is_refused(connection: Connection) -> None:
    with pytest.raises(CommitError, match="nothing to commit"):
        Repository(connection).commit("Nothing")


def test_an_engine_has_no_current_transaction(engine: Engine) -> None:
    with pytest.raises(ConfigurationError, match="committing"):
        Repository(engine).commit("?")
    with pytest.raises(ConfigurationError, match=r"repo\.begin"):
        _ = Repository(engine).head


def test_what_only_reads_has_a_block_of_an_engine(engine: Engine) -> None:
    with Repository(engine).begin() as repo:
        assert repo.diff("HEAD~1", "HEAD").stats().rows_changed == 1


# -------------------------------------------------------------------------------- parents


def test_a_commit_on_head_is_made(engine: Engine, connection: Connection) -> None:
    seen = Repository(connection).head
    connection.commit()
    done = Repository(engine).execute("UPDATE price SET amount = 4", parent=seen)
    assert done.commit.parent_uuid == seen.uuid


def test_a_commit_on_a_stale_parent_is_refused_with_both_ids(
    engine: Engine, connection: Connection
) -> None:
    repo = Repository(connection)
    stale, head = repo.get("HEAD~1"), repo.head
    connection.commit()
    with pytest.raises(StaleParentError) as caught:
        Repository(engine).execute("UPDATE price SET amount = 4", parent=stale)
    assert (caught.value.expected, caught.value.actual) == (str(stale.uuid), str(head.uuid))
    assert rows(connection, "price") == [(1, 3)]


def test_a_parent_overtaken_within_the_transaction_is_refused_at_commit(
    engine: Engine, connection: Connection
) -> None:
    seen = Repository(connection).head
    connection.execute(insert(Price).values(id=7, amount=7))
    with engine.connect() as other:
        run(other, "UPDATE price SET amount = 4")
        overtaker = Repository(other).head
    with pytest.raises(StaleParentError):
        Repository(connection).commit("Late", parent=seen)
    connection.rollback()
    assert rows(connection, "price") == [(1, 4)]
    assert Repository(connection).head == overtaker


@pytest.mark.parametrize("isolation", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
def test_a_parent_overtaken_while_committing_is_refused_by_the_commit(
    engine: Engine, isolation: str
) -> None:
    maker = sessionmaker(
        engine.execution_options(isolation_level=isolation), class_=TemporalSession
    )
    with maker() as session:
        session.describe(parent="HEAD")
        session.add(Price(id=7, amount=7))
        session.flush()
        with engine.connect() as other:
            run(other, "UPDATE price SET amount = 4")
        with pytest.raises(StaleParentError, match="HEAD") as caught:
            session.commit()
        session.rollback()
        assert session.scalars(select(Price.amount)).all() == [4]
        if isolation == "READ COMMITTED":
            assert caught.value.actual == str(session.repository.head.uuid)


def test_an_expected_parent_is_about_one_transaction(engine: Engine) -> None:
    with TemporalSession(engine) as session:
        session.describe(parent="HEAD")
        session.rollback()
        with engine.connect() as other:
            run(other, "UPDATE price SET amount = 4")
        session.add(Price(id=7, amount=7))
        session.commit()


def test_of_two_writers_that_claim_one_parent_exactly_one_wins(engine: Engine) -> None:
    rounds, writers = 12, 4
    results: list[list[str]] = [[] for _ in range(rounds)]
    barrier = threading.Barrier(writers + 1)
    parents: list[Commit] = []

    def write(number: int) -> None:
        for i in range(rounds):
            barrier.wait()
            try:
                with engine.connect() as connection:
                    repo = Repository(connection)
                    connection.execute(insert(Price).values(id=1000 * (i + 1) + number, amount=0))
                    repo.commit(parent=parents[i])
                results[i].append("won")
            except StaleParentError:
                results[i].append("stale")
            barrier.wait()

    def disturb() -> None:  # ordinary commits in between, in every second round
        with engine.connect() as connection:
            run(connection, "UPDATE price SET amount = amount + 1 WHERE id = 1")

    threads = [threading.Thread(target=write, args=(i,)) for i in range(writers)]
    for thread in threads:
        thread.start()
    for i in range(rounds):
        with engine.connect() as connection:
            parents.append(Repository(connection).head)
        barrier.wait()
        if i % 2:
            disturb()
        barrier.wait()
    for thread in threads:
        thread.join()
    for i, found in enumerate(results):
        assert found.count("won") <= 1
        if i % 2 == 0:
            assert found.count("won") == 1
    with engine.connect() as connection:
        won = sum(found.count("won") for found in results)
        assert len(rows(connection, "price")) == 1 + won
        repo = Repository(connection)
        for commit in repo.log():
            assert commit.parent_uuid is not None or commit == repo.log()[-1]


# -------------------------------------------------------------------------------- execute


def test_executing_returns_rows_and_commit(engine: Engine) -> None:
    done = Repository(engine).execute(
        "INSERT INTO price (id, amount) VALUES (:id, :amount) RETURNING id",
        {"id": 5, "amount": 50},
        message="One more",
        author="o'neil",
    )
    assert [tuple(row) for row in done.rows] == [(5,)]
    assert done.rowcount == 1
    assert (done.commit.message, done.commit.author) == ("One more", "o'neil")
    assert done.commit.counts == {"public.price": {"insert": 1}}


def test_executing_a_construct_in_a_session_is_part_of_its_transaction(engine: Engine) -> None:
    with Session(engine) as session:
        done = Repository(session).execute(insert(Price).values(id=6, amount=6))
        with pytest.raises(CommitError, match="not committed yet"):
            _ = done.commit
        session.commit()
        assert done.commit == Repository(session).head


def test_executing_a_query_makes_no_commit(engine: Engine) -> None:
    done = Repository(engine).execute("SELECT amount FROM price")
    assert [tuple(row) for row in done.rows] == [(3,)]
    assert not done.outcome


# ------------------------------------------------------------------- checkout and rollback


def test_rolling_back_is_a_new_commit_with_the_state_before_head(engine: Engine) -> None:
    repo = Repository(engine)
    first = repo.rollback(author="ana").commit
    with engine.connect() as connection:
        assert rows(connection, "price") == [(1, 2)]
        assert first.operation == "ROLLBACK"
        assert first.author == "ana"
        assert first.parent_uuid == Repository(connection).get("HEAD~1").uuid
    repo.rollback(3)
    with engine.connect() as connection:
        assert rows(connection, "price") == [(1, 1)]


def test_rolling_back_further_than_the_first_commit_is_refused(engine: Engine) -> None:
    with pytest.raises(BeforeVersioningError):
        Repository(engine).rollback(40)


def test_a_checkout_goes_on_from_the_commit_checked_out(engine: Engine) -> None:
    repo = Repository(engine)
    with repo.begin() as bound:
        old, left = bound.get("HEAD~2"), bound.head
    done = repo.checkout(old)
    repo.execute("UPDATE price SET amount = amount * 10")
    with repo.begin() as bound:
        assert rows(bound.connection, "price") == [(1, 10)]
        assert done.commit.operation == "CHECKOUT"
        assert done.commit.parent_uuid == old.uuid
        assert bound.get("HEAD~2").uuid == old.uuid
        assert left in bound.log()


def test_a_checkout_of_a_commit_with_the_same_content_goes_on_from_it_too(engine: Engine) -> None:
    repo = Repository(engine)
    with repo.begin() as bound:
        twin = bound.head
    repo.execute("UPDATE price SET amount = 8")
    repo.execute("UPDATE price SET amount = 3")
    done = repo.checkout(twin)
    assert done.changes == {}
    assert done.commit.parent_uuid == twin.uuid


def test_checking_out_head_does_nothing(engine: Engine) -> None:
    repo = Repository(engine)
    assert not repo.checkout("HEAD")


def test_objects_of_a_session_show_the_restored_state(engine: Engine) -> None:
    with TemporalSession(engine) as session:
        price = session.get_one(Price, 1)
        price.amount = 77
        session.repository.restore("HEAD~1", message="Back")
        assert price.amount == 2
        session.commit()
        assert session.repository.head.message == "Back"
        assert session.repository.head.operation == "RESTORE"


def test_a_restore_in_autocommit_is_a_transaction_of_its_own(engine: Engine) -> None:
    with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        done = Repository(connection).restore("HEAD~1")
        assert rows(connection, "price") == [(1, 2)]
        assert done.changes == {"public.price": {"UPDATE": 1}}
        assert Repository(connection).head.operation == "RESTORE"
