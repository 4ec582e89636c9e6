"""What the application's models declare, found by ``module:name``."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import click
from sqlalchemy import MetaData


def metadata_of(where: str) -> MetaData:
    """The MetaData that ``module:name`` is, or has as its ``metadata``.

    Raises:
        click.UsageError: there is no such module or name, or it is something else.
    """
    module_name, colon, name = where.partition(":")
    if not colon:
        raise click.UsageError(
            f"--models takes MODULE:NAME, such as shop.models:Base, not {where!r}"
        )
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)  # as python -m does
    try:
        found = getattr(import_module(module_name), name)
    except (ImportError, AttributeError) as error:
        raise click.UsageError(f"--models {where}: {error}") from error
    metadata = getattr(found, "metadata", found)
    if not isinstance(metadata, MetaData):
        raise click.UsageError(f"--models {where} is neither a MetaData nor a declarative base")
    return metadata
