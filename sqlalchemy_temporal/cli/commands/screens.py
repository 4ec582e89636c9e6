"""``tui``: the full-screen view."""

from __future__ import annotations

import os
import sys
from typing import Final

import click

from sqlalchemy_temporal.cli.app import App, pass_app
from sqlalchemy_temporal.errors import MissingExtraError


@click.command()
@click.option("--light", is_flag=True, help="Dark letters on a light ground.")
@pass_app
def tui(app: App, light: bool) -> None:
    r"""Look through commits and tables full-screen, and go back from there.

    Press ? for the keys. Needs the extra [tui].

    \b
    vsg tui
    vsg --access-mode restricted tui --light
    """
    try:
        from sqlalchemy_temporal.cli.tui.app import HistoryApp
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "textual":
            raise
        raise MissingExtraError(
            "the full-screen view needs the package textual; install it with "
            "pip install 'sqlalchemy-temporal[tui]'"
        ) from error
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("the full-screen view needs a terminal")
    with app.reading() as repo:
        repo.log(limit=1)  # what keeps it from being read is said here, in one line
    if app.output.is_plain:
        os.environ["NO_COLOR"] = "1"  # as --color=never is said to textual
    HistoryApp(app, light=light).run()


COMMANDS: Final = (tui,)
