"""What tables of SQLite can be like, and what may be done to their rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    Table,
    Text,
    inspect,
    select,
    text,
)
from sqlalchemy.exc import DBAPIError

from sqlalchemy_temporal import (
    VersioningGapError,
    disable_temporal_versioning,
    enable_temporal_versioning,
    query_temporal_data,
    revert_table_data,
)
from sqlalchemy_temporal.capture.install import install, uninstall
from sqlalchemy_temporal.capture.sync import sync_versioning
from sqlalchemy_temporal.clock.describe import describe
from sqlalchemy_temporal.clock.resolve import resolve
from sqlalchemy_temporal.errors import (
    ConfigurationError,
    MissingTriggerError,
    NotInstalledError,
    SchemaDriftError,
)
from sqlalchemy_temporal.model.declare import versioned_table
from sqlalchemy_temporal.naming import VersioningOptions
from sqlalchemy_temporal.reading.as_of import as_of
from sqlalchemy_temporal.repository import Repository
from sqlalchemy_temporal.session import TemporalSession
from tests.sqlite.shop import commits

Run = Callable[..., list[Any]]


def versioned(engine: Engine, ddl: str, **options: Any) -> Table:
    """Make a table with SQL of its own, and version it as it is."""
    with engine.begin() as connection:
        connection.exec_driver_sql(ddl)
    name = ddl.split("(", maxsplit=1)[0].removeprefix("CREATE TABLE ").strip().strip('"')
    table = Table(name, MetaData(), autoload_with=engine)
    versioned_table(table, **options)
    with engine.begin() as connection:
        install(connection, table)
    return table


def run(engine: Engine, *statements: str) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def history(engine: Engine, table: Table) -> list[list[Any]]:
    """The rows after each commit, oldest first, as of now."""
    with engine.connect() as connection:
        last = resolve(connection, "HEAD")
        states = []
        for back in range(last.seq):
            with as_of(connection, f"HEAD~{back}") as past:
                states.append(sorted(map(tuple, past.execute(select(table)).all()), key=repr))
    return states[::-1]


def test_an_insert_without_columns_works_and_star_shows_what_it_did(sqlite_engine: Engine) -> None:
    table = versioned(sqlite_engine, "CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    run(sqlite_engine, "INSERT INTO t VALUES (1, 'a')")
    with sqlite_engine.connect() as connection:
        assert connection.execute(text("SELECT * FROM t")).all() == [(1, "a")]
    assert history(sqlite_engine, table) == [[], [(1, "a")]]


def test_values_are_kept_as_they_are(sqlite_engine: Engine) -> None:
    table = versioned(sqlite_engine, "CREATE TABLE t (id INTEGER PRIMARY KEY, v, n NUMERIC)")
    values = ["1", 1, 1.5, None, b"\x00\xff", "", 2**62]
    with sqlite_engine.begin() as connection:
        for number, value in enumerate(values):
            connection.exec_driver_sql("INSERT INTO t VALUES (?, ?, ?)", (number, value, value))
        before = connection.execute(text("SELECT typeof(v), v, typeof(n), n FROM t")).all()
    run(sqlite_engine, "UPDATE t SET v = 'changed', n = NULL")
    with sqlite_engine.connect() as connection:
        kept = text("SELECT typeof(v), v, typeof(n), n FROM t_history ORDER BY id")
        assert connection.execute(kept).all() == before
    assert table is not None


@pytest.mark.parametrize(
    ("before", "after"),
    [("'a'", "'A'"), ("1", "1.0"), ("1", "'1'"), ("NULL", "''"), ("'a'", "x'61'")],
)
def test_a_change_of_type_or_of_case_only_is_a_change(
    sqlite_engine: Engine, before: str, after: str
) -> None:
    versioned(sqlite_engine, "CREATE TABLE t (id INTEGER PRIMARY KEY, v COLLATE NOCASE)")
    run(sqlite_engine, f"INSERT INTO t VALUES (1, {before})")
    run(sqlite_engine, f"UPDATE t SET v = {after}")
    run(sqlite_engine, f"UPDATE t SET v = {after}")  # changes nothing
    assert commits(sqlite_engine) == [{"public.t": {"insert": 1}}, {"public.t": {"update": 1}}]


@pytest.mark.parametrize(
    "ddl",
    [
        "CREATE TABLE t (a TEXT, b INTEGER, v, PRIMARY KEY (a, b)) WITHOUT ROWID",
        "CREATE TABLE t (a TEXT COLLATE NOCASE, b INTEGER, v ANY, PRIMARY KEY (a, b)) STRICT",
        'CREATE TABLE "odd ""na%me" ("select" TEXT PRIMARY KEY, "b:1" INT, "v\'s" TEXT)',
        "CREATE TABLE t (a TEXT PRIMARY KEY, b INT, v AS (b * 2), w AS (b || a) STORED)",
    ],
)
def test_every_kind_of_table_is_recorded(sqlite_engine: Engine, ddl: str) -> None:
    table = versioned(sqlite_engine, ddl.replace('"odd ""na%me"', '"odd na%me"'))
    quoted = sqlite_engine.dialect.identifier_preparer.quote
    name, (a, b) = quoted(table.name), (quoted(c.name) for c in list(table.c)[:2])
    run(sqlite_engine, f"INSERT INTO {name} ({a}, {b}) VALUES ('k', 1), ('l', 2)")
    run(sqlite_engine, f"UPDATE {name} SET {b} = {b} + 10 WHERE {a} = 'k'")
    run(sqlite_engine, f"UPDATE {name} SET {a} = 'm' WHERE {a} = 'l'")
    run(sqlite_engine, f"DELETE FROM {name} WHERE {a} = 'k'")
    keys = [sorted((row[0], row[1]) for row in rows) for rows in history(sqlite_engine, table)]
    assert keys == [
        [],
        [("k", 1), ("l", 2)],
        [("k", 11), ("l", 2)],
        [("k", 11), ("m", 2)],
        [("m", 2)],
    ]


class TestReplace:
    @pytest.fixture(params=[False, True], ids=["", "recursive"])
    def table(self, request: pytest.FixtureRequest, sqlite_engine: Engine) -> Table:
        made = versioned(
            sqlite_engine,
            "CREATE TABLE t (id INTEGER PRIMARY KEY, code TEXT COLLATE NOCASE UNIQUE, v INT)",
        )
        run(sqlite_engine, f"PRAGMA recursive_triggers = {int(request.param)}")
        run(sqlite_engine, "INSERT INTO t VALUES (1, 'a', 1), (2, 'b', 2)")
        return made

    def test_of_a_row_with_the_same_key(self, sqlite_engine: Engine, table: Table) -> None:
        run(sqlite_engine, "REPLACE INTO t VALUES (1, 'c', 9)")
        assert history(sqlite_engine, table)[-2:] == [
            [(1, "a", 1), (2, "b", 2)],
            [(1, "c", 9), (2, "b", 2)],
        ]

    def test_of_rows_equal_in_a_unique_column(self, sqlite_engine: Engine, table: Table) -> None:
        run(sqlite_engine, "INSERT OR REPLACE INTO t (code, v) VALUES ('B', 9)")
        states = [sorted(rows) for rows in history(sqlite_engine, table)[-2:]]
        assert states == [[(1, "a", 1), (2, "b", 2)], [(1, "a", 1), (3, "B", 9)]]

    def test_by_an_update(self, sqlite_engine: Engine, table: Table) -> None:
        run(sqlite_engine, "UPDATE OR REPLACE t SET id = 2, v = 7 WHERE id = 1")
        assert history(sqlite_engine, table)[-2:] == [[(1, "a", 1), (2, "b", 2)], [(2, "a", 7)]]

    def test_what_is_ignored_is_no_change(self, sqlite_engine: Engine, table: Table) -> None:
        run(sqlite_engine, "INSERT OR IGNORE INTO t VALUES (1, 'x', 9), (5, 'A', 9)")
        run(sqlite_engine, "INSERT INTO t VALUES (1, 'x', 9) ON CONFLICT DO NOTHING")
        assert len(history(sqlite_engine, table)) == 2

    def test_an_upsert_is_an_update(self, sqlite_engine: Engine, table: Table) -> None:
        run(
            sqlite_engine,
            "INSERT INTO t VALUES (1, 'x', 9) ON CONFLICT (id) DO UPDATE SET v = excluded.v",
        )
        assert commits(sqlite_engine)[-1] == {"public.t": {"update": 1}}
        assert history(sqlite_engine, table)[-1] == [(1, "a", 9), (2, "b", 2)]


class TestRefused:
    def test_a_row_without_a_key(self, sqlite_engine: Engine) -> None:
        versioned(sqlite_engine, "CREATE TABLE t (k TEXT PRIMARY KEY, v)")
        with pytest.raises(DBAPIError, match="primary key that is not NULL"):
            run(sqlite_engine, "INSERT INTO t VALUES (NULL, 1)")

    def test_a_table_in_a_schema(self, sqlite_engine: Engine) -> None:
        table = Table("t", MetaData(), Column("id", Integer, primary_key=True), schema="sales")
        versioned_table(table)
        with (
            sqlite_engine.connect() as connection,
            pytest.raises(ConfigurationError, match="SQLite has none"),
        ):
            install(connection, table)

    def test_a_unique_index_on_an_expression(self, sqlite_engine: Engine) -> None:
        table = Table("t", MetaData(), Column("id", Integer, primary_key=True), Column("v", Text))
        table.metadata.create_all(sqlite_engine)
        run(sqlite_engine, "CREATE UNIQUE INDEX u ON t (lower(v))")
        versioned_table(table)
        with (
            sqlite_engine.connect() as connection,
            pytest.raises(ConfigurationError, match="generated column"),
        ):
            install(connection, table)

    def test_a_virtual_table(self, sqlite_engine: Engine) -> None:
        run(sqlite_engine, "CREATE VIRTUAL TABLE v USING fts5(body)")
        table = Table("v", MetaData(), Column("rowid", Integer, primary_key=True))
        versioned_table(table)
        with (
            sqlite_engine.connect() as connection,
            pytest.raises(ConfigurationError, match="not an ordinary table"),
        ):
            install(connection, table)


class TestDrift:
    @pytest.fixture
    def table(self, sqlite_engine: Engine) -> Table:
        return versioned(sqlite_engine, "CREATE TABLE t (id INTEGER PRIMARY KEY, v)")

    def write(self, engine: Engine, table: Table) -> None:
        with TemporalSession(engine) as session:
            session.execute(table.insert().values(v="new"))
            session.commit()

    @pytest.mark.parametrize(
        ("done", "error", "message"),
        [
            ("DROP TRIGGER temporal_update__t", MissingTriggerError, "temporal_update__t is miss"),
            ("ALTER TABLE t ADD COLUMN w", SchemaDriftError, "does not record the column"),
            ("CREATE UNIQUE INDEX u ON t (v)", SchemaDriftError, "unique indexes"),
            ("ALTER TABLE t RENAME COLUMN v TO w", MissingTriggerError, "replaced"),
        ],
    )
    def test_is_found_and_brought_into_step(
        self, sqlite_engine: Engine, table: Table, done: str, error: type[Exception], message: str
    ) -> None:
        run(sqlite_engine, "INSERT INTO t VALUES (1, 'a')", done)
        present = Table("t", MetaData(), autoload_with=sqlite_engine)
        versioned_table(present)
        fresh = present if "RENAME" in done else table
        with pytest.raises(error, match=message):
            self.write(sqlite_engine, table)
        with sqlite_engine.begin() as connection:
            sync_versioning(connection, present)
        run(sqlite_engine, "UPDATE t SET id = 5")
        with TemporalSession(sqlite_engine) as session:
            session.execute(fresh.delete())
            session.commit()
        assert [len(rows) for rows in history(sqlite_engine, present)][-3:] == [1, 1, 0]

    def test_rows_written_while_no_trigger_saw_them_begin_with_the_next_sync(
        self, sqlite_engine: Engine, table: Table
    ) -> None:
        run(sqlite_engine, "DROP TRIGGER temporal_insert__t", "INSERT INTO t VALUES (1, 'a')")
        with sqlite_engine.begin() as connection:
            sync_versioning(connection, table)
        assert [len(rows) for rows in history(sqlite_engine, table)] == [0, 1]

    def test_a_table_that_was_never_set_up_is_refused(self, sqlite_engine: Engine) -> None:
        table = Table("u", MetaData(), Column("id", Integer, primary_key=True), Column("v", Text))
        table.metadata.create_all(sqlite_engine)
        versioned_table(table)
        with pytest.raises(NotInstalledError, match="not versioned in this database"):
            self.write(sqlite_engine, table)


def test_the_table_can_be_made_anew_as_migrations_do(sqlite_engine: Engine) -> None:
    """Alembic's batch mode copies the rows into a new table and renames it."""
    table = versioned(sqlite_engine, "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)")
    run(sqlite_engine, "INSERT INTO t VALUES (1, 'a')")
    run(
        sqlite_engine,
        "CREATE TABLE tmp (id INTEGER PRIMARY KEY, v TEXT NOT NULL, w INT)",
        "INSERT INTO tmp (id, v) SELECT id, v FROM t",
        "DROP TABLE t",
        "ALTER TABLE tmp RENAME TO t",
    )
    table = Table("t", MetaData(), autoload_with=sqlite_engine)
    versioned_table(table)
    with sqlite_engine.begin() as connection:
        sync_versioning(connection, table)
    run(sqlite_engine, "UPDATE t SET w = 3")
    assert history(sqlite_engine, table)[-3:] == [
        [(1, "a", None)],
        [(1, "a", None)],
        [(1, "a", 3)],
    ]


