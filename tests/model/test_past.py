"""Versions in a session of the past: only those visible at its moment."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from sqlalchemy_temporal.model.changes import Change
from sqlalchemy_temporal.model.declare import Versioned
from sqlalchemy_temporal.model.versions import versions_of
from sqlalchemy_temporal.reading.as_of import as_of


class Base(DeclarativeBase):
    pass


class Employee(Versioned, Base):
    __tablename__ = "employees"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    name: Mapped[str]
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "employee"}


class Engineer(Employee):
    __tablename__ = "engineers"
    id: Mapped[int] = mapped_column(ForeignKey("employees.id"), primary_key=True)
    language: Mapped[str]
    __mapper_args__ = {"polymorphic_identity": "engineer"}


@pytest.fixture
def session(any_engine: Engine) -> Iterator[Session]:
    Base.metadata.create_all(any_engine)
    with Session(any_engine) as session:
        yield session


@pytest.fixture
def ana(session: Session) -> Employee:
    employee = Employee(id=1, name="Ana")
    session.add(employee)
    session.commit()
    for name in ("Bea", "Cleo", "Dora"):
        employee.name = name
        session.commit()
    return employee


def test_only_versions_visible_at_the_moment(session: Session, ana: Employee) -> None:
    with as_of(session, "HEAD~1") as past:
        employee = past.get_one(Employee, 1)
        assert [v.name for v in employee.versions] == ["Ana", "Bea", "Cleo"]
        assert len(employee.versions) == 3
    assert len(ana.versions) == 4


def test_the_last_of_them_was_the_current_one_then(session: Session, ana: Employee) -> None:
    with as_of(session, "HEAD~1") as past:
        last = past.get_one(Employee, 1).versions[-1]
        assert last.name == "Cleo"
        assert last.temporal_end_tx_id is None
        assert last.temporal_valid_to is None
        assert last.ended_by is None
        assert last.next is None


def test_navigation_changes_and_commits(session: Session, ana: Employee) -> None:
    with as_of(session, "HEAD~1") as past:
        second = past.get_one(Employee, 1).versions[1]
        assert second.previous.name == "Ana"
        assert second.next is past.get_one(Employee, 1).versions[-1]
        assert second.index == 1
        assert second.changeset == {"name": Change("Ana", "Bea")}
        assert second.operation == "UPDATE"
        assert second.commit.seq == second.temporal_commit_seq


def test_by_key_of_what_is_deleted_now(session: Session, ana: Employee) -> None:
    session.delete(ana)
    session.commit()
    with as_of(session, "HEAD~1") as past:
        assert versions_of(past, Employee, 1)[-1].ended_by is None
    with as_of(session, "HEAD") as past:
        assert versions_of(past, Employee, 1)[-1].ended_by == "DELETE"


def test_what_is_not_committed_is_not_visible_at_any_moment(
    session: Session, ana: Employee
) -> None:
    ana.name = "Eva"
    session.flush()
    with as_of(session, "HEAD") as past:
        assert [v.name for v in versions_of(past, Employee, 1)][-1] == "Dora"
    assert ana.versions[-1].name == "Eva"


def test_joined_tables(session: Session) -> None:
    engineer = Engineer(id=2, name="Ana", language="C")
    session.add(engineer)
    session.commit()
    engineer.language = "D"
    session.commit()
    engineer.name = "Bea"
    session.commit()
    with as_of(session, "HEAD~1") as past:
        versions = past.get_one(Engineer, 2).versions
        assert [(v.name, v.language) for v in versions] == [("Ana", "C"), ("Ana", "D")]
        assert versions[-1].temporal_end_tx_id is None
