"""The full-screen view on a database, with a pilot: keys go in, letters come out."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import URL, create_engine, text
from textual.pilot import Pilot
from textual.widgets import DataTable, Input, OptionList

from sqlalchemy_temporal.cli.app import App
from sqlalchemy_temporal.cli.output import Output
from sqlalchemy_temporal.cli.settings import read_settings
from sqlalchemy_temporal.cli.tui.app import HistoryApp

READING = ("log", "more", "tables", "changes", "moments", "state")
"""Workers that end by themselves; the others wait for somebody's answer."""


class Seen:
    """A running view."""

    def __init__(self, view: HistoryApp, pilot: Pilot[None]) -> None:
        self.view = view
        self.pilot = pilot

    @property
    def screen(self) -> str:
        """The letters on the screen."""
        strips = self.view.screen._compositor.render_strips()
        return "\n".join(strip.text.rstrip() for strip in strips)

    @property
    def told(self) -> list[str]:
        """What the view has told in messages that go away by themselves."""
        return [each.message for each in self.view._notifications]

    async def settled(self) -> None:
        """Wait until all that was asked of the database is on the screen."""
        for _ in range(4):
            await self.pilot.pause()
            asking = [
                each for each in self.view.workers if each.group in READING and not each.is_finished
            ]
            for each in asking:
                await self.until_done(each)

    async def until_done(self, worker: Any) -> None:
        """Wait for a worker, which another may replace."""
        while not worker.is_finished:
            await self.pilot.pause(0.01)

    async def until(self, condition: Callable[[], Any]) -> None:
        """Wait for something that somebody's answer leads to."""
        for _ in range(500):
            if condition():
                await self.settled()
                return
            await self.pilot.pause(0.02)
        raise AssertionError(self.screen)

    async def dialog(self, kind: type[Any], *keys: str) -> None:
        """Press keys that open a dialog."""
        await self.pilot.press(*keys)
        await self.until(lambda: isinstance(self.view.screen, kind))

    async def press(self, *keys: str) -> None:
        """Press keys one by one, each when the one before is answered."""
        for key in keys:
            await self.pilot.press(key)
            await self.settled()

    async def write(self, where: str, value: str) -> None:
        """Give a field a value."""
        self.view.screen.query_one(where, Input).value = value
        await self.settled()

    async def click(self, where: str) -> None:
        """Press a button."""
        await self.pilot.click(where)

    def lines(self, where: str) -> list[str]:
        """The lines of a list."""
        options = self.view.screen.query_one(where, OptionList).options
        return [str(option.prompt) for option in options]

    def rows(self) -> list[str]:
        """The rows of the table that is shown through time."""
        shown = self.view.screen.query_one(DataTable)
        return [" ".join(map(str, shown.get_row_at(i))).strip() for i in range(shown.row_count)]


@asynccontextmanager
async def viewing(
    url: URL, size: tuple[int, int] = (80, 24), *, light: bool = False, **settings: str
) -> AsyncIterator[Seen]:
    """Run the view, and wait for its first screen."""
    given: dict[str, str | None] = dict.fromkeys(("schema", "access", "author", "models"))
    address = url.render_as_string(hide_password=False)
    app = App(read_settings(address, **(given | settings)), Output())
    view = HistoryApp(app, light=light)
    try:
        async with view.run_test(size=size) as pilot:
            seen = Seen(view, pilot)
            await seen.settled()
            yield seen
    finally:
        app.close()


def run(url: URL, *statements: str) -> None:
    """Run each statement as a commit of its own."""
    engine = create_engine(url)
    for statement in statements:
        with engine.begin() as connection:
            connection.execute(text(statement))
    engine.dispose()
