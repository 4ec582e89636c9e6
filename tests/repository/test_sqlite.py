"""Differences, restoring and reverting on SQLite, as on PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import (
    BLOB,
    Column,
    Connection,
    Engine,
    ForeignKey,
    Integer,
    MetaData,
    Table,
    Text,
    create_engine,
    event,
    text,
)

from sqlalchemy_temporal import enable_many, versioned_table
from sqlalchemy_temporal.clock.moment import Moment
from sqlalchemy_temporal.clock.resolve import resolve
from sqlalchemy_temporal.errors import (
    ConstraintViolationError,
    RevertConflictError,
    StaleParentError,
)
from sqlalchemy_temporal.repository import Repository
from tests.repository.shop import rows, run

metadata = MetaData()
versioned_table(
    Table(
        "owner",
        metadata,
        Column("id", Integer, primary_key=True, autoincrement=False),
        Column("name", Text, unique=True),
        Column("up", ForeignKey("owner.id")),
    )
)
versioned_table(
    Table(
        "account",
        metadata,
        Column("id", Integer, primary_key=True, autoincrement=False),
        Column("owner_id", ForeignKey("owner.id", ondelete="CASCADE")),
        Column("amount", BLOB),
    )
)

State = dict[str, list[tuple[Any, ...]]]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = create_engine(f"sqlite:///{tmp_path / 'test.db'}")

    @event.listens_for(made, "connect")
    def enforce(driver: Any, _: Any) -> None:
        driver.execute("PRAGMA foreign_keys = ON")

    metadata.create_all(made)
    yield made
    made.dispose()


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    with engine.connect() as found:
        run(found, "INSERT INTO owner VALUES (1, 'a', NULL), (2, 'b', 1)")
        run(found, "INSERT INTO account VALUES (10, 1, 1.0), (20, 2, NULL)")
        yield found


@pytest.fixture
def repo(connection: Connection) -> Repository:
    return Repository(connection)


KEYS = st.integers(0, 5)
STATEMENTS = st.one_of(
    st.builds("INSERT OR IGNORE INTO owner VALUES ({0}, 'n{1}', NULL)".format, KEYS, KEYS),
    st.builds(
        (
            "INSERT INTO owner VALUES ({0}, 'n{1}', NULL) ON CONFLICT (id) DO UPDATE SET up = id"
        ).format,
        KEYS,
        st.integers(6, 99),
    ),
    st.builds("UPDATE OR IGNORE owner SET name = 'n{0}' WHERE id = {1}".format, KEYS, KEYS),
    st.builds("UPDATE owner SET up = NULL WHERE id >= {0}".format, KEYS),
    st.builds(
        (
            "DELETE FROM owner WHERE id = {0} "
            "AND id NOT IN (SELECT up FROM owner WHERE up IS NOT NULL)"
        ).format,
        KEYS,
    ),
    st.builds("INSERT OR REPLACE INTO account SELECT id + {0}, id, {0} FROM owner".format, KEYS),
    st.builds(
        "UPDATE account SET amount = {0} WHERE id < {1}".format,
        st.sampled_from(["1", "1.0", "'1'", "NULL", "x'01'"]),
        KEYS,
    ),
    st.builds("UPDATE OR IGNORE account SET id = id + 1 WHERE id = {0}".format, KEYS),
    st.builds("DELETE FROM account WHERE id > {0}".format, KEYS),
)
PROGRAMS = st.lists(
    st.tuples(st.lists(STATEMENTS, min_size=1, max_size=4), st.booleans()), min_size=1, max_size=6
)
SETTINGS = settings(
    max_examples=15,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def copy_of(connection: Connection) -> State:
    """A full copy, every value as SQLite writes it."""
    found: State = {}
    for table in metadata.sorted_tables:
        columns = ", ".join(f"quote({column.name})" for column in table.columns)
        found[table.name] = sorted(
            tuple(row) for row in connection.execute(text(f"SELECT {columns} FROM {table.name}"))
        )
    return found


def remember(
    connection: Connection, program: list[tuple[list[str], bool]]
) -> list[tuple[Moment, State]]:
    run(connection, "DELETE FROM account", "UPDATE owner SET up = NULL", "DELETE FROM owner")
    run(connection, "INSERT INTO owner VALUES (0, 'first', NULL)")
    remembered = []
    for statements, committed in program:
        for statement in statements:
            connection.execute(text(statement))
        if committed:
            connection.commit()
        else:
            connection.rollback()
        remembered.append((resolve(connection, "HEAD"), copy_of(connection)))
        connection.commit()
    return remembered


@SETTINGS
@given(program=PROGRAMS, data=st.data())
def test_restoring_returns_to_any_commit_and_differences_tell_the_way(
    engine: Engine, program: list[tuple[list[str], bool]], data: st.DataObject
) -> None:
    with engine.connect() as connection:
        remembered = remember(connection, program)
        repo = Repository(connection)
        for a, state_a in remembered:
            for b, state_b in remembered:
                diff = repo.diff(a, b)
                assert bool(diff) == (state_a != state_b)
                back = [repr((c.key, c.after, c.before)) for c in repo.diff(b, a)]
                assert [repr((c.key, c.before, c.after)) for c in diff] == back
        for _ in range(2):
            moment, state = data.draw(st.sampled_from(remembered))
            repo.restore(moment)
            assert copy_of(connection) == state
            connection.commit()
            assert not repo.diff(moment, "HEAD")


@SETTINGS
@given(program=PROGRAMS, data=st.data())
def test_statements_of_a_difference_turn_one_side_into_the_other(
    engine: Engine, program: list[tuple[list[str], bool]], data: st.DataObject
) -> None:
    with engine.connect() as connection:
        remembered = remember(connection, program)
        repo = Repository(connection)
        moment, state = data.draw(st.sampled_from(remembered))
        if "'n" in repr(state):  # plain statements cannot exchange unique values
            return
        for statement in list(repo.diff("HEAD", moment).to_sql()):
            connection.exec_driver_sql(statement)
        assert copy_of(connection) == state
        connection.commit()


def test_a_restore_is_a_commit_with_its_operation(connection: Connection, repo: Repository) -> None:
    run(connection, "DELETE FROM account WHERE id = 10")
    before = repo.head
    done = repo.restore("HEAD~1", message="Back", author="ana")
    connection.commit()
    assert rows(connection, "account") == [(10, 1, 1.0), (20, 2, None)]
    assert (done.commit.operation, done.commit.message) == ("RESTORE", "Back")
    assert done.commit.parent_uuid == before.uuid


def test_a_checkout_goes_on_from_the_commit_checked_out(
    connection: Connection, repo: Repository
) -> None:
    old = repo.head
    run(connection, "UPDATE account SET amount = 7")
    done = repo.checkout(old)
    connection.commit()
    assert done.commit.parent_uuid == old.uuid
    run(connection, "UPDATE account SET amount = 1.0 WHERE id = 10")
    assert repo.checkout(old).changes == {}
    connection.commit()
    assert repo.head.operation == "CHECKOUT"


def test_rolling_back_and_reverting(connection: Connection, repo: Repository) -> None:
    run(connection, "UPDATE account SET amount = 7 WHERE id = 10")
    run(connection, "UPDATE account SET amount = 8 WHERE id = 20")
    repo.revert("HEAD~1")
    assert rows(connection, "account") == [(10, 1, 1.0), (20, 2, 8)]
    connection.commit()
    repo.rollback(2)
    connection.commit()
    assert rows(connection, "account") == [(10, 1, 7), (20, 2, None)]
    run(connection, "UPDATE account SET amount = 9 WHERE id = 10")
    with pytest.raises(RevertConflictError):
        repo.revert("HEAD~2")


def test_rows_that_exchange_a_unique_value(connection: Connection, repo: Repository) -> None:
    run(
        connection,
        "UPDATE owner SET name = 'x' WHERE id = 1",
        "UPDATE owner SET name = 'a' WHERE id = 2",
        "UPDATE owner SET name = 'b' WHERE id = 1",
    )
    repo.restore("HEAD~1")
    assert rows(connection, "owner") == [(1, "a", None), (2, "b", 1)]


def test_a_child_whose_old_parent_is_deleted_goes_to_its_new_one(
    connection: Connection, repo: Repository
) -> None:
    run(
        connection,
        "INSERT INTO owner VALUES (3, 'c', NULL)",
        "UPDATE account SET owner_id = 3",
        "DELETE FROM owner WHERE id = 2",
    )
    repo.restore("HEAD~1")
    connection.commit()
    assert rows(connection, "account") == [(10, 1, 1.0), (20, 2, None)]


def test_constraints_forbid_with_the_rows_concerned(
    connection: Connection, repo: Repository
) -> None:
    run(connection, "INSERT INTO owner VALUES (3, 'c', NULL), (4, 'd', 3)")
    with pytest.raises(ConstraintViolationError, match="referenced: 1 row"):
        repo.restore("HEAD~1", "owner", keys=[3])
    plan = repo.plan("HEAD~3", "owner")
    assert plan.summary()["public.account"]["DELETE"] == 2


def test_a_stale_parent_is_refused(
    engine: Engine, connection: Connection, repo: Repository
) -> None:
    stale = repo.head
    run(connection, "UPDATE account SET amount = 7")
    head = repo.head
    connection.commit()
    with pytest.raises(StaleParentError) as caught:
        Repository(engine).execute("UPDATE account SET amount = 8", parent=stale)
    assert (caught.value.expected, caught.value.actual) == (str(stale.uuid), str(head.uuid))
    assert Repository(engine).execute("UPDATE account SET amount = 8", parent=head).commit


def test_of_two_writers_that_claim_one_parent_exactly_one_wins(
    engine: Engine, connection: Connection, repo: Repository
) -> None:
    seen = repo.head
    connection.commit()
    found: list[str] = []

    def write(number: int) -> None:
        try:
            Repository(engine).execute(
                f"INSERT INTO owner VALUES ({number}, {number}, 1)", parent=seen
            )
            found.append("won")
        except StaleParentError:
            found.append("stale")

    threads = [threading.Thread(target=write, args=(100 + i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == ["stale", "stale", "stale", "won"]


def test_a_reference_is_set_to_its_default(any_engine: Engine) -> None:
    child = (
        "CREATE TABLE child (id integer PRIMARY KEY, parent_id integer DEFAULT 1 "
        "REFERENCES parent ON DELETE SET DEFAULT)"
    )
    with any_engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE parent (id integer PRIMARY KEY)")
        connection.exec_driver_sql(child)
    enable_many(any_engine, ["parent", "child"])
    for statement in (
        "INSERT INTO parent VALUES (1)",
        "INSERT INTO parent VALUES (2)",
        "INSERT INTO child VALUES (10, 2)",
    ):
        with any_engine.begin() as connection:
            connection.exec_driver_sql(statement)
    done = Repository(any_engine).restore("HEAD~2", "parent")
    assert done.changes["public.child"] == {"UPDATE": 1}
    with any_engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT id, parent_id FROM child").all() == [(10, 1)]
