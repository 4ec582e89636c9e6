"""Random programs against full copies: as_of(HEAD) is the live tables, as_of(c) what c left."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import (
    Column,
    Connection,
    Engine,
    ForeignKey,
    Integer,
    MetaData,
    Table,
    Text,
    create_engine,
    event,
    select,
    text,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.pool import StaticPool

from sqlalchemy_temporal.clock.resolve import resolve
from sqlalchemy_temporal.model.declare import versioned_table
from sqlalchemy_temporal.reading.as_of import as_of

METADATA = MetaData()
ITEM = versioned_table(
    Table(
        "item",
        METADATA,
        Column("id", Integer, primary_key=True),
        Column("code", Text(collation="NOCASE"), unique=True),
        Column("value", Integer),
    )
)
NODE = versioned_table(
    Table(
        "node",
        METADATA,
        Column("id", Integer, primary_key=True),
        Column(
            "parent_id", ForeignKey("node.id", ondelete="CASCADE", onupdate="CASCADE"), index=True
        ),
        Column("item_id", ForeignKey("item.id", ondelete="SET NULL", onupdate="CASCADE")),
    )
)
PAIR = versioned_table(
    Table(
        "pair",
        METADATA,
        Column("a", Text(collation="NOCASE"), primary_key=True),
        Column("b", Integer, primary_key=True),
        Column("note", Text),
        sqlite_with_rowid=False,
        sqlite_strict=True,
    )
)
TABLES = (ITEM, NODE, PAIR)

KEYS = st.integers(1, 3)
MAYBE = st.one_of(st.none(), KEYS)
WORDS = st.sampled_from(["a", "A", "b", ""])
CODES = st.one_of(st.none(), WORDS)
CONFLICT = st.sampled_from(["", "OR REPLACE", "OR IGNORE"])


def statement(sql: str, **values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.tuples(
        CONFLICT.map(lambda how: sql.replace("OR_", how)), st.fixed_dictionaries(values)
    )


STATEMENTS = st.one_of(
    statement("INSERT OR_ INTO item VALUES (:id, :code, :v)", id=MAYBE, code=CODES, v=KEYS),
    statement(
        "INSERT INTO item VALUES (:id, :code, :v) ON CONFLICT (id) DO UPDATE "
        "SET value = excluded.value, code = excluded.code",
        id=KEYS,
        code=CODES,
        v=KEYS,
    ),
    statement(
        "INSERT INTO item VALUES (:id, :c, :v) ON CONFLICT DO NOTHING", id=KEYS, c=CODES, v=KEYS
    ),
    statement(
        "INSERT OR_ INTO item (code, value) SELECT code || '!', id FROM item WHERE id > :i", i=KEYS
    ),
    statement("UPDATE OR_ item SET value = :v", v=KEYS),
    statement("UPDATE OR_ item SET value = value + 1 WHERE id >= :id", id=KEYS),
    statement(
        "UPDATE OR_ item SET id = :n, code = :code WHERE id = :o", n=KEYS, o=KEYS, code=CODES
    ),
    statement("UPDATE OR_ item SET code = lower(code) WHERE id <= :i", i=KEYS),
    statement("DELETE FROM item WHERE id = :i", i=KEYS),
    statement("DELETE FROM item WHERE value > :i", i=KEYS),
    statement("INSERT OR_ INTO node VALUES (:id, :p, :i)", id=MAYBE, p=MAYBE, i=MAYBE),
    statement("UPDATE OR_ node SET id = :n WHERE id = :o", n=KEYS, o=KEYS),
    statement("UPDATE OR_ node SET parent_id = :p WHERE id > :o", p=MAYBE, o=KEYS),
    statement("DELETE FROM node WHERE id = :i", i=KEYS),
    statement("INSERT OR_ INTO pair VALUES (:a, :b, :n)", a=WORDS, b=KEYS, n=CODES),
    statement("UPDATE OR_ pair SET a = :a, note = :n WHERE b = :b", a=WORDS, b=KEYS, n=CODES),
    statement("UPDATE OR_ pair SET b = :n WHERE b = :o", n=KEYS, o=KEYS),
    statement("DELETE FROM pair WHERE a = :a", a=WORDS),
    st.just(("savepoint", {})),
    st.just(("rollback to", {})),
)
PROGRAMS = st.lists(
    st.tuples(st.lists(STATEMENTS, min_size=1, max_size=5), st.sampled_from([True, True, False])),
    min_size=2,
    max_size=5,
)
START = (
    "DELETE FROM node",
    "UPDATE pair SET note = NULL",
    "DELETE FROM pair",
    "DELETE FROM item",
    "INSERT INTO item VALUES (1, 'a', 1), (2, 'b', 2), (3, '', 3)",
    "INSERT INTO node VALUES (1, NULL, 1), (2, 1, 2), (3, 2, 2)",
    "INSERT INTO pair VALUES ('a', 1, 'A'), ('a', 2, 'b'), ('b', 1, 'A')",
)
"""Rows for the programs to meet."""

_TRIGGERS = (
    # The application's own, which write the same rows again.
    (
        "CREATE TRIGGER again AFTER UPDATE OF value ON item WHEN NEW.value = 2 "
        "BEGIN UPDATE item SET value = 20 WHERE id = NEW.id; END"
    ),
    (
        "CREATE TRIGGER more AFTER INSERT ON item WHEN NEW.value = 3 "
        "BEGIN UPDATE item SET value = 30 WHERE id = NEW.id; "
        "INSERT OR IGNORE INTO pair VALUES ('t', NEW.id, 'made'); END"
    ),
    (
        "CREATE TRIGGER back AFTER DELETE ON pair WHEN OLD.note = 'A' "
        "BEGIN INSERT OR IGNORE INTO pair VALUES (OLD.a, OLD.b, 'back'); END"
    ),
)


def prepared(path: str | None, *, recursive: bool, triggers: bool) -> Engine:
    if path is None:
        engine = create_engine("sqlite://", poolclass=StaticPool)
    else:
        engine = create_engine(f"sqlite:///{path}")

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _: object) -> None:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA recursive_triggers = {int(recursive)}")
        connection.execute("PRAGMA synchronous = OFF")

    METADATA.create_all(engine)
    with engine.begin() as connection:
        for made in _TRIGGERS if triggers else ():
            connection.exec_driver_sql(made)
    return engine


def state(connection: Connection) -> dict[str, list[Any]]:
    return {
        table.name: sorted(map(tuple, connection.execute(select(table)).all()), key=repr)
        for table in TABLES
    }


def past(connection: Connection, when: Any) -> dict[str, list[Any]]:
    with as_of(connection, when) as then:
        return {
            table.name: sorted(map(tuple, then.execute(select(table)).all()), key=repr)
            for table in TABLES
        }


def run(connection: Connection, statements: list[tuple[str, dict[str, Any]]]) -> None:
    """Run the statements of one transaction; what fails is undone by itself."""
    savepoints: list[Any] = []
    for sql, values in statements:
        if sql == "savepoint":
            savepoints.append(connection.begin_nested())
        elif sql == "rollback to":
            if savepoints:
                savepoints.pop().rollback()
        else:
            inner = connection.begin_nested()
            try:
                connection.execute(text(sql), values)
            except IntegrityError:
                inner.rollback()
            else:
                inner.commit()


Engines = dict[tuple[bool, bool], Engine]


@pytest.fixture(scope="module", params=["memory", "file"])
def engines(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engines]:
    """Databases with and without recursive triggers, and the application's own triggers."""
    folder = tmp_path_factory.mktemp("laws")
    made = {}
    for recursive in (False, True):
        for triggers in (False, True):
            file = folder / f"{recursive}{triggers}.db"
            place = None if request.param == "memory" else str(file)
            made[recursive, triggers] = prepared(place, recursive=recursive, triggers=triggers)
    yield made
    for engine in made.values():
        engine.dispose()


