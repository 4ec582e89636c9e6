"""Switching: one working state, HEAD on a branch, all lines reachable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import Engine, text

from sqlalchemy_temporal.clock.resolve import resolve
from sqlalchemy_temporal.errors import CommitError, UnknownRevisionError
from sqlalchemy_temporal.repository import Repository
from tests.repository.graphs import commit


@pytest.fixture
def engine(each_engine: Engine) -> Engine:
    return each_engine


@pytest.fixture
def repo(engine: Engine) -> Repository:
    """A repository of an engine: each operation is a transaction of its own."""
    return Repository(engine)


def prices(engine: Engine) -> Sequence[Any]:
    with engine.connect() as connection:
        return connection.execute(text("SELECT id, name, amount FROM price ORDER BY id")).all()


def tips(repo: Repository) -> dict[str, Any]:
    return {branch.name: branch.commit_uuid for branch in repo.branches()}


def test_switching_makes_the_live_tables_what_the_branch_has(
    engine: Engine, repo: Repository
) -> None:
    base = commit(engine, "INSERT INTO price VALUES (1, 'Tea', 3), (2, 'Cake', 5)")
    repo.branch("spring")
    on_main = commit(engine, "UPDATE price SET amount = 4 WHERE id = 1")
    switched = repo.switch("spring", author="ana")
    assert prices(engine) == [(1, "Tea", 3), (2, "Cake", 5)]
    assert repo.current_branch == "spring"
    assert switched.commit.operation == "SWITCH"
    assert switched.commit.parents == (base,)
    assert switched.commit.author == "ana"
    assert switched.changes == {"public.price": {"UPDATE": 1}}
    assert tips(repo) == {"main": on_main, "spring": switched.commit.uuid}


def test_the_current_branch_moves_and_the_others_stay(engine: Engine, repo: Repository) -> None:
    commit(engine, "INSERT INTO price VALUES (1, 'Tea', 3)")
    repo.switch("spring", create=True)
    on_spring = commit(engine, "UPDATE price SET amount = 9")
    main = repo.switch("main").commit
    assert prices(engine) == [(1, "Tea", 3)]
    on_main = commit(engine, "UPDATE price SET name = 'Tee'")
    assert tips(repo) == {"main": on_main, "spring": on_spring}
    repo.switch("spring")
    assert prices(engine) == [(1, "Tea", 9)]
    with repo.begin() as bound:
        base = bound.merge_base("main", "spring")
        assert base is not None
        assert base.uuid == main.parent_uuid
        assert [each.operation for each in bound.log(revisions="main..spring")] == [
            "SWITCH",
            "COMMIT",
        ]


def test_a_branch_created_at_head_needs_no_commit(engine: Engine, repo: Repository) -> None:
    head = commit(engine)
    outcome = repo.switch("spring", create=True)
    assert not outcome
    assert tips(repo) == {"main": head, "spring": head}
    assert repo.current_branch == "spring"
    following = commit(engine)
    assert tips(repo) == {"main": head, "spring": following}


def test_a_switch_between_equal_states_is_a_commit_all_the_same(
    engine: Engine, repo: Repository
) -> None:
    base = commit(engine, "INSERT INTO price VALUES (1, 'Tea', 3)")
    repo.branch("spring")
    commit(engine, "UPDATE price SET amount = 4")
    commit(engine, "UPDATE price SET amount = 3")
    switched = repo.switch("spring").commit
    assert switched.parents == (base,)
    assert switched.tables == ()


def test_switching_to_the_current_branch_does_nothing(engine: Engine, repo: Repository) -> None:
    head = commit(engine)
    assert not repo.switch("main")
    assert tips(repo) == {"main": head}


def test_a_branch_that_is_not_there_is_refused(engine: Engine, repo: Repository) -> None:
    with pytest.raises(UnknownRevisionError, match="no branch 'spring'"):
        repo.switch("spring")
    repo.branch("spring")
    with pytest.raises(CommitError, match="taken"):
        repo.switch("spring", create=True)
    assert repo.current_branch == "main"


def test_changes_that_are_not_committed_are_refused(engine: Engine, repo: Repository) -> None:
    repo.branch("spring")
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO price VALUES (1, 'Tea', 3)"))
        with pytest.raises(CommitError, match="commit or roll back before"):
            Repository(connection).switch("spring")


def test_a_switch_that_is_rolled_back_leaves_everything(engine: Engine, repo: Repository) -> None:
    repo.branch("spring")
    head = commit(engine, "INSERT INTO price VALUES (1, 'Tea', 3)")
    with engine.connect() as connection:
        Repository(connection).switch("spring")
        connection.rollback()
    assert repo.current_branch == "main"
    assert prices(engine) == [(1, "Tea", 3)]
    assert tips(repo)["main"] == head


def test_checking_out_a_commit_detaches_head(engine: Engine, repo: Repository) -> None:
    first = commit(engine, "INSERT INTO price VALUES (1, 'Tea', 3)")
    second = commit(engine, "UPDATE price SET amount = 4")
    out = repo.checkout(first).commit
    assert repo.current_branch is None
    assert (out.operation, out.parents) == ("CHECKOUT", (first,))
    aside = commit(engine, "UPDATE price SET amount = 5")
    assert tips(repo) == {"main": second}
    with engine.begin() as connection:
        assert resolve(connection, "main").uuid == second
        assert resolve(connection, "HEAD~1").uuid == out.uuid
    repo.switch("kept", create=True)
    assert tips(repo) == {"main": second, "kept": aside}
    repo.switch("main")
    assert prices(engine) == [(1, "Tea", 4)]


def test_checking_out_a_branch_switches_to_it(engine: Engine, repo: Repository) -> None:
    commit(engine, "INSERT INTO price VALUES (1, 'Tea', 3)")
    repo.branch("spring")
    commit(engine, "UPDATE price SET amount = 4")
    assert repo.checkout("spring").operation == "SWITCH"
    assert repo.current_branch == "spring"


def test_checking_out_head_does_nothing(engine: Engine, repo: Repository) -> None:
    commit(engine)
    assert not repo.checkout("HEAD")
    assert repo.current_branch == "main"


def test_where_head_went_is_kept(engine: Engine, repo: Repository) -> None:
    first = commit(engine, "INSERT INTO price VALUES (1, 'Tea', 3)")
    repo.branch("spring")
    second = commit(engine, "UPDATE price SET amount = 4")
    repo.switch("spring", author="ana")
    repo.checkout(second, author="bo")
    told = [(move.name, move.action, move.new_uuid, move.author) for move in repo.ref_log("HEAD")]
    assert told == [("HEAD", "detach", second, "bo"), ("spring", "switch", first, "ana")]
    assert [move.action for move in repo.ref_log("heads/main")] == ["leave"]


def test_blame_goes_along_the_branch_and_not_to_the_switch(
    engine: Engine, repo: Repository
) -> None:
    made = commit(engine, "INSERT INTO price VALUES (1, 'Tea', 3)", author="ana")
    repo.branch("spring")
    on_main = commit(engine, "UPDATE price SET amount = 4", author="bo")
    repo.switch("spring")
    on_spring = commit(engine, "UPDATE price SET name = 'Tee'", author="cy")
    repo.switch("main")
    with repo.begin() as bound:
        at_main = {name: each.uuid for name, each in bound.blame("price", 1).items()}
        at_spring = bound.blame("price", 1, at="spring")
        assert at_main == {"id": made, "name": made, "amount": on_main}
        assert {name: each.uuid for name, each in at_spring.items()} == {
            "id": made,
            "name": on_spring,
            "amount": made,
        }
        assert bound.blame("price", 2) == {}
