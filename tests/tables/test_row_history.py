"""Everything that happened to one row."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine

from sqlalchemy_temporal import TemporalTables, UnknownOptionError, describe
from tests.tables.fixtures import run


def steps(found: Any) -> list[tuple[str, Any]]:
    return [(change.operation, (change.after or change.before or {})["name"]) for change in found]


@pytest.fixture
def lived(tables: TemporalTables, pg_engine: Engine) -> TemporalTables:
    """A row that was changed, deleted, and came again."""
    run(pg_engine, "UPDATE customers SET name = 'Ann' WHERE id = 1")
    with pg_engine.begin() as connection:
        describe(connection, author="ana")
        connection.exec_driver_sql("DELETE FROM customers WHERE id = 1")
    run(pg_engine, "INSERT INTO customers VALUES (1, 'Anna')")
    return tables


LIFE = [("BASELINE", "Alice"), ("UPDATE", "Ann"), ("DELETE", "Ann"), ("INSERT", "Anna")]


def test_a_row_from_its_beginning_to_now(lived: TemporalTables) -> None:
    found = lived.get_row_history("customers", 1)
    assert steps(found) == LIFE
    assert [change.author for change in found] == [None, None, "ana", None]
    assert (found.key, found.is_complete) == ({"id": 1}, True)
    assert str(found).startswith("public.customers id=1 up to ")
    assert found.to_dict()["key"] == {"id": 1}


@pytest.mark.parametrize(
    "asked",
    [
        {"primary_key_value": "1", "primary_key_column": "id"},
        {"primary_key_value": "1"},
        {"primary_key_value": {"id": 1}},
        {"primary_key_value": [1]},
    ],
)
def test_a_row_may_be_named_in_several_ways(lived: TemporalTables, asked: dict[str, Any]) -> None:
    assert steps(lived.get_row_history("customers", **asked)) == LIFE


def test_newest_first_and_limited(lived: TemporalTables) -> None:
    found = lived.get_row_history("customers", 1, newest_first=True, limit=2)
    assert (steps(found), found.more) == ([LIFE[3], LIFE[2]], True)


def test_a_key_that_never_was_has_no_history(lived: TemporalTables) -> None:
    assert len(lived.get_row_history("customers", 99)) == 0


@pytest.mark.parametrize(
    "asked",
    [
        {"primary_key_value": "one"},
        {"primary_key_value": 1, "primary_key_column": "name"},
        {"primary_key_value": {"id": 1, "name": "x"}},
        {"primary_key_value": (1, 2)},
    ],
)
def test_what_is_no_key_is_refused(lived: TemporalTables, asked: dict[str, Any]) -> None:
    with pytest.raises(UnknownOptionError):
        lived.get_row_history("customers", **asked)


def test_a_composite_key_is_a_mapping_or_a_sequence(pg_engine: Engine) -> None:
    run(pg_engine, "CREATE TABLE t (a int, b uuid, name text, PRIMARY KEY (a, b))")
    tables = TemporalTables(pg_engine)
    tables.enable_temporal_versioning("t")
    uuid = "00000000-0000-0000-0000-000000000001"
    run(pg_engine, f"INSERT INTO t VALUES (1, '{uuid}', 'x'), (2, '{uuid}', 'y')")
    run(pg_engine, "UPDATE t SET a = 5 WHERE a = 1")
    for key in ({"b": uuid, "a": 5}, (5, uuid), {"a": "1", "b": uuid}):
        found = tables.get_row_history("t", key)
        assert steps(found) == [("INSERT", "x"), ("UPDATE", "x")]


@pytest.mark.parametrize("asked", [1, 7, 8])
def test_a_row_is_followed_backwards_and_forwards(
    tables: TemporalTables, pg_engine: Engine, asked: int
) -> None:
    run(pg_engine, "UPDATE customers SET id = 7 WHERE id = 1")
    run(pg_engine, "UPDATE customers SET id = 8, name = 'Ann' WHERE id = 7")
    found = tables.get_row_history("customers", asked)
    assert steps(found) == [("BASELINE", "Alice"), ("UPDATE", "Alice"), ("UPDATE", "Ann")]
    assert [change.key["id"] for change in found] == [1, 7, 8]


def test_who_took_the_place_of_a_row_that_moved_is_another(
    tables: TemporalTables, pg_engine: Engine
) -> None:
    run(pg_engine, "UPDATE customers SET id = 7 WHERE id = 1")
    run(pg_engine, "INSERT INTO customers VALUES (1, 'New')")
    assert steps(tables.get_row_history("customers", 7)) == [
        ("BASELINE", "Alice"),
        ("UPDATE", "Alice"),
    ]
    assert ("INSERT", "New") in steps(tables.get_row_history("customers", 1))


def test_swapped_rows_keep_their_histories(tables: TemporalTables, pg_engine: Engine) -> None:
    run(
        pg_engine,
        "UPDATE customers SET id = 9 WHERE id = 1",
        "UPDATE customers SET id = 1 WHERE id = 2",
        "UPDATE customers SET id = 2 WHERE id = 9",
    )
    assert steps(tables.get_row_history("customers", 2)) == [
        ("BASELINE", "Alice"),
        ("UPDATE", "Alice"),
    ]


def test_a_key_alone_is_what_happened_under_it(tables: TemporalTables, pg_engine: Engine) -> None:
    run(pg_engine, "UPDATE customers SET id = 7 WHERE id = 1")
    found = tables.get_row_history("customers", 1, follow_key_changes=False)
    assert [(c.operation, c.after is None) for c in found] == [
        ("BASELINE", False),
        ("UPDATE", True),
    ]
