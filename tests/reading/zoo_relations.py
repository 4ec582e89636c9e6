"""Models whose mappings and relationships reach their tables by less common ways."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, ForeignKey, Table, and_, func, select
from sqlalchemy.ext.associationproxy import AssociationProxy, association_proxy
from sqlalchemy.ext.declarative import AbstractConcreteBase
from sqlalchemy.ext.hybrid import hybrid_method, hybrid_property
from sqlalchemy.orm import (
    DynamicMapped,
    Mapped,
    Session,
    WriteOnlyMapped,
    aliased,
    attribute_keyed_dict,
    column_property,
    composite,
    foreign,
    mapped_column,
    query_expression,
    relationship,
    remote,
)

from sqlalchemy_temporal.model.declare import Versioned, versioned_table
from tests.reading.zoo import Base

friendships = versioned_table(
    Table(
        "friendships",
        Base.metadata,
        Column("one_id", ForeignKey("authors.id"), primary_key=True),
        Column("other_id", ForeignKey("authors.id"), primary_key=True),
    )
)


@dataclass
class Span:
    first: int
    last: int


class Award(Versioned, Base):
    __tablename__ = "awards"
    id: Mapped[int] = mapped_column(primary_key=True)
    book_id: Mapped[int] = mapped_column(ForeignKey("books.id"))
    name: Mapped[str]


class Book(Versioned, Base):
    __tablename__ = "books"
    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int] = mapped_column(ForeignKey("authors.id"))
    title: Mapped[str]
    language: Mapped[str]
    first_page: Mapped[int] = mapped_column(default=1)
    last_page: Mapped[int]
    blurb: Mapped[str | None] = mapped_column(deferred=True, deferred_group="texts")
    review: Mapped[str | None] = mapped_column(deferred=True, deferred_group="texts")
    pages: Mapped[Span] = composite("first_page", "last_page")
    author: Mapped[Author] = relationship(back_populates="books")
    awards: Mapped[list[Award]] = relationship(order_by="Award.id")
    rank: Mapped[int | None] = query_expression()

    @hybrid_property
    def length(self) -> int:
        return self.last_page - self.first_page

    @hybrid_method
    def is_in(self, language: str) -> bool:
        return self.language == language


class Author(Versioned, Base):
    __tablename__ = "authors"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    books: Mapped[list[Book]] = relationship(back_populates="author", order_by="Book.id")
    by_title: Mapped[dict[str, Book]] = relationship(
        collection_class=attribute_keyed_dict("title"), viewonly=True
    )
    english: Mapped[list[Book]] = relationship(
        primaryjoin=lambda: and_(Author.id == Book.author_id, Book.language == "en"),
        order_by="Book.id",
        viewonly=True,
    )
    friends: Mapped[list[Author]] = relationship(
        secondary=friendships,
        primaryjoin=lambda: Author.id == friendships.c.one_id,
        secondaryjoin=lambda: Author.id == friendships.c.other_id,
        order_by="Author.id",
    )
    awards: Mapped[list[Award]] = relationship(
        secondary=lambda: Book.__table__, viewonly=True, order_by="Award.id"
    )
    titles: AssociationProxy[list[str]] = association_proxy("books", "title")
    namesakes: Mapped[list[Author]] = relationship(
        primaryjoin=lambda: and_(
            remote(foreign(Author.name)) == Author.name, remote(Author.id) != Author.id
        ),
        viewonly=True,
        uselist=True,
    )
    dynamic: DynamicMapped[Book] = relationship(viewonly=True, order_by="Book.id")
    written: WriteOnlyMapped[Book] = relationship(viewonly=True, order_by="Book.id")


Author.longest = column_property(
    select(func.max(Book.last_page))
    .where(Book.author_id == Author.id)
    .correlate_except(Book)
    .scalar_subquery(),
    deferred=True,
)
_awarded = (
    select(Book, func.count(Award.id).label("number"))
    .join(Award, Award.book_id == Book.id)
    .group_by(Book.id)
    .subquery("awarded")
)
Awarded: Any = aliased(Book, _awarded)
Author.awarded = relationship(
    Awarded, primaryjoin=Author.id == _awarded.c.author_id, viewonly=True, order_by=_awarded.c.id
)
_joined = select(Book.author_id, Award.id.label("award_id")).join(Book.awards).subquery("won")
Author.won = relationship(
    Award,
    secondary=_joined,
    primaryjoin=Author.id == _joined.c.author_id,
    secondaryjoin=Award.id == _joined.c.award_id,
    viewonly=True,
    order_by=Award.id,
)


class Medium(AbstractConcreteBase, Base):
    """The base of two tables, whose rows are read by a UNION of both."""

    strict_attrs = True
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]


class Film(Versioned, Medium):
    __tablename__ = "films"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    minutes: Mapped[int]
    __mapper_args__ = {"concrete": True, "polymorphic_identity": "film"}


class Song(Versioned, Medium):
    __tablename__ = "songs"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    album: Mapped[str]
    __mapper_args__ = {"concrete": True, "polymorphic_identity": "song"}


def first_state(session: Session) -> None:
    """Fill the tables."""
    ada = Author(id=1, name="Ada")
    bob = Author(id=2, name="Bob")
    cyd = Author(id=3, name="Ada")
    ada.friends = [bob]
    session.add_all([ada, bob, cyd])
    for number, (author, title, language) in enumerate(
        ((ada, "Aim", "en"), (ada, "Bow", "fr"), (bob, "Cap", "en")), 1
    ):
        session.add(
            Book(
                id=number, author=author, title=title, language=language, last_page=number * 100,
                blurb=f"blurb {number}", review=f"review {number}",
            )
        )  # fmt: skip
    session.flush()
    session.add_all([Award(id=1, book_id=1, name="gold"), Award(id=2, book_id=3, name="silver")])
    session.add_all([Film(id=1, title="Film", minutes=90), Song(id=1, title="Song", album="A")])


def second_state(session: Session) -> None:
    """Change rows of every table."""
    ada, bob, cyd = (session.get_one(Author, i) for i in (1, 2, 3))
    aim, bow, cap = (session.get_one(Book, i) for i in (1, 2, 3))
    aim.title, aim.last_page, aim.blurb, aim.review = "Aims", 150, "b", "r"
    bow.author, bow.language, bow.pages = bob, "en", Span(5, 50)
    cap.language = "fr"
    ada.friends = [cyd]
    bob.friends = [ada]
    cyd.name = "Cyd"
    session.get_one(Award, 1).book_id = 2
    session.add(Award(id=3, book_id=3, name="bronze"))
    session.get_one(Film, 1).minutes = 91
    session.get_one(Song, 1).title = "Singing"
    session.add(Song(id=2, title="New", album="B"))
