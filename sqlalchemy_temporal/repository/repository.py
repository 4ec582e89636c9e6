"""``Repository``: the commits of a database, as git shows them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal, overload

from sqlalchemy import Connection, Engine
from sqlalchemy.orm import sessionmaker

from sqlalchemy_temporal.clock.commit import Commit
from sqlalchemy_temporal.clock.commits import commit_from, select_nodes
from sqlalchemy_temporal.clock.resolve import When, resolve
from sqlalchemy_temporal.errors import (
    ConfigurationError,
    UnknownRevisionError,
)
from sqlalchemy_temporal.naming import DEFAULT_SCHEMA
from sqlalchemy_temporal.repository.blame import blame_row
from sqlalchemy_temporal.repository.branching import Branching
from sqlalchemy_temporal.repository.catalog import Entity, load_tables
from sqlalchemy_temporal.repository.comparisons import Comparisons
from sqlalchemy_temporal.repository.deletion import delete_commit, undelete_commit
from sqlalchemy_temporal.repository.details import CommitDetails, read_details
from sqlalchemy_temporal.repository.drawing.graph import Graph, draw
from sqlalchemy_temporal.repository.drawing.lanes import GraphRow
from sqlalchemy_temporal.repository.log import LogFilter, read_log
from sqlalchemy_temporal.repository.merging import Merging
from sqlalchemy_temporal.repository.operations import Bind
from sqlalchemy_temporal.repository.revisions import Relation, relate
from sqlalchemy_temporal.repository.rights import rights_explained
from sqlalchemy_temporal.repository.verifying import Verifying


@rights_explained
class Repository(Comparisons, Branching, Merging, Verifying):
    """The commits of the database behind a connection or session.

    ::

        repo = Repository(session)
        repo.tag("v1.2")
        for commit in repo.log(Customer, limit=20):
            print(commit.author, commit.message)

    Parameters:
        bind: a connection or a session: it works in their transaction. An engine or a
            sessionmaker: each operation is a transaction of its own; what only reads needs
            ``with repo.begin() as bound:``.
        schema: the schema of the library's own tables.
    """

    def __init__(self, bind: Bind, schema: str = DEFAULT_SCHEMA) -> None:
        self._bind = bind
        self.schema = schema

    @property
    def connection(self) -> Connection:
        """The connection it works on.

        Raises:
            ConfigurationError: it was given an engine or a sessionmaker.
        """
        if isinstance(self._bind, Connection):
            return self._bind
        if isinstance(self._bind, Engine | sessionmaker):
            raise ConfigurationError(
                "of an engine or sessionmaker there is no current connection; use "
                "'with repo.begin() as bound:'"
            )
        return self._bind.connection()

    # --------------------------------------------------------------------------- commits

    @property
    def head(self) -> Commit:
        """The newest commit: what the live tables hold.

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
        statement, nodes = select_nodes(self.connection, self.schema)
        row = self.connection.execute(statement.where(nodes.c.uuid == moment.uuid)).one_or_none()
        if row is None:
            raise UnknownRevisionError(f"the commit {moment.uuid} is no longer in the log")
        return commit_from(row)

    @overload
    def log(
        self,
        *entities: Entity,
        revisions: When | None = None,
        author: str | re.Pattern[str] | None = None,
        message: str | re.Pattern[str] | None = None,
        context: Mapping[str, Any] | None = None,
        operation: str | None = None,
        since: datetime | timedelta | When | None = None,
        until: datetime | timedelta | When | None = None,
        key: Any = None,
        before: When | None = None,
        limit: int | None = None,
        offset: int = 0,
        first_parent: bool = False,
        include_deleted: bool = False,
        graph: Literal[False] = ...,
    ) -> list[Commit]: ...

    @overload
    def log(
        self,
        *entities: Entity,
        revisions: When | None = None,
        author: str | re.Pattern[str] | None = None,
        message: str | re.Pattern[str] | None = None,
        context: Mapping[str, Any] | None = None,
        operation: str | None = None,
        since: datetime | timedelta | When | None = None,
        until: datetime | timedelta | When | None = None,
        key: Any = None,
        before: When | None = None,
        limit: int | None = None,
        offset: int = 0,
        first_parent: bool = False,
        include_deleted: bool = False,
        graph: Literal[True],
    ) -> list[GraphRow]: ...

    def log(
        self,
        *entities: Entity,
        revisions: When | None = None,
        author: str | re.Pattern[str] | None = None,
        message: str | re.Pattern[str] | None = None,
        context: Mapping[str, Any] | None = None,
        operation: str | None = None,
        since: datetime | timedelta | When | None = None,
        until: datetime | timedelta | When | None = None,
        key: Any = None,
        before: When | None = None,
        limit: int | None = None,
        offset: int = 0,
        first_parent: bool = False,
        include_deleted: bool = False,
        graph: bool = False,
    ) -> list[Commit] | list[GraphRow]:
        """The commits, newest first and each one before its parents.

        Without ``revisions`` these are all commits there are, whatever branch they are on.

        Parameters:
            entities: models, tables or names of tables; only commits that changed one.
            revisions: only the commits that led to this one, e.g. ``"HEAD"`` or
                ``"spring"``; or a range: ``"main..spring"`` for what spring has and main
                has not, ``"main...spring"`` for what only one of them has.
            author: only those of this author; or of those that match a compiled regular
                expression, which the database interprets.
            message: only those whose message holds this text, whatever its case; or that
                matches a compiled regular expression, which the database interprets.
            context: only those whose context has these values under these names.
            operation: only those of this kind, e.g. ``"MERGE"``.
            since: only those of this time (or this long ago) or later; or this commit and
                those that came after it.
            until: the same for the end, which is included.
            key: only those that wrote the row with this key, of the one entity given.
            before: only those older than this commit; the last one of a page gives the
                next page.
            limit: at most so many.
            offset: leave out so many.
            first_parent: of merges follow only the first parent, from HEAD if no
                ``revisions`` are given.
            include_deleted: also commits deleted from the log.
            graph: give each commit its place in a drawing, too: the rows of :meth:`graph`.

        Raises:
            ConfigurationError: an entity is not versioned, or ``key`` is not one of its.
            MomentError: a commit or time that was given cannot be resolved.
            UnknownOptionError: a negative limit or offset.
        """
        wanted = LogFilter(
            entities=entities,
            revisions=revisions,
            author=author,
            message=message,
            context=context or {},
            operation=operation,
            since=since,
            until=until,
            key=key,
            before=before,
            limit=limit,
            offset=offset,
            first_parent=first_parent,
            include_deleted=include_deleted,
        )
        if graph:
            return list(self._graph(wanted).rows)
        return read_log(self.connection, self._system, wanted)

    def graph(
        self,
        *entities: Entity,
        revisions: When | None = None,
        limit: int | None = 50,
        **filters: Any,
    ) -> Graph:
        """The commits of the log placed to be drawn: as text, in colour, as DOT, SVG or PNG.

        Where filters leave commits out, those shown are connected through them.

        Parameters:
            entities: as for :meth:`log`.
            revisions: as for :meth:`log`.
            limit: at most so many, None for all.
            filters: further parameters of :meth:`log`.

        Raises:
            ConfigurationError: an entity is not versioned.
            MomentError: a commit or time that was given cannot be resolved.
        """
        wanted = LogFilter(entities=entities, revisions=revisions, limit=limit, **filters)
        return self._graph(wanted)

    def _graph(self, wanted: LogFilter) -> Graph:
        system = self._system
        commits = read_log(self.connection, system, wanted)
        named = (*self.tags(), *self.branches())
        return draw(self.connection, system, commits, named, complete=wanted.is_plain)

    def show(self, when: When = "HEAD") -> CommitDetails:
        """A commit with its parents, children, tags and branches.

        Raises:
            MomentError: ``when`` names no commit.
        """
        commit = self.get(when)
        named = (*self.tags(), *self.branches())
        return read_details(self.connection, self._system, commit, named)

    def delete(self, when: When, *, author: str | None = None, reason: str | None = None) -> Commit:
        """Delete a commit from the log. Data, history and the chain stay as they are.

        Parameters:
            when: the commit.
            author: who deletes it; the current actor by default.
            reason: why.

        Raises:
            MomentError: ``when`` names no commit.
            CommitError: it is deleted already, or cannot be sealed just now.
        """
        delete_commit(self.connection, self._system, when, author, reason)
        return self.get(when)

    def undelete(self, when: When) -> Commit:
        """Show a commit in the log again.

        Raises:
            MomentError: ``when`` names no commit.
            CommitError: it is not deleted.
        """
        undelete_commit(self.connection, self._system, when)
        return self.get(when)

    def blame(self, entity: Entity, key: Any, *, at: When = "HEAD") -> dict[str, Commit]:
        """The commit that last set each recorded column of a row, along the graph.

        A switch of branches or a merge that only brings a value from elsewhere did not set
        it; the commit that did is found on the branch it comes from.

        Parameters:
            entity: a model, a table or the name of one.
            key: the row's key: a value, a tuple, or a mapping by column.
            at: as of when.

        Returns:
            Commits by column; nothing when there is no such row. Columns that were set
            before the horizon of a purge are left out.

        Raises:
            ConfigurationError: the entity is not versioned, or ``key`` is not one of its.
            MomentError: ``at`` names no commit.
        """
        moment = resolve(self.connection, at, self.schema)
        found: dict[str, Commit] = {}
        for table in load_tables(self.connection, self.schema, [entity], disabled=True):
            found = blame_row(self.connection, self._system, table, key, moment) | found
        return found

    # ----------------------------------------------------------------------------- graph

    def merge_base(self, left: When, right: When) -> Commit | None:
        """The best common ancestor of two commits; None when they have none in common.

        Where lines were merged crosswise there are several, see :meth:`merge_bases`; this
        is the newest of them.

        Raises:
            MomentError: one of them names no commit.
        """
        bases = self.merge_bases(left, right)
        return bases[0] if bases else None

    def merge_bases(self, left: When, right: When) -> list[Commit]:
        """All best common ancestors of two commits, newest first.

        Best are those that are no ancestors of another one.

        Raises:
            MomentError: one of them names no commit.
        """
        related = self._relate(left, right)
        if not related.bases:
            return []
        statement, nodes = select_nodes(self.connection, self.schema)
        statement = statement.where(nodes.c.seq.in_(related.bases)).order_by(nodes.c.seq.desc())
        return [commit_from(row) for row in self.connection.execute(statement)]

    def is_ancestor(self, ancestor: When, of: When) -> bool:
        """Whether one commit is an ancestor of another, or the same.

        Raises:
            MomentError: one of them names no commit.
        """
        return self._relate(ancestor, of).left_is_ancestor

    def _relate(self, left: When, right: When) -> Relation:
        return relate(self.connection, self._system, left, right)
