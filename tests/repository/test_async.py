"""The repository under asyncio: with psycopg, asyncpg and aiosqlite."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import URL, Engine, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from sqlalchemy_temporal import AsyncRepository, AsyncTemporalSession, Repository, Versioned
from sqlalchemy_temporal.errors import (
    CommitError,
    ConfigurationError,
    StaleParentError,
)


class Base(DeclarativeBase):
    pass


class Price(Versioned, Base):
    __tablename__ = "price"
    id: Mapped[int] = mapped_column(primary_key=True)
    amount: Mapped[int]
    label: Mapped[str | None]


@pytest_asyncio.fixture(params=["psycopg", "asyncpg", "aiosqlite"])
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    if request.param == "aiosqlite":
        url = URL.create("sqlite+aiosqlite", database=str(tmp_path / "test.db"))
    else:
        pg: URL = request.getfixturevalue("pg_url")
        url = pg.set(drivername=f"postgresql+{request.param}")
    made = create_async_engine(url)
    async with made.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield made
    await made.dispose()


async def run(engine: AsyncEngine, *statements: str) -> None:
    async with engine.begin() as connection:
        for statement in statements:
            await connection.execute(text(statement))


async def rows(engine: AsyncEngine) -> list[tuple[int, int, str | None]]:
    async with engine.connect() as connection:
        found = await connection.execute(text("SELECT id, amount, label FROM price ORDER BY id"))
        return [tuple(row) for row in found]


START = "INSERT INTO price (id, amount, label) VALUES (1, 10, 'a'), (2, 20, 'b')"


def test_every_method_of_the_repository_is_there() -> None:
    public = {name for name in dir(Repository) if not name.startswith("_")}
    assert public - set(dir(AsyncRepository)) == set()
    for name in public - {"begin", "committing", "connection"}:
        method = inspect.getattr_static(AsyncRepository, name)
        assert method.__doc__, name


async def test_a_session_commits_and_looks_back(engine: AsyncEngine) -> None:
    async with AsyncTemporalSession(engine) as session:
        repo = session.repository
        session.add(Price(id=1, amount=10))
        made = await repo.commit("First", author="ana")
        assert (await repo.head()).uuid == made.uuid
        await repo.tag("v1")
        (await session.get_one(Price, 1)).amount = 11
        await repo.commit("Dearer", author="bo", parent="v1")
        assert [each.message for each in await repo.log(Price, limit=2)] == ["Dearer", "First"]
        assert [ref.name for ref in await repo.tags()] == ["v1"]
        assert "Dearer" in (await repo.graph(limit=1)).text()
        assert (await repo.show("v1")).commit.author == "ana"
        assert (await repo.blame(Price, 1))["amount"].author == "bo"
        assert await repo.is_ancestor("v1", "HEAD")
        session.add(Price(id=2, amount=1))
        with pytest.raises(StaleParentError):
            await repo.commit("Late", parent="v1")


async def test_a_difference_is_streamed(engine: AsyncEngine) -> None:
    values = ", ".join(f"({number}, 1)" for number in range(1200))
    await run(engine, f"INSERT INTO price (id, amount) VALUES {values}")
    async with engine.connect() as connection:
        repo = AsyncRepository(connection)
        diff = await repo.diff("HEAD~1", "HEAD")
        assert [change.key["id"] async for change in diff] == list(range(1200))
        assert len([change async for change in diff.rows("public.price")]) == 1200
        assert (await diff.stats()).rows_added == 1200
        assert await diff.summary() == {"public.price": {"INSERT": 1200, "UPDATE": 0, "DELETE": 0}}
        assert not await diff.is_empty()
        assert await (await repo.diff("HEAD", "HEAD")).is_empty()
        assert (await diff.inverse().stats()).rows_removed == 1200
        assert len([line async for line in diff.to_sql() if "INSERT" in line]) == 1200
        with pytest.raises(TypeError, match="is_empty"):
            bool(diff)


async def test_an_engine_gives_each_operation_its_transaction(engine: AsyncEngine) -> None:
    await run(engine, START)
    await run(engine, "UPDATE price SET amount = 11 WHERE id = 1", "DELETE FROM price WHERE id = 2")
    repo = AsyncRepository(engine)
    before = [(1, 10, "a"), (2, 20, "b")]
    done = await repo.restore("HEAD~1", Price, message="Back")
    assert (await repo.commit_of(done)).message == "Back"
    assert await rows(engine) == before
    await repo.revert("HEAD")
    assert await rows(engine) == [(1, 11, "a")]
    await repo.rollback()
    assert await rows(engine) == before
    await repo.checkout("HEAD~1")
    assert await rows(engine) == [(1, 11, "a")]
    ran = await repo.execute("UPDATE price SET amount = :n", {"n": 5}, message="Five")
    assert (ran.rowcount, (await repo.commit_of(ran)).message) == (1, "Five")
    with pytest.raises(ConfigurationError, match="begin"):
        await repo.log()


async def test_branches_are_merged_with_conflicts(engine: AsyncEngine) -> None:
    await run(engine, START)
    repo = AsyncRepository(engine)
    await repo.switch("spring", create=True)
    await run(engine, "UPDATE price SET amount = 11 WHERE id = 1")
    await repo.switch("main")
    await run(engine, "UPDATE price SET amount = 12 WHERE id = 1")
    assert (await repo.current_branch(), len(await repo.branches())) == ("main", 2)
    assert (await repo.merge("spring", dry_run=True)).status == "conflicts"
    assert (await repo.merge("spring")).status == "conflicts"
    assert (await repo.merging()) is not None
    assert [each.cells for each in await repo.conflicts()] == [{"amount": (10, 12, 11)}]
    assert await repo.resolve(take="theirs") == 1
    merged = await repo.merge_commit()
    assert len((await repo.commit_of(merged)).parents) == 2
    assert await rows(engine) == [(1, 11, "a"), (2, 20, "b")]
    await repo.delete_branch("spring")


async def _fail(repo: AsyncRepository) -> None:
    async with repo.committing("None") as work:
        await (await work.connection()).execute(text("DELETE FROM price"))
        raise ZeroDivisionError


async def test_blocks_are_one_commit_or_none(engine: AsyncEngine) -> None:
    await run(engine, START)
    repo = AsyncRepository(engine)
    async with repo.committing("Both", author="ana") as work:
        connection = await work.connection()
        await connection.execute(text("DELETE FROM price WHERE id = 1"))
    with pytest.raises(ZeroDivisionError):
        await _fail(repo)
    assert await rows(engine) == [(2, 20, "b")]
    async with repo.begin() as bound:
        assert (await bound.head()).message == "Both"


async def test_a_plan_is_looked_at_and_executed(engine: AsyncEngine) -> None:
    await run(engine, START)
    await run(engine, "UPDATE price SET amount = 11 WHERE id = 1")
    async with engine.begin() as connection:
        repo = AsyncRepository(connection)
        plan = await repo.plan("HEAD~1")
        assert bool(plan)
        assert (plan.summary()["public.price"]["UPDATE"], plan.violations) == (1, ())
        assert [(each.operation, each.key) async for each in plan] == [("UPDATE", {"id": 1})]
        await plan.execute()
    assert (await rows(engine))[0] == (1, 10, "a")
    async with AsyncRepository(engine).begin() as repo:
        assert (await repo.plan_revert("HEAD")).summary()["public.price"]["UPDATE"] == 1


async def test_a_session_works_in_its_own_transaction(engine: AsyncEngine) -> None:
    await run(engine, START)
    async with AsyncTemporalSession(engine) as session:
        price = await session.get_one(Price, 1)
        price.amount = 99
        await session.flush()
        done = await session.repository.restore("HEAD")
        await session.refresh(price)
        assert price.amount == 10
        with pytest.raises(CommitError):
            await session.repository.commit_of(done)
        await session.rollback()
    assert (await rows(engine))[0] == (1, 10, "a")


async def test_what_is_recorded_is_proven(engine: AsyncEngine) -> None:
    await run(engine, START)
    async with AsyncTemporalSession(engine) as session:
        repo = session.repository
        assert await repo.hash_commits() >= 1
        kept = (await repo.digest()).to_json()
        assert (await repo.verify(digest=kept)).ok


def test_what_is_not_of_asyncio_is_refused(sqlite_engine: Engine) -> None:
    with pytest.raises(ConfigurationError, match="use Repository"):
        AsyncRepository(sqlite_engine)  # type: ignore[arg-type]
