"""Fixtures of the tests of migrations."""

from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.migrations.project import Project


@pytest.fixture
def project(pg_engine: Engine, tmp_path: Path) -> Project:
    return Project(tmp_path / "alembic", pg_engine)


@pytest.fixture
def sqlite_project(sqlite_engine: Engine, tmp_path: Path) -> Project:
    return Project(tmp_path / "alembic", sqlite_engine, options={"render_as_batch": True})
