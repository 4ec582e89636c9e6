"""A small shop for the tests of SQLite."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine, ForeignKey, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from sqlalchemy_temporal.model.declare import Versioned
from sqlalchemy_temporal.repository import Repository
from sqlalchemy_temporal.schema import system_of


class Base(DeclarativeBase):
    pass


class Customer(Versioned, Base):
    __tablename__ = "customers"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Order(Versioned, Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"))


def commits(bind: Engine | Connection) -> list[dict[str, Any]]:
    """The counts of each commit after the baselines, oldest first."""
    if isinstance(bind, Connection):
        log = Repository(bind).log()
    else:
        with bind.connect() as connection:
            log = Repository(connection).log()
    return [dict(commit.counts) for commit in reversed(log) if commit.operation != "BASELINE"]


def pending(bind: Engine) -> tuple[Any, Any]:
    """The mode and the id of the transaction under way, as the database has them."""
    table = system_of(bind, "temporal_versioning").pending
    with bind.connect() as connection:
        row = connection.execute(select(table.c.mode, table.c.tx_id)).one()
    return row.mode, row.tx_id
