"""A table is not known before its versioning began; that is said, not answered with nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, MetaData, Table, func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from sqlalchemy_temporal import (
    BeforeVersioningError,
    Moment,
    TemporalSession,
    Versioned,
    versioned_table,
)


class Base(DeclarativeBase):
    pass


class Old(Versioned, Base):
    __tablename__ = "old"

    id: Mapped[int] = mapped_column(primary_key=True)


class New(Base):
    __tablename__ = "new"

    id: Mapped[int] = mapped_column(primary_key=True)


@pytest.fixture
def session(pg_engine: Engine) -> Iterator[TemporalSession]:
    """A session, with one table versioned from the start and one versioned later."""
    Base.metadata.create_all(pg_engine)
    with TemporalSession(pg_engine) as session:
        session.add_all([Old(id=1), New(id=1)])
        session.commit()
        session.info["before"] = session.head
        session.rollback()
        later = MetaData()
        versioned_table(New.__table__.to_metadata(later))
        later.create_all(pg_engine)
        session.info["later"] = later.tables["new"]
        yield session


def test_a_table_versioned_later_is_refused_before(session: TemporalSession) -> None:
    before: Moment = session.info["before"]
    new: Table = session.info["later"]
    with session.as_of(before.uuid) as past:
        assert past.scalar(select(func.count()).select_from(Old)) == 1
        with pytest.raises(BeforeVersioningError, match=r"'new'.*began later"):
            past.scalar(select(func.count()).select_from(new))
        with pytest.raises(BeforeVersioningError, match="'new'"):
            past.execute(select(Old.id).join(new, new.c.id == Old.id))


def test_it_is_read_from_the_moment_its_versioning_began(session: TemporalSession) -> None:
    new: Table = session.info["later"]
    with session.as_of("HEAD") as past:
        assert past.scalar(select(func.count()).select_from(new)) == 1


def test_its_view_is_refused_before(session: TemporalSession) -> None:
    before: Moment = session.info["before"]
    session.execute(text("SELECT temporal_versioning.travel_to(:uuid)"), {"uuid": str(before.uuid)})
    assert session.scalar(text("SELECT count(*) FROM temporal_as_of.old")) == 1
    with pytest.raises(DBAPIError, match=r"nothing is known of public\.new"):
        session.scalar(text("SELECT count(*) FROM temporal_as_of.new"))
