"""The database: one that was given, or a server started for the demonstration alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from sqlalchemy import Engine, create_engine, inspect
from sqlalchemy.orm import sessionmaker
from sqlalchemy.schema import CreateSchema, DropSchema

from examples.mime.models import SCHEMA, Base
from sqlalchemy_temporal import TemporalSession
from sqlalchemy_temporal.embedded import postgres_server

# With the tables come the library's schemas: history and log, and views for plain SQL.
_SCHEMAS = (SCHEMA, "temporal_versioning", "temporal_as_of")


class DatabaseInUseError(Exception):
    """The database holds schemas that the demonstration would make, and later drop."""


@dataclass(frozen=True, slots=True)
class Database:
    """A database with the tables of the demonstration, still empty.

    Attributes:
        sessions: makes sessions on it.
        description: which server it is, in words.
    """

    sessions: sessionmaker[TemporalSession]
    description: str


@contextmanager
def demo_database(*, keep: bool = False) -> Iterator[Database]:
    """Give a database with the tables, and leave nothing behind, whatever happens.

    Args:
        keep: Leave the tables in the database that ``DATABASE_URL`` names.

    Raises:
        DatabaseInUseError: That database has schemas of these names already.
        ServerUnavailable: There is no PostgreSQL server, and none could be started.
    """
    with postgres_server() as server, ExitStack() as clean_up:
        engine = create_engine(server.url)
        clean_up.callback(engine.dispose)
        _refuse_existing(engine)
        with engine.begin() as connection:
            # Fails for the second of two that start at once, before it could drop anything.
            connection.execute(CreateSchema(SCHEMA))
            if not keep:
                clean_up.callback(_drop, engine)
            Base.metadata.create_all(connection)
            version = connection.exec_driver_sql("SHOW server_version").scalar_one()
        yield Database(
            sessions=sessionmaker(engine, class_=TemporalSession),
            description=f"PostgreSQL {version} ({server.source})",
        )


def _refuse_existing(engine: Engine) -> None:
    existing = [name for name in _SCHEMAS if inspect(engine).has_schema(name)]
    if existing:
        raise DatabaseInUseError(
            f"the database {engine.url.database!r} already has the schema "
            f"{' and '.join(existing)}, which the demonstration would make and drop. Name another "
            "database in DATABASE_URL. If an earlier demonstration with --keep made it, drop it: "
            f"DROP SCHEMA {', '.join(existing)} CASCADE"
        )


def _drop(engine: Engine) -> None:
    with engine.begin() as connection:
        Base.metadata.drop_all(connection)  # and with the last versioned table the library's
        connection.execute(DropSchema(SCHEMA, if_exists=True))
