"""A session refuses to write what would not be recorded."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, delete, insert, select, update
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

from sqlalchemy_temporal import (
    MissingTriggerError,
    NotInstalledError,
    SchemaDriftError,
    TemporalSession,
    Versioned,
    sync_versioning,
)


class Base(DeclarativeBase):
    pass


class Item(Versioned, Base):
    __tablename__ = "item"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str | None]


WRITES = {
    "unit of work": lambda s: (s.add(Item(name="x")), s.flush()),
    "bulk insert": lambda s: s.execute(insert(Item), [{"name": "x"}]),
    "bulk update": lambda s: s.execute(update(Item).values(name="y")),
    "bulk delete": lambda s: s.execute(delete(Item)),
    "Core insert": lambda s: s.execute(Item.__table__.insert().values(name="x")),
    "bulk_save_objects": lambda s: s.bulk_save_objects([Item(name="x")]),
}


@pytest.fixture
def sessions(pg_engine: Engine) -> sessionmaker[TemporalSession]:
    Base.metadata.create_all(pg_engine)
    with pg_engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO item (name) VALUES ('a')")
    return sessionmaker(pg_engine, class_=TemporalSession)


@pytest.mark.parametrize("write", WRITES)
def test_a_write_without_its_triggers_is_refused(
    sessions: sessionmaker[TemporalSession], pg_engine: Engine, write: str
) -> None:
    with pg_engine.begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER temporal_capture_update ON item")
    with sessions() as session, pytest.raises(MissingTriggerError, match="temporal_capture_update"):
        WRITES[write](session)
    with pg_engine.begin() as connection:
        sync_versioning(connection, Item.__table__)
    with sessions.begin() as session:
        WRITES[write](session)


def test_reading_needs_no_triggers(
    sessions: sessionmaker[TemporalSession], pg_engine: Engine
) -> None:
    with pg_engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE item DISABLE TRIGGER USER")
    with sessions() as session:
        assert session.scalars(select(Item.name)).all() == ["a"]


def test_a_table_that_was_never_versioned_is_refused(pg_engine: Engine) -> None:
    with pg_engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE item (id serial PRIMARY KEY, name text)")
    with TemporalSession(pg_engine) as session:
        session.add(Item(name="x"))
        with pytest.raises(NotInstalledError, match="create_all"):
            session.commit()


def test_a_model_that_outgrew_its_history_is_refused(
    sessions: sessionmaker[TemporalSession], pg_engine: Engine
) -> None:
    class Grown(DeclarativeBase):
        pass

    class BiggerItem(Versioned, Grown):
        __tablename__ = "item"

        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str | None]
        price: Mapped[int | None]

    with pg_engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE item ADD COLUMN price integer")
    with sessions() as session, pytest.raises(SchemaDriftError, match="price"):
        session.execute(insert(BiggerItem), [{"price": 3}])
