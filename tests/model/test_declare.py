"""What declaring a class or a table versioned does, before any database is involved."""

from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from sqlalchemy import Column, ForeignKey, Integer, MetaData, String, Table, select
from sqlalchemy.ext.declarative import AbstractConcreteBase, ConcreteBase
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    MappedAsDataclass,
    column_property,
    configure_mappers,
    declarative_base,
    declared_attr,
    mapped_column,
    registry,
)

from sqlalchemy_temporal.errors import ConfigurationError, MissingKeyError, UnknownOptionError
from sqlalchemy_temporal.model.declare import Versioned, versioned_table
from sqlalchemy_temporal.model.history import history_of
from sqlalchemy_temporal.naming import VersioningOptions
from sqlalchemy_temporal.schema import history_table, is_versioned, options_of

Key = Annotated[int, mapped_column(primary_key=True)]
Name = Annotated[str, mapped_column(String(30))]


@pytest.fixture
def base() -> Any:
    class Base(DeclarativeBase):
        pass

    return Base


def exclude_of(entity: Any) -> tuple[str, ...]:
    options = options_of(entity.__table__)
    assert options is not None
    return options.exclude


class TestWaysOfMapping:
    """The table is marked when the class statement is done, before mappers are configured."""

    def test_declarative_base_class(self, base: Any) -> None:
        class Customer(Versioned, base):
            __tablename__ = "customers"
            id: Mapped[int] = mapped_column(primary_key=True)

        assert is_versioned(Customer.__table__)

    def test_the_order_of_bases_does_not_matter(self, base: Any) -> None:
        class Customer(base, Versioned):
            __tablename__ = "customers"
            id: Mapped[int] = mapped_column(primary_key=True)

        assert is_versioned(Customer.__table__)

    def test_a_base_class_that_is_versioned_itself(self) -> None:
        class Base(Versioned, DeclarativeBase):
            pass

        class Customer(Base):
            __tablename__ = "customers"
            id: Mapped[int] = mapped_column(primary_key=True)

        assert is_versioned(Customer.__table__)

    def test_a_class_without_the_mixin_is_left_alone(self, base: Any) -> None:
        class Log(base):
            __tablename__ = "logs"
            id: Mapped[int] = mapped_column(primary_key=True)

        assert not is_versioned(Log.__table__)

    def test_declarative_base_function(self) -> None:
        class Customer(Versioned, declarative_base()):  # type: ignore[misc]
            __tablename__ = "customers"
            id = Column(Integer, primary_key=True)

        assert is_versioned(Customer.__table__)

    def test_registry_decorator(self) -> None:
        @registry().mapped
        class Customer(Versioned):
            __tablename__ = "customers"
            id = Column(Integer, primary_key=True)

        assert is_versioned(Customer.__table__)

    def test_dataclass_base(self) -> None:
        class Base(MappedAsDataclass, DeclarativeBase):
            pass

        class Customer(Versioned, Base):
            __tablename__ = "customers"
            __versioned__ = {"exclude": ["seen"]}
            id: Mapped[int] = mapped_column(primary_key=True)
            name: Mapped[str]
            seen: Mapped[str] = mapped_column(default="")

        assert Customer(id=1, name="Ana") == Customer(1, "Ana", "")
        assert exclude_of(Customer) == ("seen",)
        assert history_of(Customer) is Customer.History

    def test_dataclass_decorator(self) -> None:
        @registry().mapped_as_dataclass
        class Customer(Versioned):
            __tablename__ = "customers"
            id: Mapped[int] = mapped_column(primary_key=True)

        assert is_versioned(Customer.__table__)
        assert Customer(7).id == 7

    def test_annotated_columns(self, base: Any) -> None:
        class Customer(Versioned, base):
            __tablename__ = "customers"
            id: Mapped[Key]
            name: Mapped[Name]

        assert history_table(Customer.__table__).c.name.type.length == 30

    def test_columns_from_mixins_and_declared_attr(self, base: Any) -> None:
        class Named:
            name: Mapped[str]

            @declared_attr
            def label(self) -> Mapped[str]:
                return mapped_column("label_text")

        class Customer(Versioned, Named, base):
            __tablename__ = "customers"
            __versioned__ = {"exclude": ["label"]}
            id: Mapped[int] = mapped_column(primary_key=True)

        assert exclude_of(Customer) == ("label_text",)
        assert "name" in history_table(Customer.__table__).c

    def test_a_table_of_the_users_own(self, base: Any) -> None:
        class Customer(Versioned, base):
            __table__ = Table("customers", base.metadata, Column("id", Integer, primary_key=True))

        assert is_versioned(Customer.__table__)

    def test_imperative_mapping_by_the_mixin(self) -> None:
        mapping = registry()
        table = Table("customers", mapping.metadata, Column("id", Integer, primary_key=True))

        class Customer(Versioned):
            pass

        mapping.map_imperatively(Customer, table)
        assert is_versioned(table)
        assert Customer.History is history_of(Customer)

    def test_imperative_mapping_by_the_table(self) -> None:
        mapping = registry()
        table = versioned_table(
            Table("customers", mapping.metadata, Column("id", Integer, primary_key=True))
        )

        @dataclass
        class Customer:
            id: int

        mapping.map_imperatively(Customer, table)
        assert history_of(Customer).__name__ == "CustomerHistory"


