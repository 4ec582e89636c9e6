"""sqlalchemy-history, a fork of SQLAlchemy-Continuum without triggers."""

from __future__ import annotations

from typing import ClassVar

from sqlalchemy.orm import DeclarativeBase, configure_mappers

from benchmarks.models import Models, declare
from benchmarks.subjects.versions import VersionTables


class History(VersionTables):
    """sqlalchemy-history, with the strategy that closes versions."""

    key: ClassVar[str] = "history"
    title: ClassVar[str] = "sqlalchemy-history"
    about: ClassVar[str] = "strategy “validity”; plain SQL is not recorded"
    package: ClassVar[str] = "sqlalchemy-history"

    def declare(self) -> Models:
        """Declare its models, once in a process."""
        from sqlalchemy_history import make_versioned

        make_versioned(user_cls=None, options={"strategy": "validity"})
        models = declare(type("Base", (DeclarativeBase,), {}), __versioned__={})
        configure_mappers()
        return models
