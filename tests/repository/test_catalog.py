"""The versioned tables of a database, found without models."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import (
    Column,
    Computed,
    Engine,
    ForeignKey,
    Identity,
    Integer,
    MetaData,
    Numeric,
    Table,
    UniqueConstraint,
    insert,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import ENUM

from sqlalchemy_temporal import as_of
from sqlalchemy_temporal.errors import ConfigurationError
from sqlalchemy_temporal.model.declare import versioned_table
from sqlalchemy_temporal.repository.catalog import VersionedTable, load_tables


def _shop() -> MetaData:
    metadata = MetaData()
    versioned_table(
        Table(
            "item",
            metadata,
            Column("id", Integer, Identity(always=True), primary_key=True),
            Column("order_id", ForeignKey("orders.id", ondelete="CASCADE"), nullable=False),
            Column("price", Numeric(10, 2)),
            Column("twice", Numeric, Computed("price * 2", persisted=True)),
            Column("seen", Integer),
            UniqueConstraint("order_id", "price", name="item_once", deferrable=True),
        ),
        exclude=["seen"],
    )
    versioned_table(
        Table(
            "orders",
            metadata,
            Column("id", Integer, primary_key=True),
            Column("state", ENUM("open", "sent", name="state")),
            Column("parent_id", ForeignKey("orders.id")),
        )
    )
    Table("note", metadata, Column("id", Integer), Column("order_id", ForeignKey("orders.id")))
    return metadata


@pytest.fixture
def tables(pg_engine: Engine) -> dict[str, VersionedTable]:
    _shop().create_all(pg_engine)
    with pg_engine.connect() as connection:
        return {table.name: table for table in load_tables(connection)}


def test_parents_come_before_children(tables: dict[str, VersionedTable]) -> None:
    assert list(tables) == ["public.orders", "public.item"]
    assert [table.position for table in tables.values()] == [0, 1]


def test_recorded_generated_and_identity_columns_are_told(
    tables: dict[str, VersionedTable],
) -> None:
    item = tables["public.item"]
    assert item.key == ("id",)
    assert item.columns == ("id", "order_id", "price", "twice")
    assert item.excluded == ("seen",)
    assert item.generated == {"twice"}
    assert item.always_identity == {"id"}
    assert item.values == ("order_id", "price")
    assert item.sequences == {"id": "item_id_seq"}
    assert item.types["price"] == "numeric(10,2)"
    assert item.not_null == {"id", "order_id"}


def test_foreign_keys_are_told_in_both_directions(tables: dict[str, VersionedTable]) -> None:
    (out,) = tables["public.item"].foreign_keys
    assert (out.columns, out.referred, out.referred_columns) == (
        ("order_id",),
        "public.orders",
        ("id",),
    )
    assert out.on_delete == "CASCADE"
    assert not out.deferrable
    inward = {(key.table, key.is_versioned) for key in tables["public.orders"].referenced_by}
    assert inward == {("public.item", True), ("public.orders", True), ("public.note", False)}


def test_unique_constraints_are_told_without_the_key(tables: dict[str, VersionedTable]) -> None:
    (unique,) = tables["public.item"].uniques
    assert (unique.columns, unique.deferrable, unique.partial) == (
        ("order_id", "price"),
        True,
        False,
    )


def test_the_live_table_can_be_read_as_of_a_moment(pg_engine: Engine) -> None:
    metadata = _shop()
    metadata.create_all(pg_engine)
    with pg_engine.begin() as connection:
        connection.execute(insert(metadata.tables["orders"]).values(id=1, state="open"))
    with pg_engine.begin() as connection:
        connection.execute(text("UPDATE orders SET state = 'sent'"))
    with pg_engine.connect() as connection:
        (orders,) = load_tables(connection, names=["orders"])
        with as_of(connection, "HEAD~1") as past:
            assert past.execute(select(orders.live.c.state)).scalars().all() == ["open"]
        assert connection.scalars(select(orders.history.c.state)).all() == ["open"]
        assert orders.stored.c.temporal_tx_id.name not in orders.live.c


@pytest.mark.parametrize("name", ["orders", "public.orders", "table"])
def test_tables_are_chosen_by_name_or_table(pg_engine: Engine, name: str) -> None:
    metadata = _shop()
    metadata.create_all(pg_engine)
    chosen: Any = metadata.tables["orders"] if name == "table" else name
    with pg_engine.connect() as connection:
        assert [t.name for t in load_tables(connection, names=[chosen])] == ["public.orders"]


def test_a_name_of_no_versioned_table_is_refused(pg_engine: Engine) -> None:
    _shop().create_all(pg_engine)
    with pg_engine.connect() as connection, pytest.raises(ConfigurationError, match="item"):
        load_tables(connection, names=["note"])
