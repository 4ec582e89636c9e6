"""The models that every subject versions: the same classes, whatever records their changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Integer,
    MetaData,
    Numeric,
    Table,
    Text,
)
from sqlalchemy.orm import mapped_column

ITEM, GROUPS, AIRPORT = "item", "item_group", "airport"
CUSTOMER, PURCHASE, LINE = "customer", "purchase", "purchase_line"
VERSIONED: Final = (ITEM, CUSTOMER, PURCHASE, LINE, AIRPORT)
"""The tables whose history is kept."""
COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    ITEM: (
        "id",
        "name",
        "email",
        "amount",
        "quantity",
        "active",
        "created_at",
        "note",
        "group_id",
    ),
    CUSTOMER: ("id", "name", "email", "visits"),
    PURCHASE: ("id", "customer_id", "state", "visits"),
    LINE: ("id", "purchase_id", "sku", "visits"),
    AIRPORT: (
        "icao",
        "iata",
        "name",
        "city",
        "subd",
        "country",
        "elevation",
        "lat",
        "lon",
        "tz",
        "lid",
    ),
}
KEYS: Final = {table: "icao" if table == AIRPORT else "id" for table in VERSIONED}
FOREIGN: Final = {ITEM: "group_id", PURCHASE: "customer_id", LINE: "purchase_id"}
"""The column by which a table is joined."""


@dataclass(frozen=True, slots=True)
class Models:
    """The classes of a subject, mapped to its tables, by the tables' names."""

    metadata: MetaData
    classes: Mapping[str, Any]

    def table(self, name: str) -> Table:
        """A table by its name."""
        return self.metadata.tables[name]


def declare(base: Any, *mixins: type, **attributes: Any) -> Models:
    """Declare the models.

    Parameters:
        base: The declarative base.
        mixins: What the classes of versioned tables inherit from besides.
        attributes: What these classes have besides, such as ``__versioned__``.
    """
    Table(GROUPS, base.metadata, Column("id", Integer, primary_key=True, autoincrement=False))
    classes = {
        table: type(
            table.title().replace("_", ""),
            (*mixins, base),
            {"__tablename__": table, "__module__": __name__, **attributes, **columns},
        )
        for table, columns in _columns().items()
    }
    return Models(base.metadata, classes)


def _columns() -> dict[str, dict[str, Any]]:
    def key() -> Any:
        return mapped_column(BigInteger, primary_key=True, autoincrement=False)

    def to(target: str) -> Any:
        return mapped_column(BigInteger, ForeignKey(f"{target}.id"), index=True, nullable=False)

    def number() -> Any:
        return mapped_column(Integer, nullable=False)

    def words() -> Any:
        return mapped_column(Text, nullable=False)

    texts = ("iata", "name", "city", "subd", "country", "tz", "lid")
    numbers = ("elevation", "lat", "lon")
    return {
        ITEM: {
            "id": key(),
            "name": words(),
            "email": mapped_column(Text, index=True),
            "amount": mapped_column(Numeric(12, 2), nullable=False),
            "quantity": number(),
            "active": mapped_column(Boolean, nullable=False),
            "created_at": mapped_column(DateTime(timezone=True), nullable=False),
            "note": mapped_column(Text),
            "group_id": mapped_column(Integer, ForeignKey(f"{GROUPS}.id"), index=True),
        },
        CUSTOMER: {"id": key(), "name": words(), "email": words(), "visits": number()},
        PURCHASE: {
            "id": key(),
            "customer_id": to(CUSTOMER),
            "state": words(),
            "visits": number(),
        },
        LINE: {"id": key(), "purchase_id": to(PURCHASE), "sku": words(), "visits": number()},
        AIRPORT: {
            "icao": mapped_column(Text, primary_key=True),
            **{name: mapped_column(Text) for name in texts},
            **{name: mapped_column(Float) for name in numbers},
        },
    }


def generated(first: int | str, last: int | str) -> str:
    """A SELECT of made-up items whose ids run from ``first`` to ``last``."""
    return (
        "SELECT i, 'Item number ' || i, 'user' || i || '@example.org', mod(i, 9973) / 7.0, "
        "mod(i, 50)::int, mod(i, 3) = 0, timestamptz '2024-01-01' + i * interval '1 second', "
        "'A remark of some forty characters, ' || i, mod(i, 100)::int "
        f"FROM generate_series({first}::bigint, {last}::bigint) AS i"
    )


def item_values(key: int) -> dict[str, Any]:
    """The values of a made-up item."""
    return {
        "id": key,
        "name": f"Item number {key}",
        "email": f"user{key}@example.org",
        "amount": Decimal(key % 9973),
        "quantity": key % 50,
        "active": key % 3 == 0,
        "created_at": datetime(2024, 1, 1, tzinfo=UTC),
        "note": remark(key),
        "group_id": key % 100,
    }


def remark(number: int) -> str:
    """A text of some forty characters."""
    return f"A remark of some forty characters, {number}"
