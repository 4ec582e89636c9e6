"""The laws after a purge or a redaction: what is left reads as it did, and is verified."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, MetaData

from sqlalchemy_temporal.clock.resolve import resolve
from sqlalchemy_temporal.errors import RedactionError
from sqlalchemy_temporal.repository import Repository
from sqlalchemy_temporal.tables.purge import purge_history
from sqlalchemy_temporal.tables.redact import redact
from tests.laws.programs import Transaction, copy_of, programs, state_at, tables
from tests.laws.test_storage import run


@pytest.fixture
def versioned(pg_engine: Engine) -> tuple[Engine, MetaData]:
    metadata = tables()
    metadata.create_all(pg_engine)
    return pg_engine, metadata


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    program=programs,
    at=st.integers(0, 7),
    keep_last=st.sampled_from([None, 1, 2]),
    batch_size=st.integers(1, 5),
    hashed=st.booleans(),
)
def test_after_a_purge_every_moment_reads_as_its_copy_or_is_refused(
    versioned: tuple[Engine, MetaData],
    *,
    program: list[Transaction],
    at: int,
    keep_last: int | None,
    batch_size: int,
    hashed: bool,
) -> None:
    engine, metadata = versioned
    copies = run(engine, metadata, program)
    with engine.begin() as connection:
        chosen = resolve(connection, copies[min(at, len(copies) - 1)][0])
        if hashed:
            assert Repository(connection).verify().ok
    purge_history(engine, chosen, keep_last=keep_last, batch_size=batch_size, dry_run=False)
    with engine.begin() as connection:
        assert Repository(connection).verify().ok
        assert state_at(connection, metadata, resolve(connection, "HEAD")) == copy_of(
            connection, metadata
        )
        for uuid, copy in copies:
            moment = resolve(connection, uuid)
            refused = {unknown.history.split(".")[1] for unknown in moment.unknown}
            assert moment.seq < chosen.seq or not refused
            found = state_at(connection, metadata, moment)
            known = {name for name in copy if f"{name}_history" not in refused}
            assert {name: found[name] for name in known} == {name: copy[name] for name in known}


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(program=programs, key=st.integers(0, 6), hashed=st.booleans())
def test_a_redaction_alters_one_key_at_every_moment_and_nothing_else(
    versioned: tuple[Engine, MetaData], program: list[Transaction], key: int, hashed: bool
) -> None:
    engine, metadata = versioned
    copies = run(engine, metadata, program)
    if hashed:
        with engine.begin() as connection:
            assert Repository(connection).verify().ok
    with contextlib.suppress(RedactionError):  # there was never such an owner
        redact(engine, "owner", key, ["name", "note"], replacement={"name": "–"})
    with engine.begin() as connection:
        assert Repository(connection).verify().ok
        for uuid, copy in copies:
            found = state_at(connection, metadata, resolve(connection, uuid))
            assert found["account"] == copy["account"]
            assert found["owner"] == {
                (id_, "–", None) if id_ == str(key) else (id_, name, note)
                for id_, name, note in copy["owner"]
            }
