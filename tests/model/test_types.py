"""Every kind of column and of name has a history that reads back as it was written."""

import enum
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import (
    ARRAY,
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    Engine,
    Enum,
    ForeignKey,
    Identity,
    Integer,
    Interval,
    LargeBinary,
    MetaData,
    Numeric,
    String,
    Table,
    TypeDecorator,
    inspect,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import DOMAIN, INT4RANGE, JSONB, TSTZRANGE, Range
from sqlalchemy.ext.mutable import MutableDict
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.schema import CreateSchema

from sqlalchemy_temporal.errors import ConfigurationError, UnsupportedReadError
from sqlalchemy_temporal.model.changes import Change
from sqlalchemy_temporal.model.declare import Versioned, versioned_table
from sqlalchemy_temporal.model.versions import versions_of
from sqlalchemy_temporal.schema import history_table


class Mood(enum.Enum):
    SAD = "sad"
    HAPPY = "happy"


class Cents(TypeDecorator[Decimal]):
    """A type of the user's own, with conversion both ways."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> Any:
        return None if value is None else int(value * 100)

    def process_result_value(self, value: Any, dialect: Any) -> Any:
        return None if value is None else Decimal(value) / 100


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention={"ck": "ck_%(table_name)s_%(constraint_name)s"})


class Thing(Versioned, Base):
    __tablename__ = "things"
    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    mood: Mapped[Mood | None]
    moods: Mapped[list[Mood] | None] = mapped_column(ARRAY(Enum(Mood)))
    plain_mood: Mapped[str | None] = mapped_column(
        Enum("a", "b", native_enum=False, create_constraint=True, name="plain")
    )
    flag: Mapped[bool | None] = mapped_column(Boolean(create_constraint=True, name="flag"))
    tags: Mapped[list[str] | None] = mapped_column(ARRAY(String))
    matrix: Mapped[list[list[int]] | None] = mapped_column(ARRAY(Integer, dimensions=2))
    document: Mapped[dict[str, Any] | None] = mapped_column(MutableDict.as_mutable(JSONB))
    plain_json: Mapped[Any | None] = mapped_column(JSON)
    token: Mapped[UUID | None]
    price: Mapped[Decimal | None] = mapped_column(Numeric(30, 10))
    cents: Mapped[Decimal | None] = mapped_column(Cents)
    wait: Mapped[timedelta | None] = mapped_column(Interval)
    raw: Mapped[bytes | None] = mapped_column(LargeBinary)
    span: Mapped[Range[int] | None] = mapped_column(INT4RANGE)
    during: Mapped[Range[datetime] | None] = mapped_column(TSTZRANGE)
    email: Mapped[str | None] = mapped_column(
        DOMAIN("email_address", String(), check=r"VALUE LIKE '%@%'")
    )
    day: Mapped[date | None]
    at: Mapped[datetime | None]
    number: Mapped[int] = mapped_column(server_default="42")
    doubled: Mapped[int] = mapped_column(Computed("number * 2"))
    __table_args__ = (CheckConstraint("number > 0", name="positive"),)


FIRST: dict[str, Any] = {
    "mood": Mood.SAD,
    "moods": [Mood.SAD, Mood.HAPPY],
    "plain_mood": "a",
    "flag": True,
    "tags": ["x", '{y,"z"}'],
    "matrix": [[1, 2], [3, 4]],
    "document": {"a": [1, None]},
    "plain_json": ["x"],
    "token": UUID(int=1),
    "price": Decimal("12345678901234567890.0123456789"),
    "cents": Decimal("1.25"),
    "wait": timedelta(days=-1, seconds=3, microseconds=1),
    "raw": b"\x00\xff%",
    "span": Range(1, 5),
    "during": Range(datetime(2024, 1, 1, tzinfo=UTC), None),
    "email": "a@b",
    "day": date(2024, 2, 29),
    "at": datetime(2024, 2, 29, 12, 30, 0, 5),  # noqa: DTZ001 - a column without time zone
    "number": 4,
    "doubled": 8,
}
SECOND: dict[str, Any] = {
    "mood": Mood.HAPPY,
    "moods": [],
    "plain_mood": "b",
    "flag": False,
    "tags": None,
    "matrix": [[5]],
    "document": {"a": [1]},
    "plain_json": {"x": 1},
    "token": UUID(int=2),
    "price": Decimal("0.0000000001"),
    "cents": Decimal(-7),
    "wait": timedelta(0),
    "raw": b"",
    "span": Range(empty=True),
    "during": Range(None, None),
    "email": "c@d",
    "day": date(1, 1, 1),
    "at": datetime(9999, 12, 31),  # noqa: DTZ001
    "number": 5,
    "doubled": 10,
}


@pytest.fixture
def session(any_engine: Engine) -> Iterator[Session]:
    with Session(any_engine) as session:
        yield session


@pytest.fixture
def thing(any_engine: Engine, session: Session) -> Thing:
    Base.metadata.create_all(any_engine)
    thing = Thing(**{name: value for name, value in FIRST.items() if name != "doubled"})
    session.add(thing)
    session.commit()
    for name, value in SECOND.items():
        if name != "doubled":
            setattr(thing, name, value)
    session.commit()
    return thing


@pytest.mark.postgresql
class TestTypes:
    def test_read_back_as_they_were(self, session: Session, thing: Thing) -> None:
        first, second = thing.versions
        assert {name: getattr(first, name) for name in FIRST} == FIRST
        assert {name: getattr(second, name) for name in SECOND} == SECOND

    def test_the_changeset_has_python_values(self, thing: Thing) -> None:
        changes = thing.versions[1].changeset
        assert changes == {name: Change(FIRST[name], SECOND[name]) for name in FIRST}

    @pytest.mark.filterwarnings("ignore:Type object .*DOMAIN.* OperatorClass")  # SQLAlchemy's
    def test_all_can_be_filtered_by(self, session: Session, thing: Thing) -> None:
        history = Thing.History
        for name, value in FIRST.items():
            if name == "plain_json":
                continue  # json has no equality
            statement = select(history.number).where(getattr(history, name) == value)
            assert session.scalars(statement).all() == [4], name

    def test_a_value_changed_in_place(self, session: Session, thing: Thing) -> None:
        assert thing.document is not None
        thing.document["b"] = 2
        session.commit()
        assert thing.versions[-1].changeset == {"document": Change({"a": [1]}, {"a": [1], "b": 2})}


class TestTheHistoryTable:
    def test_has_the_columns_and_nothing_else(self) -> None:
        history = history_table(Thing.__table__)
        for column in Thing.__table__.c:
            copy = history.c[column.key]
            assert copy.name == column.name
            assert copy.type is column.type
            assert copy.nullable
            assert copy.computed is None
            assert copy.identity is None
            assert copy.server_default is None
            assert not copy.foreign_keys
        assert {type(c).__name__ for c in history.constraints} == {"PrimaryKeyConstraint"}
        assert not history.indexes

    @pytest.mark.postgresql
    def test_types_are_created_and_dropped_with_the_live_table_only(
        self, any_engine: Engine
    ) -> None:
        for _ in range(2):
            Base.metadata.create_all(any_engine)
            Base.metadata.create_all(any_engine)
            assert {e["name"] for e in inspect(any_engine).get_enums()} == {"mood"}  # type: ignore[attr-defined]
            Base.metadata.drop_all(any_engine)
            assert inspect(any_engine).get_enums() == []  # type: ignore[attr-defined]
        history = history_table(Thing.__table__)
        assert not history.dispatch.before_create
        assert not history.dispatch.after_drop

    def test_a_copy_of_the_table_has_a_history_of_its_own(self) -> None:
        original = versioned_table(Table("t", MetaData(), Column("id", Integer, primary_key=True)))
        recorded = history_table(original)
        copy = original.to_metadata(MetaData())
        assert history_table(copy) is not recorded
        assert history_table(original) is recorded

    def test_a_table_declared_anew_has_a_new_history(self) -> None:
        metadata = MetaData()
        first = versioned_table(Table("t", metadata, Column("id", Integer, primary_key=True)))
        assert history_table(first).name == "t_history"
        metadata.remove(first)
        second = versioned_table(Table("t", metadata, Column("key", Integer, primary_key=True)))
        assert "key" in history_table(second).c

    def test_two_tables_cannot_share_one(self) -> None:
        metadata = MetaData()
        first = Table("t", metadata, Column("id", Integer, primary_key=True))
        other = Table("t_h", metadata, Column("id", Integer, primary_key=True))
        history_table(versioned_table(first, history_table_suffix="_h_x"))
        with pytest.raises(ConfigurationError, match="share the history table"):
            history_table(versioned_table(other, history_table_suffix="_x"))


class TestNames:
    def test_that_need_quotes(self, any_engine: Engine, session: Session) -> None:
        class Odd(DeclarativeBase):
            pass

        class Order(Versioned, Odd):
            __tablename__ = "Order"
            __versioned__ = {"exclude": ["not recorded"]}
            id: Mapped[int] = mapped_column("Id", primary_key=True)
            user: Mapped[str]
            values: Mapped[str]
            keys: Mapped[str]
            metadata_: Mapped[str] = mapped_column("metadata")
            percent: Mapped[str] = mapped_column("100 %")
            colon: Mapped[str] = mapped_column(":a.b'c\"d")
            umlaut: Mapped[str] = mapped_column("Größe", key="größe")
            lost: Mapped[str | None] = mapped_column("not recorded")

        Odd.metadata.create_all(any_engine)
        order = Order(
            id=1, user="u", values="v", keys="k", metadata_="m", percent="p", colon="c", umlaut="g"
        )
        session.add(order)
        session.commit()
        order.values, order.colon = "w", "d"
        session.commit()
        first, second = order.versions
        assert (first.user, first.values, first.keys, first.metadata_) == ("u", "v", "k", "m")
        assert (first.percent, first.colon, first.umlaut) == ("p", "c", "g")
        assert second.changeset == {"values": Change("v", "w"), "colon": Change("c", "d")}

    @pytest.mark.postgresql
    def test_schemas(self, any_engine: Engine, session: Session) -> None:
        class Sales(DeclarativeBase):
            metadata = MetaData(schema="Sales")

        class Order(Versioned, Sales):
            __tablename__ = "orders"
            id: Mapped[int] = mapped_column(primary_key=True)

        class Line(Versioned, Sales):
            __tablename__ = "lines"
            order_id: Mapped[int] = mapped_column(ForeignKey(Order.id), primary_key=True)
            amount: Mapped[int]

        class PublicOrder(Versioned, Sales):
            __tablename__ = "orders"
            __table_args__ = {"schema": "public"}
            id: Mapped[int] = mapped_column(primary_key=True)
            note: Mapped[str]

        session.execute(CreateSchema("Sales"))
        session.commit()
        Sales.metadata.create_all(any_engine)
        session.add_all([Order(id=1), PublicOrder(id=1, note="n")])
        session.flush()
        session.add(Line(order_id=1, amount=2))
        session.commit()
        session.get_one(Line, 1).amount = 3
        session.get_one(PublicOrder, 1).note = "m"
        session.commit()
        assert [v.amount for v in versions_of(session, Line, 1)] == [2, 3]
        assert [v.note for v in versions_of(session, PublicOrder, 1)] == ["n", "m"]
        assert len(versions_of(session, Order, 1)) == 1

    @pytest.mark.postgresql
    def test_a_schema_of_the_librarys_own(self, any_engine: Engine, session: Session) -> None:
        class Other(DeclarativeBase):
            pass

        class Note(Versioned, Other):
            __tablename__ = "notes"
            __versioned__ = {"schema": "Past", "history_table_suffix": " old"}
            id: Mapped[int] = mapped_column(primary_key=True)
            body: Mapped[str]

        Other.metadata.create_all(any_engine)
        note = Note(id=1, body="a")
        session.add(note)
        session.commit()
        note.body = "b"
        session.commit()
        assert [v.body for v in note.versions] == ["a", "b"]
        assert note.versions[0].commit.operation == "COMMIT"
        assert session.scalar(text('SELECT count(*) FROM "Past"."notes old"')) == 1

    @pytest.mark.postgresql
    def test_a_schema_renamed_in_the_engine_is_refused(self, any_engine: Engine) -> None:
        class Other(DeclarativeBase):
            pass

        class Note(Versioned, Other):
            __tablename__ = "notes"
            id: Mapped[int] = mapped_column(primary_key=True)

        tenant = any_engine.execution_options(schema_translate_map={None: "tenant"})
        with Session(tenant) as session, pytest.raises(UnsupportedReadError, match="renames"):
            len(versions_of(session, Note, 1))
