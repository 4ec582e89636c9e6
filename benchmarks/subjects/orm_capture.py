"""This library with ``capture="orm"``: listeners record what sessions change."""

from __future__ import annotations

from typing import Any, ClassVar

import psycopg
from sqlalchemy import Connection, Engine, text
from sqlalchemy.orm import DeclarativeBase, Session

from benchmarks.models import COLUMNS, Models, declare
from benchmarks.subjects.base import Subject
from benchmarks.subjects.triggers import Triggers


class OrmCapture(Triggers):
    """This library without triggers: the history is written by the session that changes."""

    key: ClassVar[str] = "orm_capture"
    title: ClassVar[str] = 'this library, capture="orm"'
    about: ClassVar[str] = "this library where the database may have no triggers"
    records_sql: ClassVar[bool] = False
    reads_like: ClassVar[str] = "triggers"

    def missing(self, connection: Connection) -> str:
        """Why it cannot be measured here; empty when it can."""
        from sqlalchemy_temporal.errors import TemporalError

        try:
            self.declare()
        except (TemporalError, NotImplementedError) as error:
            return f"not in this version: {error}"
        return ""

    def empty(self, driver: psycopg.Connection[Any]) -> None:
        """Empty all tables and histories, unrecorded, as if they were new."""
        Subject.empty(self, driver)

    def seed(self, engine: Engine, table: str, source: str) -> None:
        """Put rows that a SELECT gives into an empty table, recorded; in one transaction."""
        with Session(engine) as session:
            rows = session.execute(text(source)).all()
            kind = self.models.classes[table]
            session.add_all([kind(**dict(zip(COLUMNS[table], row, strict=True))) for row in rows])
            session.commit()

    def declare(self) -> Models:
        """Declare its models, once in a process."""
        from sqlalchemy_temporal import Versioned

        base = type("Base", (DeclarativeBase,), {})
        return declare(base, Versioned, __versioned__={"capture": "orm"})