class TestInheritance:
    def test_joined_tables_are_both_versioned(self, base: Any) -> None:
        class Employee(Versioned, base):
            __tablename__ = "employees"
            __versioned__ = {"exclude": ["seen"]}
            id: Mapped[int] = mapped_column(primary_key=True)
            seen: Mapped[str]

        class Engineer(Employee):
            __tablename__ = "engineers"
            id: Mapped[int] = mapped_column(ForeignKey("employees.id"), primary_key=True)

        assert exclude_of(Employee) == ("seen",)
        assert exclude_of(Engineer) == ()

    def test_single_table_subclasses_add_their_columns_to_history(self, base: Any) -> None:
        class Employee(Versioned, base):
            __tablename__ = "employees"
            id: Mapped[int] = mapped_column(primary_key=True)
            kind: Mapped[str]
            __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "e"}

        before = history_table(Employee.__table__)

        class Engineer(Employee):
            __mapper_args__ = {"polymorphic_identity": "eng"}
            language: Mapped[str | None]

        assert history_table(Employee.__table__) is before
        assert "language" in before.c
        assert history_of(Engineer).language is not None

    def test_a_single_table_subclass_may_exclude_its_own_columns(self, base: Any) -> None:
        class Employee(Versioned, base):
            __tablename__ = "employees"
            __versioned__ = {"exclude": ["seen"]}
            id: Mapped[int] = mapped_column(primary_key=True)
            kind: Mapped[str]
            seen: Mapped[str]
            __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "e"}

        class Engineer(Employee):
            __versioned__ = {"exclude": ["scratch"]}
            __mapper_args__ = {"polymorphic_identity": "eng"}
            scratch: Mapped[str | None]

        assert exclude_of(Engineer) == ("seen", "scratch")

    def test_a_single_table_subclass_cannot_change_other_options(self, base: Any) -> None:
        class Employee(Versioned, base):
            __tablename__ = "employees"
            id: Mapped[int] = mapped_column(primary_key=True)

        with pytest.raises(ConfigurationError, match="history_schema belong"):

            class Engineer(Employee):
                __versioned__ = {"history_schema": "archive"}

    def test_concrete_base(self, base: Any) -> None:
        class Employee(Versioned, ConcreteBase, base):
            __tablename__ = "employees"
            id: Mapped[int] = mapped_column(primary_key=True)
            __mapper_args__ = {"polymorphic_identity": "e", "concrete": True}

        class Engineer(Employee):
            __tablename__ = "engineers"
            id: Mapped[int] = mapped_column(primary_key=True)
            language: Mapped[str]
            __mapper_args__ = {"polymorphic_identity": "eng", "concrete": True}

        configure_mappers()
        assert is_versioned(Employee.__table__)
        assert is_versioned(Engineer.__table__)
        assert "engineers" not in str(select(Employee.History))
        assert "employees" not in str(select(Engineer.History))

    def test_abstract_concrete_base(self, base: Any) -> None:
        class Employee(Versioned, AbstractConcreteBase, base):
            strict_attrs = True

        class Engineer(Employee):
            __tablename__ = "engineers"
            id: Mapped[int] = mapped_column(primary_key=True)
            __mapper_args__ = {"polymorphic_identity": "eng", "concrete": True}

        assert is_versioned(Engineer.__table__)
        configure_mappers()
        assert "engineers_history" in str(select(history_of(Engineer)))
        with pytest.raises(ConfigurationError, match="not to a table"):
            history_of(Employee)

    def test_a_subclass_of_something_unversioned_is_refused(self, base: Any) -> None:
        class Employee(base):
            __tablename__ = "employees"
            id: Mapped[int] = mapped_column(primary_key=True)

        with pytest.raises(ConfigurationError, match=r"Employee.*is not; inherit Versioned there"):

            class Engineer(Versioned, Employee):
                __tablename__ = "engineers"
                id: Mapped[int] = mapped_column(ForeignKey("employees.id"), primary_key=True)

    def test_parts_of_one_object_share_the_schema_of_transactions(self, base: Any) -> None:
        class Employee(Versioned, base):
            __tablename__ = "employees"
            id: Mapped[int] = mapped_column(primary_key=True)

        with pytest.raises(ConfigurationError, match="numbered per schema"):

            class Engineer(Employee):
                __tablename__ = "engineers"
                __versioned__ = {"schema": "elsewhere"}
                id: Mapped[int] = mapped_column(ForeignKey("employees.id"), primary_key=True)


