"""The same operations on SQLite."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

import pytest
from sqlalchemy import Engine, inspect, text
from sqlalchemy.exc import DBAPIError

from sqlalchemy_temporal import (
    AccessModeError,
    BeforeVersioningError,
    MissingKeyError,
    TemporalTables,
    VersioningGapError,
    describe,
    query_temporal_data,
)
from sqlalchemy_temporal.tables.access import reading
from tests.tables.fixtures import CUSTOMERS, commit, head, run


@pytest.fixture
def tables(sqlite_engine: Engine) -> TemporalTables:
    run(sqlite_engine, *CUSTOMERS)
    tables = TemporalTables(sqlite_engine)
    tables.enable_temporal_versioning("customers")
    return tables


def objects(engine: Engine) -> set[tuple[str, str]]:
    with engine.begin() as connection:
        return {
            (row.type, row.name)
            for row in connection.execute(text("SELECT type, name FROM sqlite_master"))
        }


def test_a_table_as_it_was(tables: TemporalTables, sqlite_engine: Engine) -> None:
    then = head(sqlite_engine)
    run(sqlite_engine, "DELETE FROM customers WHERE id = 1", "UPDATE customers SET name = 'B'")
    found = tables.query_temporal_data(
        "customers", then.uuid, where=lambda t: t.c.id > 0, order_by="-name", limit=1
    )
    assert ([row["name"] for row in found], found.more) == (["Bob"], True)
    assert len(tables.query_temporal_data("customers", then.effective_at)) == 2
    with pytest.raises(BeforeVersioningError):
        tables.query_temporal_data("customers", "1999-01-01 00:00+00")


def test_every_change_with_before_and_after(tables: TemporalTables, sqlite_engine: Engine) -> None:
    with sqlite_engine.begin() as connection:
        describe(connection, author="ana", message="tidy up")
        connection.execute(text("UPDATE customers SET name = 'Ann' WHERE id = 1"))
    run(
        sqlite_engine,
        "UPDATE customers SET id = 9 WHERE id = 1",
        "UPDATE customers SET id = 1 WHERE id = 2",
        "UPDATE customers SET id = 2 WHERE id = 9",
    )
    run(
        sqlite_engine,
        "DELETE FROM customers WHERE id = 1",
        "INSERT INTO customers VALUES (3, 'C', 'c')",
    )
    found: list[Any] = [
        (c.operation, c.before and c.before["id"], c.after and c.after["id"])
        for c in tables.get_change_history("customers")
    ]
    assert found == [
        ("UPDATE", 1, 1),
        ("UPDATE", 2, 1),
        ("UPDATE", 1, 2),
        ("DELETE", 1, None),
        ("INSERT", None, 3),
    ]
    changes = tables.get_change_history("customers", author="ana")
    assert [(c.changed, c.message) for c in changes] == [(("name",), "tidy up")]
    assert [c.operation for c in tables.get_row_history("customers", "2")] == [
        "BASELINE",
        "UPDATE",
        "UPDATE",
    ]
    assert json.loads(json.dumps(changes.to_dict()))["changes"][0]["author"] == "ana"


def test_two_points_in_time_are_compared(tables: TemporalTables, sqlite_engine: Engine) -> None:
    then = head(sqlite_engine)
    now = commit(
        sqlite_engine,
        "DELETE FROM customers WHERE id = 2",
        "UPDATE customers SET name = 'Ann' WHERE id = 1",
        "INSERT INTO customers VALUES (3, 'Cy', NULL)",
    )
    found = tables.compare_temporal_data("customers", then.uuid, now.uuid)
    assert (found.totals.added, found.totals.deleted, found.totals.modified) == (1, 1, 1)
    assert found.modified_rows[0].changed == ("name",)


def test_the_status_counts_and_tells_drift(tables: TemporalTables, sqlite_engine: Engine) -> None:
    run(sqlite_engine, "INSERT INTO customers VALUES (3, 'Cy', NULL)")
    status = tables.get_temporal_status("customers")
    assert (status.inserts, status.history_bytes, status.drift) == (1, None, ())
    run(sqlite_engine, "ALTER TABLE customers ADD COLUMN age int")
    assert "age" in " ".join(tables.get_temporal_status("customers").drift)
    assert tables.enable_temporal_versioning("customers").did == "brought into step"
    assert tables.get_temporal_status("customers").drift == ()


def test_disabled_and_enabled_again_there_is_a_gap(
    tables: TemporalTables, sqlite_engine: Engine
) -> None:
    then = commit(sqlite_engine, "UPDATE customers SET name = 'Ann' WHERE id = 1")
    assert tables.disable_temporal_versioning("customers").did == "disabled"
    run(sqlite_engine, "UPDATE customers SET name = 'unseen'")
    assert len(tables.query_temporal_data("customers", then.uuid)) == 2
    assert len(tables.get_change_history("customers", end_time=then.uuid)) == 1
    assert tables.compare_temporal_data("customers", "HEAD~2", then.uuid).totals.modified == 1
    with pytest.raises(VersioningGapError):
        tables.query_temporal_data("customers", "HEAD")
    assert tables.enable_temporal_versioning("customers").did == "enabled again"
    assert [gap.why for gap in tables.get_change_history("customers").gaps] == ["gap"]
    assert len(tables.query_temporal_data("customers", "HEAD")) == 2


def test_dropping_history_leaves_nothing(sqlite_engine: Engine) -> None:
    run(sqlite_engine, *CUSTOMERS)
    before = objects(sqlite_engine)
    tables = TemporalTables(sqlite_engine)
    tables.enable_temporal_versioning("customers")
    run(sqlite_engine, "UPDATE customers SET id = 5 WHERE id = 1")
    tables.disable_temporal_versioning("customers")
    assert tables.disable_temporal_versioning("customers", drop_history=True).system_dropped
    assert objects(sqlite_engine) == before


def test_every_table_of_the_database_at_once(sqlite_engine: Engine) -> None:
    run(
        sqlite_engine,
        *CUSTOMERS,
        "CREATE TABLE u (id integer PRIMARY KEY)",
        "CREATE TABLE bare (x)",
    )
    tables = TemporalTables(sqlite_engine)
    with pytest.raises(MissingKeyError, match="bare"):
        tables.enable_many()
    for did in ("enabled", "was enabled"):
        made = tables.enable_many(without_key="skip")
        assert [(each.table, each.did) for each in made] == [
            ("public.customers", did),
            ("public.u", did),
        ]


def test_restricted_access_is_enforced_by_the_database(
    tables: TemporalTables, sqlite_engine: Engine
) -> None:
    restricted = TemporalTables(sqlite_engine, access="restricted")
    assert len(restricted.query_temporal_data("customers", "HEAD")) == 2
    with pytest.raises(AccessModeError):
        restricted.disable_temporal_versioning("customers")
    with (
        # As the driver says it, when the library's own write comes first.
        pytest.raises((DBAPIError, sqlite3.OperationalError), match="readonly"),
        reading(sqlite_engine, "restricted") as connection,
    ):
        connection.execute(text("DELETE FROM customers"))
    run(sqlite_engine, "DELETE FROM customers")


def test_many_rows_are_streamed(tables: TemporalTables, sqlite_engine: Engine) -> None:
    with sqlite_engine.begin() as connection:
        connection.execute(
            text("INSERT INTO customers VALUES (:id, 'n', NULL)"),
            [{"id": i} for i in range(10, 3010)],
        )
    assert sum(1 for _ in query_temporal_data(sqlite_engine, "customers", "HEAD", buffer=5)) == 3002
    assert inspect(sqlite_engine).has_table("customers_history")


def test_a_table_is_reverted(tables: TemporalTables, sqlite_engine: Engine) -> None:
    then = head(sqlite_engine)
    before = tables.query_temporal_data("customers", then.uuid).rows
    run(
        sqlite_engine,
        "DELETE FROM customers WHERE id = 2",
        "UPDATE customers SET name = 'Ann' WHERE id = 1",
        "INSERT INTO customers VALUES (3, 'Cy', NULL)",
    )
    preview = tables.revert_table_data("customers", then.uuid)
    assert (preview.inserted, preview.updated, preview.deleted) == (1, 1, 1)
    assert len(tables.get_change_history("customers")) == 3
    done = tables.revert_table_data("customers", then.uuid, dry_run=False, author="ana")
    assert done.totals == preview.totals
    assert tables.query_temporal_data("customers", "HEAD").rows == before
    made = done.commit
    assert made is not None
    assert (made.operation, made.author) == ("REVERT", "ana")
