"""Every kind of question gives in the past the answer that it gave when it was present.

Each question is asked of a session and returns plain values. It is asked of a database that
stayed in the first state, and as of the first moment in the one that went on; and of the
second state in both ways.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import (
    Integer,
    String,
    and_,
    bindparam,
    case,
    cast,
    column,
    desc,
    distinct,
    except_,
    exists,
    func,
    intersect,
    lambda_stmt,
    literal,
    not_,
    or_,
    select,
    text,
    true,
    tuple_,
    union,
    union_all,
    values,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import (
    Bundle,
    Session,
    aliased,
    contains_eager,
    defer,
    immediateload,
    joinedload,
    load_only,
    selectin_polymorphic,
    selectinload,
    subqueryload,
    undefer,
    with_loader_criteria,
    with_polymorphic,
)

from sqlalchemy_temporal.reading.as_of import as_of
from tests.reading.asking import plain, rows
from tests.reading.conftest import Zoo
from tests.reading.zoo import (
    Address,
    Box,
    Contract,
    Customer,
    Document,
    Employee,
    Engineer,
    Item,
    Manager,
    Node,
    Order,
    Question,
    SalesBox,
    Stamp,
    Tag,
    Truck,
    Vehicle,
    order_tags,
)

questions: dict[str, Question] = {}


def question(function: Question) -> Question:
    """Register a question under its name."""
    questions[function.__name__] = function
    return function


# ------------------------------------------------------------------------------------- by key


@question
def get(s: Session) -> Any:
    return [plain(s.get(Customer, key)) for key in (1, 2, 3, 4, 5)]


@question
def get_composite_key(s: Session) -> Any:
    return [plain(s.get(Item, key)) for key in ((100, 1), (100, 2), (300, 2), (101, 1), (9, 9))]


@question
def get_twice_is_the_same_object(s: Session) -> Any:
    return s.get(Customer, 1) is s.get(Customer, 1)


@question
def get_many_to_one_from_the_identity_map(s: Session) -> Any:
    customer = s.get_one(Customer, 2)
    return [order.customer is customer for order in customer.orders]


@question
def get_with_options(s: Session) -> Any:
    found = s.get(Customer, 1, options=[joinedload(Customer.orders), undefer(Customer.note)])
    assert found is not None
    return [order.status for order in found.orders], found.note


@question
def get_subclass_of_joined_inheritance(s: Session) -> Any:
    return plain(s.get(Engineer, 2)), plain(s.get(Employee, 1)), plain(s.get(Engineer, 4))


@question
def get_of_the_wrong_class(s: Session) -> Any:
    return s.get(Manager, 2)


@question
def where_key_with_other_conditions(s: Session) -> Any:
    return rows(s, select(Customer.name).where(Customer.id == 1, Customer.credit > 50))


@question
def where_key_under_or(s: Session) -> Any:
    statement = select(Customer.id, Customer.name).where(
        or_(Customer.id == 1, Customer.name == "Ben")
    )
    return rows(s, statement.order_by(Customer.id))


@question
def where_key_negated(s: Session) -> Any:
    return rows(s, select(Customer.id).where(not_(Customer.id == 1)).order_by(Customer.id))


@question
def where_key_of_the_right_side_of_an_outer_join(s: Session) -> Any:
    statement = (
        select(Customer.id, Order.id, Order.status)
        .outerjoin(Customer.orders)
        .where(Order.id == 300)
    )
    return rows(s, statement)


@question
def where_key_of_the_left_side_of_an_outer_join(s: Session) -> Any:
    statement = select(Customer.id, Order.id).outerjoin(Customer.orders).where(Customer.id == 3)
    return rows(s, statement)


@question
def key_in_the_on_of_an_outer_join(s: Session) -> Any:
    statement = (
        select(Customer.id, Order.id, Order.status)
        .outerjoin(Order, and_(Order.customer_id == Customer.id, Order.id == 300))
        .order_by(Customer.id)
    )
    return rows(s, statement)


@question
def left_key_in_the_on_of_an_outer_join(s: Session) -> Any:
    statement = (
        select(Customer.id, Order.id)
        .outerjoin(Order, and_(Order.customer_id == Customer.id, Customer.id == 2))
        .order_by(Customer.id, Order.id)
    )
    return rows(s, statement)


@question
def key_in_a_full_join(s: Session) -> Any:
    statement = (
        select(Customer.id, Order.id)
        .join(Order, and_(Order.customer_id == Customer.id, Customer.id == 2), full=True)
        .order_by(Customer.id.nulls_last(), Order.id)
    )
    return rows(s, statement)


@question
def key_in_where_over_a_full_join(s: Session) -> Any:
    statement = (
        select(Customer.id, Order.id)
        .join(Order, Order.customer_id == Customer.id, full=True)
        .where(Order.id == 300)
    )
    return rows(s, statement)


@question
def key_given_through_a_join(s: Session) -> Any:
    statement = (
        select(Order.id, Customer.name)
        .join(Customer, Customer.id == Order.customer_id)
        .where(Order.customer_id == 2)
        .order_by(Order.id)
    )
    return rows(s, statement)


@question
def key_given_through_an_outer_join_of_an_outer_join(s: Session) -> Any:
    statement = (
        select(Customer.id, Order.id, Item.line)
        .outerjoin(Order, Order.customer_id == Customer.id)
        .outerjoin(Item, Item.order_id == Order.id)
        .where(Customer.id == 3)
        .order_by(Item.line)
    )
    return rows(s, statement)


@question
def contradicting_keys(s: Session) -> Any:
    return rows(s, select(Customer.id).where(Customer.id == 1, Customer.id == 2))


@question
def bind_parameter_given_at_execution(s: Session) -> Any:
    statement = select(Customer.name).where(Customer.id == bindparam("key"))
    return [s.execute(statement, {"key": key}).all() for key in (1, 2, 4)]


# ---------------------------------------------------------------------- one table, many rows


@question
def all_of_each_class(s: Session) -> Any:
    classes: Sequence[Any] = (
        Address, Customer, Order, Item, Tag, Employee, Vehicle, Document, Contract, Node,
        Box, SalesBox, Stamp,
    )  # fmt: skip
    return {
        entity.__name__: sorted(map(plain, s.scalars(select(entity)).unique()), key=repr)
        for entity in classes
    }


@question
def core_select(s: Session) -> Any:
    table: Any = Address.__table__
    return rows(s, select(table).order_by(table.c.id))


@question
def core_association_table(s: Session) -> Any:
    return rows(s, select(order_tags).order_by(*order_tags.c))


@question
def connection_of_the_session(s: Session) -> Any:
    statement = select(Customer.__table__.c.customer_name).order_by("customer_name")
    return [row[0] for row in s.connection().execute(statement)]


@question
def scalar_and_scalars_of_core(s: Session) -> Any:
    table: Any = Tag.__table__
    return (
        s.scalar(select(func.count()).select_from(table)),
        s.scalars(select(table.c.name).order_by(table.c.id)).all(),
    )


@question
def filters_and_order(s: Session) -> Any:
    statement = (
        select(Customer.id, Customer.title, Customer.upper_name)
        .where(Customer.upper_name.like("%A%"), Customer.credit.between(5, 100))
        .order_by(desc(Customer.upper_name))
        .limit(3)
        .offset(0)
    )
    return rows(s, statement)


@question
def order_by_names_and_labels(s: Session) -> Any:
    statement = select(Customer.credit.label("amount"), Customer.id).order_by("amount", text("id"))
    return rows(s, statement)


@question
def in_list_and_tuples(s: Session) -> Any:
    return (
        rows(s, select(Customer.name).where(Customer.id.in_([1, 3, 4])).order_by(Customer.id)),
        rows(
            s,
            select(Item.price)
            .where(tuple_(Item.order_id, Item.line).in_([(100, 1), (200, 1), (300, 2)]))
            .order_by(Item.order_id),
        ),
        rows(s, select(Customer.name).where(Customer.id.in_([]))),
    )


@question
def composite_and_enum_and_json(s: Session) -> Any:
    statement = (
        select(Customer.place, Customer.size, Customer.labels, Customer.extra["k"])
        .where(Customer.extra.has_key("k"))
        .order_by(Customer.id)
    )
    return rows(s, statement)


@question
def distinct_on(s: Session) -> Any:
    statement = select(Address.city, Address.id).order_by(Address.city, Address.id)
    if hasattr(postgresql, "distinct_on"):  # SQLAlchemy 2.1
        return rows(s, statement.ext(postgresql.distinct_on(Address.city)))
    return rows(s, statement.distinct(Address.city))


@question
def count_and_aggregates(s: Session) -> Any:
    return (
        s.scalar(select(func.count()).select_from(Item)),
        s.scalar(select(func.count(distinct(Address.city)))),
        rows(s, select(func.sum(Item.price), func.max(Item.line))),
    )


@question
def group_by_and_having(s: Session) -> Any:
    statement = (
        select(Item.order_id, func.sum(Item.price).label("total"))
        .group_by(Item.order_id)
        .having(func.sum(Item.price) > 3)
        .order_by("total")
    )
    return rows(s, statement)


@question
def group_by_primary_key_selecting_other_columns(s: Session) -> Any:
    statement = (
        select(Customer.id, Customer.name, func.count(Order.id))
        .outerjoin(Order, Order.customer_id == Customer.id)
        .group_by(Customer.id)
        .having(Customer.credit > 5)
        .order_by(Customer.size, Customer.id)
    )
    return rows(s, statement)


@question
def group_by_primary_key_selecting_the_entity(s: Session) -> Any:
    order = aliased(Order)
    statement = (
        select(order, func.count(Item.line))
        .join(Item, Item.order_id == order.id, isouter=True)
        .group_by(order.id)
        .order_by(order.id)
    )
    return [(plain(entity), count) for entity, count in s.execute(statement)]


@question
def group_by_primary_key_with_a_correlated_subquery(s: Session) -> Any:
    total = (
        select(func.sum(Item.price))
        .where(Item.order_id == Order.id, Order.status != "late")
        .scalar_subquery()
    )
    return rows(s, select(Order.id, total).group_by(Order.id).order_by(Order.id))


@question
def group_by_composite_key(s: Session) -> Any:
    statement = select(Item.price, func.count()).group_by(Item.line, Item.order_id)
    return sorted(rows(s, statement))


@question
def group_by_rollup(s: Session) -> Any:
    statement = select(Item.order_id, func.sum(Item.price)).group_by(func.rollup(Item.order_id))
    return sorted(rows(s, statement), key=repr)


@question
def window_functions(s: Session) -> Any:
    statement = select(
        Item.order_id,
        func.row_number().over(partition_by=Item.order_id, order_by=Item.line),
        func.sum(Item.price).over(order_by=Item.order_id, range_=(None, 0)),
    ).order_by(Item.order_id, Item.line)
    return rows(s, statement)


@question
def aggregate_filter_and_order(s: Session) -> Any:
    statement = select(
        func.count().filter(Item.price > 2),
        func.array_agg(Item.price.op("%")(7)),
        func.percentile_disc(0.5).within_group(Item.price),
    )
    (found,) = rows(s, statement)
    return found[0], sorted(found[1]), found[2]


@question
def case_and_cast(s: Session) -> Any:
    statement = select(
        case((Customer.credit > 20, "rich"), else_="poor"), cast(Customer.credit, Integer)
    ).order_by(Customer.id)
    return rows(s, statement)


@question
def whole_row_as_json(s: Session) -> Any:
    table: Any = Address.__table__
    statement = select(func.row_to_json(table.table_valued())).order_by(table.c.id)
    # In the present SQL sees the system column too; the past has the columns of the model.
    return [{**row, "temporal_tx_id": None} for (row,) in rows(s, statement)]


@question
def quoted_names(s: Session) -> Any:
    return rows(s, select(Stamp.value, Stamp.order).where(Stamp.id == 1)), rows(
        s, select(Stamp.__table__).order_by(Stamp.__table__.c.Id)
    )


# ------------------------------------------------------------------------------------- joins


@question
def joins(s: Session) -> Any:
    statement = (
        select(Customer.name, Order.status, Item.price)
        .join(Customer.orders)
        .join(Order.items)
        .where(Item.price > 1)
        .order_by(Item.price, Order.id)
    )
    return rows(s, statement)


@question
def implicit_join(s: Session) -> Any:
    statement = (
        select(Customer.name, Address.city)
        .where(Address.customer_id == Customer.id)
        .order_by(Address.id)
    )
    return rows(s, statement)


@question
def many_to_many_join(s: Session) -> Any:
    statement = select(Order.id, Tag.name).join(Order.tags).order_by(Order.id, Tag.name)
    return rows(s, statement)


@question
def self_join_with_aliases(s: Session) -> Any:
    parent = aliased(Node, name="above")
    statement = select(Node.name, parent.name).join(Node.parent.of_type(parent)).order_by(Node.id)
    return rows(s, statement)


@question
def self_join_by_key_of_the_alias(s: Session) -> Any:
    parent = aliased(Node)
    statement = (
        select(Node.name, parent.name)
        .join(parent, Node.parent_id == parent.id)
        .where(parent.id == 3)
        .order_by(Node.id)
    )
    return rows(s, statement)


@question
def two_tables_of_one_name(s: Session) -> Any:
    statement = select(Box.label, SalesBox.label, SalesBox.id).join(SalesBox.box)
    return rows(s, statement), rows(s, statement.where(SalesBox.id == 1, Box.id == 1))


@question
def table_with_schema_aliased(s: Session) -> Any:
    sold = aliased(SalesBox)
    return rows(s, select(SalesBox.label, sold.label).join(sold, sold.id == SalesBox.id))


@question
def table_with_schema_correlated(s: Session) -> Any:
    sold = aliased(SalesBox)
    label = select(sold.label).where(sold.box_id == Box.id).scalar_subquery()
    node = select(Node.name).where(Node.id == SalesBox.id).scalar_subquery()
    return rows(s, select(Box.label, label)), rows(s, select(SalesBox.label, node))


@question
def lateral_join(s: Session) -> Any:
    dearest = (
        select(Item.price)
        .where(Item.order_id == Order.id)
        .order_by(Item.price.desc())
        .limit(1)
        .lateral("dearest")
    )
    statement = select(Order.id, dearest.c.price).join(dearest, true()).order_by(Order.id)
    return rows(s, statement)


@question
def lateral_of_a_whole_table(s: Session) -> Any:
    other = select(Order.id, Order.customer_id).lateral()
    return rows(
        s,
        select(Customer.name, other.c.id)
        .join(other, other.c.customer_id == Customer.id)
        .order_by(other.c.id),
    )


@question
def outer_join_to_a_join(s: Session) -> Any:
    statement = (
        select(Customer.id, Item.price)
        .outerjoin(Order, Order.customer_id == Customer.id)
        .outerjoin(Item, and_(Item.order_id == Order.id, Item.line == 1))
        .order_by(Customer.id, Item.price)
    )
    return rows(s, statement)


@question
def generated_series_and_values(s: Session) -> Any:
    numbers = func.generate_series(1, 4).table_valued("n", name="n")
    given = values(column("k", Integer), column("v", String), name="given").data(
        [(1, "one"), (2, "two")]
    )
    return (
        rows(
            s,
            select(numbers.c.n, Customer.name)
            .outerjoin_from(numbers, Customer, Customer.id == numbers.c.n)
            .order_by(numbers.c.n),
        ),
        rows(
            s,
            select(given.c.v, Customer.name)
            .join(Customer, Customer.id == given.c.k)
            .order_by(given.c.k),
        ),
        rows(s, select(func.unnest(Customer.labels)).where(Customer.id == 1)),
    )


# --------------------------------------------------------------- subqueries, CTEs, set operations


@question
def subquery_in_from(s: Session) -> Any:
    totals = (
        select(Item.order_id, func.sum(Item.price).label("total"))
        .group_by(Item.order_id)
        .subquery()
    )
    statement = (
        select(Order.id, totals.c.total)
        .outerjoin(totals, totals.c.order_id == Order.id)
        .order_by(Order.id)
    )
    return rows(s, statement)


@question
def entity_from_a_subquery(s: Session) -> Any:
    rich = aliased(Customer, select(Customer).where(Customer.credit > 15).subquery())
    return [plain(c) for c in s.scalars(select(rich).order_by(rich.id))]


@question
def alias_of_a_join(s: Session) -> Any:
    joined = select(Customer.id, Order.status).join(Customer.orders).subquery("joined")
    return sorted(rows(s, select(joined)))


@question
def correlated_subquery_and_column_property(s: Session) -> Any:
    first = (
        select(func.min(Address.city))
        .where(Address.customer_id == Customer.id)
        .correlate(Customer)
        .scalar_subquery()
    )
    return rows(s, select(Customer.id, first, Customer.order_count).order_by(Customer.id))


@question
def exists_any_has(s: Session) -> Any:
    return (
        rows(s, select(Customer.id).where(Customer.orders.any(Order.status == "late"))),
        rows(s, select(Order.id).where(Order.customer.has(Customer.name == "Ben"))),
        rows(s, select(Customer.id).where(~exists().where(Address.customer_id == Customer.id))),
        s.scalar(select(exists().where(Customer.id == 4))),
        rows(s, select(Order.id).where(Order.tags.contains(s.get_one(Tag, 3)))),
    )


@question
def in_subquery(s: Session) -> Any:
    late = select(Order.customer_id).where(Order.status.in_(["late", "paid"]))
    return rows(s, select(Customer.name).where(Customer.id.in_(late)))


@question
def array_of_a_subquery(s: Session) -> Any:
    names = select(Tag.name).order_by(Tag.id).scalar_subquery()
    return rows(s, select(func.array(names)))


@question
def cte(s: Session) -> Any:
    totals = (
        select(Item.order_id, func.sum(Item.price).label("total")).group_by(Item.order_id).cte()
    )
    statement = select(Order.id, totals.c.total).join(totals, totals.c.order_id == Order.id)
    return sorted(rows(s, statement))


@question
def cte_used_twice_and_materialized(s: Session) -> Any:
    customers = select(Customer).cte("customers_then").prefix_with("MATERIALIZED")
    other = customers.alias()
    statement = select(customers.c.customer_name, other.c.credit).join(
        other, other.c.id == customers.c.id
    )
    return sorted(rows(s, statement))


@question
def cte_named_as_the_table(s: Session) -> Any:
    tags = select(Tag.id, Tag.name).where(Tag.id > 1).cte("tags")
    return sorted(rows(s, select(tags.c.name)))


@question
def recursive_cte(s: Session) -> Any:
    tree = select(Node.id, Node.name, literal(0).label("depth")).where(Node.parent_id.is_(None))
    found = tree.cte("tree", recursive=True)
    below = aliased(Node)
    found = found.union_all(
        select(below.id, below.name, found.c.depth + 1).join(found, below.parent_id == found.c.id)
    )
    return rows(s, select(found).order_by(found.c.depth, found.c.id))


@question
def nested_cte(s: Session) -> Any:
    inner = select(Tag.name).where(Tag.id == 2).cte("inner_tags", nesting=True)
    outer = select(inner.c.name).cte("outer_tags")
    return rows(s, select(outer))


@question
def unions(s: Session) -> Any:
    names = select(Customer.name)
    cities = select(Address.city)
    return (
        sorted(rows(s, union(names, cities))),
        sorted(rows(s, union_all(names, cities))),
        sorted(rows(s, except_(cities, select(Address.city).where(Address.id == 10)))),
        sorted(rows(s, intersect(select(Customer.id), select(Order.customer_id)))),
        rows(s, union_all(select(Tag.id), select(Customer.id)).order_by("id").limit(4)),
    )


@question
def union_of_entities(s: Session) -> Any:
    both = union_all(
        select(Customer).where(Customer.id == 1), select(Customer).where(Customer.name == "Ben")
    )
    entity = aliased(Customer, both.subquery())
    return (
        [plain(c) for c in s.scalars(select(entity).order_by(entity.id))],
        sorted(c.name for c in s.scalars(select(Customer).from_statement(both))),
    )


@question
def union_in_a_subquery_with_limits(s: Session) -> Any:
    first = select(Customer.id).order_by(Customer.id).limit(1)
    second = select(Order.id).order_by(Order.id.desc()).limit(1)
    both = union_all(first, second).subquery()
    return sorted(rows(s, select(both)))


# ------------------------------------------------------------------------------- ORM constructs


@question
def from_statement(s: Session) -> Any:
    statement = select(Customer).from_statement(
        select(Customer).where(Customer.id < 3).order_by(Customer.id)
    )
    return [plain(c) for c in s.scalars(statement)]


@question
def bundles(s: Session) -> Any:
    bundle: Any = Bundle("both", Customer.name, Order.status)
    statement = select(bundle).join(Customer.orders).order_by(Order.id)
    return [tuple(row.both) for row in s.execute(statement)]


@question
def legacy_query(s: Session) -> Any:
    query = s.query(Customer).filter(Customer.credit > 5)
    return (
        [plain(c) for c in query.order_by(Customer.id)],
        query.count(),
        s.query(query.exists()).scalar(),
        s.query(Order).join(Order.customer).filter(Customer.id == 2).count(),
        s.query(Order.status).distinct().order_by(Order.status).all(),
    )


@question
def lambda_statement(s: Session) -> Any:
    found = []
    for key in (1, 2, 4):
        statement = lambda_stmt(lambda: select(Customer.name).where(Customer.id == key))  # noqa: B023
        statement += lambda st: st.order_by(Customer.id)
        found.append(s.execute(statement).all())
    return found


@question
def with_entities_and_columns(s: Session) -> Any:
    statement = select(Customer).where(Customer.id < 3).with_only_columns(Customer.name)
    return sorted(rows(s, statement))


@question
def functions_executed_by_themselves(s: Session) -> Any:
    return s.execute(func.lower("ABC")).scalar()


@question
def yield_per_and_partitions(s: Session) -> Any:
    statement = select(Customer).order_by(Customer.id).execution_options(yield_per=2)
    partitions = s.execute(select(Item.price).order_by(Item.price)).partitions(3)
    return [c.name for c in s.scalars(statement)], [len(part) for part in partitions]


@question
def yield_per_with_selectinload(s: Session) -> Any:
    statement = (
        select(Customer)
        .options(selectinload(Customer.addresses))
        .order_by(Customer.id)
        .execution_options(yield_per=2)
    )
    return [[a.city for a in c.addresses] for c in s.scalars(statement)]


@question
def loader_criteria(s: Session) -> Any:
    statement = (
        select(Customer)
        .options(
            selectinload(Customer.addresses),
            with_loader_criteria(Address, Address.city != "Oslo"),
        )
        .order_by(Customer.id)
    )
    return [[a.city for a in c.addresses] for c in s.scalars(statement)]


@question
def relationship_comparison_and_with_parent(s: Session) -> Any:
    customer = s.get_one(Customer, 2)
    return rows(s, select(Order.id).where(Order.customer == customer).order_by(Order.id))


@question
def association_proxy_and_ordering_list(s: Session) -> Any:
    customers = s.scalars(select(Customer).order_by(Customer.id))
    return [(list(c.cities), [a.position for a in c.addresses]) for c in customers]


# -------------------------------------------------------------------------------- inheritance


@question
def joined_inheritance(s: Session) -> Any:
    return (
        [plain(e) for e in s.scalars(select(Employee).order_by(Employee.id))],
        [plain(e) for e in s.scalars(select(Engineer).order_by(Engineer.id))],
        [plain(e) for e in s.scalars(select(Engineer).where(Engineer.id == 2))],
        rows(s, select(Manager.name, Manager.budget)),
    )


@question
def polymorphic_loading(s: Session) -> Any:
    everyone = with_polymorphic(Employee, "*")
    flat = with_polymorphic(Employee, [Engineer], flat=True)
    return (
        [plain(e) for e in s.scalars(select(everyone).order_by(everyone.id))],
        rows(
            s,
            select(everyone.name, everyone.Engineer.language)
            .where(or_(everyone.Engineer.language == "sql", everyone.Manager.budget > 150))
            .order_by(everyone.id),
        ),
        rows(s, select(flat.name, flat.Engineer.language).order_by(flat.id)),
        [
            plain(e)
            for e in s.scalars(
                select(Employee)
                .options(selectin_polymorphic(Employee, [Engineer, Manager]))
                .order_by(Employee.id)
            )
        ],
    )


@question
def of_type_joins(s: Session) -> Any:
    boss, engineer = aliased(Manager, flat=True), aliased(Engineer, flat=True)
    statement = (
        select(Employee.name, boss.budget).join(Employee.boss.of_type(boss)).order_by(Employee.id)
    )
    staff = select(Manager.name, engineer.language).join(Manager.staff.of_type(engineer))
    return rows(s, statement), rows(s, staff)


@question
def single_table_inheritance(s: Session) -> Any:
    return (
        [plain(v) for v in s.scalars(select(Vehicle).order_by(Vehicle.id))],
        [plain(v) for v in s.scalars(select(Truck).order_by(Truck.id))],
        plain(s.get(Truck, 3)),
        s.get(Truck, 1),
    )


@question
def concrete_inheritance(s: Session) -> Any:
    return (
        [plain(d) for d in s.scalars(select(Document))],
        [plain(c) for c in s.scalars(select(Contract))],
    )


# ------------------------------------------------------------------------------ relationships


def graph(s: Session, *options: Any) -> Any:
    """Customers with everything below them, loaded with ``options``."""
    statement = select(Customer).options(*options).order_by(Customer.id)
    return [
        (
            customer.name,
            [address.city for address in customer.addresses],
            [
                (
                    order.status,
                    order.customer.name,
                    [item.price for item in order.items],
                    [tag.name for tag in order.tags],
                )
                for order in customer.orders
            ],
        )
        for customer in s.scalars(statement).unique()
    ]


@question
def lazy_loading(s: Session) -> Any:
    return graph(s)


@question
def joined_loading(s: Session) -> Any:
    below = joinedload(Customer.orders)
    return graph(
        s,
        joinedload(Customer.addresses),
        below.joinedload(Order.items),
        below.joinedload(Order.tags),
    )


@question
def inner_joined_loading(s: Session) -> Any:
    statement = (
        select(Order)
        .options(joinedload(Order.customer, innerjoin=True).joinedload(Customer.addresses))
        .order_by(Order.id)
    )
    return [
        (o.customer.name, [a.city for a in o.customer.addresses])
        for o in s.scalars(statement).unique()
    ]


@question
def joined_loading_with_limit(s: Session) -> Any:
    statement = select(Customer).options(joinedload(Customer.orders)).order_by(Customer.id).limit(2)
    return [[o.status for o in c.orders] for c in s.scalars(statement).unique()]


@question
def selectin_loading(s: Session) -> Any:
    below = selectinload(Customer.orders)
    return graph(
        s,
        selectinload(Customer.addresses),
        below.selectinload(Order.items),
        below.selectinload(Order.tags),
        below.selectinload(Order.customer),
    )


@question
def subquery_loading(s: Session) -> Any:
    below = subqueryload(Customer.orders)
    return graph(
        s,
        subqueryload(Customer.addresses),
        below.subqueryload(Order.items),
        below.subqueryload(Order.tags),
    )


@question
def immediate_loading(s: Session) -> Any:
    return graph(s, immediateload(Customer.addresses), immediateload(Customer.orders))


@question
def eager_loading_from_contained_rows(s: Session) -> Any:
    late = aliased(Order)
    statement = (
        select(Customer)
        .join(Customer.orders.of_type(late))
        .where(late.status != "new")
        .options(contains_eager(Customer.orders.of_type(late)))
        .execution_options(populate_existing=True)
    )
    return [[o.status for o in c.orders] for c in s.scalars(statement).unique()]


@question
def loading_restricted_in_the_option(s: Session) -> Any:
    statement = (
        select(Customer)
        .options(selectinload(Customer.addresses.and_(Address.city == "Oslo")))
        .order_by(Customer.id)
    )
    return [[a.id for a in c.addresses] for c in s.scalars(statement)]


@question
def self_referential_loading(s: Session) -> Any:
    root = s.scalars(
        select(Node)
        .where(Node.parent_id.is_(None))
        .options(selectinload(Node.children, recursion_depth=3))
    ).one()

    def below(node: Node) -> Any:
        return node.name, [below(child) for child in node.children]

    leaf = s.get_one(Node, 4)
    return below(root), leaf.parent and leaf.parent.name


@question
def polymorphic_relationship(s: Session) -> Any:
    return [
        (e.name, plain(e.boss), sorted(x.name for x in e.staff))
        for e in s.scalars(select(Employee).order_by(Employee.id))
    ]


@question
def dynamic_and_write_only_relationships(s: Session) -> Any:
    ben = s.get_one(Customer, 2)
    return (
        [o.id for o in ben.orders_dynamic],
        ben.orders_dynamic.filter(Order.status == "new").count(),
        [o.status for o in s.scalars(ben.orders_written.select())],
    )


# -------------------------------------------------------------------------- refresh and expire


@question
def refresh_and_expire(s: Session) -> Any:
    ana = s.get_one(Customer, 1)
    before = plain(ana)
    s.refresh(ana)
    refreshed = plain(ana)
    s.expire(ana)
    expired = plain(ana)
    s.expire(ana, ["name", "addresses"])
    s.refresh(ana, ["credit", "orders"])
    partly = ana.name, ana.credit, [a.city for a in ana.addresses], [o.id for o in ana.orders]
    s.expire_all()
    return before, refreshed, expired, partly, plain(ana)


@question
def expired_joined_inheritance(s: Session) -> Any:
    engineer = s.get_one(Engineer, 2)
    s.expire(engineer, ["language"])
    first = engineer.language
    s.expire(engineer)
    return first, engineer.name, engineer.language


@question
def deferred_and_partial_loading(s: Session) -> Any:
    ana = s.scalars(select(Customer).options(load_only(Customer.id)).where(Customer.id == 1)).one()
    ben = s.scalars(select(Customer).options(defer(Customer.name)).where(Customer.id == 2)).one()
    return ana.note, ana.name, ana.place, ben.name


@pytest.mark.parametrize("name", list(questions))
def test_as_of_the_first_state_everything_is_as_it_was(both: Zoo, name: str) -> None:
    with Session(both.then) as session:
        expected = questions[name](session)
    with Session(both.engine) as session, as_of(session, both.first) as past:
        assert questions[name](past) == expected


@pytest.mark.parametrize("name", list(questions))
def test_as_of_head_everything_is_as_in_the_present(both: Zoo, name: str) -> None:
    with Session(both.engine) as session:
        expected = questions[name](session)
    with Session(both.engine) as session, as_of(session, both.second) as past:
        assert questions[name](past) == expected


@pytest.mark.parametrize("plan", ["rows", "table"])
@pytest.mark.parametrize("name", list(questions))
def test_the_form_of_the_sql_changes_no_answer(both: Zoo, name: str, plan: Any) -> None:
    with Session(both.engine) as session, as_of(session, both.first) as past:
        expected = questions[name](past)
    with Session(both.engine) as session, as_of(session, both.first, plan=plan) as past:
        assert questions[name](past) == expected


def test_the_two_states_differ_in_most_answers(both: Zoo) -> None:
    """Otherwise the comparisons above would say little."""
    with Session(both.then) as then, Session(both.engine) as now:
        same = [name for name, ask in questions.items() if ask(then) == ask(now)]
    assert len(same) <= len(questions) // 5, same
