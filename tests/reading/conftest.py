"""A database with two states of the zoo, and what the first one was."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from sqlalchemy import URL, Engine, create_engine
from sqlalchemy.orm import Session

from sqlalchemy_temporal.clock.moment import Moment
from sqlalchemy_temporal.clock.resolve import resolve
from tests.fix_server import Server
from tests.reading import zoo, zoo_relations


@dataclass(frozen=True)
class Zoo:
    """Two databases: one that stayed in the first state, and one that went on.

    Attributes:
        then: the database in the first state.
        engine: the database in the second state.
        first: the moment of the first state in it.
        second: the moment of the second state in it.
        url: its address.
    """

    then: Engine
    engine: Engine
    first: Moment
    second: Moment
    url: URL


def head(engine: Engine) -> Moment:
    with engine.begin() as connection:
        return resolve(connection, "HEAD")


@pytest.fixture(scope="package")
def zoo_databases(server: Server) -> Iterator[Zoo]:
    with server.database() as then_url, server.database() as now_url:
        then, now = create_engine(then_url), create_engine(now_url)
        for engine in (then, now):
            zoo.create_all(engine)
            with Session(engine) as session:
                zoo.first_state(session)
                zoo_relations.first_state(session)
                session.commit()
        first = head(now)
        with Session(now) as session:
            zoo.second_state(session)
            zoo_relations.second_state(session)
            session.commit()
        yield Zoo(then, now, first, head(now), now_url)
        then.dispose()
        now.dispose()


@pytest.fixture
def both(zoo_databases: Zoo) -> Zoo:
    """The two databases; tests leave them as they are."""
    return zoo_databases
