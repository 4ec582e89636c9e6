"""Versions after random programs of changes, against lists kept in plain Python."""

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from sqlalchemy_temporal.model.declare import Versioned
from sqlalchemy_temporal.model.versions import versions_of


class Base(DeclarativeBase):
    pass


class Employee(Versioned, Base):
    __tablename__ = "employees"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    name: Mapped[int]
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "employee"}


class Engineer(Employee):
    __tablename__ = "engineers"
    id: Mapped[int] = mapped_column(ForeignKey("employees.id"), primary_key=True)
    language: Mapped[int]
    __mapper_args__ = {"polymorphic_identity": "engineer"}


State = tuple[int, int]

steps = st.one_of(
    st.tuples(st.just("name"), st.integers(0, 2)),
    st.tuples(st.just("language"), st.integers(0, 2)),
    st.tuples(st.sampled_from(["delete", "insert", "undo"]), st.just(0)),
)
programs = st.lists(st.lists(steps, max_size=4), max_size=8)
"""Transactions of steps; "undo" rolls back to where the transaction began."""


@pytest.fixture
def keys() -> Iterator[int]:
    return count(1)


@pytest.fixture
def session(any_engine: Engine) -> Iterator[Session]:
    Base.metadata.create_all(any_engine)
    with Session(any_engine) as session:
        yield session


def apply(session: Session, key: int, step: str, value: int) -> None:
    engineer = session.get(Engineer, key)
    if step == "insert" and engineer is None:
        session.add(Engineer(id=key, name=0, language=0))
    elif step == "delete" and engineer is not None:
        session.delete(engineer)
    elif step in {"name", "language"} and engineer is not None:
        setattr(engineer, step, value)
    session.flush()


def state_of(session: Session, key: int) -> State | None:
    engineer = session.get(Engineer, key)
    return None if engineer is None else (engineer.name, engineer.language)


def run(session: Session, key: int, program: list[Any]) -> list[tuple[State, State | None]]:
    """Run ``program``; return the versions expected: the state and the one it replaced."""
    expected: list[tuple[State, State | None]] = []
    before: State | None = None
    for transaction in program:
        for step, value in transaction:
            if step == "undo":
                session.rollback()
            else:
                apply(session, key, step, value)
        session.commit()
        now = state_of(session, key)
        if now is not None and now != before:
            expected.append((now, before))
        before = now
    return expected


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(program=programs)
def test_versions_of_an_object_in_two_tables(
    session: Session, keys: Iterator[int], program: list[Any]
) -> None:
    key = next(keys)
    expected = run(session, key, [[("insert", 0)], *program])
    # A transaction that changes a row and changes it back leaves a version like the last.
    versions = [v for v in versions_of(session, Engineer, key) if v.changeset]
    assert [(v.name, v.language) for v in versions] == [state for state, _ in expected]
    for version, (state, before) in zip(versions, expected, strict=True):
        assert version.operation == ("INSERT" if before is None else "UPDATE")
        changes = version.changeset
        old = dict(zip(("name", "language"), before or (None, None), strict=True))
        new = dict(zip(("name", "language"), state, strict=True))
        assert {n: c for n, c in changes.items() if n in new} == {
            name: (old[name], new[name]) for name in new if old[name] != new[name]
        }


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(program=programs)
def test_neighbours_agree_with_the_list(
    session: Session, keys: Iterator[int], program: list[Any]
) -> None:
    key = next(keys)
    run(session, key, [[("insert", 0)], *program])
    versions = list(versions_of(session, Employee, key))
    for position, version in enumerate(versions):
        alone = versions_of(session, Employee, key)[position]
        assert alone is version
        assert version.index == position
        session.expunge(version)
        alone = versions_of(session, Employee, key)[position]
        following, preceding = alone.next, alone.previous
        assert (following and following.temporal_tx_id) == (
            versions[position + 1].temporal_tx_id if position + 1 < len(versions) else None
        )
        assert (preceding and preceding.temporal_tx_id) == (
            versions[position - 1].temporal_tx_id if position else None
        )
