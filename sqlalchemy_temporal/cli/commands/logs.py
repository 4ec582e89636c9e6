"""``log``, ``graph``, ``show``: the commits."""

from __future__ import annotations

import sys
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any, Final

import click
from rich.text import Text

from sqlalchemy_temporal.cli import commits
from sqlalchemy_temporal.cli.app import App, pass_app
from sqlalchemy_temporal.cli.differences import blocks_of
from sqlalchemy_temporal.cli.options import as_json, limit, split_key
from sqlalchemy_temporal.errors import BeforeVersioningError
from sqlalchemy_temporal.repository import Repository


@click.command()
@click.argument("revisions", required=False)
@click.option("--table", "-t", "tables", multiple=True, help="Only commits that changed it.")
@click.option("--key", metavar="KEY", help="Only commits that wrote this row of the table.")
@click.option("--author", help="Only by this author.")
@click.option("--grep", metavar="TEXT", help="Only with this text in the message.")
@click.option("--operation", help="Only of this kind, such as MERGE.")
@click.option("--since", metavar="WHEN", help="Only from this time or commit on.")
@click.option("--until", metavar="WHEN", help="Only up to this time or commit.")
@click.option("--skip", type=click.IntRange(min=0), default=0, help="Leave out so many.")
@click.option("--first-parent", is_flag=True, help="Of merges follow the first parent only.")
@click.option("--deleted", is_flag=True, help="Also those deleted from the log.")
@click.option("--graph", is_flag=True, help="Draw how the commits follow from each other.")
@click.option("--full", is_flag=True, help="All that is known of each commit.")
@limit(None)
@as_json
@pass_app
def log(
    app: App,
    /,
    revisions: str | None,
    tables: tuple[str, ...],
    grep: str | None,
    skip: int,
    deleted: bool,
    graph: bool,
    full: bool,
    as_json: bool,
    key: str | None,
    since: str | None,
    until: str | None,
    **chosen: Any,
) -> None:
    r"""Show the commits, newest first.

    REVISIONS is a commit, tag or branch whose line is shown, or a range such as
    main..spring; without it, all lines are shown.

    \b
    vsg log -n 10
    vsg log --graph
    vsg log --table customers --key 7
    vsg log --since 2024-01-15T00:00Z --author ana --json
    """
    if key is not None and len(tables) != 1:
        raise click.UsageError("--key is the key of a row of one table: give that --table")
    filters = chosen | {
        "revisions": revisions,
        "message": grep,
        "offset": skip,
        "include_deleted": deleted,
        "key": None if key is None else split_key(key),
        "since": None if since is None else moment_of(since),
        "until": None if until is None else moment_of(until),
    }
    with app.reading() as repo:
        if graph and not as_json:
            app.output.show(repo.graph(*tables, **filters).rich())
            return
        found = repo.log(*tables, **filters)
        named = commits.by_commit([*repo.tags(), *repo.branches()])
        head = head_of(repo)
    if as_json:
        listed = [commits.json_of(each, named.get(each.uuid, ())) for each in found]
        app.output.json({"commits": listed})
        return
    shown = commits.block_of if full else commits.line_of
    blocks = [shown(each, named.get(each.uuid, ()), head=each.uuid == head) for each in found]
    if full:
        for block in blocks[:-1]:
            block.append("\n")
    app.output.show(*blocks)


@click.command()
@click.argument("revisions", required=False)
@click.option("--table", "-t", "tables", multiple=True, help="Only commits that changed it.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "dot", "svg", "png"]),
    default="text",
    show_default=True,
    help="svg and png need Graphviz and the extra [graph].",
)
@click.option(
    "--output",
    "-o",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write it there instead of standard output.",
)
@limit(50)
@pass_app
def graph(
    app: App,
    revisions: str | None,
    tables: tuple[str, ...],
    form: str,
    file: Path | None,
    limit: int,
) -> None:
    r"""Draw how the commits follow from each other.

    \b
    vsg graph
    vsg graph main..spring --format svg -o spring.svg
    vsg graph --format dot | dot -Tpdf > graph.pdf
    """
    with app.reading() as repo:
        drawn = repo.graph(*tables, revisions=revisions, limit=limit)
    if form == "text" and file is None:
        app.output.show(drawn.rich())
        return
    made = {
        "text": (drawn.text() + "\n").encode,
        "dot": lambda: drawn.dot().encode(),
        "svg": lambda: drawn.svg().encode(),
        "png": drawn.png,
    }[form]()
    if file is not None:
        file.write_bytes(made)
        app.output.note(f"written to {file}")
    elif form == "png" and sys.stdout.isatty():
        raise click.UsageError("a PNG is not for a terminal: give --output FILE")
    else:
        sys.stdout.buffer.write(made)
        sys.stdout.buffer.flush()


@click.command()
@click.argument("commit", default="HEAD")
@click.option("--stat", is_flag=True, help="Only how many rows were changed.")
@as_json
@pass_app
def show(app: App, commit: str, stat: bool, as_json: bool) -> None:
    r"""Show one commit: who, when, what for, and the rows it changed.

    Without COMMIT it is the newest.

    \b
    vsg show
    vsg show HEAD~2 --stat
    """
    with app.reading() as repo:
        details = repo.show(commit)
        made = details.commit
        head = made.uuid == head_of(repo)
        diff = repo.diff(made.parent_uuid, made) if made.parent_uuid else None
        if as_json:
            changed = [] if diff is None else (each.to_dict() for each in diff)
            head_part = commits.json_of(made, details.refs)
            head_part["children"] = [str(each.uuid) for each in details.children]
            app.output.json_stream(head_part, "changes", changed)
            return
        text = commits.block_of(made, details.refs, head=head)
        if stat or diff is None:
            app.output.show(text)
            return
        app.output.stream(chain([text, Text()], blocks_of(diff)))


def head_of(repo: Repository) -> Any:
    """The uuid of HEAD; None when nothing was recorded yet."""
    try:
        return repo.head.uuid
    except BeforeVersioningError:
        return None


def moment_of(value: str) -> datetime | str:
    """A time with its zone as a time, everything else as it is."""
    try:
        parsed = datetime.fromisoformat(value)
    except ValueError:
        return value
    return value if parsed.tzinfo is None else parsed


COMMANDS: Final = (log, graph, show)
