"""``init``, ``enable``, ``disable``, ``tables``, ``status``: what is versioned; ``completion``."""

from __future__ import annotations

from typing import Any, Final

import click
from rich.text import Text

from sqlalchemy_temporal.cli.app import App, pass_app
from sqlalchemy_temporal.cli.options import as_json, confirm, split_table, yes
from sqlalchemy_temporal.cli.output import table_of
from sqlalchemy_temporal.tables.disable import disable_temporal_versioning
from sqlalchemy_temporal.tables.enable import enable_many
from sqlalchemy_temporal.tables.status import get_temporal_status, list_temporal_tables

_timeout = click.option(
    "--lock-timeout", type=float, metavar="SECONDS", help="How long to wait for a lock."
)


@click.command()
@pass_app
def init(app: App) -> None:
    r"""Make the library's own tables, so that tables can be enabled.

    enable does it by itself; this is for whoever wants to grant rights on them first.

    \b
    vsg init
    vsg --url postgresql://owner@host/shop init
    """
    from sqlalchemy_temporal.capture.install import install_system

    with app.writing("init") as repo:
        install_system(repo.connection, repo.schema)
    app.output.note(f"versioning is set up in {app.settings.schema}; next: vsg enable TABLE…")


@click.command()
@click.argument("tables", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All tables of a schema that have a key.")
@click.option("--in", "schema_name", metavar="SCHEMA", default="public", show_default=True)
@click.option("--exclude", multiple=True, metavar="TABLE.COLUMN", help="Do not record it.")
@click.option("--suffix", default="_history", show_default=True, help="Of history tables.")
@_timeout
@as_json
@pass_app
def enable(
    app: App,
    tables: tuple[str, ...],
    every: bool,
    schema_name: str,
    exclude: tuple[str, ...],
    suffix: str,
    lock_timeout: float | None,
    as_json: bool,
) -> None:
    r"""Begin to record every change of tables; repeatable.

    Tables are locked for some milliseconds, whatever their size. Undo it with vsg disable.

    \b
    vsg enable customers orders
    vsg enable --all --in sales
    vsg enable customers --exclude customers.last_seen --lock-timeout 5
    """
    if bool(tables) == every:
        raise click.UsageError("name the tables, or give --all")
    left_out: dict[str, list[str]] = {}
    for each in exclude:
        table, dot, column = each.rpartition(".")
        if not dot:
            raise click.UsageError(f"--exclude takes TABLE.COLUMN, not {each!r}")
        left_out.setdefault(table, []).append(column)
    with app.acting():
        found = enable_many(
            app.engine,
            list(tables) or None,
            schema_name,
            suffix,
            exclude={table: tuple(columns) for table, columns in left_out.items()},
            without_key="skip" if every else "error",
            lock_timeout=lock_timeout,
            schema=app.settings.schema,
        )
    if as_json:
        app.output.json(found.to_dict())
        return
    app.output.show(table_of(found.header(), found.lines()))
    for note in found.footnotes():
        app.output.note(note)


@click.command()
@click.argument("table")
@click.option("--drop-history", is_flag=True, help="Remove the history, too: for ever.")
@_timeout
@yes
@pass_app
def disable(
    app: App, table: str, drop_history: bool, lock_timeout: float | None, yes: bool
) -> None:
    r"""Stop recording a table; its history stays, unless --drop-history is given.

    What changes from now on is not recorded. vsg enable begins again, with a gap between.

    \b
    vsg disable customers
    vsg disable customers --drop-history --yes
    """
    schema, name = split_table(table)
    status = get_temporal_status(app.engine, name, schema, schema=app.settings.schema)
    app.output.note(status.headline())
    loss = "and its history is removed for ever" if drop_history else "its history stays"
    confirm(f"{schema}.{name} is not recorded any more, {loss}. Go on?", yes=yes)
    with app.acting():
        done = disable_temporal_versioning(
            app.engine,
            name,
            schema,
            drop_history,
            lock_timeout=lock_timeout,
            schema=app.settings.schema,
        )
    app.output.note(done.headline())
    if not drop_history:
        app.output.note(
            f"undo: vsg enable {name}" + ("" if schema == "public" else f" --in {schema}")
        )


@click.command()
@as_json
@pass_app
def tables(app: App, as_json: bool) -> None:
    r"""List the tables that are or were versioned.

    \b
    vsg tables
    vsg tables --json
    """
    found = list_temporal_tables(app.engine, schema=app.settings.schema)
    _print(app, found, as_json=as_json)


@click.command()
@click.argument("table", required=False)
@as_json
@pass_app
def status(app: App, table: str | None, as_json: bool) -> None:
    r"""Show where HEAD is; of a table its state, its gaps and how much was recorded.

    \b
    vsg status
    vsg status customers
    """
    if table is not None:
        schema, name = split_table(table)
        found = get_temporal_status(app.engine, name, schema, schema=app.settings.schema)
        if as_json:
            app.output.json(found.to_dict())
        else:
            app.output.show(str(found))
        return
    with app.reading() as repo:
        head, branch = repo.head, repo.current_branch
        number = len(repo.versioned_tables())
    if as_json:
        app.output.json({"head": str(head.uuid), "branch": branch, "tables": number})
        return
    where = f"On branch {branch}" if branch else "HEAD is detached"
    app.output.show(
        Text(where),
        Text.assemble("HEAD is ", (head.short, "yellow"), f" {head.message or head.operation}"),
        Text(f"{number} versioned table{'' if number == 1 else 's'}; see vsg tables"),
    )


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    r"""Print what makes a shell complete commands and options.

    \b
    vsg completion bash >> ~/.bashrc
    vsg completion zsh >> ~/.zshrc
    vsg completion fish > ~/.config/fish/completions/vsg.fish
    """
    from click.shell_completion import get_completion_class

    from sqlalchemy_temporal.cli.app import complete

    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101 - these three come with click
    click.echo(kind(complete(), {}, "vsg", "_VSG_COMPLETE").source())


def _print(app: App, found: Any, *, as_json: bool) -> None:
    if as_json:
        app.output.json(found.to_dict())
        return
    app.output.show(table_of(found.header(), found.lines()))
    for note in found.footnotes():
        app.output.note(note)


COMMANDS: Final = (init, enable, disable, tables, status, completion)
