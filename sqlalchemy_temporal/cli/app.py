"""The group of commands: its options, the database it works on, how errors end it."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Concatenate, Final, ParamSpec, TypeVar

import click
from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import SQLAlchemyError

from sqlalchemy_temporal.cli import codes
from sqlalchemy_temporal.cli.output import Output
from sqlalchemy_temporal.cli.settings import Settings, read_settings
from sqlalchemy_temporal.clock.describe import actor
from sqlalchemy_temporal.errors import TemporalError
from sqlalchemy_temporal.repository import Repository
from sqlalchemy_temporal.tables.access import ACCESS_OPTION, reading, writing

P = ParamSpec("P")
R = TypeVar("R")

_HELP: Final = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@dataclass(slots=True)
class App:
    """What all commands of one run have in common."""

    settings: Settings
    output: Output
    debug: bool = False
    _engine: Engine | None = field(default=None, repr=False)

    @property
    def engine(self) -> Engine:
        """The database, in the access mode that was chosen."""
        if self._engine is None:
            made = create_engine(self.settings.database())
            self._engine = made.execution_options(**{ACCESS_OPTION: self.settings.access})
        return self._engine

    @contextmanager
    def reading(self) -> Iterator[Repository]:
        """The repository, to ask; in a read-only transaction if that is the mode."""
        with reading(self.engine) as connection:
            yield Repository(connection, self.settings.schema)

    @contextmanager
    def planning(self) -> Iterator[Repository]:
        """The repository, to plan a change: nothing of the block stays in the database.

        Plans are kept in temporary tables, which a read-only transaction cannot have.

        Raises:
            AccessModeError: the mode allows reads only.
        """
        with self.writing("planning a change") as repo:
            yield repo
            repo.connection.rollback()

    @contextmanager
    def writing(self, what: str) -> Iterator[Repository]:
        """The repository, to change; committed when the block ends without an error.

        Raises:
            AccessModeError: the mode allows reads only.
        """
        with self.acting(), writing(self.engine, None, what) as connection:
            yield Repository(connection, self.settings.schema)

    @contextmanager
    def acting(self) -> Iterator[None]:
        """Say who makes the commits of the block, if that was said."""
        if self.settings.author is None:
            yield
        else:
            with actor(self.settings.author):
                yield

    def close(self) -> None:
        """Let go of the database."""
        if self._engine is not None:
            self._engine.dispose()


class Commands(click.Group):
    """A group that finds a command by the beginning of its name, and lists them in groups."""

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The command called ``name``, or the only one whose name begins so."""
        found = super().get_command(ctx, name)
        if found is not None:
            return found
        begun = [each for each in self.list_commands(ctx) if each.startswith(name)]
        if len(begun) > 1:
            ctx.fail(f"{name!r} could be {', '.join(begun)}")
        return super().get_command(ctx, begun[0]) if begun else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command with its whole name."""
        _, command, rest = super().resolve_command(ctx, args)
        return None if command is None else command.name, command, rest


@click.group(cls=Commands, context_settings=_HELP)
@click.option("--url", "-u", metavar="URL", help="The database; DATABASE_URL by default.")
@click.option("--schema", metavar="NAME", help="The schema of the library's own tables.")
@click.option(
    "--access-mode",
    type=click.Choice(["restricted", "unrestricted"]),
    help="restricted allows reads only.",
)
@click.option("--author", metavar="NAME", help="Who makes the commits; VSG_AUTHOR by default.")
@click.option("--models", metavar="MODULE:NAME", help="A MetaData or declarative base.")
@click.option(
    "--color", type=click.Choice(["auto", "always", "never"]), default="auto", show_default=True
)
@click.option("--no-pager", is_flag=True, help="Never page long output.")
@click.option("--debug", is_flag=True, help="Show the trace of an error.")
@click.version_option(package_name="sqlalchemy-temporal", prog_name="vsg")
@click.pass_context
def cli(
    ctx: click.Context,
    url: str | None,
    schema: str | None,
    access_mode: str | None,
    author: str | None,
    models: str | None,
    color: str,
    no_pager: bool,
    debug: bool,
) -> None:
    r"""The versions of a database's tables, as git shows those of files.

    The database is given by --url, DATABASE_URL, or [tool.sqlalchemy-temporal] in
    pyproject.toml. Points in time are commits, tags, branches, HEAD~2, or times with a time
    zone such as 2024-01-15T10:30Z.

    \b
    vsg enable customers orders
    vsg log --graph
    vsg diff HEAD~1..HEAD
    vsg as-of v1.2 customers
    vsg restore v1.2
    """
    settings = read_settings(url, schema, access_mode, author, models)
    app = App(settings, Output(color, pager=not no_pager), debug)
    ctx.obj = app
    ctx.call_on_close(app.close)


def run(arguments: Sequence[str]) -> int:
    """Run the command and return its exit code; what went wrong is one line on stderr."""
    debug = "--debug" in arguments or bool(os.environ.get("VSG_DEBUG"))
    try:
        result = complete().main(args=list(arguments), prog_name="vsg", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except (click.Abort, KeyboardInterrupt):
        sys.stderr.write("vsg: interrupted\n")
        return codes.INTERRUPTED
    except click.ClickException as error:
        if debug:
            traceback.print_exc()
        error.show()
        return error.exit_code
    except BrokenPipeError:
        # The reader of the pipe has seen enough. Python flushes stdout when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return codes.OK
    except (TemporalError, SQLAlchemyError) as error:
        if debug:
            sys.stderr.write(codes.without_passwords(traceback.format_exc()))
        Output().error(codes.message_of(error))
        return codes.code_of(error)
    return result if isinstance(result, int) else codes.OK


def complete() -> click.Group:
    """The command with all its commands."""
    from sqlalchemy_temporal.cli import commands

    for command in commands.every():
        cli.add_command(command)
    for command in (cli, *cli.commands.values()):
        # Click keeps the lines of a paragraph that begins with a backspace character; in
        # the docstrings, which are raw, it is written out.
        command.help = (command.help or "").replace("\\b\n", "\b\n")
    return cli


def pass_app(command: Callable[Concatenate[App, P], R]) -> Callable[P, R]:
    """Decorator: gives a command the :class:`App`."""
    given: Callable[P, R] = click.make_pass_decorator(App)(command)
    return given


__all__ = ["App", "cli", "complete", "pass_app", "run"]
