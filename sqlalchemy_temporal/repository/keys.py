"""Keys of rows, as users give them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy_temporal.errors import ConfigurationError
from sqlalchemy_temporal.repository.described import VersionedTable


def key_values(table: VersionedTable, key: Any) -> dict[str, Any]:
    """The parts of a row's key by name, from a value, a tuple, or a mapping.

    Raises:
        ConfigurationError: it does not have the parts of the table's key.
    """
    if isinstance(key, Mapping):
        values = dict(key)
    else:
        parts = tuple(key) if isinstance(key, tuple | list) else (key,)
        values = dict(zip(table.key, parts, strict=False)) if len(parts) == len(table.key) else {}
    if set(values) != set(table.key):
        raise ConfigurationError(
            f"{key!r} is not a key of {table.name!r}, which has the column(s) "
            f"{', '.join(table.key)}"
        )
    return values


__all__ = ["key_values"]
