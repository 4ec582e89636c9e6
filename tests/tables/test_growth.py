"""How large history is, how fast it grows, and who may make it smaller."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from sqlalchemy_temporal import (
    AccessModeError,
    TemporalTables,
    UnknownOptionError,
    get_temporal_status,
    history_growth,
    partition_history,
)
from tests.tables.shop import Shop, open_shop


@pytest.fixture
def shop(pg_engine: Engine) -> Shop:
    return open_shop(pg_engine)


def test_growth_tells_size_and_versions_a_day(shop: Shop) -> None:
    growth = history_growth(shop.engine, "item", window=timedelta(days=2))
    assert (growth.table, growth.versions, growth.added, growth.partitions) == (
        "public.item",
        6,
        6,
        0,
    )
    assert growth.versions_per_day == 3.0
    assert growth.bytes_per_day == growth.bytes / 2 > 0
    assert sum(number for _, number in growth.days) == 6
    assert growth.oldest is not None
    assert abs(datetime.now(UTC) - growth.oldest) < timedelta(minutes=5)
    assert "6 versions" in str(growth)
    assert growth.to_dict()["versions_per_day"] == 3.0


def test_partitions_count_to_the_size(shop: Shop) -> None:
    partition_history(shop.engine, "item")
    growth = history_growth(shop.engine, "item")
    assert growth.partitions == 4
    assert growth.bytes == get_temporal_status(shop.engine, "item").history_bytes > 0  # type: ignore[operator]


def test_a_window_of_nothing_is_refused(shop: Shop) -> None:
    with pytest.raises(UnknownOptionError, match="window"):
        history_growth(shop.engine, "item", window=timedelta(0))


def test_what_writes_needs_unrestricted_access(shop: Shop, tmp_path: Path) -> None:
    tables = TemporalTables(shop.engine, access="restricted")
    calls: list[tuple[Any, tuple[Any, ...], dict[str, Any]]] = [
        (tables.purge_history, ("HEAD",), {"dry_run": False}),
        (tables.archive_history, ("HEAD", tmp_path), {"purge": True}),
        (tables.redact, ("item", 1, ["note"]), {}),
        (tables.partition_history, ("item",), {}),
        (tables.maintain_history_partitions, (), {}),
    ]
    for call, arguments, options in calls:
        with pytest.raises(AccessModeError, match="unrestricted"):
            call(*arguments, **options)


def test_what_only_reads_runs_restricted(shop: Shop, tmp_path: Path) -> None:
    tables = TemporalTables(shop.engine, access="restricted")
    assert tables.purge_history("HEAD", keep_last=2).removed == 3
    assert tables.archive_history("HEAD", tmp_path).rows == 6
    assert tables.history_growth("item").versions == 6
