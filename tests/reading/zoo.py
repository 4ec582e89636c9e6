"""A zoo of models with every kind of mapping, and two states of their data."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    Column,
    ForeignKey,
    MetaData,
    Numeric,
    String,
    Table,
    func,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.ext.associationproxy import AssociationProxy, association_proxy
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.ext.orderinglist import ordering_list
from sqlalchemy.orm import (
    DeclarativeBase,
    DynamicMapped,
    Mapped,
    MappedAsDataclass,
    Session,
    WriteOnlyMapped,
    column_property,
    composite,
    mapped_column,
    relationship,
    synonym,
)

from sqlalchemy_temporal.model.declare import Versioned, versioned_table


class Base(DeclarativeBase):
    metadata = MetaData()


class DataclassBase(MappedAsDataclass, DeclarativeBase):
    metadata = Base.metadata


order_tags = versioned_table(
    Table(
        "order_tags",
        Base.metadata,
        Column("order_id", ForeignKey("orders.id"), primary_key=True),
        Column("tag_id", ForeignKey("tags.id"), primary_key=True),
    )
)


class Size(enum.Enum):
    SMALL = "small"
    LARGE = "large"


@dataclass
class Point:
    x: int
    y: int


class Address(Versioned, Base):
    __tablename__ = "addresses"
    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"))
    city: Mapped[str]
    position: Mapped[int]
    customer: Mapped[Customer] = relationship(back_populates="addresses")


class Customer(Versioned, Base):
    __tablename__ = "customers"
    __versioned__ = {"exclude": ["last_seen"]}
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column("customer_name", String(50))
    credit: Mapped[Decimal] = mapped_column(Numeric(10, 2))
    last_seen: Mapped[str | None]
    note: Mapped[str | None] = mapped_column(deferred=True)
    x: Mapped[int] = mapped_column(default=0)
    y: Mapped[int] = mapped_column(default=0)
    size: Mapped[Size] = mapped_column(default=Size.SMALL)
    labels: Mapped[list[str] | None] = mapped_column(ARRAY(String))
    extra: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    place: Mapped[Point] = composite("x", "y")
    title: Mapped[str] = synonym("name")
    addresses: Mapped[list[Address]] = relationship(
        back_populates="customer",
        order_by=(Address.position, Address.id),
        collection_class=ordering_list("position"),
        cascade="all",
    )
    orders: Mapped[list[Order]] = relationship(back_populates="customer", order_by="Order.id")
    orders_dynamic: DynamicMapped[Order] = relationship(viewonly=True, order_by="Order.id")
    orders_written: WriteOnlyMapped[Order] = relationship(viewonly=True, order_by="Order.id")
    cities: AssociationProxy[list[str]] = association_proxy("addresses", "city")

    @hybrid_property
    def upper_name(self) -> str:
        return self.name.upper()

    @upper_name.inplace.expression
    @classmethod
    def _upper_name(cls) -> Any:
        return func.upper(cls.name)


class Order(Versioned, Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"))
    status: Mapped[str]
    customer: Mapped[Customer] = relationship(back_populates="orders")
    items: Mapped[list[Item]] = relationship(
        back_populates="order", order_by="Item.line", cascade="all, delete-orphan"
    )
    tags: Mapped[list[Tag]] = relationship(secondary=order_tags, order_by="Tag.name")


class Item(Versioned, Base):
    """An association with columns of its own, and a composite key."""

    __tablename__ = "items"
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"), primary_key=True)
    line: Mapped[int] = mapped_column(primary_key=True)
    price: Mapped[int]
    order: Mapped[Order] = relationship(back_populates="items")


class Tag(Versioned, Base):
    __tablename__ = "tags"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


Customer.order_count = column_property(
    select(func.count(Order.id))
    .where(Order.customer_id == Customer.id)
    .correlate_except(Order)
    .scalar_subquery()
)


class Employee(Versioned, Base):
    __tablename__ = "employees"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    kind: Mapped[str]
    boss_id: Mapped[int | None] = mapped_column(ForeignKey("employees.id"))
    boss: Mapped[Employee | None] = relationship(remote_side="Employee.id", backref="staff")
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "employee"}


class Engineer(Employee):
    __tablename__ = "engineers"
    id: Mapped[int] = mapped_column(ForeignKey("employees.id"), primary_key=True)
    language: Mapped[str]
    __mapper_args__ = {"polymorphic_identity": "engineer"}


class Manager(Employee):
    __tablename__ = "managers"
    id: Mapped[int] = mapped_column(ForeignKey("employees.id"), primary_key=True)
    budget: Mapped[int]
    __mapper_args__ = {"polymorphic_identity": "manager"}


class Vehicle(Versioned, Base):
    __tablename__ = "vehicles"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    name: Mapped[str]
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "vehicle"}


class Truck(Vehicle):
    payload: Mapped[int | None]
    __mapper_args__ = {"polymorphic_identity": "truck"}


class Document(Versioned, Base):
    __tablename__ = "documents"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]


class Contract(Document):
    __tablename__ = "contracts"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    amount: Mapped[int]
    __mapper_args__ = {"concrete": True}


class Node(Versioned, Base):
    __tablename__ = "nodes"
    id: Mapped[int] = mapped_column(primary_key=True)
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("nodes.id"))
    name: Mapped[str]
    children: Mapped[list[Node]] = relationship(back_populates="parent", order_by="Node.id")
    parent: Mapped[Node | None] = relationship(back_populates="children", remote_side="Node.id")


class Box(Versioned, Base):
    """One of two tables of one name."""

    __tablename__ = "boxes"
    id: Mapped[int] = mapped_column(primary_key=True)
    label: Mapped[str]


class SalesBox(Versioned, Base):
    __tablename__ = "boxes"
    __table_args__ = {"schema": "sales"}
    id: Mapped[int] = mapped_column(primary_key=True)
    box_id: Mapped[int] = mapped_column(ForeignKey("boxes.id"))
    label: Mapped[str]
    box: Mapped[Box] = relationship()


class Stamp(Versioned, DataclassBase):
    """A mapped dataclass with names that need quoting."""

    __tablename__ = "Stamp Book"
    id: Mapped[int] = mapped_column("Id", primary_key=True, init=False)
    value: Mapped[str] = mapped_column("values")
    order: Mapped[int] = mapped_column(default=0)


class Setting(Base):
    """Without history."""

    __tablename__ = "settings"
    id: Mapped[int] = mapped_column(primary_key=True)
    value: Mapped[str]


def first_state(session: Session) -> None:
    """Fill the tables."""
    tags = [Tag(id=i, name=name) for i, name in enumerate(("red", "green", "blue"), 1)]
    session.add_all(tags)
    for number, name in enumerate(("Ana", "Ben", "Cleo", "Dan"), 1):
        customer = Customer(
            id=number,
            name=name,
            credit=Decimal(number * 10),
            last_seen="now",
            note=f"n{number}",
            place=Point(number, -number),
            size=Size.SMALL,
            labels=["a", name],
            extra={"k": number},
        )
        customer.addresses.append(Address(id=number * 10, city=f"city {number}"))
        customer.addresses.append(Address(id=number * 10 + 1, city="Oslo"))
        customer.orders.append(Order(id=number * 100, status="new", tags=tags[: number % 4]))
        customer.orders[0].items.append(Item(line=1, price=number))
        customer.orders[0].items.append(Item(line=2, price=number * 2))
        session.add(customer)
    boss = Manager(id=1, name="Mia", budget=100)
    session.add_all(
        [
            boss,
            Engineer(id=2, name="Eli", language="python", boss=boss),
            Employee(id=3, name="Eve", boss=boss),
            Vehicle(id=1, name="bike"),
            Truck(id=2, name="big", payload=7),
            Document(id=1, title="doc"),
            Contract(id=1, title="contract", amount=5),
            Box(id=1, label="one"),
            SalesBox(id=1, box_id=1, label="sold one"),
            Stamp(value="first", order=3),
            Setting(id=1, value="old"),
        ]
    )
    root = Node(id=1, name="root")
    root.children = [Node(id=2, name="left"), Node(id=3, name="right")]
    root.children[0].children = [Node(id=4, name="leaf")]
    session.add(root)


def second_state(session: Session) -> None:
    """Change rows of every table: update, delete, insert, move."""
    ana, ben, cleo = (session.get_one(Customer, i) for i in (1, 2, 3))
    ana.name, ana.credit, ana.place, ana.size = "Anna", Decimal(99), Point(7, 8), Size.LARGE
    ana.note, ana.labels, ana.extra, ana.last_seen = "changed", ["z"], {"k": "new"}, "later"
    ana.addresses[0].city = "Paris"
    session.delete(ana.addresses[1])
    ana.orders.append(Order(id=101, status="late", items=[Item(line=1, price=50)]))
    ana.orders[0].status = "paid"
    ana.orders[0].tags = [session.get_one(Tag, 3)]
    ben.orders[0].items[0].price = 1000
    session.delete(cleo.orders[0].items[1])
    cleo.orders[0].customer = ben
    cleo.addresses[0].customer = ben
    session.get_one(Tag, 2).name = "lime"
    session.flush()
    for entity, key, changes in (
        (Employee, 1, {"name": "Maya", "budget": 200}),
        (Employee, 2, {"language": "sql"}),
        (Employee, 3, {"boss_id": 2}),
        (Vehicle, 2, {"payload": 8}),
        (Vehicle, 1, {"name": "trike"}),
        (Document, 1, {"title": "doc 2"}),
        (Contract, 1, {"amount": 6}),
        (Node, 4, {"parent_id": 3}),
        (Node, 1, {"name": "ROOT"}),
        (Box, 1, {"label": "uno"}),
        (SalesBox, 1, {"label": "sold uno"}),
        (Stamp, 1, {"value": "second"}),
        (Setting, 1, {"value": "new"}),
    ):
        instance: Any = session.get_one(entity, key)
        for name, value in changes.items():
            setattr(instance, name, value)
    session.add_all(
        [
            Engineer(id=4, name="Ada", language="c"),
            Truck(id=3, name="new truck", payload=1),
            Node(id=5, parent_id=1, name="new"),
            Stamp(value="third"),
        ]
    )
    dan = session.get_one(Customer, 4)
    session.delete(dan.orders[0])
    session.delete(dan)


def create_all(bind: Any) -> None:
    """Create the tables of the zoo, with their histories."""
    with bind.begin() as connection:
        connection.execute(text("CREATE SCHEMA IF NOT EXISTS sales"))
        Base.metadata.create_all(connection)


Question = Callable[[Session], Any]
"""A question asked of a session: what it returns is compared between past and present."""
