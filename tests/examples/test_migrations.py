"""The example application with its folder of migrations does what it says."""

from __future__ import annotations

import io

import pytest
from alembic import command
from sqlalchemy import URL, create_engine

from examples.migrations.models import Base
from examples.migrations.story import config, tell
from sqlalchemy_temporal.capture.doctor import doctor

TOLD = """\
after 0001: Ana, None, 7.00
after 0002: Ana, gold, 7.00
after 0003: Ana, gold, 7.00
after 0003: Ben, basic, 3.00
after 0004: Ana, gold, 7.25
after 0004: Ben, basic, 3.25
after 0005: Ana, gold, 7.25
faxes of old: 555
every hash as it was: True
"""


def test_the_story_is_told_as_it_was(pg_url: URL, capsys: pytest.CaptureFixture[str]) -> None:
    url = pg_url.render_as_string(hide_password=False)
    tell(url)
    assert capsys.readouterr().out == TOLD
    command.check(config(url))
    engine = create_engine(url)
    with engine.connect() as connection:
        assert doctor(connection, Base.metadata).drifts == ()
    engine.dispose()
    command.downgrade(config(url), "base")


def test_the_migrations_can_be_written_as_sql(pg_url: URL) -> None:
    made = config("postgresql://")
    made.output_buffer = io.StringIO()
    command.upgrade(made, "base:head", sql=True)
    script = made.output_buffer.getvalue()
    assert "CREATE TRIGGER temporal_capture_update" in script
    assert "close_versions" in script
