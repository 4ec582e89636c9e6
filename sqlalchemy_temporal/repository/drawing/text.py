"""The graph as lines of text, as ``git log --graph`` shows it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy_temporal.errors import MissingExtraError
from sqlalchemy_temporal.repository.drawing.lanes import GraphRow
from sqlalchemy_temporal.repository.refs import BRANCH, Ref

_COLOURS: Final = ("red", "green", "yellow", "blue", "magenta", "cyan")
Lane = tuple[str, int | None]
"""A character of the drawing and the lane whose colour it has."""


def lines(rows: Sequence[GraphRow], names: Mapping[UUID, Sequence[Ref]]) -> Iterator[str]:
    """The graph as plain lines."""
    for row in rows:
        for drawn in _above(row):
            yield _plain(drawn)
        graph = _plain(_commit_line(row))
        yield f"{graph} {describe(row, names.get(row.commit.uuid, ()))}"
        for drawn in _below(row):
            yield _plain(drawn)


def rich_text(rows: Sequence[GraphRow], names: Mapping[UUID, Sequence[Ref]]) -> Any:
    """The graph as a ``rich.text.Text``, a colour for each lane.

    Raises:
        MissingExtraError: rich is not installed.
    """
    try:
        from rich.text import Text
    except ImportError as error:
        raise MissingExtraError(
            "drawing in colour needs the package rich; install sqlalchemy-temporal[cli], or "
            "print the graph's text()"
        ) from error
    drawn = Text()
    for row in rows:
        commit = row.commit
        about = Text(commit.short, style="yellow")
        for ref in names.get(commit.uuid, ()):
            about.append(f" ({_name(ref)})", style="bold green" if ref.kind == BRANCH else "bold")
        about.append(f" {_message(row)}")
        about.append(f" {_who(row)}", style="dim")
        drawn.append("\n" if drawn else "")
        paint_row(drawn, row, about)
    return drawn


def paint_row(text: Any, row: GraphRow, about: Any) -> None:
    """Draw one commit: its line, and those that connect it with what is above and below.

    Parameters:
        text: a ``rich.text.Text``, to which it is appended.
        row: the commit with its place.
        about: what stands beside it.
    """
    for drawn in _above(row):
        _paint(text, drawn)
        text.append("\n")
    _paint(text, _commit_line(row))
    text.append(" ")
    text.append(about)
    for drawn in _below(row):
        text.append("\n")
        _paint(text, drawn)


def describe(row: GraphRow, names: Sequence[Ref]) -> str:
    """What is said about a commit beside the drawing."""
    named = "".join(f" ({_name(ref)})" for ref in names)
    return f"{row.commit.short}{named} {_message(row)} {_who(row)}"


def _name(ref: Ref) -> str:
    if ref.is_current:
        return f"HEAD -> {ref.name}"
    return ref.name if ref.kind == BRANCH else f"tag: {ref.name}"


def _message(row: GraphRow) -> str:
    message = (row.commit.message or "").partition("\n")[0]
    return message or f"[{row.commit.operation}]"


def _who(row: GraphRow) -> str:
    day = f"{row.commit.committed_at:%Y-%m-%d %H:%M}"
    return f"<{row.commit.author}, {day}>" if row.commit.author else f"<{day}>"


# ------------------------------------------------------------------------------------ lanes


def _commit_line(row: GraphRow) -> list[Lane]:
    star = "o" if row.commit.is_deleted else "*"
    used = row.before - set(row.joining) | {row.lane}
    return _columns({lane: star if lane == row.lane else "|" for lane in used})


def _above(row: GraphRow) -> Iterator[list[Lane]]:
    """The lines in which other children's lanes come together above a commit."""
    used = set(row.before)
    for joining in sorted(row.joining):
        used.discard(joining)
        yield _connected(used, joining, row.lane, "/")


def _below(row: GraphRow) -> Iterator[list[Lane]]:
    """The lines in which the lanes of a merge's parents part below it."""
    used = row.before - set(row.joining) | {row.lane}
    for leaving in sorted(row.leaving):
        if leaving > row.lane:
            yield _connected(used | {row.lane}, leaving, row.lane, "\\")
        else:
            yield _connected(used, row.lane, leaving, "/", keep=row.lane in row.after)
        used |= {leaving}


def _connected(
    used: set[int] | frozenset[int], far: int, near: int, slope: str, *, keep: bool = True
) -> list[Lane]:
    """A line in which the lane ``far``, on the right, is connected with ``near``."""
    drawn = _columns({lane: "|" for lane in used if keep or lane != far}, width=far + 1)
    for column in range(2 * near + 1, 2 * far - 1):
        if drawn[column][0] == " ":
            drawn[column] = ("_" if slope == "/" or column < 2 * far - 2 else " ", far)
    drawn[2 * far - 1] = (slope, far)
    return drawn


def _columns(marks: Mapping[int, str], width: int = 0) -> list[Lane]:
    """Characters by lane, two columns for each."""
    count = max([*(lane + 1 for lane in marks), width])
    drawn: list[Lane] = []
    for lane in range(count):
        drawn += [(marks.get(lane, " "), lane), (" ", None)]
    return drawn[:-1]


def _plain(drawn: Sequence[Lane]) -> str:
    return "".join(character for character, _ in drawn).rstrip()


def _paint(text: Any, drawn: Sequence[Lane]) -> None:
    for character, lane in drawn:
        style = None if lane is None else _COLOURS[lane % len(_COLOURS)]
        text.append(character, style=style)


__all__ = ["describe", "lines", "paint_row", "rich_text"]
