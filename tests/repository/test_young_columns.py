"""Going back to before a column existed that must not be NULL."""

import pytest
from sqlalchemy import Engine, text

from sqlalchemy_temporal import Repository, TemporalTables
from sqlalchemy_temporal.errors import ConstraintViolationError


def run(engine: Engine, *statements: str) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def rows(engine: Engine) -> list[tuple[object, ...]]:
    with engine.connect() as connection:
        return [
            tuple(row) for row in connection.execute(text("SELECT id, n, stock FROM p ORDER BY id"))
        ]


@pytest.fixture
def shop(any_engine: Engine) -> Engine:
    """Two rows, both changed; then a column with a default came, and one row has its own value."""
    tables = TemporalTables(any_engine)
    run(any_engine, "CREATE TABLE p (id integer PRIMARY KEY, n text)")
    tables.enable_temporal_versioning("p")
    run(any_engine, "INSERT INTO p VALUES (1, 'a'), (2, 'b')")
    with Repository(any_engine).begin() as repo:
        repo.tag("v1")
    run(any_engine, "UPDATE p SET n = n || n")
    run(any_engine, "ALTER TABLE p ADD COLUMN stock integer NOT NULL DEFAULT 5")
    tables.enable_temporal_versioning("p")
    run(any_engine, "UPDATE p SET stock = 9 WHERE id = 2")
    return any_engine


def test_a_row_that_exists_keeps_its_value(shop: Engine) -> None:
    Repository(shop).restore("v1")
    assert rows(shop) == [(1, "a", 5), (2, "b", 9)]


def test_a_row_that_is_inserted_again_takes_the_default(shop: Engine) -> None:
    run(shop, "DELETE FROM p")
    Repository(shop).restore("v1")
    assert rows(shop) == [(1, "a", 5), (2, "b", 5)]


def test_rows_that_differ_only_there_are_not_written(shop: Engine) -> None:
    run(shop, "UPDATE p SET n = 'a' WHERE id = 1", "UPDATE p SET n = 'b' WHERE id = 2")
    outcome = Repository(shop).restore("v1")
    assert (outcome.changes, bool(outcome)) == ({}, False)


def test_without_a_default_it_is_refused(any_engine: Engine) -> None:
    tables = TemporalTables(any_engine)
    run(any_engine, "CREATE TABLE p (id integer PRIMARY KEY)")
    tables.enable_temporal_versioning("p")
    run(any_engine, "INSERT INTO p VALUES (1)")
    with Repository(any_engine).begin() as repo:
        repo.tag("v1")
    run(any_engine, "DELETE FROM p")
    run(any_engine, "ALTER TABLE p ADD COLUMN stock integer NOT NULL DEFAULT 5")
    if any_engine.dialect.name == "sqlite":
        pytest.skip("a default cannot be taken away there")
    run(any_engine, "ALTER TABLE p ALTER COLUMN stock DROP DEFAULT")
    tables.enable_temporal_versioning("p")
    with pytest.raises(ConstraintViolationError, match="stock"):
        Repository(any_engine).restore("v1")


def test_verification_holds_across(shop: Engine) -> None:
    Repository(shop).restore("v1")
    with Repository(shop).begin() as repo:
        assert repo.verify().ok
