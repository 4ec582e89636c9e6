"""The safety net holds, says what it does, and is taken away again."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from examples import safety_net
from tests.capture.test_install import objects


def test_a_bad_migration_a_failed_load_and_an_alarm(
    pg_engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    before = objects(pg_engine)
    safety_net.run(pg_engine)
    printed = capsys.readouterr().out
    for expected in (
        "3 tables are versioned",
        "0 added, 0 deleted, 3 modified",
        "would be 0 inserted, 1 updated, 0 deleted",
        "forbidden by referenced: 1 row of temporal_safety_net.orders (1)",
        "customers: 0 rows differ from the checkpoint",
        "lines: 0 rows differ from the checkpoint",
        "ALARM: mallory deleted {'id': 3, 'quantity': 7, 'order_id': 3}",
    ):
        assert expected in printed
    assert objects(pg_engine) == before
