"""Raw SQL and BI tools: views that travel in time, proven with the plain driver."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import Column, Engine, ForeignKey, Integer, MetaData, Table, Text, text

from sqlalchemy_temporal.capture.sync import sync_versioning
from sqlalchemy_temporal.model.declare import versioned_table
from sqlalchemy_temporal.repository import Repository


def build() -> MetaData:
    metadata = MetaData()
    versioned_table(
        Table(
            "customer",
            metadata,
            Column("id", Integer, primary_key=True),
            Column("name", Text),
            Column("seen", Text),
        ),
        exclude=["seen"],
    )
    versioned_table(
        Table(
            "order",
            metadata,
            Column("id", Integer, primary_key=True),
            Column("customer_id", ForeignKey("customer.id")),
            Column("100% Total", Integer),
        )
    )
    return metadata


@pytest.fixture
def engine(pg_engine: Engine) -> Engine:
    metadata = build()
    metadata.create_all(pg_engine)
    steps = (
        ["INSERT INTO customer VALUES (1, 'ana', 'x'), (2, 'bo', 'y')"],
        ['INSERT INTO "order" VALUES (10, 1, 5)', "UPDATE customer SET name = 'anna' WHERE id = 1"],
        ['DELETE FROM "order"', "DELETE FROM customer WHERE id = 2"],
    )
    for number, step in enumerate(steps, 1):
        with pg_engine.begin() as connection:
            for statement in step:
                connection.execute(text(statement))
        with pg_engine.begin() as connection:
            Repository(connection).tag(f"v{number}")
    return pg_engine


@pytest.fixture
def plain(engine: Engine) -> Iterator[psycopg.Connection[Any]]:
    """A connection without SQLAlchemy, whose search path shows the views first."""
    url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url) as connection:
        connection.execute("SET search_path = temporal_as_of, public")
        connection.commit()
        yield connection


JOIN = 'SELECT c.name, o.id FROM customer c LEFT JOIN "order" o ON o.customer_id = c.id ORDER BY 1'


def travel(connection: psycopg.Connection[Any], when: object) -> None:
    connection.execute("SELECT temporal_versioning.travel_to(%s)", [when])


def test_a_join_of_views_shows_each_moment(plain: psycopg.Connection[Any]) -> None:
    answers = []
    for tag in ("v1", "v2", "v3", "HEAD", "HEAD~1", "v3^^"):
        travel(plain, tag)
        answers.append(plain.execute(JOIN).fetchall())
    one, two, three = (
        [("ana", None), ("bo", None)],
        [("anna", 10), ("bo", None)],
        [("anna", None)],
    )
    assert answers == [one, two, three, three, two, one]


def test_without_travelling_the_views_show_the_present(plain: psycopg.Connection[Any]) -> None:
    assert plain.execute(JOIN).fetchall() == [("anna", None)]
    plain.execute("INSERT INTO public.customer VALUES (3, 'zoe', 'z')")
    assert plain.execute("SELECT * FROM customer ORDER BY id").fetchall() == [
        (1, "anna", "x"),
        (3, "zoe", "z"),
    ]


def test_travel_to_null_returns_to_the_present(plain: psycopg.Connection[Any]) -> None:
    travel(plain, "v1")
    plain.execute("SELECT temporal_versioning.travel_to(NULL)")
    assert plain.execute(JOIN).fetchall() == [("anna", None)]


def test_the_journey_ends_with_the_transaction(plain: psycopg.Connection[Any]) -> None:
    travel(plain, "v1")
    plain.commit()
    assert plain.execute(JOIN).fetchall() == [("anna", None)]


def test_a_time_and_a_literal_of_a_time_work(
    engine: Engine, plain: psycopg.Connection[Any]
) -> None:
    with engine.begin() as connection:
        at = Repository(connection).get("v1").effective_at
    assert at is not None
    for when in (at, at + timedelta(microseconds=1), str(at)):
        travel(plain, when)
        assert plain.execute("SELECT name FROM customer ORDER BY id").fetchall() == [
            ("ana",),
            ("bo",),
        ]


def test_travelling_tells_the_commit_s_time(engine: Engine, plain: psycopg.Connection[Any]) -> None:
    with engine.begin() as connection:
        at = Repository(connection).get("v2").effective_at
    row = plain.execute("SELECT temporal_versioning.travel_to('v2')").fetchone()
    assert row == (at,)


def test_what_is_not_recorded_is_null_in_the_past(plain: psycopg.Connection[Any]) -> None:
    travel(plain, "HEAD")
    assert plain.execute("SELECT seen FROM customer").fetchall() == [(None,)]


@pytest.mark.parametrize(
    ("when", "message"),
    [
        ("nowhere", "neither a time nor a tag"),
        ("2999-01-01+00", "has not come yet"),
        ("1999-01-01+00", "versioning began"),
        ("HEAD~9", "before the first commit"),
        ("2024-01-15 10:30", "no time zone"),
        ("yesterday", "no time zone"),
    ],
)
def test_an_impossible_journey_is_refused(
    plain: psycopg.Connection[Any], when: str, message: str
) -> None:
    with pytest.raises(psycopg.DatabaseError, match=message):
        travel(plain, when)


def test_a_view_cannot_be_written(plain: psycopg.Connection[Any]) -> None:
    with pytest.raises(psycopg.DatabaseError, match="cannot"):
        plain.execute("UPDATE customer SET name = 'x'")


def test_the_views_do_not_stand_in_the_way_of_a_migration(
    engine: Engine, plain: psycopg.Connection[Any]
) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE customer ALTER COLUMN name TYPE varchar(50)")
        connection.exec_driver_sql("ALTER TABLE customer DROP COLUMN seen")
        connection.exec_driver_sql(
            "ALTER TABLE temporal_versioning.customer_history ALTER COLUMN name TYPE varchar(50)"
        )
    metadata = MetaData()
    table = versioned_table(
        Table("customer", metadata, Column("id", Integer, primary_key=True), Column("name", Text))
    )
    with engine.begin() as connection:
        sync_versioning(connection, table)
    travel(plain, "v2")
    assert plain.execute("SELECT * FROM customer ORDER BY id").fetchall() == [
        (1, "anna"),
        (2, "bo"),
    ]


def test_a_point_query_reaches_the_index(engine: Engine, plain: psycopg.Connection[Any]) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO customer SELECT i, 'n' FROM generate_series(100, 20000) i"
        )
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE customer SET name = 'm' WHERE id >= 100")
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE")
    travel(plain, "HEAD~1")
    plan = plain.execute("EXPLAIN SELECT * FROM customer WHERE id = 777").fetchall()
    assert "Seq Scan" not in str(plan)
    assert "Function Scan" not in str(plan)
