"""``Repository``: the commits of a database, as git shows them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Table, inspect, or_
from sqlalchemy.orm import Session, scoped_session

from sqlalchemy_temporal.clock.commit import Commit
from sqlalchemy_temporal.clock.commits import commit_from, select_commits
from sqlalchemy_temporal.clock.resolve import When, resolve
from sqlalchemy_temporal.errors import ConfigurationError, UnknownRevisionError
from sqlalchemy_temporal.naming import DEFAULT_SCHEMA, qualified_name
from sqlalchemy_temporal.repository import refs
from sqlalchemy_temporal.schema import is_versioned, system_of


class Repository:
    """The commits of the database behind a connection or session.

    ::

        repo = Repository(session)
        repo.tag("v1.2")
        for commit in repo.log(Customer, limit=20):
            print(commit.author, commit.message)

    Parameters:
        bind: a connection or a session; it works in their transaction.
        schema: the schema of the library's own tables.
    """

    def __init__(
        self, bind: Connection | Session | scoped_session[Any], schema: str = DEFAULT_SCHEMA
    ) -> None:
        self._bind = bind
        self.schema = schema

    @property
    def connection(self) -> Connection:
        """The connection it works on."""
        return self._bind if isinstance(self._bind, Connection) else self._bind.connection()

    @property
    def head(self) -> Commit:
        """The newest commit.

        Raises:
            BeforeVersioningError: nothing was recorded yet.
        """
        return self.get("HEAD")

    def get(self, when: When) -> Commit:
        """The commit that ``when`` names: the last one visible at that point in time.

        Raises:
            MomentError: ``when`` names no commit.
        """
        moment = resolve(self.connection, when, self.schema)
        transaction = system_of(self.connection, self.schema).transaction
        row = self.connection.execute(
            select_commits(self.connection, self.schema).where(
                transaction.c.commit_seq == moment.seq
            )
        ).one_or_none()
        if row is None:
            raise UnknownRevisionError(f"the commit {moment.uuid} is no longer in the log")
        return replace(commit_from(row), effective_at=moment.effective_at)

    def log(
        self, *entities: type[Any] | Table, limit: int | None = None, author: str | None = None
    ) -> list[Commit]:
        """The commits, newest first.

        Parameters:
            entities: models or tables; only commits that changed one of them.
            limit: at most so many.
            author: only those of this author.

        Raises:
            ConfigurationError: an entity is not versioned.
        """
        transaction = system_of(self.connection, self.schema).transaction
        statement = select_commits(self.connection, self.schema).order_by(
            transaction.c.commit_seq.desc()
        )
        names = [name for entity in entities for name in _table_names(entity)]
        if names:
            statement = statement.where(or_(*(transaction.c.counts[n].is_not(None) for n in names)))
        if author is not None:
            statement = statement.where(transaction.c.author == author)
        rows = self.connection.execute(statement.limit(limit))
        return [commit_from(row) for row in rows]

    def tag(self, name: str, at: When = "HEAD", *, author: str | None = None) -> refs.Ref:
        """Give a commit a name that stays with it.

        Raises:
            CommitError: the name is taken or not allowed.
            MomentError: ``at`` names no commit.
        """
        refs.check_name(name)
        commit = resolve(self.connection, at, self.schema).uuid
        return refs.create_tag(self.connection, self.schema, name, commit, author)

    def tags(self) -> list[refs.Ref]:
        """All tags, oldest commit first."""
        return refs.list_tags(self.connection, self.schema)

    def delete_tag(self, name: str) -> None:
        """Take a tag away; the commit stays.

        Raises:
            UnknownRevisionError: there is no such tag.
        """
        refs.delete_tag(self.connection, self.schema, name)


def _table_names(entity: type[Any] | Table) -> list[str]:
    tables = [entity] if isinstance(entity, Table) else inspect(entity).tables
    names = [
        qualified_name(table.schema, table.name)
        for table in tables
        if isinstance(table, Table) and is_versioned(table)
    ]
    if not names:
        raise ConfigurationError(f"{entity!r} is not versioned, so no commit changes it")
    return names
