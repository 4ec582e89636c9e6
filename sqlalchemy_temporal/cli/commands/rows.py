"""``as-of``, ``history``, ``blame``: rows as they were, and how they came to be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import click
from sqlalchemy import ColumnElement, Table, and_, true

from sqlalchemy_temporal.cli import codes, commits
from sqlalchemy_temporal.cli.app import App, pass_app
from sqlalchemy_temporal.cli.options import as_json, limit, split_key, split_table
from sqlalchemy_temporal.cli.output import table_of, when_text
from sqlalchemy_temporal.cli.travelling import is_query, query_as_of
from sqlalchemy_temporal.repository.keys import typed_value
from sqlalchemy_temporal.tables.expressions import column_of
from sqlalchemy_temporal.tables.query import query_temporal_data
from sqlalchemy_temporal.tables.row_history import get_row_history


@click.command("as-of")
@click.argument("when")
@click.argument("what", metavar="TABLE|SQL")
@click.option(
    "--where", multiple=True, metavar="COLUMN=VALUE", help="Only these rows; COLUMN= for NULL."
)
@click.option("--columns", metavar="A,B", help="Only these columns.")
@click.option("--order-by", metavar="A,-B", help="In this order; - for descending.")
@click.option("--offset", type=click.IntRange(min=0), help="Leave out so many rows first.")
@limit(None)
@as_json
@pass_app
def as_of(
    app: App,
    /,
    when: str,
    what: str,
    where: tuple[str, ...],
    columns: str | None,
    order_by: str | None,
    **chosen: Any,
) -> None:
    r"""Show a table as it was, or ask a question of the past in SQL.

    SQL is run with every versioned table as it was at WHEN; it is a query, and cannot change
    anything.

    \b
    vsg as-of v1.2 customers --where city=Rome
    vsg as-of 2024-01-15T10:30Z orders --order-by -id -n 20 --json
    vsg as-of HEAD~3 "select city, count(*) from customers group by city"
    """
    if is_query(what):
        if where or columns or order_by or chosen["limit"] is not None or chosen["offset"]:
            raise click.UsageError("with SQL, say in the SQL which rows and columns are wanted")
        query_as_of(app, when, what, as_json=chosen["as_json"])
        return
    schema, table = split_table(what)
    found = query_temporal_data(
        app.engine,
        table,
        when,
        schema_name=schema,
        where=_conditions(where),
        columns=columns.split(",") if columns else None,
        order_by=order_by.split(",") if order_by else None,
        limit=chosen["limit"],
        offset=chosen["offset"],
        schema=app.settings.schema,
    )
    if chosen["as_json"]:
        head = {
            "table": found.table,
            "as_of": found.as_of.isoformat(),
            "commit": str(found.commit),
            "columns": list(found.columns),
            "more": found.more,
        }
        app.output.json_stream(head, "rows", (dict(row) for row in found))
        return
    header = found.columns
    app.output.show(table_of(header, ([row[name] for name in header] for row in found)))
    for note in found.footnotes():
        app.output.note(note)


@click.command()
@click.argument("table")
@click.argument("key")
@click.option("--newest-first", is_flag=True, help="Begin with the last change.")
@click.option("--this-key", is_flag=True, help="Do not follow changes of the key.")
@limit(None)
@as_json
@pass_app
def history(
    app: App,
    table: str,
    key: str,
    newest_first: bool,
    this_key: bool,
    limit: int | None,
    as_json: bool,
) -> int:
    r"""Show everything that happened to one row.

    KEY is the value of the key, or COLUMN=VALUE,COLUMN=VALUE for a key of several columns.

    \b
    vsg history customers 7
    vsg history order_products order_id=1,product_id=3 --json
    """
    schema, name = split_table(table)
    found = get_row_history(
        app.engine,
        name,
        split_key(key),
        schema_name=schema,
        limit=limit,
        newest_first=newest_first,
        follow_key_changes=not this_key,
        schema=app.settings.schema,
    )
    if as_json:
        app.output.json(found.to_dict())
    else:
        rows = list(found.lines())
        if rows:
            app.output.show(table_of(found.header(), rows))
        for note in found.footnotes():
            app.output.note(note)
    if not any(True for _ in found):
        app.output.error(f"there never was a row {key} in {table}")
        return codes.UNKNOWN
    return codes.OK


@click.command()
@click.argument("table")
@click.argument("key")
@click.option("--at", "at", metavar="WHEN", default="HEAD", show_default=True)
@as_json
@pass_app
def blame(app: App, table: str, key: str, at: str, as_json: bool) -> int:
    r"""Show which commit last set each cell of a row.

    \b
    vsg blame customers 7
    vsg blame customers 7 --at v1.2
    """
    with app.reading() as repo:
        found = repo.blame(table, split_key(key), at=at)
    if as_json:
        app.output.json({name: commits.json_of(each) for name, each in found.items()})
    if not found:
        app.output.error(f"there is no row {key} in {table} at {at}")
        return codes.UNKNOWN
    if not as_json:
        rows = (
            (
                name,
                each.short,
                when_text(each.effective_at or each.committed_at)[:19],
                each.author or "",
                each.message or "",
            )
            for name, each in found.items()
        )
        app.output.show(table_of(("column", "commit", "date", "author", "message"), rows))
    return codes.OK


def _conditions(where: Sequence[str]) -> Callable[[Table], ColumnElement[bool]]:
    """The rows whose columns have the values given as text; ``COLUMN=`` for NULL."""
    pairs = [each.partition("=") for each in where]
    for name, equals, _ in pairs:
        if not equals:
            raise click.UsageError(f"--where takes COLUMN=VALUE, not {name!r}")

    def condition(table: Table) -> ColumnElement[bool]:
        return and_(
            true(),
            *(
                column_of(table, name) == (typed_value(table, name, value) if value else None)
                for name, _, value in pairs
            ),
        )

    return condition


COMMANDS: Final = (as_of, history, blame)