def test_setting_up_and_taking_down_can_be_repeated(sqlite_engine: Engine) -> None:
    metadata = MetaData()
    versioned_table(Table("t", metadata, Column("id", Integer, primary_key=True)))
    for _ in range(2):
        metadata.create_all(sqlite_engine)
        metadata.create_all(sqlite_engine)
        metadata.drop_all(sqlite_engine)
        assert inspect(sqlite_engine).get_table_names() == []
        assert inspect(sqlite_engine).get_view_names() == []


def test_rows_that_were_there_begin_with_versioning(sqlite_engine: Engine) -> None:
    run(sqlite_engine, "CREATE TABLE t (id INTEGER PRIMARY KEY)", "INSERT INTO t VALUES (1), (2)")
    table = Table("t", MetaData(), autoload_with=sqlite_engine)
    versioned_table(table)
    with sqlite_engine.begin() as connection:
        install(connection, table)
    run(sqlite_engine, "DELETE FROM t WHERE id = 1")
    assert history(sqlite_engine, table) == [[(1,), (2,)], [(2,)]]
    with sqlite_engine.begin() as connection:
        uninstall(connection, None, "t", VersioningOptions())
    assert "t" in inspect(sqlite_engine).get_table_names()
    assert "t_history" not in inspect(sqlite_engine).get_table_names()


