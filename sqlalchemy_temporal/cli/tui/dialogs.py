"""What is asked and said in front of a screen: jump, a choice, a preview, help."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Final, Literal

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Input, OptionList, Static
from textual.widgets.option_list import Option

from sqlalchemy_temporal.cli.tui import view
from sqlalchemy_temporal.cli.tui.data import TableName
from sqlalchemy_temporal.cli.undoing import Preview

_ESCAPE: Final[list[BindingType]] = [Binding("escape", "dismiss(None)", "Back")]
Decision = Literal["keep", "overwrite"]


class Jump(ModalScreen[str | None]):
    """Asks for a commit, tag, branch or time."""

    BINDINGS: ClassVar[list[BindingType]] = _ESCAPE

    def compose(self) -> ComposeResult:
        """Lay out the question."""
        with Vertical(classes="dialog"):
            yield Static("Go to a commit, tag, branch, HEAD~3, or 2024-01-15T10:30Z")
            yield Input(id="where")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Give the answer."""
        self.dismiss(event.value.strip() or None)


class ChooseTable(ModalScreen[TableName | None]):
    """Asks for one of the tables."""

    BINDINGS: ClassVar[list[BindingType]] = _ESCAPE

    def __init__(self, tables: Sequence[TableName]) -> None:
        super().__init__()
        self.tables = tables

    def compose(self) -> ComposeResult:
        """Lay out the tables."""
        with Vertical(classes="dialog"):
            yield Static("Which table?")
            yield OptionList(*(Option(each.name) for each in self.tables), markup=False)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Give the answer."""
        self.dismiss(self.tables[event.option_index])


class Confirm(ModalScreen[str | None]):
    """Shows what a change would do, and asks; the answer is the message, or None for no."""

    BINDINGS: ClassVar[list[BindingType]] = _ESCAPE

    def __init__(self, seen: Preview) -> None:
        super().__init__()
        self.seen = seen

    def compose(self) -> ComposeResult:
        """Lay out the preview; nothing is done by pressing Enter at once."""
        seen = self.seen
        with Vertical(classes="dialog large"):
            yield Static(Text(f"{seen.change.kind}: {seen.question}", style="bold"))
            with VerticalScroll(classes="rows"):
                yield Static(view.joined(view.preview_lines(seen)), id="preview")
            yield Input(seen.change.message, placeholder="message of the commit", id="message")
            with Horizontal(classes="buttons"):
                yield Button("Cancel", id="cancel")
                yield Button(
                    seen.change.kind.capitalize(),
                    variant="warning",
                    id="do",
                    disabled=bool(seen.forbidden) or not seen.does_something,
                )

    def on_mount(self) -> None:
        """Begin where nothing happens."""
        self.query_one("#cancel").focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Give the answer."""
        done = event.button.id == "do"
        self.dismiss(self.query_one("#message", Input).value.strip() if done else None)


class Decide(ModalScreen[Decision | None]):
    """Shows rows that were changed again since a commit, and asks what becomes of them."""

    BINDINGS: ClassVar[list[BindingType]] = _ESCAPE

    def __init__(self, conflicts: Iterable[Any]) -> None:
        super().__init__()
        self.conflicts = [str(each) for each in conflicts]

    def compose(self) -> ComposeResult:
        """Lay out the conflicts and the choices."""
        with Vertical(classes="dialog large"):
            yield Static(Text("Rows were changed again since this commit:", style="bold"))
            with VerticalScroll(classes="rows"):
                yield Static(Text("\n".join(self.conflicts)), id="conflicts")
            with Horizontal(classes="buttons"):
                yield Button("Cancel", id="cancel")
                yield Button("Keep them as they are", id="keep")
                yield Button("Take them back", id="overwrite", variant="warning")

    def on_mount(self) -> None:
        """Begin where nothing happens."""
        self.query_one("#cancel").focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Give the answer; there is a preview of it before anything is done."""
        match event.button.id:
            case "keep":
                self.dismiss("keep")
            case "overwrite":
                self.dismiss("overwrite")
            case _:
                self.dismiss(None)


class Help(ModalScreen[None]):
    """The keys.

    Parameters:
        parts: what the keys are for, and they.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,q", "dismiss(None)", "Back")
    ]

    def __init__(self, parts: Sequence[tuple[str, Sequence[BindingType]]]) -> None:
        super().__init__()
        self.parts = parts

    def compose(self) -> ComposeResult:
        """Lay out the keys."""
        with VerticalScroll(classes="dialog large"):
            for title, bindings in self.parts:
                yield Static(Text(title, style="bold"))
                yield Static(_keys(bindings), classes="keys")


def _keys(bindings: Iterable[BindingType]) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 1))
    for each in bindings:
        if isinstance(each, Binding):
            table.add_row(Text(each.key_display or each.key, style="bold"), each.tooltip)
    return table


__all__ = ["ChooseTable", "Confirm", "Decide", "Decision", "Help", "Jump"]
