"""Law 5: restoring makes the live tables what they were, and leaves the past as it was."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, MetaData, text

from sqlalchemy_temporal.clock.moment import Moment
from sqlalchemy_temporal.clock.resolve import resolve
from sqlalchemy_temporal.repository import Repository
from tests.laws.programs import (
    State,
    Transaction,
    copy_of,
    programs,
    run_step,
    state_at,
    tables,
)

SETTINGS = settings(
    max_examples=12,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture
def metadata(pg_engine: Engine) -> MetaData:
    found = tables()
    found.create_all(pg_engine)
    return found


def remember(
    connection: Connection, metadata: MetaData, program: list[Transaction]
) -> list[tuple[Moment, State]]:
    """Run a program, and what the tables held after each transaction."""
    connection.execute(text("TRUNCATE owner, account"))
    connection.execute(text("INSERT INTO owner (id, name) VALUES (0, 'first')"))
    connection.commit()
    remembered = []
    for steps, committed in program:
        for step in steps:
            run_step(connection, step)
        if committed:
            connection.commit()
        else:
            connection.rollback()
        remembered.append((resolve(connection, "HEAD"), copy_of(connection, metadata)))
        connection.commit()
    return remembered


@SETTINGS
@given(program=programs, data=st.data())
def test_restoring_returns_to_any_commit_and_changes_no_past(
    pg_engine: Engine, metadata: MetaData, program: list[Transaction], data: st.DataObject
) -> None:
    with pg_engine.connect() as connection:
        remembered = remember(connection, metadata, program)
        repo = Repository(connection)
        for name in data.draw(
            st.lists(st.sampled_from(["restore", "checkout"]), min_size=1, max_size=4)
        ):
            moment, state = data.draw(st.sampled_from(remembered))
            done = getattr(repo, name)(moment)
            assert copy_of(connection, metadata) == state
            connection.commit()
            if done:
                assert done.commit.operation == name.upper()
                remembered.append((resolve(connection, "HEAD"), state))
        for moment, state in remembered:
            assert state_at(connection, metadata, moment) == state


@SETTINGS
@given(program=programs, data=st.data())
def test_restoring_replaces_what_the_transaction_did_itself(
    pg_engine: Engine, metadata: MetaData, program: list[Transaction], data: st.DataObject
) -> None:
    with pg_engine.connect() as connection:
        remembered = remember(connection, metadata, program)
        moment, state = data.draw(st.sampled_from(remembered))
        steps, _ = data.draw(st.sampled_from(program))
        for step in steps:
            run_step(connection, step)
        Repository(connection).restore(moment)
        assert copy_of(connection, metadata) == state
        connection.commit()
        assert state_at(connection, metadata, resolve(connection, "HEAD")) == state


@SETTINGS
@given(program=programs)
def test_reverting_the_last_commit_is_rolling_back(
    pg_engine: Engine, metadata: MetaData, program: list[Transaction]
) -> None:
    with pg_engine.connect() as connection:
        remembered = remember(connection, metadata, program)
        repo = Repository(connection)
        before = [state for moment, state in remembered if moment.seq < remembered[-1][0].seq]
        if not before:
            return
        repo.revert("HEAD")
        assert copy_of(connection, metadata) == before[-1]
        connection.rollback()
        repo.rollback()
        assert copy_of(connection, metadata) == before[-1]
        connection.rollback()
