"""Every call of the guide on temporal table versioning runs as it is written there.

The guide's times lie in January 2024, and have no time zone. So the commits here are moved to
that time, and the zone of such times is chosen by name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine

from sqlalchemy_temporal import NaiveDatetimeError, TemporalTables
from tests.tables.fixtures import run

NAMES = (
    "customers",
    "orders",
    "products",
    "transactions",
    "staging_table",
    "financial_transactions",
)


@pytest.fixture
def calls(pg_engine: Engine) -> dict[str, Callable[..., Any]]:
    """The functions of the guide, bound to a database that was versioned in 2024."""
    tables = TemporalTables(pg_engine, timezone="UTC")
    columns = "id int PRIMARY KEY, name varchar(100), email varchar(255)"
    run(pg_engine, *(f"CREATE TABLE {name} ({columns})" for name in NAMES))
    for name in NAMES:
        tables.enable_temporal_versioning(name)
    for name in NAMES:
        run(pg_engine, f"INSERT INTO {name} VALUES (12345, 'Alice', 'a@b.c'), (2, 'Bob', NULL)")
    for name in NAMES:
        run(pg_engine, f"UPDATE {name} SET email = 'new@example.com' WHERE id = 12345")
    for name in NAMES:
        run(pg_engine, f"DELETE FROM {name} WHERE id = 2")
    # Enabled on 1 January; changed on the 15th at 08:30, 09:30 and 11:00, in this order.
    run(pg_engine, "SELECT temporal_versioning.seal()")
    run(
        pg_engine,
        "UPDATE temporal_versioning.commit SET effective_at = CASE (seq - 1) / 6 "
        "WHEN 0 THEN timestamptz '2023-12-31 23:00+00' WHEN 1 THEN '2024-01-15 07:30+00' "
        "WHEN 2 THEN '2024-01-15 08:30+00' ELSE '2024-01-15 11:00+00' END "
        "+ seq * interval '1 microsecond'",
    )
    return tables.functions()


def test_query(calls: dict[str, Callable[..., Any]]) -> None:
    found = calls["query_temporal_data"](
        schema_name="public",
        table_name="customers",
        timestamp="2024-01-15 10:30:00",
        limit=100,
    )
    assert [row["email"] for row in found] == [None, "new@example.com"]


def test_change_history(calls: dict[str, Callable[..., Any]]) -> None:
    found = calls["get_change_history"](
        schema_name="public",
        table_name="customers",
        start_time="2024-01-15 00:00:00",
        end_time="2024-01-15 23:59:59",
        operation="UPDATE",
    )
    assert [change.changed for change in found] == [("email",)]
    found = calls["get_change_history"](
        schema_name="public",
        table_name="transactions",
        start_time="2024-01-15 00:00:00",
        end_time="2024-01-16 00:00:00",
        limit=1000,
    )
    assert len(found) == 4
    found = calls["get_change_history"](
        schema_name="public",
        table_name="financial_transactions",
        start_time="2024-01-15 00:00:00",
        operation="DELETE",
    )
    assert [change.key for change in found] == [{"id": 2}]


def test_revert(calls: dict[str, Callable[..., Any]]) -> None:
    preview = calls["revert_table_data"](
        schema_name="public",
        table_name="customers",
        timestamp="2024-01-15 10:00:00",
        dry_run=True,
    )
    assert (preview.inserted, preview.updated, preview.deleted) == (1, 0, 0)
    done = calls["revert_table_data"](
        schema_name="public",
        table_name="customers",
        timestamp="2024-01-15 10:00:00",
        dry_run=False,
    )
    assert len(done) == 1
    done = calls["revert_table_data"](
        schema_name="public",
        table_name="orders",
        timestamp="2024-01-15 09:00:00",
        dry_run=False,
    )
    assert len(done) == 1


def test_compare(calls: dict[str, Callable[..., Any]]) -> None:
    found = calls["compare_temporal_data"](
        schema_name="public",
        table_name="products",
        timestamp1="2024-01-01 00:00:00",
        timestamp2="2024-01-31 23:59:59",
    )
    assert (len(found.added_rows), found.deleted_rows, found.modified_rows) == (1, (), ())
    checkpoint_time = "2024-01-15 08:00:00"
    found = calls["compare_temporal_data"](
        schema_name="public",
        table_name="staging_table",
        timestamp1=checkpoint_time,
        timestamp2="2024-01-15 09:00:00",
    )
    assert [change.changed for change in found.modified_rows] == [("email",)]
    calls["revert_table_data"](
        schema_name="public",
        table_name="staging_table",
        timestamp=checkpoint_time,
        dry_run=False,
    )
    assert len(calls["query_temporal_data"]("staging_table", "HEAD")) == 2


def test_row_history(calls: dict[str, Callable[..., Any]]) -> None:
    found = calls["get_row_history"](
        schema_name="public",
        table_name="customers",
        primary_key_column="id",
        primary_key_value="12345",
    )
    assert [change.operation for change in found] == ["INSERT", "UPDATE"]


def test_managing(calls: dict[str, Callable[..., Any]]) -> None:
    assert len(calls["list_temporal_tables"]()) == len(NAMES)
    status = calls["get_temporal_status"](schema_name="public", table_name="customers")
    assert (status.total_changes, status.inserts, status.updates, status.deletes) == (4, 2, 1, 1)
    made = calls["enable_temporal_versioning"](
        schema_name="public",
        table_name="customers",
        history_table_suffix="_history",  # Optional, default is "_history"
    )
    assert made.history_table == "temporal_versioning.customers_history"
    kept = calls["disable_temporal_versioning"](
        schema_name="public",
        table_name="customers",
        drop_history=False,  # Preserves history table
    )
    assert kept.history_table == "temporal_versioning.customers_history"
    gone = calls["disable_temporal_versioning"](
        schema_name="public",
        table_name="customers",
        drop_history=True,  # Deletes history table
    )
    assert gone.history_table is None
    calls["enable_temporal_versioning"](schema_name="public", table_name="orders")


def test_without_a_chosen_zone_a_time_needs_its_own(pg_engine: Engine) -> None:
    with pytest.raises(NaiveDatetimeError, match="add one"):
        TemporalTables(pg_engine).query_temporal_data(
            schema_name="public",
            table_name="customers",
            timestamp="2024-01-15 10:30:00",
            limit=100,
        )
