"""A safety net for tables without models: a bad migration, a failed load, an alarm.

    python -m examples.safety_net

`DATABASE_URL` names the PostgreSQL database to use; without it a server is started and afterwards
removed. What the example makes lies in a schema of its own, which it drops.
"""

from __future__ import annotations

import sys
from datetime import datetime
from typing import Final

from sqlalchemy import Engine, create_engine, text

from sqlalchemy_temporal import TemporalTables, describe
from sqlalchemy_temporal.embedded import postgres_server
from sqlalchemy_temporal.errors import ServerUnavailable

SCHEMA: Final = "temporal_safety_net"
TABLES: Final = ("customers", "orders", "lines")
_SETUP: Final = """
CREATE TABLE customers (id int PRIMARY KEY, name text UNIQUE);
CREATE TABLE orders (id int PRIMARY KEY, total numeric(10, 2),
  customer_id int NOT NULL REFERENCES customers);
CREATE TABLE lines (id int PRIMARY KEY, quantity int,
  order_id int NOT NULL REFERENCES orders ON DELETE CASCADE);
INSERT INTO customers VALUES (1, 'Ana'), (2, 'Bo');
INSERT INTO orders VALUES (1, 10, 1), (2, 20, 1), (3, 30, 2);
INSERT INTO lines VALUES (1, 5, 1), (2, 6, 2), (3, 7, 3);
"""


def write(engine: Engine, author: str, *statements: str) -> None:
    """Run statements as one transaction, as any program may."""
    with engine.begin() as connection:
        describe(connection, author=author)
        connection.exec_driver_sql(f"SET LOCAL search_path TO {SCHEMA}")
        for statement in statements:
            connection.exec_driver_sql(statement)


def now(engine: Engine) -> datetime:
    """The time of the database, to come back to."""
    with engine.begin() as connection:
        at: datetime = connection.scalar(text("SELECT clock_timestamp()"))
        return at


def bad_migration(engine: Engine, tables: TemporalTables) -> None:
    """Enable, run a bulk update that forgot its WHERE, compare, look at the way back, take it."""
    print("--- A bad migration\n")
    checkpoint = now(engine)
    write(engine, "deploy", "UPDATE orders SET total = total * 1.19")
    print(tables.compare_temporal_data("orders", checkpoint, schema_name=SCHEMA), "\n")
    # Only the orders of the first customer were meant.
    wrong = {"customer_id": 2}
    print(tables.revert_table_data("orders", checkpoint, schema_name=SCHEMA, where=wrong), "\n")
    done = tables.revert_table_data(
        "orders", checkpoint, dry_run=False, schema_name=SCHEMA, where=wrong, author="ana"
    )
    print(done, "\n")


def failed_load(engine: Engine, tables: TemporalTables) -> None:
    """Go back to a checkpoint over three tables that refer to each other."""
    print("--- A load that failed half way\n")
    checkpoint = now(engine)
    write(engine, "etl", "INSERT INTO customers VALUES (3, 'Cy')")
    write(engine, "etl", "UPDATE orders SET customer_id = 3 WHERE id = 1")
    write(engine, "etl", "DELETE FROM orders WHERE id = 2")  # and its lines
    alone = tables.revert_table_data("customers", checkpoint, schema_name=SCHEMA)
    print(alone, "\n")
    print(tables.revert_table_data(TABLES, checkpoint, schema_name=SCHEMA), "\n")
    tables.revert_table_data(TABLES, checkpoint, dry_run=False, schema_name=SCHEMA)
    for name in TABLES:
        left = tables.compare_temporal_data(name, checkpoint, schema_name=SCHEMA)
        print(f"{name}: {left.totals.rows} rows differ from the checkpoint")
    print()


def alarm(engine: Engine, watch: TemporalTables) -> None:
    """Look for deletions with a bind that can only read."""
    print("--- An alarm about deletions\n")
    since = now(engine)
    write(engine, "mallory", "DELETE FROM lines WHERE quantity > 6")
    found = watch.get_change_history("lines", since, operation="DELETE", schema_name=SCHEMA)
    for change in found:
        print(f"ALARM: {change.author} deleted {change.before}")
    print()


def run(engine: Engine) -> None:
    """Make the tables, go through the three, and leave nothing."""
    with engine.begin() as connection:
        for statement in (f"CREATE SCHEMA {SCHEMA}", f"SET LOCAL search_path TO {SCHEMA}"):
            connection.exec_driver_sql(statement)
        for statement in _SETUP.strip().rstrip(";").split(";"):
            connection.exec_driver_sql(statement)
    tables = TemporalTables(engine)
    try:
        print(tables.enable_many(schema_name=SCHEMA, lock_timeout=5), "\n")
        bad_migration(engine, tables)
        failed_load(engine, tables)
        alarm(engine, TemporalTables(engine, access="restricted"))
    finally:
        for table in tables.list_temporal_tables(SCHEMA):
            tables.disable_temporal_versioning(table.table_name, SCHEMA, drop_history=True)
        with engine.begin() as connection:
            connection.exec_driver_sql(f"DROP SCHEMA {SCHEMA} CASCADE")


def main() -> int:
    """Run the example."""
    try:
        with postgres_server() as server:
            engine = create_engine(server.url)
            try:
                run(engine)
            finally:
                engine.dispose()
    except ServerUnavailable as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
