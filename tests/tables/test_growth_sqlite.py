"""SQLite: histories are purged, archived and measured there as well."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import duckdb
import pytest
from sqlalchemy import Engine, func, select, text

from sqlalchemy_temporal import (
    PurgedHistoryError,
    Repository,
    TemporalSession,
    UnsupportedDatabaseError,
    archive_history,
    history_growth,
    purge_history,
    redact,
    resolve,
)
from sqlalchemy_temporal.clock.moment import Moment
from tests.tables.shop import items

STATEMENTS = (
    "INSERT INTO item (id, name) VALUES (1, 'a1'), (2, 'b1'), (3, 'c1')",
    "UPDATE item SET name = 'a2' WHERE id = 1",
    "UPDATE item SET name = 'a3' WHERE id = 1",
    "DELETE FROM item WHERE id = 2",
)


@pytest.fixture
def moments(sqlite_engine: Engine) -> list[Moment]:
    """The moments after three versions of one item, and the deletion of another."""
    items().create_all(sqlite_engine)
    found = []
    for statement in STATEMENTS:
        with sqlite_engine.begin() as connection:
            connection.execute(text(statement))
        with sqlite_engine.connect() as connection:
            found.append(resolve(connection, "HEAD"))
    return found


def left(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return list(connection.scalars(text("SELECT name FROM item_history ORDER BY name")))


def test_versions_over_are_removed_and_earlier_moments_refused(
    sqlite_engine: Engine, moments: list[Moment]
) -> None:
    result = purge_history(
        sqlite_engine, moments[2].uuid, dry_run=False, author="ops", reason="age", batch_size=1
    )
    assert result.removed == 2
    assert left(sqlite_engine) == ["b1"]
    item = items().tables["item"]
    with TemporalSession(sqlite_engine) as session:
        head = Repository(session).head
        assert (head.operation, head.author, head.message) == ("PURGE", "ops", "age")
        with session.as_of(moments[2].uuid) as past:
            assert past.scalar(select(func.count()).select_from(item)) == 3
        with (
            session.as_of(moments[1].uuid) as past,
            pytest.raises(PurgedHistoryError, match="known again from"),
        ):
            past.execute(select(item))


def test_a_dry_run_and_the_newest_versions_are_spared(
    sqlite_engine: Engine, moments: list[Moment]
) -> None:
    assert purge_history(sqlite_engine, "HEAD").removed == 3
    assert len(left(sqlite_engine)) == 3
    assert purge_history(sqlite_engine, "HEAD", keep_last=2, dry_run=False).removed == 1
    assert left(sqlite_engine) == ["a2", "b1"]


def test_versions_are_archived_and_purged(
    sqlite_engine: Engine, moments: list[Moment], tmp_path: Path
) -> None:
    path = tmp_path / "item.parquet"
    result = archive_history(sqlite_engine, "HEAD", path, "item", purge=True)
    assert (result.rows, left(sqlite_engine)) == (3, [])
    with duckdb.connect() as duck:
        duck.execute("SET TimeZone = 'UTC'")
        rows = duck.execute(
            "SELECT id, name, note, temporal_operation, temporal_valid_from, "
            "length(temporal_commit) FROM read_parquet(?) ORDER BY id, name",
            [str(path)],
        ).fetchall()
    assert rows == [
        (1, "a1", None, "UPDATE", moments[0].effective_at, 36),
        (1, "a2", None, "UPDATE", moments[1].effective_at, 36),
        (2, "b1", None, "DELETE", moments[0].effective_at, 36),
    ]


def test_a_complete_archive_needs_postgresql(
    sqlite_engine: Engine, moments: list[Moment], tmp_path: Path
) -> None:
    with pytest.raises(UnsupportedDatabaseError, match="complete"):
        archive_history(sqlite_engine, "HEAD", tmp_path, complete=True)


def test_growth_is_told(sqlite_engine: Engine, moments: list[Moment]) -> None:
    growth = history_growth(sqlite_engine, "item", window=timedelta(days=1))
    assert (growth.versions, growth.added, growth.partitions) == (3, 3, 0)


def everything(engine: Engine) -> str:
    with engine.connect() as connection:
        rows = connection.execute(
            text(
                "SELECT id, name, note FROM item UNION ALL SELECT id, name, note FROM item_history"
            )
        )
        return str([tuple(row) for row in rows])


def test_a_row_and_its_past_are_redacted(sqlite_engine: Engine, moments: list[Moment]) -> None:
    result = redact(
        sqlite_engine, "item", 1, ["name"], replacement={"name": "–"}, author="dpo", reason="17"
    )
    assert (result.versions, result.live) == (3, True)
    left = everything(sqlite_engine)
    assert not any(secret in left for secret in ("a1", "a2", "a3"))
    assert "b1" in left
    item = items().tables["item"]
    with TemporalSession(sqlite_engine) as session:
        head = Repository(session).head
        assert (head.operation, head.author, head.message) == ("REDACT", "dpo", "17")
        with session.as_of(moments[0].uuid) as past:
            rows = past.execute(select(item).order_by(item.c.id)).all()
        assert [row.name for row in rows] == ["–", "b1", "c1"]


def test_former_keys_are_followed(sqlite_engine: Engine, moments: list[Moment]) -> None:
    for statement in (
        "UPDATE item SET id = 10 WHERE id = 1",
        "INSERT INTO item (id, name) VALUES (1, 'other')",
    ):
        with sqlite_engine.begin() as connection:
            connection.execute(text(statement))
    redact(sqlite_engine, "item", 10, ["name"], replacement={"name": "–"}, follow_key_changes=True)
    left = everything(sqlite_engine)
    assert not any(secret in left for secret in ("a1", "a2", "a3"))
    assert "other" in left


def test_only_the_live_value_is_redacted(sqlite_engine: Engine, moments: list[Moment]) -> None:
    result = redact(sqlite_engine, "item", 1, ["name"], replacement={"name": "–"}, versions="live")
    assert (result.versions, result.live) == (1, True)
    left = everything(sqlite_engine)
    assert ("a3" in left, "a2" in left) == (False, True)
