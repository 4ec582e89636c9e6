"""Every situation a table can meet: whoever writes, however, its history is complete.

Each case is a table (or several), and transactions of plain SQL. After each transaction a
full copy is taken; in the end every commit must read as its copy.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from sqlalchemy import Connection, Engine, text

from sqlalchemy_temporal.capture.install import install_system, install_table
from sqlalchemy_temporal.clock.moment import Moment
from sqlalchemy_temporal.clock.resolve import resolve
from sqlalchemy_temporal.naming import VersioningOptions, history_name

Rows = frozenset[str]


@dataclass(frozen=True)
class Case:
    """Set-up statements, the tables to version, and transactions of statements."""

    setup: tuple[str, ...]
    tables: tuple[str, ...]
    transactions: tuple[tuple[str, ...], ...]
    minimum: int = 13
    members: tuple[str, ...] = ()
    """Tables that are versioned with their parent."""


SIMPLE = ("CREATE TABLE t (id int PRIMARY KEY, v text, n numeric DEFAULT 0)",)
START = ("INSERT INTO t (id, v) SELECT i, 'v' || i FROM generate_series(1, 5) i",)

CASES = {
    "multi-row statements": Case(
        SIMPLE, ("t",), (START, ("UPDATE t SET v = 'x' WHERE id > 2",), ("DELETE FROM t",))
    ),
    "data-modifying CTEs": Case(
        SIMPLE,
        ("t",),
        (
            START,
            (
                (
                    "WITH d AS (DELETE FROM t WHERE id = 1 RETURNING v), "
                    "u AS (UPDATE t SET v = 'u' WHERE id = 2 RETURNING v) "
                    "INSERT INTO t (id, v) SELECT 10, v FROM d"
                ),
            ),
        ),
    ),
    "upsert that inserts and updates": Case(
        SIMPLE,
        ("t",),
        (
            START,
            (
                (
                    "INSERT INTO t (id, v) VALUES (5, 'new'), (6, 'new') "
                    "ON CONFLICT (id) DO UPDATE SET v = excluded.v"
                ),
            ),
        ),
    ),
    "merge": Case(
        SIMPLE,
        ("t",),
        (
            START,
            (
                (
                    "MERGE INTO t USING (VALUES (1), (2), (9)) s (id) ON t.id = s.id "
                    "WHEN MATCHED AND t.id = 1 THEN DELETE "
                    "WHEN MATCHED THEN UPDATE SET v = 'merged' "
                    "WHEN NOT MATCHED THEN INSERT (id, v) VALUES (s.id, 'merged')"
                ),
            ),
        ),
        minimum=15,
    ),
    "the same row several times": Case(
        SIMPLE,
        ("t",),
        (START, ("UPDATE t SET v = 'a' WHERE id = 1", "UPDATE t SET v = 'b' WHERE id = 1")),
    ),
    "delete and insert again": Case(
        SIMPLE,
        ("t",),
        (START, ("DELETE FROM t WHERE id = 1", "INSERT INTO t (id, v) VALUES (1, 'again')")),
    ),
    "insert and delete in one transaction": Case(
        SIMPLE,
        ("t",),
        (START, ("INSERT INTO t (id) VALUES (50)", "DELETE FROM t WHERE id = 50")),
    ),
    "savepoint rolled back before any other write": Case(
        SIMPLE,
        ("t",),
        (
            START,
            (
                "SAVEPOINT s",
                "UPDATE t SET v = 'lost'",
                "ROLLBACK TO s",
                "UPDATE t SET v = 'kept' WHERE id = 1",
            ),
        ),
    ),
    "savepoint rolled back after a write": Case(
        SIMPLE,
        ("t",),
        (
            START,
            (
                "UPDATE t SET v = 'kept' WHERE id = 1",
                "SAVEPOINT s",
                "DELETE FROM t",
                "ROLLBACK TO s",
                "UPDATE t SET v = 'kept too' WHERE id = 1",
            ),
        ),
    ),
    "constraints made immediate, then more writes": Case(
        SIMPLE,
        ("t",),
        (
            START,
            (
                "UPDATE t SET v = 'a' WHERE id = 1",
                "SET CONSTRAINTS ALL IMMEDIATE",
                "UPDATE t SET v = 'b' WHERE id = 1",
                "DELETE FROM t WHERE id = 2",
            ),
        ),
    ),
    "truncate": Case(
        SIMPLE, ("t",), (START, ("TRUNCATE t", "INSERT INTO t (id) VALUES (1)"), ("TRUNCATE t",))
    ),
    "key change and swap": Case(
        ("CREATE TABLE t (id int, v text, PRIMARY KEY (id) DEFERRABLE INITIALLY DEFERRED)",),
        ("t",),
        (
            START,
            ("UPDATE t SET id = id + 1",),
            ("UPDATE t SET id = 7 - id WHERE id IN (3, 4)",),
            ("UPDATE t SET id = id + 1, v = 'same' WHERE id > 2",),
        ),
    ),
    "cascades of foreign keys": Case(
        (
            "CREATE TABLE p (id int PRIMARY KEY)",
            (
                "CREATE TABLE t (id int PRIMARY KEY, "
                "p int REFERENCES p ON DELETE CASCADE ON UPDATE CASCADE)"
            ),
            "CREATE TABLE n (id int PRIMARY KEY, p int REFERENCES p ON DELETE SET NULL)",
        ),
        ("p", "t", "n"),
        (
            (
                "INSERT INTO p VALUES (1), (2), (3)",
                "INSERT INTO t VALUES (1, 1), (2, 1), (3, 2)",
                "INSERT INTO n VALUES (1, 1), (2, 2)",
            ),
            ("UPDATE p SET id = 20 WHERE id = 3",),
            ("DELETE FROM n WHERE p = 2", "UPDATE p SET id = 30 WHERE id = 2"),
            ("DELETE FROM p WHERE id = 1",),
        ),
    ),
    "replication role": Case(
        SIMPLE,
        ("t",),
        (
            START,
            (
                "SET LOCAL session_replication_role = replica",
                "UPDATE t SET v = 'r' WHERE id = 1",
                "DELETE FROM t WHERE id = 2",
                "INSERT INTO t (id) VALUES (9)",
            ),
        ),
    ),
    "partitions, written to directly and moved between": Case(
        (
            "CREATE TABLE t (id int, v text, PRIMARY KEY (id)) PARTITION BY RANGE (id)",
            "CREATE TABLE t_low PARTITION OF t FOR VALUES FROM (0) TO (4)",
            "CREATE TABLE t_high PARTITION OF t FOR VALUES FROM (4) TO (100)",
        ),
        ("t",),
        (
            START,
            ("INSERT INTO t_high VALUES (50, 'direct')", "UPDATE t_low SET v = 'direct'"),
            ("UPDATE t SET id = id + 30 WHERE id < 6",),
            ("DELETE FROM t_high WHERE id = 50",),
            (
                "CREATE TABLE t_more PARTITION OF t FOR VALUES FROM (100) TO (200)",
                "INSERT INTO t_more VALUES (150, 'attached later')",
            ),
            ("UPDATE t_more SET v = 'x'",),
            ("TRUNCATE t_high",),
            ("TRUNCATE t",),
        ),
    ),
    "inheritance": Case(
        (
            "CREATE TABLE t (id int PRIMARY KEY, v text)",
            "CREATE TABLE child (extra text) INHERITS (t)",
        ),
        ("t",),
        (
            (*START, "INSERT INTO child VALUES (10, 'c', 'e'), (11, 'c', 'e')"),
            ("UPDATE t SET v = 'through the parent' WHERE id >= 5",),
            ("UPDATE child SET extra = 'only here' WHERE id = 10",),
            ("DELETE FROM t WHERE id IN (1, 11)",),
        ),
        members=("child",),
    ),
    "generated and identity columns": Case(
        (
            (
                "CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a int, "
                "twice int GENERATED ALWAYS AS (a * 2) STORED, s serial)"
            ),
        ),
        ("t",),
        (
            ("INSERT INTO t (a) VALUES (1), (2), (3)",),
            ("UPDATE t SET a = a WHERE id = 1", "UPDATE t SET a = 10 WHERE id = 2"),
            ("DELETE FROM t WHERE id = 3",),
        ),
    ),
    "virtual generated columns": Case(
        (
            (
                "CREATE TABLE t (id int PRIMARY KEY, a int, "
                "twice int GENERATED ALWAYS AS (a * 2) VIRTUAL)"
            ),
        ),
        ("t",),
        (
            ("INSERT INTO t (id, a) VALUES (1, 1), (2, 2)",),
            ("UPDATE t SET a = 10 WHERE id = 2",),
            ("DELETE FROM t WHERE id = 1",),
        ),
        minimum=18,
    ),
    "types of all kinds": Case(
        (
            "CREATE TYPE mood AS ENUM ('sad', 'glad')",
            "CREATE TYPE pair AS (a int, b text)",
            "CREATE DOMAIN positive AS int CHECK (value > 0)",
            (
                "CREATE TABLE t (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), m mood, ms mood[], "
                "p pair, d positive, j json, jb jsonb, x xml, r int4range, "
                "b bytea, i interval, n numeric, ar int[][], pt point, vb varbit, ts timestamptz)"
            ),
        ),
        ("t",),
        (
            (
                (
                    "INSERT INTO t (m, ms, p, d, j, jb, r, b, i, n, ar, pt, vb, ts) VALUES "
                    "('sad', '{sad,glad}', (1, 'x'), 5, '{\"a\": 1}', '{\"a\": 1}', '[1,5)', "
                    "'\\x00ff', '1 mon 2 days', 1.0, '{{1,2},{3,4}}', '(1,2)', '101', now())"
                ),
            ),
            ("UPDATE t SET n = 1.00",),
            ("UPDATE t SET j = '{\"a\":  1}'",),
            ("UPDATE t SET ts = NULL, m = NULL",),
            ("DELETE FROM t",),
        ),
    ),
    "odd names": Case(
        (
            'CREATE SCHEMA "my ""schema"""',
            (
                'CREATE TABLE "my ""schema"""."Select %s :x" '
                '("Order" int, "a""b" int, "100%" text, '
                '"it\'s" text, "values" text, PRIMARY KEY ("Order", "a""b"))'
            ),
        ),
        ('my "schema".Select %s :x',),
        (
            ('INSERT INTO "my ""schema"""."Select %s :x" VALUES (1, 2, \'p\', \'q\', \'r\')',),
            ('UPDATE "my ""schema"""."Select %s :x" SET "100%" = \'x\'',),
            ('UPDATE "my ""schema"""."Select %s :x" SET "a""b" = 5',),
            ('DELETE FROM "my ""schema"""."Select %s :x"',),
        ),
    ),
    "columns named like what the functions use": Case(
        (
            (
                "CREATE TABLE t (id int PRIMARY KEY, tx int, one int, began text, n int, seen int, "
                "o int, x int, l int, h int, new int, old int, rows int, seq int, counts text)"
            ),
        ),
        ("t",),
        (
            ("INSERT INTO t (id, tx, one, n) VALUES (1, 5, 6, 7), (2, 5, 6, 7)",),
            ("UPDATE t SET tx = 9 WHERE id = 1", "UPDATE t SET tx = tx, o = 3"),
            ("UPDATE t SET began = 'x'", "DELETE FROM t WHERE id = 1"),
            ("TRUNCATE t",),
        ),
    ),
    "composite key": Case(
        ("CREATE TABLE t (a int, b text, v text, PRIMARY KEY (b, a))",),
        ("t",),
        (
            ("INSERT INTO t VALUES (1, 'x', 'v'), (1, 'y', 'v'), (2, 'x', 'v')",),
            ("UPDATE t SET v = 'w' WHERE a = 1",),
            ("UPDATE t SET a = 3 WHERE b = 'x' AND a = 1",),
            ("DELETE FROM t WHERE a = 2",),
        ),
    ),
    "writes of the system column by hand": Case(
        SIMPLE,
        ("t",),
        (
            START,
            ("INSERT INTO t (id, temporal_tx_id) VALUES (8, 1)",),
            ("UPDATE t SET temporal_tx_id = 1 WHERE id = 1",),
            ("UPDATE t SET temporal_tx_id = NULL, v = 'x' WHERE id = 2",),
            ("INSERT INTO t SELECT id + 100, v, n, temporal_tx_id FROM t",),
        ),
    ),
    "triggers of the application": Case(
        (
            *SIMPLE,
            (
                "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                "NEW.n := NEW.n + 1; RETURN NEW; END $$"
            ),
            "CREATE TRIGGER zzz_touch BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION touch()",
            (
                "CREATE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                "IF pg_trigger_depth() < 2 THEN UPDATE t SET v = v || '!' WHERE id = NEW.id; "
                "IF NEW.id = 4 THEN DELETE FROM t WHERE id = 4; END IF; END IF; RETURN NULL; END $$"
            ),
            "CREATE TRIGGER a_again AFTER UPDATE ON t FOR EACH ROW EXECUTE FUNCTION again()",
        ),
        ("t",),
        (START, ("UPDATE t SET v = 'x' WHERE id > 2",), ("UPDATE t SET v = v",)),
    ),
    "unchanged rows beside changed ones": Case(
        SIMPLE,
        ("t",),
        (
            START,
            ("UPDATE t SET v = CASE id WHEN 1 THEN 'x' ELSE v END",),
            ("UPDATE t SET v = 'y' WHERE id = 1", "UPDATE t SET v = v", "UPDATE t SET n = 5"),
        ),
    ),
    "rows of several transactions at once": Case(
        SIMPLE,
        ("t",),
        (
            START,
            ("UPDATE t SET v = 'x' WHERE id = 1",),
            ("UPDATE t SET v = 'y'",),
            ("DELETE FROM t",),
        ),
    ),
}


