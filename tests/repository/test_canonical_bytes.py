"""Canonical bytes: the same for ever, whatever the settings and the server's version.

The literals here and in ``kinds.py`` are the format. If one of them changes, chains that
exist verify no longer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest
from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    Table,
    Text,
    create_engine,
    text,
)

from sqlalchemy_temporal.capture.sync import sync_versioning
from sqlalchemy_temporal.ddl.postgresql.hashing import HashedTable
from sqlalchemy_temporal.errors import UnhashableTypeError
from sqlalchemy_temporal.model.declare import versioned_table
from sqlalchemy_temporal.repository import Repository
from sqlalchemy_temporal.repository.canonical import field_head, frame, leaf_head, root_of
from sqlalchemy_temporal.repository.hashed import hashed_tables, leaf_sql
from sqlalchemy_temporal.repository.hashing import pinned
from tests.fix_server import Server
from tests.repository.kinds import KINDS, PREPARE

SCHEMA = "temporal_versioning"
GOLDEN = "a1b4ae5d8514dd953fadcfecfabcf04db779d8fbe371986212fccacbe28bb4ca"
"""The leaf of the row of all kinds that PostgreSQL 13 has."""
ROOT = "8f4aa85305017832dad9cf39966caceff57d29fbc2cc812422c48d3eb91b8e6f"
"""The root over the hashes of the bytes 0 to 4."""


def leaf(connection: Connection, name: str) -> bytes:
    """The leaf of the one live row of a table."""
    with pinned(connection):
        [table] = [t for t in hashed_tables(connection, SCHEMA) if t.name == name]
        sql = leaf_sql(connection, SCHEMA, table)
        found = connection.exec_driver_sql(
            f"SELECT {sql.written('l', live=True)} FROM {sql.live} AS l, (SELECT 1000 AS seq) AS x"
        )
        return bytes(found.scalar_one())


@pytest.fixture(scope="module")
def kinds(server: Server) -> Iterator[Engine]:
    """A database with a versioned row of every kind the server has."""
    with server.database() as url:
        engine = create_engine(url)
        known = [kind for kind in KINDS if kind.since <= server.version]
        columns = ", ".join(f"c{n} {kind.type}" for n, kind in enumerate(known))
        with engine.begin() as connection:
            for statement in PREPARE:
                connection.exec_driver_sql(statement)
            connection.exec_driver_sql(
                f"CREATE TABLE every (id integer PRIMARY KEY, {columns}, nothing text)"
            )
            connection.exec_driver_sql("CREATE TABLE old (id integer PRIMARY KEY)")
            for number, kind in enumerate(known):
                if kind.since == 13:
                    connection.exec_driver_sql(f"ALTER TABLE old ADD COLUMN c{number} {kind.type}")
        with engine.begin() as connection:
            install(connection, "every")
            install(connection, "old")
            values = ", ".join(kind.value for kind in known)
            connection.exec_driver_sql(f"INSERT INTO every VALUES (1, {values})")
            values = ", ".join(kind.value for kind in known if kind.since == 13)
            connection.exec_driver_sql(f"INSERT INTO old VALUES (1, {values})")
        with engine.begin() as connection:
            connection.exec_driver_sql("UPDATE every SET nothing = 'x'")
            connection.exec_driver_sql("UPDATE every SET nothing = NULL")
        yield engine
        engine.dispose()


def keyed(name: str) -> Table:
    return Table(name, MetaData(), Column("id", Integer, primary_key=True))


def install(connection: Connection, name: str) -> None:
    """Version a table with just its key declared, as those without models are."""
    sync_versioning(connection, versioned_table(keyed(name)))


def test_every_kind_has_the_bytes_it_always_had(kinds: Engine, server: Server) -> None:
    known = [kind for kind in KINDS if kind.since <= server.version]
    with kinds.connect() as connection:
        [table] = [t for t in hashed_tables(connection, SCHEMA) if t.name == "every"]
        sql = leaf_sql(connection, SCHEMA, table)
        found = {}
        for column, kind in zip(table.columns[1:-1], known, strict=True):
            assert column.live is not None
            encoded = sql._encoder.encoded(column.live, f"l.{column.identity.name}")
            data = connection.exec_driver_sql(f"SELECT {encoded.sql} FROM every AS l").scalar()
            found[kind] = (encoded.tag, bytes(data).hex())
    assert found == {kind: (kind.tag, kind.data) for kind in known}


def test_a_leaf_is_the_hash_of_the_fields_as_they_are_documented(
    kinds: Engine, server: Server
) -> None:
    expected = leaf_head(b"W", number(kinds, "every")) + field(1, "int4", "00000001")
    for at, kind in enumerate(k for k in KINDS if k.since <= server.version):
        expected += field(at + 2, kind.tag, kind.data)
    with kinds.connect() as connection:
        assert leaf(connection, "every") == hashlib.sha256(expected).digest()


def test_the_leaf_of_a_known_row_is_known(kinds: Engine) -> None:
    with kinds.connect() as connection:
        assert leaf(connection, "old").hex() == GOLDEN


def test_the_root_over_known_leaves_is_known() -> None:
    leaves = [hashlib.sha256(bytes([n])).digest() for n in range(5)]
    assert root_of(leaves) == root_of(reversed(leaves))
    assert root_of(leaves).hex() == ROOT


def number(engine: Engine, name: str) -> int:
    with engine.connect() as connection:
        found: list[HashedTable] = hashed_tables(connection, SCHEMA)
    return next(table.id for table in found if table.name == name)


def field(column: int, tag: str, data: str) -> bytes:
    return field_head(column, tag) + frame(bytes.fromhex(data))


SETTINGS = (
    {"TimeZone": "Asia/Kathmandu"},
    {"DateStyle": "German, DMY"},
    {"DateStyle": "SQL, MDY", "TimeZone": "America/St_Johns"},
    {"extra_float_digits": "-15"},
    {"bytea_output": "escape"},
    {"IntervalStyle": "sql_standard"},
    {"client_encoding": "LATIN1"},
    {"search_path": "nowhere"},
    {"search_path": "evil, pg_catalog"},
    {"quote_all_identifiers": "on"},
    {"standard_conforming_strings": "on", "backslash_quote": "off"},
    {"default_transaction_isolation": "serializable"},
    {"work_mem": "64kB", "max_parallel_workers_per_gather": "0"},
    {"enable_hashagg": "off", "enable_sort": "off", "jit": "off"},
)


@pytest.mark.parametrize(
    "settings", SETTINGS, ids=lambda s: ",".join(f"{k}={v}" for k, v in s.items())
)
def test_no_setting_changes_a_hash(
    kinds: Engine, settings: dict[str, str], golden: dict[str, str]
) -> None:
    with kinds.connect() as connection:
        for name, value in settings.items():
            connection.execute(text("SELECT set_config(:n, :v, false)"), {"n": name, "v": value})
        assert leaf(connection, "every").hex() == golden["leaf"]
        found = Repository(connection).verify(digest=golden["digest"])
        assert found.ok, str(found)
        connection.invalidate()


@pytest.fixture(scope="module")
def golden(kinds: Engine) -> dict[str, str]:
    """What an ordinary session finds; and functions that are not the server's own."""
    with kinds.begin() as connection:
        connection.exec_driver_sql("CREATE SCHEMA evil")
        connection.exec_driver_sql(
            "CREATE FUNCTION evil.sha256(bytea) RETURNS bytea LANGUAGE sql "
            "AS $$ SELECT '\\x00'::bytea $$"
        )
    with kinds.begin() as connection:
        digest = Repository(connection).digest().to_json()
        return {"leaf": leaf(connection, "every").hex(), "digest": digest}


