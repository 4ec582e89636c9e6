"""``archive``, ``purge``, ``redact``: history that must not, or need not, be here."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click

from sqlalchemy_temporal.cli.app import App, pass_app
from sqlalchemy_temporal.cli.commands.logs import moment_of
from sqlalchemy_temporal.cli.options import (
    as_json,
    confirm,
    dry_run,
    split_key,
    split_table,
    yes,
)
from sqlalchemy_temporal.cli.output import table_of
from sqlalchemy_temporal.cli.progress import working
from sqlalchemy_temporal.tables.archive import archive_history
from sqlalchemy_temporal.tables.purge import PurgeResult, purge_history
from sqlalchemy_temporal.tables.redact import redact as redact_values
from sqlalchemy_temporal.tables.row_history import get_row_history

_tables = click.option("--table", "-t", "tables", multiple=True, help="Only this table.")
_schema = click.option("--in", "schema_name", metavar="SCHEMA", default="public", show_default=True)
_keep = click.option(
    "--keep-last", type=click.IntRange(min=0), metavar="N", help="Keep N versions of each row."
)
_reason = click.option("--reason", metavar="TEXT", help="Why, for the commit.")
_older = click.option(
    "--older-than", required=True, metavar="WHEN", help="What ended before this moment."
)


@click.command()
@_older
@_tables
@_schema
@_keep
@_reason
@dry_run
@yes
@as_json
@pass_app
def purge(
    app: App,
    older_than: str,
    tables: tuple[str, ...],
    schema_name: str,
    keep_last: int | None,
    reason: str | None,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    r"""Remove versions that ended before a moment, for ever.

    Moments before it can then no longer be read; later ones read as before. To keep what is
    removed, use vsg archive --purge.

    \b
    vsg purge --older-than 2023-01-01T00:00Z --dry-run
    vsg purge --older-than v1.0 --table customers --keep-last 3 --yes
    """
    options: dict[str, Any] = {
        "table_name": list(tables) or None,
        "schema_name": schema_name,
        "keep_last": keep_last,
        "schema": app.settings.schema,
    }
    when = moment_of(older_than)
    preview = purge_history(app.engine, when, dry_run=True, **options)
    if not as_json:
        _print(app, preview)
    if dry_run or not preview.removed:
        if as_json:
            app.output.json(preview.to_dict())
        elif not preview.removed:
            app.output.note("nothing is that old")
        return
    confirm(f"Remove {preview.removed} versions for ever?", yes=yes)
    with working(app.output, "purging") as work:
        done = purge_history(
            app.engine,
            when,
            dry_run=False,
            author=app.settings.author,
            reason=reason,
            progress=work.at,
            **options,
        )
    if as_json:
        app.output.json(done.to_dict())
    else:
        app.output.note(f"{done.removed} versions removed; this cannot be undone")


@click.command()
@_older
@click.argument("path", type=click.Path(path_type=Path))
@_tables
@_schema
@_keep
@click.option("--purge", "and_purge", is_flag=True, help="Remove here what was archived.")
@click.option("--overwrite", is_flag=True, help="Replace files that are there.")
@_reason
@yes
@as_json
@pass_app
def archive(
    app: App,
    older_than: str,
    path: Path,
    tables: tuple[str, ...],
    schema_name: str,
    keep_last: int | None,
    and_purge: bool,
    overwrite: bool,
    reason: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    r"""Write versions that ended before a moment to Parquet files.

    PATH is a directory, or a file that ends with .parquet for a single table. DuckDB and
    Spark read them. Needs the extra [archive].

    \b
    vsg archive --older-than 2023-01-01T00:00Z archive/
    vsg archive --older-than v1.0 customers.parquet --table customers --purge
    """
    options: dict[str, Any] = {
        "table_name": list(tables) or None,
        "schema_name": schema_name,
        "keep_last": keep_last,
        "schema": app.settings.schema,
    }
    when = moment_of(older_than)
    if and_purge:
        preview = purge_history(app.engine, when, dry_run=True, **options)
        if not as_json:
            _print(app, preview)
        confirm(f"Archive {preview.removed} versions and remove them here?", yes=yes)
    with working(app.output, "archiving") as work:
        done = archive_history(
            app.engine,
            when,
            path,
            purge=and_purge,
            overwrite=overwrite,
            author=app.settings.author,
            reason=reason,
            progress=work.at,
            **options,
        )
    if as_json:
        app.output.json(done.to_dict())
        return
    header = ("table", "versions", "bytes", "file")
    rows = ((each.table, each.rows, each.bytes, str(each.path or "")) for each in done.tables)
    app.output.show(table_of(header, rows))


@click.command()
@click.argument("table")
@click.argument("key")
@click.argument("columns", nargs=-1, required=True)
@click.option("--set", "values", multiple=True, metavar="COLUMN=VALUE", help="Write this instead.")
@click.option(
    "--versions",
    type=click.Choice(["all", "history", "live"]),
    default="all",
    show_default=True,
    help="Where: the row and its past, its past alone, or what it has now.",
)
@click.option("--follow-keys", is_flag=True, help="Also under the keys it had before and after.")
@click.option("--reason", required=True, metavar="TEXT", help="Why, for the commit.")
@yes
@as_json
@pass_app
def redact(
    app: App,
    table: str,
    key: str,
    columns: tuple[str, ...],
    values: tuple[str, ...],
    versions: Any,
    follow_keys: bool,
    reason: str,
    yes: bool,
    as_json: bool,
) -> None:
    r"""Overwrite COLUMNS of one row, now and in its past, for privacy law: for ever.

    They become NULL, or what --set says. verify reports the row as redacted.

    \b
    vsg redact customers 7 city --reason "Request of 2024-01-15"
    vsg redact customers 7 name --set name=- --reason "Request of 2024-01-15" --yes
    """
    schema, name = split_table(table)
    pairs = [each.partition("=") for each in values]
    known = get_row_history(
        app.engine, name, split_key(key), schema_name=schema, schema=app.settings.schema
    )
    if not as_json:
        app.output.note(known.headline())
    confirm(f"Overwrite {', '.join(columns)} of {table} {key} for ever?", yes=yes)
    done = redact_values(
        app.engine,
        name,
        split_key(key),
        columns,
        schema,
        replacement={column: value for column, _, value in pairs},
        versions=versions,
        follow_key_changes=follow_keys,
        author=app.settings.author,
        reason=reason,
        schema=app.settings.schema,
    )
    if as_json:
        app.output.json(done.to_dict())
    else:
        app.output.note(f"{done}; this cannot be undone")


def _print(app: App, preview: PurgeResult) -> None:
    header = ("table", "removed", "kept", "bytes", "known from then on")
    rows = (
        (each.table, each.removed, each.kept, each.bytes, each.known_from or "")
        for each in preview.tables
    )
    app.output.show(table_of(header, rows))
    if preview.unreadable:
        app.output.note(f"cannot be read any more then: {', '.join(preview.unreadable)}")


COMMANDS: Final = (archive, purge, redact)
