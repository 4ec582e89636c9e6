"""The doctor: every drift, each with its cure, and the exit status for CI."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Column, Engine, Integer, MetaData, Table, Text

from sqlalchemy_temporal.capture.doctor import doctor
from sqlalchemy_temporal.model.declare import versioned_table
from tests.migrations.test_autogenerate import BROKEN, models, v

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(params=["pg_engine", "sqlite_engine"])
def engine(request: pytest.FixtureRequest) -> Engine:
    found: Engine = request.getfixturevalue(request.param)
    return found


def found(engine: Engine, metadata: MetaData | None = None) -> list[str]:
    with engine.connect() as connection:
        return [drift.what for drift in doctor(connection, metadata).drifts]


def test_all_in_step_nothing_is_found(engine: Engine) -> None:
    metadata = models(v())
    assert found(engine) == []
    metadata.create_all(engine)
    assert found(engine) == []
    assert found(engine, metadata) == []
    with engine.connect() as connection:
        assert doctor(connection, metadata).tables == ("public.t",)


@pytest.mark.parametrize("damage", BROKEN)
def test_what_was_done_by_hand_is_found(pg_engine: Engine, damage: str) -> None:
    models(v()).create_all(pg_engine)
    with pg_engine.begin() as connection:
        connection.exec_driver_sql(damage)
    assert any(BROKEN[damage] in what for what in found(pg_engine))


def test_what_models_and_database_disagree_about_is_found(engine: Engine) -> None:
    models(v()).create_all(engine)
    assert found(engine, MetaData()) == ["recorded, and no model declares it"]
    assert found(engine, models(v(), versioned=False)) == [
        "recorded, and its model does not declare it versioned"
    ]
    assert found(engine, models(v(), Column("w", Text))) == [
        "the table lacks column(s) w of the model"
    ]
    assert found(engine, models(v(), exclude=["v"])) == ["excluded are none, and shall be v"]
    more = models(v())
    versioned_table(Table("u", more, Column("id", Integer, primary_key=True)))
    assert found(engine, more) == ["the table does not exist"]
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE u (id integer PRIMARY KEY)")
    assert found(engine, more) == ["declared versioned, and its changes are not recorded"]


def test_damage_on_sqlite_is_found(sqlite_engine: Engine) -> None:
    models(v()).create_all(sqlite_engine)
    with sqlite_engine.begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER temporal_update__t")
    assert found(sqlite_engine) == ["trigger temporal_update__t is missing"]
    with sqlite_engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE t ADD COLUMN w text")
    assert found(sqlite_engine) == ["column(s) w are not recorded"]


def test_a_dropped_table_is_found(engine: Engine) -> None:
    models(v()).create_all(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE t")
    assert found(engine) == ["the table is gone, and was not disabled before"]


def test_the_command_says_by_its_status_whether_all_is_in_step(
    sqlite_engine: Engine, tmp_path: Path
) -> None:
    def run(*arguments: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "alembic_ext.doctor", *arguments]
        done = subprocess.run(
            command,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            env={"PYTHONPATH": str(ROOT)},
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    url = sqlite_engine.url.render_as_string(hide_password=False)
    (tmp_path / "shop.py").write_text(
        "from sqlalchemy import *\nfrom sqlalchemy_temporal import versioned_table\n"
        "metadata = MetaData()\n"
        "versioned_table(Table('t', metadata, Column('id', Integer, primary_key=True), "
        "Column('v', Text)))\n"
    )
    models(v()).create_all(sqlite_engine)
    assert run(url, "shop:metadata") == (0, "1 versioned table(s), 0 drift(s)\n")
    with sqlite_engine.begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER temporal_update__t")
    status, said = run(url)
    assert status == 1
    assert "trigger temporal_update__t is missing; cure: op.sync_versioning('t')" in said
    assert run()[0] == run(url, "nowhere:metadata")[0] == run("nonsense")[0] == 2
