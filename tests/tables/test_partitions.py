"""History in monthly partitions: made in time, never missing, dropped as a whole."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Column, Connection, Engine, Integer, MetaData, Table, Text, inspect, text
from sqlalchemy.exc import IntegrityError

from sqlalchemy_temporal import (
    PurgeResult,
    UnknownOptionError,
    UnsupportedDatabaseError,
    enable_temporal_versioning,
    maintain_history_partitions,
    partition_history,
    purge_history,
    resolve,
    seal,
    versioned_table,
)
from tests.laws.programs import state_at
from tests.tables.shop import Shop, age, history_rows, items, open_shop

NOW = datetime.now(UTC)


def month(ahead: int) -> str:
    years, months = divmod(NOW.month - 1 + ahead, 12)
    return f"item_history_y{NOW.year + years}m{months + 1:02}"


def partitions(connection: Connection) -> list[str]:
    return list(
        connection.scalars(
            text(
                "SELECT inhrelid::regclass::text FROM pg_inherits "
                "WHERE inhparent = 'temporal_versioning.item_history'::regclass ORDER BY 1"
            )
        )
    )


def names(connection: Connection) -> list[str]:
    return [name.removeprefix("temporal_versioning.") for name in partitions(connection)]


def dropped(result: PurgeResult) -> list[str]:
    return [name.removeprefix("temporal_versioning.") for name in result.dropped]


@pytest.fixture
def partitioned(pg_engine: Engine) -> Shop:
    """A shop whose history is partitioned from the beginning."""
    metadata = MetaData()
    versioned_table(
        Table(
            "item",
            metadata,
            Column("id", Integer, primary_key=True, autoincrement=False),
            Column("name", Text, nullable=False),
            Column("note", Text),
        ),
        history_partition_by="month",
    )
    return open_shop(pg_engine, metadata)


def test_partitions_are_there_from_the_beginning_and_for_the_months_to_come(
    partitioned: Shop,
) -> None:
    with partitioned.engine.begin() as connection:
        assert names(connection) == ["item_history_rest", month(0), month(1), month(2)]
        assert connection.scalar(
            text(f"SELECT count(*) FROM temporal_versioning.{month(0)}")
        ) == len(history_rows(connection))


def test_the_past_reads_as_in_one_table(partitioned: Shop) -> None:
    with partitioned.engine.begin() as connection:
        for moment, copy in partitioned.copies:
            again = resolve(connection, moment.uuid)
            assert state_at(connection, partitioned.metadata, again) == copy


def test_a_history_that_exists_is_converted_with_all_it_has(pg_engine: Engine) -> None:
    shop = open_shop(pg_engine)
    with pg_engine.begin() as connection:
        connection.execute(text("CREATE ROLE reader_of_history"))
        connection.execute(
            text("GRANT SELECT ON temporal_versioning.item_history TO reader_of_history")
        )
        before = connection.execute(
            text("SELECT * FROM temporal_versioning.item_history ORDER BY temporal_id")
        ).all()
        indexes = {
            i["name"]
            for i in inspect(connection).get_indexes("item_history", "temporal_versioning")
        }
    try:
        assert partition_history(pg_engine, "item") == 6
        assert partition_history(pg_engine, "item") == 0
        with pg_engine.begin() as connection:
            after = connection.execute(
                text("SELECT * FROM temporal_versioning.item_history ORDER BY temporal_id")
            ).all()
            found = inspect(connection).get_indexes("item_history", "temporal_versioning")
            key = inspect(connection).get_pk_constraint("item_history", "temporal_versioning")
            granted = connection.scalar(
                text(
                    "SELECT has_table_privilege('reader_of_history', "
                    "'temporal_versioning.item_history', 'SELECT')"
                )
            )
        assert after == before
        assert {i["name"] for i in found} == indexes
        assert (key["name"], key["constrained_columns"]) == (
            "item_history_pkey",
            ["id", "temporal_end_tx_id", "temporal_tx_id", "temporal_valid_to"],
        )
        assert granted
        shop.run("UPDATE item SET name = name || '!'", "DELETE FROM item WHERE id = 1")
        with pg_engine.begin() as connection:
            for moment, copy in shop.copies:
                assert state_at(connection, shop.metadata, resolve(connection, moment.uuid)) == copy
    finally:
        with pg_engine.begin() as connection:
            connection.execute(text("DROP OWNED BY reader_of_history"))
            connection.execute(text("DROP ROLE reader_of_history"))


def test_the_same_version_is_refused_twice(partitioned: Shop) -> None:
    with partitioned.engine.begin() as connection, pytest.raises(IntegrityError):
        connection.execute(
            text(
                "INSERT INTO temporal_versioning.item_history OVERRIDING SYSTEM VALUE "
                "SELECT * FROM temporal_versioning.item_history LIMIT 1"
            )
        )


def test_no_write_fails_for_want_of_a_partition(partitioned: Shop) -> None:
    with partitioned.engine.begin() as connection:
        connection.execute(text(f"DROP TABLE temporal_versioning.{month(0)}"))
    partitioned.run("UPDATE item SET name = name || '?'")
    with partitioned.engine.begin() as connection:
        assert connection.scalar(text("SELECT count(*) FROM temporal_versioning.item_history_rest"))
    assert maintain_history_partitions(partitioned.engine) == 1
    with partitioned.engine.begin() as connection:
        rest = text("SELECT count(*) FROM temporal_versioning.item_history_rest")
        assert connection.scalar(rest) == 0
        assert history_rows(connection) == ["a5", "b2", "c1"]


def test_sealing_makes_the_partitions_that_are_due(partitioned: Shop) -> None:
    with partitioned.engine.begin() as connection:
        connection.execute(text(f"DROP TABLE temporal_versioning.{month(1)}"))
        seal(connection)
        assert month(1) not in names(connection)
        connection.execute(
            text("UPDATE temporal_versioning.versioned_tables SET partitioned_until = now()")
        )
        seal(connection)
        assert month(1) in names(connection)


def test_a_lock_held_by_others_delays_partitions_and_nothing_else(partitioned: Shop) -> None:
    with partitioned.engine.begin() as connection:
        connection.execute(text(f"DROP TABLE temporal_versioning.{month(2)}"))
    with partitioned.engine.connect() as other, other.begin():
        other.execute(text("LOCK TABLE temporal_versioning.item_history IN ACCESS EXCLUSIVE MODE"))
        assert maintain_history_partitions(partitioned.engine) == 0
    assert maintain_history_partitions(partitioned.engine) == 1


def test_a_purge_drops_months_of_which_every_version_is_over(pg_engine: Engine) -> None:
    shop = open_shop(pg_engine)
    age(pg_engine, "name IN ('a1', 'd1')", 4)
    age(pg_engine, "name = 'a2'", 2)
    partition_history(pg_engine, "item")
    result = purge_history(pg_engine, shop.copies[1][0], "item", dry_run=False)
    assert (result.removed, dropped(result)) == (2, [month(-4), month(-3), month(-1)])
    assert month(-4) in str(result)
    with pg_engine.begin() as connection:
        assert history_rows(connection) == ["a2", "a3", "a4", "b1"]
        assert month(-4) not in names(connection)
        assert month(-2) in names(connection)
        assert [u.why for u in resolve(connection, shop.copies[0][0].uuid).unknown] == ["purged"]
        for moment, copy in shop.copies[1:]:
            assert state_at(connection, shop.metadata, resolve(connection, moment.uuid)) == copy


def test_a_month_with_a_version_still_needed_is_kept(pg_engine: Engine) -> None:
    shop = open_shop(pg_engine)
    age(pg_engine, "name IN ('a1', 'a4')", 4)
    partition_history(pg_engine, "item")
    result = purge_history(pg_engine, shop.copies[1][0], "item", dry_run=False)
    assert (result.removed, month(-4) in dropped(result)) == (2, False)
    with pg_engine.begin() as connection:
        assert history_rows(connection) == ["a2", "a3", "a4", "b1"]


def test_while_older_transactions_run_rows_are_deleted_and_the_month_stays(
    pg_engine: Engine,
) -> None:
    shop = open_shop(pg_engine)
    age(pg_engine, "name IN ('a1', 'd1')", 4)
    partition_history(pg_engine, "item")
    fixed = pg_engine.execution_options(isolation_level="REPEATABLE READ")
    with fixed.connect() as reader, reader.begin():
        moment = resolve(reader, shop.copies[0][0].uuid)
        result = purge_history(
            pg_engine, shop.copies[1][0], "item", dry_run=False, patience=timedelta(0)
        )
        assert (result.removed, result.dropped) == (2, ())
        assert state_at(reader, shop.metadata, moment) == shop.copies[0][1]
    again = purge_history(pg_engine, shop.copies[1][0], "item", dry_run=False)
    assert (again.removed, month(-4) in dropped(again)) == (0, True)


def test_in_a_callers_transaction_no_partition_is_dropped(pg_engine: Engine) -> None:
    shop = open_shop(pg_engine)
    age(pg_engine, "name IN ('a1', 'd1')", 4)
    partition_history(pg_engine, "item")
    with pg_engine.begin() as connection:
        result = purge_history(connection, shop.copies[1][0], "item", dry_run=False)
    assert (result.removed, result.dropped) == (2, ())


def test_sqlite_has_no_partitions(sqlite_engine: Engine) -> None:
    for call in (
        lambda: partition_history(sqlite_engine, "item"),
        lambda: maintain_history_partitions(sqlite_engine),
    ):
        with pytest.raises(UnsupportedDatabaseError, match="no partitions"):
            call()


def test_a_table_known_by_its_name_is_partitioned_when_it_is_enabled(
    pg_engine: Engine, sqlite_engine: Engine
) -> None:
    for engine in (pg_engine, sqlite_engine):
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE item (id int PRIMARY KEY, name text)"))
    enable_temporal_versioning(pg_engine, "item", history_partition_by="month")
    with pg_engine.begin() as connection:
        assert len(names(connection)) == 4
    with pytest.raises(UnsupportedDatabaseError):
        enable_temporal_versioning(sqlite_engine, "item", history_partition_by="month")


def test_other_ways_to_partition_are_refused() -> None:
    table = items().tables["item"].to_metadata(MetaData())
    with pytest.raises(UnknownOptionError, match="'month'"):
        versioned_table(table, history_partition_by="week")
