"""The first screen: the commits on the left, what the chosen one changed on the right."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar, Final, cast

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.events import Key
from textual.screen import Screen
from textual.widgets import Footer, Input, Static

from sqlalchemy_temporal.cli.tui import data, view
from sqlalchemy_temporal.cli.tui.dialogs import ChooseTable, Jump
from sqlalchemy_temporal.cli.tui.table_screen import TableScreen
from sqlalchemy_temporal.cli.tui.widgets import ChangeList, CommitList, Filters
from sqlalchemy_temporal.cli.undoing import Change, Kind
from sqlalchemy_temporal.clock.commit import Commit

if TYPE_CHECKING:
    from sqlalchemy_temporal.cli.tui.app import HistoryApp

_PAUSE: Final = 0.15
"""Seconds without a key before the database is asked."""


class LogScreen(Screen[None]):
    """The commits, and what they changed.

    Parameters:
        host: the application.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "Filter", key_display="/", tooltip="filter the commits"),
        Binding("escape", "clear", "Clear", show=False, tooltip="show all commits again"),
        Binding("g", "jump", "Go to", tooltip="go to a commit, tag, branch, HEAD~3 or time"),
        Binding("t", "table", "Table", tooltip="one table through time; also Enter on its name"),
        Binding("R", "change('restore')", "Restore", tooltip="make the tables what they were"),
        Binding("C", "change('checkout')", "Checkout", tooltip="go on from that commit"),
        Binding("V", "change('revert')", "Revert", tooltip="undo that commit"),
        Binding("r", "read_again", "Reload", show=False, tooltip="read again"),
        Binding("tab", "app.focus_next", "Next", show=False, tooltip="to the next part"),
    ]

    def __init__(self, host: HistoryApp) -> None:
        super().__init__()
        self.host = host
        self.wanted = data.Wanted()
        self.shown: data.Log | None = None
        self.tables: tuple[data.TableName, ...] = ()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Whether an action can be done; its key is dimmed where the access is restricted."""
        return self.host.may(action)

    def on_key(self, event: Key) -> None:
        """Say why a key does nothing."""
        self.host.refuse(event.key)

    def compose(self) -> ComposeResult:
        """Lay out the screen."""
        yield Static(id="bar")
        yield Filters(id="filters")
        with Horizontal():
            yield CommitList(id="log")
            with Vertical(id="detail"):
                yield Static(id="about")
                yield ChangeList(id="changes")
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Read the first page."""
        self.query_one(CommitList).focus()
        self.reload()

    # ----------------------------------------------------------------------- the commits

    def reload(self) -> None:
        """Read the commits again, and go to the newest."""
        self._read_tables()
        self._read_log(newest=True)

    @on(Filters.Changed)
    def filter(self, event: Filters.Changed) -> None:
        """Show the commits that are wanted now."""
        if event.wanted != self.wanted:
            self.wanted = event.wanted
            self._read_log(pause=_PAUSE)

    @work(group="log", exclusive=True)
    async def _read_log(self, *, newest: bool = False, pause: float = 0.0) -> None:
        await asyncio.sleep(pause)
        found = await self.host.ask(data.read_log, self.host.vsg, self.wanted)
        if found is not None:
            self._show(found, found.head if newest else None)

    @on(CommitList.NearEnd)
    @work(group="more", exclusive=True)
    async def more_commits(self) -> None:
        """Add the next page, unless other commits are shown by then."""
        before, wanted = self.shown, self.wanted
        if before is None:
            return
        found = await self.host.ask(data.read_log, self.host.vsg, wanted, before.commits)
        if found is not None and self.shown is before and self.wanted == wanted:
            self._show(found)

    @work(group="tables", exclusive=True)
    async def _read_tables(self) -> None:
        self.tables = await self.host.ask(data.read_tables, self.host.vsg) or ()
        self.query_one(Filters).offer_tables(each.name for each in self.tables)

    def _show(self, found: data.Log, choose: Commit | None = None) -> None:
        self.shown = found
        self.query_one(CommitList).show(found, choose)
        self.query_one(Filters).suggest_authors(each.author for each in found.commits)
        self.query_one("#bar", Static).update(self._bar(found))
        if not found.commits:
            none = "no commits yet" if self.wanted.is_all else "no commit is like that"
            self.query_one("#about", Static).update(Text(none, style="dim"))
            self.query_one(ChangeList).clear_options()

    def _bar(self, found: data.Log) -> Text:
        settings = self.host.vsg.settings
        text = Text("vsg ", style="bold")
        text.append(found.branch or "HEAD is detached", style="bold green")
        if found.head is not None:
            text.append(f" at {found.head.short}")
        if settings.author:
            text.append(f" · as {settings.author}")
        if self.host.is_restricted:
            text.append(" · restricted: reads only", style="bold")
        if settings.url is not None:
            text.append(f" · {settings.url.database or ''}", style="dim")
        return text

    # ------------------------------------------------------------------------ the changes

    @on(CommitList.Chosen)
    def chosen(self, event: CommitList.Chosen) -> None:
        """Show the commit that was chosen."""
        if self.shown is not None:
            about = view.about_commit(event.commit, self.shown)
            self.query_one("#about", Static).update(about)
        self._read_changes(event.commit)

    @on(CommitList.OptionSelected, "#log")
    def to_changes(self) -> None:
        """Go over to the changes."""
        self.query_one(ChangeList).focus()

    @on(ChangeList.MoreWanted)
    def more_changes(self, event: ChangeList.MoreWanted) -> None:
        """Show three times as many rows, so that the reading stays in proportion."""
        commit = self.query_one(CommitList).chosen
        if commit is not None:
            self._read_changes(commit, 3 * event.shown)

    @work(group="changes", exclusive=True)
    async def _read_changes(self, commit: Commit, most: int | None = None) -> None:
        if most is None:
            await asyncio.sleep(_PAUSE / 3)  # while somebody scrolls through the commits
        found = await self.host.ask(data.read_changes, self.host.vsg, commit, most or data.PAGE)
        shown = self.query_one(ChangeList)
        if found is None:
            shown.clear_options()
        else:
            shown.show(commit, found, keep_place=most is not None)

    # --------------------------------------------------------------------------- actions

    def action_read_again(self) -> None:
        """Read the commits again, and stay at the one that is chosen."""
        self._read_tables()
        self._read_log()

    def action_filter(self) -> None:
        """Go to the filters."""
        self.query_one("#text", Input).focus()

    def action_clear(self) -> None:
        """Show all commits."""
        self.query_one(Filters).clear()
        self.query_one(CommitList).focus()

    @work(group="jump", exclusive=True)
    async def action_jump(self) -> None:
        """Ask where to, and go there."""
        where = await self.app.push_screen_wait(Jump())
        if where is not None:
            self._go_to(where)

    @work(group="log", exclusive=True)
    async def _go_to(self, where: str) -> None:
        """Choose a commit; filters that hide it are taken away."""
        commit = await self.host.ask(data.read_commit, self.host.vsg, where)
        if commit is None:
            return
        self.query_one(CommitList).focus()
        for wanted in dict.fromkeys((self.wanted, data.Wanted())):
            found = await self.host.ask(data.read_log, self.host.vsg, wanted, down_to=commit)
            if found is None:
                return
            if all(each.uuid != commit.uuid for each in found.commits):
                continue
            if wanted != self.wanted:
                self.wanted = wanted
                self.query_one(Filters).clear()
            self._show(found, commit)
            return

    @on(ChangeList.TableChosen)
    def through_time(self, event: ChangeList.TableChosen) -> None:
        """Show that table as of the chosen commit."""
        self._open(next((each for each in self.tables if each.name == event.table), None))

    @work(group="table", exclusive=True)
    async def action_table(self) -> None:
        """Ask for a table, and show it through time."""
        if self.tables:
            self._open(await self.app.push_screen_wait(ChooseTable(self.tables)))

    def _open(self, table: data.TableName | None) -> None:
        if table is not None:
            at = self.query_one(CommitList).chosen
            self.app.push_screen(TableScreen(self.host, table, at))

    def action_change(self, kind: str) -> None:
        """Look what restoring, checking out or reverting the commit would do, and ask."""
        commit = self.query_one(CommitList).chosen
        if commit is not None:
            self.host.change(Change(cast("Kind", kind), str(commit.uuid)))


__all__ = ["LogScreen"]
