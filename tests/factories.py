"""Rows of a small shop for tests of any kind, made by factory-boy.

``ProductFactory.build()`` gives a dict, as ``insert()`` takes it. Values depend on the number
of the row alone, so that a test that fails does so again.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import factory

_NAMES = ("lamp", "chair", "Tisch", "plant 100%", 'say "hi"', "it's", "日本", "")


class ProductFactory(factory.DictFactory):
    """A product: number, name, price, and what a shop may know besides."""

    id = factory.Sequence(lambda number: number + 1)
    name = factory.LazyAttribute(lambda row: f"{_NAMES[row.id % len(_NAMES)]} {row.id}")
    price = factory.LazyAttribute(lambda row: Decimal(row.id * 37 % 1000) / 100)
    note = factory.LazyAttribute(lambda row: f"note {row.id}" if row.id % 3 else None)
    stock = factory.LazyAttribute(lambda row: row.id % 7)


class SaleFactory(factory.DictFactory):
    """A sale of a product: number, product and amount."""

    id = factory.Sequence(lambda number: number + 1)
    product_id = 1
    amount = factory.LazyAttribute(lambda row: row.id % 5 + 1)


def only(row: dict[str, Any], columns: Iterable[str]) -> dict[str, Any]:
    """The values of ``row`` for those columns that a table has at present."""
    return {name: row[name] for name in columns if name in row}


__all__ = ["ProductFactory", "SaleFactory", "only"]
