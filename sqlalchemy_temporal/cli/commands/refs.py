"""``branch``, ``tag``, ``reflog``: names of commits."""

from __future__ import annotations

from typing import Any, Final

import click
from rich.text import Text

from sqlalchemy_temporal.cli.app import App, pass_app
from sqlalchemy_temporal.cli.options import as_json, limit
from sqlalchemy_temporal.cli.output import table_of, when_text
from sqlalchemy_temporal.repository import Ref


def json_of(ref: Ref) -> dict[str, Any]:
    """A tag or branch as ``--json`` shows it."""
    return {
        "kind": ref.kind,
        "name": ref.name,
        "commit": str(ref.commit_uuid),
        "current": ref.is_current,
        "author": ref.author,
        "created_at": ref.created_at.isoformat(),
    }


@click.command()
@click.argument("name", required=False)
@click.argument("at", default="HEAD")
@click.option("--delete", "-d", "what", flag_value="delete", help="Take the branch away.")
@click.option("--rename", "-r", metavar="NEW", help="Give it another name.")
@as_json
@pass_app
def branch(
    app: App, name: str | None, at: str, what: str | None, rename: str | None, as_json: bool
) -> None:
    r"""List the branches, or make one at a commit.

    A branch is taken away with --delete; its commits stay.

    \b
    vsg branch
    vsg branch spring v1.2
    vsg branch --delete spring
    """
    if name is None:
        if what or rename:
            raise click.UsageError("which branch? Give its name")
        with app.reading() as repo:
            _listed(app, repo.branches(), as_json=as_json)
        return
    with app.writing("branch") as repo:
        if what == "delete":
            repo.delete_branch(name)
            said = f"branch {name} is gone; its commits stay"
        elif rename is not None:
            repo.rename_branch(name, rename)
            said = f"branch {name} is called {rename} now"
        else:
            made = repo.branch(name, at)
            said = f"branch {name} is at {made.commit_uuid}; vsg switch {name} goes there"
    app.output.note(said)


@click.command()
@click.argument("name", required=False)
@click.argument("at", default="HEAD")
@click.option("--delete", "-d", is_flag=True, help="Take the tag away.")
@as_json
@pass_app
def tag(app: App, name: str | None, at: str, delete: bool, as_json: bool) -> None:
    r"""List the tags, or give a commit a name that stays with it.

    \b
    vsg tag
    vsg tag v1.2
    vsg tag before-import 2024-01-15T10:30Z
    vsg tag --delete v1.2
    """
    if name is None:
        if delete:
            raise click.UsageError("which tag? Give its name")
        with app.reading() as repo:
            _listed(app, repo.tags(), as_json=as_json)
        return
    with app.writing("tag") as repo:
        if delete:
            repo.delete_tag(name)
            said = f"tag {name} is gone; its commit stays"
        else:
            made = repo.tag(name, at)
            said = f"tag {name} names {made.commit_uuid}"
    app.output.note(said)


@click.command()
@click.argument("name", required=False)
@limit(None)
@as_json
@pass_app
def reflog(app: App, name: str | None, limit: int | None, as_json: bool) -> None:
    r"""Show what happened to tags, branches and HEAD, newest first.

    \b
    vsg reflog
    vsg reflog spring -n 5
    """
    with app.reading() as repo:
        moves = repo.ref_log(name, limit=limit)
    if as_json:
        fields = ("at", "kind", "name", "action", "old_uuid", "new_uuid", "author")
        listed = [{field: getattr(move, field) for field in fields} for move in moves]
        app.output.json({"moves": listed})
        return
    rows = (
        (
            when_text(move.at)[:19],
            move.kind,
            move.name,
            move.action,
            "" if move.new_uuid is None else move.new_uuid.hex[:10],
            move.author or "",
        )
        for move in moves
    )
    app.output.show(table_of(("date", "kind", "name", "action", "commit", "author"), rows))


def _listed(app: App, refs: list[Ref], *, as_json: bool) -> None:
    if as_json:
        app.output.json({"refs": [json_of(ref) for ref in refs]})
        return
    lines = []
    for ref in refs:
        line = Text("* " if ref.is_current else "  ")
        line.append(ref.name, style="bold green" if ref.is_current else "")
        line.append(f"  {ref.commit_uuid.hex[:10]}", style="yellow")
        lines.append(line)
    app.output.show(*lines)


COMMANDS: Final = (branch, tag, reflog)
