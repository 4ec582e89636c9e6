"""A small shop, versioned in each kind of capture, on each database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import Column, Engine, ForeignKey, Table, func
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    configure_mappers,
    mapped_column,
    relationship,
    sessionmaker,
)

from sqlalchemy_temporal import Moment, TemporalSession, Versioned, versioned_table


@pytest.fixture(params=["trigger", "orm"])
def capture(request: pytest.FixtureRequest) -> str:
    """What records changes: each kind that tables can be declared with, in turn."""
    kind: str = request.param
    return kind


@dataclass(frozen=True)
class Shop:
    """The models of a test, and sessions on its database.

    ``Item`` has tags (many to many), a serial number and ``parts`` that the database deletes
    with it; ``Gadget`` is an ``Item`` in a second table.
    """

    engine: Engine
    session: sessionmaker[TemporalSession]
    Item: Any
    Gadget: Any
    Part: Any
    Tag: Any

    def commit(self, work: Callable[[TemporalSession], object], **description: Any) -> Moment:
        """Do ``work`` in a transaction, and return the moment after it."""
        with self.session.begin() as session:
            if description:
                session.describe(**description)
            work(session)
        return self.head()

    def head(self) -> Moment:
        with self.session() as session:
            return session.head

    def names(self, when: Any) -> dict[int, str]:
        """Number and name of each item at ``when``."""
        with self.session() as session, session.as_of(when) as past:
            return {item.id: item.name for item in past.query(self.Item)}

    def story(self, key: int) -> list[tuple[str, str]]:
        """Operation and name of each version of an item, oldest first."""
        with self.session() as session:
            item = session.get_one(self.Item, key)
            return [(version.operation, version.name) for version in item.versions]


@pytest.fixture
def shop(any_engine: Engine, capture: str) -> Iterator[Shop]:
    """The shop's tables, created and empty."""

    class Base(DeclarativeBase):
        pass

    options = {"capture": capture}
    item_tag = Table(
        "item_tag",
        Base.metadata,
        Column("item_id", ForeignKey("item.id"), primary_key=True),
        Column("tag_id", ForeignKey("tag.id"), primary_key=True),
    )
    versioned_table(item_tag, **options)  # type: ignore[arg-type]

    class Item(Versioned, Base):
        __tablename__ = "item"
        __versioned__ = options
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "item"}
        id: Mapped[int] = mapped_column(primary_key=True)
        kind: Mapped[str] = mapped_column(default="item")
        name: Mapped[str]
        stock: Mapped[int] = mapped_column(default=0)
        place: Mapped[str] = mapped_column(server_default="shelf")
        edits: Mapped[int] = mapped_column(default=1, onupdate=99)
        tags: Mapped[list[Any]] = relationship("Tag", secondary=item_tag)
        parts: Mapped[list[Any]] = relationship("Part", passive_deletes=True, cascade="all, delete")

    class Gadget(Item):
        __tablename__ = "gadget"
        __mapper_args__ = {"polymorphic_identity": "gadget"}
        id: Mapped[int] = mapped_column(ForeignKey("item.id"), primary_key=True)
        watts: Mapped[int]

    class Part(Versioned, Base):
        __tablename__ = "part"
        __versioned__ = options
        id: Mapped[int] = mapped_column(primary_key=True)
        item_id: Mapped[int] = mapped_column(ForeignKey("item.id", ondelete="CASCADE"))
        length: Mapped[int] = mapped_column(server_default=func.length("four"))

    class Tag(Versioned, Base):
        __tablename__ = "tag"
        __versioned__ = options
        id: Mapped[int] = mapped_column(primary_key=True)

    configure_mappers()
    Base.metadata.create_all(any_engine)
    session = sessionmaker(any_engine, class_=TemporalSession)
    yield Shop(any_engine, session, Item, Gadget, Part, Tag)
    Base.registry.dispose()
