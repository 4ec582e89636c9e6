"""Keys of rows, as users give them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Table

from sqlalchemy_temporal.errors import ConfigurationError, UnknownOptionError
from sqlalchemy_temporal.repository.described import VersionedTable


def key_values(table: VersionedTable, key: Any) -> dict[str, Any]:
    """The parts of a row's key by name, from a value, a tuple, or a mapping.

    Text is taken for what it says where the column is not of text.

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
    return {name: typed_value(table.live, name, value) for name, value in values.items()}


_READERS: Final[Mapping[type[Any], Callable[[str], Any]]] = {
    int: int,
    float: float,
    Decimal: Decimal,
    UUID: UUID,
    datetime: datetime.fromisoformat,
    date: date.fromisoformat,
    time: time.fromisoformat,
}


def typed_value(table: Table, name: str, value: Any) -> Any:
    """``value`` as the column has it; text is read when the column is not of text.

    Raises:
        UnknownOptionError: the text is no value of the column.
    """
    if not isinstance(value, str):
        return value
    try:
        kind = table.c[name].type.python_type
    except NotImplementedError:
        return value
    read = _READERS.get(kind)
    try:
        return value if read is None else read(value)
    except (ValueError, ArithmeticError) as error:
        raise UnknownOptionError(
            f"{value!r} is no value of {table.fullname}.{name}, which is of type "
            f"{table.c[name].type}"
        ) from error


__all__ = ["key_values", "typed_value"]
