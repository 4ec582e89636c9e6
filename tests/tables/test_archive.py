"""Old versions are written to Parquet, exactly, and other programs can read them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from sqlalchemy import Column, Engine, Integer, MetaData, Table, text
from sqlalchemy.orm import Session

from sqlalchemy_temporal import ArchiveError, archive_history, describe, install, versioned_table
from sqlalchemy_temporal.tables import parquet
from tests.tables.shop import Shop, history_rows, open_shop

EVERY_TYPE = """
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TYPE pair AS (a int, b text);
CREATE TABLE thing (
  id int PRIMARY KEY, small smallint, big bigint, exact numeric(12, 3), wide numeric(60, 2),
  free numeric, real real, double double precision, yes boolean, name varchar(20),
  fixed char(4), raw bytea, day date, at timestamptz(3), plain timestamp, clock time,
  zoned timetz, span interval, uid uuid, doc jsonb, text_doc json, feeling mood, numbers int[],
  names varchar(9)[], moods mood[], within int4range, duo pair, "Odd %Name" text
)
"""
VALUES = r"""
INSERT INTO thing VALUES (1, 2, 9007199254740993, 123456789.125, 12345678901234567890123456.78,
  1.2300, 0.1, 0.1, true, 'ünï', 'ab', '\x00ff', '0044-03-15 BC', '2024-01-15 10:30:00.123+00',
  '2024-01-15 10:30:00.000001', '23:59:59.999999', '10:00+02', '1 year 2 mons 3 days 04:05:06',
  '6ba7b810-9dad-11d1-80b4-00c04fd430c8', '{"a": [1, null]}', '{"b":  2}', 'ok',
  '{1,NULL,3}', '{a,"b c"}', '{sad,ok}', '[1,5)', '(1,x)', 'odd')
