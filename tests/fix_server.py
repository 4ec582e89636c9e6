"""Databases for tests: one PostgreSQL server per run, an empty database per test.

Which server is taken follows `sqlalchemy_temporal.embedded.postgres_server`; the environment
variable ``SQLALCHEMY_TEMPORAL_SERVER`` (``embedded``, ``local`` or ``docker``) chooses another.
"""

import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from psycopg.conninfo import make_conninfo
from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from sqlalchemy_temporal.embedded import PostgresServer, postgres_server
from sqlalchemy_temporal.errors import ServerUnavailable

# Prepared transactions are off by default, and how they are refused is tested.
_SETTINGS = {"max_prepared_transactions": "20"}
_SERVER = pytest.StashKey[PostgresServer]()
_STARTED = pytest.StashKey[ExitStack]()


@dataclass(frozen=True, slots=True)
class Server:
    """The server of the run.

    Attributes:
        url: Its database of administration, as superuser, for SQLAlchemy with psycopg.
        source: Where it came from: ``embedded``, ``local``, ``docker`` or ``DATABASE_URL``.
        admin: An engine on that database, in autocommit.
        version: The major version of PostgreSQL.
    """

    url: URL
    source: str
    admin: Engine
    version: int

    @property
    def dsn(self) -> str:
        """The address for libpq and its programs, password included."""
        return conninfo(self.url)

    @contextmanager
    def database(self) -> Iterator[URL]:
        """Give a new empty database, and drop it with whatever is still connected to it."""
        name = f"temporal_test_{secrets.token_hex(8)}"
        # Copying files: 12 ms a database. The default, through the log: 25 ms.
        strategy = "STRATEGY file_copy" if self.version >= 15 else ""
        with self.admin.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name} TEMPLATE template0 {strategy}")
        try:
            yield self.url.set(database=name)
        finally:
            with self.admin.connect() as connection:
                connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")


def conninfo(url: URL) -> str:
    """Return an address in the form libpq, its programs and plain psycopg take."""
    query = {name: str(value) for name, value in url.query.items()}
    return make_conninfo(**url.translate_connect_args(username="user", database="dbname"), **query)


def _started(config: pytest.Config) -> PostgresServer:
    """Return the server of this process, started when first asked for."""
    if _SERVER not in config.stash:
        stack = config.stash.setdefault(_STARTED, ExitStack())
        config.stash[_SERVER] = stack.enter_context(postgres_server(settings=_SETTINGS))
    return config.stash[_SERVER]


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of xdist about the one server, which belongs to the controller."""
    try:
        server = _started(node.config)
    except ServerUnavailable as error:
        node.workerinput["server_error"] = str(error)
    else:
        node.workerinput["server_url"] = server.url.render_as_string(hide_password=False)
        node.workerinput["server_source"] = server.source


def pytest_unconfigure(config: pytest.Config) -> None:
    if _STARTED in config.stash:
        config.stash[_STARTED].close()


@pytest.fixture(scope="session")
def server(pytestconfig: pytest.Config) -> Iterator[Server]:
    """The PostgreSQL server shared by all tests of the run."""
    told: dict[str, str] | None = getattr(pytestconfig, "workerinput", None)
    if told is None:
        found = _started(pytestconfig)
    elif "server_error" in told:
        pytest.fail(told["server_error"], pytrace=False)
    else:
        found = PostgresServer(make_url(told["server_url"]), told["server_source"])
    admin = create_engine(found.url, isolation_level="AUTOCOMMIT", pool_size=1)
    with admin.connect() as connection:
        number = int(connection.exec_driver_sql("SHOW server_version_num").scalar_one())
    yield Server(found.url, found.source, admin, number // 10000)
    admin.dispose()


@pytest.fixture
def pg_url(server: Server) -> Iterator[URL]:
    """The URL of an empty PostgreSQL database of the test's own, for psycopg."""
    with server.database() as url:
        yield url


@pytest.fixture
def pg_engine(pg_url: URL) -> Iterator[Engine]:
    """An engine on the test's own PostgreSQL database."""
    engine = create_engine(pg_url)
    yield engine
    engine.dispose()


@pytest_asyncio.fixture(params=["psycopg", "asyncpg"])
async def async_pg_engine(
    pg_url: URL, request: pytest.FixtureRequest
) -> AsyncIterator[AsyncEngine]:
    """An asyncio engine on the test's own PostgreSQL database, with each driver in turn."""
    engine = create_async_engine(pg_url.set(drivername=f"postgresql+{request.param}"))
    yield engine
    await engine.dispose()


@pytest.fixture
def sqlite_engine(tmp_path: Path) -> Iterator[Engine]:
    """An engine on an empty SQLite database in a file of the test's own."""
    engine = create_engine(URL.create("sqlite", database=str(tmp_path / "test.db")))
    yield engine
    engine.dispose()


@pytest.fixture(params=["postgresql", "sqlite"])
def any_engine(request: pytest.FixtureRequest) -> Engine:
    """An engine on an empty database of the test's own, PostgreSQL and SQLite in turn.

    A test marked ``postgresql`` is about something that SQLite has not, and runs on
    PostgreSQL only.
    """
    if request.param == "postgresql":
        found: Engine = request.getfixturevalue("pg_engine")
        return found
    engine: Engine = request.getfixturevalue("sqlite_engine")
    event.listen(engine, "connect", _enforce_foreign_keys)
    return engine


def _enforce_foreign_keys(connection: Any, _: object) -> None:
    connection.execute("PRAGMA foreign_keys = ON")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the SQLite half of tests that are marked ``postgresql``."""
    left_out = [
        item
        for item in items
        if item.get_closest_marker("postgresql")
        and getattr(item, "callspec", None) is not None
        and "sqlite" in item.callspec.params.values()  # type: ignore[attr-defined]
    ]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in set(left_out)]