def test_nothing_is_set_up_when_it_fails_half_way(sqlite_engine: Engine) -> None:
    def broken(connection: Connection) -> None:
        table = Table("t", MetaData(), autoload_with=connection)
        versioned_table(table)
        install(connection, table)
        raise RuntimeError

    run(sqlite_engine, "CREATE TABLE t (id INTEGER PRIMARY KEY)")
    with sqlite_engine.connect() as connection, pytest.raises(RuntimeError):
        broken(connection)
    assert inspect(sqlite_engine).get_table_names() == ["t"]


def test_the_repository_reads(sqlite_engine: Engine) -> None:
    table = versioned(sqlite_engine, "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)")
    run(sqlite_engine, "INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    with sqlite_engine.begin() as connection:
        Repository(connection).tag("v1")
    run(sqlite_engine, "UPDATE t SET v = 'z' WHERE id = 1", "DELETE FROM t WHERE id = 2")
    with sqlite_engine.begin() as connection:
        repo = Repository(connection)
        assert [commit.tables for commit in repo.log(table)] == [("public.t",)] * 2
        changes = list(repo.diff("v1", "HEAD"))
        assert sorted(change.operation for change in changes) == ["DELETE", "UPDATE"]
        assert resolve(connection, "v1").seq == resolve(connection, "HEAD~1").seq == 2
        assert resolve(connection, repo.head.short).uuid == repo.head.uuid


def test_tables_are_versioned_by_name_and_gaps_are_known(sqlite_engine: Engine) -> None:
    run(sqlite_engine, "CREATE TABLE t (id INTEGER PRIMARY KEY, v)", "INSERT INTO t VALUES (1, 1)")
    enable_temporal_versioning(sqlite_engine, "t")
    run(sqlite_engine, "UPDATE t SET v = 2")
    disable_temporal_versioning(sqlite_engine, "t")
    run(sqlite_engine, "UPDATE t SET v = 3")
    enable_temporal_versioning(sqlite_engine, "t")
    run(sqlite_engine, "UPDATE t SET v = 4")
    values = []
    for back in range(5):
        try:
            values.append(query_temporal_data(sqlite_engine, "t", f"HEAD~{back}").rows[0]["v"])
        except VersioningGapError:
            values.append("gap")
    assert values == [4, 3, "gap", 2, 1]
    revert_table_data(sqlite_engine, "t", "HEAD~1", dry_run=False)
    with sqlite_engine.connect() as connection:
        assert connection.execute(text("SELECT * FROM t")).all() == [(1, 3)]


def test_the_schema_of_the_options_is_the_prefix(sqlite_engine: Engine) -> None:
    table = versioned(sqlite_engine, "CREATE TABLE t (id INTEGER PRIMARY KEY)", schema="audit")
    with sqlite_engine.begin() as connection:
        describe(connection, "ana")
        connection.execute(table.insert().values(id=1))
        connection.execute(table.insert().values(id=2))
    with sqlite_engine.connect() as connection:
        head = Repository(connection, "audit").head
    assert (head.author, dict(head.counts)) == ("ana", {"public.t": {"insert": 2}})
    names = inspect(sqlite_engine).get_table_names()
    assert not [name for name in names if name.startswith("temporal_versioning")]


@pytest.mark.parametrize("column", ["id", "parent_id"])
def test_history_is_looked_up_by_its_indexes(sqlite_engine: Engine, column: str) -> None:
    """SQLite uses none to compare a column that has a type with one that has none."""
    versioned(
        sqlite_engine,
        "CREATE TABLE t (id INTEGER PRIMARY KEY, parent_id INTEGER REFERENCES t)",
    )
    plan = f"EXPLAIN QUERY PLAN SELECT 1 FROM t CROSS JOIN t_history AS h ON h.{column} = t.id"
    with sqlite_engine.connect() as connection:
        steps = [row.detail for row in connection.execute(text(plan))]
    assert any(step.startswith("SEARCH h USING") for step in steps), steps


def test_a_key_of_another_type_needs_another_history(sqlite_engine: Engine) -> None:
    versioned(sqlite_engine, "CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER)")
    run(sqlite_engine, "DROP TABLE t", "CREATE TABLE t (id TEXT PRIMARY KEY, v TEXT)")
    table = Table("t", MetaData(), autoload_with=sqlite_engine)
    versioned_table(table)
    with (
        sqlite_engine.begin() as connection,
        pytest.raises(SchemaDriftError, match="id \\(INTEGER in history, TEXT in the table"),
    ):
        sync_versioning(connection, table)


def test_a_row_that_an_insert_left_alone_is_deleted_and_inserted_once(
    sqlite_engine: Engine,
) -> None:
    versioned(sqlite_engine, "CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER)")
    run(sqlite_engine, "INSERT INTO t VALUES (1, 1)")
    run(
        sqlite_engine,
        "INSERT INTO t VALUES (1, 2) ON CONFLICT DO NOTHING",
        "DELETE FROM t WHERE id = 1",
        "INSERT INTO t VALUES (1, 3)",
    )
    with sqlite_engine.connect() as connection:
        assert dict(Repository(connection).head.counts) == {"public.t": {"insert": 1, "delete": 1}}
        assert Repository(connection).verify()
