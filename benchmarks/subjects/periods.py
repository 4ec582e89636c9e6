"""The extension ``periods``, which writes history in C; where the server has it."""

from __future__ import annotations

from typing import Any, ClassVar

import psycopg
from sqlalchemy import Connection, Engine

from benchmarks.models import COLUMNS, FOREIGN, KEYS, VERSIONED
from benchmarks.subjects.base import Moment, Subject


class Periods(Subject):
    """Tables with SQL:2016 system versioning by the extension."""

    key: ClassVar[str] = "periods"
    title: ClassVar[str] = "periods (extension)"
    about: ClassVar[str] = "system versioning by an extension in C; an outside yardstick"
    has_past: ClassVar[bool] = True

    def missing(self, connection: Connection) -> str:
        """Why it cannot be measured here; empty when it can."""
        found = connection.exec_driver_sql(
            "SELECT count(*) FROM pg_available_extensions WHERE name = 'periods'"
        )
        return "" if found.scalar_one() else "not installed"

    def create(self, engine: Engine) -> None:
        """Make its tables in an empty database."""
        super().create(engine)
        with engine.begin() as connection:
            connection.exec_driver_sql("CREATE EXTENSION IF NOT EXISTS periods CASCADE")
            for table in VERSIONED:
                for statement in (
                    f"SELECT periods.add_system_time_period('{table}', 'since', 'until')",
                    f"SELECT periods.add_system_versioning('{table}')",
                    f"CREATE INDEX ON {table}_history ({KEYS[table]})",
                ):
                    connection.exec_driver_sql(statement)
                if table in FOREIGN:
                    connection.exec_driver_sql(
                        f"CREATE INDEX ON {table}_history ({FOREIGN[table]})"
                    )

    def empty(self, driver: psycopg.Connection[Any]) -> None:
        """Empty all tables and histories, unrecorded, as if they were new."""
        # The extension empties a history with its table.
        driver.execute(f"TRUNCATE {', '.join(VERSIONED)} CASCADE")

    def histories(self) -> list[str]:
        """The tables in which it keeps history."""
        return [f"{table}_history" for table in VERSIONED]

    def moment(self, connection: Connection) -> Moment:
        """The present, named so that it can be asked for when it is past."""
        return connection.exec_driver_sql("SELECT clock_timestamp()").scalar_one()

    def past(self, table: str) -> str:
        """A SELECT of a table's columns as of ``:moment``."""
        at = "CAST(:moment AS timestamptz)"
        return f"SELECT {', '.join(COLUMNS[table])} FROM {table}__as_of({at})"

    def versions_of_a_row(self, table: str) -> str:
        """A SELECT of all versions of the row ``:key``, oldest first."""
        return (
            f"SELECT {_versions(table)} FROM {table}_with_history "
            f"WHERE {KEYS[table]} = :key ORDER BY since"
        )

    def changes_between(self, table: str) -> str:
        """A SELECT of the changes after ``:first`` up to ``:last``, in their order."""
        return (
            f"SELECT {_versions(table)} FROM {table}_with_history "
            "WHERE since > :first AND since <= :last ORDER BY since"
        )

    def keys_changed(self, table: str) -> str:
        """A SELECT of the keys, as ``key``, of rows changed after ``:first`` up to ``:last``."""
        return (
            f"SELECT {KEYS[table]} AS key FROM {table}_with_history "
            "WHERE since > :first AND since <= :last "
            f"UNION SELECT {KEYS[table]} FROM {table}_history "
            "WHERE until > :first AND until <= :last"
        )


def _versions(table: str) -> str:
    # The end of a present version is infinity, which Python's datetime has not.
    return f"{', '.join(COLUMNS[table])}, since, nullif(until, 'infinity') AS until"
