"""Old versions are taken away, and no answer becomes wrong."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Column, Engine, Integer, MetaData, Table, Text, func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from sqlalchemy_temporal import (
    NotInstalledError,
    PurgedHistoryError,
    Repository,
    TemporalSession,
    UnknownOptionError,
    install,
    resolve,
    versioned_table,
)
from sqlalchemy_temporal.errors import FutureMomentError
from sqlalchemy_temporal.tables.purge import purge_history
from tests.laws.programs import state_at
from tests.tables.shop import Shop, history_rows, open_shop


@pytest.fixture
def shop(pg_engine: Engine) -> Shop:
    return open_shop(pg_engine)


def purged(shop: Shop, at: int, **options: object) -> int:
    moment = shop.copies[at][0]
    found = purge_history(shop.engine, moment, "item", dry_run=False, **options)  # type: ignore[arg-type]
    return found.removed


def test_a_dry_run_is_the_default_and_changes_nothing(shop: Shop) -> None:
    result = purge_history(shop.engine, shop.copies[2][0], "item")
    assert result.dry_run
    assert [(each.table, each.removed, each.kept) for each in result.tables] == [
        ("public.item", 3, 3)
    ]
    assert result.bytes > 0
    assert "3 versions" in str(result)
    assert result.to_dict()["removed"] == 3
    with shop.engine.begin() as connection:
        assert len(history_rows(connection)) == 6
        assert resolve(connection, "HEAD") == shop.copies[-1][0]


def test_versions_that_ended_up_to_the_horizon_go_and_all_others_stay(shop: Shop) -> None:
    assert purged(shop, 2) == 3
    with shop.engine.begin() as connection:
        assert history_rows(connection) == ["a3", "a4", "b1"]


def test_every_moment_from_the_horizon_on_reads_as_before(shop: Shop) -> None:
    purged(shop, 2)
    with shop.engine.begin() as connection:
        for moment, copy in shop.copies[2:]:
            again = resolve(connection, moment.uuid)
            assert state_at(connection, shop.metadata, again) == copy


def test_the_purge_is_a_commit_with_author_and_reason(shop: Shop) -> None:
    purged(shop, 2, author="dpo", reason="retention of one year")
    with shop.engine.begin() as connection:
        head = Repository(connection).head
    assert (head.operation, head.author, head.message) == ("PURGE", "dpo", "retention of one year")
    assert head.counts == {"public.item": {"purge": 3}}


def test_an_earlier_moment_is_refused_and_told_from_when_on_it_is_known(shop: Shop) -> None:
    purged(shop, 2)
    horizon = shop.copies[2][0].effective_at.isoformat()
    with TemporalSession(shop.engine) as session:
        for moment, _ in shop.copies[:2]:
            with (
                session.as_of(moment.uuid) as past,
                pytest.raises(PurgedHistoryError, match=re.escape(horizon)),
            ):
                past.execute(select(shop.table))
        with session.as_of(shop.copies[2][0].effective_at) as past:
            assert past.scalar(select(func.count()).select_from(shop.table)) == 3


def test_a_view_is_refused_before_the_horizon(shop: Shop) -> None:
    purged(shop, 2)
    with shop.engine.begin() as connection:
        travel = text("SELECT temporal_versioning.travel_to(:uuid)")
        connection.execute(travel, {"uuid": str(shop.copies[2][0].uuid)})
        assert connection.scalar(text("SELECT count(*) FROM temporal_as_of.item")) == 3
        connection.execute(travel, {"uuid": str(shop.copies[1][0].uuid)})
        with pytest.raises(DBAPIError, match="purged; it is known again from"):
            connection.scalar(text("SELECT count(*) FROM temporal_as_of.item"))


def test_the_horizon_is_no_later_than_what_was_removed_makes_it(shop: Shop) -> None:
    shop.run("INSERT INTO item VALUES (7, 'g1')")
    assert purged(shop, 5) == 6
    with TemporalSession(shop.engine) as session, session.as_of(shop.copies[4][0]) as past:
        assert past.scalar(select(func.count()).select_from(shop.table)) == 3


def test_a_purge_of_nothing_makes_no_commit_and_no_horizon(shop: Shop) -> None:
    first = shop.copies[0][0]
    assert purged(shop, 0) == 0
    with shop.engine.begin() as connection:
        assert resolve(connection, "HEAD").uuid == shop.copies[-1][0].uuid
        assert state_at(connection, shop.metadata, resolve(connection, first.uuid))


def test_keep_last_counts_the_current_version_and_spares_deleted_rows(shop: Shop) -> None:
    assert purged(shop, 4, keep_last=2) == 3
    with shop.engine.begin() as connection:
        assert history_rows(connection) == ["a4", "b1", "d1"]


def test_keep_last_spares_what_is_newer_than_the_horizon_too(shop: Shop) -> None:
    assert purged(shop, 1, keep_last=1) == 1
    with shop.engine.begin() as connection:
        assert history_rows(connection) == ["a2", "a3", "a4", "b1", "d1"]


def test_batches_never_split_a_commit_and_tell_how_far_they_are(shop: Shop) -> None:
    told: list[tuple[int, int]] = []
    purged(shop, 4, batch_size=1, progress=lambda done, total: told.append((done, total)))
    assert told == [(2, 6), (3, 6), (5, 6), (6, 6)]


def test_batches_with_keep_last(shop: Shop) -> None:
    told: list[int] = []
    purged(shop, 4, keep_last=2, batch_size=1, progress=lambda done, _: told.append(done))
    assert told == [1, 2, 3]


def test_in_a_callers_transaction_it_is_rolled_back_with_it(shop: Shop) -> None:
    with Session(shop.engine) as session:
        found = purge_history(session, shop.copies[4][0], "item", keep_last=1, dry_run=False)
        assert found.removed == 5
        assert history_rows(session.connection()) == ["d1"]
        session.rollback()
    with shop.engine.begin() as connection:
        assert len(history_rows(connection)) == 6
        assert resolve(connection, shop.copies[0][0].uuid) == shop.copies[0][0]


def test_a_second_purge_goes_further(shop: Shop) -> None:
    assert purged(shop, 2) == 3
    assert purged(shop, 2) == 0
    assert purged(shop, 4) == 3
    with shop.engine.begin() as connection:
        assert history_rows(connection) == []


def test_an_age_older_than_all_history_removes_nothing(shop: Shop) -> None:
    result = purge_history(shop.engine, timedelta(days=365), dry_run=False)
    assert (result.removed, result.tables) == (0, ())


def test_every_table_is_purged_when_none_is_named(shop: Shop) -> None:
    result = purge_history(shop.engine, timedelta(0))
    assert [each.table for each in result.tables] == ["public.item"]
    assert result.removed == 6


def test_the_preview_names_tags_that_could_no_longer_be_read(shop: Shop) -> None:
    with shop.engine.begin() as connection:
        Repository(connection).tag("v1", shop.copies[0][0])
        Repository(connection).tag("v9", shop.copies[4][0])
    result = purge_history(shop.engine, shop.copies[2][0], "item")
    assert result.unreadable == ("v1",)
    assert "v1" in str(result)


@pytest.mark.parametrize("options", [{"keep_last": 0}, {"batch_size": 0}])
def test_options_that_mean_nothing_are_refused(shop: Shop, options: dict[str, int]) -> None:
    with pytest.raises(UnknownOptionError, match="positive"):
        purge_history(shop.engine, timedelta(0), **options)  # type: ignore[arg-type]


def test_an_unknown_table_is_refused(shop: Shop) -> None:
    with pytest.raises(NotInstalledError, match=r"public\.nothing"):
        purge_history(shop.engine, timedelta(0), "nothing")


def test_a_time_to_come_is_refused(shop: Shop) -> None:
    with pytest.raises(FutureMomentError):
        purge_history(shop.engine, datetime.now(UTC) + timedelta(days=1))


def test_parents_and_children_of_an_inheritance_tree_are_purged_together(
    pg_engine: Engine,
) -> None:
    shop = open_shop(pg_engine)
    with shop.engine.begin() as connection:
        connection.execute(text("CREATE TABLE place (id int PRIMARY KEY, name text)"))
        connection.execute(
            text("CREATE TABLE city (people int, PRIMARY KEY (id)) INHERITS (place)")
        )
    place = Table(
        "place", MetaData(), Column("id", Integer, primary_key=True), Column("name", Text)
    )
    versioned_table(place)
    with shop.engine.begin() as connection:
        install(connection, place)
    for statement in (
        "INSERT INTO place VALUES (1, 'a')",
        "INSERT INTO city VALUES (2, 'b', 5)",
        "UPDATE place SET name = name || '!'",
        "UPDATE city SET people = 6",
    ):
        with shop.engine.begin() as connection:
            connection.execute(text(statement))
    result = purge_history(shop.engine, timedelta(0), "city", dry_run=False)
    assert {each.table: each.removed for each in result.tables} == {
        "public.place": 1,
        "public.city": 2,
    }


def test_a_moment_resolved_before_a_purge_is_refused_after_it(shop: Shop) -> None:
    moment = shop.copies[0][0]
    purged(shop, 2)
    with (
        TemporalSession(shop.engine) as session,
        session.as_of(moment) as past,
        pytest.raises(PurgedHistoryError),
    ):
        past.execute(select(shop.table))


def test_the_blame_of_the_graph_leaves_out_what_was_set_before(shop: Shop) -> None:
    purged(shop, 2)
    with shop.engine.begin() as connection:
        repo = Repository(connection)
        found = repo.blame("item", 1)
        assert {name: commit.uuid for name, commit in found.items()} == {
            "name": shop.copies[4][0].uuid
        }
        assert repo.blame("item", 3) == {}
        with pytest.raises(PurgedHistoryError):
            repo.blame("item", 1, at=shop.copies[1][0].uuid)
    shop.run("INSERT INTO item VALUES (8, 'h1')")
    with shop.engine.begin() as connection:
        assert Repository(connection).blame("item", 8).keys() == {"id", "name", "note"}


def test_the_history_of_a_table_that_was_dropped_is_purged(shop: Shop) -> None:
    with shop.engine.begin() as connection:
        connection.execute(text("DROP TABLE item CASCADE"))
    assert purge_history(shop.engine, "HEAD", keep_last=1, dry_run=False).removed == 3
    with shop.engine.begin() as connection:
        assert history_rows(connection) == ["a4", "b1", "d1"]
        connection.execute(text("DROP TABLE temporal_versioning.item_history"))
    assert purge_history(shop.engine, "HEAD").removed == 0
