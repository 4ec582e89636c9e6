"""A table changed by hand: the next change of its rows is refused, never recorded in part."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import psycopg
import pytest
from sqlalchemy import Column, Engine, Integer, MetaData, Numeric, Table, Text

from sqlalchemy_temporal.capture.sync import sync_versioning
from sqlalchemy_temporal.model.declare import versioned_table

CHANGES = {
    "added": "ALTER TABLE t ADD COLUMN w text DEFAULT 'w'",
    "dropped": "ALTER TABLE t DROP COLUMN v",
    "renamed": "ALTER TABLE t RENAME COLUMN v TO w",
    "swapped": (
        "ALTER TABLE t RENAME COLUMN v TO x; ALTER TABLE t RENAME COLUMN n TO v;"
        "ALTER TABLE t RENAME COLUMN x TO n"
    ),
    "retyped": "ALTER TABLE t ALTER COLUMN n TYPE numeric(12, 4)",
}
WRITES = ("UPDATE t SET id = id + 10", "DELETE FROM t", "TRUNCATE t")


def table_of(kind: str, metadata: MetaData) -> Table:
    options = {"postgresql_partition_by": "RANGE (id)"} if kind == "partitioned" else {}
    excluded = {"exclude": ["seen"]} if kind == "excluding" else {}
    return versioned_table(
        Table(
            "t",
            metadata,
            Column("id", Integer, primary_key=True),
            Column("v", Text),
            Column("n", Numeric(10, 2)),
            Column("seen", Integer),
            **options,
        ),
        **excluded,
    )


@pytest.fixture(params=["ordinary", "partitioned", "excluding"])
def table(pg_engine: Engine, request: pytest.FixtureRequest) -> Table:
    metadata = MetaData()
    table = table_of(request.param, metadata)
    metadata.create_all(pg_engine)
    with pg_engine.begin() as connection:
        if request.param == "partitioned":
            connection.exec_driver_sql("CREATE TABLE p PARTITION OF t DEFAULT")
        connection.execute(table.insert(), [{"id": i, "v": "1", "n": i} for i in (1, 2)])
    return table


@pytest.mark.parametrize("change", CHANGES)
def test_a_write_after_raw_ddl_is_refused_with_the_cure(
    pg_engine: Engine, table: Table, change: str
) -> None:
    with pg_engine.connect() as raw:
        driver = raw.connection.dbapi_connection
        assert isinstance(driver, psycopg.Connection)
        # This session has its plans already; so it must notice by itself.
        driver.execute("UPDATE t SET v = '2' WHERE id = 1")
        driver.execute("DELETE FROM t WHERE id = 1")
        driver.commit()
        with pg_engine.begin() as other:
            other.exec_driver_sql(CHANGES[change])
        for write in WRITES:
            with pytest.raises(psycopg.Error, match="sync_versioning"):
                driver.execute(write)
            driver.rollback()
        assert driver.execute("SELECT count(*) FROM t").fetchone() == (1,)


def test_a_write_after_raw_ddl_is_refused_under_an_old_snapshot(pg_engine: Engine) -> None:
    metadata = MetaData()
    table = table_of("ordinary", metadata)
    metadata.create_all(pg_engine)
    with pg_engine.begin() as connection:
        connection.execute(table.insert(), [{"id": 1, "v": "1"}])
    with pg_engine.connect().execution_options(isolation_level="REPEATABLE READ") as old:
        old.exec_driver_sql("SELECT 1 FROM pg_class LIMIT 1")
        with pg_engine.begin() as connection:
            connection.exec_driver_sql(CHANGES["added"])
        with pytest.raises(Exception, match="sync_versioning"):
            old.exec_driver_sql("UPDATE t SET v = '2'")


def test_ddl_that_changes_no_column_goes_unnoticed(pg_engine: Engine, table: Table) -> None:
    with pg_engine.begin() as connection:
        connection.exec_driver_sql("UPDATE t SET v = '2'")
        connection.exec_driver_sql("CREATE INDEX ON t (v)")
        connection.exec_driver_sql("ALTER TABLE t ALTER COLUMN v SET NOT NULL")
        connection.exec_driver_sql("UPDATE t SET v = '3'")


def test_synced_the_table_takes_writes_again(pg_engine: Engine) -> None:
    metadata = MetaData()
    table = table_of("ordinary", metadata)
    metadata.create_all(pg_engine)
    with pg_engine.connect() as connection:
        connection.execute(table.insert(), [{"id": 1, "v": "1"}])
        connection.exec_driver_sql("UPDATE t SET v = '2'")
        connection.commit()
        connection.exec_driver_sql("ALTER TABLE t ADD COLUMN w text")
        sync_versioning(connection, table)
        connection.exec_driver_sql("UPDATE t SET w = 'w'")
        connection.exec_driver_sql("DELETE FROM t")
        connection.commit()


def test_a_column_added_on_sqlite_is_noticed_by_every_program(sqlite_engine: Engine) -> None:
    metadata = MetaData()
    table = table_of("excluding", metadata)
    metadata.create_all(sqlite_engine)
    path = str(sqlite_engine.url.database)
    with closing(sqlite3.connect(path)) as program:
        program.execute("INSERT INTO t (id, v) VALUES (1, '1')")
        program.execute("UPDATE t SET v = '2'")
        program.execute("ALTER TABLE t ADD COLUMN w text DEFAULT 'w'")
        for write in ("UPDATE t SET v = '3'", "DELETE FROM t"):
            with pytest.raises(sqlite3.Error, match="sync_versioning"):
                program.execute(write)
        program.commit()
    with sqlite_engine.begin() as connection:
        sync_versioning(connection, table)
        connection.exec_driver_sql("UPDATE t SET w = 'x'")
        connection.exec_driver_sql("DELETE FROM t")
        kept = connection.exec_driver_sql("SELECT w FROM t_history ORDER BY temporal_id").all()
    assert kept == [(None,), ("w",)]
