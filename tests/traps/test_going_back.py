"""Traps of going back: restores, merges and retention that lose what they should keep."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import Column, Engine, Integer, MetaData, Table, delete, func, select, text, update

from sqlalchemy_temporal import (
    BeforeVersioningError,
    Moment,
    PurgedHistoryError,
    count_versions,
    enable_temporal_versioning,
    get_change_history,
    purge_history,
    query_temporal_data,
    resolve,
    revert_table_data,
    versioned_table,
    versions_between,
)
from sqlalchemy_temporal.schema import history_table
from tests.traps.conftest import Shop


def head(engine: Engine) -> Moment:
    with engine.begin() as connection:
        return resolve(connection, "HEAD")


def run(engine: Engine, *statements: str) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def test_a_deletion_can_be_reverted(shop: Shop) -> None:
    # Elsewhere version.revert() of a deleted object updates a row that is not there.
    shop.commit(lambda s: s.add(shop.Item(id=1, name="a", stock=3, tags=[shop.Tag(id=7)])))
    shop.commit(lambda s: s.delete(s.get_one(shop.Item, 1)))
    shop.commit(lambda s: s.repository.revert("HEAD"))
    with shop.session() as session:
        item = session.get_one(shop.Item, 1)
        assert (item.name, item.stock, [tag.id for tag in item.tags]) == ("a", 3, [7])


def test_rolling_back_does_something(shop: Shop) -> None:
    # Elsewhere "before" is read after the statement has run, and the rollback writes the
    # new values over themselves.
    shop.commit(lambda s: s.add(shop.Item(id=1, name="before")))
    shop.commit(lambda s: s.execute(update(shop.Item).values(name="after")))
    shop.commit(lambda s: s.repository.rollback())
    assert shop.names("HEAD") == {1: "before"}


def test_a_restored_row_is_updated_and_its_children_stay(shop: Shop) -> None:
    # Elsewhere a restore is DELETE and INSERT: cascades take the children away, and the
    # identity column goes on from somewhere else.
    shop.commit(lambda s: s.add(shop.Item(name="a", parts=[shop.Part()])))
    wanted = shop.head()
    shop.commit(lambda s: s.execute(update(shop.Item).values(name="b")))
    shop.commit(lambda s: s.repository.restore(wanted, shop.Item))
    shop.commit(lambda s: s.add(shop.Item(name="next")))
    assert shop.names("HEAD") == {1: "a", 2: "next"}
    with shop.session() as session:
        (part,) = session.scalars(select(shop.Part))
        assert [version.operation for version in part.versions] == ["INSERT"]


@pytest.mark.postgresql
def test_an_edit_that_races_a_restore_comes_before_it_or_after(shop: Shop) -> None:
    # Elsewhere the difference is read first and written later: an edit in between is
    # overwritten unseen, or stays in what claims to be the restored state.
    wanted = shop.commit(lambda s: s.add_all(shop.Item(id=n, name="a") for n in range(50)))
    stop = threading.Event()

    def edit() -> None:
        while not stop.is_set():
            with shop.session.begin() as session:
                session.execute(
                    update(shop.Item)
                    .where(shop.Item.id % 7 == 3)
                    .values(name=shop.Item.name + "!")
                    .execution_options(synchronize_session=False)
                )

    editor = threading.Thread(target=edit)
    editor.start()
    try:
        done = []
        for _ in range(5):
            with shop.session.begin() as session:
                done.append(session.repository.restore(wanted))
    finally:
        stop.set()
        editor.join()
    for each in done:
        if each.commit is not None:
            assert shop.names(each.commit) == dict.fromkeys(range(50), "a")


def test_a_deletion_on_one_side_survives_the_merge(shop: Shop) -> None:
    # Elsewhere two states are compared without their base: what one side deleted looks as
    # if the other had added it, and is resurrected.
    shop.commit(lambda s: s.add_all(shop.Item(id=n, name="a") for n in (1, 2, 3)))
    shop.commit(lambda s: s.repository.switch("spring", create=True))
    shop.commit(lambda s: s.execute(delete(shop.Item).where(shop.Item.id == 1)))
    shop.commit(lambda s: s.repository.switch("main"))
    shop.commit(lambda s: s.execute(update(shop.Item).where(shop.Item.id == 2).values(name="b")))
    shop.commit(lambda s: s.repository.merge("spring"))
    assert shop.names("HEAD") == {2: "b", 3: "a"}


def test_retention_keeps_what_later_answers_need(shop: Shop) -> None:
    # Elsewhere old entries are deleted by age, among them the last full state before the
    # horizon: later moments are rebuilt from nothing.
    shop.commit(lambda s: s.add_all([shop.Item(id=1, name="a"), shop.Item(id=2, name="b")]))
    before = shop.head()
    horizon = shop.commit(
        lambda s: s.execute(update(shop.Item).where(shop.Item.id == 1).values(name="c"))
    )
    shop.commit(lambda s: s.execute(delete(shop.Item).where(shop.Item.id == 2)))
    purge_history(shop.engine, horizon, "item", dry_run=False, author="keeper")
    assert shop.names(horizon) == {1: "c", 2: "b"}
    with pytest.raises(PurgedHistoryError):
        shop.names(before)


def test_a_count_is_of_all_pages(shop: Shop) -> None:
    # Elsewhere the total is len() of the page.
    shop.commit(lambda s: s.add_all(shop.Item(id=n, name="a") for n in range(7)))
    with shop.session() as session:
        assert len(versions_between(session, shop.Item, limit=3)) == 3
        assert count_versions(session, shop.Item) == 7
    found = get_change_history(shop.engine, "item", limit=3)
    assert (len(found), found.more) == (3, True)


def test_the_key_is_the_key_wherever_it_stands(any_engine: Engine) -> None:
    # Elsewhere the first column, or one called "id", is taken for the primary key.
    run(
        any_engine,
        "CREATE TABLE price (id INTEGER, shop INTEGER, product INTEGER, amount INTEGER, "
        "PRIMARY KEY (product, shop))",
        "INSERT INTO price VALUES (5, 1, 1, 10), (5, 2, 1, 20), (5, 1, 2, 30)",
    )
    enable_temporal_versioning(any_engine, "price")
    wanted = head(any_engine)
    run(
        any_engine,
        "UPDATE price SET amount = 0 WHERE shop = 1 AND product = 1",
        "DELETE FROM price WHERE shop = 2",
    )
    revert_table_data(any_engine, "price", wanted, False)
    with any_engine.connect() as connection:
        found = connection.execute(text("SELECT amount FROM price ORDER BY amount"))
        assert found.scalars().all() == [10, 20, 30]


@pytest.mark.postgresql
def test_tables_of_one_name_in_two_schemas_have_a_history_each(
    any_engine: Engine, capture: str
) -> None:
    # Elsewhere the version table is called after the table alone: two tables share it, or the
    # second is refused.
    metadata = MetaData()
    run(any_engine, "CREATE SCHEMA east", "CREATE SCHEMA west")
    tables = [
        Table("depot", metadata, Column("id", Integer, primary_key=True), schema=schema)
        for schema in ("east", "west")
    ]
    for table in tables:
        versioned_table(table, capture=capture)  # type: ignore[arg-type]
    metadata.create_all(any_engine)
    for number, table in enumerate(tables, 1):
        with any_engine.begin() as connection:
            connection.execute(table.insert(), {"id": number})
    with any_engine.begin() as connection:
        connection.execute(tables[0].delete())
    with any_engine.connect() as connection:
        kept = [
            connection.scalar(select(func.count()).select_from(history_table(table)))
            for table in tables
        ]
    assert kept == [1, 0]


def test_rows_from_before_versioning_are_seen_and_survive_a_revert(any_engine: Engine) -> None:
    # Elsewhere they have no version: as-of does not show them, and a revert to that state
    # deletes them.
    run(any_engine, "CREATE TABLE stock (id INTEGER PRIMARY KEY)", "INSERT INTO stock VALUES (1)")
    before = "2020-01-01 00:00+00:00"
    enable_temporal_versioning(any_engine, "stock")
    enabled = head(any_engine)
    run(any_engine, "INSERT INTO stock VALUES (2)")
    assert list(query_temporal_data(any_engine, "stock", enabled)) == [{"id": 1}]
    with pytest.raises(BeforeVersioningError):
        list(query_temporal_data(any_engine, "stock", before))
    revert_table_data(any_engine, "stock", enabled, False)
    with any_engine.connect() as connection:
        assert connection.execute(text("SELECT id FROM stock")).scalars().all() == [1]
