"""Columns keep their numbers for life, so that what is hashed by number never changes."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Column, Engine, Integer, MetaData, Table, Text, select

from sqlalchemy_temporal.capture.sync import sync_versioning
from sqlalchemy_temporal.ddl.columns import ColumnIdentity, identities
from sqlalchemy_temporal.model.declare import versioned_table
from sqlalchemy_temporal.schema import system_tables


def table_with(*columns: Column[Any], **options: Any) -> Table:
    return versioned_table(
        Table("t", MetaData(), Column("id", Integer, primary_key=True), *columns), **options
    )


def change(engine: Engine, statement: str, table: Table) -> tuple[ColumnIdentity, ...]:
    with engine.begin() as connection:
        connection.exec_driver_sql(statement)
        sync_versioning(connection, table)
    return columns_of(engine)


def columns_of(engine: Engine) -> tuple[ColumnIdentity, ...]:
    listed = system_tables("temporal_versioning").versioned_tables
    with engine.connect() as connection:
        return identities(connection.scalars(select(listed.c.columns)).one())


def test_columns_are_numbered_in_their_order_from_the_enabling_transaction(
    pg_engine: Engine,
) -> None:
    table_with(Column("v", Text)).metadata.create_all(pg_engine)
    assert columns_of(pg_engine) == (
        ColumnIdentity(1, "id", "integer", 1, None, "id"),
        ColumnIdentity(2, "v", "text", 1, None, "v"),
    )


def test_an_added_column_gets_a_new_number_and_the_transaction_it_is_known_since(
    pg_engine: Engine,
) -> None:
    table = table_with(Column("v", Text))
    table.metadata.create_all(pg_engine)
    found = change(pg_engine, "ALTER TABLE t ADD COLUMN w numeric(5,2)", table)
    assert found[:2] == (
        ColumnIdentity(1, "id", "integer", 1, None, "id"),
        ColumnIdentity(2, "v", "text", 1, None, "v"),
    )
    assert found[2:] == (ColumnIdentity(3, "w", "numeric(5,2)", 2, None, "w"),)


def test_a_dropped_column_stays_with_its_end_and_its_number_is_not_given_again(
    pg_engine: Engine,
) -> None:
    table_with(Column("v", Text)).metadata.create_all(pg_engine)
    bare = table_with()
    assert change(pg_engine, "ALTER TABLE t DROP COLUMN v", bare)[1] == ColumnIdentity(
        2, "v", "text", 1, 2, "v"
    )
    found = change(pg_engine, "ALTER TABLE t ADD COLUMN v text", bare)
    assert [(c.id, c.name, c.since, c.until) for c in found] == [
        (1, "id", 1, None),
        (2, "v", 1, 2),
        (3, "v", 3, None),
    ]


def test_a_column_excluded_later_is_one_that_ended(pg_engine: Engine) -> None:
    table_with(Column("v", Text)).metadata.create_all(pg_engine)
    found = change(pg_engine, "SELECT 1", table_with(Column("v", Text), exclude=["v"]))
    assert [(c.name, c.until) for c in found] == [("id", None), ("v", 2)]


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        ("varchar(5)", "varchar(9)", True),
        ("varchar(5)", "text", True),
        ("char(3)", "char(7)", True),
        ("numeric(5,2)", "numeric(9,2)", True),
        ("numeric(5,2)", "numeric(9,4)", False),
        ("numeric(5,2)", "numeric", False),
        ("integer", "bigint", False),
        ("timestamptz(3)", "timestamptz", False),
    ],
)
def test_a_new_type_is_a_new_column_unless_values_keep_their_bytes(
    pg_engine: Engine, before: str, after: str, same: bool
) -> None:
    with pg_engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE TABLE t (id int PRIMARY KEY, v {before})")
    table = table_with()
    table.metadata.create_all(pg_engine)
    with pg_engine.begin() as connection:
        connection.exec_driver_sql(
            f"ALTER TABLE temporal_versioning.t_history ALTER v TYPE {after}"
        )
    found = change(pg_engine, f"ALTER TABLE t ALTER v TYPE {after}", table)
    assert [c.id for c in found if c.current] == [1, 2 if same else 3]
    assert found[1].until == (None if same else 2)


def test_registering_again_changes_no_identity_whatever_the_search_path(pg_engine: Engine) -> None:
    with pg_engine.begin() as connection:
        connection.exec_driver_sql("CREATE TYPE mood AS ENUM ('sad')")
        connection.exec_driver_sql("CREATE TABLE t (id int PRIMARY KEY, v mood)")
    table = table_with()
    table.metadata.create_all(pg_engine)
    before = columns_of(pg_engine)
    assert before[1].type == "public.mood"
    assert change(pg_engine, "SET LOCAL search_path TO pg_catalog, public", table) == before
