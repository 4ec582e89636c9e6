"""What is versioned, since when, how much it took, and whether it still works."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import Engine

from sqlalchemy_temporal import NotInstalledError, TemporalTables, list_temporal_tables
from tests.tables.fixtures import head, run


def test_a_database_without_versioning_has_no_versioned_tables(pg_engine: Engine) -> None:
    found = list_temporal_tables(pg_engine)
    assert (len(found), str(found)) == (0, "0 versioned tables")


def test_the_list_has_enabled_and_disabled_tables(
    tables: TemporalTables, pg_engine: Engine
) -> None:
    since = head(pg_engine).effective_at
    run(pg_engine, "CREATE SCHEMA sales", "CREATE TABLE sales.o (id int PRIMARY KEY)")
    tables.enable_temporal_versioning("o", "sales", exclude=[])
    tables.disable_temporal_versioning("customers")
    disabled = head(pg_engine).effective_at
    found = tables.list_temporal_tables()
    assert [(each.table, each.state) for each in found] == [
        ("public.customers", "disabled"),
        ("sales.o", "enabled"),
    ]
    assert (found[0].since, found[0].disabled_at) == (since, disabled)
    assert found[1].history_table == "temporal_versioning.sales__o_history"
    assert [each.table for each in tables.list_temporal_tables("sales")] == ["sales.o"]
    assert json.loads(json.dumps(found.to_dict()))["tables"][1]["columns"] == ["id"]


def test_the_status_counts_what_was_recorded(tables: TemporalTables, pg_engine: Engine) -> None:
    run(pg_engine, "INSERT INTO customers VALUES (3, 'Cy'), (4, 'Dy')")
    run(pg_engine, "UPDATE customers SET email = 'x'")
    run(pg_engine, "DELETE FROM customers WHERE id > 2")
    status = tables.get_temporal_status("customers")
    assert (status.state, status.inserts, status.updates, status.deletes) == ("enabled", 2, 4, 2)
    assert (status.total_changes, status.commits, status.history_rows) == (8, 3, 6)
    assert (status.history_bytes or 0) > 0
    assert (status.table_bytes or 0) > 0
    assert status.drift == ()
    assert str(status).startswith("public.customers: enabled since ")
    assert json.loads(json.dumps(status.to_dict()))["total_changes"] == 8


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("ALTER TABLE customers DISABLE TRIGGER temporal_capture_update", "is disabled"),
        ("DROP TRIGGER temporal_capture_delete ON customers", "is missing"),
        ("ALTER TABLE customers ADD COLUMN age int", "age are not recorded"),
        ("ALTER TABLE customers DROP COLUMN email", "email are gone"),
        ("ALTER TABLE customers ALTER COLUMN name TYPE varchar(9)", "changed type: name"),
    ],
)
def test_the_status_tells_what_is_not_in_step(
    tables: TemporalTables, pg_engine: Engine, damage: str, message: str
) -> None:
    run(pg_engine, damage)
    status = tables.get_temporal_status("customers")
    assert message in " ".join(status.drift)
    assert "drift: " in str(status)


def test_the_status_tells_the_gaps(tables: TemporalTables, pg_engine: Engine) -> None:
    tables.disable_temporal_versioning("customers")
    since = head(pg_engine).effective_at
    assert [(gap.since, gap.until) for gap in tables.get_temporal_status("customers").gaps] == [
        (since, None)
    ]
    tables.enable_temporal_versioning("customers")
    until = head(pg_engine).effective_at
    status = tables.get_temporal_status("customers")
    assert [(gap.since, gap.until) for gap in status.gaps] == [(since, until)]
    assert (status.state, status.table.disabled_at) == ("enabled", None)


def test_a_purge_is_told_as_what_is_not_known(tables: TemporalTables, pg_engine: Engine) -> None:
    run(pg_engine, "UPDATE customers SET name = 'a'")
    run(pg_engine, "UPDATE customers SET name = 'b'")
    from sqlalchemy_temporal import purge_history

    purge_history(pg_engine, "HEAD", dry_run=False)
    assert [gap.why for gap in tables.get_temporal_status("customers").gaps] == ["purged"]
    assert [gap.why for gap in tables.get_change_history("customers").gaps] == ["purged"]


def test_a_table_never_versioned_has_no_status(pg_engine: Engine) -> None:
    run(pg_engine, "CREATE TABLE t (id int PRIMARY KEY)")
    with pytest.raises(NotInstalledError):
        TemporalTables(pg_engine).get_temporal_status("t")
