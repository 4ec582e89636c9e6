"""What differs between two points in time, and how much of it, whatever is listed."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import Engine, column

from sqlalchemy_temporal import (
    BeforeVersioningError,
    Moment,
    TemporalTables,
    UnknownOptionError,
    VersioningGapError,
)
from tests.tables.fixtures import commit, head, run


@pytest.fixture
def moments(tables: TemporalTables, pg_engine: Engine) -> tuple[Moment, Moment]:
    """Two moments between which a row each was added, deleted and modified."""
    first = head(pg_engine)
    run(pg_engine, "INSERT INTO customers VALUES (3, 'Cy')", "UPDATE customers SET name = 'tmp'")
    second = commit(
        pg_engine,
        "DELETE FROM customers WHERE id = 2",
        "UPDATE customers SET name = 'Ann' WHERE id = 1",
    )
    return first, second


def test_rows_added_deleted_and_modified(
    tables: TemporalTables, moments: tuple[Moment, Moment]
) -> None:
    found = tables.compare_temporal_data("customers", *(moment.uuid for moment in moments))
    assert (found.totals.added, found.totals.deleted, found.totals.modified) == (1, 1, 1)
    (added,), (deleted,), (modified,) = found.added_rows, found.deleted_rows, found.modified_rows
    assert (added.key, deleted.key) == ({"id": 3}, {"id": 2})
    assert (modified.changed, modified.cells) == (("name",), {"name": ("Alice", "Ann")})
    assert (found.time1, found.commit2) == (moments[0].effective_at, moments[1].uuid)
    assert found.gaps == ()


def test_backwards_is_the_inverse(tables: TemporalTables, moments: tuple[Moment, Moment]) -> None:
    found = tables.compare_temporal_data("customers", moments[1].uuid, moments[0].uuid)
    assert [change.key["id"] for change in found.added_rows] == [2]
    assert found.modified_rows[0].cells == {"name": ("Ann", "Alice")}


def test_the_second_side_is_now_when_left_out(
    tables: TemporalTables, moments: tuple[Moment, Moment]
) -> None:
    assert tables.compare_temporal_data("customers", moments[0].uuid).commit2 == moments[1].uuid
    assert not tables.compare_temporal_data("customers", "HEAD")


def test_totals_are_of_all_rows_whatever_the_limit(
    tables: TemporalTables, pg_engine: Engine
) -> None:
    first = head(pg_engine)
    run(pg_engine, "INSERT INTO customers SELECT i, 'n' FROM generate_series(10, 2009) i")
    found = tables.compare_temporal_data("customers", first.uuid, limit=5)
    assert (len(found), found.more, found.totals.added) == (5, True, 2000)
    assert "2000 added, 0 deleted" in str(found)
    streamed = tables.compare_temporal_data("customers", first.uuid, buffer=3)
    assert [change.key["id"] for change in streamed] == list(range(10, 2010))


def test_a_condition_holds_on_either_side(
    tables: TemporalTables, moments: tuple[Moment, Moment]
) -> None:
    def keys(where: object) -> list[int]:
        found = tables.compare_temporal_data("customers", moments[0].uuid, where=where)
        assert found.totals.rows == len(found)
        return [change.key["id"] for change in found]

    assert keys({"name": "Alice"}) == keys({"name": "Ann"}) == [1]
    assert keys(column("id") > 1) == [2, 3]
    assert keys(lambda t: t.c.name == "tmp") == keys({"id": [3], "name": "tmp"}) == [3]
    assert keys({"id": 3, "name": "Cy"}) == []
    with pytest.raises(UnknownOptionError):
        keys({"nmae": 1})


def test_a_gap_between_the_sides_is_told(tables: TemporalTables, pg_engine: Engine) -> None:
    first = head(pg_engine)
    tables.disable_temporal_versioning("customers")
    disabled = head(pg_engine)
    run(pg_engine, "UPDATE customers SET name = 'unseen' WHERE id = 1")
    tables.enable_temporal_versioning("customers")
    second = commit(pg_engine, "INSERT INTO customers VALUES (3, 'Cy')")
    found = tables.compare_temporal_data("customers", first.uuid, second.uuid)
    assert [(c.operation, c.key["id"]) for c in found] == [("UPDATE", 1), ("INSERT", 3)]
    assert [gap.since for gap in found.gaps] == [disabled.effective_at]
    assert "not recorded: from" in str(found)
    with pytest.raises(VersioningGapError):
        tables.compare_temporal_data("customers", first.uuid, disabled.uuid)


def test_the_past_of_a_disabled_table_is_compared(
    tables: TemporalTables, moments: tuple[Moment, Moment]
) -> None:
    tables.disable_temporal_versioning("customers")
    found = tables.compare_temporal_data("customers", moments[0].uuid, moments[1].uuid)
    assert (found.totals.added, found.totals.deleted, found.totals.modified) == (1, 1, 1)
    with pytest.raises(VersioningGapError):
        tables.compare_temporal_data("customers", moments[0].uuid)


def test_a_side_before_versioning_is_refused(
    tables: TemporalTables, moments: tuple[Moment, Moment]
) -> None:
    with pytest.raises(BeforeVersioningError):
        tables.compare_temporal_data("customers", "1999-01-01 00:00+00", moments[1].uuid)


def test_an_answer_prints_and_converts(
    tables: TemporalTables, moments: tuple[Moment, Moment]
) -> None:
    found = tables.compare_temporal_data("customers", moments[0].uuid)
    lines = str(found).splitlines()
    assert lines[0].endswith(": 1 added, 1 deleted, 1 modified")
    assert lines[3:] == [
        "modified  id=1  name: 'Alice' → 'Ann'",
        "deleted   id=2  id=2, name='Bob', email=None",
        "added     id=3  id=3, name='tmp', email=None",
    ]
    plain = json.loads(json.dumps(found.to_dict()))
    assert plain["totals"] == {"added": 1, "deleted": 1, "modified": 1}
    assert plain["modified_rows"][0]["changed"] == ["name"]
    assert plain["deleted_rows"][0]["after"] is None