def split(name: str) -> tuple[str | None, str]:
    schema, dot, table = name.rpartition(".")
    return (schema if dot else None), table


def quoted(connection: Connection, name: str) -> str:
    schema, table = split(name)
    quote = connection.dialect.identifier_preparer.quote
    return ".".join(quote(part).replace("%%", "%") for part in (schema, table) if part)


def columns(connection: Connection, name: str) -> str:
    rows = connection.execute(
        text(
            "SELECT quote_ident(attname) FROM pg_attribute WHERE attrelid = to_regclass(:n) "
            "AND attnum > 0 AND NOT attisdropped AND attname <> 'temporal_tx_id' ORDER BY attnum"
        ),
        {"n": quoted(connection, name)},
    ).scalars()
    return ", ".join(f"u.{column}::text" for column in rows)


def run_sql(connection: Connection, sql: str) -> list[str]:
    """Run SQL text as it is, bypassing every layer that could change it."""
    driver = connection.connection.driver_connection
    assert driver is not None
    with driver.cursor() as cursor:
        cursor.execute(sql)
        return [str(row) for row in cursor.fetchall()] if cursor.description else []


def copy_of(connection: Connection, name: str) -> Rows:
    wanted = columns(connection, name)
    return frozenset(run_sql(connection, f"SELECT {wanted} FROM {quoted(connection, name)} u"))


