"""Under asyncio the operations run through ``run_sync``, with each driver."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from sqlalchemy_temporal import (
    TemporalTables,
    UnknownOptionError,
    compare_temporal_data,
    disable_temporal_versioning,
    enable_temporal_versioning,
    get_change_history,
    get_row_history,
    get_temporal_status,
    list_temporal_tables,
    query_temporal_data,
    revert_table_data,
)
from tests.tables.fixtures import CUSTOMERS


async def prepared(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        for statement in CUSTOMERS:
            await connection.execute(text(statement))
    async with engine.begin() as connection:
        await connection.run_sync(enable_temporal_versioning, "customers", lock_timeout=5)
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE customers SET name = 'Ann' WHERE id = 1"))


async def test_every_operation_runs_on_a_connection(async_pg_engine: AsyncEngine) -> None:
    await prepared(async_pg_engine)
    async with async_pg_engine.connect() as connection:
        call = connection.run_sync
        assert len(await call(list_temporal_tables)) == 1
        assert (await call(get_temporal_status, "customers")).updates == 1
        then = await call(query_temporal_data, "customers", "HEAD~1")
        assert [row["name"] for row in then] == ["Alice", "Bob"]
        assert (await call(get_change_history, "customers"))[0].changed == ("name",)
        assert len(await call(get_row_history, "customers", "1", "id")) == 2
        assert (await call(compare_temporal_data, "customers", "HEAD~1")).totals.modified == 1
        assert (await call(revert_table_data, "customers", "HEAD~1")).updated == 1
        assert (await call(revert_table_data, "customers", "HEAD~1", dry_run=False)).updated == 1
        await connection.commit()
        now = await call(query_temporal_data, "customers", "HEAD", access="restricted")
        assert [row["name"] for row in now] == ["Alice", "Bob"]
        await call(disable_temporal_versioning, "customers", drop_history=True)
        await connection.commit()


async def test_a_session_and_bound_operations_run_too(async_pg_engine: AsyncEngine) -> None:
    await prepared(async_pg_engine)
    async with AsyncSession(async_pg_engine) as session:
        found = await session.run_sync(
            lambda s: TemporalTables(s, timezone="UTC").get_change_history("customers")
        )
        assert len(found) == 1


async def test_many_rows_are_held_when_asked_to_be(async_pg_engine: AsyncEngine) -> None:
    await prepared(async_pg_engine)
    async with async_pg_engine.begin() as connection:
        await connection.execute(
            text("INSERT INTO customers SELECT i, 'n' FROM generate_series(10, 3009) AS i")
        )
    async with async_pg_engine.connect() as connection:
        found = await connection.run_sync(query_temporal_data, "customers", "HEAD", buffer=None)
        assert len(found) == 3002
        streamed = await connection.run_sync(
            lambda c: sum(1 for _ in query_temporal_data(c, "customers", "HEAD", buffer=10))
        )
        assert streamed == 3002


async def test_an_asyncio_bind_is_refused_with_advice(async_pg_engine: AsyncEngine) -> None:
    with pytest.raises(UnknownOptionError, match="run_sync"):
        list_temporal_tables(async_pg_engine)  # type: ignore[arg-type]
