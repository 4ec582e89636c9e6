"""Values of columns as JSON, so that a merge can wait in the database.

Text, whole numbers, true and false, lists and objects stay as they are. Everything else is
an object with one name that says what it is: ``{"$decimal": "1.50"}``. What has no such form
is kept as text to be looked at, ``{"$text": "[1,5)"}``, and cannot be given as the value of a
resolution.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

_Encode = Callable[[Any], Any]

_KINDS: Final[tuple[tuple[type, str, _Encode, _Encode], ...]] = (
    (Decimal, "$decimal", str, Decimal),
    (datetime, "$datetime", datetime.isoformat, datetime.fromisoformat),
    (date, "$date", date.isoformat, date.fromisoformat),
    (time, "$time", time.isoformat, time.fromisoformat),
    (
        timedelta,
        "$microseconds",
        lambda value: value // timedelta(microseconds=1),
        lambda value: timedelta(microseconds=value),
    ),
    (UUID, "$uuid", str, UUID),
    (bytes, "$base64", lambda value: b64encode(value).decode(), b64decode),
    (float, "$float", float.hex, float.fromhex),
)
"""Types, their names, and how they are written and read; subclasses before their bases."""
_TEXT: Final = "$text"
_OBJECT: Final = "$object"


def encode(value: Any) -> Any:
    """A value of a column as JSON."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, list | tuple):
        return [encode(each) for each in value]
    if isinstance(value, Mapping):
        plain = {str(name): encode(each) for name, each in value.items()}
        return {_OBJECT: plain} if any(name.startswith("$") for name in plain) else plain
    if isinstance(value, memoryview | bytearray):
        value = bytes(value)
    for type_, name, write, _ in _KINDS:
        if isinstance(value, type_):
            return {name: write(value)}
    return {_TEXT: str(value)}


def decode(value: Any) -> Any:
    """The value that :func:`encode` made JSON of."""
    if isinstance(value, list):
        return [decode(each) for each in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        [(name, written)] = value.items()
        if name == _TEXT:
            return written
        if name == _OBJECT:
            return {key: decode(each) for key, each in written.items()}
        for _, known, _, read in _KINDS:
            if name == known:
                return read(written)
    return {name: decode(each) for name, each in value.items()}


def encode_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as JSON."""
    return {name: encode(value) for name, value in row.items()}


def decode_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row that :func:`encode_row` made JSON of."""
    return {name: decode(value) for name, value in row.items()}


def is_exact(value: Any) -> bool:
    """Whether a value can be read back as it was."""
    written = encode(value)
    if isinstance(value, Mapping):
        return all(is_exact(each) for each in value.values())
    if isinstance(value, list | tuple):
        return all(is_exact(each) for each in value)
    return not (isinstance(written, dict) and set(written) == {_TEXT})


__all__ = ["decode", "decode_row", "encode", "encode_row", "is_exact"]
