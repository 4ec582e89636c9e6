"""What was said of a commit is erased, on record, and the chain of commits still verifies."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Connection, Engine

from sqlalchemy_temporal import (
    AccessModeError,
    RedactionError,
    Repository,
    TemporalTables,
    UnknownOptionError,
    redact_commit,
)
from sqlalchemy_temporal.repository import Verification
from sqlalchemy_temporal.schema import SystemTables, system_of
from tests.repository.graphs import commit, tables
from tests.repository.merges import part

SCHEMA = "temporal_versioning"


@pytest.fixture
def engine(any_engine: Engine) -> Engine:
    """Three commits, the second of them with something to hide."""
    tables().create_all(any_engine)
    commit(any_engine, author="ana", message="before")
    commit(any_engine, author="Eve Adams", message="call 555-1234", context={"ip": "10.0.0.9"})
    commit(any_engine, author="bo", message="after")
    return any_engine


@pytest.fixture
def hashed(engine: Engine) -> Engine:
    with engine.begin() as connection:
        Repository(connection).hash_commits()
    return engine


def verify(engine: Engine, **options: Any) -> Verification:
    with engine.begin() as connection:
        return Repository(connection).verify(**options)


def problems(engine: Engine, **options: Any) -> list[str]:
    return [str(problem) for problem in verify(engine, **options).problems]


def said(engine: Engine, when: str) -> tuple[Any, Any, Any]:
    with engine.begin() as connection:
        found = Repository(connection).get(when)
    return found.author, found.message, found.context


def test_author_message_and_context_are_overwritten(hashed: Engine) -> None:
    with hashed.begin() as connection:
        digest = Repository(connection).digest()
    done = redact_commit(hashed, "HEAD~1", author="dpo", reason="request 7")
    assert set(done.fields) == {"author", "message", "context"}
    assert (bool(done), done.to_dict()["merges"]) == (True, 0)
    assert "redacted of commit" in str(done)
    assert said(hashed, "HEAD~2") == ("(redacted)", "(redacted)", None)
    with hashed.begin() as connection:
        head = Repository(connection).head
    assert (head.operation, head.author, head.message) == ("REDACT", "dpo", "request 7")
    found = verify(hashed)
    assert [str(problem) for problem in found.problems] == []
    assert [(each.kind, each.table) for each in found.withdrawn] == [
        ("redacted", f"{SCHEMA}.transaction")
    ]
    assert problems(hashed, digest=digest) == []  # the digest from before still holds


def test_a_commit_without_a_hash_can_be_redacted(engine: Engine) -> None:
    redact_commit(engine, "HEAD~1")
    assert problems(engine) == []


def test_some_fields_are_replaced_and_others_stay(hashed: Engine) -> None:
    redact_commit(hashed, "HEAD~1", ["author"], replacement={"author": "user 7"})
    assert said(hashed, "HEAD~2") == ("user 7", "call 555-1234", {"ip": "10.0.0.9"})
    assert problems(hashed) == []


def test_a_commit_is_redacted_again(hashed: Engine) -> None:
    redact_commit(hashed, "HEAD~1", "message")
    redact_commit(hashed, "HEAD~2", ["author", "context"], replacement={"context": {"ip": "-"}})
    redact_commit(hashed, "HEAD~3", ["message"], replacement={"message": "–"})
    assert said(hashed, "HEAD~4") == ("(redacted)", "–", {"ip": "-"})
    assert problems(hashed) == []
    assert not redact_commit(hashed, "HEAD~4", ["message"], replacement={"message": "–"})


def test_a_redaction_is_redacted(hashed: Engine) -> None:
    redact_commit(hashed, "HEAD~1", reason="Eve Adams asked for it")
    redact_commit(hashed, "HEAD", ["message"], reason="as it said too much")
    assert said(hashed, "HEAD~1")[1] == "(redacted)"
    assert problems(hashed) == []


def test_the_message_that_a_merge_has_noted_goes_with_it(any_engine: Engine) -> None:
    tables().create_all(any_engine)
    base = "INSERT INTO price VALUES (1, 'a', 1)"
    repo = part(any_engine, base, "UPDATE price SET amount = 2", "UPDATE price SET amount = 3")
    repo.merge("theirs", message="as Eve said")
    repo.resolve(take="ours")
    repo.merge_commit()
    assert redact_commit(any_engine, "HEAD", ["message"]).merges == 1
    with any_engine.begin() as connection:
        merge = system_of(connection, SCHEMA).merge
        assert "Eve" not in str(connection.execute(merge.select()).all())
    assert problems(any_engine) == []


def edit_message(connection: Connection, system: SystemTables) -> None:
    table = system.transaction
    connection.execute(
        table.update().where(table.c.message == "(redacted)").values(message="never said")
    )


def edit_author(connection: Connection, system: SystemTables) -> None:
    table = system.transaction
    connection.execute(table.update().where(table.c.author == "bo").values(author="eve"))


def take_away(connection: Connection, system: SystemTables) -> None:
    connection.execute(system.leaf_override.delete())


def alter(connection: Connection, system: SystemTables) -> None:
    connection.execute(system.leaf_override.update().values(original_hash=b"\1" * 96))


def forge(connection: Connection, system: SystemTables) -> None:
    """An entry for another commit, as if the redaction had been of both."""
    override = system.leaf_override
    [row] = connection.execute(override.select()).mappings()
    values = {name: row[name] for name in row if name != "id"}
    connection.execute(override.insert().values(values | {"tx_id": row["tx_id"] + 1}))


@pytest.mark.parametrize("edit", [edit_message, edit_author, take_away, alter, forge])
def test_what_is_edited_behind_it_is_found(hashed: Engine, edit: Any) -> None:
    redact_commit(hashed, "HEAD~1")
    assert problems(hashed) == []
    with hashed.begin() as connection:
        edit(connection, system_of(connection, SCHEMA))
    assert problems(hashed)


def test_it_belongs_to_the_transaction_it_is_made_in(hashed: Engine) -> None:
    with hashed.connect() as connection, connection.begin() as transaction:
        assert redact_commit(connection, "HEAD~1")
        transaction.rollback()
    assert said(hashed, "HEAD~1")[0] == "Eve Adams"
    assert problems(hashed) == []


def test_what_does_not_fit_is_refused(hashed: Engine) -> None:
    with pytest.raises(UnknownOptionError, match="operation"):
        redact_commit(hashed, "HEAD", ["operation"])
    with pytest.raises(RedactionError, match="message"):
        redact_commit(hashed, "HEAD", ["author"], replacement={"message": "x"})
    with pytest.raises(AccessModeError):
        TemporalTables(hashed, access="restricted").redact_commit("HEAD")
