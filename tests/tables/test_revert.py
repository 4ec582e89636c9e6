"""Tables as they were: what would be done is shown exactly, and that and only that is done."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from sqlalchemy_temporal import (
    AccessModeError,
    BeforeVersioningError,
    ConstraintViolationError,
    Moment,
    NotInstalledError,
    RevertResult,
    TemporalSession,
    TemporalTables,
    UnknownOptionError,
    describe,
    revert_table_data,
)
from tests.capture.test_install import objects
from tests.tables.fixtures import commit, head, run


class Base(DeclarativeBase):
    pass


class Customer(Base):
    __tablename__ = "customers"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


@pytest.fixture
def then(tables: TemporalTables, pg_engine: Engine) -> Moment:
    """A moment since which a row was added, one deleted, one modified."""
    found = head(pg_engine)
    run(
        pg_engine,
        "INSERT INTO customers VALUES (3, 'Cy')",
        "DELETE FROM customers WHERE id = 2",
        "UPDATE customers SET name = 'Ann' WHERE id = 1",
    )
    return found


def rows(engine: Engine, table: str = "customers") -> list[Any]:
    with engine.begin() as connection:
        query = f"SELECT * FROM {table} ORDER BY 1"
        return [tuple(row)[:-1] for row in connection.exec_driver_sql(query)]


def planned(found: RevertResult) -> list[tuple[str, Any, tuple[str, ...]]]:
    return sorted((row.operation, next(iter(row.key.values())), row.changed) for row in found)


def test_the_preview_says_exactly_what_would_be_done_and_does_nothing(
    tables: TemporalTables, then: Moment, pg_engine: Engine
) -> None:
    before, at, made = rows(pg_engine), head(pg_engine), objects(pg_engine)
    found = tables.revert_table_data("customers", then.uuid)
    assert planned(found) == [
        ("DELETE", 3, ()),
        ("INSERT", 2, ()),
        ("UPDATE", 1, ("name",)),
    ]
    update = next(row for row in found if row.operation == "UPDATE")
    assert ((update.before or {})["name"], (update.after or {})["name"]) == ("Ann", "Alice")
    assert (found.dry_run, found.inserted, found.updated, found.deleted) == (True, 1, 1, 1)
    assert (found.is_possible, found.transaction, found.commit) == (True, None, None)
    assert (rows(pg_engine), head(pg_engine).uuid, objects(pg_engine)) == (before, at.uuid, made)


def test_executing_does_that_and_only_that_as_a_recorded_commit(
    tables: TemporalTables, then: Moment, pg_engine: Engine
) -> None:
    preview = tables.revert_table_data("customers", then.uuid)
    found = tables.revert_table_data("customers", then.uuid, dry_run=False, author="ana")
    assert planned(found) == planned(preview)
    assert rows(pg_engine) == [(1, "Alice", "alice@example.com"), (2, "Bob", None)]
    made = found.commit
    assert made is not None
    assert (made.uuid, made.operation, made.author) == (head(pg_engine).uuid, "REVERT", "ana")
    assert made.message == f"Revert public.customers to {then.effective_at.isoformat(sep=' ')}"
    assert made.counts == {"public.customers": {"insert": 1, "update": 1, "delete": 1}}
    assert [c.commit.uuid for c in tables.get_change_history("customers")][-3:] == [made.uuid] * 3


def test_a_revert_is_itself_reverted(
    tables: TemporalTables, then: Moment, pg_engine: Engine
) -> None:
    before = rows(pg_engine)
    tables.revert_table_data("customers", then.uuid, dry_run=False)
    tables.revert_table_data("customers", "HEAD~1", dry_run=False, message="no, after all")
    assert rows(pg_engine) == before


def test_where_nothing_differs_no_commit_is_made(
    tables: TemporalTables, then: Moment, pg_engine: Engine
) -> None:
    at = head(pg_engine)
    found = tables.revert_table_data("customers", "HEAD", dry_run=False)
    assert (len(found), found.commit) == (0, None)
    assert head(pg_engine).uuid == at.uuid


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({"id": 1}, [("UPDATE", 1, ("name",))]),
        ({"name": "Ann"}, [("UPDATE", 1, ("name",))]),
        (lambda t: t.c.id > 2, [("DELETE", 3, ())]),
        (Customer.name == "Bob", [("INSERT", 2, ())]),
    ],
)
def test_a_part_of_a_table_is_reverted(
    tables: TemporalTables, then: Moment, pg_engine: Engine, where: Any, expected: list[Any]
) -> None:
    found = tables.revert_table_data("customers", then.uuid, dry_run=False, where=where)
    assert planned(found) == expected
    assert len(tables.compare_temporal_data("customers", then.uuid)) == 2


def test_a_limit_shortens_the_list_and_nothing_else(
    tables: TemporalTables, pg_engine: Engine
) -> None:
    then = head(pg_engine)
    run(pg_engine, "INSERT INTO customers SELECT i, 'n' FROM generate_series(10, 2009) i")
    found = tables.revert_table_data("customers", then.uuid, dry_run=False, limit=3)
    assert (len(found.rows), found.more, found.deleted, len(found)) == (3, True, 2000, 2000)
    assert len(rows(pg_engine)) == 2


def test_the_answer_prints_and_converts(tables: TemporalTables, then: Moment) -> None:
    found = tables.revert_table_data("customers", then.uuid)
    at = then.effective_at.isoformat(sep=" ")
    assert str(found).splitlines()[0] == (
        f"public.customers as of {at}: would be 1 inserted, 1 updated, 1 deleted"
    )
    assert "nothing was changed; call with dry_run=False to do it" in str(found)
    plain = json.loads(json.dumps(found.to_dict()))
    assert plain["totals"] == {"public.customers": {"inserted": 1, "updated": 1, "deleted": 1}}
    assert {row["origin"] for row in plain["rows"]} == {"plan"}


# ------------------------------------------------------------------------- several tables


@pytest.fixture
def shop(pg_engine: Engine) -> TemporalTables:
    """Orders with lines, and notes on orders that go with them."""
    run(
        pg_engine,
        "CREATE TABLE orders (id int PRIMARY KEY, total int)",
        "CREATE TABLE lines (id int PRIMARY KEY, order_id int NOT NULL REFERENCES orders, n int)",
        "CREATE TABLE notes (id int PRIMARY KEY, "
        "order_id int NOT NULL REFERENCES orders ON DELETE CASCADE)",
        "INSERT INTO orders VALUES (1, 10), (2, 20)",
        "INSERT INTO lines VALUES (1, 1, 5), (2, 2, 5)",
        "INSERT INTO notes VALUES (1, 2)",
    )
    tables = TemporalTables(pg_engine)
    tables.enable_many(["orders", "lines", "notes"])
    return tables


def test_several_tables_are_reverted_in_the_order_of_their_foreign_keys(
    shop: TemporalTables, pg_engine: Engine
) -> None:
    then = head(pg_engine)
    run(pg_engine, "DELETE FROM lines", "DELETE FROM orders")
    run(pg_engine, "INSERT INTO orders VALUES (3, 1)", "INSERT INTO lines VALUES (3, 3, 1)")
    found = shop.revert_table_data(["lines", "orders", "notes"], then.uuid, dry_run=False)
    assert rows(pg_engine, "orders") == [(1, 10), (2, 20)]
    assert rows(pg_engine, "lines") == [(1, 1, 5), (2, 2, 5)]
    assert rows(pg_engine, "notes") == [(1, 2)]
    assert {key.table for key in found.foreign_keys} == {"public.lines", "public.notes"}
    assert found.commit is not None
    assert set(found.commit.counts) == {"public.orders", "public.lines", "public.notes"}


def test_what_constraints_forbid_is_listed_and_refused(
    shop: TemporalTables, pg_engine: Engine
) -> None:
    then = head(pg_engine)
    run(pg_engine, "INSERT INTO orders VALUES (3, 1)", "INSERT INTO lines VALUES (7, 3, 1)")
    before = rows(pg_engine, "orders")
    preview = shop.revert_table_data("orders", then.uuid)
    assert not preview.is_possible
    assert [(v.kind, v.table, v.count) for v in preview.violations] == [
        ("referenced", "public.lines", 1)
    ]
    assert "forbidden by referenced: 1 row of public.lines (7), lines_order_id_fkey" in str(preview)
    with pytest.raises(ConstraintViolationError, match=r"public\.lines"):
        shop.revert_table_data("orders", then.uuid, dry_run=False)
    assert rows(pg_engine, "orders") == before
    assert shop.revert_table_data(["orders", "lines"], then.uuid, dry_run=False).deleted == 2


def test_rows_that_follow_by_a_cascade_are_part_of_the_preview(
    shop: TemporalTables, pg_engine: Engine
) -> None:
    then = head(pg_engine)
    run(pg_engine, "INSERT INTO orders VALUES (3, 1)", "INSERT INTO notes VALUES (9, 3)")
    found = shop.revert_table_data("orders", then.uuid)
    follows = [(row.table, row.key, row.origin) for row in found if row.origin != "plan"]
    assert follows == [("public.notes", {"id": 9}, "notes_order_id_fkey")]
    shop.revert_table_data("orders", then.uuid, dry_run=False)
    assert rows(pg_engine, "notes") == [(1, 2)]


def test_each_of_several_tables_has_its_own_condition(
    shop: TemporalTables, pg_engine: Engine
) -> None:
    then = head(pg_engine)
    run(pg_engine, "UPDATE orders SET total = 0", "UPDATE lines SET n = 0")
    names = ["orders", "lines"]
    found = shop.revert_table_data(names, then.uuid, False, where={"orders": {"id": 1}})
    assert (found.totals["public.orders"].updated, found.totals["public.lines"].updated) == (1, 2)
    for bad in ({"id": 1}, Customer.id == 1):
        with pytest.raises(UnknownOptionError, match="mapping from their names"):
            shop.revert_table_data(names, then.uuid, where=bad)
    with pytest.raises(UnknownOptionError, match="name of a table"):
        shop.revert_table_data([], then.uuid)


# ------------------------------------------------------------------------------- transactions


def test_it_belongs_to_the_transaction_of_a_connection(
    tables: TemporalTables, then: Moment, pg_engine: Engine
) -> None:
    before = rows(pg_engine)
    with pg_engine.connect() as connection:
        revert_table_data(connection, "customers", then.uuid)
        found = revert_table_data(connection, "customers", then.uuid, dry_run=False)
        assert (found.transaction is None, found.commit) == (False, None)
        connection.rollback()
        assert rows(pg_engine) == before
        describe(connection, author="bea", message="mine")
        revert_table_data(connection, "customers", then.uuid, dry_run=False)
        connection.commit()
    change = tables.get_change_history("customers", newest_first=True)[0]
    assert (change.author, change.message, change.commit.operation) == ("bea", "mine", "REVERT")


@pytest.mark.parametrize("level", ["AUTOCOMMIT", "REPEATABLE READ", "SERIALIZABLE"])
def test_an_engine_of_any_isolation_reverts_all_or_nothing(
    tables: TemporalTables, then: Moment, pg_engine: Engine, level: str
) -> None:
    other = TemporalTables(pg_engine.execution_options(isolation_level=level))
    assert len(other.query_temporal_data("customers", then.uuid, access="restricted")) == 2
    assert len(other.revert_table_data("customers", then.uuid)) == 3
    done = other.revert_table_data("customers", then.uuid, dry_run=False)
    assert done.commit is not None
    assert done.commit.counts == {"public.customers": {"insert": 1, "update": 1, "delete": 1}}
    assert [name for _, name in objects(pg_engine) if "plan" in name] == []


def test_a_temporal_session_describes_the_revert(
    tables: TemporalTables, then: Moment, pg_engine: Engine
) -> None:
    with TemporalSession(pg_engine) as session:
        session.describe(author="bea", context={"ticket": 7})
        revert_table_data(session, "customers", then.uuid, dry_run=False, message="undo it")
        session.commit()
    change = tables.get_change_history("customers", newest_first=True)[0]
    assert (change.author, change.message, change.commit.context) == (
        "bea",
        "undo it",
        {"ticket": 7},
    )


def test_objects_of_a_session_are_loaded_anew(
    tables: TemporalTables, then: Moment, pg_engine: Engine
) -> None:
    with Session(pg_engine) as session:
        customer = session.scalars(select(Customer).where(Customer.id == 1)).one()
        assert customer.name == "Ann"
        revert_table_data(session, "customers", then.uuid, dry_run=False)
        assert customer.name == "Alice"
        session.commit()
    assert len(rows(pg_engine)) == 2


def test_an_edit_that_races_is_neither_lost_nor_overwritten_unseen(
    tables: TemporalTables, then: Moment, pg_engine: Engine
) -> None:
    """Whoever edits first wins the lock; the revert then sees that edit, too."""
    with pg_engine.connect() as editor:
        editor.exec_driver_sql("UPDATE customers SET email = 'late' WHERE id = 1")
        done: list[RevertResult] = []
        worker = threading.Thread(
            target=lambda: done.append(
                tables.revert_table_data("customers", then.uuid, dry_run=False)
            )
        )
        worker.start()
        with pg_engine.connect() as other:
            waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
            while not other.exec_driver_sql(waiting).scalar():
                other.rollback()
        editor.commit()
    worker.join()
    (found,) = done
    update = next(row for row in found if row.operation == "UPDATE")
    assert update.changed == ("name", "email")
    assert rows(pg_engine)[0] == (1, "Alice", "alice@example.com")
    assert [c.changed for c in tables.get_row_history("customers", 1)][-1] == ("name", "email")


def test_a_trigger_of_the_application_that_interferes_is_refused(
    tables: TemporalTables, then: Moment, pg_engine: Engine
) -> None:
    run(
        pg_engine,
        "CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN NEW.name := upper(NEW.name); RETURN NEW; END $$",
        "CREATE TRIGGER shout BEFORE UPDATE ON customers FOR EACH ROW EXECUTE FUNCTION shout()",
    )
    before = rows(pg_engine)
    with pytest.raises(Exception, match="trigger"):
        tables.revert_table_data("customers", then.uuid, dry_run=False)
    assert rows(pg_engine) == before


# ---------------------------------------------------------------------------------- refusals


def test_what_cannot_be_reverted_is_refused(
    tables: TemporalTables, then: Moment, pg_engine: Engine
) -> None:
    with pytest.raises(BeforeVersioningError):
        tables.revert_table_data("customers", "1999-01-01 00:00+00", dry_run=False)
    restricted = TemporalTables(pg_engine, access="restricted")
    for dry_run in (True, False):
        with pytest.raises(AccessModeError, match="needs access='unrestricted'"):
            restricted.revert_table_data("customers", then.uuid, dry_run)
    tables.disable_temporal_versioning("customers")
    with pytest.raises(NotInstalledError, match=r"public\.customers is disabled"):
        tables.revert_table_data("customers", then.uuid, dry_run=False)
    tables.enable_temporal_versioning("customers")
    found = tables.revert_table_data("customers", then.uuid, dry_run=False)
    assert [gap.why for gap in found.gaps] == ["gap"]


def test_a_role_that_may_not_write_is_refused_by_the_database(
    tables: TemporalTables, then: Moment, pg_engine: Engine
) -> None:
    then_uuid = then.uuid
    commit(
        pg_engine,
        "CREATE ROLE reader_of_this",
        "GRANT SELECT ON customers TO reader_of_this",
        "GRANT USAGE ON SCHEMA temporal_versioning TO reader_of_this",
        "GRANT SELECT ON ALL TABLES IN SCHEMA temporal_versioning TO reader_of_this",
    )
    try:
        with pg_engine.connect() as connection:
            connection.exec_driver_sql("SET ROLE reader_of_this")
            with pytest.raises(DBAPIError, match="permission denied"):
                revert_table_data(connection, "customers", then_uuid, dry_run=False)
    finally:
        run(pg_engine, "DROP OWNED BY reader_of_this", "DROP ROLE reader_of_this")
