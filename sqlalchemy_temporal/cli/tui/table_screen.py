"""One table through time: a slider over the commits that changed it, and the table as it was."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar, Final

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.events import Key
from textual.screen import Screen
from textual.widgets import DataTable, Footer, Static

from sqlalchemy_temporal.cli.tui import data, view
from sqlalchemy_temporal.cli.undoing import Change
from sqlalchemy_temporal.clock.commit import Commit

if TYPE_CHECKING:
    from sqlalchemy_temporal.cli.tui.app import HistoryApp

_PAUSE: Final = 0.05
"""Seconds at a commit before the database is asked."""
_MOMENTS: Final = 500
"""Commits that are read at a time."""


class TableScreen(Screen[None]):
    """A table as of one of the commits that changed it.

    Parameters:
        host: the application.
        table: the table.
        at: where to begin: the newest of its commits that is not younger; None for HEAD.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "older", "Older", priority=True, tooltip="to the commit before"),
        Binding("right", "newer", "Newer", priority=True, tooltip="to the commit after"),
        Binding("home", "oldest", "First", priority=True, tooltip="to the first commit"),
        Binding("end", "newest", "Last", priority=True, tooltip="to the last commit"),
        Binding("n", "page(1)", "Next page", tooltip="the next rows"),
        Binding("p", "page(-1)", "Page back", show=False, tooltip="the rows before"),
        Binding("comma", "aside(-1)", "Left", show=False, key_display=",", tooltip="columns left"),
        Binding(
            "full_stop", "aside(1)", "Right", show=False, key_display=".", tooltip="columns right"
        ),
        Binding("R", "restore", "Restore", tooltip="make this table what it was"),
        Binding("escape", "dismiss(None)", "Back", tooltip="to the commits"),
    ]

    def __init__(self, host: HistoryApp, table: data.TableName, at: Commit | None) -> None:
        super().__init__()
        self.host = host
        self.table = table
        self.at = at
        self.moments: list[Commit] = []
        self.more = False
        self.place = 0
        self.state: data.TableState | None = None

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Whether an action can be done; its key is dimmed where the access is restricted."""
        return self.host.may(action)

    def on_key(self, event: Key) -> None:
        """Say why a key does nothing."""
        self.host.refuse(event.key)

    def compose(self) -> ComposeResult:
        """Lay out the screen."""
        yield Static(Text(self.table.name, style="bold"), id="bar")
        yield Static(id="slider")
        yield Static(id="moment")
        yield DataTable[Text](id="state", cursor_type="row", zebra_stripes=True)
        yield Static(id="notes")
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Read the commits of the table."""
        self.query_one(DataTable).focus()
        self.reload()

    @property
    def moment(self) -> Commit | None:
        """The commit as of which the table is shown."""
        return self.moments[self.place] if self.moments else None

    def reload(self) -> None:
        """Read the commits again, and stay at the one that is shown."""
        self._find(self.moment or self.at)

    def on_resize(self) -> None:
        """Draw the slider anew."""
        self._draw()

    # ---------------------------------------------------------------------------- reading

    @work(group="moments", exclusive=True)
    async def _find(self, at: Commit | None) -> None:
        """Read pages until the commit is reached that is wanted."""
        self.moments, self.more, self.place = [], True, 0
        place = None
        while place is None:
            if not await self._read_moments(_MOMENTS):
                return
            seq = None if at is None else at.seq
            reached = (i for i, each in enumerate(self.moments) if seq is None or each.seq <= seq)
            place = next(reached, None if self.more else max(len(self.moments) - 1, 0))
        self._go(place)

    async def _read_moments(self, most: int | None) -> bool:
        last = self.moments[-1] if self.moments else None
        found = await self.host.ask(data.read_moments, self.host.vsg, self.table, last, most)
        if found is None:
            return False
        self.moments += found
        self.more = most is not None and len(found) == most
        return True

    @work(group="moments", exclusive=True)
    async def _go_older(self, *, first: bool) -> None:
        """Go on where the commits read so far end."""
        place = self.place + 1
        if await self._read_moments(None if first else _MOMENTS):
            self._go(len(self.moments) - 1 if first else place)

    def _go(self, place: int) -> None:
        self.place = max(0, min(place, len(self.moments) - 1))
        self._draw()
        self._read_state(0)

    @work(group="state", exclusive=True)
    async def _read_state(self, offset: int) -> None:
        moment = self.moment
        if moment is None:
            self.query_one("#notes", Static).update("no commit has changed this table yet")
            return
        await asyncio.sleep(_PAUSE)
        found = await self.host.ask(data.read_state, self.host.vsg, self.table, moment, offset)
        if found is None:
            self.state = None
            self.query_one(DataTable).clear(columns=True)
            self.query_one("#notes", Static).update("")
        else:
            self._show(found)

    # ---------------------------------------------------------------------------- drawing

    def _draw(self) -> None:
        moment = self.moment
        if moment is None:
            return
        size = max(self.size.width - 2, 20)
        slider = view.slider_text(self.place, len(self.moments), size, more=self.more)
        self.query_one("#slider", Static).update(slider)
        self.query_one("#moment", Static).update(view.moment_line(moment))

    def _show(self, state: data.TableState) -> None:
        shown: DataTable[Text] = self.query_one("#state", DataTable)
        row, column = shown.cursor_row, shown.scroll_x
        columns = self.state.columns if self.state else ()
        self.state = state
        shown.clear(columns=columns != state.columns)
        if columns != state.columns:
            # As wide as a mark, whether one is shown or not: else the table moves sideways.
            shown.add_column("", width=1)
            shown.add_columns(*(Text(name) for name in state.columns))
        shown.add_rows(view.state_rows(self.table, state))
        shown.move_cursor(row=min(row, max(shown.row_count - 1, 0)))
        shown.scroll_to(x=column, animate=False)
        self.query_one("#notes", Static).update(Text(view.state_notes(state), style="dim"))

    # ---------------------------------------------------------------------------- actions

    def action_older(self) -> None:
        """To the commit before."""
        if self.place + 1 < len(self.moments):
            self._go(self.place + 1)
        elif self.more:
            self._go_older(first=False)

    def action_newer(self) -> None:
        """To the commit after."""
        if self.place:
            self._go(self.place - 1)

    def action_oldest(self) -> None:
        """To the first commit."""
        if self.more:
            self._go_older(first=True)
        else:
            self._go(len(self.moments) - 1)

    def action_newest(self) -> None:
        """To the last commit."""
        self._go(0)

    def action_page(self, by: int) -> None:
        """To other rows of the table."""
        if self.state is None or (by > 0 and not self.state.more):
            return
        offset = max(0, self.state.offset + by * data.PAGE)
        if offset != self.state.offset:
            self._read_state(offset)

    def action_aside(self, by: int) -> None:
        """To other columns of the table."""
        self.query_one(DataTable).scroll_relative(x=20 * by, animate=False)

    def action_restore(self) -> None:
        """Look what restoring the table would do, and ask."""
        if self.moment is not None:
            self.host.change(Change("restore", str(self.moment.uuid), (self.table.name,)))


__all__ = ["TableScreen"]