class TestColumns:
    @pytest.fixture
    def engine(self, pg_engine: Engine) -> Engine:
        """A table with one row, hashed."""
        with pg_engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE t (id integer PRIMARY KEY, v varchar(3))")
            install(connection, "t")
            connection.exec_driver_sql("INSERT INTO t VALUES (1, 'a')")
        with pg_engine.begin() as connection:
            Repository(connection).hash_commits()
        return pg_engine

    @pytest.mark.parametrize(
        "statement",
        [
            "ALTER TABLE t ADD COLUMN w integer",
            "ALTER TABLE t ADD COLUMN w integer DEFAULT 5",
            "ALTER TABLE t ADD COLUMN a text, ALTER COLUMN v TYPE varchar(30)",
        ],
    )
    def test_a_column_more_does_not_change_the_past(self, engine: Engine, statement: str) -> None:
        with engine.begin() as connection:
            digest = Repository(connection).digest()
            if "TYPE" in statement:
                connection.exec_driver_sql(
                    f"ALTER TABLE {SCHEMA}.t_history ALTER COLUMN v TYPE varchar(30)"
                )
            connection.exec_driver_sql(statement)
            install(connection, "t")
        with engine.begin() as connection:
            connection.exec_driver_sql("UPDATE t SET v = 'b'")
        with engine.begin() as connection:
            found = Repository(connection).verify(digest=digest)
            assert found.ok, str(found)

    def test_a_column_dropped_and_added_again_is_another_one(self, engine: Engine) -> None:
        for statement in (
            "UPDATE t SET v = NULL",
            "ALTER TABLE t DROP COLUMN v",
            "ALTER TABLE t ADD COLUMN v varchar(3)",
            "UPDATE t SET v = 'c'",
        ):
            with engine.begin() as connection:
                connection.exec_driver_sql(statement)
                if statement.startswith("ALTER"):
                    install(connection, "t")
        with engine.begin() as connection:
            found = Repository(connection).verify()
            assert found.ok, str(found)

    def test_excluded_columns_are_no_part_of_it(self, pg_engine: Engine) -> None:
        with pg_engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE t (id integer PRIMARY KEY, seen point)")
            table = keyed("t")
            table.append_column(Column("seen", Text))
            sync_versioning(connection, versioned_table(table, exclude=["seen"]))
            connection.exec_driver_sql("INSERT INTO t VALUES (1, '(1,1)')")
        with pg_engine.begin() as connection:
            Repository(connection).hash_commits()
            connection.exec_driver_sql("UPDATE t SET seen = '(2,2)'")
            assert Repository(connection).verify().ok


