"""``versions_of(..., follow_key_changes=True)``: an object through changes of its key."""

from collections.abc import Iterator
from datetime import date
from uuid import UUID

import pytest
from sqlalchemy import Engine, ForeignKey, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from sqlalchemy_temporal.model.changes import Change
from sqlalchemy_temporal.model.declare import Versioned
from sqlalchemy_temporal.model.versions import versions_of


class Base(DeclarativeBase):
    pass


class Item(Versioned, Base):
    __tablename__ = "items"
    sku: Mapped[str] = mapped_column("SKU code", primary_key=True)
    name: Mapped[str]


class Slot(Versioned, Base):
    __tablename__ = "slots"
    day: Mapped[date] = mapped_column(primary_key=True)
    room: Mapped[UUID] = mapped_column(primary_key=True)
    booked: Mapped[str]


class Part(Versioned, Base):
    __tablename__ = "parts"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "part"}


class Bolt(Part):
    __tablename__ = "bolts"
    id: Mapped[int] = mapped_column(ForeignKey("parts.id", onupdate="CASCADE"), primary_key=True)
    length: Mapped[int]
    __mapper_args__ = {"polymorphic_identity": "bolt", "passive_updates": True}


@pytest.fixture
def session(any_engine: Engine) -> Iterator[Session]:
    Base.metadata.create_all(any_engine)
    with Session(any_engine) as session:
        yield session


def run(session: Session, *statements: str) -> None:
    """Run ``statements`` as one transaction."""
    for statement in statements:
        session.execute(text(statement))
    session.commit()


def rename(old: str, new: str) -> str:
    return f"""UPDATE items SET "SKU code" = '{new}' WHERE "SKU code" = '{old}'"""


def insert(sku: str, name: str) -> str:
    return f"INSERT INTO items VALUES ('{sku}', '{name}')"


def followed(session: Session, sku: str) -> list[tuple[str, str]]:
    versions = versions_of(session, Item, sku, follow_key_changes=True)
    assert len(versions) == len(list(versions))
    return [(v.sku, v.name) for v in versions]


def test_unless_asked_for_only_the_key_itself_is_followed(session: Session) -> None:
    run(session, insert("a", "Ax"))
    run(session, rename("a", "b"))
    assert [v.sku for v in versions_of(session, Item, "b")] == ["b"]
    (gone,) = versions_of(session, Item, "a")
    assert gone.ended_by == "DELETE"


def test_versions_under_earlier_keys_come_first(session: Session) -> None:
    item = Item(sku="a", name="Ax")
    session.add(item)
    session.commit()
    item.name = "Axe"
    session.commit()
    item.sku = "b"
    session.commit()
    item.sku, item.name = "c", "AXE"
    session.commit()
    expected = [("a", "Ax"), ("a", "Axe"), ("b", "Axe"), ("c", "AXE")]
    assert followed(session, "c") == expected
    versions = versions_of(session, Item, "c", follow_key_changes=True)
    assert [v.operation for v in versions] == ["INSERT", "UPDATE", "UPDATE", "UPDATE"]
    assert [v.ended_by for v in versions] == ["UPDATE", "UPDATE", "UPDATE", None]
    assert versions[3].changeset == {"sku": Change("b", "c"), "name": Change("Axe", "AXE")}


def test_navigation_follows_as_the_view_does(session: Session) -> None:
    run(session, insert("a", "Ax"))
    run(session, rename("a", "b"))
    run(session, "UPDATE items SET name = 'Axe'")
    last = versions_of(session, Item, "b", follow_key_changes=True)[-1]
    assert last.index == 2
    assert last.previous.previous.sku == "a"
    assert last.previous.previous.next.next is last


def test_uncommitted_changes(session: Session) -> None:
    item = Item(sku="a", name="Ax")
    session.add(item)
    session.commit()
    item.sku = "b"
    assert followed(session, "b") == [("a", "Ax"), ("b", "Ax")]


def test_a_deleted_object(session: Session) -> None:
    run(session, insert("a", "Ax"))
    run(session, rename("a", "b"))
    run(session, "DELETE FROM items")
    assert followed(session, "b") == [("a", "Ax"), ("b", "Ax")]


def test_rows_that_swap_keys(session: Session) -> None:
    run(session, insert("a", "Ax"), insert("b", "Bow"))
    run(session, rename("a", "tmp"), rename("b", "a"), rename("tmp", "b"))
    assert followed(session, "a") == [("b", "Bow"), ("a", "Bow")]
    assert followed(session, "b") == [("a", "Ax"), ("b", "Ax")]


def test_a_key_changed_twice_in_one_transaction(session: Session) -> None:
    run(session, insert("a", "Ax"))
    run(session, rename("a", "b"), rename("b", "c"))
    assert followed(session, "c") == [("a", "Ax"), ("c", "Ax")]


def test_a_key_changed_away_and_back(session: Session) -> None:
    run(session, insert("a", "Ax"))
    run(session, rename("a", "b"), rename("b", "a"))
    run(session, "UPDATE items SET name = 'Axe'")
    assert followed(session, "a")[0] == ("a", "Ax")
    assert followed(session, "a")[-1] == ("a", "Axe")


def test_another_row_that_had_the_key_before_is_left_out(session: Session) -> None:
    run(session, insert("a", "Ax"), insert("b", "Bow"))
    run(session, """DELETE FROM items WHERE "SKU code" = 'a'""")
    run(session, rename("b", "a"))
    assert followed(session, "a") == [("b", "Bow"), ("a", "Bow")]
    assert [v.name for v in versions_of(session, Item, "a")] == ["Ax", "Bow"]


def test_the_key_it_left_may_be_taken_by_another(session: Session) -> None:
    run(session, insert("a", "Ax"))
    run(session, rename("a", "b"))
    run(session, insert("a", "Arrow"))
    run(session, "UPDATE items SET name = name || '!'")
    assert followed(session, "b") == [("a", "Ax"), ("b", "Ax"), ("b", "Ax!")]
    assert [v.name for v in versions_of(session, Item, "a")] == ["Ax", "Arrow", "Arrow!"]


def test_composite_keys_of_any_type(session: Session) -> None:
    room = UUID(int=7)
    slot = Slot(day=date(2024, 1, 31), room=room, booked="Ana")
    session.add(slot)
    session.commit()
    slot.day = date(2024, 2, 1)
    session.commit()
    versions = versions_of(session, Slot, (date(2024, 2, 1), room), follow_key_changes=True)
    assert [v.day for v in versions] == [date(2024, 1, 31), date(2024, 2, 1)]


def test_joined_tables(session: Session) -> None:
    session.add(Bolt(id=1, length=5))
    session.commit()
    run(session, "UPDATE parts SET id = 2")
    run(session, "UPDATE bolts SET length = 6")
    versions = versions_of(session, Bolt, 2, follow_key_changes=True)
    assert [(v.id, v.length) for v in versions] == [(1, 5), (2, 5), (2, 6)]