class TestOptions:
    def test_are_merged_along_the_bases(self) -> None:
        class Base(Versioned, DeclarativeBase):
            __versioned__ = {"schema": "past", "exclude": ["touched_at"]}

        class Customer(Base):
            __tablename__ = "customers"
            __versioned__ = {"history_table_suffix": "_old"}
            id: Mapped[int] = mapped_column(primary_key=True)
            touched_at: Mapped[str]

        class Order(Base):
            __tablename__ = "orders"
            id: Mapped[int] = mapped_column(primary_key=True)

        assert options_of(Customer.__table__) == VersioningOptions(
            exclude=("touched_at",), schema="past", history_table_suffix="_old"
        )
        assert options_of(Order.__table__) == VersioningOptions(schema="past")

    def test_false_turns_versioning_off_and_a_subclass_turns_it_on_again(self) -> None:
        class Base(Versioned, DeclarativeBase):
            __versioned__ = False

        class Log(Base):
            __tablename__ = "logs"
            id: Mapped[int] = mapped_column(primary_key=True)

        class Customer(Base):
            __tablename__ = "customers"
            __versioned__ = True
            id: Mapped[int] = mapped_column(primary_key=True)

        assert not is_versioned(Log.__table__)
        assert not hasattr(Log, "versions")
        assert is_versioned(Customer.__table__)

    def test_part_of_an_object_cannot_be_left_out(self, base: Any) -> None:
        class Employee(Versioned, base):
            __tablename__ = "employees"
            id: Mapped[int] = mapped_column(primary_key=True)

        with pytest.raises(ConfigurationError, match="partly rows of Employee"):

            class Engineer(Employee):
                __tablename__ = "engineers"
                __versioned__ = False
                id: Mapped[int] = mapped_column(ForeignKey("employees.id"), primary_key=True)

    @pytest.mark.parametrize("name", ["last_seen", "seen_at"])
    def test_exclude_takes_attribute_and_column_names(self, base: Any, name: str) -> None:
        class Customer(Versioned, base):
            __tablename__ = "customers"
            __versioned__ = {"exclude": [name], "index": [name, ["id", name]]}
            id: Mapped[int] = mapped_column(primary_key=True)
            last_seen: Mapped[str] = mapped_column("seen_at")

        assert options_of(Customer.__table__) == VersioningOptions(
            exclude=("seen_at",), index=(("seen_at",), ("id", "seen_at"))
        )

    def test_the_attribute_is_meant_when_names_cross(self, base: Any) -> None:
        class Customer(Versioned, base):
            __tablename__ = "customers"
            __versioned__ = {"exclude": ["a"]}
            id: Mapped[int] = mapped_column(primary_key=True)
            a: Mapped[str] = mapped_column("b")
            b: Mapped[str] = mapped_column("a")

        assert exclude_of(Customer) == ("b",)

    def test_an_excluded_column_that_does_not_exist_is_refused(self, base: Any) -> None:
        with pytest.raises(ConfigurationError, match=r"exclude names 'nmae'.*columns id, name"):

            class Customer(Versioned, base):
                __tablename__ = "customers"
                __versioned__ = {"exclude": ["nmae"]}
                id: Mapped[int] = mapped_column(primary_key=True)
                name: Mapped[str]

    def test_the_key_and_the_discriminator_cannot_be_excluded(self, base: Any) -> None:
        with pytest.raises(ConfigurationError, match="key column 'id'"):

            class Customer(Versioned, base):
                __tablename__ = "customers"
                __versioned__ = {"exclude": ["id"]}
                id: Mapped[int] = mapped_column(primary_key=True)

        assert not is_versioned(base.metadata.tables["customers"])
        with pytest.raises(ConfigurationError, match="'kind' tells which class"):

            class Employee(Versioned, base):
                __tablename__ = "employees"
                __versioned__ = {"exclude": ["kind"]}
                id: Mapped[int] = mapped_column(primary_key=True)
                kind: Mapped[str]
                __mapper_args__ = {"polymorphic_on": "kind"}

    def test_unknown_options_are_refused(self, base: Any) -> None:
        with pytest.raises(UnknownOptionError, match="excluded"):

            class Customer(Versioned, base):
                __tablename__ = "customers"
                __versioned__ = {"excluded": ["name"]}
                id: Mapped[int] = mapped_column(primary_key=True)

    @pytest.mark.parametrize("said", ["exclude", ["name"], 1.5])
    def test_a_declaration_that_is_no_dict_is_refused(self, base: Any, said: Any) -> None:
        with pytest.raises(UnknownOptionError, match="must be a dict"):

            class Customer(Versioned, base):
                __tablename__ = "customers"
                __versioned__ = said
                id: Mapped[int] = mapped_column(primary_key=True)

    def test_a_class_mapped_to_a_query_is_refused(self, base: Any) -> None:
        table = Table("customers", base.metadata, Column("id", Integer, primary_key=True))
        with pytest.raises(ConfigurationError, match="not to a table"):

            class Customer(Versioned, base):
                __table__ = select(table).subquery()
                __mapper_args__ = {"primary_key": [__table__.c.id]}