class TestTypes:
    @pytest.mark.parametrize("kind", ["regclass", "regtype[]", "aclitem", "xid"])
    def test_a_type_without_stable_bytes_is_refused_by_name(
        self, pg_engine: Engine, kind: str
    ) -> None:
        with pg_engine.connect() as connection:
            connection.exec_driver_sql(f"CREATE TABLE t (id integer PRIMARY KEY, v {kind})")
            with pytest.raises(UnhashableTypeError, match=r"public\.t\.v") as caught:
                install(connection, "t")
            assert caught.value.type_name == kind.removesuffix("[]")

    def test_a_type_whose_text_is_declared_stable_is_taken_as_text(self, pg_engine: Engine) -> None:
        internal = "LANGUAGE internal IMMUTABLE STRICT AS"
        with pg_engine.begin() as connection:
            for statement in (
                "CREATE TYPE code",
                f"CREATE FUNCTION code_in(cstring) RETURNS code {internal} 'textin'",
                f"CREATE FUNCTION code_out(code) RETURNS cstring {internal} 'textout'",
                "CREATE TYPE code (INPUT = code_in, OUTPUT = code_out, LIKE = text)",
                "CREATE TABLE t (id integer PRIMARY KEY, v code)",
            ):
                connection.exec_driver_sql(statement)
            with pytest.raises(UnhashableTypeError, match=r"COMMENT ON TYPE public\.code"):
                install(connection, "t")
            connection.exec_driver_sql("COMMENT ON TYPE code IS 'Codes. temporal: stable text'")
            install(connection, "t")
            connection.exec_driver_sql("INSERT INTO t VALUES (1, 'é')")
        with pg_engine.begin() as connection:
            expected = field_head(1, "int4") + frame(b"\0\0\0\1")
            expected += field_head(2, "text:code") + frame("é".encode())
            assert leaf(connection, "t") == hashlib.sha256(leaf_head(b"W", 1) + expected).digest()
            assert Repository(connection).verify().ok

    def test_generated_columns_are_covered(self, pg_engine: Engine) -> None:
        with pg_engine.begin() as connection:
            connection.exec_driver_sql(
                "CREATE TABLE t (id integer PRIMARY KEY, "
                "d integer GENERATED ALWAYS AS (id * 2) STORED)"
            )
            install(connection, "t")
            connection.exec_driver_sql("INSERT INTO t VALUES (1)")
        with pg_engine.begin() as connection:
            connection.exec_driver_sql("UPDATE t SET id = 2")
        with pg_engine.begin() as connection:
            assert Repository(connection).verify().ok
            connection.exec_driver_sql(f"UPDATE {SCHEMA}.t_history SET d = 7")
        with pg_engine.begin() as connection:
            assert not Repository(connection).verify().ok

    def test_virtual_generated_columns_are_covered(self, server: Server, pg_engine: Engine) -> None:
        if server.version < 18:
            pytest.skip("virtual generated columns come with PostgreSQL 18")
        with pg_engine.begin() as connection:
            connection.exec_driver_sql(
                "CREATE TABLE t (id integer PRIMARY KEY, n integer, d integer GENERATED ALWAYS "
                "AS (n * 2) VIRTUAL)"
            )
            install(connection, "t")
            connection.exec_driver_sql("INSERT INTO t VALUES (1, 1)")
        for n in (2, 3):
            with pg_engine.begin() as connection:
                connection.exec_driver_sql(f"UPDATE t SET n = {n}")
            with pg_engine.begin() as connection:
                assert Repository(connection).verify().ok
