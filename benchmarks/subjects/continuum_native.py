"""SQLAlchemy-Continuum with its triggers for PostgreSQL."""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import Connection, Engine

from benchmarks.subjects.continuum import Continuum
from benchmarks.subjects.versions import BEGUN


class ContinuumNative(Continuum):
    """SQLAlchemy-Continuum with ``native_versioning``.

    Its triggers record a transaction in which a row was put into its table of transactions,
    which its sessions do; plain SQL has to do it itself.
    """

    key: ClassVar[str] = "continuum_native"
    title: ClassVar[str] = "SQLAlchemy-Continuum, native"
    about: ClassVar[str] = (
        "``native_versioning``: triggers; plain SQL has to begin with a row in ``transaction``"
    )
    records_sql: ClassVar[bool] = True
    reads_like: ClassVar[str] = "continuum"
    options: ClassVar[dict[str, Any]] = {"strategy": "validity", "native_versioning": True}

    def missing(self, connection: Connection) -> str:
        """Why it cannot be measured here; empty when it can."""
        found = connection.exec_driver_sql(
            "SELECT count(*) FROM pg_available_extensions WHERE name = 'hstore'"
        )
        return "" if found.scalar_one() else "the server has no extension hstore"

    def create(self, engine: Engine) -> None:
        """Make its tables in an empty database."""
        with engine.begin() as connection:
            connection.exec_driver_sql("CREATE EXTENSION IF NOT EXISTS hstore")
        super().create(engine)

    def begin(self) -> list[str]:
        """The statements with which a transaction of plain SQL has to begin."""
        return [BEGUN]
