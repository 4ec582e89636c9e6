"""Models declared with SQLModel."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine

from sqlalchemy_temporal.model.changes import Change
from sqlalchemy_temporal.model.declare import Versioned
from sqlalchemy_temporal.model.history import history_of
from sqlalchemy_temporal.schema import is_versioned, options_of

sqlmodel = pytest.importorskip("sqlmodel")


@pytest.fixture
def hero() -> Iterator[Any]:
    class HeroBase(sqlmodel.SQLModel):  # type: ignore[misc,name-defined]
        name: str = sqlmodel.Field(index=True)

    class Hero(Versioned, HeroBase, table=True):  # type: ignore[call-arg]
        __versioned__ = {"exclude": ["secret"]}
        id: int | None = sqlmodel.Field(default=None, primary_key=True)
        secret: str | None = None

    yield Hero
    sqlmodel.SQLModel.metadata.clear()
    sqlmodel.SQLModel._sa_registry.dispose()


def test_the_table_is_marked(hero: Any) -> None:
    assert is_versioned(hero.__table__)
    options = options_of(hero.__table__)
    assert options is not None
    assert options.exclude == ("secret",)
    assert hero.History is history_of(hero)


def test_fields_are_those_declared(hero: Any) -> None:
    assert set(hero.model_fields) == {"id", "name", "secret"}
    assert hero(name="Ana").model_dump() == {"id": None, "name": "Ana", "secret": None}


def test_versions(hero: Any, pg_engine: Engine) -> None:
    sqlmodel.SQLModel.metadata.create_all(pg_engine)
    with sqlmodel.Session(pg_engine) as session:
        ana = hero(name="Ana", secret="x")
        session.add(ana)
        session.commit()
        ana.name = "Bea"
        session.commit()
        assert [v.name for v in ana.versions] == ["Ana", "Bea"]
        assert ana.versions[1].changeset == {"name": Change("Ana", "Bea")}
