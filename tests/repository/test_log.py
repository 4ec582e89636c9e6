"""Which commits the log shows, and in which order."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine

from sqlalchemy_temporal.clock.commit import Commit
from sqlalchemy_temporal.clock.resolve import resolve
from sqlalchemy_temporal.clock.seal import seal
from sqlalchemy_temporal.errors import CommitError, ConfigurationError, UnknownOptionError
from sqlalchemy_temporal.repository import Repository
from tests.repository.graphs import commit, tables


@pytest.fixture
def engine(each_engine: Engine) -> Engine:
    return each_engine


INSERT = "INSERT INTO price (id, name, amount) VALUES (1, 'Tea', 3), (2, 'Cake', 5)"


@pytest.fixture
def made(engine: Engine) -> list[UUID]:
    """Commits by several people, oldest first."""
    return [
        commit(engine, INSERT, author="ana", message="Open the shop", context={"ticket": 7}),
        commit(engine, "UPDATE price SET amount = 4 WHERE id = 1", author="bo", message="50%_off"),
        commit(engine, author="bo", message="Add notes", context={"ticket": 8, "by": {"x": [1]}}),
        commit(engine, "DELETE FROM price WHERE id = 2", author="ana", message="No more cake"),
    ]


def uuids(commits: Sequence[Commit]) -> list[UUID]:
    return [each.uuid for each in commits]


def test_the_newest_commit_comes_first(made: list[UUID], repo: Repository) -> None:
    log = repo.log()
    assert uuids(log)[:-1] == made[::-1]
    assert [each.operation for each in log] == ["COMMIT"] * 4 + ["BASELINE"]


def test_a_commit_says_who_why_and_what(made: list[UUID], repo: Repository) -> None:
    commit = repo.get(made[0])
    assert (commit.author, commit.message) == ("ana", "Open the shop")
    assert commit.context == {"ticket": 7}
    assert commit.counts == {"public.price": {"insert": 2}}
    assert commit.tables == ("public.price",)
    assert commit.parents == (repo.log()[-1].uuid,)
    assert commit.started_at <= commit.committed_at <= commit.effective_at  # type: ignore[operator]
    assert commit.uuid.hex.startswith(commit.short)


def test_sealing_changes_no_answer(
    made: list[UUID], connection: Connection, repo: Repository
) -> None:
    before = repo.log()
    seal(connection)
    assert uuids(repo.log()) == uuids(before)
    assert [each.parent_uuid for each in repo.log()] == [each.parent_uuid for each in before]


def test_by_author(made: list[UUID], repo: Repository) -> None:
    assert uuids(repo.log(author="bo")) == [made[2], made[1]]


def test_by_a_part_of_the_message_whatever_its_case(made: list[UUID], repo: Repository) -> None:
    assert uuids(repo.log(message="CAKE")) == [made[3]]
    assert uuids(repo.log(message="%_")) == [made[1]]


def test_by_a_pattern_in_the_message(made: list[UUID], repo: Repository) -> None:
    assert uuids(repo.log(message=re.compile(r"^(No|Add) "))) == [made[3], made[2]]
    assert uuids(repo.log(message=re.compile(r"^no", re.IGNORECASE))) == [made[3]]


def test_by_context(made: list[UUID], repo: Repository) -> None:
    assert uuids(repo.log(context={"ticket": 7})) == [made[0]]
    assert uuids(repo.log(context={"by": {"x": [1]}, "ticket": 8})) == [made[2]]
    assert repo.log(context={"ticket": "7"}) == []


def test_by_operation(made: list[UUID], repo: Repository) -> None:
    assert len(repo.log(operation="baseline")) == 1


def test_by_time_and_by_commit(made: list[UUID], repo: Repository) -> None:
    at = repo.get(made[1]).effective_at
    assert at is not None
    assert uuids(repo.log(since=at)) == made[:0:-1]
    assert uuids(repo.log(since=made[1], until=made[2])) == [made[2], made[1]]
    assert uuids(repo.log(since=at, until=at)) == [made[1]]
    assert len(repo.log(since=timedelta(hours=1))) == 5
    assert repo.log(until=timedelta(hours=1)) == []


def test_by_table_named_or_given(made: list[UUID], repo: Repository) -> None:
    price = tables().tables["price"]
    expected = [made[3], made[1], made[0]]
    assert uuids(repo.log("price", operation="COMMIT")) == expected
    assert uuids(repo.log("public.price", operation="COMMIT")) == expected
    assert uuids(repo.log(price, operation="COMMIT")) == expected
    assert uuids(repo.log("note", "price", operation="COMMIT")) == made[::-1]


def test_by_the_row_that_was_written(made: list[UUID], repo: Repository) -> None:
    assert uuids(repo.log("price", key=1)) == [made[1], made[0]]
    assert uuids(repo.log("price", key={"id": 2})) == [made[3], made[0]]
    assert repo.log("price", key=99) == []


def test_a_key_needs_one_table_and_its_columns(made: list[UUID], repo: Repository) -> None:
    with pytest.raises(ConfigurationError, match="name that table"):
        repo.log(key=1)
    with pytest.raises(ConfigurationError, match="not a key of"):
        repo.log("price", key=(1, 2))


def test_by_range(made: list[UUID], engine: Engine, repo: Repository) -> None:
    aside = commit(engine, parent=made[1])
    assert uuids(repo.log(revisions=f"{made[1]}..{made[3]}")) == [made[3], made[2]]
    assert uuids(repo.log(revisions=f"{made[3]}..")) == [aside]
    assert uuids(repo.log(revisions=f"{made[2]}...HEAD")) == [aside, made[2]]
    assert uuids(repo.log(revisions="HEAD", limit=3)) == [aside, made[1], made[0]]
    assert uuids(repo.log(limit=2)) == [aside, made[3]]


def test_first_parents_leave_out_what_was_merged(
    made: list[UUID], engine: Engine, repo: Repository
) -> None:
    aside = commit(engine, parent=made[1])
    merge = commit(engine, parent=made[3], merge=aside)
    assert uuids(repo.log(first_parent=True, limit=2)) == [merge, made[3]]
    assert uuids(repo.log(revisions=f"{made[3]}..HEAD")) == [merge, aside]
    assert repo.get(merge).parents == (made[3], aside)


def test_pages_by_offset_and_by_commit_are_the_same(made: list[UUID], repo: Repository) -> None:
    assert uuids(repo.log(limit=2, offset=1)) == [made[2], made[1]]
    assert uuids(repo.log(limit=2, before=made[3])) == [made[2], made[1]]
    assert uuids(repo.log(limit=2, offset=1, revisions="HEAD")) == [made[2], made[1]]


def test_pages_go_through_many_ranges(engine: Engine, repo: Repository) -> None:
    line = [commit(engine)]
    for _ in range(105):
        line.append(commit(engine, parent=line[-1]))
    assert uuids(repo.log(revisions="HEAD", limit=3, offset=101)) == line[::-1][101:104]
    assert len(repo.log(revisions="HEAD")) == 107


def test_a_page_does_not_move_when_commits_come(
    made: list[UUID], engine: Engine, repo: Repository
) -> None:
    first = repo.log(limit=2)
    commit(engine)
    assert uuids(repo.log(limit=2, before=first[-1])) == [made[1], made[0]]


def test_numbers_that_count_nothing_are_refused(repo: Repository) -> None:
    with pytest.raises(UnknownOptionError, match="negative"):
        repo.log(limit=-1)


def test_a_deleted_commit_is_not_shown_and_keeps_its_data(
    made: list[UUID], connection: Connection, repo: Repository
) -> None:
    before = resolve(connection, made[1])
    gone = repo.delete(made[1], author="root", reason="Never happened")
    assert (gone.is_deleted, gone.deleted_by, gone.deletion_reason) == (
        True,
        "root",
        "Never happened",
    )
    assert made[1] not in uuids(repo.log())
    assert uuids(repo.log(include_deleted=True))[:-1] == made[::-1]
    assert resolve(connection, made[1]) == before
    assert repo.get(made[2]).parent_uuid == made[1]
    assert not repo.undelete(made[1]).is_deleted
    assert made[1] in uuids(repo.log())


def test_a_commit_is_deleted_once(made: list[UUID], repo: Repository) -> None:
    repo.delete(made[0])
    with pytest.raises(CommitError, match="deleted already"):
        repo.delete(made[0])
    repo.undelete(made[0])
    with pytest.raises(CommitError, match="not deleted"):
        repo.undelete(made[0])


def test_a_commit_is_shown_with_its_place_in_the_graph(
    made: list[UUID], engine: Engine, repo: Repository
) -> None:
    aside = commit(engine, parent=made[1])
    repo.tag("v1", at=made[1])
    shown = repo.show("v1")
    assert uuids(shown.parents) == [made[0]]
    assert uuids(shown.children) == [made[2], aside]
    assert [ref.full_name for ref in shown.refs] == ["tags/v1"]
    assert [ref.full_name for ref in repo.show().refs] == ["heads/main"]


def test_a_commit_is_the_same_one_before_and_after_it_is_sealed(engine: Engine) -> None:
    done = commit(engine)
    with engine.begin() as connection:
        early = Repository(connection).get(done)
        Repository(connection).hash_commits()
    with engine.begin() as connection:
        late = Repository(connection).delete("HEAD", reason="noise")
        other = Repository(connection).get("HEAD~1")
    assert (early.hash, early.deleted_at) != (late.hash, late.deleted_at)
    assert early == late
    assert {early, late, other} == {late, other}
    assert early != other
    assert early != done
