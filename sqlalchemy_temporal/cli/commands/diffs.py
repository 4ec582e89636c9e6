"""``diff``: what differs between two points in time."""

from __future__ import annotations

from typing import Final

import click
from rich.text import Text

from sqlalchemy_temporal.cli import codes
from sqlalchemy_temporal.cli.app import App, pass_app
from sqlalchemy_temporal.cli.differences import blocks_of, left_out, stat_table, summary_lines
from sqlalchemy_temporal.cli.options import as_json, split_key
from sqlalchemy_temporal.repository.diff import Diff


@click.command()
@click.argument("range_", metavar="A..B|A", default="HEAD~1..HEAD")
@click.argument("end", required=False)
@click.option("--table", "-t", "tables", multiple=True, help="Only this table.")
@click.option("--key", "keys", multiple=True, metavar="KEY", help="Only this row of the table.")
@click.option("--stat", "form", flag_value="stat", help="Numbers of rows and cells.")
@click.option("--summary", "form", flag_value="summary", help="A line for each table.")
@click.option("--sql", "form", flag_value="sql", help="SQL that turns A into B.")
@click.option("--exit-code", is_flag=True, help="Exit with 1 when anything differs.")
@as_json
@pass_app
def diff(
    app: App,
    range_: str,
    end: str | None,
    tables: tuple[str, ...],
    keys: tuple[str, ...],
    form: str | None,
    exit_code: bool,
    as_json: bool,
) -> int:
    r"""Show which rows differ between two points in time, and how.

    Give a range A..B, or A and B, or A alone for what came after it. Without any, it is
    what the newest commit changed.

    \b
    vsg diff v1..v2
    vsg diff 2024-01-15T00:00Z HEAD --table customers --stat
    vsg diff HEAD~3 --sql > forward.sql
    vsg diff main..spring --exit-code --summary
    """
    if keys and len(tables) != 1:
        raise click.UsageError("--key is the key of a row of one table: give that --table")
    with app.reading() as repo:
        chosen = [split_key(key) for key in keys] or None
        found = repo.diff(range_, end, *tables, keys=chosen)
        differs = bool(found) if exit_code else False
        _print(app, found, form, as_json=as_json)
        for line in left_out(found.unknown):
            app.output.note(line)
    return codes.FOUND if differs else codes.OK


def _print(app: App, found: Diff, form: str | None, *, as_json: bool) -> None:
    if as_json:
        _json(app, found, form)
    elif form == "sql":
        app.output.stream(Text(statement) for statement in found.to_sql())
    elif form == "summary":
        app.output.show(summary_lines(found))
    elif form == "stat":
        app.output.show(stat_table(found.stats_by_table()))
    else:
        app.output.stream(blocks_of(found))


def _json(app: App, found: Diff, form: str | None) -> None:
    head = {
        "from": str(found.start.uuid),
        "to": None if found.end is None else str(found.end.uuid),
        "from_time": found.start.effective_at,
        "to_time": None if found.end is None else found.end.effective_at,
        "unknown": dict(found.unknown),
    }
    if form == "sql":
        app.output.json_stream(head, "statements", found.to_sql())
        return
    if form in ("stat", "summary"):
        stats = {
            name: {field: getattr(each, field) for field in type(each).__slots__}
            for name, each in found.stats_by_table().items()
        }
        app.output.json(head | {"tables": stats})
        return
    app.output.json_stream(head, "changes", (change.to_dict() for change in found))


COMMANDS: Final = (diff,)
