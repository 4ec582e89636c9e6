"""Operations of a repository across moments at which nothing is recorded of a table."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine

from sqlalchemy_temporal import Commit, Repository, TemporalTables
from sqlalchemy_temporal.errors import (
    BeforeVersioningError,
    PurgedHistoryError,
    UnrecordedMomentError,
    VersioningGapError,
)
from tests.repository.graphs import commit, tables
from tests.repository.merges import rows, versioned

START = "INSERT INTO price VALUES (1, 'Tea', 3), (2, 'Cake', 5); INSERT INTO note VALUES (1, 'a')"
THEIRS = (
    "UPDATE price SET amount = 4 WHERE id = 1; DELETE FROM price WHERE id = 2;"
    "INSERT INTO note VALUES (2, 'b')"
)
OURS = "UPDATE price SET name = 'Cakes' WHERE id = 2"
UNCHANGED = [(1, "Tea", 3), (2, "Cakes", 5)]


@pytest.fixture
def engine(any_engine: Engine) -> Engine:
    tables().create_all(any_engine)
    return any_engine


def newest(repo: Repository, **chosen: Any) -> Commit:
    with repo.begin() as bound:
        return bound.log(limit=1, **chosen)[0]


def purge(engine: Engine, when: str = "HEAD") -> None:
    TemporalTables(engine).purge_history(when, "price", dry_run=False)


def pause(engine: Engine) -> None:
    TemporalTables(engine).disable_temporal_versioning("price")


def resume(engine: Engine) -> None:
    TemporalTables(engine).enable_temporal_versioning("price")


def lines(engine: Engine, theirs: str = THEIRS, ours: str = OURS) -> Repository:
    repo = Repository(engine)
    commit(engine, START)
    repo.switch("theirs", create=True)
    commit(engine, theirs)
    repo.switch("main")
    commit(engine, ours)
    return repo


def base_purged(engine: Engine) -> Repository:
    repo = lines(engine)
    purge(engine, "theirs")
    return repo


def theirs_purged(engine: Engine) -> Repository:
    repo = lines(engine)
    purge(engine)
    return repo


def base_in_gap(engine: Engine) -> Repository:
    repo = Repository(engine)
    commit(engine, START)
    pause(engine)
    commit(engine, "INSERT INTO note VALUES (9, 'gap')")
    repo.switch("theirs", create=True)
    resume(engine)
    commit(engine, THEIRS)
    repo.switch("main")  # which knows nothing of prices, so they stay
    commit(engine, "INSERT INTO price VALUES (2, 'Cakes', 5); UPDATE price SET amount = 3")
    commit(engine, "UPDATE price SET amount = 5 WHERE id = 2")
    return repo


def theirs_in_gap(engine: Engine) -> Repository:
    repo = Repository(engine)
    commit(engine, START)
    repo.switch("theirs", create=True)
    commit(engine, THEIRS)
    repo.switch("main")
    commit(engine, OURS)
    repo.switch("theirs")
    pause(engine)
    commit(engine, "INSERT INTO note VALUES (9, 'gap')")
    repo.switch("main")
    resume(engine)
    return repo


def disabled(engine: Engine) -> Repository:
    repo = lines(engine)
    pause(engine)
    return repo


def base_before(engine: Engine) -> Repository:
    repo = Repository(engine)
    commit(engine, "INSERT INTO note VALUES (1, 'a')")
    repo.switch("theirs", create=True)
    versioned(engine, "CREATE TABLE extra (id int PRIMARY KEY, v text)")
    commit(engine, "INSERT INTO extra VALUES (1, 'x'); INSERT INTO note VALUES (2, 'b')")
    repo.switch("main")  # which knows nothing of it, so it stays
    commit(engine, "DELETE FROM extra")
    return repo


UNKNOWN: dict[str, tuple[Callable[[Engine], Repository], type[UnrecordedMomentError]]] = {
    "base purged": (base_purged, PurgedHistoryError),
    "theirs purged": (theirs_purged, PurgedHistoryError),
    "base in a gap": (base_in_gap, VersioningGapError),
    "theirs in a gap": (theirs_in_gap, VersioningGapError),
    "disabled at present": (disabled, VersioningGapError),
    "base before versioning": (base_before, BeforeVersioningError),
}


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize("name", UNKNOWN)
def test_a_merge_across_what_is_not_recorded_is_refused(
    engine: Engine, name: str, dry_run: bool
) -> None:
    make, expected = UNKNOWN[name]
    repo = make(engine)
    table = "extra" if name == "base before versioning" else "price"
    before, head = rows(engine, table), newest(repo).uuid
    with pytest.raises(expected, match=rf"'public\.{table}'.*restore.*merge\(x, .*'public\.note'"):
        repo.merge("theirs", dry_run=dry_run)
    assert (rows(engine, table), newest(repo).uuid, repo.merging) == (before, head, None)


@pytest.mark.parametrize("name", UNKNOWN)
def test_other_tables_are_merged_alone(engine: Engine, name: str) -> None:
    repo = UNKNOWN[name][0](engine)
    table = "extra" if name == "base before versioning" else "price"
    before = rows(engine, table)
    result = repo.merge("theirs", "note")
    assert (result.status, len(result.commit.parents)) == ("merged", 2)
    assert (2, "b") in rows(engine, "note")
    assert rows(engine, table) == before
    assert repo.merge("theirs").status == "up-to-date"
    with repo.begin() as bound:
        assert bound.verify().ok


def test_a_table_that_was_made_what_it_shall_be_is_merged(engine: Engine) -> None:
    repo = base_purged(engine)
    repo.restore("theirs", "price")
    assert repo.merge("theirs").status == "merged"
    assert rows(engine) == [(1, "Tea", 4)]


def test_a_table_that_the_other_line_did_not_change_is_merged(engine: Engine) -> None:
    repo = lines(engine, theirs="INSERT INTO note VALUES (2, 'b')")
    purge(engine)
    result = repo.merge("theirs")
    assert (result.status, list(result.unknown)) == ("merged", ["public.price"])
    assert (rows(engine), rows(engine, "note")) == (UNCHANGED, [(1, "a"), (2, "b")])


def test_a_table_that_the_other_line_never_knew_is_left_and_named(engine: Engine) -> None:
    repo = lines(engine)
    versioned(engine, "CREATE TABLE extra (id int PRIMARY KEY)")
    commit(engine, "INSERT INTO extra VALUES (1)")
    result = repo.merge("theirs", dry_run=True)
    assert list(result.unknown) == ["public.extra"]
    repo.resolve(take="theirs") if not (result := repo.merge("theirs")) else None
    assert list(repo.merge_commit().unknown) == ["public.extra"]
    assert rows(engine, "extra") == [(1,)]


def test_becoming_a_commit_whose_table_was_purged_is_refused(engine: Engine) -> None:
    repo = lines(engine, ours="INSERT INTO note VALUES (3, 'c')")
    ahead = newest(repo, revisions="theirs")
    repo.checkout(ahead.parent_uuid)
    purge(engine)
    repo.checkout("HEAD~1")
    with pytest.raises(PurgedHistoryError, match=r"public\.price"):
        repo.merge(ahead)


def test_a_merge_that_waits_is_refused_after_a_purge(engine: Engine) -> None:
    repo = lines(engine)
    assert repo.merge("theirs").status == "conflicts"
    repo.resolve(take="theirs")
    purge(engine)
    with pytest.raises(PurgedHistoryError, match=r"public\.price"):
        repo.merge_commit()
    assert rows(engine) == UNCHANGED
    repo.merge_abort()
    assert repo.merge("theirs", "note").status == "merged"


def test_a_merge_that_waits_stays_restricted(engine: Engine) -> None:
    repo = lines(engine, ours=f"{OURS}; INSERT INTO note VALUES (2, 'c')")
    assert [each.table for each in repo.merge("theirs", "note").conflicts] == ["public.note"]
    repo.resolve(take="theirs")
    assert repo.merge_commit().status == "merged"
    assert (rows(engine), rows(engine, "note")) == (UNCHANGED, [(1, "a"), (2, "b")])


def test_a_restricted_merge_is_no_fast_forward(engine: Engine) -> None:
    repo = Repository(engine)
    commit(engine, START)
    repo.switch("theirs", create=True)
    commit(engine, THEIRS)
    repo.switch("main")
    assert repo.merge("theirs", "note").status == "merged"
    assert rows(engine) == [(1, "Tea", 3), (2, "Cake", 5)]


@pytest.mark.parametrize("what", [purge, pause])
def test_a_commit_is_not_undone_in_part(engine: Engine, what: Callable[[Engine], None]) -> None:
    repo = Repository(engine)
    commit(engine, START)
    commit(engine, THEIRS, message="both")
    what(engine)
    commit_both = newest(repo, message="both")
    with pytest.raises(UnrecordedMomentError, match=r"'public\.price'.*revert\(x, 'public\.note'"):
        repo.revert(commit_both)
    with repo.begin() as bound, pytest.raises(UnrecordedMomentError, match="undone"):
        bound.plan_revert(commit_both)
    repo.revert(commit_both, "note")
    assert (rows(engine), rows(engine, "note")) == ([(1, "Tea", 4)], [(1, "a")])


@pytest.mark.parametrize("what", ["restore", "checkout", "rollback", "switch"])
def test_going_back_names_tables_that_are_disabled(engine: Engine, what: str) -> None:
    repo = lines(engine)
    pause(engine)
    commit(engine, "INSERT INTO note VALUES (7, 'z')")
    calls: dict[str, Callable[[], Any]] = {
        "restore": lambda: repo.restore("HEAD~3"),
        "checkout": lambda: repo.checkout("HEAD~3"),
        "rollback": lambda: repo.rollback(2),
        "switch": lambda: repo.switch("theirs"),
    }
    outcome = calls[what]()
    assert list(outcome.unknown) == ["public.price"]
    assert rows(engine) == UNCHANGED


def test_a_difference_names_what_one_side_does_not_know(engine: Engine) -> None:
    repo = theirs_purged(engine)
    with repo.begin() as bound:
        diff = bound.diff("theirs", "HEAD")
        assert list(diff.unknown) == ["public.price"]
        with pytest.raises(PurgedHistoryError):
            bound.diff("theirs", "HEAD", "price")
