"""Values are erased from a row and its past, on record, and verified as redacted."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Column, Engine, ForeignKey, Integer, MetaData, Table, Text, text
from sqlalchemy.orm import Session

from sqlalchemy_temporal import (
    NotInstalledError,
    RedactionError,
    Repository,
    TemporalSession,
    UnknownOptionError,
    describe,
    install,
    redact,
    resolve,
    sync_versioning,
    versioned_table,
)
from tests.tables.shop import Shop, history_rows, open_shop

SECRET = "a1|a2|a3|a4|a5"


@pytest.fixture
def shop(pg_engine: Engine) -> Shop:
    return open_shop(pg_engine)


def everything(engine: Engine, table: str = "item") -> str:
    """All values of a table and of its history, as one text."""
    with engine.begin() as connection:
        rows = connection.scalars(
            text(
                f"SELECT t::text FROM {table} t "
                f"UNION ALL SELECT h::text FROM temporal_versioning.{table}_history h"
            )
        )
        return "\n".join(rows)


def verified(engine: Engine) -> list[tuple[str, str]]:
    with engine.begin() as connection:
        found = Repository(connection).verify()
    assert [str(problem) for problem in found.problems] == []
    return [(each.kind, each.table) for each in found.withdrawn]


def test_a_row_and_all_its_past_are_overwritten(shop: Shop) -> None:
    result = redact(shop.engine, "item", 1, ["name"], replacement={"name": "–"})
    assert (result.versions, result.live, result.columns) == (5, True, ("name",))
    assert "redacted in 5 version(s) and the live row" in str(result)
    assert result.to_dict()["table"] == "public.item"
    left = everything(shop.engine)
    assert not any(secret in left for secret in SECRET.split("|"))
    assert left.count("–") == 6
    assert "b1" in left


def test_it_is_a_commit_with_author_and_reason(shop: Shop) -> None:
    redact(
        shop.engine,
        "item",
        1,
        ["name"],
        replacement={"name": "–"},
        author="dpo",
        reason="request 17",
    )
    with shop.engine.begin() as connection:
        head = Repository(connection).head
    assert (head.operation, head.author, head.message) == ("REDACT", "dpo", "request 17")
    assert head.counts == {"public.item": {"update": 1, "redact": 5}}


@pytest.mark.parametrize("hashed", [True, False])
def test_verification_tells_it_as_redacted(shop: Shop, hashed: bool) -> None:
    if hashed:
        verified(shop.engine)
    redact(shop.engine, "item", 1, ["name"], replacement={"name": "–"})
    assert verified(shop.engine) == [("redacted", "public.item")]
    redact(shop.engine, "item", 1, ["name"], replacement={"name": "again"})
    assert len(verified(shop.engine)) == 1
    shop.run("UPDATE item SET note = 'later'", "DELETE FROM item WHERE id = 1")
    assert len(verified(shop.engine)) == 1


def test_tampering_beside_a_redaction_is_still_found(shop: Shop) -> None:
    verified(shop.engine)
    redact(shop.engine, "item", 1, ["name"], replacement={"name": "–"})
    with shop.engine.begin() as connection:
        connection.execute(
            text("UPDATE temporal_versioning.item_history SET name = 'x' WHERE name = 'b1'")
        )
    with shop.engine.begin() as connection:
        assert not Repository(connection).verify().ok


def test_the_past_reads_as_redacted(shop: Shop) -> None:
    redact(shop.engine, "item", 1, ["name"], replacement={"name": "–"})
    with TemporalSession(shop.engine) as session, session.as_of(shop.copies[0][0].uuid) as past:
        rows = past.execute(shop.table.select().order_by(shop.table.c.id)).all()
    assert [row.name for row in rows] == ["–", "b1", "c1", "d1"]


def test_without_a_replacement_it_is_null(shop: Shop) -> None:
    shop.run("UPDATE item SET note = 'secret' WHERE id = 2")
    shop.run("UPDATE item SET note = 'public' WHERE id = 2")
    assert redact(shop.engine, "item", 2, "note").versions == 2
    assert "secret" not in everything(shop.engine)


def test_history_alone_can_be_redacted(shop: Shop) -> None:
    result = redact(shop.engine, "item", 1, ["name"], replacement={"name": "–"}, versions="history")
    assert (result.versions, result.live) == (4, False)
    assert "a5" in everything(shop.engine)
    verified(shop.engine)


def test_the_live_row_alone_leaves_no_trace_of_its_value(shop: Shop) -> None:
    result = redact(shop.engine, "item", 1, ["name"], replacement={"name": "–"}, versions="live")
    assert (result.versions, result.live) == (1, True)
    left = everything(shop.engine)
    assert "a5" not in left
    assert "a4" in left


def test_a_row_that_was_deleted_is_redacted_in_history(shop: Shop) -> None:
    result = redact(shop.engine, "item", 4, ["name"], replacement={"name": "–"})
    assert (result.versions, result.live) == (1, False)
    assert "d1" not in everything(shop.engine)


def test_what_is_redacted_already_makes_no_commit(shop: Shop) -> None:
    redact(shop.engine, "item", 1, ["name"], replacement={"name": "–"})
    with shop.engine.begin() as connection:
        before = resolve(connection, "HEAD")
    assert redact(shop.engine, "item", 1, ["name"], replacement={"name": "–"}).versions == 0
    with shop.engine.begin() as connection:
        assert resolve(connection, "HEAD") == before


def test_former_keys_are_followed_when_asked(shop: Shop) -> None:
    shop.run("UPDATE item SET id = 10 WHERE id = 1")
    shop.run("INSERT INTO item VALUES (1, 'other')")
    shop.run("UPDATE item SET name = 'other2' WHERE id = 1")
    shop.run("UPDATE item SET id = 11, name = 'a6' WHERE id = 10")
    value = {"name": "–"}
    assert redact(shop.engine, "item", 11, ["name"], replacement=value).versions == 1
    assert "a5" in everything(shop.engine)
    found = redact(shop.engine, "item", 11, ["name"], replacement=value, follow_key_changes=True)
    assert (found.versions, found.live) == (6, False)
    left = everything(shop.engine)
    assert not any(secret in left for secret in [*SECRET.split("|"), "a6"])
    assert "other" in left
    verified(shop.engine)


def test_a_key_that_was_left_leads_to_the_later_one(shop: Shop) -> None:
    shop.run("UPDATE item SET id = 10 WHERE id = 1")
    redact(shop.engine, "item", 1, ["name"], replacement={"name": "–"}, follow_key_changes=True)
    left = everything(shop.engine)
    assert not any(secret in left for secret in SECRET.split("|"))


def test_composite_keys_and_computed_columns(pg_engine: Engine) -> None:
    with pg_engine.begin() as connection:
        connection.execute(
            text(
                "CREATE TABLE person (country text, number int, email text NOT NULL, "
                "domain text GENERATED ALWAYS AS (split_part(email, '@', 2)) STORED, "
                "age int, data json, PRIMARY KEY (country, number))"
            )
        )
        table = Table(
            "person",
            MetaData(),
            Column("country", Text, primary_key=True),
            Column("number", Integer, primary_key=True),
        )
        versioned_table(table)
        install(connection, table)
    for value in ("ana@secret.org", "ana@hidden.org"):
        with pg_engine.begin() as connection:
            connection.execute(
                text(
                    "INSERT INTO person VALUES ('de', 7, :v, DEFAULT, 3, '{\"a\": 1}') "
                    "ON CONFLICT (country, number) DO UPDATE SET email = :v"
                ),
                {"v": value},
            )
    verified(pg_engine)
    for key in ({"country": "de", "number": 7}, ["de", 7]):
        redact(
            pg_engine,
            "person",
            key,
            ["email", "age", "data"],
            replacement={"email": "gone@example.org", "data": {"b": 2}},
        )
    left = everything(pg_engine, "person")
    assert not any(secret in left for secret in ("secret", "hidden", "ana"))
    assert left.count("gone@example.org,example.org,,") == 3
    assert verified(pg_engine) == [("redacted", "public.person")]


def test_a_column_that_was_dropped_is_redacted_in_history(shop: Shop) -> None:
    shop.run("UPDATE item SET note = 'secret' WHERE id = 2")
    shop.run("UPDATE item SET note = 'public' WHERE id = 2")
    with shop.engine.begin() as connection:
        connection.execute(text("ALTER TABLE item DROP COLUMN note"))
        slim = Table(
            "item", MetaData(), Column("id", Integer, primary_key=True), Column("name", Text)
        )
        sync_versioning(connection, versioned_table(slim))
    assert redact(shop.engine, "item", 2, ["note"]).versions == 1
    assert "secret" not in everything(shop.engine)


def test_in_a_callers_transaction_it_is_rolled_back_with_it(shop: Shop) -> None:
    with Session(shop.engine) as session:
        redact(session, "item", 1, ["name"], replacement={"name": "–"})
        session.rollback()
    assert "a5" in everything(shop.engine)
    with shop.engine.begin() as connection:
        describe(connection, author="ana")
        redact(connection, "item", 1, ["name"], replacement={"name": "–"})
    with shop.engine.begin() as connection:
        head = Repository(connection).head
        assert (head.operation, head.author) == ("REDACT", "ana")
        assert history_rows(connection).count("–") == 5


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"key": 99}, "no version .* has the key 99"),
    ({"columns": ["name"], "replacement": {}}, "must not be NULL; give a replacement"),
    ({"columns": ["nothing"], "replacement": {}}, "no column nothing"),
    ({"columns": ["id"], "replacement": {"id": 5}}, "belongs to the key"),
    ({"columns": [], "replacement": {}}, "name the columns"),
    ({"replacement": {"name": "–", "note": "x"}}, "replacement is given for note"),
    ({"key": {"wrong": 1}}, "the key of public.item is id, not wrong"),
    ({"key": [1, 2]}, r"2 value\(s\) are given"),
    ({"key": "one"}, "cannot be redacted like this"),
]


def test_what_cannot_be_redacted_is_refused_and_nothing_changes(shop: Shop) -> None:
    before = everything(shop.engine)
    for arguments, message in REFUSED:
        given = {"key": 1, "columns": ["name"], "replacement": {"name": "–"}} | arguments
        with pytest.raises(RedactionError, match=message):
            redact(shop.engine, "item", **given)
    assert everything(shop.engine) == before


def test_a_replacement_of_the_wrong_type_is_refused(pg_engine: Engine) -> None:
    metadata = MetaData()
    versioned_table(
        Table("house", metadata, Column("id", Integer, primary_key=True), Column("rooms", Integer))
    )
    metadata.create_all(pg_engine)
    with pg_engine.begin() as connection:
        connection.execute(text("INSERT INTO house VALUES (1, 4)"))
    with pytest.raises(RedactionError, match=r"'many' is no replacement for rooms \(integer\)"):
        redact(pg_engine, "house", 1, ["rooms"], replacement={"rooms": "many"})


def test_a_constraint_that_forbids_it_is_told(pg_engine: Engine) -> None:
    metadata = MetaData()
    for table in (
        Table("house", metadata, Column("id", Integer, primary_key=True)),
        Table(
            "room",
            metadata,
            Column("id", Integer, primary_key=True),
            Column("house_id", ForeignKey("house.id"), nullable=False),
        ),
    ):
        versioned_table(table)
    metadata.create_all(pg_engine)
    with pg_engine.begin() as connection:
        connection.execute(text("INSERT INTO house VALUES (1)"))
        connection.execute(text("INSERT INTO room VALUES (1, 1)"))
    with pytest.raises(RedactionError, match=r"cannot be redacted like this: .*foreign key"):
        redact(pg_engine, "room", 1, ["house_id"], replacement={"house_id": 2})


def test_unknown_options_and_tables_are_refused(shop: Shop) -> None:
    with pytest.raises(UnknownOptionError, match="'all', 'history' or 'live'"):
        redact(shop.engine, "item", 1, ["note"], versions="some")  # type: ignore[arg-type]
    with pytest.raises(NotInstalledError):
        redact(shop.engine, "nothing", 1, ["note"])
