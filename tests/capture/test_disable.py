"""Disabling keeps the past; what happened while disabled is refused, not invented."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import Column, Connection, Engine, Integer, MetaData, Table, Text, select, text
from sqlalchemy.exc import DBAPIError

from sqlalchemy_temporal import (
    BeforeVersioningError,
    Moment,
    NotInstalledError,
    PurgedHistoryError,
    SchemaDriftError,
    UnrecordedMomentError,
    VersioningGapError,
    as_of,
    install,
    resolve,
    versioned_table,
)
from sqlalchemy_temporal.capture.disable import disable
from sqlalchemy_temporal.errors import ConfigurationError
from sqlalchemy_temporal.naming import VersioningOptions

OPTIONS = VersioningOptions()


def t(*columns: Column[Any], **options: Any) -> Table:
    more = columns or (Column("v", Text),)
    table = Table("t", MetaData(), Column("id", Integer, primary_key=True), *more)
    return versioned_table(table, **options)


def run(engine: Engine, *statements: str) -> Moment:
    """Run statements as one transaction; return the moment after it."""
    prepare(engine, *statements)
    with engine.begin() as connection:
        return resolve(connection, "HEAD")


def prepare(engine: Engine, *statements: str) -> None:
    """Run statements as one transaction in a database without versioning."""
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def stop(engine: Engine, name: str = "t") -> Moment:
    with engine.begin() as connection:
        assert disable(connection, None, name, OPTIONS)
    return run(engine)


def start(engine: Engine, table: Table) -> Moment:
    with engine.begin() as connection:
        install(connection, table)
    return run(engine)


def rows(engine: Engine, table: Table, moment: Moment) -> Sequence[Any]:
    with engine.begin() as connection, as_of(connection, moment.uuid) as past:
        return past.execute(select(table).order_by(table.c.id)).all()


@pytest.fixture
def table() -> Table:
    return t()


@pytest.fixture
def moments(pg_engine: Engine, table: Table) -> dict[str, Moment]:
    """A table enabled, disabled, changed unrecorded, and enabled again."""
    other = versioned_table(Table("other", table.metadata, Column("id", Integer, primary_key=True)))
    table.metadata.create_all(pg_engine)
    assert other is not None
    found = {"first": run(pg_engine, "INSERT INTO t VALUES (1, 'a'), (2, 'b')")}
    found["second"] = run(pg_engine, "UPDATE t SET v = 'c' WHERE id = 1")
    found["disabled"] = stop(pg_engine)
    found["between"] = run(
        pg_engine,
        "UPDATE t SET v = 'unseen'",
        "DELETE FROM t WHERE id = 2",
        "INSERT INTO other VALUES (1)",
    )
    found["again"] = start(pg_engine, table)
    found["last"] = run(pg_engine, "UPDATE t SET v = 'd' WHERE id = 1")
    return found


def test_moments_before_and_after_a_gap_are_answered(
    pg_engine: Engine, table: Table, moments: dict[str, Moment]
) -> None:
    found = {name: rows(pg_engine, table, moments[name]) for name in ("first", "second")}
    assert found == {"first": [(1, "a"), (2, "b")], "second": [(1, "c"), (2, "b")]}
    assert rows(pg_engine, table, moments["again"]) == [(1, "unseen")]
    assert rows(pg_engine, table, moments["last"]) == [(1, "d")]


@pytest.mark.parametrize("name", ["disabled", "between"])
def test_a_moment_in_a_gap_is_refused_naming_the_gap(
    pg_engine: Engine, table: Table, moments: dict[str, Moment], name: str
) -> None:
    from_to = [moments[end].effective_at.isoformat() for end in ("disabled", "again")]
    with pytest.raises(
        VersioningGapError, match=f"'t'.*from {from_to[0]}.*until {from_to[1]}".replace("+", r"\+")
    ):
        rows(pg_engine, table, moments[name])


@pytest.mark.parametrize("name", ["disabled", "between"])
def test_the_view_of_a_moment_in_a_gap_is_refused(
    pg_engine: Engine, moments: dict[str, Moment], name: str
) -> None:
    with (
        pg_engine.begin() as connection,
        pytest.raises(DBAPIError, match=r"was disabled from .* until"),
    ):
        travelled(connection, moments[name])


def travelled(connection: Connection, moment: Moment | None) -> Sequence[Any]:
    connection.execute(
        text("SELECT temporal_versioning.travel_to(CAST(:uuid AS text))"),
        {"uuid": None if moment is None else str(moment.uuid)},
    )
    return connection.exec_driver_sql("SELECT * FROM temporal_as_of.t ORDER BY id").all()


def test_a_disabled_table_is_an_ordinary_table_with_a_past(pg_engine: Engine, table: Table) -> None:
    table.create(pg_engine)
    before = run(pg_engine, "INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    last = run(pg_engine, "DELETE FROM t WHERE id = 1")
    disabled = stop(pg_engine)
    with pg_engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO t VALUES (3, 'z')")
        assert connection.exec_driver_sql("SELECT * FROM t ORDER BY id").all() == [
            (2, "b"),
            (3, "z"),
        ]
        assert (
            connection.exec_driver_sql(
                "SELECT count(*) FROM pg_trigger WHERE tgrelid = 't'::regclass"
            ).scalar()
            == 0
        )
        assert travelled(connection, before) == [(1, "a"), (2, "b")]
        assert travelled(connection, None) == [(2, "b"), (3, "z")]
    assert rows(pg_engine, table, before) == [(1, "a"), (2, "b")]
    assert rows(pg_engine, table, last) == [(2, "b")]
    with pytest.raises(VersioningGapError, match="and still is"):
        rows(pg_engine, table, disabled)


def test_a_moment_resolved_before_goes_on_being_answered(pg_engine: Engine, table: Table) -> None:
    table.create(pg_engine)
    before = run(pg_engine, "INSERT INTO t VALUES (1, 'a')")
    for change in (stop, lambda engine: start(engine, table)):
        change(pg_engine)
        with pg_engine.begin() as connection, as_of(connection, before) as past:
            assert past.execute(select(table)).all() == [(1, "a")]


def test_a_row_of_the_past_by_key_is_found_in_history(pg_engine: Engine, table: Table) -> None:
    table.create(pg_engine)
    before = run(pg_engine, "INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    stop(pg_engine)
    with pg_engine.begin() as connection, as_of(connection, before.uuid) as past:
        assert past.execute(select(table).where(table.c.id == 2)).all() == [(2, "b")]


def test_disabling_twice_does_nothing_more(pg_engine: Engine, table: Table) -> None:
    table.create(pg_engine)
    head = stop(pg_engine)
    with pg_engine.begin() as connection:
        assert not disable(connection, None, "t", OPTIONS)
    assert run(pg_engine).uuid == head.uuid


def test_a_table_never_versioned_cannot_be_disabled(pg_engine: Engine, table: Table) -> None:
    with (
        pytest.raises(NotInstalledError, match=r"'public\.t' is not versioned"),
        pg_engine.begin() as c,
    ):
        disable(c, None, "t", OPTIONS)
    table.create(pg_engine)
    run(pg_engine, "CREATE TABLE u (id int PRIMARY KEY)")
    with (
        pytest.raises(NotInstalledError, match=r"'public\.u' is not versioned"),
        pg_engine.begin() as c,
    ):
        disable(c, None, "u", OPTIONS)


def test_what_the_disabling_transaction_changed_is_kept(pg_engine: Engine, table: Table) -> None:
    table.create(pg_engine)
    before = run(pg_engine, "INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    with pg_engine.begin() as connection:
        connection.exec_driver_sql("UPDATE t SET v = 'last' WHERE id = 1")
        disable(connection, None, "t", OPTIONS)
    with pg_engine.begin() as connection:
        kept = connection.exec_driver_sql(
            "SELECT id, v, temporal_operation FROM temporal_versioning.t_history ORDER BY id, v"
        ).all()
    assert kept == [(1, "a", "UPDATE"), (1, "last", "DISABLE"), (2, "b", "DISABLE")]
    assert rows(pg_engine, table, before) == [(1, "a"), (2, "b")]


def test_disabled_and_enabled_in_one_transaction_there_is_no_gap(
    pg_engine: Engine, table: Table
) -> None:
    table.create(pg_engine)
    before = run(pg_engine, "INSERT INTO t VALUES (1, 'a')")
    with pg_engine.begin() as connection:
        disable(connection, None, "t", OPTIONS)
        connection.exec_driver_sql("UPDATE t SET v = 'b'")
        install(connection, table)
    after = run(pg_engine)
    assert rows(pg_engine, table, before) == [(1, "a")]
    assert rows(pg_engine, table, after) == [(1, "b")]


def test_disabled_twice_in_one_transaction_the_first_state_is_what_was_recorded(
    pg_engine: Engine, table: Table
) -> None:
    table.create(pg_engine)
    before = run(pg_engine, "INSERT INTO t VALUES (1, 'a')")
    with pg_engine.begin() as connection:
        connection.exec_driver_sql("UPDATE t SET v = 'b'")
        for _ in range(2):
            disable(connection, None, "t", OPTIONS)
            install(connection, table)
            connection.exec_driver_sql("UPDATE t SET v = 'c'")
    after = run(pg_engine)
    assert rows(pg_engine, table, before) == [(1, "a")]
    assert rows(pg_engine, table, after) == [(1, "c")]


def test_computed_columns_are_kept(pg_engine: Engine) -> None:
    prepare(
        pg_engine,
        "CREATE TABLE t (id int PRIMARY KEY, v text GENERATED ALWAYS AS (id::text) STORED)",
    )
    table = t()
    start(pg_engine, table)
    before = run(pg_engine, "INSERT INTO t VALUES (1)")
    stop(pg_engine)
    assert rows(pg_engine, table, before) == [(1, "1")]


def test_several_gaps_are_told_apart(
    pg_engine: Engine, table: Table, moments: dict[str, Moment]
) -> None:
    second_gap = stop(pg_engine)
    start(pg_engine, table)
    assert rows(pg_engine, table, moments["last"]) == [(1, "d")]
    with pg_engine.begin() as connection:
        gaps = [resolve(connection, moments["between"].uuid), resolve(connection, second_gap.uuid)]
    since = [[each.since for each in moment.unknown] for moment in gaps]
    assert since == [[moments["disabled"].effective_at], [second_gap.effective_at]]


def test_before_the_first_enabling_is_not_a_gap(
    pg_engine: Engine, table: Table, moments: dict[str, Moment]
) -> None:
    u = versioned_table(Table("u", MetaData(), Column("id", Integer, primary_key=True)))
    u.create(pg_engine)
    with pytest.raises(BeforeVersioningError):
        rows(pg_engine, u, moments["between"])


def test_a_purged_moment_names_the_horizon(
    pg_engine: Engine, table: Table, moments: dict[str, Moment]
) -> None:
    horizon = moments["second"]
    with pg_engine.begin() as connection:
        connection.exec_driver_sql("SELECT temporal_versioning.seal()")
        connection.exec_driver_sql(
            f"UPDATE temporal_versioning.versioned_tables SET purged_seq = {horizon.seq} "
            "WHERE table_name = 't'"
        )
    assert len(rows(pg_engine, table, horizon)) == 2
    at = horizon.effective_at.isoformat().replace("+", r"\+")
    with pytest.raises(PurgedHistoryError, match=f"known again from {at}"):
        rows(pg_engine, table, moments["first"])
    with (
        pg_engine.begin() as connection,
        pytest.raises(DBAPIError, match="purged; it is known again"),
    ):
        travelled(connection, moments["first"])
    assert issubclass(PurgedHistoryError, UnrecordedMomentError)


def test_columns_gained_while_disabled_are_recorded_from_then_on(
    pg_engine: Engine, table: Table
) -> None:
    table.create(pg_engine)
    before = run(pg_engine, "INSERT INTO t VALUES (1, 'a')")
    stop(pg_engine)
    run(pg_engine, "ALTER TABLE t ADD COLUMN w int", "UPDATE t SET w = 5")
    wider = t(Column("v", Text), Column("w", Integer))
    again = start(pg_engine, wider)
    run(pg_engine, "UPDATE t SET w = 6")
    assert rows(pg_engine, wider, again) == [(1, "a", 5)]
    assert rows(pg_engine, wider, before) == [(1, "a", None)]


def test_another_key_or_another_history_is_refused_when_enabled_again(
    pg_engine: Engine, table: Table
) -> None:
    table.create(pg_engine)
    stop(pg_engine)
    with pytest.raises(ConfigurationError, match="history_table_suffix"):
        start(pg_engine, t(history_table_suffix="_log"))
    run(pg_engine, "ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (id, v)")
    with pytest.raises(SchemaDriftError, match=r"key \(id\) instead of \(id, v\)"):
        start(pg_engine, table)


def test_a_partitioned_table_is_disabled_and_enabled_with_its_partitions(pg_engine: Engine) -> None:
    prepare(
        pg_engine,
        "CREATE TABLE t (id int PRIMARY KEY, v text) PARTITION BY RANGE (id)",
        "CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (10)",
        "CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (10) TO (20)",
    )
    table = t()
    start(pg_engine, table)
    before = run(pg_engine, "INSERT INTO t VALUES (1, 'a'), (11, 'b')")
    stop(pg_engine)
    run(pg_engine, "TRUNCATE t1", "UPDATE t SET v = 'c'")
    again = start(pg_engine, table)
    after = run(pg_engine, "TRUNCATE t2")
    assert rows(pg_engine, table, before) == [(1, "a"), (11, "b")]
    assert rows(pg_engine, table, again) == [(11, "c")]
    assert rows(pg_engine, table, after) == []


def test_an_inheritance_tree_is_disabled_and_enabled_as_one(pg_engine: Engine) -> None:
    prepare(
        pg_engine,
        "CREATE TABLE t (id int PRIMARY KEY, v text)",
        "CREATE TABLE child (more int, PRIMARY KEY (id)) INHERITS (t)",
    )
    table = t()
    start(pg_engine, table)
    before = run(pg_engine, "INSERT INTO t VALUES (1, 'a')", "INSERT INTO child VALUES (2, 'b', 5)")
    with pytest.raises(ConfigurationError, match="inherits"), pg_engine.begin() as connection:
        disable(connection, None, "child", OPTIONS)
    stop(pg_engine)
    run(pg_engine, "DELETE FROM child")
    again = start(pg_engine, table)
    assert rows(pg_engine, table, before) == [(1, "a"), (2, "b")]
    assert rows(pg_engine, table, again) == [(1, "a")]


def test_dropping_the_history_of_a_disabled_table_leaves_nothing(
    pg_engine: Engine, table: Table
) -> None:
    table.create(pg_engine)
    stop(pg_engine)
    table.drop(pg_engine)
    table.create(pg_engine)
    with pg_engine.begin() as connection:
        assert connection.exec_driver_sql(
            "SELECT gaps, disabled_at FROM temporal_versioning.versioned_tables"
        ).all() == [([], None)]
