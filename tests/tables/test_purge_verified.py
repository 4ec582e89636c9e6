"""What was purged is told as purged by verification, and nothing else is found."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Connection, Engine, text

from sqlalchemy_temporal import Repository, partition_history, purge_history
from tests.tables.shop import Shop, age, open_shop


@pytest.fixture
def shop(pg_engine: Engine) -> Shop:
    return open_shop(pg_engine)


def verified(connection: Connection) -> list[tuple[str, str]]:
    """The kinds of what was withdrawn, when there is no problem."""
    found = Repository(connection).verify()
    assert [str(problem) for problem in found.problems] == []
    return [(each.kind, each.table) for each in found.withdrawn]


def purge(shop: Shop, at: int, **options: Any) -> None:
    moment = shop.copies[at][0]
    assert purge_history(shop.engine, moment, "item", dry_run=False, **options).removed


@pytest.mark.parametrize("options", [{}, {"batch_size": 1}, {"keep_last": 2}])
@pytest.mark.parametrize("hashed", [True, False])
def test_a_purge_is_verified(shop: Shop, options: dict[str, int], hashed: bool) -> None:
    if hashed:
        with shop.engine.begin() as connection:
            assert verified(connection) == []
    purge(shop, 4, **options)
    with shop.engine.begin() as connection:
        assert verified(connection) == ([("purged", "public.item")] if hashed else [])
    shop.run("UPDATE item SET name = 'z'", "DELETE FROM item WHERE id = 2")
    with shop.engine.begin() as connection:
        assert len(verified(connection)) == hashed


def test_commits_are_hashed_in_full_after_what_they_replaced_was_purged(shop: Shop) -> None:
    with shop.engine.begin() as connection:
        verified(connection)
    shop.run("UPDATE item SET note = 'x' WHERE id = 3")
    purge(shop, 5)
    with shop.engine.begin() as connection:
        verified(connection)
    shop.run("UPDATE item SET note = 'y' WHERE id = 3")
    with shop.engine.begin() as connection:
        verified(connection)


def test_a_commit_that_goes_as_a_whole_leaves_no_hashes_behind(shop: Shop) -> None:
    with shop.engine.begin() as connection:
        verified(connection)
    purge(shop, 4)
    with shop.engine.begin() as connection:
        sizes = connection.execute(
            text(
                "SELECT t.message, octet_length(o.original_hash) / 32 "
                "FROM temporal_versioning.leaf_override o "
                "JOIN temporal_versioning.transaction t ON t.id = o.tx_id ORDER BY t.commit_seq"
            )
        ).all()
        # The item that was never changed is still live, as is what the last two commits made.
        assert [row[1] for row in sizes] == [3, None, None, 3, 1]
        verified(connection)


def test_months_that_are_dropped_are_verified(shop: Shop) -> None:
    age(shop.engine, "name IN ('a1', 'd1')", 4)
    partition_history(shop.engine, "item")
    with shop.engine.begin() as connection:
        verified(connection)
    result = purge_history(shop.engine, shop.copies[1][0], "item", dry_run=False)
    assert len(result.dropped) >= 1
    with shop.engine.begin() as connection:
        assert verified(connection) == [("purged", "public.item")]


def test_what_is_removed_behind_its_back_is_still_found(shop: Shop) -> None:
    with shop.engine.begin() as connection:
        verified(connection)
    purge(shop, 2)
    with shop.engine.begin() as connection:
        connection.execute(text("DELETE FROM temporal_versioning.item_history WHERE name = 'a3'"))
    with shop.engine.begin() as connection:
        assert not Repository(connection).verify().ok
