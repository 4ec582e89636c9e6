"""The mode ``restricted`` allows reads only, and it is the database that sees to it."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from sqlalchemy_temporal import (
    AccessModeError,
    TemporalTables,
    UnknownOptionError,
    query_temporal_data,
)
from sqlalchemy_temporal.tables.access import mode_of, reading
from tests.tables.fixtures import run

WRITES: list[tuple[str, dict[str, Any]]] = [
    ("enable_temporal_versioning", {"table_name": "customers"}),
    ("enable_many", {"table_names": ["customers"]}),
    ("disable_temporal_versioning", {"table_name": "customers"}),
]


@pytest.mark.parametrize(("name", "arguments"), WRITES)
def test_what_writes_is_refused_and_says_which_mode_it_needs(
    tables: TemporalTables, pg_engine: Engine, name: str, arguments: dict[str, Any]
) -> None:
    refused = {"match": "needs access='unrestricted'.*'restricted'"}
    restricted = TemporalTables(pg_engine, access="restricted")
    with pytest.raises(AccessModeError, **refused):
        getattr(restricted, name)(**arguments)
    with pytest.raises(AccessModeError, **refused):
        getattr(restricted, name)(**arguments, access="unrestricted")
    with pytest.raises(AccessModeError, **refused):
        getattr(tables, name)(**arguments, access="restricted")
    option = pg_engine.execution_options(temporal_access="restricted")
    with pytest.raises(AccessModeError, **refused):
        getattr(TemporalTables(option), name)(**arguments)


def test_everything_that_reads_is_allowed(tables: TemporalTables, pg_engine: Engine) -> None:
    run(pg_engine, "UPDATE customers SET name = 'Ann' WHERE id = 1")
    restricted = TemporalTables(pg_engine, access="restricted")
    assert len(restricted.query_temporal_data("customers", "HEAD~1")) == 2
    assert len(restricted.get_change_history("customers")) == 1
    assert len(restricted.get_row_history("customers", 1)) == 2
    assert restricted.get_temporal_status("customers").state == "enabled"
    assert len(restricted.list_temporal_tables()) == 1


def test_the_database_refuses_writes_and_the_transaction_goes_on(
    tables: TemporalTables, pg_engine: Engine
) -> None:
    write = text("UPDATE customers SET name = 'x' WHERE id = 2")
    with (
        pytest.raises(DBAPIError, match="read-only transaction"),
        reading(pg_engine, "restricted") as connection,
    ):
        connection.execute(write)
    with pg_engine.begin() as connection:
        connection.execute(text("UPDATE customers SET name = 'mine' WHERE id = 1"))
        with (
            pytest.raises(DBAPIError, match="read-only transaction"),
            reading(connection, "restricted") as same,
        ):
            same.execute(write)
        query_temporal_data(connection, "customers", "HEAD", access="restricted")
        connection.execute(text("UPDATE customers SET name = 'mine too' WHERE id = 2"))
    names = [row["name"] for row in tables.query_temporal_data("customers", "HEAD")]
    assert names == ["mine", "mine too"]


def test_a_function_that_writes_cannot_be_smuggled_into_a_condition(
    tables: TemporalTables, pg_engine: Engine
) -> None:
    run(
        pg_engine,
        "CREATE FUNCTION sneak() RETURNS boolean LANGUAGE plpgsql AS "
        "$$ BEGIN DELETE FROM customers; RETURN true; END $$",
    )
    with (
        pytest.raises(DBAPIError, match="read-only transaction"),
        reading(pg_engine, "restricted") as connection,
    ):
        connection.execute(text("SELECT sneak()"))


def test_a_restricted_reader_seals_nothing(tables: TemporalTables, pg_engine: Engine) -> None:
    for number in range(70):
        run(pg_engine, f"UPDATE customers SET name = 'n{number}' WHERE id = 1")
    restricted = TemporalTables(pg_engine, access="restricted")
    sealed = "SELECT count(*) FROM temporal_versioning.commit"
    restricted.query_temporal_data("customers", "HEAD")
    with pg_engine.begin() as connection:
        assert connection.exec_driver_sql(sealed).scalar() == 0
    tables.query_temporal_data("customers", "HEAD")
    with pg_engine.begin() as connection:
        assert connection.exec_driver_sql(sealed).scalar() == 71


def test_the_stricter_mode_holds(pg_engine: Engine) -> None:
    option = pg_engine.execution_options(temporal_access="restricted")
    assert mode_of(pg_engine) == "unrestricted"
    assert mode_of(pg_engine, "restricted") == "restricted"
    assert mode_of(option, "unrestricted") == "restricted"
    assert mode_of(Session(option)) == "restricted"
    for bad in (pg_engine.execution_options(temporal_access="ro"), "engine"):
        with pytest.raises(UnknownOptionError):
            mode_of(bad)  # type: ignore[arg-type]


def test_a_session_is_flushed_before_and_loads_anew_after(
    tables: TemporalTables, pg_engine: Engine
) -> None:
    with Session(pg_engine) as session:
        TemporalTables(session).disable_temporal_versioning("customers")
        session.rollback()
    assert tables.get_temporal_status("customers").state == "enabled"
