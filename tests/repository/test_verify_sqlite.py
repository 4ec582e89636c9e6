"""Verifying on SQLite: the same promises, kept by other means."""

from __future__ import annotations

import hashlib
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import (
    Column,
    Connection,
    Engine,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    Table,
    Text,
    create_engine,
    text,
)

from sqlalchemy_temporal.model.declare import versioned_table
from sqlalchemy_temporal.repository import Digest, Problem, Repository
from sqlalchemy_temporal.repository.canonical import field_head, frame, leaf_head
from sqlalchemy_temporal.repository.sqlite_leaves import SqliteLeaves, sqlite_tables
from sqlalchemy_temporal.schema import system_of

SCHEMA = "temporal_versioning"
HISTORY = "owner_history"
PAST = f"{SCHEMA}.{HISTORY}"

WORK = (
    "INSERT INTO owner VALUES (1, 'ana', 'a'), (2, 'bo', 'b'), (3, 'cy', 'c'), (4, 'dï', x'00ff')",
    "UPDATE owner SET name = 'b' WHERE id = 1",
    "UPDATE owner SET id = 7 WHERE id = 2",
    "DELETE FROM owner WHERE id = 3",
    "INSERT INTO account VALUES (1, 1, 10.5), (2, 7, 20)",
    "UPDATE account SET amount = 11.50 WHERE id = 1",
    "REPLACE INTO owner VALUES (4, 'di', NULL)",
    "UPDATE owner SET note = 'e' WHERE id IN (1, 4)",
)


def tables() -> MetaData:
    metadata = MetaData()
    versioned_table(
        Table(
            "owner",
            metadata,
            Column("id", Integer, primary_key=True),
            Column("name", Text),
            Column("note", LargeBinary),
        )
    )
    versioned_table(
        Table(
            "account",
            metadata,
            Column("id", Integer, primary_key=True),
            Column("owner_id", ForeignKey("owner.id")),
            Column("amount", Numeric),
        )
    )
    return metadata


@pytest.fixture
def engine(sqlite_engine: Engine) -> Engine:
    """A database with something in each table, hashed now and then."""
    tables().create_all(sqlite_engine)
    for number, statement in enumerate(WORK):
        with sqlite_engine.begin() as connection:
            connection.exec_driver_sql(statement)
        if number % 3 == 0:
            with sqlite_engine.begin() as connection:
                Repository(connection).hash_commits()
    with sqlite_engine.begin() as connection:
        Repository(connection).hash_commits()
    return sqlite_engine


def found(connection: Connection, digest: Digest | None = None) -> tuple[Problem, ...]:
    return Repository(connection).verify(digest=digest).problems


def places(engine: Engine, *statements: str) -> set[str]:
    """Where problems are once the statements were run on a connection without hooks."""
    raw = engine.raw_connection()
    for statement in statements:
        raw.cursor().execute(statement)
    raw.commit()
    raw.close()
    with engine.begin() as connection:
        return {f"{p.table}.{p.column}" if p.column else p.table for p in found(connection)}


def test_what_was_recorded_verifies(engine: Engine) -> None:
    with engine.begin() as connection:
        repo = Repository(connection)
        digest = repo.digest()
        result = repo.verify(digest=digest.to_json())
        assert result.ok, str(result)
        assert result.commits == len(WORK) + 1
        assert result.head_hash is not None
        assert repo.head.hash == result.head_hash
        assert repo.verify(since="HEAD~2").ok


def test_hashes_do_not_depend_on_how_many_are_computed_together(engine: Engine) -> None:
    with engine.begin() as connection:
        before = Repository(connection).digest().hash
        connection.exec_driver_sql(f"DELETE FROM {SCHEMA}_commit_root")
        connection.exec_driver_sql(f"UPDATE {SCHEMA}_commit SET hash = NULL, marks = NULL")
        assert Repository(connection).digest().hash == before


def test_a_leaf_is_the_hash_of_the_values_as_they_are_stored(engine: Engine) -> None:
    expected = leaf_head(b"W", 2) + field_head(1, "int8") + frame((1).to_bytes(8, "big"))
    expected += field_head(2, "int8") + frame((1).to_bytes(8, "big"))
    expected += field_head(3, "float8") + frame(bytes.fromhex("4027000000000000"))
    with engine.begin() as connection:
        [table] = [t for t in sqlite_tables(connection, SCHEMA) if t.name == "account"]
        reader = SqliteLeaves(connection, SCHEMA, table)
        leaves = {leaf.leaf for _, each in reader.commits(0, 100) for leaf in each}
    assert hashlib.sha256(expected).digest() in leaves


