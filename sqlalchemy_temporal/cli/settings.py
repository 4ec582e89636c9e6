"""Where the command works: an address of a database, from options, environment or project.

In the order of precedence: the option ``--url``, the environment variable
``DATABASE_URL``, and the table ``[tool.sqlalchemy-temporal]`` of the nearest
``pyproject.toml``::

    [tool.sqlalchemy-temporal]
    url = "sqlite:///shop.db"
    url-env = "SHOP_DATABASE_URL"     # instead of url: the variable that holds the address
    schema = "temporal_versioning"
    access-mode = "restricted"
    author = "ana"
    models = "shop.models:Base"       # for doctor
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, cast

import click
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from sqlalchemy_temporal.naming import DEFAULT_SCHEMA
from sqlalchemy_temporal.tables.access import AccessMode

TABLE: Final = "sqlalchemy-temporal"
VARIABLE: Final = "DATABASE_URL"
AUTHOR_VARIABLE: Final = "VSG_AUTHOR"
_KNOWN: Final = frozenset({"url", "url-env", "schema", "access-mode", "author", "models"})
_MODES: Final = ("restricted", "unrestricted")


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command was told, by whatever means.

    Attributes:
        url: the database; None when none was named.
        schema: the schema of the library's own tables.
        access: ``"restricted"`` allows reads only.
        author: who makes changes, for their commits.
        models: ``module:name`` of a MetaData or a declarative base.
    """

    url: URL | None
    schema: str
    access: AccessMode
    author: str | None
    models: str | None

    def database(self) -> URL:
        """The address of the database.

        Raises:
            click.UsageError: none was named.
        """
        if self.url is None:
            raise click.UsageError(
                f"no database: give --url, set {VARIABLE}, or write url into "
                f"[tool.{TABLE}] of pyproject.toml"
            )
        return self.url


def read_settings(
    url: str | None,
    schema: str | None,
    access: str | None,
    author: str | None,
    models: str | None,
) -> Settings:
    """Put together what options, environment and project say.

    Raises:
        click.UsageError: something of it cannot be.
    """
    project = _project(Path.cwd())
    named = url or os.environ.get(VARIABLE) or _url_of(project)
    mode = access or project.get("access-mode") or "unrestricted"
    if mode not in _MODES:
        raise click.UsageError(f"access-mode must be one of {', '.join(_MODES)}, not {mode!r}")
    return Settings(
        url=None if named is None else parse_url(named),
        schema=schema or project.get("schema") or DEFAULT_SCHEMA,
        access=cast("AccessMode", mode),
        author=author or os.environ.get(AUTHOR_VARIABLE) or project.get("author"),
        models=models or project.get("models"),
    )


def parse_url(text: str) -> URL:
    """An address as SQLAlchemy takes it; without a driver, the one that is installed.

    Raises:
        click.UsageError: it is not an address.
    """
    try:
        url = make_url(text)
    except ArgumentError:
        raise click.UsageError(
            "the address of the database is not one that SQLAlchemy understands; it looks like "
            "postgresql://user@host/name or sqlite:///file.db"
        ) from None  # the text may hold a password
    if url.drivername in ("postgresql", "postgres") and find_spec("psycopg2") is None:
        return url.set(drivername="postgresql+psycopg")
    return url.set(drivername="postgresql") if url.drivername == "postgres" else url


def _project(start: Path) -> Mapping[str, Any]:
    """The project's table in the nearest ``pyproject.toml``, upwards from ``start``."""
    for directory in (start, *start.parents):
        file = directory / "pyproject.toml"
        if not file.is_file():
            continue
        try:
            read = tomllib.loads(file.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, OSError, UnicodeDecodeError) as error:
            raise click.UsageError(f"{file} cannot be read: {error}") from error
        return _checked(read.get("tool", {}).get(TABLE, {}), file)
    return {}


def _checked(table: Any, file: Path) -> Mapping[str, Any]:
    unknown = sorted(set(table) - _KNOWN) if isinstance(table, dict) else ["?"]
    if unknown:
        raise click.UsageError(
            f"{file}: [tool.{TABLE}] knows {', '.join(sorted(_KNOWN))}, not {', '.join(unknown)}"
        )
    wrong = sorted(name for name, value in table.items() if not isinstance(value, str))
    if wrong:
        raise click.UsageError(f"{file}: [tool.{TABLE}] {', '.join(wrong)} must be text")
    return cast("Mapping[str, Any]", table)


def _url_of(project: Mapping[str, Any]) -> str | None:
    variable = project.get("url-env")
    if variable is None:
        return project.get("url")
    found = os.environ.get(variable)
    if found is None:
        raise click.UsageError(
            f"[tool.{TABLE}] names the environment variable {variable} in url-env; it is not set"
        )
    return found
