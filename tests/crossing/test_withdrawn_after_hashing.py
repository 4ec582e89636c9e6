"""What is purged or redacted after its commits were hashed is told from what was edited."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine, text

from sqlalchemy_temporal import Repository, TemporalTables, purge_history, redact
from sqlalchemy_temporal.repository import Verification

WORK = (
    "INSERT INTO item VALUES (1, 'a'), (2, 'x')",
    "UPDATE item SET name = 'b' WHERE id = 1",
    "UPDATE item SET name = 'c' WHERE id = 1",
    "DELETE FROM item WHERE id = 2",
)


@pytest.fixture
def engine(any_engine: Engine) -> Engine:
    with any_engine.begin() as connection:
        connection.execute(text("CREATE TABLE item (id integer PRIMARY KEY, name text)"))
    TemporalTables(any_engine).enable_temporal_versioning("item")
    for statement in WORK:
        with any_engine.begin() as connection:
            connection.execute(text(statement))
    assert verify(any_engine).ok
    return any_engine


def verify(engine: Engine) -> Verification:
    with engine.begin() as connection:
        return Repository(connection).verify()


DONE: dict[str, Callable[[Engine], Any]] = {
    "redacted": lambda engine: redact(engine, "item", 1, ["name"], replacement={"name": "–"}),
    "twice": lambda engine: [
        redact(engine, "item", 1, ["name"], replacement={"name": each}) for each in ("–", "+")
    ],
    "purged": lambda engine: purge_history(engine, "HEAD~1", "item", dry_run=False),
    "purged in batches": lambda engine: purge_history(
        engine, "HEAD", "item", dry_run=False, batch_size=1
    ),
    "redacted, then purged": lambda engine: (
        redact(engine, "item", 1, ["name"]),
        verify(engine),
        purge_history(engine, "HEAD", "item", dry_run=False),
    ),
}


@pytest.mark.parametrize("name", DONE)
def test_it_verifies_and_is_told(engine: Engine, name: str) -> None:
    DONE[name](engine)
    found = verify(engine)
    assert [str(problem) for problem in found.problems] == []
    kinds = {each.kind for each in found.withdrawn}
    assert kinds & {"redacted", "purged"}
    assert verify(engine).ok


def test_an_edit_beside_it_is_found(engine: Engine) -> None:
    redact(engine, "item", 1, ["name"])
    history = "temporal_versioning.item_history"
    if engine.dialect.name == "sqlite":
        history = "item_history"
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE {history} SET name = 'y' WHERE id = 2"))
    [problem] = verify(engine).problems
    assert (problem.kind, problem.key) == ("altered", {"id": 2})
