"""What the screens ask of the database; each question is a transaction of its own."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from sqlalchemy_temporal.cli.app import App
from sqlalchemy_temporal.cli.commands.logs import head_of
from sqlalchemy_temporal.clock.commit import Commit
from sqlalchemy_temporal.errors import UnrecordedMomentError
from sqlalchemy_temporal.repository import Repository
from sqlalchemy_temporal.repository.catalog import load_tables
from sqlalchemy_temporal.repository.diff import RowChange
from sqlalchemy_temporal.repository.drawing.graph import Graph, draw
from sqlalchemy_temporal.schema import system_of
from sqlalchemy_temporal.tables.query import query_temporal_data

PAGE: Final = 100
"""Commits, changed rows or rows of a table that are read at first."""
_MOST: Final = 2000
"""Commits that are read at once."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which commits are shown; what is None or empty chooses nothing.

    Attributes:
        text: this text in the message, whatever its case.
        author: by authors with this text in their name, whatever its case.
        table: that changed this table.
    """

    text: str | None = None
    author: str | None = None
    table: str | None = None

    @property
    def is_all(self) -> bool:
        """Whether every commit is shown."""
        return not (self.text or self.author or self.table)

    @property
    def tables(self) -> tuple[str, ...]:
        """The table, if one was chosen."""
        return (self.table,) if self.table else ()


@dataclass(frozen=True, slots=True)
class Log:
    """The commits that were read so far.

    Attributes:
        graph: the commits, newest first, with their places in the drawing and their names.
        head: the newest commit of all; None when nothing was recorded yet.
        branch: the current branch; None when HEAD is detached.
        more: whether there are older ones.
    """

    graph: Graph
    head: Commit | None
    branch: str | None
    more: bool

    @property
    def commits(self) -> list[Commit]:
        """The commits, newest first."""
        return [row.commit for row in self.graph.rows]


@dataclass(frozen=True, slots=True)
class Changes:
    """The rows that a commit changed.

    Attributes:
        rows: the first of them, by table and key.
        more: whether there are others.
        unknown: tables that the commit or its parent knows nothing of, and why.
        is_first: whether there is nothing before the commit to compare it with.
    """

    rows: tuple[RowChange, ...]
    more: bool
    unknown: Mapping[str, str]
    is_first: bool = False


@dataclass(frozen=True, slots=True)
class TableName:
    """A table that is or was versioned.

    Attributes:
        name: ``schema.table``.
        schema: the first part of it.
        table: the second.
        key: the names of its key columns.
    """

    name: str
    schema: str
    table: str
    key: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TableState:
    """One page of a table as of a commit.

    Attributes:
        columns: the names of the columns.
        rows: the rows of the page.
        offset: how many rows come before.
        more: whether rows come after.
        changed: how the commit changed rows of the page, by key.
        removed: how many rows of the table it deleted.
        note: why no changes are known; empty when they are.
    """

    columns: tuple[str, ...]
    rows: tuple[Mapping[str, Any], ...]
    offset: int
    more: bool
    changed: Mapping[tuple[Hashable, ...], RowChange] = field(default_factory=dict)
    removed: int = 0
    note: str = ""


def read_log(
    app: App, wanted: Wanted, known: Sequence[Commit] = (), down_to: Commit | None = None
) -> Log:
    """The commits that are wanted, with their graph.

    Parameters:
        app: the run of the command.
        wanted: which.
        known: those that were read before; the next page is added to them.
        down_to: read as far as this commit, rather than a page.
    """
    number = None if down_to else min(max(PAGE, len(known)), _MOST)
    with app.reading() as repo:
        found = repo.log(
            *wanted.tables,
            author=re.compile(re.escape(wanted.author), re.IGNORECASE) if wanted.author else None,
            message=wanted.text or None,
            before=known[-1] if known else None,
            since=down_to,
            limit=None if number is None else number + 1,
        )
        commits = [*known, *found[:number]]
        named = (*repo.tags(), *repo.branches())
        system = system_of(repo.connection, repo.schema)
        graph = draw(repo.connection, system, commits, named, complete=wanted.is_all)
        head = head_of(repo)
        return Log(
            graph=graph,
            head=None if head is None else repo.get(head),
            branch=repo.current_branch,
            more=number is None or len(found) > number,
        )


def read_commit(app: App, when: str) -> Commit:
    """The commit that ``when`` names.

    Raises:
        MomentError: it names none.
    """
    with app.reading() as repo:
        return repo.get(when)


def read_changes(app: App, commit: Commit, most: int = PAGE) -> Changes:
    """The first ``most`` rows that a commit changed; of a merge, against its first parent."""
    if commit.parent_uuid is None:
        return Changes((), False, {}, is_first=True)
    with app.reading() as repo:
        diff = repo.diff(commit.parent_uuid, commit)
        rows = tuple(islice(diff, most + 1))
        return Changes(rows[:most], len(rows) > most, dict(diff.unknown))


def read_tables(app: App) -> tuple[TableName, ...]:
    """The tables that are or were versioned, by name."""
    with app.reading() as repo:
        found = load_tables(repo.connection, repo.schema, disabled=True)
        names = {
            each.name: TableName(each.name, each.schema or "public", each.table_name, each.key)
            for each in found
        }
        return tuple(names[name] for name in sorted(names))


def read_moments(
    app: App, table: TableName, before: Commit | None, most: int | None
) -> list[Commit]:
    """The commits that changed a table, newest first.

    Parameters:
        app: the run of the command.
        table: the table.
        before: only those older than this one.
        most: at most so many; None for all.
    """
    with app.reading() as repo:
        return repo.log(table.name, before=before, limit=most)


def read_state(app: App, table: TableName, commit: Commit, offset: int = 0) -> TableState:
    """A page of a table as of a commit, and what the commit changed in it.

    Raises:
        MomentError: nothing is known of the table at that time.
    """
    found = query_temporal_data(
        app.engine,
        table.table,
        commit.uuid,
        schema_name=table.schema,
        limit=PAGE,
        offset=offset,
        schema=app.settings.schema,
    )
    rows = tuple(found)
    changed: dict[tuple[Hashable, ...], RowChange] = {}
    note = "" if commit.parent_uuid else "the first commit"
    if rows and commit.parent_uuid:
        keys = [key_of(table, row) for row in rows]
        try:
            with app.reading() as repo:
                changed = _changed(repo, table, commit, keys)
        except UnrecordedMomentError:
            note = "not recorded before this commit"
    removed = commit.counts.get(table.name, {}).get("delete", 0)
    return TableState(found.columns, rows, offset, found.more, changed, removed, note)


def key_of(table: TableName, row: Mapping[str, Any]) -> tuple[Hashable, ...]:
    """The key of a row."""
    return tuple(row[name] for name in table.key)


def _changed(
    repo: Repository, table: TableName, commit: Commit, keys: Sequence[tuple[Hashable, ...]]
) -> dict[tuple[Hashable, ...], RowChange]:
    plain = [key[0] if len(key) == 1 else key for key in keys]
    diff = repo.diff(commit.parent_uuid or commit, commit, table.name, keys=plain)
    return {key_of(table, each.key): each for each in diff}


__all__ = [
    "PAGE",
    "Changes",
    "Log",
    "TableName",
    "TableState",
    "Wanted",
    "key_of",
    "read_changes",
    "read_commit",
    "read_log",
    "read_moments",
    "read_state",
    "read_tables",
]
