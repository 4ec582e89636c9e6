"""Versions, changesets and blame say what they do not know after a purge."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from sqlalchemy_temporal import (
    PurgedHistoryError,
    TemporalSession,
    Versioned,
    attribute_history,
    blame,
    count_versions,
    purge_history,
    versions_between,
    when_became,
)


class Base(DeclarativeBase):
    pass


class Ware(Versioned, Base):
    __tablename__ = "ware"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    price: Mapped[int]


@pytest.fixture
def session(pg_engine: Engine) -> Iterator[TemporalSession]:
    """A ware priced 1 to 5, one commit each, of which history keeps 3 and 4."""
    Base.metadata.create_all(pg_engine)
    with TemporalSession(pg_engine) as session:
        ware = Ware(id=1, name="cup", price=0)
        session.add(ware)
        moments = []
        for price in range(1, 6):
            ware.price = price
            session.commit()
            moments.append(session.head)
            session.rollback()
        purge_history(pg_engine, moments[2], dry_run=False)
        session.info["moments"] = moments
        yield session


def test_what_the_oldest_version_changed_is_not_known(session: TemporalSession) -> None:
    first, second, third = session.get_one(Ware, 1).versions
    with pytest.raises(PurgedHistoryError, match=r"what .*Ware.* replaced is not known"):
        _ = first.operation
    with pytest.raises(PurgedHistoryError):
        _ = first.changeset
    assert [second.operation, third.operation] == ["UPDATE", "UPDATE"]
    assert second.changeset["price"] == (3, 4)


def test_what_was_inserted_after_the_horizon_is_known(session: TemporalSession) -> None:
    session.add(Ware(id=2, name="pot", price=1))
    session.commit()
    (version,) = session.get_one(Ware, 2).versions
    assert version.operation == "INSERT"
    assert dict(blame(session.get_one(Ware, 2))).keys() == {"id", "name", "price"}
    assert all(blame(session.get_one(Ware, 2)).values())


def test_blame_names_what_was_set_before_the_horizon(session: TemporalSession) -> None:
    found = blame(session.get_one(Ware, 1))
    assert found.purged == {"id", "name"}
    assert found["name"] is None
    assert found["price"] is not None
    assert found["price"].uuid == session.info["moments"][4].uuid


def test_the_history_of_an_attribute_begins_at_the_horizon(session: TemporalSession) -> None:
    ware = session.get_one(Ware, 1)
    assert [(c.old, c.new) for c in attribute_history(ware, "price")] == [(3, 4), (4, 5)]
    found = when_became(ware, "price", 4)
    assert found is not None
    assert found.uuid == session.info["moments"][3].uuid
    for value, first in ((3, False), (4, True)):
        with pytest.raises(PurgedHistoryError, match="became"):
            when_became(ware, "price", value, first=first)


def test_a_period_before_the_horizon_is_refused(session: TemporalSession) -> None:
    moments = session.info["moments"]
    with pytest.raises(PurgedHistoryError, match="'Ware'"):
        versions_between(session, Ware, moments[1].uuid)
    assert count_versions(session, Ware, moments[2].uuid) == 2
    assert count_versions(session, Ware, moments[2].uuid, operation="UPDATE") == 2
    assert count_versions(session, Ware) == 3
    with pytest.raises(PurgedHistoryError, match="inserted"):
        count_versions(session, Ware, operation="INSERT")
