"""How results are shown: as aligned text, as a ``rich`` table, and as JSON-able dicts."""

from __future__ import annotations

import base64
import enum
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any, Final

_WIDTH: Final = 60
"""Characters of one cell that are shown."""
SHOWN: Final = 20
"""Rows that are shown."""


def jsonable(value: Any) -> Any:
    """``value`` as JSON can have it, so that none of it is lost.

    Numbers with a fixed scale, times, uuids and whatever else JSON does not know become
    text, bytes become base64, an interval its seconds.
    """
    if isinstance(value, Mapping):
        return {str(key): jsonable(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [jsonable(each) for each in value]
    for kind, convert in _JSONABLE:
        if isinstance(value, kind):
            return convert(value)
    return value if value is None or isinstance(value, bool | int) else str(value)


_JSONABLE: Final[tuple[tuple[Any, Callable[[Any], Any]], ...]] = (
    (enum.Enum, lambda value: value.name),
    (str, str),
    (float, lambda value: value if math.isfinite(value) else str(value)),
    ((datetime, date, time), lambda value: value.isoformat()),
    (timedelta, lambda value: value.total_seconds()),
    ((bytes, bytearray, memoryview), lambda value: base64.b64encode(bytes(value)).decode()),
)


def cell(value: Any) -> str:
    """``value`` as one line of limited width."""
    match value:
        case None:
            text = "NULL"
        case str():
            text = value
        case datetime():
            text = value.isoformat(sep=" ")
        case Mapping():
            text = ", ".join(f"{name}={cell(each)}" for name, each in value.items())
        case _:
            text = str(value)
    text = " ".join(text.split())
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"


class Tabular:
    """What prints as a table with a line above it.

    Subclasses say what: :meth:`headline`, :meth:`header`, :meth:`lines`, :meth:`footnotes`.
    """

    __slots__ = ()

    def headline(self) -> str:
        """The line above the table."""
        raise NotImplementedError

    def header(self) -> Sequence[str]:
        """The names of the columns."""
        return ()

    def lines(self) -> Iterable[Sequence[Any]]:
        """The rows; only so many as are shown are taken."""
        return ()

    def footnotes(self) -> Iterable[str]:
        """What is to be said below the table."""
        return ()

    def __str__(self) -> str:
        shown, more = _some(self.lines())
        text = [self.headline()]
        if shown:
            text += _aligned(self.header(), shown)
        if more:
            text.append("…")
        return "\n".join([*text, *self.footnotes()])

    def __rich__(self) -> Any:
        """A ``rich.table.Table``, for ``rich.print``."""
        from rich.table import Table

        shown, more = _some(self.lines())
        notes = [*(["…"] if more else []), *self.footnotes()]
        table = Table(title=self.headline(), caption="\n".join(notes) or None, title_justify="left")
        for name in self.header():
            table.add_column(name)
        for row in shown:
            table.add_row(*row)
        return table


def _some(lines: Iterable[Sequence[Any]]) -> tuple[list[list[str]], bool]:
    shown: list[list[str]] = []
    for line in lines:
        if len(shown) == SHOWN:
            return shown, True
        shown.append([cell(value) for value in line])
    return shown, False


def _aligned(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    ruled = ["-" * width for width in widths]
    return [
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in (header, ruled, *rows)
    ]


__all__ = ["SHOWN", "Tabular", "cell", "jsonable"]
