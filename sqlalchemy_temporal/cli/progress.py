"""Progress of long work, on standard error and only on a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from sqlalchemy_temporal.cli.output import Output


class Rate(ProgressColumn):
    """How many a second."""

    def render(self, task: Task) -> Text:
        """The rate, once there is one."""
        return Text(f"{task.speed:,.0f}/s" if task.speed else "", style="dim")


class Work:
    """Long work whose progress is shown."""

    def __init__(self, bars: Progress, about: str) -> None:
        self._bars = bars
        self._task = bars.add_task(about, total=None)

    def at(self, done: int, total: int | None, about: str | None = None) -> None:
        """Say how far it has come."""
        self._bars.update(self._task, completed=done, total=total or None)
        if about is not None:
            self._bars.update(self._task, description=about)


@contextmanager
def working(output: Output, about: str) -> Iterator[Work]:
    """Show the progress of the block, and take it away when it ends."""
    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeRemainingColumn(),
        console=output.err,
        transient=True,
        disable=not output.err.is_terminal,
    )
    with bars:
        yield Work(bars, about)
