"""A database with versioned prices and notes."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, Engine

from sqlalchemy_temporal.repository import Repository
from tests.repository.graphs import tables


@pytest.fixture
def engine(pg_engine: Engine) -> Engine:
    """Two versioned tables without rows; one commit, the set-up."""
    tables().create_all(pg_engine)
    return pg_engine


@pytest.fixture(params=["postgresql", "sqlite"])
def each_engine(request: pytest.FixtureRequest) -> Engine:
    """The same in both databases; modules take it as their ``engine``."""
    name = "pg_engine" if request.param == "postgresql" else "sqlite_engine"
    engine: Engine = request.getfixturevalue(name)
    tables().create_all(engine)
    return engine


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    """A connection in a transaction that is committed at the end."""
    with engine.connect() as connection:
        yield connection
        connection.commit()


@pytest.fixture
def repo(connection: Connection) -> Repository:
    """The repository on that connection."""
    return Repository(connection)
