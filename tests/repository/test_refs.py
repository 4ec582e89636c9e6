"""Tags and branches as names; what happens to them is kept."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection, Engine, text

from sqlalchemy_temporal.clock.describe import actor
from sqlalchemy_temporal.errors import CommitError, UnknownRevisionError
from sqlalchemy_temporal.repository import Repository
from tests.repository.graphs import commit, tables


@pytest.fixture
def engine(each_engine: Engine) -> Engine:
    return each_engine


def test_a_new_database_is_on_main(repo: Repository) -> None:
    assert repo.current_branch == "main"
    [main] = repo.branches()
    assert (main.name, main.is_current, main.commit_uuid) == ("main", True, repo.head.uuid)


def test_creating_tables_again_makes_no_branch_again(pg_engine: Engine) -> None:
    engine = pg_engine
    tables().create_all(engine)
    with engine.begin() as connection:
        Repository(connection).rename_branch("main", "trunk")
        connection.execute(text("COMMENT ON SCHEMA temporal_versioning IS 'of another version'"))
    tables().create_all(engine)
    with engine.begin() as connection:
        assert [branch.name for branch in Repository(connection).branches()] == ["trunk"]


def test_a_branch_stays_where_it_was_made(engine: Engine, repo: Repository) -> None:
    start = repo.head.uuid
    repo.branch("spring")
    repo.connection.commit()
    commit(engine)
    at = {branch.name: branch.commit_uuid for branch in repo.branches()}
    assert at == {"main": repo.head.uuid, "spring": start}
    assert repo.current_branch == "main"


def test_a_branch_may_have_the_name_of_a_tag(repo: Repository) -> None:
    repo.tag("spring")
    repo.branch("spring")
    assert [ref.full_name for ref in (*repo.tags(), *repo.branches())] == [
        "tags/spring",
        "heads/main",
        "heads/spring",
    ]


@pytest.mark.parametrize(
    "name", ["", "a b", "a~1", "HEAD", "a..b", "tags/a", "heads/b", "2024-01-01", "a^"]
)
def test_names_that_read_as_something_else_are_refused(repo: Repository, name: str) -> None:
    with pytest.raises(CommitError, match="cannot be the name of a branch"):
        repo.branch(name)
    with pytest.raises(CommitError, match="cannot be the name of a tag"):
        repo.tag(name)


def test_a_name_is_given_once_for_each_kind(repo: Repository) -> None:
    repo.branch("spring")
    with pytest.raises(CommitError, match=r"taken.*delete_branch\('spring'\)"):
        repo.branch("spring")
    with pytest.raises(CommitError, match="taken"):
        repo.rename_branch("main", "spring")


def test_the_current_branch_is_not_deleted(repo: Repository) -> None:
    with pytest.raises(CommitError, match="current"):
        repo.delete_branch("main")


def test_a_deleted_branch_leaves_its_commits(repo: Repository) -> None:
    spring = repo.branch("spring")
    repo.delete_branch("spring")
    assert [branch.name for branch in repo.branches()] == ["main"]
    assert repo.get(spring.commit_uuid).uuid == spring.commit_uuid
    with pytest.raises(UnknownRevisionError, match="no branch 'spring'"):
        repo.delete_branch("spring")


def test_what_happens_to_names_is_kept(connection: Connection, repo: Repository) -> None:
    with actor("ana"):
        repo.branch("spring")
        repo.rename_branch("spring", "summer")
    repo.tag("v1", author="bo")
    repo.delete_branch("summer", author="cy")
    told = [(move.kind, move.name, move.action, move.author) for move in repo.ref_log()]
    assert told == [
        ("branch", "summer", "delete", "cy"),
        ("tag", "v1", "create", "bo"),
        ("branch", "summer", "rename", "ana"),
        ("branch", "spring", "create", "ana"),
    ]
    [tagged] = repo.ref_log("tags/v1")
    assert tagged.new_uuid == repo.head.uuid
    assert tagged.at.tzinfo is not None
    assert tagged.database_user == connection.engine.url.username
    assert len(repo.ref_log(limit=2)) == 2
