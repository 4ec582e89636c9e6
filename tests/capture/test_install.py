"""Setting versioning up and taking it down: repeatable, complete, or not at all."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import (
    Boolean,
    Column,
    Engine,
    Enum,
    ForeignKey,
    Integer,
    MetaData,
    Table,
    Text,
    create_engine,
    insert,
    inspect,
    select,
    text,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.dialects.postgresql import ENUM
from sqlalchemy.exc import DBAPIError

from sqlalchemy_temporal.capture.check import verify_capture
from sqlalchemy_temporal.capture.sync import sync_versioning
from sqlalchemy_temporal.clock.resolve import resolve
from sqlalchemy_temporal.ddl.elements import CreateSystem
from sqlalchemy_temporal.errors import (
    ConfigurationError,
    MissingKeyError,
    MissingTriggerError,
    NotInstalledError,
    PrivilegeError,
    SchemaDriftError,
    UnsupportedDatabaseError,
)
from sqlalchemy_temporal.model.declare import versioned_table
from sqlalchemy_temporal.repository import Repository
from sqlalchemy_temporal.session import TemporalSession


class Mood(enum.Enum):
    SAD = "sad"
    GLAD = "glad"


def simple(metadata: MetaData, *more: Column[Any], **options: Any) -> Table:
    table = Table("t", metadata, Column("id", Integer, primary_key=True), Column("v", Text), *more)
    return versioned_table(table, **options)


def objects(engine: Engine) -> set[tuple[str, str]]:
    """Everything an application or this library can have made in the database."""
    queries = (
        (
            "SELECT 'relation', c.oid::regclass::text FROM pg_class c JOIN pg_namespace n "
            "ON n.oid = c.relnamespace WHERE n.nspname !~ '^pg_' "
            "AND n.nspname <> 'information_schema'"
        ),
        (
            "SELECT 'function', p.oid::regprocedure::text FROM pg_proc p JOIN pg_namespace n "
            "ON n.oid = p.pronamespace WHERE n.nspname !~ '^pg_' "
            "AND n.nspname <> 'information_schema'"
        ),
        "SELECT 'trigger', tgname FROM pg_trigger WHERE NOT tgisinternal",
        "SELECT 'schema', nspname FROM pg_namespace WHERE nspname !~ '^pg_'",
        (
            "SELECT 'type', typname FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace "
            "WHERE typtype = 'e' AND n.nspname !~ '^pg_'"
        ),
    )
    with engine.connect() as connection:
        return {tuple(row) for query in queries for row in connection.exec_driver_sql(query)}


def test_create_all_and_drop_all_may_be_repeated_and_leave_nothing(pg_engine: Engine) -> None:
    before = objects(pg_engine)
    metadata = MetaData()
    simple(metadata)
    for _ in range(2):
        metadata.create_all(pg_engine)
    with pg_engine.begin() as connection:
        connection.execute(insert(metadata.tables["t"]), [{"id": 1}])
    for _ in range(2):
        metadata.drop_all(pg_engine)
    assert objects(pg_engine) == before
    metadata.create_all(pg_engine)
    metadata.drop_all(pg_engine)
    assert objects(pg_engine) == before


def test_dropping_one_table_leaves_the_history_of_others(pg_engine: Engine) -> None:
    metadata = MetaData()
    first = simple(metadata)
    other = versioned_table(Table("u", metadata, Column("id", Integer, primary_key=True)))
    metadata.create_all(pg_engine)
    with pg_engine.begin() as connection:
        connection.execute(insert(other), [{"id": 1}])
    first.drop(pg_engine)
    names = inspect(pg_engine).get_table_names(schema="temporal_versioning")
    assert "u_history" in names
    assert "t_history" not in names


def test_an_existing_table_is_versioned_with_its_rows_as_baseline(pg_engine: Engine) -> None:
    with pg_engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (id int PRIMARY KEY, v text)")
        connection.exec_driver_sql("INSERT INTO t VALUES (1, 'before')")
    metadata = MetaData()
    table = simple(metadata)
    metadata.create_all(pg_engine)
    with pg_engine.begin() as connection:
        baseline = resolve(connection, "HEAD")
        connection.execute(table.delete())
        written = connection.scalar(
            text("SELECT temporal_tx_id FROM temporal_versioning.t_history")
        )
    assert baseline.sees(written)


def test_the_existing_rows_are_not_rewritten(pg_engine: Engine) -> None:
    with pg_engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (id int PRIMARY KEY, v text)")
        connection.exec_driver_sql("INSERT INTO t SELECT i, 'x' FROM generate_series(1, 100) i")
        before = connection.scalar(text("SELECT pg_relation_filenode('t')"))
    metadata = MetaData()
    simple(metadata)
    metadata.create_all(pg_engine)
    with pg_engine.begin() as connection:
        assert connection.scalar(text("SELECT pg_relation_filenode('t')")) == before


def test_insert_without_a_column_list_goes_on_working(pg_engine: Engine) -> None:
    metadata = MetaData()
    simple(metadata)
    metadata.create_all(pg_engine)
    with pg_engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO t VALUES (1, 'x')")
        assert connection.exec_driver_sql("SELECT id, v FROM t").all() == [(1, "x")]


def test_tables_of_one_name_in_two_schemas_have_two_histories(pg_engine: Engine) -> None:
    with pg_engine.begin() as connection:
        connection.exec_driver_sql("CREATE SCHEMA sales")
    metadata = MetaData()
    simple(metadata)
    versioned_table(Table("t", metadata, Column("id", Integer, primary_key=True), schema="sales"))
    metadata.create_all(pg_engine)
    with pg_engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO sales.t VALUES (1)")
    with pg_engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM sales.t")
        count = "SELECT count(*) FROM temporal_versioning."
        assert connection.scalar(text(count + "sales__t_history")) == 1
        assert connection.scalar(text(count + "t_history")) == 0
    metadata.drop_all(pg_engine)


def test_history_schema_and_suffix_can_be_chosen(pg_engine: Engine) -> None:
    metadata = MetaData()
    table = simple(
        metadata, schema="audit", history_schema="past", history_table_suffix="_versions"
    )
    metadata.create_all(pg_engine)
    with pg_engine.begin() as connection:
        connection.execute(insert(table), [{"id": 1}])
    with pg_engine.begin() as connection:
        connection.execute(table.delete())
        assert connection.scalar(text("SELECT count(*) FROM past.t_versions")) == 1
        assert resolve(connection, "HEAD", "audit").seq == 2
    metadata.drop_all(pg_engine)


def test_a_native_enum_is_created_and_dropped_once(pg_engine: Engine) -> None:
    before = objects(pg_engine)
    metadata = MetaData()
    table = simple(metadata, Column("mood", Enum(Mood)), Column("pg", ENUM("a", "b", name="ab")))
    for _ in range(2):
        metadata.create_all(pg_engine)
    with pg_engine.begin() as connection:
        connection.execute(insert(table), [{"id": 1, "mood": Mood.SAD, "pg": "a"}])
    with pg_engine.begin() as connection:
        connection.execute(table.update().values(mood=Mood.GLAD))
        past = connection.execute(text("SELECT mood, pg FROM temporal_versioning.t_history"))
        assert past.all() == [("SAD", "a")]
    for _ in range(2):
        metadata.drop_all(pg_engine)
    assert objects(pg_engine) == before


def test_a_naming_convention_and_constraints_stay_on_the_live_table(pg_engine: Engine) -> None:
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    simple(
        metadata,
        Column("u", Integer, unique=True),
        Column("ok", Boolean(create_constraint=True, name="ok")),
        Column("parent", ForeignKey("t.id"), index=True),
    )
    metadata.create_all(pg_engine)
    inspector = inspect(pg_engine)
    assert inspector.get_pk_constraint("t")["name"] == "pk_t"
    assert inspector.get_foreign_keys("t_history", schema="temporal_versioning") == []
    assert inspector.get_unique_constraints("t_history", schema="temporal_versioning") == []
    assert inspector.get_check_constraints("t_history", schema="temporal_versioning") == []


def test_a_table_without_a_key_is_refused_with_advice() -> None:
    with pytest.raises(MissingKeyError, match="add a primary key"):
        versioned_table(Table("t", MetaData(), Column("id", Integer)))


def test_a_column_named_like_a_system_column_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="temporal_tx_id"):
        simple(MetaData(), Column("temporal_tx_id", Integer))


@pytest.fixture
def clerk(pg_engine: Engine) -> Iterator[Engine]:
    """An engine of a role that may use the table ``t`` and nothing else."""
    with pg_engine.begin() as connection:
        connection.exec_driver_sql("DROP ROLE IF EXISTS clerk")
        connection.exec_driver_sql("CREATE ROLE clerk")
    engine = create_engine(pg_engine.url)

    from sqlalchemy import event

    @event.listens_for(engine, "connect")
    def become_clerk(dbapi_connection: Any, _: object) -> None:
        dbapi_connection.autocommit = True
        dbapi_connection.execute("SET ROLE clerk")
        dbapi_connection.autocommit = False

    yield engine
    engine.dispose()
    with pg_engine.begin() as connection:
        connection.exec_driver_sql("DROP OWNED BY clerk")
        connection.exec_driver_sql("DROP ROLE clerk")


def test_a_role_needs_no_right_on_history_and_cannot_write_it(
    pg_engine: Engine, clerk: Engine
) -> None:
    metadata = MetaData()
    table = simple(metadata)
    metadata.create_all(pg_engine)
    with pg_engine.begin() as connection:
        connection.exec_driver_sql("GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON t TO clerk")
    with clerk.begin() as connection:
        connection.execute(insert(table), [{"id": i} for i in range(3)])
    with clerk.begin() as connection:
        connection.execute(table.update().values(v="x"))
        connection.execute(table.update().where(table.c.id == 1).values(id=9))
        connection.execute(table.delete().where(table.c.id == 2))
    with clerk.begin() as connection:
        connection.exec_driver_sql("TRUNCATE t")
    with pg_engine.begin() as connection:
        history = text("SELECT count(*) FROM temporal_versioning.t_history")
        assert connection.scalar(history) == 5
    for attempt in (
        "DELETE FROM temporal_versioning.t_history",
        "UPDATE temporal_versioning.transaction SET author = 'me'",
        "SELECT * FROM temporal_versioning.t_history",
    ):
        with clerk.connect() as connection, pytest.raises(DBAPIError, match="permission denied"):
            connection.exec_driver_sql(attempt)


def test_a_role_without_rights_on_history_writes_through_a_session_and_may_not_read(
    pg_engine: Engine, clerk: Engine
) -> None:
    metadata = MetaData()
    table = simple(metadata)
    metadata.create_all(pg_engine)
    with pg_engine.begin() as connection:
        connection.exec_driver_sql("GRANT SELECT, INSERT, UPDATE, DELETE ON t TO clerk")
    with TemporalSession(clerk) as session:
        session.describe(author="the clerk")
        session.execute(insert(table), [{"id": 1}])
        session.commit()
    with TemporalSession(clerk) as session, pytest.raises(PrivilegeError, match="GRANT USAGE"):
        session.moment("HEAD")
    with pg_engine.begin() as connection:
        assert Repository(connection).head.author == "the clerk"
        connection.exec_driver_sql("GRANT USAGE ON SCHEMA temporal_versioning TO clerk")
        connection.exec_driver_sql(
            "GRANT SELECT ON ALL TABLES IN SCHEMA temporal_versioning TO clerk"
        )
    with TemporalSession(clerk) as session, session.as_of("HEAD") as past:
        assert past.scalars(select(table.c.id)).all() == [1]


def test_a_role_that_may_not_set_up_gets_an_error_and_nothing_is_left(
    pg_engine: Engine, clerk: Engine
) -> None:
    with pg_engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (id int PRIMARY KEY, v text)")
        connection.exec_driver_sql("GRANT ALL ON t TO clerk")
    before = objects(pg_engine)
    with pytest.raises(PrivilegeError, match="GRANT CREATE ON DATABASE"):
        simple_metadata().create_all(clerk)
    assert objects(pg_engine) == before
    with pg_engine.begin() as connection:
        database = connection.scalar(text("SELECT quote_ident(current_database())"))
        connection.exec_driver_sql(f"GRANT CREATE ON DATABASE {database} TO clerk")
    with pytest.raises(PrivilegeError, match="owns the table"):
        simple_metadata().create_all(clerk)
    assert objects(pg_engine) == before


def simple_metadata() -> MetaData:
    metadata = MetaData()
    simple(metadata)
    return metadata


def test_nothing_is_left_behind_when_setting_up_fails_half_way(pg_engine: Engine) -> None:
    with pg_engine.begin() as connection:
        connection.exec_driver_sql("CREATE SCHEMA temporal_versioning")
        connection.exec_driver_sql("CREATE TABLE temporal_versioning.t_history (nothing int)")
    before = objects(pg_engine)
    for engine in (pg_engine, pg_engine.execution_options(isolation_level="AUTOCOMMIT")):
        with pytest.raises(DBAPIError, match="already exists"):
            simple_metadata().create_all(engine)
    left = objects(pg_engine) - before
    assert left <= {("relation", "t"), ("relation", "t_id_seq"), ("relation", "t_pkey")}


def test_create_all_works_on_a_connection_in_autocommit(pg_engine: Engine) -> None:
    metadata = simple_metadata()
    metadata.create_all(pg_engine.execution_options(isolation_level="AUTOCOMMIT"))
    with pg_engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO t VALUES (1)")
        assert resolve(connection, "HEAD").seq == 1


def test_a_model_changed_after_its_history_was_created_is_an_error_that_says_what_to_do(
    pg_engine: Engine,
) -> None:
    simple_metadata().create_all(pg_engine)
    with pg_engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO t VALUES (1, 'old')")
    changed = MetaData()
    table = simple(changed, Column("extra", Text))
    with pytest.raises(SchemaDriftError, match="ALTER TABLE"):
        changed.create_all(pg_engine)
    with pg_engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE t ADD COLUMN extra text DEFAULT 'e'")
    with pytest.raises(SchemaDriftError, match="sync_versioning"):
        changed.create_all(pg_engine)
    with pg_engine.begin() as connection:
        sync_versioning(connection, table)
        sync_versioning(connection, table)
    changed.create_all(pg_engine)
    with pg_engine.begin() as connection:
        connection.execute(table.update().values(extra="new"))
    with pg_engine.begin() as connection:
        past = connection.execute(text("SELECT v, extra FROM temporal_versioning.t_history"))
        assert past.all() == [("old", "e")]


def test_a_column_of_another_type_is_an_error_that_names_it(pg_engine: Engine) -> None:
    metadata = MetaData()
    table = simple(metadata)
    metadata.create_all(pg_engine)
    with pg_engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE t ALTER v TYPE bytea USING v::bytea")
    with pg_engine.connect() as connection, pytest.raises(SchemaDriftError, match="v \\(text in"):
        sync_versioning(connection, table)


@pytest.mark.parametrize(
    "damage",
    [
        'DROP TRIGGER "~temporal_stamp" ON t',
        "ALTER TABLE t DISABLE TRIGGER temporal_capture_update",
        "ALTER TABLE t DISABLE TRIGGER USER",
        "COMMENT ON TRIGGER \"~temporal_stamp\" ON t IS 'mine'",
    ],
)
def test_a_missing_trigger_is_found_before_the_first_write(pg_engine: Engine, damage: str) -> None:
    metadata = MetaData()
    table = simple(metadata)
    metadata.create_all(pg_engine)
    with pg_engine.begin() as connection:
        connection.exec_driver_sql(damage)
    with pg_engine.connect() as connection, pytest.raises(MissingTriggerError, match="create_all"):
        verify_capture(connection, [table])
    with pg_engine.begin() as connection:
        sync_versioning(connection, table)
        verify_capture(connection, [table])


def test_a_table_never_set_up_is_found_before_the_first_write(pg_engine: Engine) -> None:
    with pg_engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (id int PRIMARY KEY, v text)")
        with pytest.raises(NotInstalledError, match="create_all"):
            verify_capture(connection, [simple(MetaData())])


def test_a_database_without_versioning_says_so(pg_engine: Engine) -> None:
    with pg_engine.begin() as connection:
        with pytest.raises(NotInstalledError, match="no versioning in schema"):
            resolve(connection, "HEAD")
        assert connection.scalar(select(1)) == 1


def test_a_write_that_escapes_the_triggers_fails_loudly(pg_engine: Engine) -> None:
    simple_metadata().create_all(pg_engine)
    with pg_engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE t DISABLE TRIGGER ALL")
    with pg_engine.connect() as connection, pytest.raises(DBAPIError, match="temporal_tx_id"):
        connection.exec_driver_sql("INSERT INTO t VALUES (1)")


def test_another_dialect_is_refused() -> None:
    with pytest.raises(UnsupportedDatabaseError, match="mysql"):
        CreateSystem("temporal_versioning").statements(mysql.dialect())


def test_two_engines_may_set_up_at_the_same_time(pg_engine: Engine) -> None:
    import threading

    failures: list[BaseException] = []

    def create() -> None:
        try:
            simple_metadata().create_all(pg_engine)
        except DBAPIError as error:
            # SQLAlchemy's own check-then-create of the live table may lose the race.
            if "already exists" not in str(error) and "pg_type" not in str(error):
                failures.append(error)
        except Exception as error:  # noqa: BLE001 - reported by the test
            failures.append(error)

    threads = [threading.Thread(target=create) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    simple_metadata().create_all(pg_engine)


@pytest.mark.parametrize("function", ["unsealed", "capture_update__t", "capture_delete__t"])
def test_looking_transactions_up_never_scans_them(pg_engine: Engine, function: str) -> None:
    """A plan made while there are few transactions stays with the connection."""
    simple_metadata().create_all(pg_engine)
    with pg_engine.begin() as connection:
        settings = connection.scalar(
            text("SELECT proconfig FROM pg_proc WHERE oid = to_regproc(:name)"),
            {"name": f"temporal_versioning.{function}"},
        )
    assert "enable_seqscan=off" in settings
