"""The repository on every kind of bind, with every kind of role, and without versioning."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine, MetaData, Table, create_engine, select, text

from sqlalchemy_temporal import Repository, TemporalTables, as_of, versioned_table
from sqlalchemy_temporal.errors import ConfigurationError, NotInstalledError, PrivilegeError


def run(engine: Engine, *statements: str) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


@pytest.fixture
def shop(any_engine: Engine) -> Engine:
    run(any_engine, "CREATE TABLE price (id integer PRIMARY KEY, amount integer)")
    TemporalTables(any_engine).enable_temporal_versioning("price")
    run(any_engine, "INSERT INTO price VALUES (1, 10), (2, 20)")
    return any_engine


def test_lines_are_merged_in_autocommit(shop: Engine) -> None:
    repo = Repository(shop.execution_options(isolation_level="AUTOCOMMIT"))
    repo.switch("spring", create=True)
    run(shop, "UPDATE price SET amount = 11 WHERE id = 1")
    repo.switch("main")
    run(shop, "UPDATE price SET amount = 22 WHERE id = 2")
    assert repo.merge("spring").status == "merged"
    with shop.connect() as connection:
        found = connection.execute(text("SELECT amount FROM price ORDER BY id")).scalars().all()
    assert found == [11, 22]


OPERATIONS: dict[str, Callable[[Repository], Any]] = {
    "log": lambda repo: repo.log(),
    "tags": lambda repo: repo.tags(),
    "diff": lambda repo: repo.diff("HEAD~1", "HEAD").summary(),
    "restore": lambda repo: repo.restore("HEAD~1"),
    "verify": lambda repo: repo.verify(),
    "branch": lambda repo: repo.branch("spring"),
    "merge": lambda repo: repo.merge("main"),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_role_without_rights_is_told_which_it_needs(pg_engine: Engine, name: str) -> None:
    run(pg_engine, "CREATE TABLE price (id integer PRIMARY KEY)")
    TemporalTables(pg_engine).enable_temporal_versioning("price")
    run(pg_engine, "INSERT INTO price VALUES (1)")
    role = f"nobody_{pg_engine.url.database}"[:60]
    run(pg_engine, f"CREATE ROLE {role} LOGIN")
    engine = create_engine(pg_engine.url.set(username=role))
    try:
        with engine.connect() as connection, pytest.raises(PrivilegeError, match="permission"):
            OPERATIONS[name](Repository(connection))
    finally:
        engine.dispose()
        run(pg_engine, f"DROP ROLE {role}")


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_database_without_versioning_is_said_to_have_none(any_engine: Engine, name: str) -> None:
    with any_engine.connect() as connection, pytest.raises(NotInstalledError):
        OPERATIONS[name](Repository(connection))


def test_a_database_has_versioning_in_one_schema_only(pg_engine: Engine) -> None:
    """Two would share the id that a transaction carries, and mix up their commits."""
    run(pg_engine, "CREATE TABLE a (id integer PRIMARY KEY)", "CREATE TABLE b (id int PRIMARY KEY)")
    TemporalTables(pg_engine).enable_temporal_versioning("a")
    other = TemporalTables(pg_engine, schema="other")
    with pytest.raises(ConfigurationError, match="one schema only"):
        other.enable_temporal_versioning("b")


def test_a_reflected_table_is_told_how_to_leave_the_system_column_out(pg_engine: Engine) -> None:
    run(pg_engine, "CREATE TABLE price (id integer PRIMARY KEY, amount integer)")
    TemporalTables(pg_engine).enable_temporal_versioning("price")
    whole = Table("price", MetaData(), autoload_with=pg_engine)
    with pytest.raises(ConfigurationError, match="include_columns"):
        versioned_table(whole)
    names = ["id", "amount"]
    part = Table("price", MetaData(), autoload_with=pg_engine, include_columns=names)
    versioned_table(part)
    run(pg_engine, "INSERT INTO price VALUES (1, 10)")
    run(pg_engine, "UPDATE price SET amount = 11")
    with pg_engine.connect() as connection, as_of(connection, "HEAD~1") as past:
        assert past.execute(select(part)).all() == [(1, 10)]
