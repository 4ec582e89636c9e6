"""``as_of(Customer, moment)``: several moments in one statement."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import func, select, union_all
from sqlalchemy.orm import (
    Session,
    aliased,
    contains_eager,
    joinedload,
    lazyload,
    selectinload,
    subqueryload,
)

from sqlalchemy_temporal.errors import (
    MomentError,
    ReadOnlyPastError,
    UnsupportedReadError,
    UnversionedTableError,
)
from sqlalchemy_temporal.reading.as_of import as_of
from sqlalchemy_temporal.reading.token import is_past
from sqlalchemy_temporal.session import TemporalSession
from tests.reading.conftest import Zoo
from tests.reading.zoo import (
    Address,
    Contract,
    Customer,
    Employee,
    Engineer,
    Order,
    SalesBox,
    Setting,
    Tag,
    Truck,
    order_tags,
)


@pytest.fixture(params=[Session, TemporalSession])
def session(both: Zoo, request: pytest.FixtureRequest) -> Iterator[Session]:
    with request.param(both.engine) as session:
        yield session


class TestColumns:
    def test_past_and_present(self, both: Zoo, session: Session) -> None:
        then = as_of(Customer, both.first)
        statement = (
            select(then.name, Customer.name)
            .join(Customer, Customer.id == then.id)
            .where(then.name != Customer.name)
        )
        assert session.execute(statement).all() == [("Ana", "Anna")]

    def test_two_moments(self, both: Zoo, session: Session) -> None:
        first, second = as_of(Tag, both.first), as_of(Tag, both.second)
        statement = select(first.name, second.name).join(second, second.id == first.id)
        assert session.execute(statement.where(first.id == 2)).all() == [("green", "lime")]

    def test_rows_that_are_gone(self, both: Zoo, session: Session) -> None:
        then = as_of(Customer, both.first)
        statement = (
            select(then.name)
            .outerjoin(Customer, Customer.id == then.id)
            .where(Customer.id.is_(None))
        )
        assert session.scalars(statement).all() == ["Dan"]

    def test_inside_of_a_session_of_the_past(self, both: Zoo, session: Session) -> None:
        later = as_of(Customer, both.second)
        statement = (
            select(Customer.name, later.name)
            .join(later, later.id == Customer.id)
            .where(Customer.id == 1)
        )
        with as_of(session, both.first) as past:
            assert past.execute(statement).all() == [("Ana", "Anna")]

    def test_each_moment_uses_the_same_compiled_form(self, both: Zoo, session: Session) -> None:
        found = []
        for moment in (both.first, both.second, both.first):
            then = as_of(Customer, moment)
            found.append(session.scalar(select(then.name).where(then.id == 1)))
        assert found == ["Ana", "Anna", "Ana"]

    def test_aggregates_subqueries_and_unions(self, both: Zoo, session: Session) -> None:
        first, second = as_of(Customer, both.first), as_of(Customer, both.second)
        counts = union_all(
            select(func.count()).select_from(first), select(func.count()).select_from(second)
        )
        assert sorted(session.scalars(counts)) == [3, 4]
        names = select(first.id, first.name).subquery()
        assert session.scalar(select(names.c.name).where(names.c.id == 1)) == "Ana"
        richer = select(first.id).where(first.credit < Customer.credit, first.id == Customer.id)
        assert session.scalars(select(Customer.id).where(richer.exists())).all() == [1]

    def test_joined_inheritance(self, both: Zoo, session: Session) -> None:
        first, second = as_of(Engineer, both.first), as_of(Engineer, both.second)
        statement = (
            select(first.name, first.language, second.language)
            .join(second, second.id == first.id)
        )  # fmt: skip
        assert session.execute(statement).all() == [("Eli", "python", "sql")]

    def test_single_table_and_concrete_inheritance(self, both: Zoo, session: Session) -> None:
        truck, contract = as_of(Truck, both.first), as_of(Contract, both.first)
        assert session.execute(select(truck.id, truck.payload)).all() == [(2, 7)]
        assert session.execute(select(contract.amount)).all() == [(5,)]

    def test_relationships_between_moments(self, both: Zoo, session: Session) -> None:
        customer, order = as_of(Customer, both.first), as_of(Order, both.second)
        statement = (
            select(customer.name, order.status)
            .join(customer.orders.of_type(order))
            .where(customer.id == 1)
            .order_by(order.id)
        )
        assert session.execute(statement).all() == [("Ana", "paid"), ("Ana", "late")]

    def test_names_and_schemas(self, both: Zoo, session: Session) -> None:
        then = as_of(SalesBox, both.first, name="sold then")
        statement = select(then.label, SalesBox.label).join(SalesBox, SalesBox.id == then.id)
        assert session.execute(statement).all() == [("sold one", "sold uno")]
        assert '"sold then"' in str(statement.compile(both.engine))

    def test_core_tables(self, both: Zoo, session: Session) -> None:
        then: Any = as_of(order_tags, both.first)
        assert session.scalar(select(func.count()).where(then.c.order_id == 100)) == 1
        with both.engine.connect() as connection:
            assert connection.scalar(select(func.count()).select_from(then)) == 6

    def test_alias_of_an_alias(self, both: Zoo, session: Session) -> None:
        then = as_of(Customer, both.first)
        again = aliased(then)
        statement = select(again.name).where(again.id == 1)
        assert session.scalar(statement) == "Ana"


class TestObjects:
    def test_two_moments_of_a_row_are_two_objects(self, both: Zoo, session: Session) -> None:
        first, second = as_of(Customer, both.first), as_of(Customer, both.second)
        statement = (
            select(first, second, Customer)
            .join(second, second.id == first.id)
            .join(Customer, Customer.id == first.id)
            .where(first.id == 1)
        )
        then, later, now = session.execute(statement).one()
        assert (then.name, later.name, now.name) == ("Ana", "Anna", "Anna")
        assert [is_past(c) for c in (then, later, now)] == [True, True, False]
        assert now in session
        assert then not in session

    def test_what_is_loaded_from_them_is_of_their_moment(self, both: Zoo, session: Session) -> None:
        then = session.scalars(
            select(entity := as_of(Customer, both.first)).where(entity.id == 1)
        ).one()
        assert [a.city for a in then.addresses] == ["city 1", "Oslo"]
        assert [o.tags[0].name for o in then.orders] == ["red"]
        assert (then.note, then.order_count) == ("n1", 1)  # type: ignore[attr-defined]

    def test_the_compiled_form_serves_every_moment(self, both: Zoo, session: Session) -> None:
        for moment, name in ((both.first, "Ana"), (both.second, "Anna"), (both.first, "Ana")):
            entity = as_of(Customer, moment)
            found = session.scalars(select(entity).where(entity.id == 1)).one()
            assert found.name == name
            assert len(found.orders) == (1 if name == "Ana" else 2)

    def test_the_same_moment_gives_the_same_object(self, both: Zoo, session: Session) -> None:
        one, other = (
            session.scalars(select(entity).where(entity.id == 1)).one()
            for entity in (as_of(Customer, both.first), as_of(Customer, both.first))
        )
        assert one is other

    def test_rows_without_the_entity_give_none(self, both: Zoo, session: Session) -> None:
        then = as_of(Tag, both.first)
        session.add(Tag(id=40, name="new"))
        statement = select(Tag.id, then).outerjoin(then, then.id == Tag.id).where(Tag.id == 40)
        assert session.execute(statement).all() == [(40, None)]
        session.rollback()

    def test_polymorphic_objects(self, both: Zoo, session: Session) -> None:
        entity = as_of(Employee, both.first)
        found = session.scalars(select(entity).order_by(entity.id)).all()
        assert [type(e).__name__ for e in found] == ["Manager", "Engineer", "Employee"]
        assert found[1].language == "python"  # type: ignore[attr-defined]

    def test_in_a_session_of_the_past(self, both: Zoo, session: Session) -> None:
        first, second = as_of(Customer, both.first), as_of(Customer, both.second)
        statement = (
            select(first, second, Customer)
            .join(second, second.id == first.id)
            .join(Customer, Customer.id == first.id)
            .where(first.id == 1)
        )
        with as_of(session, both.first) as past:
            one, two, three = past.execute(statement).one()
            assert one is three
            assert (one.name, two.name) == ("Ana", "Anna")
            assert (one.addresses[0].city, two.addresses[0].city) == ("city 1", "Paris")

    def test_legacy_query(self, both: Zoo, session: Session) -> None:
        entity = as_of(Customer, both.first)
        assert [c.name for c in session.query(entity).filter(entity.id == 1)] == ["Ana"]

    def test_selectinload_is_left_to_lazy_loading(self, both: Zoo, session: Session) -> None:
        entity = as_of(Customer, both.first)
        statement = select(entity).options(selectinload(entity.addresses)).where(entity.id == 1)
        assert [a.city for a in session.scalars(statement).one().addresses] == ["city 1", "Oslo"]

    def test_they_cannot_get_into_the_present(self, both: Zoo, session: Session) -> None:
        then = session.scalars(select(as_of(Tag, both.first))).first()
        with pytest.raises(ReadOnlyPastError):
            session.merge(then)

    def test_closing_the_session_ends_them(self, both: Zoo) -> None:
        with TemporalSession(both.engine) as session:
            then = session.scalars(select(as_of(Customer, both.first))).first()
            assert then is not None
        assert then.name
        with pytest.raises(Exception, match="not bound"):
            _ = then.addresses


class TestRefused:
    def test_names_of_moments(self, session: Session) -> None:
        with pytest.raises(MomentError, match=r"session\.moment"):
            as_of(Customer, "HEAD")  # type: ignore[call-overload]

    def test_tables_without_history(self, both: Zoo) -> None:
        with pytest.raises(UnversionedTableError, match="settings"):
            as_of(Setting, both.first)

    def test_other_things(self, both: Zoo) -> None:
        with pytest.raises(UnsupportedReadError):
            as_of("customers", both.first)  # type: ignore[call-overload]
        with pytest.raises(UnsupportedReadError):
            as_of(select(Customer.id).subquery(), both.first)  # type: ignore[call-overload]

    def test_eager_loading_that_would_mix_moments(self, both: Zoo, session: Session) -> None:
        entity, order = as_of(Customer, both.first), as_of(Order, both.first)
        for statement in (
            select(entity).options(joinedload(entity.addresses)),
            select(entity).options(subqueryload(entity.addresses)),
            select(Customer)
            .join(Customer.orders.of_type(order))
            .options(contains_eager(Customer.orders.of_type(order))),
        ):
            with pytest.raises(UnsupportedReadError):
                session.scalars(statement).unique().all()
        statement = select(entity).options(joinedload(entity.addresses), lazyload("*"))
        assert session.scalars(select(entity).options(lazyload("*"))).unique().all()

    def test_present_objects_of_past_rows(self, both: Zoo, session: Session) -> None:
        entity, table = as_of(Tag, both.first), as_of(Tag.__table__, both.first)  # type: ignore[call-overload]
        disguised = aliased(Tag, select(entity).subquery())
        for statement in (
            select(disguised),
            select(Tag).from_statement(select(table)),
            select(aliased(Tag, select(table).cte())),
        ):
            with pytest.raises(UnsupportedReadError, match="Tag objects"):
                session.scalars(statement).all()
        assert session.scalars(select(disguised.name)).all()

    def test_unused_names(self, both: Zoo, session: Session) -> None:
        entity = as_of(Address, both.first)
        assert session.scalar(select(func.count(entity.id))) == 8
