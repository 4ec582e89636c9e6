"""Undoing one commit on top of what came after it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, Engine

from sqlalchemy_temporal.errors import (
    BeforeVersioningError,
    ConfigurationError,
    ConstraintViolationError,
    RevertConflictError,
)
from sqlalchemy_temporal.repository import Repository
from tests.repository.shop import rows, run, versioned


@pytest.fixture
def connection(pg_engine: Engine) -> Iterator[Connection]:
    with pg_engine.connect() as found:
        versioned(
            found,
            "CREATE TABLE t (id int PRIMARY KEY, a text, b text)",
            "CREATE TABLE c (id int PRIMARY KEY, t_id int REFERENCES t)",
            t=["id"],
            c=["id"],
        )
        run(found, "INSERT INTO t VALUES (1, 'a', 'b'), (2, 'a', 'b')")
        yield found


@pytest.fixture
def repo(connection: Connection) -> Repository:
    return Repository(connection)


def test_an_update_is_undone_cell_by_cell(connection: Connection, repo: Repository) -> None:
    run(connection, "UPDATE t SET a = 'x'")
    run(connection, "UPDATE t SET b = 'later' WHERE id = 1")
    done = repo.revert("HEAD~1", message="Never mind")
    assert rows(connection, "t") == [(1, "a", "later"), (2, "a", "b")]
    assert done.changes == {"public.t": {"UPDATE": 2}}
    connection.commit()
    assert (done.commit.operation, done.commit.message) == ("REVERT", "Never mind")


def test_a_deletion_is_undone(connection: Connection, repo: Repository) -> None:
    run(connection, "DELETE FROM t WHERE id = 1")
    run(connection, "INSERT INTO t VALUES (3, 'c', 'c')")
    repo.revert("HEAD~1")
    assert rows(connection, "t") == [(1, "a", "b"), (2, "a", "b"), (3, "c", "c")]


def test_an_insertion_is_undone(connection: Connection, repo: Repository) -> None:
    run(connection, "INSERT INTO t VALUES (3, 'c', 'c')")
    run(connection, "UPDATE t SET a = 'n' WHERE id = 1")
    repo.revert("HEAD~1")
    assert rows(connection, "t") == [(1, "n", "b"), (2, "a", "b")]


def test_a_revert_can_be_reverted(connection: Connection, repo: Repository) -> None:
    run(connection, "UPDATE t SET a = 'x'", "DELETE FROM t WHERE id = 2")
    after = rows(connection, "t")
    connection.commit()
    repo.revert("HEAD")
    connection.commit()
    repo.revert("HEAD")
    assert rows(connection, "t") == after


@pytest.mark.parametrize(
    ("made", "later", "told"),
    [
        ("UPDATE t SET a = 'x' WHERE id = 1", "UPDATE t SET a = 'y' WHERE id = 1", "changed"),
        ("UPDATE t SET a = 'x' WHERE id = 1", "DELETE FROM t WHERE id = 1", "deleted"),
        ("DELETE FROM t WHERE id = 1", "INSERT INTO t VALUES (1, 'n', 'n')", "inserted again"),
        ("INSERT INTO t VALUES (3, 'c', 'c')", "UPDATE t SET b = 'n' WHERE id = 3", "changed"),
    ],
)
def test_what_was_changed_again_is_a_conflict_and_nothing_is_written(
    connection: Connection, repo: Repository, made: str, later: str, told: str
) -> None:
    run(connection, made, "UPDATE t SET b = 'z' WHERE id = 2")
    run(connection, later)
    before = rows(connection, "t")
    with pytest.raises(RevertConflictError, match=told) as caught:
        repo.revert("HEAD~1")
    (conflict,) = caught.value.conflicts
    assert conflict.key["id"] in (1, 3)
    assert rows(connection, "t") == before


def test_conflicting_rows_can_be_kept_as_they_are(connection: Connection, repo: Repository) -> None:
    run(connection, "UPDATE t SET a = 'x', b = 'x'")
    run(connection, "UPDATE t SET a = 'y' WHERE id = 1", "DELETE FROM t WHERE id = 2")
    done = repo.revert("HEAD~1", conflicts="keep")
    assert rows(connection, "t") == [(1, "y", "b")]
    assert len(done.conflicts) == 2


def test_conflicting_rows_can_be_overwritten(connection: Connection, repo: Repository) -> None:
    run(connection, "UPDATE t SET a = 'x', b = 'x'")
    run(connection, "UPDATE t SET a = 'y' WHERE id = 1", "DELETE FROM t WHERE id = 2")
    repo.revert("HEAD~1", conflicts="overwrite")
    assert rows(connection, "t") == [(1, "a", "b"), (2, "a", "b")]


def test_what_became_the_same_by_itself_is_no_conflict(
    connection: Connection, repo: Repository
) -> None:
    run(connection, "UPDATE t SET a = 'x'", "INSERT INTO t VALUES (3, 'c', 'c')")
    run(connection, "UPDATE t SET a = 'a'", "DELETE FROM t WHERE id = 3")
    assert not repo.revert("HEAD~1")


def test_a_row_that_others_refer_to_by_now_is_not_taken_away(
    connection: Connection, repo: Repository
) -> None:
    run(connection, "INSERT INTO t VALUES (3, 'c', 'c')")
    run(connection, "INSERT INTO c VALUES (1, 3)")
    with pytest.raises(ConstraintViolationError, match=r"referenced: 1 row of public\.c"):
        repo.revert("HEAD~1")


def test_only_some_tables_can_be_reverted(connection: Connection, repo: Repository) -> None:
    run(connection, "UPDATE t SET a = 'x'", "INSERT INTO c VALUES (1, 1)")
    repo.revert("HEAD", "c")
    assert rows(connection, "c") == []
    assert rows(connection, "t") == [(1, "x", "b"), (2, "x", "b")]


def test_the_first_commit_cannot_be_reverted(connection: Connection, repo: Repository) -> None:
    first = repo.log()[-1]
    with pytest.raises(BeforeVersioningError, match="first commit"):
        repo.revert(first)


def test_an_unknown_choice_for_conflicts_is_refused(repo: Repository) -> None:
    with pytest.raises(ConfigurationError, match="refuse, keep or overwrite"):
        repo.revert("HEAD", conflicts="ours")  # type: ignore[arg-type]


def test_a_plan_says_what_would_be_undone_and_does_nothing(
    connection: Connection, repo: Repository
) -> None:
    run(connection, "UPDATE t SET a = 'x'")
    run(connection, "UPDATE t SET a = 'y' WHERE id = 1")
    connection.commit()
    with pytest.raises(RevertConflictError):
        repo.plan_revert("HEAD~1")
    plan = repo.plan_revert("HEAD~1", conflicts="keep")
    assert [(row.operation, dict(row.key), row.changed) for row in plan] == [
        ("UPDATE", {"id": 2}, ("a",))
    ]
    assert rows(connection, "t") == [(1, "y", "b"), (2, "x", "b")]
    connection.rollback()
    assert repo.head.operation == "COMMIT"
