"""Relationships and loading options of the less common kinds, in the past as in the present."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import bindparam, func, literal, select
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.ext import baked
from sqlalchemy.orm import (
    Session,
    aliased,
    defaultload,
    defer,
    immediateload,
    joinedload,
    lazyload,
    load_only,
    noload,
    raiseload,
    selectin_polymorphic,
    selectinload,
    subqueryload,
    undefer_group,
    with_expression,
    with_loader_criteria,
    with_parent,
    with_polymorphic,
)

from sqlalchemy_temporal.reading.as_of import as_of
from tests.reading.asking import assert_as_it_was, plain, rows
from tests.reading.conftest import Zoo
from tests.reading.zoo import Customer, Employee, Engineer, Manager, Order, Question, Tag
from tests.reading.zoo_relations import Author, Award, Awarded, Book, Film, Medium, Song

questions: dict[str, Question] = {}


def question(function: Question) -> Question:
    """Register a question under its name."""
    questions[function.__name__] = function
    return function


def authors(s: Session, *options: Any) -> list[Author]:
    return list(s.scalars(select(Author).options(*options).order_by(Author.id)).unique())


LOADERS: tuple[Any, ...] = (lazyload, joinedload, selectinload, subqueryload, immediateload)


def in_every_way(s: Session, attribute: Any, show: Any) -> Any:
    """What ``show`` sees, which must not depend on how ``attribute`` is loaded."""
    seen = []
    for load in LOADERS:
        s.expunge_all()
        seen.append([show(author) for author in authors(s, load(attribute))])
    assert all(one == seen[0] for one in seen), dict(zip(LOADERS, seen, strict=True))
    return seen[0]


@question
def keyed_by_an_attribute(s: Session) -> Any:
    return in_every_way(s, Author.by_title, lambda a: {k: b.id for k, b in a.by_title.items()})


@question
def primaryjoin_with_a_condition(s: Session) -> Any:
    return in_every_way(s, Author.english, lambda a: [b.title for b in a.english])


@question
def self_referential_many_to_many(s: Session) -> Any:
    return in_every_way(s, Author.friends, lambda a: [f.name for f in a.friends])


@question
def secondary_that_is_a_mapped_table(s: Session) -> Any:
    return in_every_way(s, Author.awards, lambda a: [w.name for w in a.awards])


@question
def secondary_that_is_a_subquery(s: Session) -> Any:
    return in_every_way(s, Author.won, lambda a: [w.name for w in a.won])


@question
def relationship_to_an_aliased_class(s: Session) -> Any:
    return in_every_way(s, Author.awarded, lambda a: [b.title for b in a.awarded])


@question
def relationship_without_foreign_keys(s: Session) -> Any:
    return in_every_way(s, Author.namesakes, lambda a: sorted(n.id for n in a.namesakes))


@question
def entities_of_an_aliased_subquery(s: Session) -> Any:
    return [plain(b) for b in s.scalars(select(Awarded).order_by(Awarded.id))]


@question
def joins_along_each_relationship(s: Session) -> Any:
    friend, won = aliased(Author), aliased(Award)
    return (
        sorted(rows(s, select(Author.name, friend.name).join(Author.friends.of_type(friend)))),
        sorted(rows(s, select(Author.name, Award.name).join(Author.awards))),
        sorted(rows(s, select(Author.name, won.name).join(Author.won.of_type(won)))),
        sorted(rows(s, select(Author.id, Book.title).join(Author.english))),
        sorted(rows(s, select(Author.id, Awarded.title).join(Author.awarded.of_type(Awarded)))),
    )


@question
def conditions_along_each_relationship(s: Session) -> Any:
    bob = s.get_one(Author, 2)
    conditions = (
        Author.friends.any(Author.name == "Bob"),
        Author.friends.any(Author.name == "Cyd"),
        Author.friends.contains(bob),
        Author.awards.any(Award.name == "gold"),
        Author.english.any(Book.title == "Cap"),
        Author.titles.any(Book.title == "Aim"),
        Author.titles.contains("Bow"),
        ~Author.books.any(),
        Author.id.in_(select(Book.author_id).where(Book.author.has(name="Bob"))),
    )
    return [rows(s, select(Author.id).where(c).order_by(Author.id)) for c in conditions]


@question
def with_parent_of_each_relationship(s: Session) -> Any:
    bob = s.get_one(Author, 2)
    return (
        s.scalars(select(Book.id).where(with_parent(bob, Author.books)).order_by(Book.id)).all(),
        s.scalars(select(Award.id).where(with_parent(bob, Author.awards)).order_by(Award.id)).all(),
    )


@question
def hybrids(s: Session) -> Any:
    statement = select(Book.length, Book.is_in("en")).where(Book.length > 60)
    return sorted(rows(s, statement)), [b.length for b in s.scalars(select(Book).order_by(Book.id))]


@question
def composites(s: Session) -> Any:
    found = [b.pages for b in s.scalars(select(Book).order_by(Book.id))]
    return found, rows(s, select(Book.pages).where(Book.pages == found[0]))


@question
def deferred_groups(s: Session) -> Any:
    first = s.scalars(select(Book).where(Book.id == 1)).one()
    lazily = first.blurb, "review" in first.__dict__
    s.expunge_all()
    undeferred = s.scalars(select(Book).options(undefer_group("texts")).order_by(Book.id))
    return lazily, [b.__dict__["review"] for b in undeferred]


@question
def deferred_column_property(s: Session) -> Any:
    return [a.longest for a in authors(s)], rows(  # type: ignore[attr-defined]
        s,
        select(Author.id, Author.longest).order_by(Author.id),  # type: ignore[attr-defined]
    )


@question
def expressions_given_by_the_query(s: Session) -> Any:
    number = select(func.count(Award.id)).where(Award.book_id == Book.id).scalar_subquery()
    statement = select(Book).options(with_expression(Book.rank, number)).order_by(Book.id)
    return [b.rank for b in s.scalars(statement)]


@question
def options_of_options(s: Session) -> Any:
    s.expunge_all()
    options = (
        selectinload(Author.books).options(defer(Book.title), selectinload(Book.awards)),
        defaultload(Author.books).undefer_group("texts"),
    )
    return [
        [(b.__dict__.get("blurb"), [w.name for w in b.awards], b.title) for b in a.books]
        for a in authors(s, *options)
    ]


@question
def raising_loads(s: Session) -> Any:
    s.expunge_all()
    author = authors(s, raiseload(Author.books))[0]
    with pytest.raises(InvalidRequestError):
        _ = author.books
    book = s.scalars(select(Book).options(load_only(Book.id, raiseload=True))).first()
    with pytest.raises(InvalidRequestError):
        _ = book and book.title
    return [a.name for a in authors(s, raiseload("*"))]


@question
def loads_restricted_to_a_condition(s: Session) -> Any:
    seen = []
    for load in (lazyload, joinedload, selectinload, subqueryload):
        s.expunge_all()
        option = load(Author.books.and_(Book.language == "en"))
        seen.append([[b.title for b in a.books] for a in authors(s, option)])
    assert all(one == seen[0] for one in seen)
    return seen[0]


@question
def criteria_of_the_loader(s: Session) -> Any:
    seen = []
    for load in LOADERS:
        s.expunge_all()
        criteria = with_loader_criteria(Book, lambda cls: cls.language == "en")
        seen.append([[b.title for b in a.books] for a in authors(s, load(Author.books), criteria)])
    assert all(one == seen[0] for one in seen)
    return seen[0], [b.title for b in s.scalars(select(Book).options(criteria).order_by(Book.id))]


@question
def dynamic_and_write_only(s: Session) -> Any:
    bob = s.get_one(Author, 2)
    return (
        [b.title for b in bob.dynamic],
        bob.dynamic.filter_by(language="en").count(),
        bob.dynamic.order_by(None).order_by(Book.id.desc()).first() is not None,
        [b.title for b in s.scalars(bob.written.select().where(Book.language == "en"))],
    )


@question
def abstract_concrete_base(s: Session) -> Any:
    everything: Any = s.scalars(select(Medium)).all()
    return (
        sorted((type(m).__name__, m.id, m.title) for m in everything),
        [plain(f) for f in s.scalars(select(Film))],
        [plain(m) for m in s.scalars(select(Song).where(Song.id == 1))],
        sorted(rows(s, select(Medium.title))),
        plain(s.get(Film, 1)),
    )


@question
def aliases_of_joined_inheritance(s: Session) -> Any:
    flat, nested = aliased(Engineer, flat=True), aliased(Engineer)
    some = with_polymorphic(Employee, [Engineer, Manager], flat=True, innerjoin=False)
    return [
        rows(s, select(e.name, e.language).where(e.id < 4).order_by(e.id)) for e in (flat, nested)
    ], rows(s, select(some.name, some.Manager.budget).order_by(some.id))


@question
def polymorphic_loading_by_a_second_query(s: Session) -> Any:
    s.expunge_all()
    option = selectin_polymorphic(Employee, [Engineer, Manager])
    return [plain(e) for e in s.scalars(select(Employee).options(option).order_by(Employee.id))]


@question
def staff_of_a_type(s: Session) -> Any:
    result = []
    for load in (selectinload, joinedload, subqueryload):
        s.expunge_all()
        option = load(Employee.staff.of_type(Engineer))  # type: ignore[attr-defined]
        statement = select(Employee).options(option).order_by(Employee.id)
        result.append(
            [
                sorted(x.name for x in e.staff)  # type: ignore[attr-defined]
                for e in s.scalars(statement).unique()
            ]
        )
    return result


@question
def query_with_eager_loads_switched_off(s: Session) -> Any:
    query = s.query(Author).options(joinedload(Author.books)).enable_eagerloads(False)
    subquery = query.order_by(None).subquery()
    return sorted(s.query(subquery.c.name).all()), [a.name for a in query.order_by(Author.id)]


@question
def query_of_every_kind(s: Session) -> Any:
    books = s.query(Book)
    query = books.order_by(Book.id)
    return (
        [b.title for b in query.populate_existing().yield_per(1)],
        query.filter_by(language="en").count(),
        sorted(b.title for b in books.filter(Book.id < 2).union(books.filter(Book.id > 2))),
        s.query(Book).join(Author).filter(Author.name == "Bob").with_entities(Book.id).all(),
        s.query(query.filter(Book.language == "en").exists()).scalar(),
        s.query(query.cte("b")).count(),
        query.slice(0, 2).all()[0].title,
        query.with_session(s).first().title,  # type: ignore[union-attr]
    )


bakery = baked.bakery()


@question
def baked_queries(s: Session) -> Any:
    found = []
    for key in (1, 2, 1):
        query = bakery(lambda session: session.query(Book))
        query += lambda q: q.filter(Book.id == bindparam("key"))
        found.append([b.title for b in query(s).params(key=key).all()])
    return found


@question
def refreshing_some_attributes(s: Session) -> Any:
    ada = s.get_one(Author, 1)
    s.refresh(ada, ["name"])
    s.refresh(ada, attribute_names=["books", "friends"])
    with s.no_autoflush:
        titles = [b.title for b in ada.books]
    s.expire(ada, ["books"])
    return ada.name, titles, [b.title for b in ada.books], [f.name for f in ada.friends]


@question
def detached_and_expunged(s: Session) -> Any:
    book = s.get_one(Book, 2)
    s.expunge(book)
    return book.title, s.get_one(Book, 2) is not book


@question
def populate_existing(s: Session) -> Any:
    book = s.get_one(Book, 1)
    again = s.get(Book, 1, populate_existing=True)
    return again is book, book.title


@question
def many_to_many_by_hand(s: Session) -> Any:
    statement = select(Order).options(
        selectinload(Order.tags.and_(Tag.name != "red")), joinedload(Order.customer)
    )
    return [
        (o.customer.name, [t.name for t in o.tags])
        for o in s.scalars(statement.order_by(Order.id)).unique()
    ]


@question
def literal_columns_beside_entities(s: Session) -> Any:
    statement = select(Customer, literal("x").label("x"), Customer.id + 1).order_by(Customer.id)
    return [(c.name, x, n) for c, x, n in s.execute(statement)]


@pytest.mark.parametrize("name", list(questions))
def test_as_it_was(both: Zoo, name: str) -> None:
    assert_as_it_was(both, questions[name])


@pytest.mark.filterwarnings("ignore:.*noload.*")
def test_noload_is_empty_in_the_past_too(both: Zoo) -> None:
    with Session(both.engine) as session, as_of(session, both.first) as past:
        assert [a.books for a in authors(past, noload(Author.books))] == [[], [], []]
