"""What was read, as text with styles: the lines that the widgets show."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from rich.text import Text

from sqlalchemy_temporal.cli.commits import counts_of, names_of
from sqlalchemy_temporal.cli.differences import left_out, row_of
from sqlalchemy_temporal.cli.output import value_text, when_text
from sqlalchemy_temporal.cli.tui.data import Changes, Log, TableName, TableState, key_of
from sqlalchemy_temporal.cli.undoing import Preview
from sqlalchemy_temporal.clock.commit import Commit
from sqlalchemy_temporal.repository import PlannedRow, Ref
from sqlalchemy_temporal.repository.diff import RowChange
from sqlalchemy_temporal.repository.drawing.lanes import GraphRow
from sqlalchemy_temporal.repository.drawing.text import paint_row

_ID: Final = 7
"""Digits of a commit's id in the list."""
_CELL: Final = 60
"""Characters of a cell of a table."""
_ROW: Final = 1000
"""Characters of a changed row."""
_MARKS: Final = {"INSERT": ("+", "green"), "UPDATE": ("~", "yellow")}


def graph_line(row: GraphRow, names: Mapping[UUID, Sequence[Ref]], head: UUID | None) -> Text:
    """A commit in the list: its place in the graph, its id, its names, what for, who."""
    commit = row.commit
    about = Text(commit.short[:_ID], style="yellow")
    about.append(names_of(names.get(commit.uuid, ()), head=commit.uuid == head))
    about.append(" ")
    about.append(_what(commit))
    if commit.author:
        about.append(f" {commit.author}", style="cyan")
    text = Text()
    paint_row(text, row, about)
    return text


def about_commit(commit: Commit, log: Log) -> Text:
    """A commit in a few lines."""
    head = log.head is not None and commit.uuid == log.head.uuid
    text = Text(commit.short, style="yellow")
    text.append(names_of(log.graph.names.get(commit.uuid, ()), head=head))
    if commit.operation != "COMMIT":
        text.append(f" [{commit.operation}]")
    text.append(f"\n{when_text(commit.effective_at or commit.committed_at)[:19]} UTC", style="dim")
    if commit.author:
        text.append(f" {commit.author}", style="cyan")
    if commit.message:
        text.append(f"\n{commit.message}", style="bold")
    if commit.is_deleted:
        text.append("\ndeleted from the log", style="red")
    return text


def change_lines(commit: Commit, changes: Changes) -> Iterator[tuple[str | None, Text]]:
    """What a commit changed, line by line: the table whose heading it is, and the line."""
    if changes.is_first:
        yield None, Text("the first commit: nothing before it is known", style="dim")
    for table in commit.tables:
        if changes.is_first or table in changes.unknown:
            yield table, _heading(commit, table)
    current = None
    for row in changes.rows:
        if row.table != current:
            current = row.table
            yield current, _heading(commit, current)
        yield None, changed_row(row)
    for line in left_out(changes.unknown):
        yield None, Text(line, style="dim")
    if not commit.tables and not changes.rows:
        yield None, Text("no row was changed", style="dim")


def changed_row(row: RowChange | PlannedRow) -> Text:
    """A changed row, of sensible length."""
    text = row_of(row)
    if len(text) > _ROW:
        text.truncate(_ROW, overflow="ellipsis")
    return text


def more_text(commit: Commit, shown: int) -> Text:
    """What stands for the rows that are not shown yet."""
    every = sum(sum(numbers.values()) for numbers in commit.counts.values())
    left = f"{every - shown:,} more rows" if every > shown else "more rows"
    return Text(f"… {left}: press Enter", style="bold")


def preview_lines(seen: Preview) -> Iterator[Text]:
    """What a change would do: numbers, what forbids it, what it leaves, rows."""
    for table, numbers in seen.counted():
        yield Text.assemble((f"{table}: ", "bold"), numbers)
    if not seen.summary:
        yield Text("nothing differs")
    for each in seen.forbidden:
        yield Text(f"forbidden: {each}", style="bold red")
    for line in left_out(seen.unknown):
        yield Text(line, style="dim")
    current = None
    for row in seen.rows:
        if row.table != current:
            current = row.table
            yield Text(f"\n{current}", style="bold")
        yield changed_row(row)
    if seen.more:
        yield Text("…", style="dim")


def slider_text(position: int, number: int, width: int, *, more: bool) -> Text:
    """The slider: oldest on the left, newest on the right.

    Parameters:
        position: which commit, counted from 0 for the newest.
        number: how many there are.
        width: how many characters there are for it.
        more: whether older ones were not read yet.
    """
    label = f" {number - position}/{number}{'+' if more else ''}"
    room = max(width - len(label) - 2, 3)
    steps = max(number - 1, 1)
    at = round((steps - position) * (room - 1) / steps)
    text = Text("◀", style="dim")
    text.append("─" * at, style="dim")
    text.append("●", style="bold yellow")
    text.append("─" * (room - 1 - at), style="dim")
    text.append("▶", style="dim")
    text.append(label)
    return text


def moment_line(commit: Commit) -> Text:
    """The commit as of which a table is shown, in one line."""
    text = Text(commit.short, style="yellow")
    text.append(f" {when_text(commit.effective_at or commit.committed_at)[:19]}", style="dim")
    text.append(f" {commit.author}" if commit.author else "", style="cyan")
    text.append(" ")
    text.append(_what(commit))
    return text


def state_rows(table: TableName, state: TableState) -> Iterator[list[Text]]:
    """The rows of a table; those that the commit wrote are marked and coloured."""
    for row in state.rows:
        change = state.changed.get(key_of(table, row))
        mark, style = _MARKS.get(change.operation, ("", "")) if change else ("", "")
        cells = [Text(mark, style=style)]
        for name in state.columns:
            is_new = change is not None and name in change.changed
            cells.append(_cell(row[name], f"bold {style}" if is_new else ""))
        yield cells


def state_notes(state: TableState) -> str:
    """What is to be said beside a page of a table."""
    operations = [change.operation for change in state.changed.values()]
    last = state.offset + len(state.rows)
    where = f"rows {state.offset + 1}-{last}" if state.rows else "no rows"
    parts = [where + (" of more" if state.more else "")]
    for operation, (mark, _) in _MARKS.items():
        if operation in operations:
            parts.append(f"{mark}{operations.count(operation)} here")
    parts += [f"-{state.removed} deleted"] if state.removed else []
    parts += [state.note] if state.note else []
    return " · ".join(parts)


def joined(lines: Iterable[Text]) -> Text:
    """Lines as one text."""
    return Text("\n").join(lines)


def _what(commit: Commit) -> Text:
    first = (commit.message or "").partition("\n")[0]
    if commit.operation != "COMMIT":
        return Text(f"[{commit.operation}] {first}".rstrip())
    return Text(first) if first else counts_of(commit.counts)


def _heading(commit: Commit, table: str) -> Text:
    text = Text(table, style="bold")
    numbers = commit.counts.get(table)
    if numbers:
        text.append(" ")
        text.append(counts_of({"": numbers}))
    return text


def _cell(value: Any, style: str) -> Text:
    text = value_text(value, style)
    text.truncate(_CELL, overflow="ellipsis")
    return text


__all__ = [
    "about_commit",
    "change_lines",
    "changed_row",
    "graph_line",
    "joined",
    "moment_line",
    "more_text",
    "preview_lines",
    "slider_text",
    "state_notes",
    "state_rows",
]
