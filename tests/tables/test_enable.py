"""Tables become versioned by their names alone, and stop being it, and nothing is left over."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from sqlalchemy_temporal import (
    ConfigurationError,
    LockTimeoutError,
    MissingKeyError,
    NotInstalledError,
    SchemaDriftError,
    TemporalTables,
    UnknownOptionError,
    VersioningGapError,
    disable_temporal_versioning,
    enable_many,
    enable_temporal_versioning,
    get_change_history,
    get_temporal_status,
    list_temporal_tables,
    query_temporal_data,
)
from tests.capture.test_install import objects
from tests.tables.fixtures import CUSTOMERS, commit, head, run


def test_existing_rows_are_the_baseline(tables: TemporalTables, pg_engine: Engine) -> None:
    baseline = head(pg_engine)
    run(pg_engine, "DELETE FROM customers")
    rows = tables.query_temporal_data("customers", baseline.uuid)
    assert [row["name"] for row in rows] == ["Alice", "Bob"]


def test_enabling_is_repeatable(tables: TemporalTables, pg_engine: Engine) -> None:
    before = head(pg_engine)
    made = tables.enable_temporal_versioning("customers")
    assert (made.did, made.key, made.columns) == ("was enabled", ("id",), ("id", "name", "email"))
    assert head(pg_engine).uuid == before.uuid


def test_the_result_says_what_was_made(pg_engine: Engine) -> None:
    run(pg_engine, *CUSTOMERS)
    made = enable_temporal_versioning(
        pg_engine, "customers", history_table_suffix="_log", exclude=["email"]
    )
    assert str(made) == "public.customers: enabled, history in temporal_versioning.customers_log"
    assert made.to_dict() == {
        "table": "public.customers",
        "did": "enabled",
        "history_table": "temporal_versioning.customers_log",
        "key": ["id"],
        "columns": ["id", "name"],
        "excluded": ["email"],
    }


def test_another_history_table_for_the_same_table_is_refused(tables: TemporalTables) -> None:
    with pytest.raises(ConfigurationError, match="customers_history"):
        tables.enable_temporal_versioning("customers", history_table_suffix="_log")


def test_enabling_a_table_that_was_altered_brings_history_into_step(
    tables: TemporalTables, pg_engine: Engine
) -> None:
    run(pg_engine, "ALTER TABLE customers ADD COLUMN age int")
    assert get_temporal_status(pg_engine, "customers").drift != ()
    assert tables.enable_temporal_versioning("customers").did == "brought into step"
    run(pg_engine, "UPDATE customers SET age = 5 WHERE id = 1")
    assert get_temporal_status(pg_engine, "customers").drift == ()
    change = get_change_history(pg_engine, "customers")[-1]
    assert change.changed == ("age",)


def test_a_column_of_another_type_is_refused_with_its_name(
    tables: TemporalTables, pg_engine: Engine
) -> None:
    run(pg_engine, "ALTER TABLE customers ALTER COLUMN name TYPE varchar(9)")
    with pytest.raises(SchemaDriftError, match="name"):
        tables.enable_temporal_versioning("customers")


def test_a_missing_table_is_named(pg_engine: Engine) -> None:
    with pytest.raises(NotInstalledError, match=r"no table 'public\.nothing'"):
        enable_temporal_versioning(pg_engine, "nothing")


def test_a_table_without_a_key_is_refused(pg_engine: Engine) -> None:
    run(pg_engine, "CREATE TABLE bare (id int)")
    with pytest.raises(MissingKeyError, match="primary key"):
        enable_temporal_versioning(pg_engine, "bare")


def test_a_whole_schema_is_enabled_at_once(pg_engine: Engine) -> None:
    run(
        pg_engine,
        "CREATE SCHEMA sales",
        "CREATE TABLE sales.orders (id int PRIMARY KEY)",
        "CREATE TABLE sales.parts (id int PRIMARY KEY) PARTITION BY RANGE (id)",
        "CREATE TABLE sales.parts_1 PARTITION OF sales.parts FOR VALUES FROM (0) TO (9)",
        "CREATE TABLE sales.base (id int PRIMARY KEY)",
        "CREATE TABLE sales.heir (PRIMARY KEY (id)) INHERITS (sales.base)",
        "CREATE VIEW sales.seen AS SELECT 1 AS one",
        "CREATE TABLE other (id int PRIMARY KEY)",
    )
    made = enable_many(pg_engine, schema_name="sales")
    assert [each.table for each in made] == ["sales.base", "sales.orders", "sales.parts"]
    listed = [each.table for each in list_temporal_tables(pg_engine)]
    assert listed == ["sales.base", "sales.heir", "sales.orders", "sales.parts"]
    run(pg_engine, "INSERT INTO sales.parts VALUES (3)", "INSERT INTO sales.heir VALUES (4)")
    found = get_change_history(pg_engine, "base", schema_name="sales")
    assert [change.key for change in found] == [{"id": 4}]


def test_tables_without_a_key_stop_a_whole_schema_unless_skipped(pg_engine: Engine) -> None:
    run(pg_engine, *CUSTOMERS, "CREATE TABLE bare (id int)")
    with pytest.raises(MissingKeyError, match=r"table\(s\) bare .*without_key='skip'"):
        enable_many(pg_engine)
    assert len(list_temporal_tables(pg_engine)) == 0
    made = enable_many(pg_engine, without_key="skip")
    assert (made.skipped, [each.table for each in made]) == (("bare",), ["public.customers"])
    assert "without a primary key, left out: bare" in str(made)


def test_several_tables_are_enabled_together_or_not_at_all(pg_engine: Engine) -> None:
    run(pg_engine, *CUSTOMERS, "CREATE TABLE u (id int PRIMARY KEY)", "CREATE TABLE bare (id int)")
    before = objects(pg_engine)
    with pytest.raises(MissingKeyError):
        enable_many(pg_engine, ["customers", "u", "bare"])
    assert objects(pg_engine) == before
    assert len(enable_many(pg_engine, ["customers", "u"])) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"table_names": "customers"}, "list of names"),
        ({"without_key": "ignore"}, "'error' or 'skip'"),
        ({"table_names": ["customers"], "exclude": {"customers": "name"}}, "list of column names"),
        ({"table_names": ["customers"], "lock_timeout": 0}, "positive number"),
    ],
)
def test_bad_options_are_refused(
    pg_engine: Engine, options: dict[str, object], message: str
) -> None:
    run(pg_engine, *CUSTOMERS)
    with pytest.raises(UnknownOptionError, match=message):
        enable_many(pg_engine, **options)  # type: ignore[arg-type]


def test_odd_names_are_names_like_others(pg_engine: Engine) -> None:
    odd = 'Order "100%" of.x'
    quoted = '"' + odd.replace('"', '""') + '"'
    with pg_engine.begin() as connection:
        connection.execute(text(f'CREATE TABLE {quoted} ("Id x" int PRIMARY KEY, "50%" text)'))
        connection.execute(text(f"INSERT INTO {quoted} VALUES (1, 'a')"))
    enable_temporal_versioning(pg_engine, odd)
    with pg_engine.begin() as connection:
        connection.execute(text(f'UPDATE {quoted} SET "Id x" = 2'))
    change = get_change_history(pg_engine, odd)[0]
    assert (change.before or {})["Id x"] == 1
    assert change.key == {"Id x": 2}
    assert get_temporal_status(pg_engine, odd).updates == 1
    disable_temporal_versioning(pg_engine, odd)
    assert len(query_temporal_data(pg_engine, odd, "HEAD~1")) == 1


def test_in_a_connection_or_session_it_belongs_to_that_transaction(pg_engine: Engine) -> None:
    run(pg_engine, *CUSTOMERS)
    before = objects(pg_engine)
    with pg_engine.connect() as connection:
        enable_temporal_versioning(connection, "customers")
        connection.rollback()
    with Session(pg_engine) as session:
        enable_temporal_versioning(session, "customers")
        session.rollback()
    assert objects(pg_engine) == before


def test_it_works_on_a_connection_in_autocommit(pg_engine: Engine) -> None:
    run(pg_engine, *CUSTOMERS)
    with pg_engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        enable_temporal_versioning(connection, "customers", lock_timeout=5)
        tables = TemporalTables(connection, access="restricted")
        assert len(tables.query_temporal_data("customers", "HEAD")) == 2
        disable_temporal_versioning(connection, "customers", drop_history=True)


# --------------------------------------------------------------------------------- disabling


def test_a_disabled_table_is_asked_about_as_before_up_to_then(
    tables: TemporalTables, pg_engine: Engine
) -> None:
    then = commit(pg_engine, "UPDATE customers SET name = 'Bert' WHERE id = 2")
    assert tables.disable_temporal_versioning("customers").did == "disabled"
    run(pg_engine, "DELETE FROM customers")
    names = [row["name"] for row in tables.query_temporal_data("customers", then.uuid)]
    assert names == ["Alice", "Bert"]
    assert len(tables.get_change_history("customers", end_time=then.uuid)) == 1
    assert len(tables.get_row_history("customers", 2)) == 2
    with pytest.raises(VersioningGapError, match="disabled from"):
        tables.query_temporal_data("customers", "HEAD")
    assert tables.disable_temporal_versioning("customers").did == "was disabled"


def test_enabled_again_answers_that_touch_the_gap_say_so(
    tables: TemporalTables, pg_engine: Engine
) -> None:
    before = commit(pg_engine, "UPDATE customers SET name = 'Bert' WHERE id = 2")
    tables.disable_temporal_versioning("customers")
    run(pg_engine, "UPDATE customers SET name = 'Unseen'")
    assert tables.enable_temporal_versioning("customers").did == "enabled again"
    after = commit(pg_engine, "UPDATE customers SET name = 'Last' WHERE id = 2")
    every = tables.get_change_history("customers")
    assert [gap.why for gap in every.gaps] == ["gap"]
    assert not every.is_complete
    assert "not recorded: from" in str(every)
    assert [c.operation for c in tables.get_row_history("customers", 2)] == [
        "BASELINE",
        "UPDATE",
        "BASELINE",
        "UPDATE",
    ]
    assert tables.get_row_history("customers", 2).gaps == every.gaps
    assert tables.get_change_history("customers", end_time=before.uuid).gaps == ()
    assert tables.get_change_history("customers", start_time=after.uuid).gaps == ()


def test_a_stretch_of_time_inside_a_gap_is_refused(
    tables: TemporalTables, pg_engine: Engine
) -> None:
    tables.disable_temporal_versioning("customers")
    start = head(pg_engine)
    run(pg_engine, "CREATE TABLE u (id int PRIMARY KEY)")
    tables.enable_temporal_versioning("u")
    end = head(pg_engine)
    tables.enable_temporal_versioning("customers")
    with pytest.raises(VersioningGapError):
        tables.get_change_history("customers", start.uuid, end.uuid)


def test_dropping_history_leaves_what_was_there_and_nothing_else(pg_engine: Engine) -> None:
    run(pg_engine, *CUSTOMERS, "CREATE TABLE u (id int PRIMARY KEY)")
    before = objects(pg_engine)
    enable_temporal_versioning(pg_engine, "u")
    with_u = objects(pg_engine)
    enable_temporal_versioning(pg_engine, "customers")
    run(pg_engine, "UPDATE customers SET id = 3 WHERE id = 1")
    disable_temporal_versioning(pg_engine, "customers")
    gone = disable_temporal_versioning(pg_engine, "customers", drop_history=True)
    assert (gone.did, gone.system_dropped) == ("history dropped", False)
    assert objects(pg_engine) == with_u
    assert disable_temporal_versioning(pg_engine, "u", drop_history=True).system_dropped
    assert objects(pg_engine) == before


def test_versioning_starts_afresh_after_history_was_dropped(
    tables: TemporalTables, pg_engine: Engine
) -> None:
    run(pg_engine, "UPDATE customers SET id = 3 WHERE id = 1")
    tables.disable_temporal_versioning("customers", drop_history=True)
    tables.enable_temporal_versioning("customers")
    assert [c.operation for c in tables.get_row_history("customers", 3)] == ["BASELINE"]
    assert tables.get_temporal_status("customers").gaps == ()


@pytest.mark.parametrize("first", [False, True])
def test_what_is_left_of_a_dropped_table_can_be_dropped(
    tables: TemporalTables, pg_engine: Engine, first: bool
) -> None:
    run(pg_engine, "CREATE TABLE u (id int PRIMARY KEY)")
    tables.enable_temporal_versioning("u")
    if first:
        tables.disable_temporal_versioning("customers")
    run(pg_engine, "DROP TABLE customers")
    with pytest.raises(NotInstalledError, match="dropped since"):
        tables.query_temporal_data("customers", "HEAD")
    tables.disable_temporal_versioning("customers", drop_history=True)
    assert [each.table for each in tables.list_temporal_tables()] == ["public.u"]
    assert not [name for _, name in objects(pg_engine) if "customers" in name]


def test_a_table_never_versioned_cannot_be_disabled(pg_engine: Engine) -> None:
    run(pg_engine, *CUSTOMERS)
    for drop in (False, True):
        with pytest.raises(NotInstalledError, match="is not versioned"):
            disable_temporal_versioning(pg_engine, "customers", drop_history=drop)


# ------------------------------------------------------------------------------------- locks


def test_a_lock_not_had_in_time_says_who_holds_it_and_changes_nothing(pg_engine: Engine) -> None:
    run(pg_engine, *CUSTOMERS)
    before = objects(pg_engine)
    with pg_engine.connect() as reader:
        reader.exec_driver_sql("SELECT * FROM customers")
        with pytest.raises(LockTimeoutError, match=r"within 0\.05 s.*Try again") as refused:
            enable_temporal_versioning(pg_engine, "customers", lock_timeout=0.05)
        assert "SELECT * FROM customers" in refused.value.holders[0]
        with pg_engine.begin() as connection:
            with pytest.raises(LockTimeoutError):
                enable_temporal_versioning(connection, "customers", lock_timeout=0.05)
            assert connection.exec_driver_sql("SHOW lock_timeout").scalar() == "0"
    assert objects(pg_engine) == before
    enable_temporal_versioning(pg_engine, "customers", lock_timeout=1)


def test_readers_read_while_the_rows_are_copied_into_history(
    tables: TemporalTables, pg_engine: Engine
) -> None:
    """Disabling locks writers out first; readers only at the end."""
    with pg_engine.connect() as reader:
        reader.exec_driver_sql("SELECT * FROM customers")
        copied = threading.Event()

        def disable() -> None:
            with pg_engine.connect() as connection:
                disable_temporal_versioning(connection, "customers")
                connection.commit()
            copied.set()

        worker = threading.Thread(target=disable)
        worker.start()
        with pg_engine.connect() as other:
            while not other.exec_driver_sql(
                "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND NOT granted"
            ).scalar():
                other.rollback()
            held = other.exec_driver_sql(
                "SELECT count(*) FROM pg_locks WHERE mode = 'ShareRowExclusiveLock' AND granted "
                "AND relation = 'customers'::regclass"
            ).scalar()
        assert held == 1
        assert not copied.is_set()
    worker.join()
    assert tables.get_temporal_status("customers").state == "disabled"
