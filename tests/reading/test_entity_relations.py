"""``as_of(Entity, moment)`` with inheritance, relationships and derived attributes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import delete, event, exists, func, insert, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import (
    DeclarativeBase,
    ORMExecuteState,
    Session,
    aliased,
    column_property,
    defer,
    load_only,
    raiseload,
    selectinload,
    undefer,
    with_loader_criteria,
    with_polymorphic,
)

from sqlalchemy_temporal.errors import UnsupportedReadError, UnversionedTableError
from sqlalchemy_temporal.reading.as_of import as_of
from sqlalchemy_temporal.session import TemporalSession
from tests.reading.conftest import Zoo
from tests.reading.zoo import (
    Address,
    Customer,
    Employee,
    Engineer,
    Manager,
    Node,
    Order,
    Setting,
    Tag,
    Truck,
    Vehicle,
    order_tags,
)
from tests.reading.zoo_relations import Author, Book, friendships


@pytest.fixture(params=[Session, TemporalSession])
def session(both: Zoo, request: pytest.FixtureRequest) -> Iterator[Session]:
    with request.param(both.engine) as session:
        yield session


def everyone(moment: Any) -> Any:
    return as_of(with_polymorphic(Employee, [Engineer, Manager]), moment)


class TestInheritance:
    def test_columns_of_subclasses(self, both: Zoo, session: Session) -> None:
        then = everyone(both.first)
        statement = select(then.name, then.Engineer.language, then.Manager.budget).order_by(then.id)
        assert session.execute(statement).all() == [
            ("Mia", None, 100), ("Eli", "python", None), ("Eve", None, None),
        ]  # fmt: skip

    def test_two_moments_beside_each_other(self, both: Zoo, session: Session) -> None:
        first, second = everyone(both.first), everyone(both.second)
        statement = (
            select(first.name, second.name, first.Manager.budget, second.Manager.budget,
                   second.Engineer.language)
            .join(second, second.id == first.id)
            .order_by(first.id)
        )  # fmt: skip
        assert session.execute(statement).all() == [
            ("Mia", "Maya", 100, 200, None), ("Eli", "Eli", None, None, "sql"),
            ("Eve", "Eve", None, None, None),
        ]  # fmt: skip

    def test_conditions_on_subclasses(self, both: Zoo, session: Session) -> None:
        for moment, names in ((both.first, ["Mia"]), (both.second, ["Maya"])):
            then = everyone(moment)
            statement = select(then.name).where(then.Manager.budget.is_not(None))
            assert session.scalars(statement).all() == names

    def test_objects_of_each_class(self, both: Zoo, session: Session) -> None:
        for moment, language, number in ((both.first, "python", 3), (both.second, "sql", 4)):
            then = everyone(moment)
            found: Any = session.scalars(select(then).order_by(then.id)).all()
            assert len(found) == number
            assert [type(e) for e in found[:3]] == [Manager, Engineer, Employee]
            assert found[1].language == language

    def test_inner_joined(self, both: Zoo, session: Session) -> None:
        then = as_of(with_polymorphic(Employee, [Engineer], innerjoin=True), both.first)
        assert session.execute(select(then.id, then.Engineer.language)).all() == [(2, "python")]

    def test_flat_or_not_is_the_same(self, both: Zoo, session: Session) -> None:
        for poly in (
            with_polymorphic(Employee, "*", flat=True),
            with_polymorphic(Employee, "*", aliased=True),
        ):
            then = as_of(poly, both.first)
            assert session.scalars(select(then.Engineer.language).where(then.id == 2)).all() == [
                "python"
            ]

    def test_in_a_session_of_another_moment(self, both: Zoo, session: Session) -> None:
        then = everyone(both.second)
        statement = (
            select(Manager.budget, then.Manager.budget).join(then, then.id == Manager.id)
        )  # fmt: skip
        with as_of(session, both.first) as past:
            assert past.execute(statement).all() == [(100, 200)]

    def test_relationships_of_a_type(self, both: Zoo, session: Session) -> None:
        for moment, expected in (
            (both.first, [("Mia", "python")]),
            (both.second, [("Maya", "sql")]),
        ):
            boss, engineer = as_of(Manager, moment), as_of(Engineer, moment)
            statement = select(boss.name, engineer.language).join(
                boss.staff.of_type(engineer)  # type: ignore[attr-defined]
            )
            assert session.execute(statement).all() == expected

    def test_relationships_of_a_type_between_moments(self, both: Zoo, session: Session) -> None:
        employee, boss = as_of(Employee, both.second), everyone(both.first)
        statement = (
            select(employee.name, boss.name, boss.Manager.budget)
            .outerjoin(employee.boss.of_type(boss))
            .order_by(employee.id)
        )
        assert session.execute(statement).all() == [
            ("Maya", None, None), ("Eli", "Mia", 100), ("Eve", "Eli", None), ("Ada", None, None),
        ]  # fmt: skip

    def test_existence_of_a_type(self, both: Zoo, session: Session) -> None:
        boss = as_of(Employee, both.first)
        engineer = as_of(Engineer, both.first)
        condition = boss.staff.of_type(engineer).any(  # type: ignore[attr-defined]
            engineer.language == "python"
        )
        assert session.scalars(select(boss.name).where(condition)).all() == ["Mia"]

    def test_single_table_subclasses(self, both: Zoo, session: Session) -> None:
        then = as_of(with_polymorphic(Vehicle, [Truck]), both.first)
        payload = select(then.Truck.payload).where(then.Truck.payload > 0)
        assert session.scalars(payload).all() == [7]
        found = session.scalars(select(then).order_by(then.id)).all()
        assert [type(vehicle) for vehicle in found] == [Vehicle, Truck]

    def test_an_alias_is_refused_with_advice(self, both: Zoo) -> None:
        with pytest.raises(UnsupportedReadError, match="mapped class"):
            as_of(aliased(Customer), both.first)


class TestManyToMany:
    """An association table belongs to the entity whose relationship it is."""

    @pytest.mark.parametrize("outer", [False, True])
    def test_both_ends_of_one_moment(self, both: Zoo, session: Session, outer: bool) -> None:
        for moment, expected in (
            (both.first, [(100, "red")]),
            (both.second, [(100, "blue")]),
        ):
            order, tag = as_of(Order, moment), as_of(Tag, moment)
            statement = (
                select(order.id, tag.name)
                .join(order.tags.of_type(tag), isouter=outer)
                .where(order.id == 100)
            )
            assert session.execute(statement).all() == expected
            with as_of(session, both.first) as past:
                assert past.execute(statement).all() == expected

    def test_from_the_past_to_the_present(self, both: Zoo, session: Session) -> None:
        order = as_of(Order, both.first)
        statement = (
            select(order.id, Tag.name).join(order.tags).where(order.id == 200).order_by(Tag.id)
        )
        assert session.execute(statement).all() == [(200, "red"), (200, "lime")]

    def test_from_the_present_to_the_past(self, both: Zoo, session: Session) -> None:
        tag = as_of(Tag, both.first)
        statement = select(Order.id, tag.name).join(Order.tags.of_type(tag)).where(Order.id == 100)
        assert session.execute(statement).all() == [(100, "blue")]

    def test_three_moments(self, both: Zoo, session: Session) -> None:
        first, second = as_of(Order, both.first), as_of(Order, both.second)
        one, two = as_of(Tag, both.first), as_of(Tag, both.first)
        statement = (
            select(one.name, two.name)
            .select_from(first)
            .join(first.tags.of_type(one))
            .join(second, second.id == first.id)
            .join(second.tags.of_type(two))
            .where(first.id == 100)
        )
        assert session.execute(statement).all() == [("red", "blue")]

    def test_self_referential(self, both: Zoo, session: Session) -> None:
        for moment, expected in (
            (both.first, [("Ada", "Bob")]),
            (both.second, [("Ada", "Cyd"), ("Bob", "Ada")]),
        ):
            one, other = as_of(Author, moment), as_of(Author, moment)
            statement = (
                select(one.name, other.name).join(one.friends.of_type(other)).order_by(one.id)
            )
            assert session.execute(statement).all() == expected

    def test_comparisons_are_refused(self, both: Zoo, session: Session) -> None:
        bob = session.get_one(Author, 2)
        then, other = as_of(Author, both.first), as_of(Author, both.first)
        for compare in (
            lambda: then.friends.contains(bob),
            lambda: then.friends.any(Author.name == "Bob"),
            lambda: ~then.friends.any(),
            lambda: then.friends.of_type(other).any(other.name == "Bob"),
            lambda: then.friends == None,  # noqa: E711 - as SQL means it
        ):
            with pytest.raises(UnsupportedReadError, match="association table"):
                compare()

    def test_through_something_else_than_a_versioned_table(
        self, both: Zoo, session: Session
    ) -> None:
        then: Any = as_of(Author, both.first)
        with pytest.raises(UnversionedTableError, match="won"):
            session.execute(select(then.name).join(then.won))

    def test_a_comparison_written_out(self, both: Zoo, session: Session) -> None:
        then, between = as_of(Author, both.first), as_of(friendships, both.first)
        has = exists().where(between.c.one_id == then.id, between.c.other_id == 2)
        assert session.scalars(select(then.name).where(has)).all() == ["Ada"]

    def test_with_further_conditions(self, both: Zoo, session: Session) -> None:
        order, tag = as_of(Order, both.first), as_of(Tag, both.first)
        along = order.tags.of_type(tag).and_(tag.name != "red")
        statement = select(tag.name).select_from(order).join(along).where(order.id == 200)
        assert session.scalars(statement).all() == ["green"]

    def test_an_association_named_by_the_user_is_what_it_says(
        self, both: Zoo, session: Session
    ) -> None:
        order, tag, now = as_of(Order, both.first), as_of(Tag, both.first), order_tags.alias()
        statement = (
            select(order.id, tag.name)
            .join(now, now.c.order_id == order.id)
            .join(tag, tag.id == now.c.tag_id)
            .where(order.id == 100)
        )
        assert session.execute(statement).all() == [(100, "blue")]


class TestDerivedAttributes:
    def test_a_column_property_counts_what_was(self, both: Zoo, session: Session) -> None:
        for moment, number in ((both.first, 1), (both.second, 2)):
            then: Any = as_of(Customer, moment)
            statement = select(then.name, then.order_count).where(then.id == 1)
            assert session.execute(statement).one().order_count == number
            assert session.scalars(
                select(then.id).where(then.order_count == number, then.id == 1)
            ).all()
            with as_of(session, both.first) as past:
                assert past.execute(statement).one().order_count == number

    def test_a_column_property_of_objects(self, both: Zoo, session: Session) -> None:
        first: Any
        for moment, number in ((both.first, 1), (both.second, 2), (both.first, 1)):
            first = as_of(Customer, moment)
            found: Any = session.scalars(select(first).where(first.id == 1)).one()
            assert found.order_count == number

    def test_a_deferred_column_property(self, both: Zoo, session: Session) -> None:
        for moment, pages in ((both.first, 200), (both.second, 150)):
            then: Any = as_of(Author, moment)
            statement = select(then).where(then.id == 1).options(undefer(then.longest))
            assert session.scalars(statement).one().longest == pages
            assert session.scalar(select(then.longest).where(then.id == 1)) == pages

    def test_one_that_reads_a_table_without_history_is_refused(
        self, both: Zoo, session: Session
    ) -> None:
        class Odd(DeclarativeBase):
            pass

        setting: Any = Setting.__table__

        class Label(Odd):
            __table__ = Tag.__table__
            settings = column_property(select(func.count(setting.c.id)).scalar_subquery())

        then: Any = as_of(Label, both.first)
        with pytest.raises(UnversionedTableError, match="settings"):
            session.execute(select(then.settings))
        with pytest.raises(UnversionedTableError, match="settings"):
            session.execute(select(then))
        statement = select(then).options(defer(then.settings)).where(then.id == 2)
        assert session.scalars(statement).one().name == "green"

    def test_hybrids_synonyms_and_composites(self, both: Zoo, session: Session) -> None:
        customer, book = as_of(Customer, both.first), as_of(Book, both.first)
        statement = select(customer.upper_name, customer.title, customer.place)
        assert session.execute(statement.where(customer.id == 1)).one()[:2] == ("ANA", "Ana")
        assert session.scalars(select(book.length).where(book.is_in("fr"))).all() == [199]


class TestGrouping:
    def test_by_the_key_selecting_other_columns(self, both: Zoo) -> None:
        # A new engine: nothing of it has read the past before.
        from sqlalchemy import create_engine

        engine = create_engine(both.url)
        customer, order = as_of(Customer, both.first), as_of(Order, both.second)
        statement = (
            select(customer.id, customer.name, func.count(order.id))
            .outerjoin(order, order.customer_id == customer.id)
            .group_by(customer.id)
            .order_by(customer.id)
        )
        with Session(engine) as session:
            assert session.execute(statement).all() == [
                (1, "Ana", 2), (2, "Ben", 2), (3, "Cleo", 0), (4, "Dan", 0),
            ]  # fmt: skip
        engine.dispose()

    def test_beside_the_present(self, both: Zoo, session: Session) -> None:
        then = as_of(Customer, both.first)
        statement = (
            select(Customer.id, Customer.name, then.name, func.count())
            .join(then, then.id == Customer.id)
            .group_by(Customer.id, then.id)
            .order_by(Customer.id)
        )
        assert session.execute(statement).first() == (1, "Anna", "Ana", 1)


class TestLoading:
    def test_criteria_of_the_statement_hold_for_what_is_loaded_later(
        self, both: Zoo, session: Session
    ) -> None:
        then = as_of(Customer, both.first)
        criteria = with_loader_criteria(Address, Address.city != "Oslo")
        found = session.scalars(select(then).where(then.id == 1).options(criteria)).one()
        assert [a.city for a in found.addresses] == ["city 1"]

    def test_criteria_for_the_entity_itself(self, both: Zoo, session: Session) -> None:
        then = as_of(Address, both.first)
        criteria = with_loader_criteria(
            Address, lambda cls: cls.city != "Oslo", include_aliases=True
        )
        found = session.scalars(select(then).options(criteria).order_by(then.id)).all()
        assert [a.city for a in found] == ["city 1", "city 2", "city 3", "city 4"]

    def test_hooks_of_the_session(self, both: Zoo, session: Session) -> None:
        @event.listens_for(session, "do_orm_execute")
        def only_some(state: ORMExecuteState) -> None:
            state.statement = state.statement.options(
                with_loader_criteria(Address, Address.city != "Oslo", include_aliases=True)
            )

        then = as_of(Address, both.first)
        assert len(session.scalars(select(then)).all()) == 4
        customer = as_of(Customer, both.first)
        ana = session.scalars(select(customer).where(customer.id == 1)).one()
        assert [a.city for a in ana.addresses] == ["city 1"]

    def test_options_about_columns(self, both: Zoo, session: Session) -> None:
        then = as_of(Customer, both.first)
        for option in (
            load_only(then.id), defer(then.name), undefer(then.note), raiseload(then.orders),
            selectinload(then.addresses),
        ):  # fmt: skip
            session.expunge_all()
            found = session.scalars(select(then).where(then.id == 1).options(option)).one()
            assert (found.name, found.note, found.credit) == ("Ana", "n1", 10)

    def test_streamed(self, both: Zoo, session: Session) -> None:
        then = as_of(Customer, both.first)
        statement = select(then).order_by(then.id).execution_options(yield_per=1)
        assert [c.name for c in session.scalars(statement)] == ["Ana", "Ben", "Cleo", "Dan"]

    def test_recursive_queries_over_a_moment(self, both: Zoo, session: Session) -> None:
        then = as_of(Node, both.first)
        tree = select(then.id, then.name).where(then.parent_id.is_(None)).cte(recursive=True)
        below = as_of(Node, both.first)
        tree = tree.union_all(select(below.id, below.name).where(below.parent_id == tree.c.id))
        assert sorted(session.scalars(select(tree.c.name))) == ["leaf", "left", "right", "root"]


class TestWritingFromThePast:
    """In the present, ``as_of()`` may say what is to be written."""

    def test_insert_from_select(self, both: Zoo, session: Session) -> None:
        then = as_of(Tag, both.first)
        statement = insert(Tag).from_select(["id", "name"], select(then.id + 100, then.name))
        session.execute(statement)
        assert session.get_one(Tag, 102).name == "green"
        session.rollback()

    def test_update_from(self, both: Zoo, session: Session) -> None:
        then = as_of(Tag, both.first)
        session.execute(
            update(Tag).where(Tag.id == then.id).values(name=then.name),
            execution_options={"synchronize_session": False},
        )
        assert session.get_one(Tag, 2).name == "green"
        session.rollback()

    def test_delete_what_was_not_there(self, both: Zoo, session: Session) -> None:
        then = as_of(Node, both.first)
        statement = delete(Node).where(~exists().where(then.id == Node.id)).returning(Node.id)
        assert session.scalars(statement).all() == [5]
        session.rollback()

    def test_a_statement_that_locks(self, both: Zoo, session: Session) -> None:
        then = as_of(Tag, both.first)
        statement = select(Tag.name, then.name).join(then, then.id == Tag.id).where(Tag.id == 2)
        assert session.execute(statement.with_for_update(of=Tag)).all() == [("lime", "green")]
        with pytest.raises(DBAPIError):
            session.execute(statement.with_for_update())
        session.rollback()


def test_schema_translation(both: Zoo, session: Session) -> None:
    then = as_of(Tag, both.first)
    with pytest.raises(UnsupportedReadError, match="schema_translate_map"):
        session.execute(
            select(then.name), execution_options={"schema_translate_map": {None: "sales"}}
        )


def test_friendships_by_core(both: Zoo, session: Session) -> None:
    then: Any = as_of(friendships, both.first)
    assert session.execute(select(then)).all() == [(1, 2)]
