"""A table as it was: which rows, which columns, in what order, as much as one wants."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Column, Engine, Integer, MetaData, Table, Text, column, func, or_
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from sqlalchemy_temporal import (
    BeforeVersioningError,
    FutureMomentError,
    Moment,
    NaiveDatetimeError,
    NotInstalledError,
    TemporalTables,
    UnknownOptionError,
    UnsupportedReadError,
    query_temporal_data,
)
from tests.tables.fixtures import commit, head, run


class Base(DeclarativeBase):
    pass


class Customer(Base):
    __tablename__ = "customers"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


@pytest.fixture
def then(tables: TemporalTables, pg_engine: Engine) -> Moment:
    """A moment with four customers; of the present ones nothing is left."""
    found = commit(
        pg_engine, "INSERT INTO customers VALUES (3, 'Cy', 'c@example.com'), (4, 'Bob', 'd')"
    )
    run(pg_engine, "TRUNCATE customers")
    return found


def ids(tables: TemporalTables, then: Moment, **options: Any) -> list[int]:
    return [row["id"] for row in tables.query_temporal_data("customers", then.uuid, **options)]


def test_rows_are_mappings_of_all_columns(tables: TemporalTables, then: Moment) -> None:
    found = tables.query_temporal_data("customers", then.uuid)
    assert found.rows[0] == {"id": 1, "name": "Alice", "email": "alice@example.com"}
    assert (found.table, found.as_of, found.commit) == (
        "public.customers",
        then.effective_at,
        then.uuid,
    )


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({"name": "Bob"}, [2, 4]),
        ({"name": "Bob", "email": None}, [2]),
        ({"id": [1, 3]}, [1, 3]),
        ({"email": ["d", None]}, [2, 4]),
        ({}, [1, 2, 3, 4]),
        (column("name").like("%y"), [3]),
        (lambda t: or_(t.c.id > 3, t.c.name == "Alice"), [1, 4]),
        (Customer.id < 3, [1, 2]),
        (func.lower(Customer.name) == "bob", [2, 4]),
        (
            Table("customers", MetaData(), Column("id", Integer), Column("name", Text)).c.id == 3,
            [3],
        ),
    ],
)
def test_where_takes_mappings_and_expressions(
    tables: TemporalTables, then: Moment, where: Any, expected: list[int]
) -> None:
    assert ids(tables, then, where=where) == expected


@pytest.mark.parametrize(
    ("order_by", "expected"),
    [
        (None, [1, 2, 3, 4]),
        ("-id", [4, 3, 2, 1]),
        (["name", "-id"], [1, 4, 2, 3]),
        ("name desc", [3, 2, 4, 1]),
        (Customer.name, [1, 2, 4, 3]),
        ([column("email").asc().nulls_first()], [2, 1, 3, 4]),
    ],
)
def test_order_is_total(
    tables: TemporalTables, then: Moment, order_by: Any, expected: list[int]
) -> None:
    assert ids(tables, then, order_by=order_by) == expected


def test_pages_do_not_overlap_and_say_when_there_is_more(
    tables: TemporalTables, then: Moment
) -> None:
    pages = [
        tables.query_temporal_data(
            "customers", then.uuid, columns=["id"], order_by="name", limit=3, offset=offset
        )
        for offset in (0, 3)
    ]
    assert [[row["id"] for row in page] for page in pages] == [[1, 2, 4], [3]]
    assert [page.more for page in pages] == [True, False]
    assert "more rows than limit" in str(pages[0])


def test_only_the_columns_asked_for(tables: TemporalTables, then: Moment) -> None:
    found = tables.query_temporal_data("customers", then.uuid, columns=["name", "id"], limit=1)
    assert (found.columns, dict(found[0])) == (("name", "id"), {"name": "Alice", "id": 1})


@pytest.mark.parametrize(
    "options",
    [
        {"where": {"nmae": 1}},
        {"where": column("nmae") == 1},
        {"where": "name = 1"},
        {"columns": ["nmae"]},
        {"columns": "name"},
        {"order_by": "nmae"},
        {"limit": -1},
        {"offset": "3"},
        {"access": "readonly"},
    ],
)
def test_what_does_not_exist_is_refused(
    tables: TemporalTables, then: Moment, options: dict[str, Any]
) -> None:
    with pytest.raises(UnknownOptionError):
        tables.query_temporal_data("customers", then.uuid, **options)


def test_an_expression_that_would_read_the_present_is_refused(
    tables: TemporalTables, then: Moment, pg_engine: Engine
) -> None:
    run(pg_engine, "CREATE TABLE blocked (id int PRIMARY KEY)")
    blocked = Table("blocked", MetaData(), Column("id", Integer))
    with pytest.raises(UnsupportedReadError, match="blocked"):
        ids(tables, then, where=column("id").in_(blocked.select()))


def test_many_rows_are_streamed_and_few_are_held(tables: TemporalTables, pg_engine: Engine) -> None:
    then = commit(
        pg_engine, "INSERT INTO customers SELECT i, 'n' || i FROM generate_series(10, 5000) i"
    )
    run(pg_engine, "DELETE FROM customers")
    found = tables.query_temporal_data("customers", then.uuid, buffer=10)
    assert len(found.held.first) == 10
    with pytest.raises(TypeError, match="buffer=None"):
        len(found)
    for _ in range(2):
        assert sum(1 for _ in found) == 4993
    assert "many rows" in str(found)
    assert found[4992]["id"] == 5000
    assert len(tables.query_temporal_data("customers", then.uuid, buffer=None)) == 4993
    limited = tables.query_temporal_data("customers", then.uuid, buffer=10, limit=25)
    assert (sum(1 for _ in limited), limited.more) == (25, True)


def test_a_result_prints_as_a_table_and_converts_to_json(
    tables: TemporalTables, then: Moment
) -> None:
    found = tables.query_temporal_data("customers", then.uuid, where={"id": 2})
    at = then.effective_at
    assert str(found) == (
        f"public.customers as of {at.isoformat(sep=' ')}: 1 row\n"
        "id  name  email\n--  ----  -----\n2   Bob   NULL"
    )
    assert repr(found) == f"<TemporalRows public.customers as of {at.isoformat(sep=' ')}: 1 row>"
    assert json.loads(json.dumps(found.to_dict())) == {
        "table": "public.customers",
        "as_of": at.isoformat(),
        "commit": str(then.uuid),
        "columns": ["id", "name", "email"],
        "excluded": [],
        "rows": [{"id": 2, "name": "Bob", "email": None}],
        "more": False,
    }


def test_every_kind_of_value_becomes_json(pg_engine: Engine) -> None:
    run(
        pg_engine,
        "CREATE TYPE mood AS ENUM ('sad', 'glad')",
        "CREATE TABLE kinds (id uuid PRIMARY KEY, a numeric(5,2), b bytea, c timestamptz, d date, "
        "e interval, f int[], g jsonb, h mood, i boolean, j float8, k int4range, l time)",
        "INSERT INTO kinds VALUES ('00000000-0000-0000-0000-000000000001', 1.50, '\\x00ff', "
        "'2024-01-15 10:00+00', '2024-01-15', '1 minute', '{1,2}', '{\"x\": [1]}', 'glad', true, "
        "'NaN', '[1,3)', '10:00')",
    )
    tables = TemporalTables(pg_engine)
    tables.enable_temporal_versioning("kinds")
    row = tables.query_temporal_data("kinds", "HEAD").to_dict()["rows"][0]
    assert datetime.fromisoformat(row.pop("c")) == datetime(2024, 1, 15, 10, tzinfo=UTC)
    assert json.loads(json.dumps(row)) == {
        "id": "00000000-0000-0000-0000-000000000001",
        "a": "1.50",
        "b": "AP8=",
        "d": "2024-01-15",
        "e": 60.0,
        "f": [1, 2],
        "g": {"x": [1]},
        "h": "glad",
        "i": True,
        "j": "nan",
        "k": "[1,3)",
        "l": "10:00:00",
    }


def test_columns_that_are_not_recorded_are_named(pg_engine: Engine) -> None:
    run(pg_engine, "CREATE TABLE t (id int PRIMARY KEY, seen int)", "INSERT INTO t VALUES (1, 2)")
    tables = TemporalTables(pg_engine)
    tables.enable_temporal_versioning("t", exclude=["seen"])
    found = tables.query_temporal_data("t", "HEAD")
    assert (found.excluded, dict(found[0])) == (("seen",), {"id": 1, "seen": None})


def test_rich_shows_it_too(tables: TemporalTables, then: Moment) -> None:
    from rich.console import Console

    console = Console(width=200, record=True, file=io.StringIO())
    console.print(tables.query_temporal_data("customers", then.uuid))
    assert "alice@example.com" in console.export_text()


# -------------------------------------------------------------------------------------- times


def test_a_time_as_text_needs_a_zone(tables: TemporalTables) -> None:
    for written in ("2024-01-15 10:30:00", "2024-01-15", datetime(2024, 1, 15)):  # noqa: DTZ001
        with pytest.raises(NaiveDatetimeError, match=r"add one, e\.g\. '2024-01-15 .*\+00:00'"):
            tables.query_temporal_data("customers", written)


def test_a_time_as_text_with_a_zone_is_that_instant(tables: TemporalTables, then: Moment) -> None:
    text = (then.effective_at + timedelta(hours=5)).isoformat(sep=" ").replace("+00:00", "+05:00")
    assert len(tables.query_temporal_data("customers", text)) == 4


def test_the_zone_may_be_chosen_by_name(
    tables: TemporalTables, pg_engine: Engine, then: Moment
) -> None:
    chosen = TemporalTables(pg_engine, timezone="Asia/Kolkata")
    local = (then.effective_at + timedelta(hours=5, minutes=30)).replace(tzinfo=None)
    for written in (str(local), local):
        assert len(chosen.query_temporal_data("customers", written)) == 4
    with pytest.raises(UnknownOptionError, match="'Mars/Olympus' is not the name"):
        TemporalTables(pg_engine, timezone="Mars/Olympus")


@pytest.mark.parametrize(
    ("written", "word"), [("2024-10-27 02:30:00", "twice"), ("2024-03-31 02:30:00", "never")]
)
def test_a_local_time_that_was_not_shown_once_is_refused(
    tables: TemporalTables, pg_engine: Engine, written: str, word: str
) -> None:
    chosen = TemporalTables(pg_engine, timezone="Europe/Berlin")
    with pytest.raises(NaiveDatetimeError, match=f"{word} showed"):
        chosen.query_temporal_data("customers", written)


def test_times_outside_of_what_was_recorded_are_refused(tables: TemporalTables) -> None:
    with pytest.raises(BeforeVersioningError):
        tables.query_temporal_data("customers", "1999-01-01 00:00+00")
    with pytest.raises(FutureMomentError):
        tables.query_temporal_data("customers", "2999-01-01 00:00+00")


def test_tags_and_revisions_are_times_too(
    tables: TemporalTables, then: Moment, pg_engine: Engine
) -> None:
    assert ids(tables, then) == [1, 2, 3, 4]
    assert len(tables.query_temporal_data("customers", "HEAD~1")) == 4
    assert len(tables.query_temporal_data("customers", head(pg_engine))) == 0


# -------------------------------------------------------------------------------------- binds


def test_it_reads_on_engines_connections_and_sessions(
    tables: TemporalTables, then: Moment, pg_engine: Engine
) -> None:
    with pg_engine.connect() as connection, Session(pg_engine) as session:
        for bind in (pg_engine, connection, session):
            assert len(query_temporal_data(bind, "customers", then.uuid)) == 4


def test_a_table_never_versioned_is_refused_with_advice(pg_engine: Engine) -> None:
    run(pg_engine, "CREATE TABLE t (id int PRIMARY KEY)")
    for _ in range(2):
        with pytest.raises(NotInstalledError, match=r"enable_temporal_versioning\(bind, 't'\)"):
            query_temporal_data(pg_engine, "t", "HEAD")
        run(pg_engine, "CREATE TABLE IF NOT EXISTS u (id int PRIMARY KEY)")
        TemporalTables(pg_engine).enable_temporal_versioning("u")
