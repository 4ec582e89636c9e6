"""``attribute_history()``, ``when_became()`` and ``blame()``: how values came to be."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import JSON, Engine, ForeignKey, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import (
    Composite,
    DeclarativeBase,
    Mapped,
    Session,
    composite,
    mapped_column,
    synonym,
)

from sqlalchemy_temporal.clock.commit import Commit
from sqlalchemy_temporal.clock.describe import describe
from sqlalchemy_temporal.errors import DetachedObjectError, UnsupportedReadError
from sqlalchemy_temporal.model.blame import blame
from sqlalchemy_temporal.model.declare import Versioned
from sqlalchemy_temporal.model.trace import AttributeChange, attribute_history, when_became
from sqlalchemy_temporal.model.versions import versions_of
from sqlalchemy_temporal.reading.as_of import as_of


class Base(DeclarativeBase):
    pass


@dataclass
class Size:
    width: int | None
    height: int | None


class Product(Versioned, Base):
    __tablename__ = "products"
    __versioned__ = {"exclude": ["views"]}
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column("product name")
    price: Mapped[int | None]
    facts: Mapped[Any] = mapped_column(JSON)
    width: Mapped[int | None]
    height: Mapped[int | None]
    views: Mapped[int | None]
    seq: Mapped[int | None] = mapped_column(deferred=True)
    size: Composite[Size] = composite(Size, "width", "height")
    cost: Mapped[int | None] = synonym("price")


class Person(Versioned, Base):
    __tablename__ = "people"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    name: Mapped[str]
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "person"}


class Pilot(Person):
    __tablename__ = "pilots"
    id: Mapped[int] = mapped_column(ForeignKey("people.id"), primary_key=True)
    hours: Mapped[int]
    __mapper_args__ = {"polymorphic_identity": "pilot"}


@pytest.fixture
def session(any_engine: Engine) -> Iterator[Session]:
    Base.metadata.create_all(any_engine)
    with Session(any_engine) as session:
        yield session


def save(session: Session, author: str) -> None:
    describe(session.connection(), author=author)
    session.commit()


@pytest.fixture
def lamp(session: Session) -> Product:
    lamp = Product(id=7, name="lamp", price=10, facts={"watts": 60})
    session.add(lamp)
    save(session, "ana")
    lamp.price = 12
    save(session, "bea")
    lamp.name = "Lamp"
    save(session, "cleo")
    lamp.price = 10
    save(session, "dora")
    return lamp


def author_of(commit: Commit | None) -> str | None:
    return None if commit is None else commit.author


def told(changes: list[AttributeChange]) -> list[tuple[Any, Any, str | None]]:
    return [(old, new, author_of(commit)) for old, new, commit in changes]


def authors(blamed: dict[str, Commit | None]) -> dict[str, str | None]:
    return {name: author_of(commit) for name, commit in blamed.items()}


class TestAttributeHistory:
    def test_tells_each_change_oldest_first(self, lamp: Product) -> None:
        expected = [(None, 10, "ana"), (10, 12, "bea"), (12, 10, "dora")]
        assert told(attribute_history(lamp, "price")) == expected
        assert told(lamp.versions.attribute("price")) == expected

    def test_entries_have_names(self, lamp: Product) -> None:
        change = attribute_history(lamp, "name")[-1]
        assert (change.old, change.new) == ("lamp", "Lamp")
        assert change.commit is not None
        assert change.commit.author == "cleo"

    def test_agrees_with_the_changesets(self, lamp: Product) -> None:
        for name in ("id", "name", "price", "facts", "width", "seq"):
            changes = [
                (*version.changeset[name], version.commit)
                for version in lamp.versions
                if name in version.changeset
            ]
            assert [tuple(each) for each in attribute_history(lamp, name)] == changes

    def test_to_none_and_back(self, session: Session, lamp: Product) -> None:
        lamp.price = None
        save(session, "eva")
        lamp.price = 1
        save(session, "fay")
        assert told(attribute_history(lamp, "price"))[-2:] == [
            (10, None, "eva"),
            (None, 1, "fay"),
        ]

    def test_a_change_under_way_has_no_commit(self, lamp: Product) -> None:
        lamp.price = 99
        assert told(attribute_history(lamp, "price"))[-1] == (10, 99, None)

    def test_a_second_life_begins_from_none(self, session: Session, lamp: Product) -> None:
        session.delete(lamp)
        save(session, "eva")
        session.add(Product(id=7, name="x", price=10, facts={}))
        save(session, "fay")
        changes = told(attribute_history(versions_of(session, Product, 7), "price"))
        assert changes[-2:] == [(12, 10, "dora"), (None, 10, "fay")]

    def test_synonyms_and_composites(self, session: Session, lamp: Product) -> None:
        lamp.size = Size(3, 4)
        save(session, "eva")
        lamp.size = Size(3, 5)
        save(session, "fay")
        set_first, changed = told(attribute_history(lamp, "size"))[-2:]
        assert set_first[1:] == (Size(3, 4), "eva")
        assert changed == (Size(3, 4), Size(3, 5), "fay")
        assert attribute_history(lamp, "cost") == attribute_history(lamp, "price")

    def test_values_the_database_cannot_compare(self, session: Session, lamp: Product) -> None:
        lamp.facts = {"watts": 40}
        save(session, "eva")
        changes = told(attribute_history(lamp, "facts"))
        assert changes == [(None, {"watts": 60}, "ana"), ({"watts": 60}, {"watts": 40}, "eva")]

    @pytest.mark.parametrize("name", ["views", "nothing", "versions", "temporal_tx_id"])
    def test_what_history_does_not_keep(self, lamp: Product, name: str) -> None:
        with pytest.raises(UnsupportedReadError, match=f"no attribute '{name}' .* keeps facts"):
            attribute_history(lamp, name)

    def test_of_a_detached_object(self, session: Session, lamp: Product) -> None:
        session.expunge(lamp)
        with pytest.raises(DetachedObjectError):
            attribute_history(lamp, "price")

    def test_of_what_never_was(self, session: Session, lamp: Product) -> None:
        assert attribute_history(versions_of(session, Product, 8), "price") == []
        pending = Product(id=8, name="x", facts={})
        session.add(pending)
        with session.no_autoflush:
            assert attribute_history(pending, "price") == []
            assert when_became(pending, "price", 1) is None
            assert blame(pending) == {}


class TestWhenBecame:
    def test_gives_the_last_commit_that_did_it(self, lamp: Product) -> None:
        assert author_of(when_became(lamp, "price", 10)) == "dora"
        assert author_of(lamp.versions.when_became("price", 10)) == "dora"

    def test_or_the_first(self, lamp: Product) -> None:
        assert author_of(when_became(lamp, "price", 10, first=True)) == "ana"
        assert author_of(lamp.versions.when_became("price", 12, first=True)) == "bea"

    def test_none_when_it_never_did(self, lamp: Product) -> None:
        assert when_became(lamp, "price", 11) is None

    def test_being_inserted_without_a_value_counts(self, lamp: Product) -> None:
        assert author_of(when_became(lamp, "width", None)) == "ana"

    def test_a_change_under_way_does_not(self, lamp: Product) -> None:
        lamp.price = 99
        assert when_became(lamp, "price", 99) is None
        lamp.price = 12
        assert author_of(when_became(lamp, "price", 12)) == "bea"

    def test_unknown_attributes(self, lamp: Product) -> None:
        with pytest.raises(UnsupportedReadError):
            when_became(lamp, "nothing", 1)


FIRST = dict.fromkeys(("id", "name", "price", "facts", "width", "height", "seq"), "ana")


class TestBlame:
    def test_tells_who_last_set_each_attribute(self, lamp: Product) -> None:
        expected = FIRST | {"name": "cleo", "price": "dora"}
        assert authors(blame(lamp)) == expected
        assert authors(lamp.versions.blame()) == expected

    def test_by_key(self, session: Session, lamp: Product) -> None:
        assert blame(session, Product, 7) == blame(lamp)
        assert blame(versions_of(session, Product, 7)) == blame(lamp)
        assert blame(session, Product, 8) == {}

    def test_of_a_deleted_object(self, session: Session, lamp: Product) -> None:
        before = blame(lamp)
        session.delete(lamp)
        save(session, "eva")
        assert blame(session, Product, 7) == before

    def test_of_the_last_life_only(self, session: Session, lamp: Product) -> None:
        session.delete(lamp)
        save(session, "eva")
        lamp = Product(id=7, name="Lamp", price=10, facts={})
        session.add(lamp)
        save(session, "fay")
        lamp.price = 3
        save(session, "gwen")
        assert authors(blame(lamp)) == dict.fromkeys(FIRST, "fay") | {"price": "gwen"}

    def test_changes_under_way_are_nobodys_yet(self, session: Session, lamp: Product) -> None:
        lamp.price = 99
        assert authors(blame(lamp)) == FIRST | {"name": "cleo", "price": None}
        session.add(Product(id=8, name="x", facts={}))
        assert authors(blame(session, Product, 8)) == dict.fromkeys(FIRST)

    def test_excluded_attributes_are_not_told(self, session: Session, lamp: Product) -> None:
        lamp.views = 1
        save(session, "eva")
        assert "views" not in blame(lamp)

    def test_through_changes_of_the_key(self, session: Session, lamp: Product) -> None:
        session.execute(text("UPDATE products SET id = 70"))
        save(session, "eva")
        assert authors(blame(session, Product, 70)) == dict.fromkeys(FIRST, "eva")
        followed = versions_of(session, Product, 70, follow_key_changes=True)
        assert authors(blame(followed)) == FIRST | {"name": "cleo", "price": "dora", "id": "eva"}
        assert told(followed.attribute("id")) == [(None, 7, "ana"), (7, 70, "eva")]

    @pytest.mark.postgresql
    def test_a_lower_id_that_commits_later(
        self, session: Session, lamp: Product, any_engine: Engine
    ) -> None:
        with Session(any_engine) as slow, Session(any_engine) as quick:
            slow.add(Product(id=100, name="takes its id", facts={}))
            slow.flush()
            quick.get_one(Product, 7).price = 50
            save(quick, "quick")
            slow.get_one(Product, 7).price = 60
            save(slow, "slow")
        assert author_of(blame(lamp)["price"]) == "slow"
        assert told(attribute_history(lamp, "price"))[-2:] == [(10, 50, "quick"), (50, 60, "slow")]


def test_in_a_session_of_the_past(session: Session, lamp: Product) -> None:
    with as_of(session, "HEAD~2") as past:
        then = past.get_one(Product, 7)
        assert authors(blame(then)) == FIRST | {"price": "bea"}
        assert authors(blame(past, Product, 7)) == FIRST | {"price": "bea"}
        assert told(attribute_history(then, "price")) == [(None, 10, "ana"), (10, 12, "bea")]
        assert told(attribute_history(then, "size")) != []
        assert author_of(then.versions.when_became("price", 10)) == "ana"
        assert when_became(then, "name", "Lamp") is None
    with as_of(session, "HEAD~3") as past:
        assert authors(blame(past, Product, 7)) == FIRST


def test_joined_tables(session: Session) -> None:
    pilot = Pilot(id=1, name="Ana", hours=1)
    session.add(pilot)
    save(session, "ana")
    pilot.hours = 2
    save(session, "bea")
    pilot.name = "Bea"
    save(session, "cleo")
    assert authors(blame(pilot)) == {"id": "ana", "kind": "ana", "name": "cleo", "hours": "bea"}
    assert told(attribute_history(pilot, "hours")) == [(None, 1, "ana"), (1, 2, "bea")]


@pytest.mark.postgresql
@pytest.mark.parametrize("changed", [50, 250, 6500])
def test_longer_than_a_page(session: Session, lamp: Product, changed: int) -> None:
    """The price changes in every version, the width ``changed`` versions ago."""
    session.commit()
    engine: Any = session.get_bind()
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(
            text(
                "DO $$ BEGIN FOR i IN 1..7000 LOOP "
                "  PERFORM set_config('temporal.author', i::text, true); "
                "  UPDATE products SET price = 1000 + i, "
                f"    width = CASE WHEN i = {7000 - changed} THEN i ELSE width END, "
                f'    height = i, "product name" = i::text, seq = i, facts = jsonb_build_array(i) '
                "    WHERE id = 7; "
                "  COMMIT; END LOOP; END $$"
            )
        )
    width = str(7000 - changed)
    expected = dict.fromkeys(FIRST, "7000") | {"id": "ana", "width": width}
    assert authors(blame(lamp)) == expected
    assert author_of(when_became(lamp, "price", 7000)) == "6000"
    assert told(attribute_history(lamp, "width")) == [(None, int(width), width)]
    assert len(attribute_history(lamp, "height")) == 7000


async def test_under_asyncio(async_pg_engine: AsyncEngine) -> None:
    async with async_pg_engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with AsyncSession(async_pg_engine) as session:
        lamp = Product(id=7, name="lamp", price=10, facts={})
        session.add(lamp)
        await session.commit()
        await session.refresh(lamp)
        blamed = await session.run_sync(lambda _: blame(lamp))
        assert blamed == await session.run_sync(lambda s: blame(s, Product, 7))
        changes = await session.run_sync(lambda _: lamp.versions.attribute("price"))
        assert [(old, new) for old, new, _ in changes] == [(None, 10)]
        commit = await session.run_sync(lambda _: when_became(lamp, "price", 10))
        assert commit == blamed["price"]
