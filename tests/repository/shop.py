"""A database with each kind of constraint, written as plain SQL and versioned as it is."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Connection, Integer, MetaData, Table, text

from sqlalchemy_temporal.capture.install import install
from sqlalchemy_temporal.model.declare import versioned_table


def versioned(connection: Connection, *statements: str, **tables: list[str]) -> None:
    """Run ``statements``, then version each of ``tables``: ``name=[key columns]``."""
    for statement in statements:
        connection.exec_driver_sql(statement)
    for name, columns in tables.items():
        version(connection, name, columns)
    connection.commit()


def version(connection: Connection, name: str, key: list[str], **options: Any) -> None:
    """Version a table that is there, of which only the key is told."""
    excluded = [Column(each, Integer) for each in options.get("exclude", ())]
    columns = [Column(each, Integer, primary_key=True) for each in key]
    install(connection, versioned_table(Table(name, MetaData(), *columns, *excluded), **options))


def run(connection: Connection, *statements: str) -> None:
    """One commit that consists of ``statements``."""
    for statement in statements:
        connection.execute(text(statement))
    connection.commit()


def rows(connection: Connection, table: str) -> list[tuple[Any, ...]]:
    """The rows of a table in the order of all columns, without the system column."""
    found = connection.execute(text(f"SELECT * FROM {table}")).mappings()
    return sorted(
        (tuple(v for name, v in row.items() if name != "temporal_tx_id") for row in found), key=repr
    )
