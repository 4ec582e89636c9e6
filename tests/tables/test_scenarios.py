"""What versioning by name is for: safety nets, checkpoints and alarms."""

from __future__ import annotations

from datetime import datetime

import pytest
from sqlalchemy import Engine, text

from sqlalchemy_temporal import TemporalTables, describe
from tests.tables.fixtures import run


def now(engine: Engine) -> datetime:
    """The time of the database, to come back to."""
    with engine.begin() as connection:
        at: datetime = connection.scalar(text("SELECT clock_timestamp()"))
        return at


def state(engine: Engine, *names: str) -> list[list[tuple[object, ...]]]:
    with engine.begin() as connection:
        return [
            [tuple(row)[:-1] for row in connection.exec_driver_sql(f"SELECT * FROM {n} ORDER BY 1")]
            for n in names
        ]


def test_the_safety_net_around_a_migration(pg_engine: Engine) -> None:
    run(
        pg_engine,
        "CREATE TABLE orders (id int PRIMARY KEY, customer text, total numeric(10,2))",
        "INSERT INTO orders SELECT i, 'c' || mod(i, 10), i * 1.5 FROM generate_series(1, 1000) i",
    )
    tables = TemporalTables(pg_engine)
    tables.enable_temporal_versioning(schema_name="public", table_name="orders")
    before, checkpoint = state(pg_engine, "orders"), now(pg_engine)
    with pg_engine.begin() as connection:
        describe(connection, author="deploy", message="migration 42")
        connection.exec_driver_sql("UPDATE orders SET total = total * 100")  # no WHERE
        connection.exec_driver_sql("DELETE FROM orders WHERE id > 990")

    differs = tables.compare_temporal_data("orders", checkpoint, now(pg_engine), limit=3)
    assert (differs.totals.modified, differs.totals.deleted, len(differs)) == (990, 10, 3)
    assert {change.author for change in tables.get_change_history("orders", checkpoint)} == {
        "deploy"
    }
    preview = tables.revert_table_data("orders", checkpoint, dry_run=True)
    assert (preview.updated, preview.inserted, preview.deleted) == (990, 10, 0)
    assert preview.is_possible
    done = tables.revert_table_data("orders", checkpoint, dry_run=False)
    assert (done.totals, state(pg_engine, "orders")) == (preview.totals, before)
    assert not tables.compare_temporal_data("orders", checkpoint)


def test_an_etl_checkpoint_over_three_tables(pg_engine: Engine) -> None:
    run(
        pg_engine,
        "CREATE TABLE suppliers (id int PRIMARY KEY, name text UNIQUE)",
        "CREATE TABLE parts (id int PRIMARY KEY, supplier_id int NOT NULL REFERENCES suppliers)",
        "CREATE TABLE stock (part_id int PRIMARY KEY REFERENCES parts ON DELETE CASCADE, n int)",
        "INSERT INTO suppliers VALUES (1, 'acme'), (2, 'initech')",
        "INSERT INTO parts VALUES (1, 1), (2, 1), (3, 2)",
        "INSERT INTO stock VALUES (1, 10), (2, 20), (3, 30)",
    )
    names = ["suppliers", "parts", "stock"]
    tables = TemporalTables(pg_engine)
    tables.enable_many(names)
    before, checkpoint = state(pg_engine, *names), now(pg_engine)
    # A load in several transactions that goes wrong: swapped names, lost and moved parts.
    run(pg_engine, "UPDATE suppliers SET name = 'x' WHERE id = 1")
    run(pg_engine, "UPDATE suppliers SET name = 'acme' WHERE id = 2")
    run(pg_engine, "UPDATE suppliers SET name = 'initech' WHERE id = 1")
    run(pg_engine, "INSERT INTO suppliers VALUES (3, 'hooli')", "INSERT INTO parts VALUES (4, 3)")
    run(
        pg_engine, "UPDATE parts SET supplier_id = 3 WHERE id = 2", "DELETE FROM parts WHERE id = 1"
    )
    run(pg_engine, "INSERT INTO stock VALUES (4, 1)")

    assert not tables.revert_table_data("suppliers", checkpoint).is_possible
    preview = tables.revert_table_data(names, checkpoint)
    assert preview.is_possible
    done = tables.revert_table_data(names, checkpoint, dry_run=False)
    assert state(pg_engine, *names) == before
    assert done.totals == preview.totals
    assert len(tables.get_change_history("parts", done.commit.uuid if done.commit else None)) == 0


def test_an_alarm_about_deletions(pg_engine: Engine) -> None:
    run(
        pg_engine,
        "CREATE TABLE payments (id int PRIMARY KEY, amount int)",
        "INSERT INTO payments VALUES (1, 10), (2, 20), (3, 30)",
    )
    tables = TemporalTables(pg_engine)
    tables.enable_temporal_versioning("payments")
    watch = TemporalTables(pg_engine, access="restricted")
    since = now(pg_engine)
    run(pg_engine, "UPDATE payments SET amount = 11 WHERE id = 1")
    assert not watch.get_change_history("payments", since, operation="DELETE")
    with pg_engine.begin() as connection:
        describe(connection, author="mallory")
        connection.exec_driver_sql("DELETE FROM payments WHERE id = 2")
    found = watch.get_change_history("payments", since, operation="DELETE")
    assert [(c.key["id"], c.before and c.before["amount"], c.author) for c in found] == [
        (2, 20, "mallory")
    ]
    seen = found[-1].commit
    assert not watch.get_change_history("payments", seen, operation="DELETE")
    run(pg_engine, "TRUNCATE payments")
    assert len(watch.get_change_history("payments", seen, operation="DELETE")) == 2


@pytest.mark.parametrize("name", ["as it is", "in one transaction"])
def test_a_checkpoint_may_be_a_tag(pg_engine: Engine, name: str) -> None:
    from sqlalchemy_temporal import Repository

    run(pg_engine, "CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    tables = TemporalTables(pg_engine)
    tables.enable_temporal_versioning("t")
    with pg_engine.begin() as connection:
        Repository(connection).tag("before-etl")
    run(pg_engine, "DELETE FROM t")
    if name == "as it is":
        tables.revert_table_data("t", "before-etl", dry_run=False)
    else:
        with pg_engine.begin() as connection:
            TemporalTables(connection).revert_table_data("t", "before-etl", dry_run=False)
    assert state(pg_engine, "t") == [[(1,)]]
