"""``restore``, ``checkout``, ``rollback``, ``revert``: states of the past, and commits undone."""

from __future__ import annotations

from typing import Final

import click
from rich.text import Text

from sqlalchemy_temporal.cli import codes
from sqlalchemy_temporal.cli.app import App, pass_app
from sqlalchemy_temporal.cli.differences import blocks_of, left_out
from sqlalchemy_temporal.cli.options import SHOWN, as_json, confirm, dry_run, message, yes
from sqlalchemy_temporal.cli.undoing import Change, Preview, carry_out, counted, preview
from sqlalchemy_temporal.errors import RevertConflictError
from sqlalchemy_temporal.repository import Outcome
from sqlalchemy_temporal.repository.reverting import OnConflict

_tables = click.option("--table", "-t", "tables", multiple=True, help="Only this table.")


@click.command()
@click.argument("when")
@_tables
@message
@dry_run
@yes
@as_json
@pass_app
def restore(
    app: App, /, when: str, tables: tuple[str, ...], message: str | None, **how: bool
) -> int:
    r"""Make the tables what they were at WHEN, as a new commit on HEAD.

    Only rows that differ are written. Undo it with vsg rollback.

    \b
    vsg restore v1.2 --dry-run
    vsg restore 2024-01-15T10:30Z --table customers -m "Undo the import"
    """
    return _go_back(app, Change("restore", when, tables, message), **how)


@click.command()
@click.argument("when")
@message
@dry_run
@yes
@as_json
@pass_app
def checkout(app: App, /, when: str, message: str | None, **how: bool) -> int:
    r"""Go back to a commit and go on from there: a new commit whose parent it is.

    The line that is left stays reachable. To work on a branch, see vsg switch.

    \b
    vsg checkout HEAD~3
    vsg checkout v1.2 --yes
    """
    return _go_back(app, Change("checkout", when, message=message), **how)


@click.command()
@click.argument("n", type=click.IntRange(min=1), default=1)
@message
@dry_run
@yes
@as_json
@pass_app
def rollback(app: App, /, n: int, message: str | None, **how: bool) -> int:
    r"""Return to the state before the last N commits, as a new commit on HEAD.

    \b
    vsg rollback
    vsg rollback 3 --dry-run
    """
    return _go_back(app, Change("rollback", f"HEAD~{n}", message=message, number=n), **how)


@click.command()
@click.argument("commit", default="HEAD")
@_tables
@click.option(
    "--conflicts",
    type=click.Choice(["refuse", "keep", "overwrite"]),
    default="refuse",
    show_default=True,
    help="What becomes of rows that were changed again since.",
)
@message
@dry_run
@yes
@as_json
@pass_app
def revert(
    app: App,
    /,
    commit: str,
    tables: tuple[str, ...],
    conflicts: OnConflict,
    message: str | None,
    **how: bool,
) -> int:
    r"""Undo what one commit changed, on top of all that came after it.

    Exits with 1 when rows were changed again since, and nothing was done.

    \b
    vsg revert
    vsg revert 4f1d2c --table customers --conflicts keep
    """
    change = Change("revert", commit, tables, message, conflicts)
    try:
        return _go_back(app, change, **how)
    except RevertConflictError as error:
        if how["as_json"]:
            app.output.json({"done": False, "conflicts": [str(each) for each in error.conflicts]})
        for each in error.conflicts:
            app.output.note(f"conflict: {each}")
        app.output.error("not done; decide with --conflicts keep or --conflicts overwrite")
        return codes.FOUND


def _go_back(app: App, change: Change, *, dry_run: bool, yes: bool, as_json: bool) -> int:
    """Show what would be done, ask, and do it unless HEAD has moved meanwhile."""
    seen = preview(app, change, None if as_json else SHOWN)
    if not as_json:
        _show(app, seen)
    if as_json and (seen.forbidden or dry_run):
        app.output.json(seen.to_dict())
    if seen.forbidden:
        app.output.error("constraints forbid it; nothing was done")
        return codes.REFUSED
    if dry_run:
        return codes.OK
    confirm(seen.question, yes=yes)
    report(app, carry_out(app, seen), as_json=as_json)
    return codes.OK


def _show(app: App, seen: Preview) -> None:
    more = [Text("…", style="dim")] if seen.more else []
    app.output.show(*blocks_of(seen.rows), *more)
    for table, numbers in seen.counted():
        app.output.show(Text.assemble((f"{table}: ", "bold"), numbers))
    if not seen.summary:
        app.output.show(Text("nothing differs"))
    for violation in seen.forbidden:
        app.output.note(f"forbidden: {violation}")
    for line in left_out(seen.unknown):
        app.output.note(line)


def report(app: App, outcome: Outcome, *, as_json: bool) -> None:
    """Say what was done, and how to undo it."""
    with app.reading() as repo:
        head = repo.head if outcome else None
    if as_json:
        app.output.json(
            {
                "done": bool(outcome),
                "operation": outcome.operation,
                "commit": None if head is None else str(head.uuid),
                "changes": {table: dict(each) for table, each in outcome.changes.items()},
            }
        )
        return
    if head is None:
        app.output.note("nothing differed, so there is no commit")
        return
    for table, numbers in outcome.changes.items():
        app.output.note(f"{table}: {counted(numbers)}")
    app.output.note(f"commit {head.short} ({outcome.operation}); undo: vsg restore {head.short}~1")


COMMANDS: Final = (restore, checkout, rollback, revert)
