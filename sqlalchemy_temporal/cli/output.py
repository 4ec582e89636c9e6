"""What the command prints: tables, lines and JSON, on a terminal or into a pipe.

On a terminal there are colours (not with ``NO_COLOR``), wide values are shortened to what
fits, and what is longer than the screen is paged. In a pipe nothing is shortened, coloured
or paged.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from sqlalchemy_temporal.tables.render import jsonable

_PIPE_WIDTH: Final = 100_000
"""The width of what is not a terminal: nothing there is to be cut."""


class _Pipe(Console):
    """A console that leaves it to the command what a closed pipe means."""

    def on_broken_pipe(self) -> None:
        """Raised by a failed write; rich would end the process with an error."""
        raise BrokenPipeError


class Output:
    """Standard output and standard error of one run.

    Parameters:
        color: ``"auto"``, ``"always"`` or ``"never"``.
        pager: whether long output may be paged.

    Attributes:
        is_plain: whether colours are unwanted.
    """

    def __init__(self, color: str = "auto", *, pager: bool = True) -> None:
        terminal = {"auto": None, "always": True, "never": False}[color]
        plain = color == "never" or (color == "auto" and bool(os.environ.get("NO_COLOR")))
        self._is_terminal = sys.stdout.isatty()
        self._pager = pager and self._is_terminal
        self.is_plain = plain
        self.out = _Pipe(
            force_terminal=terminal,
            no_color=plain or None,
            width=None if self._is_terminal else _PIPE_WIDTH,
            highlight=False,
            soft_wrap=False,
            emoji=False,
        )
        self.err = Console(stderr=True, no_color=plain or None, highlight=False, emoji=False)

    # ------------------------------------------------------------------------------- text

    def show(self, *parts: Any) -> None:
        """Print renderables, one below the other, through the pager if they are long."""
        if not self._pager:
            self.out.print(*parts, sep="\n")
            return
        with self.out.capture() as captured:
            self.out.print(*parts, sep="\n")
        text = captured.get()
        if text.count("\n") < self.out.height:
            self.out.file.write(text)
        else:
            click.echo_via_pager(text, color=not self.is_plain)

    def stream(self, parts: Iterable[Any]) -> None:
        """Print renderables as they come, without holding them all."""
        if not self._pager:
            for part in parts:
                self.out.print(part)
            return
        click.echo_via_pager(self._rendered(parts), color=not self.is_plain)

    def _rendered(self, parts: Iterable[Any]) -> Iterator[str]:
        for part in parts:
            with self.out.capture() as captured:
                self.out.print(part)
            yield captured.get()

    def note(self, text: str) -> None:
        """Say something beside the answer, on standard error."""
        self.err.print(Text(text), soft_wrap=True)

    def error(self, text: str) -> None:
        """Say what went wrong, in one line on standard error."""
        self.err.print(Text.assemble(("vsg: ", "bold red"), text), soft_wrap=True)

    # ------------------------------------------------------------------------------- JSON

    def json(self, value: Any) -> None:
        """Print a value as JSON."""
        sys.stdout.write(dumped(value, indent=2) + "\n")

    def json_stream(self, head: Mapping[str, Any], name: str, items: Iterable[Any]) -> None:
        """Print ``head`` as JSON with a list ``name`` in it, as the items come."""
        opening = dumped(dict(head), indent=2)[:-1].rstrip()
        comma = "," if head else ""
        sys.stdout.write(f"{opening}{comma}\n  {json.dumps(name)}: [")
        separator = "\n    "
        for item in items:
            sys.stdout.write(separator + dumped(item))
            separator = ",\n    "
        sys.stdout.write("\n  ]\n}\n" if separator.startswith(",") else "]\n}\n")


def dumped(value: Any, indent: int | None = None) -> str:
    """``value`` as JSON, with what JSON has not written as text."""
    return json.dumps(jsonable(value), ensure_ascii=False, indent=indent)


def table_of(
    header: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str | None = None
) -> Table:
    """A table of values, one line for each row."""
    table = Table(
        title=None if title is None else escape(title),
        title_justify="left",
        title_style="bold",
        box=None,
        pad_edge=False,
        header_style="bold",
        padding=(0, 2, 0, 0),
    )
    for name in header:
        table.add_column(escape(name), no_wrap=True, overflow="ellipsis")
    for row in rows:
        table.add_row(*(value if isinstance(value, Text) else value_text(value) for value in row))
    return table


def value_text(value: Any, style: str = "") -> Text:
    """A value of a cell, in one line."""
    if value is None:
        return Text("NULL", style=style or "dim")
    if isinstance(value, datetime):
        return Text(when_text(value), style=style)
    shown = jsonable(value)
    if isinstance(shown, dict | list):
        return Text(json.dumps(shown, ensure_ascii=False), style=style)
    if isinstance(shown, bool):
        return Text("true" if shown else "false", style=style)
    return Text(" ".join(str(shown).split()), style=style)


def when_text(when: datetime | None) -> str:
    """A time in UTC, to the microsecond, as ``--json`` and all commands read it, too."""
    if when is None:
        return ""
    if when.tzinfo is None:
        return when.isoformat(sep=" ")
    return when.astimezone(UTC).isoformat(sep=" ")
