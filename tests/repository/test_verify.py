"""Verifying: who may, since when, with what progress; and what a dump leaves as it was."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.ext.asyncio import AsyncEngine

from sqlalchemy_temporal.clock.resolve import resolve
from sqlalchemy_temporal.embedded.binaries import find_binaries
from sqlalchemy_temporal.errors import CommitError
from sqlalchemy_temporal.repository import Progress, Repository
from tests.fix_server import Server, conninfo
from tests.laws.programs import State, copy_of, state_at, tables
from tests.repository.kinds import KINDS, PREPARE
from tests.repository.test_canonical_bytes import install

SCHEMA = "temporal_versioning"
WORK = (
    "INSERT INTO owner VALUES (1, 'ana', 'a'), (2, 'bo', 'b'), (3, 'cy', 'c')",
    "UPDATE owner SET name = 'b' WHERE id = 1",
    "UPDATE owner SET id = 7 WHERE id = 2",
    "DELETE FROM owner WHERE id = 3",
    "INSERT INTO account VALUES (1, 1, 10.00), (2, 7, 20)",
    "TRUNCATE account",
)


def work(engine: Engine) -> None:
    for statement in WORK:
        with engine.begin() as connection:
            connection.exec_driver_sql(statement)


@pytest.fixture
def engine(pg_engine: Engine) -> Engine:
    """A database with some commits that have no hash yet."""
    tables().create_all(pg_engine)
    work(pg_engine)
    return pg_engine


def test_commits_have_no_hash_until_somebody_asks(engine: Engine) -> None:
    with engine.connect() as connection:
        repo = Repository(connection)
        assert repo.head.hash is None
        assert repo.hash_commits() == 7
        assert repo.hash_commits() == 0
        assert repo.head.hash is not None
        assert repo.digest().hash == repo.head.hash.hex()


def test_a_hash_given_once_stays(engine: Engine) -> None:
    def hashes() -> list[bytes]:
        with engine.connect() as connection:
            rows = connection.execute(text(f"SELECT hash FROM {SCHEMA}.commit ORDER BY seq"))
            return [bytes(row.hash) for row in rows]

    with engine.connect() as connection:
        Repository(connection).hash_commits()
    before = hashes()
    work_more = "UPDATE owner SET name = 'c'"
    with engine.begin() as connection:
        connection.exec_driver_sql(work_more)
    with engine.connect() as connection:
        assert Repository(connection).hash_commits() == 1
    assert hashes()[:-1] == before


def test_hashes_do_not_depend_on_how_many_are_computed_together(pg_engine: Engine) -> None:
    tables().create_all(pg_engine)
    for statement in WORK:
        with pg_engine.begin() as connection:
            connection.exec_driver_sql(statement)
        with pg_engine.connect() as connection:
            Repository(connection).hash_commits()
    with pg_engine.begin() as connection:
        alone = Repository(connection).digest().hash
        connection.exec_driver_sql(f"DELETE FROM {SCHEMA}.commit_root")
        connection.exec_driver_sql(f"UPDATE {SCHEMA}.commit SET hash = NULL, marks = NULL")
    with pg_engine.connect() as connection:
        assert Repository(connection).digest().hash == alone


def test_several_may_hash_at_once(engine: Engine) -> None:
    counted = []

    def hash_all() -> None:
        with engine.connect() as connection:
            counted.append(Repository(connection).hash_commits())

    threads = [threading.Thread(target=hash_all) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(counted) == [0, 0, 0, 7]
    with engine.connect() as connection:
        assert Repository(connection).verify().ok


def test_what_is_not_committed_does_not_count(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE owner SET name = 'x'")
        connection.exec_driver_sql("INSERT INTO owner VALUES (9, 'x')")
        found = Repository(connection).verify()
        assert found.ok, str(found)
        assert found.head_seq == 7


def test_a_role_that_may_only_read_can_verify(server: Server, engine: Engine) -> None:
    with engine.begin() as connection:
        Repository(connection).hash_commits()
        connection.exec_driver_sql("DROP ROLE IF EXISTS temporal_reader")
        for statement in (
            "CREATE ROLE temporal_reader LOGIN PASSWORD 'x'",
            f"GRANT USAGE ON SCHEMA {SCHEMA} TO temporal_reader",
            f"GRANT SELECT ON ALL TABLES IN SCHEMA {SCHEMA} TO temporal_reader",
            f"GRANT SELECT ON ALL SEQUENCES IN SCHEMA {SCHEMA} TO temporal_reader",
            "GRANT SELECT ON owner, account TO temporal_reader",
        ):
            connection.exec_driver_sql(statement)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE owner SET name = 'y'")
    reader = create_engine(engine.url.set(username="temporal_reader", password="x"))
    try:
        with reader.connect() as connection:
            repo = Repository(connection)
            assert repo.hash_commits() == 0
            found = repo.verify()
            assert found.ok, str(found)
            assert (found.head_seq, found.unhashed) == (7, 0)
        with engine.begin() as connection:
            connection.exec_driver_sql(f"UPDATE {SCHEMA}.owner_history SET note = 'z'")
        with reader.connect() as connection:
            assert not Repository(connection).verify().ok
    finally:
        reader.dispose()
        with engine.begin() as connection:
            connection.exec_driver_sql("DROP OWNED BY temporal_reader; DROP ROLE temporal_reader")


def test_checking_since_a_commit_trusts_what_was_before_it(engine: Engine) -> None:
    with engine.begin() as connection:
        Repository(connection).hash_commits()
        connection.exec_driver_sql(f"UPDATE {SCHEMA}.owner_history SET note = 'z' WHERE id = 3")
    with engine.begin() as connection:
        repo = Repository(connection)
        assert not repo.verify().ok
        assert not repo.verify(since="HEAD~6").ok
        later = repo.verify(since="HEAD~1")
        assert later.ok, str(later)
        assert (later.commits, later.since_seq) == (1, 6)


def test_progress_tells_how_far_it_is(engine: Engine) -> None:
    told: list[Progress] = []
    with engine.connect() as connection:
        found = Repository(connection).verify(progress=told.append)
    stages = list(dict.fromkeys(each.stage for each in told))
    assert stages == ["hashing", "rows", "versions", "chain", "registry"]
    rows = [each for each in told if each.stage == "rows"]
    assert rows[-1].done == rows[-1].total == found.leaves
    assert {each.table for each in rows} == {"public.owner", "public.account"}


def test_no_more_problems_are_kept_than_asked_for(engine: Engine) -> None:
    with engine.begin() as connection:
        Repository(connection).hash_commits()
        connection.exec_driver_sql(f"UPDATE {SCHEMA}.owner_history SET note = 'z'")
    with engine.begin() as connection:
        found = Repository(connection).verify(max_problems=2)
    assert (len(found.problems), found.truncated) == (2, True)


@pytest.mark.parametrize("given", ["", "{}", "[]", '{"format": 1}', {"seq": 1}])
def test_what_is_no_digest_is_refused(engine: Engine, given: str) -> None:
    with engine.connect() as connection, pytest.raises(CommitError, match="digest"):
        Repository(connection).verify(digest=given)


def test_a_table_whose_versioning_was_removed_is_reported_as_such(engine: Engine) -> None:
    with engine.begin() as connection:
        digest = Repository(connection).digest()
    metadata = tables()
    metadata.tables["account"].drop(engine)
    with engine.begin() as connection:
        found = Repository(connection).verify(digest=digest)
        assert found.ok, str(found)
        [note] = found.unverifiable
        assert "no longer registered" in note


@pytest.fixture
def programs() -> Path:
    """The directory with pg_dump and psql."""
    directory = find_binaries().directory
    if not (directory / "pg_dump").exists():
        pytest.skip("there is no pg_dump")
    return directory


@pytest.fixture
def elsewhere(server: Server) -> Iterator[Engine]:
    """Another database."""
    with server.database() as url:
        engine = create_engine(url)
        yield engine
        engine.dispose()


def states_of(connection: Connection) -> dict[UUID, State]:
    commits = Repository(connection).log()
    return {c.uuid: state_at(connection, tables(), resolve(connection, c)) for c in commits}


def test_a_dump_restored_elsewhere_has_the_same_answers_and_hashes(
    server: Server, engine: Engine, elsewhere: Engine, programs: Path
) -> None:
    known = [kind for kind in KINDS if kind.since <= server.version]
    columns = ", ".join(f"c{n} {kind.type}" for n, kind in enumerate(known))
    with engine.begin() as connection:
        for statement in PREPARE:
            connection.exec_driver_sql(statement)
        connection.exec_driver_sql(f"CREATE TABLE every (id integer PRIMARY KEY, {columns})")
        install(connection, "every")
        values = ", ".join(kind.value for kind in known)
        connection.exec_driver_sql(f"INSERT INTO every VALUES (1, {values}), (2, {values})")
    with engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM every WHERE id = 1")
    with engine.begin() as connection:
        repo = Repository(connection)
        digest = repo.digest()
        states = {
            c.uuid: state_at(connection, tables(), resolve(connection, c)) for c in repo.log()
        }
    dump = subprocess.run(
        [programs / "pg_dump", "--dbname", conninfo(engine.url)],
        capture_output=True,
        check=True,
    ).stdout.replace(b"SET transaction_timeout = 0;", b"")  # unknown before PostgreSQL 17
    subprocess.run(
        [programs / "psql", "-qX", "-v", "ON_ERROR_STOP=1", "--dbname", conninfo(elsewhere.url)],
        input=dump,
        capture_output=True,
        check=True,
    )
    with elsewhere.begin() as connection:
        repo = Repository(connection)
        found = repo.verify(digest=digest)
        assert found.ok, str(found)
        assert repo.digest().hash == digest.hash
        assert states_of(connection) == states
        connection.exec_driver_sql("UPDATE owner SET name = 'there'")
    with elsewhere.begin() as connection:
        assert Repository(connection).verify(digest=digest).ok
        assert copy_of(connection, tables())["owner"]


async def test_asyncio_drivers_can_hash_and_verify(async_pg_engine: AsyncEngine) -> None:
    async with async_pg_engine.begin() as connection:
        await connection.run_sync(tables().create_all)
    for statement in WORK:
        async with async_pg_engine.begin() as connection:
            await connection.exec_driver_sql(statement)
    async with async_pg_engine.connect() as connection:
        digest = await connection.run_sync(lambda c: Repository(c).digest())
        found = await connection.run_sync(lambda c: Repository(c).verify(digest=digest))
        assert found.ok, str(found)
        assert found.commits == 7
    async with async_pg_engine.begin() as connection:
        await connection.exec_driver_sql(f"UPDATE {SCHEMA}.owner_history SET note = 'z'")
    async with async_pg_engine.connect() as connection:
        found = await connection.run_sync(lambda c: Repository(c).verify())
        assert {p.table for p in found.problems} == {f"{SCHEMA}.owner_history"}