class TestNames:
    def test_an_attribute_of_the_users_own_is_never_shadowed(self, base: Any) -> None:
        class Customer(Versioned, base):
            __tablename__ = "customers"
            id: Mapped[int] = mapped_column(primary_key=True)
            versions: Mapped[int]
            History: Mapped[str] = mapped_column("story")

        assert set(Customer.__table__.c.keys()) == {"id", "versions", "story"}
        assert Customer(versions=3).versions == 3
        assert history_of(Customer).versions is not None

    def test_nor_one_of_a_mixin_that_comes_later(self, base: Any) -> None:
        class Counted:
            versions: Mapped[int]

        class Customer(Versioned, Counted, base):
            __tablename__ = "customers"
            id: Mapped[int] = mapped_column(primary_key=True)

        assert "versions" in Customer.__table__.c

    def test_nor_an_inherited_property(self, base: Any) -> None:
        class Counted:
            @property
            def versions(self) -> int:
                return 42

        class Customer(Versioned, Counted, base):
            __tablename__ = "customers"
            id: Mapped[int] = mapped_column(primary_key=True)

        assert Customer(id=1).versions == 42

    def test_names_that_versions_need_are_refused(self, base: Any) -> None:
        with pytest.raises(ConfigurationError, match="temporal_valid_from"):

            class Customer(Versioned, base):
                __tablename__ = "customers"
                id: Mapped[int] = mapped_column(primary_key=True)
                since: Mapped[str] = mapped_column("temporal_valid_from")

        with pytest.raises(ConfigurationError, match="temporal_commit_seq"):

            class Order(Versioned, base):
                __tablename__ = "orders"
                id: Mapped[int] = mapped_column(primary_key=True)
                temporal_commit_seq: Mapped[int] = mapped_column("seq")


class TestVersionedTable:
    def test_returns_the_table(self) -> None:
        table = Table("tags", MetaData(), Column("id", Integer, primary_key=True))
        assert versioned_table(table, exclude=[]) is table
        assert is_versioned(table)

    def test_without_a_key_is_refused_with_advice(self) -> None:
        table = Table("tags", MetaData(), Column("id", Integer))
        with pytest.raises(MissingKeyError, match="primary_key=True"):
            versioned_table(table)
        assert not is_versioned(table)

    def test_unknown_options_are_refused(self) -> None:
        table = Table("tags", MetaData(), Column("id", Integer, primary_key=True))
        with pytest.raises(UnknownOptionError, match="sufix"):
            versioned_table(table, sufix="_h")

    def test_something_else_is_refused(self, base: Any) -> None:
        with pytest.raises(ConfigurationError, match="takes a Table"):
            versioned_table(base)

    def test_twice_alike_is_fine(self) -> None:
        table = Table("tags", MetaData(), Column("id", Integer, primary_key=True))
        versioned_table(versioned_table(table))

    def test_twice_differently_is_refused(self) -> None:
        table = Table("tags", MetaData(), Column("id", Integer, primary_key=True))
        versioned_table(table)
        with pytest.raises(ConfigurationError, match="declared versioned already"):
            versioned_table(table, history_table_suffix="_h")

    def test_a_class_without_options_takes_those_of_its_table(self, base: Any) -> None:
        table = Table("tags", base.metadata, Column("id", Integer, primary_key=True))
        versioned_table(table, history_table_suffix="_h")

        class Tag(Versioned, base):
            __table__ = table

        assert history_table(Tag.__table__).name == "tags_h"


def test_a_sql_expression_is_not_taken_for_a_column(base: Any) -> None:
    class Customer(Versioned, base):
        __tablename__ = "customers"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]

    Customer.shout = column_property(Customer.__table__.c.name + "!")
    assert "shout" not in history_of(Customer).__mapper__.attrs
