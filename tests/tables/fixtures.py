"""Tables that only the database knows, and what happens to them."""

from __future__ import annotations

from sqlalchemy import Engine

from sqlalchemy_temporal import Moment, resolve

CUSTOMERS = (
    "CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL, email text)",
    "INSERT INTO customers VALUES (1, 'Alice', 'alice@example.com'), (2, 'Bob', NULL)",
)


def run(engine: Engine, *statements: str) -> None:
    """Run statements as one transaction."""
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def head(engine: Engine) -> Moment:
    with engine.begin() as connection:
        return resolve(connection, "HEAD")


def commit(engine: Engine, *statements: str) -> Moment:
    """Run statements as one transaction; the moment after it."""
    run(engine, *statements)
    return head(engine)
