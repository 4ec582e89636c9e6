"""Histories of classes that inherit: single-table, joined-table, concrete."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import Engine, ForeignKey, select, text
from sqlalchemy.ext.declarative import AbstractConcreteBase, ConcreteBase
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from sqlalchemy_temporal.model.changes import Change
from sqlalchemy_temporal.model.declare import Versioned
from sqlalchemy_temporal.model.versions import versions_of


class Base(DeclarativeBase):
    pass


class Animal(Versioned, Base):
    __tablename__ = "animals"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    name: Mapped[str]
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "animal"}


class Dog(Animal):
    breed: Mapped[str | None]
    __mapper_args__ = {"polymorphic_identity": "dog"}


class Puppy(Dog):
    __mapper_args__ = {"polymorphic_identity": "puppy"}


class Cat(Animal):
    lives: Mapped[int | None]
    __mapper_args__ = {"polymorphic_identity": "cat"}


class Employee(Versioned, Base):
    __tablename__ = "employees"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    name: Mapped[str]
    note: Mapped[str | None] = mapped_column("remark")
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "employee"}


class Engineer(Employee):
    __tablename__ = "engineers"
    id: Mapped[int] = mapped_column(ForeignKey("employees.id"), primary_key=True)
    language: Mapped[str]
    remark: Mapped[str | None]
    __mapper_args__ = {"polymorphic_identity": "engineer"}


class Architect(Engineer):
    __tablename__ = "architects"
    architect_id: Mapped[int] = mapped_column(ForeignKey("engineers.id"), primary_key=True)
    style: Mapped[str]
    __mapper_args__ = {"polymorphic_identity": "architect"}


class Intern(Engineer):
    school: Mapped[str | None]
    __mapper_args__ = {"polymorphic_identity": "intern"}


class Vehicle(Versioned, ConcreteBase, Base):
    __tablename__ = "vehicles"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    __mapper_args__ = {"polymorphic_identity": "vehicle", "concrete": True}


class Truck(Vehicle):
    __tablename__ = "trucks"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    load: Mapped[int]
    __mapper_args__ = {"polymorphic_identity": "truck", "concrete": True}


class Shape(Versioned, AbstractConcreteBase, Base):
    strict_attrs = True


class Circle(Shape):
    __tablename__ = "circles"
    id: Mapped[int] = mapped_column(primary_key=True)
    radius: Mapped[int]
    __mapper_args__ = {"polymorphic_identity": "circle", "concrete": True}


@pytest.fixture
def session(any_engine: Engine) -> Iterator[Session]:
    Base.metadata.create_all(any_engine)
    with Session(any_engine) as session:
        yield session


def change(session: Session, instance: Any, **values: Any) -> None:
    for name, value in values.items():
        setattr(instance, name, value)
    session.commit()


def added(session: Session, instance: Any) -> Any:
    session.add(instance)
    session.commit()
    return instance


class TestSingleTable:
    def test_versions_have_the_attributes_of_the_class(self, session: Session) -> None:
        dog = added(session, Dog(id=1, name="Rex", breed="Dachs"))
        change(session, dog, breed="Dachshund")
        assert [(v.name, v.breed) for v in dog.versions] == [
            ("Rex", "Dachs"),
            ("Rex", "Dachshund"),
        ]
        assert not hasattr(dog.versions[0], "lives")

    def test_each_class_sees_its_own_and_its_subclasses(self, session: Session) -> None:
        session.add_all(
            [
                Animal(id=1, name="a"),
                Dog(id=2, name="d"),
                Puppy(id=3, name="p"),
                Cat(id=4, name="c"),
            ]
        )
        session.commit()

        def seen(entity: Any) -> list[str]:
            return sorted(session.scalars(select(entity.History.name)))

        assert seen(Animal) == ["a", "c", "d", "p"]
        assert seen(Dog) == ["d", "p"]
        assert seen(Puppy) == ["p"]
        assert seen(Cat) == ["c"]

    def test_a_subclass_declared_later_is_seen(self, session: Session) -> None:
        class Other(DeclarativeBase):
            pass

        class Tree(Versioned, Other):
            __tablename__ = "trees"
            id: Mapped[int] = mapped_column(primary_key=True)
            kind: Mapped[str]
            __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "tree"}

        class Oak(Tree):
            __mapper_args__ = {"polymorphic_identity": "oak"}

        Other.metadata.create_all(session.connection())
        assert session.scalars(select(Oak.History.kind)).all() == []

        class HolmOak(Oak):
            __mapper_args__ = {"polymorphic_identity": "holm oak"}

        session.add(HolmOak(id=1))
        session.commit()
        assert session.scalars(select(Oak.History.kind)).all() == ["holm oak"]


class TestJoinedTables:
    @pytest.fixture
    def engineer(self, session: Session) -> Engineer:
        engineer: Engineer = added(
            session, Engineer(id=1, name="Ana", language="C", note="n1", remark="r1")
        )
        change(session, engineer, language="D")
        change(session, engineer, name="Bea")
        change(session, engineer, name="Cleo", language="E", note="n2")
        return engineer

    def test_a_change_in_either_table_is_a_version(self, engineer: Engineer) -> None:
        assert [(v.name, v.language) for v in engineer.versions] == [
            ("Ana", "C"),
            ("Ana", "D"),
            ("Bea", "D"),
            ("Cleo", "E"),
        ]
        assert len(engineer.versions) == 4

    def test_changesets_join_what_changed_in_both(self, engineer: Engineer) -> None:
        changes = [v.changeset for v in engineer.versions]
        assert changes[1:] == [
            {"language": Change("C", "D")},
            {"name": Change("Ana", "Bea")},
            {
                "name": Change("Bea", "Cleo"),
                "language": Change("D", "E"),
                "note": Change("n1", "n2"),
            },
        ]
        assert changes[0]["remark"] == Change(None, "r1")

    def test_columns_of_one_name_are_told_apart(self, engineer: Engineer) -> None:
        assert (engineer.versions[0].note, engineer.versions[0].remark) == ("n1", "r1")

    def test_versions_are_contiguous(self, engineer: Engineer) -> None:
        versions = list(engineer.versions)
        for before, after in pairwise(versions):
            assert before.temporal_end_tx_id == after.temporal_tx_id
            assert before.temporal_valid_to == after.temporal_valid_from
        assert versions[-1].temporal_end_tx_id is None
        assert [v.commit.seq for v in versions] == [v.temporal_commit_seq for v in versions]

    def test_navigation_one_by_one(self, engineer: Engineer) -> None:
        version = engineer.versions[0]
        names = []
        while version is not None:
            names.append(version.language)
            version = version.next
        assert names == ["C", "D", "D", "E"]
        assert engineer.versions[-1].previous.previous.name == "Ana"
        assert engineer.versions[2].index == 2

    def test_the_base_class_has_only_its_own_changes(
        self, session: Session, engineer: Engineer
    ) -> None:
        versions = versions_of(session, Employee, 1)
        assert [v.name for v in versions] == ["Ana", "Bea", "Cleo"]

    def test_uncommitted_changes(self, session: Session, engineer: Engineer) -> None:
        engineer.language = "F"
        assert [v.language for v in engineer.versions] == ["C", "D", "D", "E", "F"]
        last = engineer.versions[-1]
        assert last.changeset == {"language": Change("E", "F")}
        engineer.name = "Dora"
        assert [v.name for v in engineer.versions][-2:] == ["Cleo", "Dora"]

    def test_a_deleted_object(self, session: Session, engineer: Engineer) -> None:
        session.delete(engineer)
        session.commit()
        versions = versions_of(session, Engineer, 1)
        assert len(versions) == 4
        assert versions[-1].ended_by == "DELETE"
        assert versions[-1].temporal_operation == "DELETE"

    def test_only_the_part_in_the_child_table_deleted(
        self, session: Session, engineer: Engineer
    ) -> None:
        session.execute(text("DELETE FROM engineers"))
        session.commit()
        session.execute(text("UPDATE employees SET kind = 'employee', name = 'Zoe'"))
        session.commit()
        assert [v.name for v in versions_of(session, Engineer, 1)][-1] == "Cleo"
        assert [v.name for v in versions_of(session, Employee, 1)][-1] == "Zoe"

    def test_three_levels(self, session: Session) -> None:
        architect = added(session, Architect(id=5, name="A", language="C", style="gothic"))
        change(session, architect, style="baroque")
        change(session, architect, name="B", style="modern")
        change(session, architect, language="D")
        assert [(v.name, v.language, v.style) for v in architect.versions] == [
            ("A", "C", "gothic"),
            ("A", "C", "baroque"),
            ("B", "C", "modern"),
            ("B", "D", "modern"),
        ]
        assert len(versions_of(session, Engineer, 5)) == 3
        assert [v.architect_id for v in architect.versions] == [5, 5, 5, 5]

    def test_a_single_table_class_below_a_joined_one(
        self, session: Session, engineer: Engineer
    ) -> None:
        intern = added(session, Intern(id=6, name="I", language="C", school="MIT"))
        change(session, intern, school="ETH")
        assert [v.school for v in intern.versions] == ["MIT", "ETH"]
        assert session.scalars(select(Intern.History.id).distinct()).all() == [6]

    def test_all_objects_at_once(self, session: Session, engineer: Engineer) -> None:
        added(session, Engineer(id=2, name="Zoe", language="X"))
        history = Engineer.History
        found = session.execute(
            select(history.id, history.language).order_by(history.id, history.temporal_commit_seq)
        )
        assert found.all() == [(1, "C"), (1, "D"), (1, "D"), (1, "E"), (2, "X")]


class TestConcreteTables:
    def test_each_class_has_its_own_table(self, session: Session) -> None:
        vehicle = added(session, Vehicle(id=1, name="bike"))
        truck = added(session, Truck(id=1, name="big", load=3))
        change(session, truck, load=4)
        assert [v.load for v in truck.versions] == [3, 4]
        assert [v.name for v in vehicle.versions] == ["bike"]

    def test_below_an_abstract_base(self, session: Session) -> None:
        circle = added(session, Circle(id=1, radius=1))
        change(session, circle, radius=2)
        assert [v.radius for v in circle.versions] == [1, 2]
