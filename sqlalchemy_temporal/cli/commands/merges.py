"""``switch``, ``merge``, ``conflicts``, ``resolve``: lines of commits brought together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import click
from rich.text import Text

from sqlalchemy_temporal.cli import codes
from sqlalchemy_temporal.cli.app import App, pass_app
from sqlalchemy_temporal.cli.commands.changes import report
from sqlalchemy_temporal.cli.differences import blocks_of, key_text, left_out
from sqlalchemy_temporal.cli.options import (
    as_json,
    confirm,
    dry_run,
    message,
    some_rows,
    split_key,
    yes,
)
from sqlalchemy_temporal.cli.output import table_of
from sqlalchemy_temporal.cli.undoing import counted
from sqlalchemy_temporal.errors import BeforeVersioningError
from sqlalchemy_temporal.repository import Conflict, MergeResult


@click.command()
@click.argument("name")
@click.option("--create", "-c", is_flag=True, help="Make the branch first, at HEAD.")
@message
@yes
@as_json
@pass_app
def switch(
    app: App, name: str, create: bool, message: str | None, yes: bool, as_json: bool
) -> None:
    r"""Go over to another branch: the tables become what it has.

    \b
    vsg switch spring
    vsg switch --create spring
    """
    with app.reading() as repo:
        head = repo.head.uuid
        if not create and not as_json:
            some_rows(app.output, blocks_of(repo.diff("HEAD", f"heads/{name}")))
    if not create:
        confirm(f"Go over to {name}?", yes=yes)
    with app.writing("switch") as repo, repo.committing(parent=head) as work:
        outcome = work.switch(name, create=create, message=message)
    if not as_json:
        app.output.note(f"on branch {name}")
    report(app, outcome, as_json=as_json)


@click.command()
@click.argument("commit", required=False)
@click.option("--continue", "then", flag_value="commit", help="Commit what was resolved.")
@click.option("--abort", "then", flag_value="abort", help="Give it up.")
@click.option("--strict", is_flag=True, help="Rows that both sides touched are conflicts.")
@click.option("--no-ff", is_flag=True, help="Make a commit of two parents in any case.")
@click.option("--table", "-t", "tables", multiple=True, help="Only this table.")
@message
@dry_run
@yes
@as_json
@pass_app
def merge(
    app: App,
    commit: str | None,
    then: str | None,
    strict: bool,
    no_ff: bool,
    tables: tuple[str, ...],
    message: str | None,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> int:
    r"""Merge another line of commits into HEAD, cell by cell.

    Exits with 1 when there are conflicts: look at them with vsg conflicts, decide with vsg
    resolve, then vsg merge --continue, or vsg merge --abort. Until then nothing is written.

    \b
    vsg merge spring --dry-run
    vsg merge spring -m "Spring prices"
    vsg merge spring --table prices
    vsg merge --continue
    """
    if (commit is None) == (then is None):
        raise click.UsageError("name what to merge, or give --continue or --abort")
    if then == "abort":
        with app.writing("merge") as repo:
            repo.merge_abort()
        app.output.note("the merge is given up; nothing was written")
        return codes.OK
    if then == "commit":
        with app.writing("merge") as repo:
            result = repo.merge_commit()
        return _told(app, result, as_json=as_json)
    assert commit is not None  # noqa: S101 - for the type checker; see above
    with app.writing("merge") as repo:
        tried = repo.merge(commit, *tables, strict=strict, fast_forward=not no_ff, dry_run=True)
        head = repo.head.uuid
    if dry_run or tried.status == "up-to-date":
        return _told(app, tried, as_json=as_json)
    if not as_json:
        _told(app, tried, as_json=False)
    confirm(f"Merge {commit}?", yes=yes)
    with app.writing("merge") as repo:
        if repo.head.uuid != head:
            app.output.note("HEAD has moved meanwhile")
        result = repo.merge(commit, *tables, strict=strict, fast_forward=not no_ff, message=message)
    if not as_json:
        return _done(app, result)
    return _told(app, result, as_json=True)


@click.command()
@click.option("--open", "only_open", is_flag=True, help="Only those that are not resolved.")
@as_json
@pass_app
def conflicts(app: App, only_open: bool, as_json: bool) -> int:
    r"""Show the conflicts of the merge in progress; exits with 1 while one is open.

    \b
    vsg conflicts
    vsg conflicts --open --json
    """
    with app.reading() as repo:
        found = repo.conflicts(only_open=only_open)
    if as_json:
        app.output.json({"conflicts": [conflict_json(each) for each in found]})
    else:
        app.output.show(_conflict_table(found))
    return codes.FOUND if any(each.is_open for each in found) else codes.OK


@click.command()
@click.argument("table", required=False)
@click.argument("key", required=False)
@click.option("--ours", "take", flag_value="ours", help="What HEAD has.")
@click.option("--theirs", "take", flag_value="theirs", help="What is merged.")
@click.option("--base", "take", flag_value="base", help="What both once had.")
@click.option("--set", "values", multiple=True, metavar="COLUMN=VALUE", help="Other values.")
@as_json
@pass_app
def resolve(
    app: App,
    table: str | None,
    key: str | None,
    take: str | None,
    values: tuple[str, ...],
    as_json: bool,
) -> None:
    r"""Decide conflicts: of one row, of a table, or all.

    A decision can be changed until vsg merge --continue.

    \b
    vsg resolve prices 7 --theirs
    vsg resolve prices 8 --set amount=12.50
    vsg resolve --ours
    """
    if bool(values) == bool(take):
        raise click.UsageError("give --ours, --theirs, --base, or --set COLUMN=VALUE")
    if values and (table is None or key is None):
        raise click.UsageError("--set is about one row: give its table and its key")
    with app.writing("resolve") as repo:
        number = repo.resolve(
            *([table] if table else []),
            key=None if key is None else split_key(key),
            take=take,
            values=_values(repo.versioned_tables(table)[0], values) if values and table else None,
        )
        left = sum(each.is_open for each in repo.conflicts())
    if as_json:
        app.output.json({"resolved": number, "open": left})
    else:
        after = "next: vsg merge --continue" if not left else f"{left} still open"
        app.output.note(f"{number} resolved; {after}")


def _values(table: Any, pairs: tuple[str, ...]) -> Mapping[str, Any]:
    from sqlalchemy_temporal.repository.keys import typed_value
    from sqlalchemy_temporal.tables.expressions import column_of

    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise click.UsageError(f"--set takes COLUMN=VALUE, not {pair!r}")
        column_of(table.live, name)
        found[name] = typed_value(table.live, name, value) if value else None
    return found


def conflict_json(conflict: Conflict) -> dict[str, Any]:
    """A conflict as ``--json`` shows it."""
    fields = (
        *("table", "kind", "columns", "base", "ours", "theirs", "resolution", "values"),
        *("resolved_by", "resolved_at"),
    )
    return {"key": dict(conflict.key)} | {name: getattr(conflict, name) for name in fields}


def _conflict_table(found: list[Conflict]) -> Any:
    rows = [
        (
            each.table,
            key_text(each.key),
            each.kind,
            column,
            base,
            ours,
            theirs,
            each.resolution or Text("open", style="bold red"),
        )
        for each in found
        for column, (base, ours, theirs) in (each.cells or {"": (None, None, None)}).items()
    ]
    header = ("table", "key", "kind", "column", "base", "ours", "theirs", "resolution")
    return table_of(header, rows)


def _told(app: App, result: MergeResult, *, as_json: bool) -> int:
    """Say what a merge came to, or would come to."""
    code = codes.OK if result else codes.FOUND
    if as_json:
        app.output.json(
            {
                "status": result.status,
                "dry_run": result.dry_run,
                "ours": str(result.ours),
                "theirs": str(result.theirs),
                "bases": [str(uuid) for uuid in result.bases],
                "changes": {table: dict(each) for table, each in result.changes.items()},
                "conflicts": [conflict_json(each) for each in result.conflicts],
                "violations": [str(each) for each in result.violations],
                "unknown": dict(result.unknown),
            }
        )
        return code
    for table, numbers in result.changes.items():
        app.output.show(Text.assemble((f"{table}: ", "bold"), counted(numbers)))
    if result.conflicts:
        app.output.show(_conflict_table(list(result.conflicts)))
    for violation in result.violations:
        app.output.note(f"forbidden: {violation}")
    for line in left_out(result.unknown):
        app.output.note(line)
    app.output.note(f"{'would be ' if result.dry_run else ''}{result.status}")
    return code


def _done(app: App, result: MergeResult) -> int:
    if not result:
        app.output.note(
            f"{len(result.conflicts)} conflict(s), {len(result.violations)} violation(s): nothing "
            "is written yet; vsg conflicts, vsg resolve, then vsg merge --continue or --abort"
        )
        return codes.FOUND
    with app.reading() as repo:
        try:
            head = repo.head
        except BeforeVersioningError:
            return codes.OK
    app.output.note(f"{result.status}: HEAD is {head.short}; undo: vsg restore {head.short}~1")
    return codes.OK


COMMANDS: Final = (switch, merge, conflicts, resolve)