"""


@pytest.fixture
def shop(pg_engine: Engine) -> Shop:
    return open_shop(pg_engine)


@pytest.fixture
def duck() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection


def thing(engine: Engine) -> None:
    with engine.begin() as connection:
        for statement in EVERY_TYPE.split(";"):
            connection.execute(text(statement))
        table = Table("thing", MetaData(), Column("id", Integer, primary_key=True))
        versioned_table(table)
        install(connection, table)
    with engine.begin() as connection:
        connection.exec_driver_sql(VALUES)


def archived_thing(engine: Engine, path: Path, **options: Any) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM thing")
    archive_history(engine, "HEAD", path, "thing", **options)


def test_versions_are_written_with_when_they_were_valid_and_by_whom(
    pg_engine: Engine, tmp_path: Path, duck: duckdb.DuckDBPyConnection
) -> None:
    shop = open_shop(pg_engine)
    with pg_engine.begin() as connection:
        describe(connection, author="ana", message="a mistake")
        connection.execute(text("UPDATE item SET name = 'a6' WHERE id = 1"))
    result = archive_history(pg_engine, "HEAD", tmp_path / "item.parquet", "item")
    assert (result.rows, result.tables[0].table) == (7, "public.item")
    assert "7 versions archived" in str(result)
    rows = duck.execute(
        "SELECT name, temporal_operation, temporal_valid_from, temporal_valid_to, "
        "temporal_end_author, temporal_end_message FROM read_parquet(?) WHERE id = 1 "
        "ORDER BY temporal_valid_from",
        [str(tmp_path / "item.parquet")],
    ).fetchall()
    times = [moment.effective_at for moment, _ in shop.copies]
    assert [row[:2] for row in rows] == [(f"a{n}", "UPDATE") for n in range(1, 6)]
    assert [row[2] for row in rows] == times
    assert [row[3] for row in rows][:-1] == times[1:]
    assert [row[4:] for row in rows][3:] == [(None, None), ("ana", "a mistake")]


def test_every_type_is_exact(
    pg_engine: Engine, tmp_path: Path, duck: duckdb.DuckDBPyConnection
) -> None:
    thing(pg_engine)
    archived_thing(pg_engine, tmp_path / "thing.parquet")
    schema = pq.read_schema(tmp_path / "thing.parquet")
    found = {field.name: str(field.type) for field in schema if "temporal" not in field.name}
    assert found == {
        "id": "int32",
        "small": "int16",
        "big": "int64",
        "exact": "decimal128(12, 3)",
        "wide": "decimal256(60, 2)",
        "free": "string",
        "real": "float",
        "double": "double",
        "yes": "bool",
        "name": "string",
        "fixed": "string",
        "raw": "binary",
        "day": "date32[day]",
        "at": "timestamp[us, tz=UTC]",
        "plain": "timestamp[us]",
        "clock": "time64[us]",
        "zoned": "string",
        "span": "string",
        "uid": "string",
        "doc": "string",
        "text_doc": "string",
        "feeling": "string",
        "numbers": "list<element: int32>",
        "names": "list<element: string>",
        "moods": "string",
        "within": "string",
        "duo": "string",
        "Odd %Name": "string",
    }
    values = duck.execute(
        'SELECT big, exact::text, free, double, name, raw, day::text, "at"::text, plain::text, '
        "clock::text, zoned, span, uid, doc, text_doc, feeling, numbers, names, moods, within, "
        'duo, "Odd %Name" FROM read_parquet(?)',
        [str(tmp_path / "thing.parquet")],
    ).fetchone()
    assert values == (
        9007199254740993,
        "123456789.125",
        "1.2300",
        0.1,
        "ünï",
        b"\x00\xff",
        "0044-03-15 (BC)",
        "2024-01-15 10:30:00.123+00",
        "2024-01-15 10:30:00.000001",
        "23:59:59.999999",
        "10:00:00+02",
        "P1Y2M3DT4H5M6S",
        "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
        '{"a": [1, null]}',
        '{"b":  2}',
        "ok",
        [1, None, 3],
        ["a", "b c"],
        "{sad,ok}",
        "[1,5)",
        "(1,x)",
        "odd",
    )


def test_the_files_fields_tell_their_types_in_the_database(
    pg_engine: Engine, tmp_path: Path
) -> None:
    thing(pg_engine)
    archived_thing(pg_engine, tmp_path / "thing.parquet")
    schema = pq.read_schema(tmp_path / "thing.parquet")
    assert schema.field("span").metadata[b"sql_type"] == b"interval"
    about = json.loads(schema.metadata[b"sqlalchemy_temporal"])
    assert (about["table"], about["key"], about["complete"]) == ("public.thing", ["id"], False)


def test_a_value_without_a_place_is_named_and_can_be_kept_as_text(
    pg_engine: Engine, tmp_path: Path, duck: duckdb.DuckDBPyConnection
) -> None:
    thing(pg_engine)
    with pg_engine.begin() as connection:
        connection.exec_driver_sql("UPDATE thing SET numbers = '{{1,2},{3,4}}', exact = 'NaN'")
    path = tmp_path / "thing.parquet"
    with pytest.raises(ArchiveError, match=r"'exact'.*as_text=\['exact'\]"):
        archived_thing(pg_engine, path)
    assert list(tmp_path.iterdir()) == []
    archive_history(pg_engine, "HEAD", path, "thing", as_text=["exact", "numbers"])
    assert duck.execute(
        "SELECT exact, numbers FROM read_parquet(?) ORDER BY temporal_valid_to DESC LIMIT 1",
        [str(path)],
    ).fetchone() == ("NaN", "{{1,2},{3,4}}")


def test_the_settings_of_a_callers_transaction_stay(shop: Shop, tmp_path: Path) -> None:
    with shop.engine.begin() as connection:
        connection.exec_driver_sql("SET LOCAL IntervalStyle = 'postgres_verbose'")
        archive_history(connection, "HEAD", tmp_path)
        found = connection.exec_driver_sql("SHOW IntervalStyle").scalar_one()
    assert found == "postgres_verbose"


def test_a_complete_archive_answers_for_every_time_up_to_its_own(
    shop: Shop, tmp_path: Path, duck: duckdb.DuckDBPyConnection
) -> None:
    archive_history(shop.engine, shop.copies[3][0], tmp_path, complete=True)
    for moment, copy in shop.copies[:4]:
        rows = duck.execute(
            "SELECT id::text, name, note FROM read_parquet(?) WHERE temporal_valid_from <= ? "
            "AND (temporal_valid_to > ? OR temporal_valid_to IS NULL)",
            [str(tmp_path / "public.item.parquet"), moment.effective_at, moment.effective_at],
        ).fetchall()
        assert frozenset(rows) == copy["item"]


def test_what_was_archived_can_be_purged_in_one_go(shop: Shop, tmp_path: Path) -> None:
    result = archive_history(
        shop.engine, shop.copies[2][0], tmp_path, purge=True, author="ops", reason="monthly"
    )
    assert result.purge is not None
    assert (result.rows, result.purge.removed) == (3, 3)
    assert result.to_dict()["rows"] == 3
    with shop.engine.begin() as connection:
        assert history_rows(connection) == ["a3", "a4", "b1"]


def test_rows_are_streamed_in_row_groups(shop: Shop, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    archive_history(
        shop.engine,
        "HEAD",
        tmp_path,
        row_group_size=4,
        progress=lambda done, total: told.append((done, total)),
    )
    assert told == [(4, 6), (6, 6)]
    assert pq.ParquetFile(tmp_path / "public.item.parquet").num_row_groups == 2


def test_keep_last_leaves_the_newest_versions_out(shop: Shop, tmp_path: Path) -> None:
    result = archive_history(shop.engine, "HEAD", tmp_path, keep_last=2, purge=True)
    assert result.rows == 3
    with shop.engine.begin() as connection:
        assert history_rows(connection) == ["a4", "b1", "d1"]


def test_a_file_that_exists_is_not_overwritten_unasked(shop: Shop, tmp_path: Path) -> None:
    path = tmp_path / "item.parquet"
    path.write_text("precious")
    with pytest.raises(ArchiveError, match="exists"):
        archive_history(shop.engine, "HEAD", path, "item", purge=True)
    assert path.read_text() == "precious"
    with shop.engine.begin() as connection:
        assert len(history_rows(connection)) == 6
    assert archive_history(shop.engine, "HEAD", path, "item", overwrite=True).rows == 6


def test_nothing_old_makes_no_file(shop: Shop, tmp_path: Path) -> None:
    result = archive_history(shop.engine, shop.copies[0][0], tmp_path, purge=True)
    assert (result.rows, result.tables[0].path, list(tmp_path.iterdir())) == (0, None, [])


def test_a_file_that_cannot_be_read_back_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "half.parquet"
    path.write_bytes(b"PAR1 and nothing more")
    with pytest.raises(ArchiveError, match="cannot be read back"):
        parquet.rows_in(path)


def test_in_a_session_its_transaction_is_read(shop: Shop, tmp_path: Path) -> None:
    with Session(shop.engine) as session:
        assert archive_history(session, "HEAD", tmp_path).rows == 6
