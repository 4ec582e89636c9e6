"""``shell``: a SQL prompt in the past."""

from __future__ import annotations

import sys
from typing import Final

import click
from sqlalchemy.exc import SQLAlchemyError

from sqlalchemy_temporal.cli import codes
from sqlalchemy_temporal.cli.app import App, pass_app
from sqlalchemy_temporal.cli.output import table_of, when_text
from sqlalchemy_temporal.cli.travelling import travelling
from sqlalchemy_temporal.errors import TemporalError
from sqlalchemy_temporal.naming import view_schema

_HELP: Final = r"""\at WHEN   go to another point in time
\d         list the tables
\?         this list
\q         leave
Everything else is SQL, up to a semicolon; it can only read."""


@click.command()
@click.option("--at", "when", metavar="WHEN", default="HEAD", show_default=True)
@pass_app
def shell(app: App, when: str) -> int:
    r"""Ask the past in SQL, at a prompt; every table is as it was.

    Reads from standard input without prompting when that is not a terminal, and then
    exits with the code of the first error.

    \b
    vsg shell --at v1.2
    echo "select count(*) from customers;" | vsg shell --at 2024-01-15T10:30Z
    """
    Prompt(app, when).run()
    return codes.OK


class Prompt:
    """A conversation; each answer is given in a transaction of its own.

    Parameters:
        app: the run of the command.
        when: the point in time.
    """

    def __init__(self, app: App, when: str) -> None:
        self.app = app
        self.when = when
        self.asks = sys.stdin.isatty()

    def run(self) -> None:
        """Ask and answer until the end of the input."""
        if self.asks:
            self._with_history()
            self.app.output.note(r"every table as of " + self.when + r"; \? for help, \q to leave")
        text = ""
        while True:
            line = self._line(text)
            if line is None or (not text and line.strip() == r"\q"):
                break
            if not text and line.strip().startswith("\\"):
                self._guarded(self._command, line.strip())
                continue
            text += line + "\n"
            if text.rstrip().endswith(";"):
                self._guarded(self._query, text)
                text = ""
        if text.strip():
            self._guarded(self._query, text)

    def _line(self, text: str) -> str | None:
        if not self.asks:
            line = sys.stdin.readline()
            return line.rstrip("\n") if line else None
        try:
            return input("......> " if text else f"{self.when}> ")
        except EOFError:
            return None

    def _with_history(self) -> None:
        try:
            import readline  # noqa: F401 - gives input() editing and history
        except ImportError:
            return  # a Python without it reads lines all the same

    def _guarded(self, what: object, text: str) -> None:
        """Say what went wrong and go on, when there is somebody to go on with."""
        try:
            what(text)  # type: ignore[operator]
        except (TemporalError, SQLAlchemyError) as error:
            if not self.asks:
                raise
            self.app.output.error(codes.message_of(error))

    def _query(self, text: str) -> None:
        with (
            self.app.reading() as repo,
            travelling(repo.connection, self.when, repo.schema) as past,
        ):
            columns, rows = past.run(text)
            self.app.output.show(table_of(columns, rows))

    def _command(self, text: str) -> None:
        name, _, rest = text.partition(" ")
        if name == r"\at" and rest.strip():
            with self.app.reading() as repo:
                commit = repo.get(rest.strip())
            self.when = rest.strip()
            self.app.output.note(f"as of {when_text(commit.effective_at)}")
        elif name == r"\d":
            schema = view_schema(self.app.settings.schema)
            self._query(
                "SELECT table_name FROM information_schema.views "  # noqa: S608 - our own name
                f"WHERE table_schema = '{schema}' ORDER BY 1"
            )
        else:
            self.app.output.note(_HELP)


COMMANDS: Final = (shell,)