def begin_anew(engine: Engine) -> None:
    with engine.begin() as connection:
        for sql in START:
            connection.exec_driver_sql(sql)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(program=PROGRAMS, recursive=st.booleans(), triggers=st.booleans())
def test_every_commit_reads_as_what_it_left(
    engines: Engines, program: list[Any], recursive: bool, triggers: bool
) -> None:
    engine = engines[recursive, triggers]
    begin_anew(engine)
    remembered = []
    with engine.connect() as connection:
        remembered.append((resolve(connection, "HEAD"), state(connection)))
    for statements, committed in program:
        with engine.connect() as connection:
            run(connection, statements)
            if committed:
                connection.commit()
            else:
                connection.rollback()
        with engine.connect() as connection:
            remembered.append((resolve(connection, "HEAD"), state(connection)))
    with engine.connect() as connection:
        for moment, expected in remembered:
            assert past(connection, moment.uuid) == expected
            assert past(connection, moment.effective_at) == expected


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    statements=st.lists(STATEMENTS, min_size=3, max_size=14),
    recursive=st.booleans(),
    triggers=st.booleans(),
)
def test_each_statement_of_a_client_without_hooks_is_read_as_it_left_the_tables(
    engines: Engines, statements: list[Any], recursive: bool, triggers: bool
) -> None:
    engine = engines[recursive, triggers]
    begin_anew(engine)
    remembered = []
    with engine.connect() as connection:
        plain: Any = connection.connection.driver_connection
        for sql, values in statements:
            if sql in ("savepoint", "rollback to"):
                continue
            try:
                plain.execute(sql, values)
            except plain.IntegrityError:
                plain.rollback()
                continue
            plain.commit()
            remembered.append((resolve(connection, "HEAD"), state(connection)))
            connection.rollback()
        for moment, expected in remembered:
            assert past(connection, moment) == expected
