"""The full-screen application: what its screens have in common, and how it changes data."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar, Final, ParamSpec, Protocol, TypeVar, runtime_checkable

from sqlalchemy.exc import SQLAlchemyError
from textual import work
from textual.app import App as Textual
from textual.binding import Binding, BindingType

from sqlalchemy_temporal.cli import codes
from sqlalchemy_temporal.cli.app import App
from sqlalchemy_temporal.cli.tui.dialogs import Confirm, Decide, Help
from sqlalchemy_temporal.cli.tui.log_screen import LogScreen
from sqlalchemy_temporal.cli.tui.table_screen import TableScreen
from sqlalchemy_temporal.cli.undoing import Change, Preview, carry_out, counted, preview
from sqlalchemy_temporal.errors import RevertConflictError, TemporalError
from sqlalchemy_temporal.repository import Outcome

P = ParamSpec("P")
R = TypeVar("R")

_RESTRICTED: Final = "the access mode is restricted: it allows reads only"
_WRITING: Final = frozenset({"change", "restore"})
"""Actions of the screens that change data."""
_WRITING_KEYS: Final = frozenset({"R", "C", "V"})
_PREVIEWED: Final = 200
"""Rows of a preview."""
_LONG: Final = 8.0
"""Seconds for which an error is shown."""


@runtime_checkable
class Reloads(Protocol):
    """A screen that shows something of the database."""

    def reload(self) -> Any:
        """Read it again."""


class HistoryApp(Textual[None]):
    """The commits of a database, full-screen.

    Parameters:
        vsg: the run of the command.
        light: begin with dark letters on a light ground.
    """

    CSS_PATH = "tui.tcss"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "help", "Help", key_display="?", tooltip="these keys"),
        Binding("d", "light", "Dark", show=False, tooltip="dark or light"),
        Binding("q", "quit", "Quit", tooltip="leave"),
    ]

    def __init__(self, vsg: App, *, light: bool = False) -> None:
        super().__init__()
        self.vsg = vsg
        self.theme = "textual-light" if light else "textual-dark"

    def on_mount(self) -> None:
        """Begin with the commits."""
        self.push_screen(LogScreen(self))

    # ---------------------------------------------------------------------------- asking

    async def ask(self, question: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R | None:
        """Ask the database in a thread; None when that failed, which is said on the screen."""
        try:
            return await asyncio.to_thread(question, *args, **kwargs)
        except (TemporalError, SQLAlchemyError) as error:
            self._complain(error)
            return None

    def _complain(self, error: Exception) -> None:
        text = codes.message_of(error)
        self.notify(text, severity="error", timeout=_LONG, markup=False)

    # -------------------------------------------------------------------------- changing

    @property
    def is_restricted(self) -> bool:
        """Whether only reads are allowed."""
        return self.vsg.settings.access == "restricted"

    def may(self, action: str) -> bool | None:
        """Whether a screen offers an action; None shows its key disabled."""
        return None if self.is_restricted and action in _WRITING else True

    def refuse(self, key: str) -> None:
        """Say why the key of an action that writes does nothing."""
        if self.is_restricted and key in _WRITING_KEYS:
            self.notify(_RESTRICTED, severity="warning", markup=False)

    def change(self, change: Change) -> None:
        """Change something, after a look and a question; or say why that cannot be."""
        if self.is_restricted:
            self.notify(_RESTRICTED, severity="warning", markup=False)
        else:
            self._go_back(change)

    @work(group="change", exclusive=True)
    async def _go_back(self, change: Change) -> None:
        """Show what a change would do, ask, and do it unless HEAD has moved meanwhile."""
        seen = await self._previewed(change)
        if seen is None:
            return
        message = await self.push_screen_wait(Confirm(seen))
        if message is None:
            return
        outcome = await self.ask(carry_out, self.vsg, seen, message or None)
        if outcome is not None:
            self._report(seen, outcome)
        for screen in self.screen_stack:
            if isinstance(screen, Reloads):
                screen.reload()

    async def _previewed(self, change: Change) -> Preview | None:
        try:
            return await asyncio.to_thread(preview, self.vsg, change, _PREVIEWED)
        except RevertConflictError as error:
            decision = await self.push_screen_wait(Decide(error.conflicts))
        except (TemporalError, SQLAlchemyError) as error:
            self._complain(error)
            return None
        if decision is None:
            return None
        return await self._previewed(replace(change, conflicts=decision))

    def _report(self, seen: Preview, outcome: Outcome) -> None:
        if not outcome:
            self.notify("nothing differed, so there is no commit")
            return
        lines = [f"{table}: {counted(numbers)}" for table, numbers in outcome.changes.items()]
        lines.append(f"undo: restore {seen.head.hex[:10]}")
        self.notify("\n".join(lines), title=outcome.operation, markup=False)

    # --------------------------------------------------------------------------- actions

    def action_help(self) -> None:
        """Show the keys."""
        parts = (
            ("Commits", LogScreen.BINDINGS),
            ("One table through time", TableScreen.BINDINGS),
            ("Everywhere", self.BINDINGS),
        )
        self.push_screen(Help(parts))

    def action_light(self) -> None:
        """Change between dark and light."""
        self.theme = "textual-dark" if self.theme == "textual-light" else "textual-light"


__all__ = ["HistoryApp", "Reloads"]
