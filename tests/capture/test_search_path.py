"""Functions with their owner's rights use nothing that whoever writes puts in their way.

Some of them have no search path of their own, because that costs each call as much as a small
query. So every name in them is qualified, which is tried here with a schema, looked into before
``pg_catalog``, that has a trap for whatever they might mean.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, Engine, text

from sqlalchemy_temporal.capture.install import install_system, install_table
from sqlalchemy_temporal.naming import VersioningOptions

_PAIRS = (
    "bigint, bigint",
    "bigint, integer",
    "integer, bigint",
    "integer, integer",
    "text, text",
    "bytea, bytea",
    "timestamptz, timestamptz",
    "double precision, double precision",
    "double precision, numeric",
    "record, record",
    "anyarray, anyarray",
)
_OPERATORS = ("=", "<>", "<", ">", "<=", ">=", "||", "+", "-", "*", "&", "*=", "*<>")
_FUNCTIONS = (
    "current_setting(text, boolean)",
    "current_setting(text)",
    "set_config(text, text, boolean)",
    "nextval(regclass)",
    "currval(regclass)",
    "pg_advisory_xact_lock_shared(integer, integer)",
    "clock_timestamp()",
    "transaction_timestamp()",
    "int8send(bigint)",
    "float8send(double precision)",
    "hashint8extended(bigint, bigint)",
    "encode(bytea, text)",
    "random()",
)
_TYPES = ("text", "jsonb", "uuid", "timestamptz", "regclass", "int8", "int4")
_IS = "OPERATOR(pg_catalog.=)"
_PLUS = "OPERATOR(pg_catalog.+)"

STATEMENTS = {
    "insert": "INSERT INTO public.t SELECT i, 'a', 1 FROM generate_series(10, 12) i",
    "update": f"UPDATE public.t SET v = 'b' WHERE id {_IS} 1",
    "update of nothing": "UPDATE public.t SET v = v",
    "update of nothing and of something": (
        f"UPDATE public.t SET n = CASE WHEN id {_IS} 1 THEN n ELSE 9 END"
    ),
    "change of a key": f"UPDATE public.t SET id = id {_PLUS} 100 WHERE id {_IS} 2",
    "delete": f"DELETE FROM public.t WHERE id {_IS} 3",
}


def traps() -> Iterator[str]:
    """What makes whoever means something of ``pg_catalog`` fail."""
    yield "CREATE SCHEMA evil"
    body = "LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'trapped'; END $$"
    for number, pair in enumerate(_PAIRS):
        left, right = pair.split(", ")
        yield f"CREATE FUNCTION evil.trap{number}({pair}) RETURNS boolean {body}"
        for operator in _OPERATORS:
            yield (
                f"CREATE OPERATOR evil.{operator} "
                f"(LEFTARG = {left}, RIGHTARG = {right}, FUNCTION = evil.trap{number})"
            )
    for signature in _FUNCTIONS:
        returned = "text" if "setting" in signature or "config" in signature else "bigint"
        yield f"CREATE FUNCTION evil.{signature} RETURNS {returned} {body}"
    for name in _TYPES:
        yield f"CREATE TYPE evil.{name} AS ENUM ('trapped')"


def prepared(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (id bigint PRIMARY KEY, v text, n integer)")
        install_system(connection, "temporal_versioning")
        install_table(connection, None, "t", VersioningOptions(), ())
        connection.exec_driver_sql("INSERT INTO t SELECT i, 'a', 1 FROM generate_series(1, 5) i")
        for statement in traps():
            connection.exec_driver_sql(statement)
    engine.dispose()  # functions are compiled anew, along the path of who calls them


def changes(connection: Connection) -> tuple[int, int, dict[str, dict[str, int]]]:
    """Versions closed, keys changed and what was counted by the last transaction."""
    closed = "SELECT count(*) FROM temporal_versioning.t_history"
    moved = "SELECT count(*) FROM temporal_versioning.pk_change"
    counted = "SELECT counts FROM temporal_versioning.transaction ORDER BY commit_seq DESC LIMIT 1"
    one, two, three = (connection.scalar(text(sql)) for sql in (closed, moved, counted))
    assert isinstance(one, int)
    assert isinstance(two, int)
    return one, two, three


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["insert"], (0, 0, {"insert": 3})),
        (["update"], (1, 0, {"update": 1})),
        (["update of nothing"], (0, 0, {"insert": 5})),
        (["update of nothing and of something"], (4, 0, {"update": 4})),
        (["change of a key"], (1, 1, {"update": 1})),
        (["delete"], (1, 0, {"delete": 1})),
        (list(STATEMENTS), (5, 1, {"insert": 3, "update": 4, "delete": 1})),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, list) else "",
)
def test_a_search_path_of_traps_traps_no_trigger(
    pg_engine: Engine, names: list[str], expected: tuple[int, int, dict[str, int]]
) -> None:
    prepared(pg_engine)
    with pg_engine.begin() as connection:
        connection.exec_driver_sql("SET LOCAL search_path TO evil, pg_catalog, public")
        for name in names:
            connection.exec_driver_sql(STATEMENTS[name])
            path = connection.exec_driver_sql("SHOW search_path").scalar()
            assert path == "evil, pg_catalog, public"
        connection.exec_driver_sql("SET LOCAL temporal.author = 'ana'")
    with pg_engine.begin() as connection:
        closed, moved, counted = changes(connection)
    assert (closed, moved) == expected[:2]
    assert list(counted.values()) == [expected[2]]
