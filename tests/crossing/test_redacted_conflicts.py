"""Values are erased from the conflicts of merges along with the row they are copies of."""

import pytest
from sqlalchemy import Engine, text

from sqlalchemy_temporal import Repository, TemporalTables, redact
from sqlalchemy_temporal.errors import OpenConflictsError
from sqlalchemy_temporal.repository import MergeResult
from sqlalchemy_temporal.schema import system_of
from tests.repository.graphs import tables
from tests.repository.merges import part, rows

BASE = "INSERT INTO price VALUES (1, 'base-secret', 3), (2, 'kept', 5)"
OURS = "UPDATE price SET name = 'our-secret'"
THEIRS = "UPDATE price SET name = 'their-secret'"


@pytest.fixture
def repo(any_engine: Engine) -> Repository:
    """A merge with a conflict about each of two rows."""
    tables().create_all(any_engine)
    repo = part(any_engine, BASE, OURS, THEIRS)
    assert len(repo.merge("theirs").conflicts) == 2
    return repo


def stored(engine: Engine) -> str:
    """The conflicts about the first row, as one text."""
    conflict = system_of(engine, "temporal_versioning").conflict
    with engine.begin() as connection:
        found = connection.execute(conflict.select().where(conflict.c.key_text.like("%1%"))).all()
    assert len(found) == 1
    return str(found)


def checked(repo: Repository) -> None:
    with repo.begin() as bound:
        found = bound.verify()
    assert [str(problem) for problem in found.problems] == []


def test_an_open_conflict_loses_the_values(repo: Repository, any_engine: Engine) -> None:
    repo.resolve("price", key=1, values={"name": "given-secret"})
    assert "given-secret" in stored(any_engine)
    done = redact(any_engine, "price", 1, ["name"], replacement={"name": "–"})
    assert done.copies == 1
    assert "in 1 conflict(s) of merges" in str(done)
    assert "secret" not in stored(any_engine)
    assert [each.ours["name"] for each in repo.conflicts() if each.ours] == ["–", "our-secret"]
    checked(repo)


def settle(repo: Repository) -> MergeResult:
    repo.resolve("price", key=2, take="ours")
    return repo.merge_commit()


def test_the_merge_goes_on_with_what_is_there(repo: Repository, any_engine: Engine) -> None:
    redact(any_engine, "price", 1, ["name"], replacement={"name": "–"})
    with pytest.raises(OpenConflictsError):
        settle(repo)
    repo.resolve("price", key=1, take="theirs")
    assert settle(repo).status == "merged"
    assert rows(any_engine) == [(1, "–", 3), (2, "our-secret", 5)]
    checked(repo)


@pytest.mark.parametrize("end", ["committed", "aborted"])
def test_merges_that_are_over_keep_nothing(repo: Repository, any_engine: Engine, end: str) -> None:
    if end == "committed":
        repo.resolve(take="theirs")
        repo.merge_commit()
    else:
        repo.merge_abort()
    redact(any_engine, "price", 1, ["name"])
    assert "secret" not in stored(any_engine)
    checked(repo)


def test_a_copy_of_which_history_is_purged_is_found(repo: Repository, any_engine: Engine) -> None:
    repo.merge_abort()
    with any_engine.begin() as connection:
        connection.execute(text("DELETE FROM price WHERE id = 1"))
    TemporalTables(any_engine).purge_history("HEAD", "price", dry_run=False)
    done = redact(any_engine, "price", 1, ["name"], reason="request")
    assert (done.versions, done.live, done.copies) == (0, False, 1)
    assert "secret" not in stored(any_engine)
    with repo.begin() as bound:
        assert (bound.head.operation, bound.head.message) == ("REDACT", "request")
    checked(repo)


def test_former_keys_are_followed(any_engine: Engine) -> None:
    tables().create_all(any_engine)
    repo = part(any_engine, BASE, OURS, THEIRS)
    repo.merge("theirs")
    repo.merge_abort()
    with any_engine.begin() as connection:
        connection.execute(text("UPDATE price SET id = 7 WHERE id = 1"))
    redact(any_engine, "price", 7, ["name"], follow_key_changes=True)
    assert "secret" not in stored(any_engine)