def rows_at(connection: Connection, name: str, moment: Moment) -> Rows:
    schema, table = split(name)
    options = VersioningOptions()
    quote = connection.dialect.identifier_preparer.quote
    past = quote(history_name(schema, table, options)).replace("%%", "%")
    flying = f"ARRAY{list(moment.inflight)}::bigint[]"
    visible = f"({{0}} <= {moment.hi} AND {{0}} <> ALL ({flying}))".format
    wanted = columns(connection, name)
    rows = run_sql(
        connection,
        f"SELECT {wanted} FROM {quoted(connection, name)} u WHERE {visible('temporal_tx_id')} "
        f"UNION ALL SELECT {wanted} FROM temporal_versioning.{past} u "
        f"WHERE {visible('temporal_tx_id')} AND NOT {visible('temporal_end_tx_id')} "
        f"AND temporal_end_tx_id >= {moment.lo}",
    )
    assert len(set(rows)) == len(rows), f"a row appears twice as of {moment}"
    return frozenset(rows)


@contextmanager
def committed(engine: Engine) -> Iterator[Connection]:
    with engine.begin() as connection:
        yield connection


@pytest.mark.parametrize("name", CASES)
def test_history_is_complete(pg_engine: Engine, name: str) -> None:
    case = CASES[name]
    with pg_engine.begin() as connection:
        if (connection.dialect.server_version_info or (0,))[0] < case.minimum:
            pytest.skip(f"needs PostgreSQL {case.minimum}")
        for statement in case.setup:
            run_sql(connection, statement)
        install_system(connection, "temporal_versioning")
        for table in case.tables:
            schema, short = split(table)
            install_table(connection, schema, short, VersioningOptions(), ())
    tables = (*case.tables, *case.members)
    copies = []
    for transaction in ((), *case.transactions):
        with pg_engine.begin() as connection:
            for statement in transaction:
                run_sql(connection, statement)
        with pg_engine.begin() as connection:
            head = resolve(connection, "HEAD")
            copies.append((head.uuid, {t: copy_of(connection, t) for t in tables}))
    with pg_engine.begin() as connection:
        for uuid, copy in copies:
            moment = resolve(connection, uuid)
            assert {t: rows_at(connection, t, moment) for t in tables} == copy
