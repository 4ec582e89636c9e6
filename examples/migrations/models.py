"""What the application has become after the last revision."""

from __future__ import annotations

from decimal import Decimal

from sqlalchemy import ForeignKey, Numeric, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from sqlalchemy_temporal import Versioned


class Base(DeclarativeBase):
    """The base of all models, whose metadata ``alembic/env.py`` compares."""


class Customer(Versioned, Base):
    """Somebody who buys. Was called ``name`` once, and had a fax."""

    __tablename__ = "customer"

    id: Mapped[int] = mapped_column(primary_key=True)
    full_name: Mapped[str] = mapped_column(String(80), info={"temporal_renamed_from": "name"})
    credit: Mapped[Decimal] = mapped_column(Numeric(10, 2), server_default="0")
    tier: Mapped[str] = mapped_column(Text, server_default="basic")


class Purchase(Versioned, Base):
    """What somebody bought."""

    __tablename__ = "purchase"

    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), index=True)
    title: Mapped[str]
