"""The parts of the screens: the list of commits, that of changed rows, the filters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.message import Message
from textual.suggester import SuggestFromList
from textual.widgets import Input, OptionList, Select, Static
from textual.widgets.option_list import Option

from sqlalchemy_temporal.cli.tui import view
from sqlalchemy_temporal.cli.tui.data import Changes, Log, Wanted
from sqlalchemy_temporal.clock.commit import Commit

_NEAR: Final = 20
"""The next page is read when so few commits are left below the chosen one."""
_MORE: Final = "more"


class CommitList(OptionList):
    """The commits with their graph, newest first."""

    class Chosen(Message):
        """A commit was chosen."""

        def __init__(self, commit: Commit) -> None:
            self.commit = commit
            super().__init__()

    class NearEnd(Message):
        """The chosen commit is one of the last, and there are older ones."""

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, **options)
        self.commits: list[Commit] = []
        self._is_part = False

    @property
    def chosen(self) -> Commit | None:
        """The chosen commit."""
        at = self.highlighted
        return self.commits[at] if at is not None and at < len(self.commits) else None

    def show(self, log: Log, choose: Commit | None = None) -> None:
        """Show commits, and choose one: that given, the one chosen before, or the newest."""
        wanted = choose or self.chosen
        head = None if log.head is None else log.head.uuid
        self.commits, self._is_part = log.commits, log.more
        lines = (view.graph_line(row, log.graph.names, head) for row in log.graph.rows)
        self.set_options(Option(line) for line in lines)
        places = {commit.uuid: place for place, commit in enumerate(self.commits)}
        place = 0 if wanted is None else places.get(wanted.uuid, 0)
        self.highlighted = place if self.commits else None

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Tell which commit was chosen."""
        event.stop()
        if self.chosen is None:
            return
        self.post_message(self.Chosen(self.chosen))
        if self._is_part and event.option_index >= len(self.commits) - _NEAR:
            self.post_message(self.NearEnd())


class ChangeList(OptionList):
    """The tables that a commit changed, and the rows."""

    class TableChosen(Message):
        """A table was chosen by its heading."""

        def __init__(self, table: str) -> None:
            self.table = table
            super().__init__()

    class MoreWanted(Message):
        """The line that stands for further rows was chosen."""

        def __init__(self, shown: int) -> None:
            self.shown = shown
            super().__init__()

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, **options)
        self._shown = 0

    def show(self, commit: Commit, changes: Changes, *, keep_place: bool = False) -> None:
        """Show what a commit changed."""
        place = self.highlighted if keep_place else None
        self._shown = len(changes.rows)
        options = [
            Option(line, id=None if table is None else f"table {table}")
            for table, line in view.change_lines(commit, changes)
        ]
        if changes.more:
            options.append(Option(view.more_text(commit, self._shown), id=_MORE))
        self.set_options(options)
        self.highlighted = place if place is not None else 0

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Tell which table was chosen, or that more is wanted."""
        event.stop()
        chosen = event.option_id or ""
        if chosen == _MORE:
            self.post_message(self.MoreWanted(self._shown))
        elif chosen:
            self.post_message(self.TableChosen(chosen.removeprefix("table ")))


class Filters(Horizontal):
    """Which commits are shown: by text, author and table; heeded while it is typed."""

    class Changed(Message):
        """Other commits are wanted."""

        def __init__(self, wanted: Wanted) -> None:
            self.wanted = wanted
            super().__init__()

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._offered: list[tuple[str, str]] = []
        self._authors: set[str] = set()

    def compose(self) -> ComposeResult:
        """Lay out the three of them."""
        yield Static("/", classes="label")
        yield Input(placeholder="text in the message", id="text", compact=True)
        yield Input(placeholder="author", id="author", compact=True)
        yield Select[str]([], prompt="all tables", id="table", compact=True)

    def offer_tables(self, names: Iterable[str]) -> None:
        """Say which tables there are."""
        chosen: Select[str] = self.query_one("#table", Select)
        offered = [(name.removeprefix("public."), name) for name in names]
        if offered != self._offered:
            self._offered = offered
            chosen.set_options(offered)

    def suggest_authors(self, authors: Iterable[str | None]) -> None:
        """Say which authors there are, to complete what is typed."""
        self._authors |= {each for each in authors if each}
        field = self.query_one("#author", Input)
        field.suggester = SuggestFromList(sorted(self._authors))

    @property
    def wanted(self) -> Wanted:
        """What is asked for now."""
        chosen: Select[str] = self.query_one("#table", Select)
        return Wanted(
            text=self.query_one("#text", Input).value.strip() or None,
            author=self.query_one("#author", Input).value.strip() or None,
            table=None if chosen.is_blank() else str(chosen.value),
        )

    def clear(self) -> None:
        """Ask for all commits."""
        for each in self.query(Input):
            each.value = ""
        self.query_one("#table", Select).clear()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Tell what is wanted now."""
        event.stop()
        self.post_message(self.Changed(self.wanted))

    def on_select_changed(self, event: Select.Changed) -> None:
        """Tell what is wanted now."""
        event.stop()
        self.post_message(self.Changed(self.wanted))


__all__ = ["ChangeList", "CommitList", "Filters"]
