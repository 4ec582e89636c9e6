"""A model whose table was disabled: its past is read, its versions are said to be elsewhere."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

from sqlalchemy_temporal import (
    TemporalSession,
    TemporalTables,
    Versioned,
    attribute_history,
    blame,
    count_versions,
    versions_between,
)
from sqlalchemy_temporal.errors import NotInstalledError, VersioningGapError


class Base(DeclarativeBase):
    pass


class Price(Versioned, Base):
    __tablename__ = "price"
    id: Mapped[int] = mapped_column(primary_key=True)
    amount: Mapped[int]


@pytest.fixture
def sessions(any_engine: Engine) -> sessionmaker[TemporalSession]:
    Base.metadata.create_all(any_engine)
    made = sessionmaker(any_engine, class_=TemporalSession)
    with made.begin() as session:
        session.add(Price(id=1, amount=10))
    with made.begin() as session:
        session.get_one(Price, 1).amount = 11
    TemporalTables(any_engine).disable_temporal_versioning("price")
    return made


def test_the_past_is_read_as_before(sessions: sessionmaker[TemporalSession]) -> None:
    with sessions() as session:
        with session.as_of("HEAD~2") as past:
            assert past.get_one(Price, 1).amount == 10
        with session.as_of("HEAD") as past, pytest.raises(VersioningGapError):
            past.get_one(Price, 1)


QUESTIONS: dict[str, Callable[[TemporalSession, Price], Any]] = {
    "versions": lambda _, price: list(price.versions),
    "count": lambda session, _: count_versions(session, Price),
    "between": lambda session, _: versions_between(session, Price, "HEAD~3"),
    "blame": lambda _, price: blame(price),
    "attribute": lambda _, price: attribute_history(price, "amount"),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_versions_are_said_to_be_read_otherwise(
    sessions: sessionmaker[TemporalSession], name: str
) -> None:
    with sessions() as session:
        price = session.get_one(Price, 1)
        with pytest.raises(NotInstalledError, match="get_row_history"):
            QUESTIONS[name](session, price)


def test_the_history_of_the_row_is_there(sessions: sessionmaker[TemporalSession]) -> None:
    with sessions() as session:
        told = TemporalTables(session).get_row_history("price", 1)
        assert [change.operation for change in told] == ["INSERT", "UPDATE"]
