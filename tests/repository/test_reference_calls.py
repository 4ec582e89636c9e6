"""The calls of a snapshot engine (DBVSG), one by one, and what is done instead."""

from __future__ import annotations

import pytest
from sqlalchemy import URL, Column, Engine, Integer, MetaData, Table, Text, create_engine, select

from sqlalchemy_temporal import as_of, versioned_table
from sqlalchemy_temporal.errors import StaleParentError
from sqlalchemy_temporal.repository import Repository
from tests.repository.shop import rows

metadata = MetaData()
clients = versioned_table(
    Table("clients", metadata, Column("id", Integer, primary_key=True), Column("name", Text))
)
INSERT = "INSERT INTO clients (name) VALUES (:name) RETURNING id"


@pytest.fixture
def repo(pg_engine: Engine) -> Repository:
    """Three commits: Alpha, Beta, and Alpha renamed to Gamma."""
    metadata.create_all(pg_engine)
    made = Repository(pg_engine)
    made.execute(INSERT, {"name": "Alpha"})
    made.execute(INSERT, {"name": "Beta"})
    made.execute("UPDATE clients SET name = 'Gamma' WHERE id = 1")
    return made


def _uuids(repo: Repository) -> list[str]:
    """The commits' ids, newest first."""
    with repo.begin() as bound:
        return [str(commit.uuid) for commit in bound.log("clients")]


def _names(repo: Repository) -> list[str]:
    with repo.begin() as bound:
        return [name for _, name in rows(bound.connection, "clients")]


def test_conn_is_any_engine(repo: Repository, pg_url: URL) -> None:
    engine = create_engine(pg_url)
    assert _uuids(Repository(engine)) == _uuids(repo)
    engine.dispose()


def test_ops_is_execute_which_returns_the_id_and_the_commit(repo: Repository) -> None:
    done = repo.execute(INSERT, {"name": "John"}, message="One more", author="system")
    assert [row.id for row in done.rows] == [3]
    assert str(done.commit.uuid) == _uuids(repo)[0]
    assert (done.commit.message, done.commit.author) == ("One more", "system")


def test_a_commit_on_another_parent_than_the_current_one_is_a_conflict(repo: Repository) -> None:
    stale = _uuids(repo)[1]
    with pytest.raises(StaleParentError):
        repo.execute(INSERT, {"name": "John"}, parent=stale)
    assert "John" not in _names(repo)


def test_logs_is_log(repo: Repository) -> None:
    with repo.begin() as bound:
        newest, middle, _ = bound.log("clients")
        assert newest == bound.head
        assert newest.parent_uuid == middle.uuid
        assert newest.counts == {"public.clients": {"update": 1}}


def test_diff_is_diff(repo: Repository) -> None:
    newest, _, oldest = _uuids(repo)
    with repo.begin() as bound:
        found = [(c.operation, c.key["id"], c.changed) for c in bound.diff(oldest, newest)]
    assert found == [("UPDATE", 1, ("name",)), ("INSERT", 2, ("id", "name"))]


def test_rollback_is_rollback(repo: Repository) -> None:
    repo.rollback()
    assert _names(repo) == ["Alpha", "Beta"]


def test_checkout_is_checkout(repo: Repository) -> None:
    oldest = _uuids(repo)[-1]
    done = repo.checkout(oldest)
    assert _names(repo) == ["Alpha"]
    assert str(done.commit.parent_uuid) == oldest


def test_restore_is_restore_and_recorded(repo: Repository) -> None:
    before = _uuids(repo)
    repo.restore(before[-1])
    assert _names(repo) == ["Alpha"]
    assert _uuids(repo)[1:] == before


def test_merge_is_merge(repo: Repository) -> None:
    newest, middle, _ = _uuids(repo)
    repo.checkout(middle)
    repo.execute(INSERT, {"name": "Delta"})
    repo.merge(newest)
    assert _names(repo) == ["Gamma", "Beta", "Delta"]


def test_delete_hides_a_commit_and_keeps_its_data(repo: Repository) -> None:
    middle = _uuids(repo)[1]
    with repo.begin() as bound:
        bound.delete(middle, author="ana")
    assert middle not in _uuids(repo)
    assert _names(repo) == ["Gamma", "Beta"]


def test_the_state_of_a_commit_is_read_as_of_it(repo: Repository) -> None:
    middle = _uuids(repo)[1]
    with repo.begin() as bound, as_of(bound.connection, middle) as past:
        found = past.execute(select(clients.c.name).order_by(clients.c.id)).scalars().all()
    assert found == ["Alpha", "Beta"]


def test_the_hashes_of_commits_can_be_verified(repo: Repository) -> None:
    with repo.begin() as bound:
        assert bound.verify().ok
