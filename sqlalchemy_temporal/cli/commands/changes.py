"""``restore``, ``checkout``, ``rollback``, ``revert``: states of the past, and commits undone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import click
from rich.text import Text

from sqlalchemy_temporal.cli import codes
from sqlalchemy_temporal.cli.app import App, pass_app
from sqlalchemy_temporal.cli.differences import blocks_of, left_out
from sqlalchemy_temporal.cli.options import as_json, confirm, dry_run, message, some_rows, yes
from sqlalchemy_temporal.errors import RevertConflictError
from sqlalchemy_temporal.repository import Outcome, Plan, Repository

Change = Callable[[Repository], Outcome]

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
    return _return_to(
        app, when, tables, lambda repo: repo.restore(when, *tables, message=message), **how
    )


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
    return _return_to(app, when, (), lambda repo: repo.checkout(when, message=message), **how)


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
    return _return_to(app, f"HEAD~{n}", (), lambda repo: repo.rollback(n, message=message), **how)


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
    commit: str,
    tables: tuple[str, ...],
    conflicts: Any,
    message: str | None,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> int:
    r"""Undo what one commit changed, on top of all that came after it.

    Exits with 1 when rows were changed again since, and nothing was done.

    \b
    vsg revert
    vsg revert 4f1d2c --table customers --conflicts keep
    """
    with app.reading() as repo:
        head = repo.head.uuid
        undone = repo.get(commit)
        diff = repo.diff(undone, f"{undone.uuid}~1", *tables)
        if not as_json:
            some_rows(app.output, blocks_of(diff))
    if dry_run:
        if as_json:
            app.output.json({"done": False, "commit": str(undone.uuid)})
        return codes.OK
    confirm(f"Undo commit {undone.short}?", yes=yes)
    try:
        outcome = _done(
            app,
            head,
            lambda repo: repo.revert(
                undone, *tables, conflicts=conflicts, message=message or _undoes(undone)
            ),
        )
    except RevertConflictError as error:
        if as_json:
            app.output.json({"done": False, "conflicts": [str(each) for each in error.conflicts]})
        for each in error.conflicts:
            app.output.note(f"conflict: {each}")
        app.output.error("not done; decide with --conflicts keep or --conflicts overwrite")
        return codes.FOUND
    report(app, outcome, as_json=as_json)
    return codes.OK


def _undoes(commit: Any) -> str:
    about = f": {commit.message}" if commit.message else ""
    return f"Revert {commit.short}{about}"


def _return_to(
    app: App,
    when: str,
    tables: tuple[str, ...],
    change: Change,
    *,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> int:
    """Show what would be done, ask, and do it unless HEAD has moved meanwhile."""
    with app.planning() as repo:
        head = repo.head.uuid
        target = repo.get(when)
        plan = repo.plan(target, *tables)
        preview = plan_json(plan) | {"done": False, "target": str(target.uuid)}
        if not as_json:
            _show_plan(app, plan)
        forbidden = bool(plan.violations)
        plan.discard()
    if forbidden:
        if as_json:
            app.output.json(preview)
        app.output.error("constraints forbid it; nothing was done")
        return codes.REFUSED
    if dry_run:
        if as_json:
            app.output.json(preview)
        return codes.OK
    confirm(f"Go to the state of {target.short}?", yes=yes)
    outcome = _done(app, head, change)
    report(app, outcome, as_json=as_json)
    return codes.OK


def _done(app: App, head: Any, change: Change) -> Outcome:
    """Make the change as a commit on the HEAD that the preview was of."""
    with app.writing("this command") as repo, repo.committing(parent=head) as work:
        return change(work)


def plan_json(plan: Plan) -> dict[str, Any]:
    """A plan as ``--json`` shows it."""
    return {
        "summary": plan.summary(),
        "rows": [
            {
                "table": row.table,
                "operation": row.operation,
                "key": dict(row.key),
                "changed": list(row.changed),
                "before": None if row.before is None else dict(row.before),
                "after": None if row.after is None else dict(row.after),
                "origin": row.origin,
            }
            for row in plan
        ],
        "violations": [str(each) for each in plan.violations],
        "unknown": dict(plan.unknown),
    }


def _show_plan(app: App, plan: Plan) -> None:
    some_rows(app.output, blocks_of(plan))
    for table, numbers in plan.summary().items():
        app.output.show(Text.assemble((f"{table}: ", "bold"), counted(numbers)))
    if not plan:
        app.output.show(Text("nothing differs"))
    for violation in plan.violations:
        app.output.note(f"forbidden: {violation}")
    for line in left_out(plan.unknown):
        app.output.note(line)


def counted(numbers: Mapping[str, int]) -> str:
    """How many rows, in words."""
    words = {"INSERT": "inserted", "UPDATE": "updated", "DELETE": "deleted"}
    parts = [f"{number} {words[name]}" for name, number in numbers.items() if number]
    return ", ".join(parts) or "nothing"


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
