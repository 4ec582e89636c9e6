"""Arguments and options that several commands have in common."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any, Final, TypeVar

import click
from rich.text import Text

from sqlalchemy_temporal.cli.output import Output

SHOWN: Final = 20
"""Rows of a preview."""

F = TypeVar("F", bound=Callable[..., Any])

as_json: Final = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
yes: Final = click.option("--yes", "-y", is_flag=True, help="Do not ask.")
dry_run: Final = click.option("--dry-run", "-n", is_flag=True, help="Only say what would be done.")
message: Final = click.option("--message", "-m", metavar="TEXT", help="What the commit is for.")


def limit(default: int | None) -> Callable[[F], F]:
    """The option ``-n``: at most so many."""
    return click.option(
        "-n",
        "--limit",
        type=click.IntRange(min=0),
        default=default,
        show_default=default is not None,
        help="At most so many.",
    )


def split_table(name: str) -> tuple[str, str]:
    """The schema and the table that ``[SCHEMA.]TABLE`` names."""
    schema, _, table = name.rpartition(".")
    return schema or "public", table


def split_key(text: str) -> str | Mapping[str, str]:
    """A key as written: a value, or ``column=value,column=value`` for several columns."""
    parts = text.split(",")
    if all("=" in part for part in parts):
        return {name: value for name, _, value in (part.partition("=") for part in parts)}
    return text


def confirm(question: str, *, yes: bool) -> None:
    """Ask before something is changed; only somebody at a terminal can be asked.

    Raises:
        click.UsageError: there is nobody to ask, and no ``--yes``.
        click.Abort: the answer was no.
    """
    if yes:
        return
    if not sys.stdin.isatty() or not sys.stderr.isatty():
        raise NotAskedError
    click.confirm(question, abort=True, err=True)


def some_rows(output: Output, blocks: Iterable[Any]) -> None:
    """Show the first rows of a preview."""
    shown = list(islice(blocks, SHOWN + 1))
    output.show(*shown[:SHOWN], *([Text("…", style="dim")] if len(shown) > SHOWN else []))


class NotAskedError(click.ClickException):
    """There is nobody to ask, so nothing is changed."""

    exit_code = 3

    def __init__(self) -> None:
        super().__init__("not done: there is no terminal to ask at; add --yes to do it")


__all__ = [
    "NotAskedError",
    "as_json",
    "confirm",
    "dry_run",
    "limit",
    "message",
    "some_rows",
    "split_key",
    "split_table",
    "yes",
]
