"""``--sql``: scripts that need no database to be written, and leave the same behind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Column, Engine, MetaData, Numeric, Text, create_engine, inspect

from sqlalchemy_temporal.capture.doctor import doctor
from sqlalchemy_temporal.errors import UnknownTableStateError
from tests.fix_server import Server
from tests.migrations.project import Project
from tests.migrations.test_autogenerate import HINT, models, v
from tests.migrations.test_sequence import STEPS

_COLUMNS = (
    "SELECT attrelid::regclass::text, attname, format_type(atttypid, atttypmod) "
    "FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n "
    "ON n.oid = c.relnamespace WHERE n.nspname IN ('public', 'temporal_versioning', 'sales') "
    "AND attnum > 0 AND NOT attisdropped AND c.relkind IN ('r', 'i') ORDER BY 1, 2"
)
_TRIGGERS = (
    "SELECT tgrelid::regclass::text, tgname, obj_description(oid, 'pg_trigger') "
    "FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1, 2"
)
_FUNCTIONS = (
    "SELECT proname, prosrc FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace "
    "WHERE n.nspname = 'temporal_versioning' AND proname NOT LIKE 'as_of%%' ORDER BY 1, 2"
)
_REGISTERED = (
    "SELECT table_name, history_table, key_columns, excluded_columns, options "
    "FROM temporal_versioning.versioned_tables ORDER BY 1"
)
_STATE = (_COLUMNS, _TRIGGERS, _FUNCTIONS, _REGISTERED)


@pytest.fixture
def other(server: Server) -> Iterator[Engine]:
    with server.database() as url:
        engine = create_engine(url)
        yield engine
        engine.dispose()


def state(engine: Engine) -> list[list[tuple[Any, ...]]]:
    with engine.connect() as connection:
        there = inspect(connection).has_table("versioned_tables", "temporal_versioning")
        return [
            [tuple(row) for row in connection.exec_driver_sql(query)]
            for query in (_STATE if there else _STATE[:-1])
        ]


def compare(one: Engine, other: Engine) -> None:
    for left, right in zip(state(one), state(other), strict=True):
        differing = [row for row in (*left, *right) if (row in left) != (row in right)]
        assert not differing, differing


def run(engine: Engine, script: str) -> None:
    """Run a script as psql does, statement by statement in the order of the text."""
    raw = engine.raw_connection()
    try:
        assert raw.driver_connection is not None
        raw.driver_connection.autocommit = True
        raw.driver_connection.execute(script)
    finally:
        raw.close()


def test_a_script_of_all_revisions_leaves_what_running_them_leaves(
    project: Project, other: Engine
) -> None:
    steps = [step for step in STEPS if "autocommit" not in step.upgrade]
    for step in steps:
        project.write(step.upgrade, step.downgrade)
    script = project.sql("base:head")
    project.upgrade()
    run(other, script)
    compare(other, project.engine)
    with other.connect() as connection:
        assert doctor(connection).drifts == ()
    run(other, "INSERT INTO article (id, title) VALUES (1, 'a'); UPDATE article SET title = 'b'")


REVISIONS = (
    models(v(), versioned=False),
    models(v()),
    models(v(), Column("n", Numeric(10, 2), server_default="1", nullable=False)),
    models(
        Column("w", Text, info={HINT: "v"}),
        Column("n", Numeric(12, 4), nullable=False, server_default="1"),
        exclude=["w"],
    ),
    models(Column("w", Text, info={HINT: "v"}), history_table_suffix="_past"),
    MetaData(),
)


@pytest.mark.parametrize("first", range(1, len(REVISIONS)))
def test_a_script_may_begin_at_any_generated_revision(
    project: Project, other: Engine, first: int
) -> None:
    there = Project(project.folder.with_name("there"), other)
    for metadata in REVISIONS[: first + 1]:
        project.autogenerate(metadata)
        project.upgrade()
    before, after = project.revisions[-2:]
    source = project.folder / "versions"
    for file in source.iterdir():
        if file.is_file():
            (there.folder / "versions" / file.name).write_text(file.read_text())
    there.upgrade(before)
    expected = state(there.engine)
    run(other, project.sql(f"{before}:{after}"))
    compare(other, project.engine)
    run(other, project.sql(f"{after}:{before}", down=True))
    there.metadata = REVISIONS[first - 1]
    found = there.differences(REVISIONS[first - 1])
    assert not found, found
    triggers = [row for row in state(other)[1] if row[0] == "t"]
    assert triggers == [row for row in expected[1] if row[0] == "t"]


def test_what_nobody_says_is_asked_for(project: Project) -> None:
    project.write("op.execute('CREATE TABLE t (id integer PRIMARY KEY)')")
    project.write("op.enable_versioning('t')")
    with pytest.raises(UnknownTableStateError, match=r"key=.*columns="):
        project.sql("base:head")
    project.write("op.enable_versioning('u', key=['id'], columns={'id': 'integer'})")
    assert "capture_update__u" in project.sql("r02:r03")


def test_percent_signs_in_a_script_stay_single(project: Project, other: Engine) -> None:
    project.write(
        """
        op.create_table("t", sa.Column("id", sa.Integer, primary_key=True),
                        sa.Column("100%", sa.Text))
        op.enable_versioning("t", lock_timeout="5s")
        """
    )
    script = project.sql("base:head")
    versioned = script[script.index("add_system_column") :]
    assert '"100%"' in versioned
    assert '"100%%"' not in versioned
