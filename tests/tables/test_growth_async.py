"""Through asyncio, with each driver, by ``run_sync``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

from sqlalchemy_temporal import (
    Repository,
    archive_history,
    history_growth,
    partition_history,
    purge_history,
    redact,
)
from tests.tables.shop import items


async def test_history_is_maintained(async_pg_engine: AsyncEngine, tmp_path: Path) -> None:
    async with async_pg_engine.begin() as connection:
        await connection.run_sync(items().create_all)
    for statement in (
        "INSERT INTO item VALUES (1, 'a1'), (2, 'b1')",
        "UPDATE item SET name = 'a2' WHERE id = 1",
        "UPDATE item SET name = 'a3' WHERE id = 1",
    ):
        async with async_pg_engine.begin() as connection:
            await connection.execute(text(statement))

    def maintain(connection: Connection) -> list[Any]:
        return [
            partition_history(connection, "item"),
            redact(connection, "item", 1, ["name"], replacement={"name": "–"}).versions,
            archive_history(connection, "HEAD~1", tmp_path, complete=True).rows,
            purge_history(connection, "HEAD~1", keep_last=2, dry_run=False).removed,
            purge_history(connection, "HEAD~1", dry_run=False).removed,
            history_growth(connection, "item").versions,
        ]

    async with async_pg_engine.begin() as connection:
        assert await connection.run_sync(maintain) == [2, 3, 3, 1, 0, 2]
    async with async_pg_engine.connect() as connection:
        assert await connection.run_sync(lambda c: Repository(c).verify().ok)
