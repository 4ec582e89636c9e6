"""Traps of recording: changes that others miss, double, or ascribe to somebody else."""

from __future__ import annotations

import enum

import pytest
from sqlalchemy import Engine, delete, insert, select, text, update
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, selectinload

from sqlalchemy_temporal import TemporalSession, Versioned, history_of, versions_of
from tests.traps.conftest import Shop


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


def test_what_a_savepoint_took_back_can_be_done_again(shop: Shop) -> None:
    # Elsewhere the unit of work remembers the flush that the savepoint undid, and the second
    # update finds its version "written already": it is missing, or violates a key.
    shop.commit(lambda s: s.add(shop.Item(id=1, name="old")))
    with shop.session.begin() as session:
        item = session.get_one(shop.Item, 1)
        savepoint = session.begin_nested()
        item.name = "new"
        session.flush()
        savepoint.rollback()
        item.name = "new"
    assert shop.story(1) == [("INSERT", "old"), ("UPDATE", "new")]


def test_a_value_computed_by_the_database_is_recorded_as_its_result(shop: Shop) -> None:
    # Elsewhere the expression itself is written into the version, evaluated a second time.
    shop.commit(lambda s: s.add(shop.Item(id=1, name="a", stock=5)))
    with shop.session.begin() as session:
        session.get_one(shop.Item, 1).stock = shop.Item.stock + 1
    with shop.session() as session:
        versions = session.get_one(shop.Item, 1).versions
        assert [version.stock for version in versions] == [5, 6]


def test_a_row_whose_key_changed_is_one_row_afterwards(shop: Shop) -> None:
    # Elsewhere the version under the old key is never closed: both rows are alive.
    shop.commit(lambda s: s.add(shop.Item(id=1, name="a")))
    after = shop.commit(lambda s: setattr(s.get_one(shop.Item, 1), "id", 2))
    assert shop.names(after) == {2: "a"}
    assert shop.names("HEAD~1") == {1: "a"}


def test_an_association_that_is_removed_and_added_again_stays(shop: Shop) -> None:
    # Elsewhere both row changes have one key within one transaction; the insertion of the
    # version fails, or the deletion wins.
    def tag(session: Session) -> None:
        session.add(shop.Item(id=1, name="a", tags=[shop.Tag(id=7)]))

    def retag(session: Session) -> None:
        item = session.get_one(shop.Item, 1)
        (seven,) = item.tags
        item.tags = []
        session.flush()
        item.tags = [seven]

    moments = [shop.commit(tag), shop.commit(retag)]
    with shop.session() as session:
        for moment in moments:
            with session.as_of(moment) as past:
                item = past.scalars(select(shop.Item).options(selectinload(shop.Item.tags))).one()
                assert [each.id for each in item.tags] == [7]


def test_a_bulk_update_is_ascribed_to_its_own_transaction(shop: Shop) -> None:
    # Elsewhere a bulk UPDATE makes no version, and the next flush of the object sweeps the
    # difference up under its own author.
    shop.commit(lambda s: s.add(shop.Item(id=1, name="a")))
    shop.commit(lambda s: s.execute(update(shop.Item).values(name="b")), author="bulk")
    shop.commit(lambda s: setattr(s.get_one(shop.Item, 1), "stock", 9), author="orm")
    with shop.session() as session:
        versions = session.get_one(shop.Item, 1).versions
        assert [(v.commit.author, v.name, v.stock) for v in versions[1:]] == [
            ("bulk", "b", 0),
            ("orm", "b", 9),
        ]


def test_a_row_that_came_and_went_within_a_transaction_leaves_nothing_visible(shop: Shop) -> None:
    # Elsewhere a version stays that was inserted and never ended, or a deletion of nothing.
    def come_and_go(session: Session) -> None:
        item = shop.Item(id=1, name="brief")
        session.add(item)
        session.flush()
        session.delete(item)

    assert shop.names(shop.commit(come_and_go)) == {}
    with shop.session() as session:
        assert list(versions_of(session, shop.Item, 1)) == []


def test_a_key_deleted_and_inserted_again_keeps_both_lives(shop: Shop) -> None:
    # Elsewhere an upsert of the version makes it an update of what had been deleted.
    shop.commit(lambda s: s.add(shop.Item(id=1, name="first")))
    shop.commit(lambda s: s.execute(delete(shop.Item)))
    shop.commit(lambda s: s.add(shop.Item(id=1, name="second")))
    assert [shop.names(f"HEAD~{back}") for back in (2, 1, 0)] == [{1: "first"}, {}, {1: "second"}]


def test_a_reused_key_does_not_inherit_anothers_past(shop: Shop) -> None:
    # Elsewhere the newcomer's first version is compared with the last one of whoever had the
    # number before, and its changeset tells changes that nobody made.
    shop.commit(lambda s: s.add(shop.Item(id=1, name="same")))
    shop.commit(lambda s: s.execute(delete(shop.Item)))
    shop.commit(lambda s: s.add(shop.Item(id=1, name="same")))
    with shop.session() as session:
        newcomer = session.get_one(shop.Item, 1).versions[-1]
        assert newcomer.operation == "INSERT"
        assert newcomer.changeset["name"] == (None, "same")


def test_rows_that_the_database_deletes_along_are_recorded(shop: Shop) -> None:
    # Elsewhere listeners never hear of ON DELETE CASCADE under passive_deletes: the parts
    # live on for ever in every later answer.
    shop.commit(lambda s: s.add(shop.Item(id=1, name="a", parts=[shop.Part(id=1)])))
    shop.commit(lambda s: s.delete(s.get_one(shop.Item, 1)))
    with shop.session() as session:
        with session.as_of("HEAD") as past:
            assert past.scalars(select(shop.Part)).all() == []
        with session.as_of("HEAD~1") as past:
            assert len(past.scalars(select(shop.Part)).all()) == 1


