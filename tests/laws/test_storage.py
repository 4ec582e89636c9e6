"""Laws 1 to 3 of the storage: exact, complete, repeatable, for any program."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from sqlalchemy import Engine, MetaData, text
from sqlalchemy.exc import DBAPIError

from sqlalchemy_temporal.clock.resolve import resolve
from tests.laws.programs import State, Transaction, copy_of, programs, run_step, state_at, tables


@pytest.fixture
def versioned(pg_engine: Engine) -> Iterator[tuple[Engine, MetaData]]:
    """An engine whose database holds the two tables of the programs."""
    metadata = tables()
    metadata.create_all(pg_engine)
    return pg_engine, metadata


def run(engine: Engine, metadata: MetaData, program: list[Transaction]) -> list[tuple[str, State]]:
    """Run a program; return each commit with a copy of the tables when it was HEAD."""
    copies: list[tuple[str, State]] = []
    for steps, committed in program:
        with engine.connect() as connection:
            transaction = connection.begin()
            with contextlib.suppress(DBAPIError):
                # A statement that breaks a constraint ends the whole transaction.
                for step in steps:
                    run_step(connection, step)
                if committed:
                    transaction.commit()
            if transaction.is_active:
                transaction.rollback()
        with engine.begin() as connection:
            head = resolve(connection, "HEAD")
            copies.append((str(head.uuid), copy_of(connection, metadata)))
    return copies


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(program=programs)
def test_every_commit_reads_as_the_copy_taken_when_it_was_head(
    versioned: tuple[Engine, MetaData], program: list[Transaction]
) -> None:
    engine, metadata = versioned
    copies = run(engine, metadata, program)
    with engine.begin() as connection:
        assert state_at(connection, metadata, resolve(connection, "HEAD")) == copy_of(
            connection, metadata
        )
        for uuid, copy in copies:
            assert state_at(connection, metadata, resolve(connection, uuid)) == copy


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(program=programs)
def test_a_transaction_that_changes_nothing_makes_no_commit(
    versioned: tuple[Engine, MetaData], program: list[Transaction]
) -> None:
    engine, metadata = versioned
    run(engine, metadata, program)
    with engine.begin() as connection:
        before = resolve(connection, "HEAD")
    with engine.begin() as connection:
        connection.execute(text("UPDATE owner SET name = name, note = note"))
        connection.execute(text("UPDATE account SET amount = 3 WHERE false"))
        connection.execute(text("DELETE FROM account WHERE id = -1"))
        connection.execute(
            text("INSERT INTO owner (id) SELECT id FROM owner ON CONFLICT DO NOTHING")
        )
    with engine.begin() as connection:
        assert resolve(connection, "HEAD") == before
