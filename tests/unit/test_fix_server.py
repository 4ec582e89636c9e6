"""The fixtures give databases of a test's own."""

import psycopg
import pytest
from sqlalchemy import URL, Engine, create_engine, inspect, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.fix_server import Server


def test_each_database_is_empty_and_its_own(server: Server) -> None:
    with server.database() as first, server.database() as second:
        for url in (first, second):
            engine = create_engine(url)
            with engine.begin() as connection:
                assert inspect(connection).get_table_names() == []
                connection.execute(text("CREATE TABLE t (a int)"))
            engine.dispose()


def test_a_database_goes_with_its_test_even_while_connected(server: Server) -> None:
    with server.database() as url:
        engine = create_engine(url)
        connection = engine.connect()
    connection.invalidate()
    connection.close()
    with pytest.raises(OperationalError, match="does not exist"):
        engine.connect()
    engine.dispose()


def test_dsn_is_understood_by_libpq(server: Server) -> None:
    connection = psycopg.connect(server.dsn)
    assert connection.execute("SELECT current_setting('is_superuser')").fetchone() == ("on",)
    connection.close()


def test_pg_engine_speaks_psycopg_in_utf8(pg_engine: Engine, pg_url: URL) -> None:
    assert pg_engine.url == pg_url
    assert pg_engine.driver == "psycopg"
    with pg_engine.connect() as connection:
        assert connection.scalar(text("SHOW server_encoding")) == "UTF8"


async def test_async_pg_engine_connects(async_pg_engine: AsyncEngine) -> None:
    async with async_pg_engine.connect() as connection:
        assert await connection.scalar(text("SELECT 1")) == 1


def test_sqlite_engine_is_a_file(sqlite_engine: Engine) -> None:
    with sqlite_engine.begin() as connection:
        connection.execute(text("CREATE TABLE t (a int)"))
    assert sqlite_engine.url.database is not None
    assert inspect(sqlite_engine).get_table_names() == ["t"]
