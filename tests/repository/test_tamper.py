"""The tamper matrix: whatever is edited behind the library's back is found, and where.

Each case edits a database in a transaction, verifies in the same one, and takes it back.
What cannot be found is listed, so that a column without a check is noticed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Connection, Engine, Table, column, create_engine, select, table, text
from sqlalchemy.pool import StaticPool

from sqlalchemy_temporal.naming import END_COLUMN, ID_COLUMN, TX_COLUMN
from sqlalchemy_temporal.repository import Digest, Problem, Repository
from sqlalchemy_temporal.repository.withdrawal import redacting
from sqlalchemy_temporal.schema import system_tables
from tests.fix_server import Server
from tests.laws.programs import tables

SCHEMA = "temporal_versioning"
HISTORY = f"{SCHEMA}.owner_history"
LIVE = "public.owner"
SYSTEM = system_tables(SCHEMA)

WORK = (
    "INSERT INTO owner VALUES (1, 'ana', 'a'), (2, 'bo', 'b'), (3, 'cy', 'c'), (4, 'di', 'd')",
    "UPDATE owner SET name = 'b' WHERE id = 1",
    "UPDATE owner SET id = 7 WHERE id = 2",
    "DELETE FROM owner WHERE id = 3",
    "INSERT INTO account VALUES (1, 1, 10.00), (2, 7, 20)",
    "UPDATE account SET amount = 11.50 WHERE id = 1",
    "UPDATE owner SET note = 'e' WHERE id IN (1, 4)",
)


@pytest.fixture(scope="module")
def recorded(server: Server) -> Iterator[tuple[Engine, Digest]]:
    """A database with something in each table, and its digest."""
    with server.database() as url:
        engine = create_engine(url)
        tables().create_all(engine)
        for number, statement in enumerate(WORK):
            with engine.begin() as connection:
                connection.exec_driver_sql(
                    "SELECT set_config('temporal.author', 'ana', true), "
                    "set_config('temporal.message', 'work', true), "
                    f"set_config('temporal.context', '{{\"n\": {number}}}', true)"
                )
                connection.exec_driver_sql(statement)
        with engine.begin() as connection:
            history = table(
                "owner_history",
                *(column(name) for name in (ID_COLUMN, TX_COLUMN, END_COLUMN, "id")),
                schema=SCHEMA,
            )
            with redacting(connection, SCHEMA, 1, history, lambda h: [h.c.id == 3]):
                connection.exec_driver_sql(f"UPDATE {HISTORY} SET name = '' WHERE id = 3")
            connection.exec_driver_sql(f"SELECT {SCHEMA}.note_change('{LIVE}', 'redact', 1)")
        with engine.begin() as connection:
            repo = Repository(connection)
            repo.tag("v1", "HEAD~1")
            digest = repo.digest()
        engine.dispose()
        # One connection: what is edited and not committed can be verified.
        alone = create_engine(url, poolclass=StaticPool)
        yield alone, digest
        alone.dispose()


@pytest.fixture
def connection(recorded: tuple[Engine, Digest]) -> Iterator[Connection]:
    """A transaction that is rolled back."""
    with recorded[0].connect() as connection:
        connection.begin()
        for name in ("owner", "account"):
            connection.exec_driver_sql(f"ALTER TABLE {name} DISABLE TRIGGER USER")
        yield connection
        connection.rollback()


def found(connection: Connection, digest: Digest | None = None) -> tuple[Problem, ...]:
    return Repository(connection).verify(digest=digest).problems


def places(connection: Connection) -> set[str]:
    return {f"{p.table}.{p.column}" if p.column else p.table for p in found(connection)}


def test_nothing_is_found_where_nothing_was_edited(
    connection: Connection, recorded: tuple[Engine, Digest]
) -> None:
    assert found(connection, recorded[1]) == ()


# --------------------------------------------------------------------- the library's tables

EDITS: dict[str, Callable[[str], str]] = {
    "BIGINT": lambda c: f"coalesce({c}, 0) + 1000",
    "INTEGER": lambda c: f"{c} + 1000",
    "TEXT": lambda c: f"coalesce({c}, '') || 'x'",
    "DATETIME": lambda c: f"coalesce({c}, now()) + interval '1 second'",
    "UUID": lambda _: "'00000000-0000-4000-8000-000000000000'",
    "BLOB": lambda c: f"set_byte({c}, 0, get_byte({c}, 0) # 1)",
    "ARRAY": lambda c: f"{c} || {c}[1:1] || ARRAY(SELECT unnest('{{9}}'::bigint[]))",
    "JSON": lambda c: f"jsonb_set({c}, '{{x}}', '1')",
}
SPECIAL = {
    "commit.inflight": "inflight || 1::bigint",
    "versioned_tables.key_columns": "'{name}'",
    "versioned_tables.excluded_columns": "'{note}'",
    "versioned_tables.columns": "jsonb_set(columns, '{2,since}', '3')",
    "versioned_tables.options": """'{"history_table_suffix": "_past"}'""",
    "versioned_tables.gaps": """'[{"since": 900, "until": 901}]'""",
    "versioned_tables.capture": "'orm'",
    "transaction.context": """'{"n": 100}'""",
    "transaction.counts": "'{}'",
    "pk_change.old_key": """'{"id": 9}'""",
    "pk_change.new_key": """'{"id": 9}'""",
    "ref.kind": "'branch'",
}
ELSEWHERE = {
    # An identity that changed makes everything that names it look wrong.
    "versioned_tables.id": {f"{SCHEMA}.owner_history", LIVE},
    "versioned_tables.table_schema": {f"{SCHEMA}.versioned_tables.table_name"},
    "versioned_tables.history_schema": {f"{SCHEMA}.versioned_tables.history_table"},
    "versioned_tables.enabled_at": {f"{SCHEMA}.versioned_tables"},
    "versioned_tables.columns": {f"{SCHEMA}.versioned_tables"},
    "commit.tx_id": {f"{SCHEMA}.transaction"},
    "transaction.id": {f"{SCHEMA}.transaction"},
    "commit_root.seq": {f"{SCHEMA}.commit_root.seq"},
    "commit_root.table_id": {LIVE},
    "leaf_override.table_id": {f"{SCHEMA}.owner_history"},
    "leaf_override.id": {f"{SCHEMA}.leaf_override"},
    "leaf_override.kind": {f"{SCHEMA}.leaf_override"},
    "leaf_override.original_hash": {f"{SCHEMA}.leaf_override"},
    "leaf_override.current_hash": {f"{SCHEMA}.leaf_override"},
    "pk_change.id": {f"{SCHEMA}.pk_change"},
    "pk_change.old_key": {f"{SCHEMA}.pk_change"},
    "pk_change.new_key": {f"{SCHEMA}.pk_change"},
    "pk_change.table_schema": {f"{SCHEMA}.pk_change.table_name"},
}
NOT_COVERED = {
    # Names move, and a commit is deleted from the log, after commits were hashed.
    "ref": {"kind", "name", "author", "created_at"},
    "ref_log": None,
    "commit": {"deleted_at", "deleted_by", "deletion_reason"},
    # Nothing but the state of transactions and merges under way: what comes of them is.
    "pending": None,
    "merge": None,
    "conflict": None,
    "versioned_tables": {"partitioned_until"},
}


def covered() -> list[str]:
    names = []
    for each in SYSTEM.metadata.sorted_tables:
        skipped = NOT_COVERED.get(each.name, set())
        if skipped is not None:
            names += [f"{each.name}.{c.name}" for c in each.columns if c.name not in skipped]
    return names


def edited(name: str) -> str:
    each, _, of = name.partition(".")
    target: Table = getattr(SYSTEM, {"commit": "commit"}.get(each, each))
    kind = str(target.c[of].type.__visit_name__).upper()
    kind = {"BIG_INTEGER": "BIGINT", "LARGE_BINARY": "BLOB", "TYPE_DECORATOR": "DATETIME"}.get(
        kind, kind
    )
    value = SPECIAL.get(name) or EDITS[kind](f'"{of}"')
    which = {
        "commit": "seq = 4",
        "transaction": "commit_seq = 4",
        "commit_root": "seq = 4",
        "versioned_tables": "table_name = 'owner'",
    }.get(each, "true")
    kept = "ALTER TABLE {0}.{1} ALTER COLUMN id SET GENERATED BY DEFAULT; "
    before = (
        kept.format(SCHEMA, each) if target.c.get("id") is not None and target.c.id.identity else ""
    )
    return f'{before}UPDATE {SCHEMA}."{each}" SET "{of}" = {value} WHERE {which}'


@pytest.mark.parametrize("name", covered())
def test_an_edited_column_of_the_librarys_own_tables_is_found_there(
    connection: Connection, name: str
) -> None:
    for statement in edited(name).split("; "):
        assert connection.exec_driver_sql(statement).rowcount != 0
    wanted = ELSEWHERE.get(name, {f"{SCHEMA}.{name}"})
    assert wanted <= places(connection)


# --------------------------------------------------------------------- live and history rows


@pytest.mark.parametrize("of", ["id", "name", "note", "temporal_tx_id"])
def test_an_edited_column_of_a_live_row_is_found_by_its_key(
    connection: Connection, of: str
) -> None:
    value = {"id": "40", "temporal_tx_id": "3"}.get(of, "'x'")
    connection.exec_driver_sql(f"UPDATE owner SET {of} = {value} WHERE id = 4")
    key = {"id": 40 if of == "id" else 4}
    assert any(p.table == LIVE and p.key == key for p in found(connection))


@pytest.mark.parametrize(
    ("of", "value", "named"),
    [
        ("id", "40", None),
        ("name", "'x'", None),
        ("note", "NULL", "note"),
        ("temporal_id", "1000", None),
        ("temporal_operation", "'DELETE'", None),
        ("temporal_tx_id", "3", None),
        ("temporal_end_tx_id", "7", "temporal_end_tx_id"),
        ("temporal_valid_from", "now()", "temporal_valid_from"),
        ("temporal_valid_to", "now()", "temporal_valid_to"),
    ],
)
def test_an_edited_column_of_history_is_found_by_its_key(
    connection: Connection, of: str, value: str, named: str | None
) -> None:
    connection.exec_driver_sql(
        f"ALTER TABLE {HISTORY} ALTER COLUMN temporal_id SET GENERATED BY DEFAULT"
    )
    done = connection.exec_driver_sql(
        f"UPDATE {HISTORY} SET {of} = {value} WHERE id = 1 AND temporal_end_tx_id = 3"
    )
    assert done.rowcount == 1
    key = {"id": 40 if of == "id" else 1}
    assert any(
        p.table == HISTORY and p.key == key and p.column in (named, None) for p in found(connection)
    )
    if named:
        assert f"{HISTORY}.{named}" in places(connection)


@pytest.mark.parametrize(
    ("statement", "place"),
    [
        ("DELETE FROM owner WHERE id = 4", LIVE),
        (f"DELETE FROM {HISTORY} WHERE id = 3", LIVE),
        (f"DELETE FROM {SCHEMA}.commit WHERE seq = 4", f"{SCHEMA}.commit"),
        (f"DELETE FROM {SCHEMA}.transaction WHERE id = 4", f"{SCHEMA}.transaction"),
        (f"DELETE FROM {SCHEMA}.commit_root WHERE seq = 4", LIVE),
        (f"DELETE FROM {SCHEMA}.pk_change", LIVE),
        (f"DELETE FROM {SCHEMA}.leaf_override", LIVE),
        (
            f"DELETE FROM {SCHEMA}.versioned_tables WHERE table_name = 'account'",
            f"{SCHEMA}.versioned_tables",
        ),
    ],
)
def test_a_deleted_row_is_missed(connection: Connection, statement: str, place: str) -> None:
    assert connection.exec_driver_sql(statement).rowcount > 0
    found_at = {p.table for p in found(connection)}
    assert place in found_at or f"{place}_history" in found_at


@pytest.mark.parametrize(
    ("statement", "place"),
    [
        ("INSERT INTO owner VALUES (50, 'x', NULL, 2)", LIVE),
        ("INSERT INTO owner VALUES (50, 'x', NULL, 900)", f"{LIVE}.temporal_tx_id"),
        (
            (
                f"INSERT INTO {HISTORY} "
                "(id, temporal_operation, temporal_tx_id, temporal_end_tx_id) "
                "VALUES (50, 'DELETE', 2, 3)"
            ),
            HISTORY,
        ),
        (
            (
                f"INSERT INTO {HISTORY} "
                "(id, temporal_operation, temporal_tx_id, temporal_end_tx_id) "
                "VALUES (50, 'DELETE', 900, 901)"
            ),
            f"{HISTORY}.temporal_tx_id",
        ),
        (
            (
                f"INSERT INTO {SCHEMA}.commit "
                "(seq, tx_id, uuid, effective_at, hi, lo, inflight, hash) "
                "VALUES (900, 900, gen_random_uuid(), now(), 900, 901, '{}', sha256('x'))"
            ),
            f"{SCHEMA}.transaction",
        ),
        (
            (
                f"INSERT INTO {SCHEMA}.transaction SELECT 900, 0, started_at, committed_at, "
                "gen_random_uuid(), 'COMMIT', 'x', '', '', '{}', '{}' "
                f"FROM {SCHEMA}.transaction "
                "WHERE id = 4"
            ),
            f"{SCHEMA}.commit",
        ),
        (
            f"INSERT INTO {SCHEMA}.commit_root VALUES (4, 2, 1, sha256('x'), 'abcd')",
            "public.account",
        ),
        (
            f"INSERT INTO {SCHEMA}.commit_root VALUES (4, 77, 1, sha256('x'), 'abcd')",
            f"{SCHEMA}.commit.hash",
        ),
        (
            (
                f"INSERT INTO {SCHEMA}.pk_change "
                "(table_schema, table_name, tx_id, old_key, new_key) "
                "VALUES ('public', 'owner', 4, '{}', '{}')"
            ),
            f"{SCHEMA}.pk_change",
        ),
        (
            (
                f"INSERT INTO {SCHEMA}.leaf_override (table_id, tx_id, kind, by_tx_id) "
                "VALUES (1, 4, 'purged', 5)"
            ),
            f"{SCHEMA}.leaf_override",
        ),
    ],
)
def test_an_added_row_is_found(connection: Connection, statement: str, place: str) -> None:
    connection.exec_driver_sql(statement)
    assert place in places(connection)


@pytest.mark.parametrize(
    ("statement", "place"),
    [
        (
            (
                "UPDATE owner o SET name = p.name, note = p.note FROM owner p "
                "WHERE (o.id, p.id) IN ((1, 4), (4, 1))"
            ),
            LIVE,
        ),
        (
            (
                f"UPDATE {HISTORY} o SET name = p.name FROM {HISTORY} p "
                "WHERE (o.temporal_id, p.temporal_id) IN ((1, 4), (4, 1))"
            ),
            HISTORY,
        ),
        (
            (
                f"UPDATE {SCHEMA}.transaction o SET context = p.context "
                f"FROM {SCHEMA}.transaction p WHERE (o.id, p.id) IN ((3, 4), (4, 3))"
            ),
            f"{SCHEMA}.transaction.context",
        ),
        (
            (
                f"UPDATE {SCHEMA}.commit o SET hash = p.hash "
                f"FROM {SCHEMA}.commit p WHERE (o.seq, p.seq) IN ((3, 4), (4, 3))"
            ),
            f"{SCHEMA}.commit.hash",
        ),
        (
            (
                f"UPDATE {SCHEMA}.commit_root o SET root = p.root, marks = p.marks "
                f"FROM {SCHEMA}.commit_root p WHERE (o.seq, p.seq) IN ((3, 4), (4, 3))"
            ),
            LIVE,
        ),
    ],
)
def test_swapped_rows_are_found(connection: Connection, statement: str, place: str) -> None:
    assert connection.exec_driver_sql(statement).rowcount == 2
    assert place in places(connection) | {problem.table for problem in found(connection)}


@pytest.mark.parametrize(
    ("statement", "columns"),
    [
        # As they were in the version before, or as NULL.
        ("UPDATE owner SET name = 'x' WHERE id = 4", "name"),
        (f"UPDATE {HISTORY} SET name = 'x', note = 'y' WHERE id = 1 AND name = 'b'", "name, note"),
        (f"UPDATE {HISTORY} SET note = 'x' WHERE id = 1 AND temporal_end_tx_id = 3", "note"),
        # What it was is in no other version.
        ("UPDATE owner SET note = 'x' WHERE id = 4", None),
        ("UPDATE owner SET name = 'x' WHERE id = 7", None),  # under another key
    ],
)
def test_edited_columns_are_named_where_another_version_has_what_they_were(
    connection: Connection, statement: str, columns: str | None
) -> None:
    assert connection.exec_driver_sql(statement).rowcount == 1
    (problem,) = found(connection)
    assert (problem.kind, problem.column) == ("altered", columns)


def test_a_row_that_is_live_twice_over_is_found(connection: Connection) -> None:
    connection.exec_driver_sql(
        f"UPDATE {HISTORY} SET temporal_end_tx_id = 8 WHERE id = 1 AND temporal_end_tx_id = 3"
    )
    assert "overlap" in {p.kind for p in found(connection)}


# ------------------------------------------------------------------------- the whole of it


def forge(connection: Connection) -> None:
    """Edit a row and compute every hash anew, as the owner of a database can."""
    connection.exec_driver_sql("UPDATE owner SET name = 'x' WHERE id = 4")
    connection.exec_driver_sql(f"DELETE FROM {SCHEMA}.commit_root")
    connection.exec_driver_sql(f"UPDATE {SCHEMA}.commit SET hash = NULL, marks = NULL")
    Repository(connection).hash_commits()


def test_a_chain_computed_anew_is_found_with_a_digest_only(
    connection: Connection, recorded: tuple[Engine, Digest]
) -> None:
    forge(connection)
    assert found(connection) == ()
    problems = found(connection, recorded[1])
    assert [(p.kind, p.table, p.column) for p in problems] == [
        ("digest", f"{SCHEMA}.commit", "hash")
    ]


def test_a_digest_knows_what_tags_named(
    connection: Connection, recorded: tuple[Engine, Digest]
) -> None:
    connection.exec_driver_sql(
        f"UPDATE {SCHEMA}.ref SET commit_uuid = (SELECT uuid FROM {SCHEMA}.commit WHERE seq = 2) "
        "WHERE kind = 'tag'"
    )
    assert [(p.kind, p.table) for p in found(connection, recorded[1])] == [
        ("digest", f"{SCHEMA}.ref")
    ]


@pytest.mark.parametrize("which", ["true", "seq = 9"])
def test_commits_taken_away_are_sealed_again_from_their_transactions_with_the_same_hash(
    connection: Connection, recorded: tuple[Engine, Digest], which: str
) -> None:
    connection.exec_driver_sql(f"DELETE FROM {SCHEMA}.commit WHERE {which}")
    assert found(connection, recorded[1]) == ()


def test_a_commit_taken_from_the_end_is_found_with_a_digest(
    connection: Connection, recorded: tuple[Engine, Digest]
) -> None:
    last = connection.scalar(select(SYSTEM.commit.c.seq).order_by(SYSTEM.commit.c.seq.desc()))
    for each in ("commit", "commit_root"):
        connection.exec_driver_sql(f"DELETE FROM {SCHEMA}.{each} WHERE seq = {last}")
    connection.exec_driver_sql(f"DELETE FROM {SCHEMA}.transaction WHERE commit_seq = {last}")
    connection.exec_driver_sql(f"DELETE FROM {SCHEMA}.leaf_override")
    connection.exec_driver_sql(f"UPDATE {HISTORY} SET name = 'cy' WHERE id = 3")
    assert found(connection) == ()
    assert {p.kind for p in found(connection, recorded[1])} == {"digest"}


@pytest.mark.parametrize(
    "trick",
    [
        "ALTER TABLE owner DISABLE TRIGGER ALL",
        "ALTER TABLE owner DISABLE TRIGGER temporal_capture_update",
        "DROP TRIGGER temporal_capture_update ON owner",
    ],
)
def test_an_edit_past_the_triggers_is_found(connection: Connection, trick: str) -> None:
    connection.exec_driver_sql("ALTER TABLE owner ENABLE TRIGGER USER")
    connection.exec_driver_sql(trick)
    connection.exec_driver_sql("UPDATE owner SET name = 'x' WHERE id = 4")
    connection.exec_driver_sql(
        f"DELETE FROM {SCHEMA}.pending"  # nothing that would make a commit of it
    )
    assert {p.table for p in found(connection)} & {LIVE, HISTORY}


def test_an_edit_in_the_role_of_a_replica_is_a_commit_like_any_other(
    recorded: tuple[Engine, Digest],
) -> None:
    with recorded[0].begin() as connection:
        connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        connection.exec_driver_sql("UPDATE account SET amount = 1 WHERE id = 2")
    with recorded[0].begin() as connection:
        repo = Repository(connection)
        assert repo.head.counts == {"public.account": {"update": 1}}
        assert repo.verify(digest=recorded[1]).ok


def test_marks_tell_every_row_that_was_edited(connection: Connection) -> None:
    connection.execute(text("UPDATE owner SET note = 'x' WHERE id IN (1, 4)"))
    keys = [p.key for p in found(connection) if p.table == LIVE]
    assert sorted(k["id"] for k in keys if k) == [1, 4]
