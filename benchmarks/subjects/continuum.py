"""SQLAlchemy-Continuum as it is by default: sessions write the versions."""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy.orm import DeclarativeBase, configure_mappers

from benchmarks.models import Models, declare
from benchmarks.subjects.versions import VersionTables


class Continuum(VersionTables):
    """SQLAlchemy-Continuum in ORM mode, with the strategy that closes versions."""

    key: ClassVar[str] = "continuum"
    title: ClassVar[str] = "SQLAlchemy-Continuum"
    about: ClassVar[str] = "ORM mode, strategy “validity”; plain SQL is not recorded"
    package: ClassVar[str] = "sqlalchemy-continuum"
    options: ClassVar[dict[str, Any]] = {"strategy": "validity"}

    def declare(self) -> Models:
        """Declare its models, once in a process."""
        from sqlalchemy_continuum import make_versioned

        make_versioned(user_cls=None, options=dict(self.options))
        models = declare(type("Base", (DeclarativeBase,), {}), __versioned__={})
        configure_mappers()
        return models
