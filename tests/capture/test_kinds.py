"""A table is captured by triggers or by the ORM: choosing, changing, and what is refused."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import (
    Engine,
    ForeignKey,
    bindparam,
    delete,
    event,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from sqlalchemy_temporal import (
    CaptureKindError,
    ConfigurationError,
    HistoryImportError,
    Repository,
    TwoPhaseError,
    UnknownOptionError,
    UnrecordedWriteError,
    Versioned,
    as_of,
    enable_temporal_versioning,
    get_temporal_status,
    history_of,
    import_continuum_history,
    list_temporal_tables,
    redact,
    revert_table_data,
    sync_versioning,
)


def item_model(capture: str, **options: Any) -> Any:
    class Base(DeclarativeBase):
        pass

    class Item(Versioned, Base):
        __tablename__ = "item"
        __versioned__ = {"capture": capture, **options}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]

    return Item


def committed(engine: Engine, work: Callable[[Session], object]) -> Any:
    """Do ``work`` in a transaction; its commit."""
    with Session(engine) as session, session.begin():
        work(session)
    with engine.connect() as connection:
        return Repository(connection).head


def names(engine: Engine, model: Any, when: Any) -> dict[int, str]:
    with Session(engine) as session, as_of(session, when) as past:
        return {item.id: item.name for item in past.scalars(select(model))}


@pytest.mark.parametrize("kinds", [("trigger", "orm", "trigger"), ("orm", "trigger", "orm")])
def test_history_answers_right_before_and_after_another_kind_records(
    any_engine: Engine, kinds: tuple[str, ...]
) -> None:
    first = item_model(kinds[0])
    first.metadata.create_all(any_engine)
    known = [
        (
            committed(
                any_engine, lambda s: s.add_all([first(id=1, name="a"), first(id=2, name="a")])
            ),
            {1: "a", 2: "a"},
        )
    ]
    for kind in kinds[1:]:
        model = item_model(kind)
        with any_engine.begin() as connection:
            sync_versioning(connection, model.__table__)
        assert list_temporal_tables(any_engine)[0].capture == kind
        assert get_temporal_status(any_engine, "item").drift == ()
        changed = update(model).where(model.id == 1).values(name=kind)
        known.append((committed(any_engine, lambda s, c=changed: s.execute(c)), {1: kind, 2: "a"}))
    gone = committed(any_engine, lambda s: s.execute(delete(model)))
    for moment, expected in [*known, (gone, {})]:
        assert names(any_engine, model, moment) == expected
    with any_engine.connect() as connection:
        assert Repository(connection).verify()


@pytest.mark.parametrize(("there", "declared"), [("trigger", "orm"), ("orm", "trigger")])
def test_a_table_captured_otherwise_than_declared_is_an_error(
    any_engine: Engine, there: str, declared: str
) -> None:
    item_model(there).metadata.create_all(any_engine)
    model = item_model(declared)
    with any_engine.begin() as connection, pytest.raises(CaptureKindError, match="sync_versioning"):
        connection.execute(insert(model).values(id=1, name="a"))
    with pytest.raises(CaptureKindError, match="sync_versioning"):
        model.metadata.create_all(any_engine)


def test_enabling_by_name_does_not_change_the_kind(any_engine: Engine) -> None:
    item_model("orm").metadata.create_all(any_engine)
    with pytest.raises(CaptureKindError, match="sync_versioning"):
        enable_temporal_versioning(any_engine, "item")


def test_the_status_shows_the_kind(any_engine: Engine) -> None:
    item_model("orm").metadata.create_all(any_engine)
    assert list_temporal_tables(any_engine)[0].capture == "orm"
    assert "enabled (orm)" in get_temporal_status(any_engine, "item").headline()


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO item (id, name) VALUES (1, 'a')",
        "UPDATE item SET name = 'b'",
        "/* why */ DELETE FROM item",
        "delete from Item",
    ],
)
def test_a_write_as_text_is_refused(any_engine: Engine, statement: str) -> None:
    item_model("orm").metadata.create_all(any_engine)
    with any_engine.begin() as connection:
        with pytest.raises(UnrecordedWriteError, match="captured by the ORM"):
            connection.execute(text(statement))
        with pytest.raises(UnrecordedWriteError, match="captured by the ORM"):
            connection.exec_driver_sql(statement)


@pytest.mark.postgresql
@pytest.mark.parametrize(
    "statement",
    [
        "TRUNCATE item",
        "TRUNCATE ONLY public.item CASCADE",
        "COPY item FROM STDIN",
        "WITH gone AS (DELETE FROM ONLY item RETURNING *) SELECT count(*) FROM gone",
        "MERGE INTO item USING (SELECT 1) v ON true WHEN MATCHED THEN DELETE",
    ],
)
def test_emptying_copying_and_merging_as_text_are_refused(
    pg_engine: Engine, statement: str
) -> None:
    item_model("orm").metadata.create_all(pg_engine)
    with pg_engine.begin() as connection, pytest.raises(UnrecordedWriteError):
        connection.exec_driver_sql(statement)


@pytest.mark.postgresql
def test_a_write_inside_of_another_statement_is_refused(pg_engine: Engine) -> None:
    model = item_model("orm")
    model.metadata.create_all(pg_engine)
    gone = delete(model).returning(model.id).cte()
    with pg_engine.begin() as connection, pytest.raises(UnrecordedWriteError, match="CTE"):
        connection.execute(select(gone))


def test_reading_as_text_is_not_refused(any_engine: Engine) -> None:
    item_model("orm").metadata.create_all(any_engine)
    with any_engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM item")) == 0


def test_core_writes_are_recorded_or_refused_by_choice(any_engine: Engine) -> None:
    model = item_model("orm", core="refuse")
    model.metadata.create_all(any_engine)
    add = insert(model).values(id=1, name="a")
    with any_engine.begin() as connection, pytest.raises(UnrecordedWriteError, match="Session"):
        connection.execute(add)
    moment = committed(any_engine, lambda s: s.execute(add))
    assert names(any_engine, model, moment) == {1: "a"}


def test_the_choice_about_core_has_no_meaning_with_triggers() -> None:
    with pytest.raises(UnknownOptionError, match="core"):
        item_model("trigger", core="refuse")


@pytest.mark.postgresql
def test_two_phase_commit_is_refused(pg_engine: Engine) -> None:
    model = item_model("orm")
    model.metadata.create_all(pg_engine)
    with Session(pg_engine, twophase=True) as session:
        session.add(model(id=1, name="a"))
        with pytest.raises(TwoPhaseError):
            session.flush()


@pytest.mark.postgresql
def test_a_partitioned_table_needs_triggers(pg_engine: Engine) -> None:
    with pg_engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TABLE item (id int PRIMARY KEY, name text NOT NULL) PARTITION BY HASH (id)"
        )
    with pytest.raises(ConfigurationError, match="only triggers"):
        item_model("orm").metadata.create_all(pg_engine)


@pytest.mark.postgresql
def test_what_writes_past_the_library_cannot_insert(pg_engine: Engine) -> None:
    item_model("orm").metadata.create_all(pg_engine)
    driver = pg_engine.raw_connection()
    try:
        with pytest.raises(Exception, match="temporal_tx_id"):
            driver.cursor().execute("INSERT INTO item (id, name) VALUES (1, 'a')")
    finally:
        driver.close()


@pytest.mark.postgresql
@pytest.mark.parametrize("by_objects", [True, False])
def test_sessions_that_update_the_same_rows_lose_no_version(
    pg_engine: Engine, by_objects: bool
) -> None:
    model = item_model("orm")
    model.metadata.create_all(pg_engine)
    committed(pg_engine, lambda s: s.add_all(model(id=i, name="0") for i in range(1, 4)))
    errors: list[Exception] = []

    def write(worker: int) -> None:
        try:
            for turn in range(15):
                with Session(pg_engine) as session, session.begin():
                    if by_objects:
                        for item in session.scalars(select(model).order_by(model.id)):
                            item.name = f"{worker}.{turn}"
                    else:
                        session.execute(
                            update(model).where(model.id > 0).values(name=f"{worker}.{turn}")
                        )
        except Exception as error:  # noqa: BLE001 - shown below
            errors.append(error)

    threads = [threading.Thread(target=write, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    versions = history_of(model)
    with Session(pg_engine) as session:
        seen = session.scalars(select(versions.name).where(versions.id == 1)).all()
        assert sorted(seen) == sorted(["0", *(f"{w}.{t}" for w in range(4) for t in range(15))])
        assert Repository(session.connection()).verify()


@pytest.mark.parametrize("kind", ["trigger", "orm"])
@pytest.mark.parametrize("nested", [False, True])
def test_a_connection_that_is_lost_can_be_closed(
    any_engine: Engine, kind: str, nested: bool
) -> None:
    item = item_model(kind)
    item.metadata.create_all(any_engine)
    with any_engine.connect() as connection:
        connection.execute(insert(item), [{"id": 1, "name": "a"}])
        if nested:
            connection.begin_nested()
            connection.execute(insert(item), [{"id": 3, "name": "c"}])
        connection.invalidate()
    committed(any_engine, lambda s: s.add(item(id=2, name="b")))
    assert names(any_engine, item, "HEAD") == {2: "b"}


def test_one_flush_is_recorded_in_a_fixed_number_of_statements(any_engine: Engine) -> None:
    model = item_model("orm")
    model.metadata.create_all(any_engine)

    def statements(count: int) -> int:
        seen = 0

        def count_one(*_: object) -> None:
            nonlocal seen
            seen += 1

        with Session(any_engine) as session, session.begin():
            session.execute(delete(model))
        with Session(any_engine) as session, session.begin():
            session.add_all(model(id=i, name="a") for i in range(count))
        with Session(any_engine) as session, session.begin():
            for item in session.scalars(select(model)):
                item.name = "b"
            event.listen(any_engine, "before_cursor_execute", count_one)
            session.flush()
            event.remove(any_engine, "before_cursor_execute", count_one)
        return seen

    assert statements(5) == statements(200)


def test_a_core_update_with_parameters_of_its_own_is_recorded(any_engine: Engine) -> None:
    model = item_model("orm")
    model.metadata.create_all(any_engine)
    table = model.__table__
    first = committed(any_engine, lambda s: s.add_all(model(id=i, name="a") for i in (1, 2, 3)))
    statement = update(table).where(table.c.id == bindparam("k")).values(name=bindparam("n"))
    with any_engine.begin() as connection:
        connection.execute(statement, [{"k": 1, "n": "x"}, {"k": 3, "n": "z"}])
    assert names(any_engine, model, first) == {1: "a", 2: "a", 3: "a"}
    with any_engine.connect() as connection:
        assert Repository(connection).diff("HEAD~1", "HEAD")
        assert Repository(connection).verify()


def test_what_changes_history_by_name_works_without_triggers(any_engine: Engine) -> None:
    model = item_model("orm")
    model.metadata.create_all(any_engine)
    first = committed(any_engine, lambda s: s.add_all(model(id=i, name="a") for i in (1, 2)))
    changed = update(model).where(model.id == 1).values(name="secret")
    second = committed(any_engine, lambda s: s.execute(changed))
    committed(any_engine, lambda s: s.execute(delete(model).where(model.id == 2)))
    revert_table_data(any_engine, "item", first, dry_run=False)
    with any_engine.connect() as connection:
        assert names(any_engine, model, Repository(connection).head) == {1: "a", 2: "a"}
    revert_table_data(any_engine, "item", second, dry_run=False)
    redact(any_engine, "item", 1, ["name"], replacement={"name": "-"}, author="keeper")
    assert names(any_engine, model, second) == {1: "-", 2: "a"}
    with any_engine.connect() as connection:
        assert names(any_engine, model, Repository(connection).head) == {1: "-", 2: "a"}
        assert Repository(connection).verify()


@pytest.mark.parametrize("kind", ["trigger", "orm"])
def test_rows_deleted_by_way_of_tables_that_are_not_versioned_are_recorded(
    any_engine: Engine, kind: str
) -> None:
    class Base(DeclarativeBase):
        pass

    def referring(where: str) -> Any:
        return mapped_column(ForeignKey(where, ondelete="CASCADE"))

    class Shelf(Base):
        __tablename__ = "shelf"
        id: Mapped[int] = mapped_column(primary_key=True)

    class Box(Base):
        __tablename__ = "box"
        id: Mapped[int] = mapped_column(primary_key=True)
        label: Mapped[str] = mapped_column(unique=True)
        shelf: Mapped[int] = referring("shelf.id")

    class Thing(Versioned, Base):
        __tablename__ = "thing"
        __versioned__ = {"capture": kind}
        id: Mapped[int] = mapped_column(primary_key=True)
        box: Mapped[str] = referring("box.label")

    if any_engine.dialect.name == "sqlite":
        event.listen(any_engine, "connect", lambda c, _: c.execute("PRAGMA foreign_keys = ON"))
        any_engine.dispose()
    Base.metadata.create_all(any_engine)
    there = committed(
        any_engine,
        lambda s: (
            s.execute(insert(Shelf), [{"id": n} for n in (1, 2)]),
            s.execute(insert(Box), [{"id": n, "label": f"b{n}", "shelf": n} for n in (1, 2)]),
            s.execute(insert(Thing), [{"id": n, "box": f"b{n}"} for n in (1, 2)]),
        ),
    )
    gone = committed(any_engine, lambda s: s.execute(delete(Shelf).where(Shelf.id == 1)))

    def things(when: Any) -> dict[int, str]:
        with Session(any_engine) as session, as_of(session, when) as past:
            return {thing.id: thing.box for thing in past.scalars(select(Thing))}

    assert things(there) == {1: "b1", 2: "b2"}
    assert things(gone) == {2: "b2"}
    assert gone.counts == {"public.thing": {"delete": 1}}


def test_imports_are_refused_until_the_kind_is_changed(any_engine: Engine) -> None:
    model = item_model("orm")
    with any_engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE item (id integer PRIMARY KEY, name text NOT NULL)")
    with pytest.raises(HistoryImportError, match="capture='orm'"):
        import_continuum_history(any_engine, [model], dry_run=False)
