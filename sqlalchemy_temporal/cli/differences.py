"""Differences as the command shows them: rows with their cells, and how many there are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from rich.console import Group
from rich.table import Table
from rich.text import Text

from sqlalchemy_temporal.cli.output import table_of, value_text
from sqlalchemy_temporal.repository import PlannedRow
from sqlalchemy_temporal.repository.diff import Diff, RowChange, TableStats

_SIGNS: Final = {"INSERT": ("+", "green"), "UPDATE": ("~", "yellow"), "DELETE": ("-", "red")}


def key_text(key: Mapping[str, Any]) -> str:
    """A key in one line: the value, or ``column=value`` for several columns."""
    if len(key) == 1:
        return value_text(next(iter(key.values()))).plain
    return ",".join(f"{name}={value_text(value).plain}" for name, value in key.items())


def blocks_of(changes: Iterable[RowChange | PlannedRow]) -> Iterator[Any]:
    """Each changed row as a line with its cells, under the name of its table."""
    table = None
    for change in changes:
        if change.table != table:
            if table is not None:
                yield Text()
            table = change.table
            yield Text(table, style="bold")
        yield row_of(change)


def row_of(change: RowChange | PlannedRow) -> Text:
    """One changed row: ``~ 7  price 10 → 12``."""
    sign, style = _SIGNS[change.operation]
    text = Text(f"  {sign} {key_text(change.key)}", style=style)
    every = change.after or change.before or {}
    for name in change.changed if change.operation == "UPDATE" else every:
        if name in change.key:
            continue
        before = None if change.before is None else change.before[name]
        after = None if change.after is None else change.after[name]
        if change.operation == "UPDATE":
            text.append(f"  {name} ", style="dim")
            text.append(value_text(before, "red"))
            text.append(" → ", style="dim")
            text.append(value_text(after, "green"))
        else:
            value = after if change.operation == "INSERT" else before
            if value is not None:
                text.append(f"  {name} ", style="dim")
                text.append(value_text(value, style))
    if isinstance(change, PlannedRow) and change.origin != "plan":
        text.append(f"  by {change.origin}", style="dim")
    return text


def stat_table(stats: Mapping[str, TableStats]) -> Table:
    """How many rows and cells differ, by table and in all."""
    header = ("table", "rows +", "rows ~", "rows -", "cells +", "cells ~", "cells -")
    rows = [(name, *_numbers(each)) for name, each in stats.items()]
    if len(rows) > 1:
        rows.append(("all", *_numbers(sum(stats.values(), TableStats()))))
    table = table_of(header, rows)
    for column in table.columns[1:]:
        column.justify = "right"
    return table


def _numbers(stats: TableStats) -> tuple[int, ...]:
    return (
        stats.rows_added,
        stats.rows_changed,
        stats.rows_removed,
        stats.cells_added,
        stats.cells_changed,
        stats.cells_removed,
    )


def summary_lines(diff: Diff) -> Group:
    """One line for each table: ``public.customers: 1 added, 2 changed``."""
    lines = []
    for name, stats in diff.stats_by_table().items():
        counted = (
            (stats.rows_added, "added", "green"),
            (stats.rows_changed, "changed", "yellow"),
            (stats.rows_removed, "removed", "red"),
        )
        parts = [(f"{number} {word}", style) for number, word, style in counted if number]
        line = Text(f"{name}: ")
        for position, (part, style) in enumerate(parts):
            line.append(f"{', ' if position else ''}")
            line.append(part, style=style)
        lines.append(line)
    return Group(*lines)


def left_out(unknown: Mapping[str, str]) -> list[str]:
    """What is to be said of tables that one side knows nothing of."""
    return [f"{table} is left out: {why}" for table, why in unknown.items()]