@pytest.mark.parametrize(
    ("statement", "place"),
    [
        (f"UPDATE {HISTORY} SET name = 'x' WHERE id = 3", PAST),
        (f"UPDATE {HISTORY} SET note = NULL WHERE id = 3", PAST),
        (f"UPDATE {HISTORY} SET note = 'x' WHERE id = 1 AND name = 'b'", f"{PAST}.note"),
        (f"UPDATE {HISTORY} SET name = 'x' WHERE id = 1 AND name = 'b'", f"{PAST}.name"),
        (f"UPDATE {HISTORY} SET note = 'x' WHERE id = 4 AND name = 'di'", f"{PAST}.note"),
        (f"UPDATE {HISTORY} SET id = 33 WHERE id = 3", PAST),
        (f"UPDATE {HISTORY} SET temporal_operation = 'x' WHERE id = 3", PAST),
        (f"UPDATE {HISTORY} SET temporal_id = 90 WHERE id = 3", PAST),
        (f"UPDATE {HISTORY} SET temporal_tx_id = 90 WHERE id = 3", f"{PAST}.temporal_tx_id"),
        (
            f"UPDATE {HISTORY} SET temporal_end_tx_id = 90 WHERE id = 3",
            f"{PAST}.temporal_end_tx_id",
        ),
        (
            f"UPDATE {HISTORY} SET temporal_valid_to = '2001-01-01' WHERE id = 3",
            f"{PAST}.temporal_valid_to",
        ),
        (
            f"UPDATE {HISTORY} SET temporal_valid_from = '2001-01-01' WHERE id = 3",
            f"{PAST}.temporal_valid_from",
        ),
        (f"UPDATE {HISTORY}_current SET temporal_tx_id = 3 WHERE id = 7", "public.owner"),
        (f"DELETE FROM {HISTORY} WHERE id = 3", "public.owner"),
        (f"DELETE FROM {HISTORY}_current WHERE id = 7", "public.owner"),
        (f"DELETE FROM {SCHEMA}_pk_change", "public.owner"),
        (f"UPDATE {SCHEMA}_pk_change SET old_key = '{{}}'", f"{SCHEMA}.pk_change"),
        (f"DELETE FROM {SCHEMA}_commit_root WHERE seq = 5", PAST),
        (
            f"UPDATE {SCHEMA}_commit_root SET marks = x'00' WHERE seq = 5",
            f"{SCHEMA}.commit_root.marks",
        ),
        (
            f"UPDATE {SCHEMA}_commit_root SET root = x'00' WHERE seq = 5",
            f"{SCHEMA}.commit_root.root",
        ),
        (
            f"UPDATE {SCHEMA}_versioned_tables SET key_columns = '[\"name\"]' WHERE id = 1",
            f"{SCHEMA}.versioned_tables.key_columns",
        ),
        (
            f"UPDATE {SCHEMA}_versioned_tables SET fingerprint = 'x' WHERE id = 1",
            f"{SCHEMA}.versioned_tables.fingerprint",
        ),
        (
            (f"UPDATE {SCHEMA}_versioned_tables SET enabled_at = 'no time at all' WHERE id = 1"),
            f"{SCHEMA}.versioned_tables",
        ),
    ],
)
def test_an_edit_is_found_where_it_was_made(engine: Engine, statement: str, place: str) -> None:
    assert place in places(engine, statement)


@pytest.mark.parametrize("table", ["commit", "transaction"])
def test_an_edited_field_of_a_commit_is_named(engine: Engine, table: str) -> None:
    with engine.begin() as connection:
        columns = [
            c.name
            for c in getattr(system_of(connection, SCHEMA), table).columns
            if c.name not in ("deleted_at", "deleted_by", "deletion_reason", "id", "tx_id", "seq")
        ]
    for column in columns:
        value = {
            "hi": "99",
            "lo": "1",
            "commit_seq": "99",
            "inflight": "'[1]'",
            "hash": "x'00'",
            "marks": "x'00'",
            "context": "'{}'",
            "counts": "'{}'",
            "effective_at": "'2001-01-01 00:00:00.000000'",
        }.get(column, "'00000000000040008000000000000000'")
        with engine.connect() as connection:
            transaction = connection.begin()
            name = f"{SCHEMA}_{table}"
            key = "seq" if table == "commit" else "id"
            connection.execute(text(f'UPDATE "{name}" SET "{column}" = {value} WHERE {key} = 5'))
            at = {(p.table, p.column) for p in found(connection)}
            transaction.rollback()
        assert (f"{SCHEMA}.{table}", column) in at


def test_a_live_row_edited_without_its_triggers_is_found_by_its_key(engine: Engine) -> None:
    with engine.begin() as connection:
        names = connection.scalars(
            text("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'owner'")
        ).all()
        for name in names:
            connection.exec_driver_sql(f'DROP TRIGGER "{name}"')
        connection.exec_driver_sql("UPDATE owner SET name = 'x' WHERE id = 7")
        problems = found(connection)
    assert ("public.owner", {"id": 7}) in [(p.table, p.key) for p in problems]
    assert (f"{SCHEMA}.versioned_tables", "fingerprint") in [(p.table, p.column) for p in problems]


def test_a_chain_computed_anew_is_found_with_a_digest_only(engine: Engine) -> None:
    with engine.begin() as connection:
        digest = Repository(connection).digest()
        connection.exec_driver_sql(f"UPDATE {HISTORY} SET name = 'x' WHERE id = 3")
        connection.exec_driver_sql(f"DELETE FROM {SCHEMA}_commit_root")
        connection.exec_driver_sql(f"UPDATE {SCHEMA}_commit SET hash = NULL, marks = NULL")
        assert found(connection) == ()
        assert {p.kind for p in found(connection, digest)} == {"digest"}


def test_a_dump_restored_elsewhere_has_the_same_hashes(engine: Engine, tmp_path: Path) -> None:
    with engine.begin() as connection:
        digest = Repository(connection).digest()
    source = sqlite3.connect(str(engine.url.database))
    target = sqlite3.connect(tmp_path / "restored.db")
    target.executescript("\n".join(source.iterdump()))
    source.close()
    target.close()
    restored = create_engine(f"sqlite:///{tmp_path / 'restored.db'}")
    with restored.begin() as connection:
        result = Repository(connection).verify(digest=digest)
        assert result.ok, str(result)
    restored.dispose()
