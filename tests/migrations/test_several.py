"""Several folders of revisions, and several databases, in one project."""

from __future__ import annotations

import io
import os
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, text

from sqlalchemy_temporal import Repository, TemporalTables
from sqlalchemy_temporal.capture.doctor import doctor
from tests.migrations.project import Project

_REVISION = """
from alembic import op
import sqlalchemy as sa
revision = {revision!r}
down_revision = {down!r}
branch_labels = {label!r}

def upgrade():
    {upgrade}

def downgrade():
    {downgrade}
"""


def write(
    folder: Path, revision: str, upgrade: str, downgrade: str, *, down: str | None = None
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    label = None if down else (folder.name,)
    (folder / f"{revision}.py").write_text(
        _REVISION.format(
            revision=revision, down=down, label=label, upgrade=upgrade, downgrade=downgrade
        )
    )


def created(table: str) -> tuple[str, str]:
    column = "sa.Column('id', sa.Integer, primary_key=True)"
    return (
        f"op.create_table({table!r}, {column}); op.enable_versioning({table!r})",
        f"op.disable_versioning({table!r}, drop_history=True); op.drop_table({table!r})",
    )


def test_branches_of_revisions_in_folders_of_their_own(project: Project) -> None:
    """Two parts of an application, each with its revisions, on one database."""
    folders = [project.folder / "shop", project.folder / "stock"]
    for folder in folders:
        write(folder, f"{folder.name}1", *created(folder.name))
        write(
            folder,
            f"{folder.name}2",
            f"op.add_column({folder.name!r}, sa.Column('note', sa.Text))",
            f"op.drop_column({folder.name!r}, 'note')",
            down=f"{folder.name}1",
        )

    def config() -> Config:
        made = project.config()
        made.set_main_option("version_locations", os.pathsep.join(map(str, folders)))
        made.set_main_option("version_path_separator", "os")  # its name before Alembic 1.16
        return made

    command.upgrade(config(), "heads")
    with project.engine.begin() as connection:
        report = doctor(connection)
        assert (report.healthy, sorted(report.tables)) == (True, ["public.shop", "public.stock"])
        connection.execute(text("INSERT INTO shop (id) VALUES (1)"))
        connection.execute(text("INSERT INTO stock (id) VALUES (2)"))
    command.downgrade(config(), "stock@base")
    with project.engine.connect() as connection:
        assert doctor(connection).tables == ("public.shop",)
        assert [c.operation for c in Repository(connection).log("shop", limit=1)] == ["COMMIT"]
    command.downgrade(config(), "base")
    with project.engine.connect() as connection:
        assert doctor(connection).tables == ()


_ENV = """
from alembic import context
import alembic_ext

alembic_ext.register()
for name, engine in context.config.attributes["engines"].items():
    with engine.connect() as connection:
        context.configure(
            connection=connection,
            upgrade_token=f"{name}_upgrades",
            downgrade_token=f"{name}_downgrades",
        )
        with context.begin_transaction():
            context.run_migrations(engine_name=name)
        connection.commit()
"""
_OF_EACH = """
from alembic import op
import sqlalchemy as sa
revision = "r1"
down_revision = None

def upgrade(engine_name):
    op.create_table(engine_name, sa.Column("id", sa.Integer, primary_key=True))
    op.enable_versioning(engine_name)

def downgrade(engine_name):
    op.disable_versioning(engine_name, drop_history=True)
    op.drop_table(engine_name)
"""


def test_several_databases_of_different_kinds(
    tmp_path: Path, pg_engine: Engine, sqlite_engine: Engine
) -> None:
    folder = tmp_path / "alembic"
    (folder / "versions").mkdir(parents=True)
    (folder / "env.py").write_text(_ENV)
    (folder / "versions" / "r1.py").write_text(_OF_EACH)
    config = Config(stdout=io.StringIO())
    config.set_main_option("script_location", str(folder))
    config.attributes["engines"] = engines = {"orders": pg_engine, "cache": sqlite_engine}
    command.upgrade(config, "head")
    for name, engine in engines.items():
        with engine.begin() as connection:
            assert doctor(connection).tables == (f"public.{name}",)
            connection.execute(text(f"INSERT INTO {name} (id) VALUES (1)"))
        with engine.begin() as connection:
            connection.execute(text(f"DELETE FROM {name}"))
        then = TemporalTables(engine).query_temporal_data(name, "HEAD~1")
        assert [row["id"] for row in then] == [1]
    command.downgrade(config, "base")
    for engine in engines.values():
        with engine.connect() as connection:
            assert doctor(connection).tables == ()
