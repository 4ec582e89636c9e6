"""Every change of a table: before and after, when, by whom, whatever the keys did."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from sqlalchemy_temporal import (
    BeforeVersioningError,
    ChangeHistory,
    FutureMomentError,
    MomentError,
    TemporalTables,
    UnknownOptionError,
    describe,
    get_change_history,
)
from tests.tables.fixtures import commit, head, run


def short(found: ChangeHistory) -> list[tuple[Any, ...]]:
    return [
        (c.operation, c.before and c.before["name"], c.after and c.after["name"]) for c in found
    ]


def test_every_change_has_before_and_after(tables: TemporalTables, pg_engine: Engine) -> None:
    run(pg_engine, "UPDATE customers SET name = 'Ann' WHERE id = 1")
    run(pg_engine, "INSERT INTO customers VALUES (3, 'Cy')", "DELETE FROM customers WHERE id = 2")
    run(pg_engine, "TRUNCATE customers")
    found = tables.get_change_history("customers")
    assert short(found) == [
        ("UPDATE", "Alice", "Ann"),
        ("DELETE", "Bob", None),
        ("INSERT", None, "Cy"),
        ("TRUNCATE", "Ann", None),
        ("TRUNCATE", "Cy", None),
    ]
    assert [change.key["id"] for change in found] == [1, 2, 3, 1, 3]
    assert found[0].changed == ("name",)
    assert found.is_complete


def test_a_change_knows_its_commit(tables: TemporalTables, pg_engine: Engine) -> None:
    with pg_engine.begin() as connection:
        describe(connection, author="ana", message="tidy up", context={"ticket": 7})
        connection.exec_driver_sql("DELETE FROM customers WHERE id = 2")
    at = head(pg_engine)
    change = tables.get_change_history("customers")[0]
    assert (change.author, change.message, change.commit.context) == (
        "ana",
        "tidy up",
        {"ticket": 7},
    )
    assert (change.at, change.commit.uuid) == (at.effective_at, at.uuid)
    assert str(change) == (
        f"{at.effective_at.isoformat(sep=' ')} DELETE public.customers id=2 by ana: "
        "id=2, name='Bob', email=None"
    )


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ("INSERT", [("INSERT", None, "Cy")]),
        ("update", [("UPDATE", "Alice", "Ann")]),
        ("DELETE", [("DELETE", "Bob", None), ("TRUNCATE", "Ann", None), ("TRUNCATE", "Cy", None)]),
        ("TRUNCATE", [("TRUNCATE", "Ann", None), ("TRUNCATE", "Cy", None)]),
        ("BASELINE", [("BASELINE", None, "Alice"), ("BASELINE", None, "Bob")]),
    ],
)
def test_one_kind_of_change_can_be_asked_for(
    tables: TemporalTables, pg_engine: Engine, operation: str, expected: list[Any]
) -> None:
    run(pg_engine, "UPDATE customers SET name = 'Ann' WHERE id = 1")
    run(pg_engine, "INSERT INTO customers VALUES (3, 'Cy')", "DELETE FROM customers WHERE id = 2")
    run(pg_engine, "TRUNCATE customers")
    assert short(tables.get_change_history("customers", operation=operation)) == expected


def test_changes_of_one_author(tables: TemporalTables, pg_engine: Engine) -> None:
    for author in ("ana", "bea", "o'neill"):
        with pg_engine.begin() as connection:
            describe(connection, author=author)
            connection.exec_driver_sql(
                f"UPDATE customers SET email = '{author[:3]}x' WHERE id = 1".replace("o'n", "on")
            )
    found = tables.get_change_history("customers", author="o'neill")
    assert [change.after and change.after["email"] for change in found] == ["onx"]
    assert len(tables.get_change_history("customers", author="nobody")) == 0


def test_both_ends_of_a_time_are_included_and_a_commit_is_the_state_it_left(
    tables: TemporalTables, pg_engine: Engine
) -> None:
    one, two, three = (
        commit(pg_engine, f"UPDATE customers SET name = '{name}' WHERE id = 1") for name in "abc"
    )
    times = [moment.effective_at for moment in (one, two, three)]

    def names(start: Any, end: Any) -> list[Any]:
        found = tables.get_change_history("customers", start, end)
        return [change.after and change.after["name"] for change in found]

    tick = timedelta(microseconds=1)
    assert names(times[1], times[2]) == ["b", "c"]
    assert names(times[1] + tick, times[2] - tick) == []
    assert names(times[0].isoformat(), times[1].isoformat(sep=" ")) == ["a", "b"]
    assert names(one.uuid, two.uuid) == ["b"]
    assert names("HEAD~2", None) == ["b", "c"]
    assert names(None, two) == ["a", "b"]


def test_a_start_before_versioning_is_said_in_the_answer(
    tables: TemporalTables, pg_engine: Engine
) -> None:
    enabled = head(pg_engine)
    run(pg_engine, "UPDATE customers SET name = 'b' WHERE id = 1")
    found = tables.get_change_history("customers", "1999-01-01 00:00+00")
    assert len(found) == 1
    assert [(gap.why, gap.until) for gap in found.gaps] == [("before", enabled.effective_at)]
    assert f"before versioning began, at {enabled.effective_at.isoformat(sep=' ')}" in str(found)
    run(pg_engine, "CREATE TABLE u (id int PRIMARY KEY)")
    tables.enable_temporal_versioning("u")
    later = tables.get_change_history("u", enabled.uuid)
    assert [gap.why for gap in later.gaps] == ["before"]


def test_times_with_nothing_recorded_are_refused(tables: TemporalTables, pg_engine: Engine) -> None:
    enabled = head(pg_engine)
    run(pg_engine, "CREATE TABLE u (id int PRIMARY KEY)")
    tables.enable_temporal_versioning("u")
    with pytest.raises(BeforeVersioningError):
        tables.get_change_history("customers", "1999-01-01 00:00+00", "1999-01-02 00:00+00")
    with pytest.raises(BeforeVersioningError, match=r"'public\.u'"):
        tables.get_change_history("u", end_time=enabled.uuid)
    with pytest.raises(FutureMomentError):
        tables.get_change_history("customers", end_time="2999-01-01 00:00+00")
    with pytest.raises(MomentError, match="after the end"):
        tables.get_change_history("customers", "HEAD", "HEAD~1")
    with pytest.raises(UnknownOptionError, match="INSERT, UPDATE"):
        tables.get_change_history("customers", operation="MERGE")


def test_newest_first_and_a_limit_say_when_there_is_more(
    tables: TemporalTables, pg_engine: Engine
) -> None:
    for name in "abc":
        run(pg_engine, f"UPDATE customers SET name = '{name}' WHERE id = 1")
    found = tables.get_change_history("customers", newest_first=True, limit=2)
    assert [change.after and change.after["name"] for change in found] == ["c", "b"]
    assert (found.more, found.is_complete) == (True, False)
    assert not tables.get_change_history("customers", limit=3).more


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        (["UPDATE customers SET id = 7 WHERE id = 1"], [(1, 7, "Alice")]),
        (
            [
                "UPDATE customers SET id = 9 WHERE id = 1",
                "UPDATE customers SET id = 1 WHERE id = 2",
                "UPDATE customers SET id = 2 WHERE id = 9",
            ],
            [(2, 1, "Bob"), (1, 2, "Alice")],
        ),
        (
            [
                "UPDATE customers SET id = 7 WHERE id = 1",
                "UPDATE customers SET id = 8 WHERE id = 7",
            ],
            [(1, 8, "Alice")],
        ),
        (
            ["UPDATE customers SET id = 7 WHERE id = 1", "INSERT INTO customers VALUES (1, 'New')"],
            [(None, 1, None), (1, 7, "Alice")],
        ),
        (
            [
                "UPDATE customers SET id = 7 WHERE id = 1",
                "UPDATE customers SET id = 1 WHERE id = 7",
            ],
            [(1, 1, "Alice")],
        ),
    ],
    ids=["moved", "swapped", "moved twice", "replaced", "moved back"],
)
def test_a_row_is_followed_through_changes_of_its_key(
    tables: TemporalTables, pg_engine: Engine, statements: list[str], expected: list[Any]
) -> None:
    run(pg_engine, *statements)
    found = [
        (c.before and c.before["id"], c.after and c.after["id"], c.before and c.before["name"])
        for c in tables.get_change_history("customers")
    ]
    assert found == expected


def test_deleted_and_inserted_again_in_one_transaction_is_an_update(
    tables: TemporalTables, pg_engine: Engine
) -> None:
    run(pg_engine, "DELETE FROM customers WHERE id = 1", "INSERT INTO customers VALUES (1, 'Al')")
    assert short(tables.get_change_history("customers")) == [("UPDATE", "Alice", "Al")]


def test_what_is_not_committed_is_no_change(tables: TemporalTables, pg_engine: Engine) -> None:
    with pg_engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM customers")
        assert len(get_change_history(connection, "customers")) == 0


def test_partitions_and_heirs_are_changes_of_their_table(pg_engine: Engine) -> None:
    run(
        pg_engine,
        "CREATE TABLE p (id int PRIMARY KEY, name text) PARTITION BY RANGE (id)",
        "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10)",
        "CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20)",
        "CREATE TABLE base (id int PRIMARY KEY, name text)",
        "CREATE TABLE heir (PRIMARY KEY (id)) INHERITS (base)",
    )
    tables = TemporalTables(pg_engine)
    tables.enable_many(["p", "base"])
    run(pg_engine, "INSERT INTO p1 VALUES (1, 'a')", "INSERT INTO heir VALUES (1, 'h')")
    run(pg_engine, "UPDATE p SET id = 11", "UPDATE base SET name = 'i'")
    assert [(c.operation, c.key["id"]) for c in tables.get_change_history("p")] == [
        ("INSERT", 1),
        ("UPDATE", 11),
    ]
    assert short(tables.get_change_history("base")) == [("INSERT", None, "h"), ("UPDATE", "h", "i")]


def test_many_changes_are_streamed(tables: TemporalTables, pg_engine: Engine) -> None:
    for first in (10, 1010, 2010):
        run(
            pg_engine,
            f"INSERT INTO customers SELECT i, 'n' FROM generate_series({first}, {first + 999}) i",
        )
    found = tables.get_change_history("customers", buffer=5)
    assert [change.key["id"] for change in found] == list(range(10, 3010))
    assert len({change.commit.uuid for change in found}) == 3
    assert "many" in str(found)


def test_an_answer_converts_to_json(tables: TemporalTables, pg_engine: Engine) -> None:
    at = commit(pg_engine, "UPDATE customers SET name = 'Ann' WHERE id = 1")
    found = json.loads(
        json.dumps(tables.get_change_history("customers", at.effective_at).to_dict())
    )
    (change,) = found.pop("changes")
    assert found == {
        "table": "public.customers",
        "start": at.effective_at.isoformat(),
        "end": at.effective_at.isoformat(),
        "gaps": [],
        "more": False,
    }
    assert change["before"] == {"id": 1, "name": "Alice", "email": "alice@example.com"}
    assert change["changed"] == ["name"]
    assert change["commit"] == str(at.uuid)
