"""What names a commit: steps, names of two kinds, abbreviations, ranges."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine, select, text, update

from sqlalchemy_temporal.clock.resolve import resolve
from sqlalchemy_temporal.clock.seal import seal
from sqlalchemy_temporal.errors import (
    AmbiguousRevisionError,
    BeforeVersioningError,
    UnknownRevisionError,
)
from sqlalchemy_temporal.naming import DEFAULT_SCHEMA
from sqlalchemy_temporal.repository import Repository
from sqlalchemy_temporal.schema import system_of
from tests.repository.graphs import commit, tables


@pytest.fixture
def engine(each_engine: Engine) -> Engine:
    return each_engine


def diamond(engine: Engine) -> dict[str, UUID]:
    """A line a - b - c, one b - x - y beside it, both merged into m, and n after it."""
    made = {"a": commit(engine), "b": commit(engine), "c": commit(engine)}
    made["x"] = commit(engine, parent=made["b"])
    made["y"] = commit(engine)
    made["m"] = commit(engine, parent=made["c"], merge=made["y"])
    made["n"] = commit(engine)
    return made


def sealed(connection: Connection) -> None:
    assert seal(connection)


def not_sealed(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        pytest.skip("there every commit is sealed as it is made")
    assert connection.scalar(text("SELECT count(*) FROM temporal_versioning.commit")) == 0


@pytest.mark.parametrize("prepare", [sealed, not_sealed])
def test_steps_lead_to_first_and_other_parents(
    engine: Engine, connection: Connection, prepare: Callable[[Connection], None]
) -> None:
    made = diamond(engine)
    prepare(connection)
    expected = {
        "HEAD~0": "n",
        "HEAD^0": "n",
        "HEAD^": "m",
        "HEAD~2": "c",
        "HEAD~1^1": "c",
        "HEAD~3": "b",
        "HEAD~^2": "y",
        "HEAD^^2~1": "x",
        "HEAD^^2~2": "b",
        "HEAD^^2^^": "b",
        "HEAD^^2~3": "a",
        f"{made['y']}~2": "b",
    }
    names = {uuid: name for name, uuid in made.items()}
    assert {asked: names[resolve(connection, asked).uuid] for asked in expected} == expected


def test_a_parent_that_is_not_there_is_refused(engine: Engine, connection: Connection) -> None:
    diamond(engine)
    with pytest.raises(UnknownRevisionError, match="has no parent number 2"):
        resolve(connection, "HEAD^2")
    with pytest.raises(UnknownRevisionError, match="has no parent number 3"):
        resolve(connection, "HEAD~1^3")
    with pytest.raises(BeforeVersioningError, match="before the first commit"):
        resolve(connection, "HEAD~9")


def test_sql_that_travels_understands_the_same_steps(pg_engine: Engine) -> None:
    tables().create_all(pg_engine)
    diamond(pg_engine)
    with pg_engine.begin() as connection:
        check_travel(connection)


def check_travel(connection: Connection) -> None:
    for asked in ("HEAD^^2~1", "heads/main~2", "HEAD~1"):
        at = connection.scalar(
            text("SELECT temporal_versioning.travel_to(CAST(:asked AS text))"), {"asked": asked}
        )
        assert at == resolve(connection, asked).effective_at


def test_the_current_branch_is_where_head_is(engine: Engine, connection: Connection) -> None:
    assert resolve(connection, "main") == resolve(connection, "HEAD")
    newest = commit(engine)
    assert resolve(connection, "main").uuid == newest
    assert resolve(connection, "heads/main~1") == resolve(connection, "HEAD~1")


def test_a_name_of_two_kinds_is_ambiguous_without_its_kind(
    engine: Engine, connection: Connection, repo: Repository
) -> None:
    repo.tag("spring", at="HEAD")
    connection.commit()
    commit(engine)
    repo.branch("spring", at="HEAD")
    with pytest.raises(AmbiguousRevisionError, match=r"'tags/spring' or 'heads/spring'"):
        resolve(connection, "spring")
    assert resolve(connection, "tags/spring") == resolve(connection, "HEAD~1")
    assert resolve(connection, "heads/spring") == resolve(connection, "HEAD")


def test_the_first_digits_of_a_uuid_name_the_commit(engine: Engine, connection: Connection) -> None:
    uuid = commit(engine)
    for asked in (uuid.hex[:8], str(uuid)[:13], uuid.hex[:8].upper(), f"{uuid.hex[:8]}~0"):
        assert resolve(connection, asked).uuid == uuid
    seal(connection)
    assert resolve(connection, uuid.hex[:8]).uuid == uuid


def test_the_first_digits_of_a_hash_name_the_commit(engine: Engine, connection: Connection) -> None:
    uuid = commit(engine)
    seal(connection)
    commits = system_of(connection, DEFAULT_SCHEMA).commit
    hashed = hashlib.sha256(b"x").digest()
    connection.execute(update(commits).where(commits.c.uuid == uuid).values(hash=hashed))
    digits = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    assert resolve(connection, digits[:7]).uuid == uuid
    assert resolve(connection, digits).uuid == uuid


def test_digits_that_several_commits_begin_with_are_ambiguous(
    engine: Engine, connection: Connection
) -> None:
    commit(engine)
    system = system_of(connection, DEFAULT_SCHEMA)
    for table in (system.transaction, system.commit):
        number = table.c.id if table is system.transaction else table.c.tx_id
        for row in connection.execute(select(number)).all():
            uuid = UUID(f"abcd0000-0000-4000-8000-{row[0]:012}")
            connection.execute(update(table).where(number == row[0]).values(uuid=uuid))
    with pytest.raises(AmbiguousRevisionError, match=r"abcd0000-0000-4000-8000-.*, abcd0000"):
        resolve(connection, "abcd")


def test_a_tag_goes_before_digits(engine: Engine, connection: Connection, repo: Repository) -> None:
    uuid = commit(engine)
    repo.tag(uuid.hex[:6], at="HEAD~1")
    assert resolve(connection, uuid.hex[:6]) == resolve(connection, "HEAD~1")


@pytest.mark.parametrize("asked", ["abc", "tags/main", "heads/nothing", "nothing"])
def test_what_names_nothing_is_refused(connection: Connection, asked: str) -> None:
    with pytest.raises(UnknownRevisionError, match="no tag, branch or commit is called"):
        resolve(connection, asked)


def test_a_range_is_not_a_commit(connection: Connection) -> None:
    with pytest.raises(UnknownRevisionError, match="range"):
        resolve(connection, "HEAD~1..HEAD")


def test_merge_bases_and_ancestors(engine: Engine, repo: Repository) -> None:
    made = diamond(engine)
    base = repo.merge_base(made["c"], made["y"])
    assert base is not None
    assert base.uuid == made["b"]
    assert repo.is_ancestor(made["x"], "HEAD")
    assert not repo.is_ancestor(made["x"], made["c"])
    assert repo.is_ancestor(made["c"], made["c"])


def test_lines_merged_crosswise_have_several_merge_bases(engine: Engine, repo: Repository) -> None:
    root = commit(engine)
    left, right = commit(engine), commit(engine, parent=root)
    one = commit(engine, parent=left, merge=right)
    two = commit(engine, parent=right, merge=left)
    assert [each.uuid for each in repo.merge_bases(one, two)] == [right, left]
    newest = repo.merge_base(one, two)
    assert newest is not None
    assert newest.uuid == right
