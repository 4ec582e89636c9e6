"""Five years of airports, without a model: every release is the table as it was at its time."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from examples import airports
from tests.capture.test_install import objects


def test_the_first_releases_are_rebuilt_and_nothing_is_left(
    pg_engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    before = objects(pg_engine)
    assert airports.run(pg_engine, 3) == 0
    printed = capsys.readouterr().out
    assert "3 of 3 releases rebuilt exactly" in printed
    assert "inserts        28867" in printed
    assert objects(pg_engine) == before


@pytest.mark.slow
def test_every_release_is_rebuilt(pg_engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    assert airports.run(pg_engine, quiet=True) == 0
    assert capsys.readouterr().out == "30 of 30 releases rebuilt exactly\n"
