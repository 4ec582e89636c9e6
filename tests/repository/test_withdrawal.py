"""Versions redacted or purged on purpose verify as such; and nothing else does."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine, column, table, text

from sqlalchemy_temporal.naming import END_COLUMN, ID_COLUMN, TX_COLUMN
from sqlalchemy_temporal.repository import Repository, Verification
from sqlalchemy_temporal.repository.withdrawal import record_purged, redacting
from tests.laws.programs import tables

SCHEMA = "temporal_versioning"
OWNER = 1
HISTORY: Any = table(
    "owner_history", *(column(n) for n in (ID_COLUMN, TX_COLUMN, END_COLUMN, "id")), schema=SCHEMA
)


@pytest.fixture
def engine(pg_engine: Engine) -> Engine:
    """Owner 1 is written four times, owner 2 once."""
    tables().create_all(pg_engine)
    for statement in (
        "INSERT INTO owner VALUES (1, 'ana', 'a'), (2, 'bo', 'b')",
        "UPDATE owner SET name = 'b' WHERE id = 1",
        "UPDATE owner SET name = 'c' WHERE id = 1",
        "DELETE FROM owner WHERE id = 1",
    ):
        with pg_engine.begin() as connection:
            connection.exec_driver_sql(statement)
    return pg_engine


def verified(engine: Engine) -> Verification:
    with engine.connect() as connection:
        return Repository(connection).verify()


def up_to(seq: int) -> Any:
    return lambda h: [h.c[END_COLUMN] <= seq]


def purge(engine: Engine, seq: int) -> None:
    with engine.begin() as connection:
        record_purged(connection, SCHEMA, OWNER, HISTORY, up_to(seq))
        connection.execute(HISTORY.delete().where(HISTORY.c[END_COLUMN] <= seq))
        note(connection)


def redact(engine: Engine, value: str) -> None:
    with engine.begin() as connection:
        with redacting(connection, SCHEMA, OWNER, HISTORY, lambda h: [h.c.id == 1]):
            connection.execute(
                text(f"UPDATE {SCHEMA}.owner_history SET name = :v WHERE id = 1"), {"v": value}
            )
        note(connection)


def note(connection: Any) -> None:
    connection.exec_driver_sql(f"SELECT {SCHEMA}.note_change('public.owner', 'purge', 1)")


@pytest.mark.parametrize("hashed_before", [True, False])
def test_purged_versions_verify_and_are_reported_apart(engine: Engine, hashed_before: bool) -> None:
    if hashed_before:
        assert verified(engine).ok
    purge(engine, 3)
    found = verified(engine)
    assert found.ok, str(found)
    # Of commits without a hash nothing has to be kept.
    assert [(w.kind, w.table, w.leaves, w.commits) for w in found.withdrawn] == (
        [("purged", "public.owner", 2, 2)] if hashed_before else []
    )
    purge(engine, 4)
    assert verified(engine).ok


@pytest.mark.parametrize("hashed_before", [True, False])
def test_redacted_versions_verify_and_are_reported_apart(
    engine: Engine, hashed_before: bool
) -> None:
    if hashed_before:
        assert verified(engine).ok
    redact(engine, "x")
    redact(engine, "y")
    found = verified(engine)
    assert found.ok, str(found)
    assert [(w.kind, w.table, w.commits) for w in found.withdrawn] == [
        ("redacted", "public.owner", 3)
    ]
    purge(engine, 4)
    assert verified(engine).ok


def test_a_redacted_version_altered_afterwards_is_found(engine: Engine) -> None:
    redact(engine, "x")
    assert verified(engine).ok
    with engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE {SCHEMA}.owner_history SET name = 'z'")
    found = verified(engine)
    assert {p.table for p in found.problems} == {f"{SCHEMA}.owner_history"}


def test_a_forged_entry_of_what_was_redacted_is_found(engine: Engine) -> None:
    assert verified(engine).ok
    with engine.begin() as connection:
        with redacting(connection, SCHEMA, OWNER, HISTORY, lambda h: [h.c.id == 1]):
            connection.exec_driver_sql(f"UPDATE {SCHEMA}.owner_history SET name = 'z'")
        connection.exec_driver_sql(f"UPDATE {SCHEMA}.leaf_override SET by_tx_id = 2")
    found = verified(engine)
    assert [p.table for p in found.problems] == [f"{SCHEMA}.leaf_override"] * 3


def test_a_removed_entry_of_what_was_purged_is_found(engine: Engine) -> None:
    assert verified(engine).ok
    purge(engine, 4)
    assert verified(engine).ok
    with engine.begin() as connection:
        connection.exec_driver_sql(f"DELETE FROM {SCHEMA}.leaf_override WHERE tx_id = 3")
    assert not verified(engine).ok
