"""The operations, one by one, through Alembic's commands."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import NullPool, create_engine
from sqlalchemy.exc import DBAPIError

from sqlalchemy_temporal import (
    Repository,
    get_temporal_status,
    list_temporal_tables,
    versioned_table,
)
from sqlalchemy_temporal.errors import (
    ConfigurationError,
    HistoryConversionError,
    LockTimeoutError,
    NotInstalledError,
    UnknownOptionError,
)
from tests.migrations.project import Project

CREATE = """
op.create_table(
    "t",
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("v", sa.Text),
    sa.Column("n", sa.Text),
)
op.enable_versioning("t")
"""


def rows(project: Project, sql: str) -> list[tuple[Any, ...]]:
    with project.engine.begin() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(sql)]


def run(project: Project, *statements: str) -> None:
    for statement in statements:
        with project.engine.begin() as connection:
            connection.exec_driver_sql(statement)


def history(project: Project, columns: str) -> list[tuple[Any, ...]]:
    order = "temporal_end_tx_id, id"
    return rows(project, f"SELECT {columns} FROM temporal_versioning.t_history ORDER BY {order}")


def operations(project: Project) -> list[str]:
    """What the commits are called, oldest first."""
    with project.engine.connect() as connection:
        return [commit.operation for commit in Repository(connection).log(limit=100)][::-1]


def migrate(project: Project, upgrade: str, downgrade: str = "pass") -> None:
    project.write(upgrade, downgrade)
    project.upgrade()


@pytest.fixture
def versioned(project: Project) -> Project:
    down = "op.disable_versioning('t', drop_history=True); op.drop_table('t')"
    migrate(project, CREATE, down)
    run(
        project,
        "INSERT INTO t VALUES (1, 'a', '10'), (2, 'b', '20')",
        "UPDATE t SET v = 'c' WHERE id = 1",
    )
    return project


def test_created_versioned_and_undone_nothing_is_left(versioned: Project) -> None:
    assert history(versioned, "id, v, n") == [(1, "a", "10")]
    versioned.downgrade()
    assert rows(
        versioned, "SELECT to_regclass('t'), count(*) FROM pg_tables WHERE tablename = 't_history'"
    ) == [(None, 0)]


def test_a_column_without_values_closes_no_version(versioned: Project) -> None:
    migrate(versioned, "op.add_column('t', sa.Column('w', sa.Text))")
    run(versioned, "UPDATE t SET w = 'x'", "DELETE FROM t")
    assert history(versioned, "id, v, w") == [
        (1, "a", None),
        (1, "c", None),
        (2, "b", None),
        (1, "c", "x"),
        (2, "b", "x"),
    ]


@pytest.mark.parametrize(
    "change",
    [
        "op.add_column('t', sa.Column('w', sa.Integer, server_default='5'))",
        "op.drop_column('t', 'n')",
        "op.alter_column('t', 'n', type_=sa.Integer, postgresql_using='n::integer')",
    ],
)
def test_a_change_of_values_is_a_commit_of_its_own(versioned: Project, change: str) -> None:
    migrate(versioned, change)
    assert operations(versioned) == ["BASELINE", "COMMIT", "COMMIT", "SCHEMA"]
    assert history(versioned, "id, v") == [(1, "a"), (1, "c"), (2, "b")]


def test_a_dropped_column_is_read_in_history(versioned: Project) -> None:
    migrate(versioned, "op.drop_column('t', 'n')")
    assert history(versioned, "n") == [("10",), ("10",), ("20",)]


def test_versions_that_cannot_have_the_new_type_are_named(versioned: Project) -> None:
    run(versioned, "UPDATE t SET n = 'many' WHERE id = 2", "UPDATE t SET n = '21' WHERE id = 2")
    versioned.write("op.alter_column('t', 'n', type_=sa.Integer, postgresql_using='n::integer')")
    with pytest.raises(HistoryConversionError, match=r"id=2 of transaction \d+: 'many'"):
        versioned.upgrade()
    assert rows(versioned, "SELECT n FROM t ORDER BY id") == [("10",), ("21",)]
    assert operations(versioned)[-1] == "COMMIT"


def test_old_values_stay_beside_the_converted_ones(versioned: Project) -> None:
    migrate(
        versioned,
        "op.alter_column('t', 'n', type_=sa.Integer, postgresql_using='n::integer * 2')",
    )
    assert history(versioned, "n, n__3") == [(20, "10"), (20, "10"), (40, "20")]


def test_a_key_column_is_not_dropped(versioned: Project) -> None:
    versioned.write("op.drop_column('t', 'id')")
    with pytest.raises(ConfigurationError, match="part of the key"):
        versioned.upgrade()


def test_the_table_keeps_its_system_column_last(versioned: Project) -> None:
    migrate(versioned, "op.add_column('t', sa.Column('w', sa.Integer, server_default='5'))")
    run(versioned, "INSERT INTO t VALUES (3, 'x', 'y', 7)")
    assert rows(versioned, "SELECT w FROM t ORDER BY id") == [(5,), (5,), (7,)]


def test_a_row_without_column_names_is_refused_when_columns_came_later(versioned: Project) -> None:
    migrate(versioned, "op.add_column('t', sa.Column('w', sa.Integer))")
    with pytest.raises(DBAPIError, match="name the columns"):
        run(versioned, "INSERT INTO t VALUES (3, 'x', 'y', 7)")
    run(versioned, "INSERT INTO t (id, w) VALUES (3, 7)")


def test_a_table_left_alone_by_name_is_refused_at_the_next_write(versioned: Project) -> None:
    versioned.options["temporal_leave_alone"] = ["t"]
    migrate(versioned, "op.add_column('t', sa.Column('w', sa.Text))")
    with pytest.raises(DBAPIError, match="sync_versioning"):
        run(versioned, "UPDATE t SET w = 'x'")
    migrate(versioned, "op.sync_versioning('t')")
    run(versioned, "UPDATE t SET w = 'x'", "UPDATE t SET w = 'y'")
    assert history(versioned, "w")[-2:] == [("x",), ("x",)]


def test_a_dropped_table_leaves_its_history(versioned: Project) -> None:
    migrate(versioned, "op.drop_table('t')", CREATE)
    assert history(versioned, "id, v, temporal_operation") == [
        (1, "a", "UPDATE"),
        (1, "c", "DISABLE"),
        (2, "b", "DISABLE"),
    ]
    versioned.downgrade()
    run(versioned, "INSERT INTO t VALUES (1, 'new')", "DELETE FROM t")
    assert history(versioned, "v")[-1] == ("new",)


def test_disabled_and_enabled_again_has_a_gap(versioned: Project) -> None:
    migrate(versioned, "op.disable_versioning('t')", "op.enable_versioning('t')")
    run(versioned, "UPDATE t SET v = 'unseen'", "ALTER TABLE t DROP COLUMN n")
    versioned.downgrade()
    gaps = rows(
        versioned, "SELECT jsonb_array_length(gaps) FROM temporal_versioning.versioned_tables"
    )
    assert gaps == [(1,)]
    run(versioned, "UPDATE t SET v = 'seen'")
    assert history(versioned, "v, n")[-2:] == [("unseen", None), ("unseen", None)]


def test_a_backfill_is_of_the_past_alone(versioned: Project) -> None:
    migrate(
        versioned,
        "op.add_column('t', sa.Column('w', sa.Integer))\n"
        "op.backfill_versioning('t', {'w': sa.text('n::integer + 1')})",
        "op.backfill_versioning('t', {'w': None}); op.drop_column('t', 'w')",
    )
    assert history(versioned, "w") == [(11,), (11,), (21,)]
    assert rows(versioned, "SELECT w FROM t") == [(None,), (None,)]
    with versioned.engine.connect() as connection:
        assert Repository(connection).verify().problems == ()


def test_what_was_there_before_is_not_backfilled(versioned: Project) -> None:
    migrate(versioned, "op.drop_column('t', 'n')")
    versioned.write(
        "op.add_column('t', sa.Column('n', sa.Text))\nop.backfill_versioning('t', {'n': 'x'})"
    )
    with pytest.raises(HistoryConversionError, match="existed before"):
        versioned.upgrade()


@pytest.mark.parametrize(
    ("script", "error", "message"),
    [
        ("op.enable_versioning('t', template=2)", UnknownOptionError, "upgrade the library"),
        ("op.enable_versioning('t', colour='red')", UnknownOptionError, "colour"),
        ("op.disable_versioning('u')", NotInstalledError, "'u' is not versioned"),
        ("op.rename_versioned_table('u', 'w')", NotInstalledError, "op.rename_table"),
        ("op.backfill_versioning('t', {'x': 1})", ConfigurationError, "records no column"),
    ],
)
def test_an_operation_that_cannot_be_says_why(
    versioned: Project, script: str, error: type[Exception], message: str
) -> None:
    versioned.write(script)
    with pytest.raises(error, match=message):
        versioned.upgrade()


def test_enabling_waits_no_longer_than_it_was_told(project: Project) -> None:
    run(project, "CREATE TABLE t (id integer PRIMARY KEY)")
    project.write("op.enable_versioning('t', lock_timeout='100ms')")
    with project.engine.begin() as reader:
        reader.exec_driver_sql("SELECT * FROM t")
        with pytest.raises(LockTimeoutError, match="nothing was changed"):
            project.upgrade()
    project.upgrade()


def test_others_read_and_write_while_a_migration_waits_its_turn(versioned: Project) -> None:
    """A migration that runs between two transactions of others loses none of their changes."""
    versioned.write("op.add_column('t', sa.Column('w', sa.Integer, server_default='5'))")
    stop = threading.Event()
    counted: list[int] = []

    def write() -> None:
        engine = create_engine(versioned.engine.url, poolclass=NullPool)
        while not stop.is_set():
            with engine.begin() as connection:
                connection.exec_driver_sql("UPDATE t SET v = v || '.' WHERE id = 1")
            counted.append(1)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        versioned.upgrade()
    finally:
        stop.set()
        writer.join()
    closed = history(versioned, "v, temporal_operation, w")
    assert len(closed) == 2 + 1 + len(counted)
    assert closed[-1][2] in (5, None)


def test_members_of_partitioned_tables_follow(project: Project) -> None:
    run(
        project,
        "CREATE TABLE t (id integer PRIMARY KEY, v text) PARTITION BY RANGE (id)",
        "CREATE TABLE p PARTITION OF t DEFAULT",
    )
    migrate(project, "op.enable_versioning('t')", "op.disable_versioning('t')")
    run(project, "INSERT INTO t VALUES (1, 'a')")
    migrate(project, "op.add_column('t', sa.Column('w', sa.Integer, server_default='5'))")
    run(project, "UPDATE p SET w = 6")
    assert history(project, "v, w") == [("a", None), ("a", 5)]
    project.downgrade("base")
    assert history(project, "v, w") == [("a", None), ("a", 5), ("a", 6)]


def test_a_migration_changes_what_records_a_table_and_back(project: Project) -> None:
    migrate(project, CREATE)
    run(project, "INSERT INTO t (id, v) VALUES (1, 'a')", "UPDATE t SET v = 'b'")
    migrate(project, 'op.sync_versioning("t", capture="orm")', 'op.sync_versioning("t")')
    assert list_temporal_tables(project.engine)[0].capture == "orm"
    assert get_temporal_status(project.engine, "t").drift == ()
    table = sa.table("t", sa.column("v"))
    with project.engine.begin() as connection:
        connection.execute(table.update().values(v="c"))
    project.downgrade()
    assert list_temporal_tables(project.engine)[0].capture == "trigger"
    run(project, "UPDATE t SET v = 'd'")
    assert [row[0] for row in history(project, "v")] == ["a", "b", "c"]
    with project.engine.connect() as connection:
        assert Repository(connection).verify()


def test_autogenerate_proposes_to_change_what_records_a_table(project: Project) -> None:
    migrate(project, CREATE)
    metadata = sa.MetaData()
    columns = [sa.Column("id", sa.Integer, primary_key=True), *map(text_column, "vn")]
    versioned_table(sa.Table("t", metadata, *columns), capture="orm")
    proposed = project.autogenerate(metadata)
    assert "op.sync_versioning(" in proposed
    assert "orm" in proposed
    project.upgrade()
    assert list_temporal_tables(project.engine)[0].capture == "orm"


def text_column(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text)