@pytest.mark.parametrize("author", ["O'Brien", 'x"y', "100%", "a\\b", "'; DROP TABLE item; --"])
def test_an_author_is_a_value_whatever_it_contains(shop: Shop, author: str) -> None:
    # Elsewhere the actor is formatted into SET LOCAL, and a quote ends the statement.
    shop.commit(lambda s: s.add(shop.Item(id=1, name="a")), author=author)
    with shop.session() as session:
        assert session.repository.head.author == author


@pytest.mark.parametrize("capture", ["trigger"], indirect=True)  # text is refused otherwise
def test_emptying_a_table_deletes_each_of_its_rows(shop: Shop) -> None:
    # Elsewhere TRUNCATE (and SQLite's DELETE without a condition) passes row triggers by.
    shop.commit(lambda s: s.add_all(shop.Tag(id=number) for number in (1, 2)))
    emptying = "TRUNCATE tag, item_tag" if shop.engine.name == "postgresql" else "DELETE FROM tag"
    shop.commit(lambda s: s.execute(text(emptying)))
    with shop.session() as session:
        with session.as_of("HEAD") as past:
            assert past.scalars(select(shop.Tag)).all() == []
        with session.as_of("HEAD~1") as past:
            assert len(past.scalars(select(shop.Tag)).all()) == 2


@pytest.mark.parametrize("capture", ["trigger"], indirect=True)  # text is refused otherwise
def test_defaults_do_not_fire_in_history(shop: Shop) -> None:
    # Elsewhere the version table copies default= and onupdate=: history holds values that no
    # row ever had.
    shop.commit(lambda s: s.add(shop.Item(id=1, name="a")))
    shop.commit(lambda s: s.execute(text("UPDATE item SET name = 'b'")))
    history = history_of(shop.Item).__table__
    assert all(column.default is column.onupdate is None for column in history.c)
    with shop.session() as session:
        assert [version.edits for version in session.get_one(shop.Item, 1).versions] == [1, 1]


def test_values_that_the_database_supplied_are_recorded(shop: Shop) -> None:
    # Elsewhere a server default is not loaded yet when the version is written: NULL.
    shop.commit(lambda s: s.add(shop.Item(id=1, name="a", parts=[shop.Part(id=1)])))
    with shop.session() as session:
        assert session.get_one(shop.Item, 1).versions[0].place == "shelf"
        assert session.get_one(shop.Part, 1).versions[0].length == 4


def test_a_change_of_the_child_table_alone_is_a_version_of_the_object(shop: Shop) -> None:
    # Elsewhere only the row that changed gets a version, and joining by transaction finds no
    # partner for it: the object's change is lost.
    shop.commit(lambda s: s.add(shop.Gadget(id=1, name="lamp", watts=40)))
    shop.commit(lambda s: setattr(s.get_one(shop.Gadget, 1), "watts", 8))
    with shop.session() as session:
        versions = session.get_one(shop.Gadget, 1).versions
        assert [(version.name, version.watts) for version in versions] == [
            ("lamp", 40),
            ("lamp", 8),
        ]
        with session.as_of("HEAD~1") as past:
            assert past.get_one(shop.Gadget, 1).watts == 40


def test_more_rows_than_parameters_of_a_statement(shop: Shop) -> None:
    # Elsewhere keys of a flush are listed in one IN (…): 32,767 parameters are the limit of
    # drivers, some 1,000 that of others.
    rows = [{"id": number, "name": "a", "kind": "item"} for number in range(33_000)]
    shop.commit(lambda s: s.execute(insert(shop.Item), rows))
    shop.commit(lambda s: s.execute(update(shop.Item).values(name="b")))
    with shop.session() as session, session.as_of("HEAD~1") as past:
        names = past.scalars(select(shop.Item.name).distinct()).all()
        assert names == ["a"]


def test_columns_may_have_the_names_that_others_keep_for_themselves(
    any_engine: Engine, capture: str
) -> None:
    # Elsewhere row.keys(), row.values or an unquoted name is taken for the column.
    class Base(DeclarativeBase):
        pass

    class Order(Versioned, Base):
        __tablename__ = "Order"
        __versioned__ = {"capture": capture}
        user: Mapped[int] = mapped_column(primary_key=True)
        values: Mapped[str]
        keys: Mapped[str]
        select: Mapped[str] = mapped_column("Select")

    Base.metadata.create_all(any_engine)
    with TemporalSession(any_engine) as session:
        session.add(Order(user=1, values="v", keys="k", select="s"))
        session.commit()
        session.get_one(Order, 1).values = "w"
        session.commit()
        with session.as_of("HEAD~1") as past:
            order = past.get_one(Order, 1)
            assert (order.values, order.keys, order.select) == ("v", "k", "s")


def test_an_enum_type_is_the_live_tables_to_create_and_drop(
    any_engine: Engine, capture: str
) -> None:
    # Elsewhere live and version table share one Enum object: creating makes the type twice,
    # dropping one table drops the type that the other still needs.
    class Base(DeclarativeBase):
        pass

    class Car(Versioned, Base):
        __tablename__ = "car"
        __versioned__ = {"capture": capture}
        id: Mapped[int] = mapped_column(primary_key=True)
        colour: Mapped[Colour]

    for _ in range(2):
        Base.metadata.create_all(any_engine)
        with TemporalSession(any_engine) as session:
            session.add(Car(id=1, colour=Colour.RED))
            session.commit()
            session.get_one(Car, 1).colour = Colour.BLUE
            session.commit()
            with session.as_of("HEAD~1") as past:
                assert past.get_one(Car, 1).colour is Colour.RED
        Base.metadata.drop_all(any_engine)
