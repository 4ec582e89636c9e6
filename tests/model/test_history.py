"""``Customer.History``: all versions of an entity as a mapped class."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import (
    Column,
    Engine,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    func,
    inspect,
    select,
)
from sqlalchemy.ext.hybrid import hybrid_method, hybrid_property
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    aliased,
    composite,
    mapped_column,
    registry,
    relationship,
    synonym,
)

from sqlalchemy_temporal.errors import ConfigurationError
from sqlalchemy_temporal.model.declare import Versioned, versioned_table
from sqlalchemy_temporal.model.history import history_of
from sqlalchemy_temporal.model.version import Version
from sqlalchemy_temporal.model.versions import versions_of
from sqlalchemy_temporal.schema import history_table


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
        }
    )


@dataclass
class Point:
    x: int
    y: int


class Place(Versioned, Base):
    __tablename__ = "places"
    __versioned__ = {"exclude": ["seen"]}
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column("name")
    x: Mapped[int] = mapped_column("pos_x", key="east")
    y: Mapped[int] = mapped_column("pos_y")
    picture: Mapped[bytes | None] = mapped_column(deferred=True)
    seen: Mapped[str | None]
    position: Mapped[Point] = composite("x", "y")
    label = synonym("title")
    people: Mapped[list["Person"]] = relationship(back_populates="place")

    @hybrid_property
    def shout(self) -> str:
        return self.title + "!"

    @shout.inplace.expression
    @classmethod
    def _shout(cls) -> Any:
        return func.upper(cls.title) + "!"

    @hybrid_method
    def east_of(self, x: int) -> bool:
        return self.x > x


class Person(Versioned, Base):
    __tablename__ = "people"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(index=True)
    place_id: Mapped[int] = mapped_column(ForeignKey("places.id"))
    place: Mapped[Place] = relationship(back_populates="people")


tags = versioned_table(
    Table(
        "person_tags",
        Base.metadata,
        Column("person_id", ForeignKey("people.id"), primary_key=True),
        Column("tag", String, primary_key=True),
    )
)


@pytest.fixture
def session(any_engine: Engine) -> Iterator[Session]:
    Base.metadata.create_all(any_engine)
    with Session(any_engine) as session:
        yield session


@pytest.fixture
def place(session: Session) -> Place:
    place = Place(id=1, title="Rome", position=Point(1, 2), picture=b"\x00", seen="now")
    session.add(place)
    session.commit()
    place.title, place.position = "Roma", Point(3, 4)
    session.commit()
    return place


class TestTheClass:
    def test_is_the_same_however_asked_for(self) -> None:
        assert Place.History is history_of(Place)
        assert Place.History is Place.History
        assert issubclass(Place.History, Version)

    def test_is_named_after_the_entity(self) -> None:
        history = Place.History
        assert history.__name__ == "PlaceHistory"
        assert (history.__module__, history.__qualname__) == (__name__, "Place.History")

    def test_stays_out_of_the_users_registry_and_metadata(self) -> None:
        history_of(Place)
        assert all(m.class_ is not Place.History for m in Base.registry.mappers)
        assert set(Base.metadata.tables) == {"places", "people", "person_tags"}

    def test_of_something_else_is_refused(self) -> None:
        for thing in (int, Base, Place.History):
            with pytest.raises(ConfigurationError):
                history_of(thing)

    def test_goes_with_the_mapping_of_its_entity(self) -> None:
        mapping = registry()

        class Thing(Versioned):
            pass

        def table() -> Table:
            return Table("things", MetaData(), Column("id", Integer, primary_key=True))

        mapping.map_imperatively(Thing, table())
        before = history_of(Thing)
        mapping.dispose()
        mapping.map_imperatively(Thing, table())
        assert history_of(Thing) is not before

    def test_sees_columns_added_to_the_class_before_it_is_made(self) -> None:
        class Late(DeclarativeBase):
            pass

        class Thing(Versioned, Late):
            __tablename__ = "things"
            id: Mapped[int] = mapped_column(primary_key=True)

        recorded = history_table(Thing.__table__)
        Thing.name = mapped_column(String)
        assert "name" in history_table(Thing.__table__).c
        assert history_table(Thing.__table__) is recorded
        assert Thing.History.name is not None


class TestQueries:
    def test_filter_and_order(self, session: Session, place: Place) -> None:
        history = Place.History
        found = session.scalars(
            select(history).where(history.id == 1).order_by(history.temporal_commit_seq)
        ).all()
        assert [v.title for v in found] == ["Rome", "Roma"]
        assert [v.temporal_operation for v in found] == ["UPDATE", None]
        assert found[0].temporal_end_tx_id == found[1].temporal_tx_id

    def test_columns_and_aggregates(self, session: Session, place: Place) -> None:
        history = Place.History
        counted = select(history.id, func.count(history.title)).group_by(history.id)
        assert session.execute(counted).all() == [(1, 2)]

    def test_session_get_by_key_and_transaction(self, session: Session, place: Place) -> None:
        first = place.versions[0]
        session.expunge_all()
        found = session.get(Place.History, (1, first.temporal_tx_id))
        assert found is not None
        assert found.title == "Rome"

    def test_two_versions_in_one_statement(self, session: Session, place: Place) -> None:
        old, new = aliased(Place.History), aliased(Place.History)
        pairs = select(old.title, new.title).join(
            new, (old.id == new.id) & (old.temporal_end_tx_id == new.temporal_tx_id)
        )
        assert session.execute(pairs).all() == [("Rome", "Roma")]

    def test_join_with_the_present(self, session: Session, place: Place) -> None:
        history = Place.History
        both = select(history.title, Place.title).join(Place, Place.id == history.id)
        assert sorted(session.execute(both).all()) == [("Roma", "Roma"), ("Rome", "Roma")]

    def test_a_refresh_after_commit(self, session: Session, place: Place) -> None:
        version = place.versions[-1]
        place.title = "Romae"
        session.commit()
        assert version.title == "Roma"
        assert version.temporal_operation == "UPDATE"


class TestAttributes:
    def test_have_the_names_of_the_entitys(self, place: Place) -> None:
        names = set(inspect(Place.History).column_attrs.keys())
        assert names == {
            *("id", "title", "x", "y", "picture", "seen"),
            *("temporal_tx_id", "temporal_end_tx_id", "temporal_operation"),
            *("temporal_valid_from", "temporal_valid_to"),
            *("temporal_commit_seq", "temporal_end_commit_seq"),
        }

    def test_composites(self, session: Session, place: Place) -> None:
        assert [v.position for v in place.versions] == [Point(1, 2), Point(3, 4)]
        history = Place.History
        found = select(history.title).where(history.position == Point(1, 2))
        assert session.scalars(found).all() == ["Rome"]

    def test_synonyms(self, session: Session, place: Place) -> None:
        assert place.versions[0].label == "Rome"
        history = Place.History
        found = session.scalars(select(history.label).where(history.label == "Roma"))
        assert found.all() == ["Roma"]

    def test_hybrids(self, session: Session, place: Place) -> None:
        history = Place.History
        assert place.versions[0].shout == "Rome!"
        assert place.versions[0].east_of(0) is True
        assert session.scalars(select(history.id).where(history.shout == "ROME!")).all() == [1]
        assert session.scalars(select(history.title).where(history.east_of(2))).all() == ["Roma"]

    def test_deferred_columns_stay_deferred(self, place: Place) -> None:
        version = place.versions[0]
        assert "picture" in inspect(version).unloaded
        assert version.picture == b"\x00"

    def test_excluded_columns_are_none(self, place: Place) -> None:
        assert [v.seen for v in place.versions] == [None, None]

    def test_the_entity_of_a_versioned_association_table(self, session: Session) -> None:
        mapping = registry()

        class Tag:
            pass

        mapping.map_imperatively(Tag, tags)
        session.add(Person(id=1, name="Ana", place=Place(id=1, title="Rome", x=1, y=1)))
        session.flush()
        session.execute(tags.insert().values(person_id=1, tag="new"))
        session.commit()
        session.execute(tags.delete())
        session.commit()
        (version,) = versions_of(session, Tag, (1, "new"))
        assert version.ended_by == "DELETE"


def test_the_live_table_is_as_declared(session: Session) -> None:
    assert "temporal_tx_id" not in Place.__table__.c
    assert [index.name for index in Person.__table__.indexes] == ["ix_people_name"]
    assert all(isinstance(index, Index) for index in Person.__table__.indexes)
