"""The repository under asyncio: each method of :class:`Repository`, to be awaited.

They are not written again: each is the method itself, run where SQLAlchemy lets its drivers
wait (``greenlet_spawn``). What is read only when it is asked for has a form of its own,
:class:`AsyncDiff` and :class:`AsyncPlan`; a commit that is looked up later is
:meth:`AsyncRepository.commit_of`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager
from functools import partial
from itertools import islice
from typing import Any, Concatenate, Final, Generic, ParamSpec, Self, TypeVar, overload

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession
from sqlalchemy.util import greenlet_spawn

from sqlalchemy_temporal.clock.commit import Commit
from sqlalchemy_temporal.clock.moment import Moment
from sqlalchemy_temporal.clock.resolve import When
from sqlalchemy_temporal.errors import ConfigurationError
from sqlalchemy_temporal.naming import DEFAULT_SCHEMA
from sqlalchemy_temporal.repository.catalog import Entity
from sqlalchemy_temporal.repository.diff import Diff, RowChange
from sqlalchemy_temporal.repository.drawing.graph import Graph
from sqlalchemy_temporal.repository.merge.result import MergeResult
from sqlalchemy_temporal.repository.merge.state import OpenMerge
from sqlalchemy_temporal.repository.outcome import Executed, Outcome
from sqlalchemy_temporal.repository.plan import Plan, PlannedRow
from sqlalchemy_temporal.repository.repository import Repository
from sqlalchemy_temporal.repository.violations import Violation

AsyncBind = AsyncSession | AsyncConnection | AsyncEngine
"""What an :class:`AsyncRepository` works on."""

P = ParamSpec("P")
T = TypeVar("T")
Target = TypeVar("Target")

_BATCH: Final = 500
"""Rows that are fetched each time it is waited for them."""


class _Facade(Generic[Target]):
    """Something whose methods have to be awaited."""

    def __init__(self, target: Target) -> None:
        self._target = target


class _Awaited(Generic[Target, P, T]):
    """A method of the target, to be awaited."""

    def __init__(self, method: Callable[Concatenate[Target, P], T]) -> None:
        self._method = method
        self.__doc__ = method.__doc__

    @overload
    def __get__(self, facade: None, owner: type[Any]) -> Self: ...

    @overload
    def __get__(
        self, facade: _Facade[Any], owner: type[Any]
    ) -> Callable[P, Coroutine[Any, Any, T]]: ...

    def __get__(
        self, facade: _Facade[Any] | None, owner: type[Any]
    ) -> Self | Callable[P, Coroutine[Any, Any, T]]:
        if facade is None:
            return self
        target = facade._target

        async def call(*args: P.args, **kw: P.kwargs) -> T:
            return await greenlet_spawn(partial(self._method, target, *args, **kw))

        call.__doc__ = self.__doc__
        return call


class AsyncDiff(_Facade[Diff]):
    """What differs between two points in time; see :class:`Diff`.

    ``async for`` streams the changed rows; it can be done again. :meth:`is_empty` tells
    whether there are any.
    """

    summary = _Awaited(Diff.summary)
    stats = _Awaited(Diff.stats)
    stats_by_table = _Awaited(Diff.stats_by_table)
    to_dict = _Awaited(Diff.to_dict)

    @property
    def start(self) -> Moment:
        """The first side."""
        return self._target.start

    @property
    def end(self) -> Moment | None:
        """The second side."""
        return self._target.end

    @property
    def unknown(self) -> Mapping[str, str]:
        """Tables that are left out because one side knows nothing of them, and why."""
        return self._target.unknown

    def inverse(self) -> AsyncDiff:
        """The way back; see :meth:`Diff.inverse`."""
        return AsyncDiff(self._target.inverse())

    async def is_empty(self) -> bool:
        """Whether nothing differs."""
        return not await greenlet_spawn(bool, self._target)

    def __bool__(self) -> bool:
        """Refused, as it would have to wait for the database.

        Raises:
            TypeError: always.
        """
        raise TypeError("whether a difference is empty is 'await diff.is_empty()'")

    def __aiter__(self) -> AsyncIterator[RowChange]:
        """The changed rows."""
        return _streamed(lambda: iter(self._target))

    def rows(self, table: str) -> AsyncIterator[RowChange]:
        """The changed rows of one table."""
        return _streamed(lambda: self._target.rows(table))

    def to_sql(self) -> AsyncIterator[str]:
        """Statements that turn the first side into the second; see :meth:`Diff.to_sql`."""
        return _streamed(self._target.to_sql)


class AsyncPlan(_Facade[Plan]):
    """Rows to be written; see :class:`Plan`. ``async for`` streams them."""

    execute = _Awaited(Plan.execute)
    discard = _Awaited(Plan.discard)

    @property
    def violations(self) -> tuple[Violation, ...]:
        """What constraints forbid."""
        return self._target.violations

    @property
    def unknown(self) -> Mapping[str, str]:
        """Tables that are left as they are, and why."""
        return self._target.unknown

    def __bool__(self) -> bool:
        """Whether anything is to be done."""
        return bool(self._target)

    def summary(self) -> dict[str, dict[str, int]]:
        """How many rows are to be written, by table and operation."""
        return self._target.summary()

    def __aiter__(self) -> AsyncIterator[PlannedRow]:
        """The rows to be written."""
        return _streamed(lambda: iter(self._target))


async def _streamed(begin: Callable[[], Iterator[T]]) -> AsyncIterator[T]:
    """Rows that are read while they are waited for."""
    rows = await greenlet_spawn(begin)
    while some := await greenlet_spawn(list[T], islice(rows, _BATCH)):
        for row in some:
            yield row


def _diff(
    method: Callable[Concatenate[Repository, P], Diff],
) -> Callable[Concatenate[Repository, P], AsyncDiff]:
    def call(repo: Repository, /, *args: P.args, **kw: P.kwargs) -> AsyncDiff:
        return AsyncDiff(method(repo, *args, **kw))

    call.__doc__ = method.__doc__
    return call


def _plan(
    method: Callable[Concatenate[Repository, P], Plan],
) -> Callable[Concatenate[Repository, P], AsyncPlan]:
    def call(repo: Repository, /, *args: P.args, **kw: P.kwargs) -> AsyncPlan:
        return AsyncPlan(method(repo, *args, **kw))

    call.__doc__ = method.__doc__
    return call


def _head(repo: Repository) -> Commit:
    """The newest commit; see :attr:`Repository.head`."""
    return repo.head


def _graph(
    repo: Repository,
    /,
    *entities: Entity,
    revisions: When | None = None,
    limit: int | None = 50,
    **filters: Any,
) -> Graph:
    """The commits of the log placed to be drawn; see :meth:`Repository.graph`."""
    return repo.graph(*entities, revisions=revisions, limit=limit, **filters)


def _current_branch(repo: Repository) -> str | None:
    """The branch that new commits go to; see :attr:`Repository.current_branch`."""
    return repo.current_branch


def _merging(repo: Repository) -> OpenMerge | None:
    """The merge in progress; see :attr:`Repository.merging`."""
    return repo.merging


class AsyncRepository(_Facade[Repository]):
    """The commits of a database under asyncio.

    ::

        async with AsyncTemporalSession(engine) as session:
            repo = session.repository
            await repo.tag("v1.2")
            for commit in await repo.log(Customer, limit=20):
                print(commit.author, commit.message)
            async for change in await repo.diff("v1.1", "v1.2"):
                print(change.table, change.key, change.operation)

    Every method of :class:`Repository` is there, with its parameters, to be awaited;
    ``head``, ``current_branch`` and ``merging`` are methods, too. Objects that a session
    has loaded are expired after an operation that writes: refresh them, or load them anew.

    Parameters:
        bind: a session or connection: it works in their transaction. An engine: each
            operation is a transaction of its own; what only reads needs
            ``async with repo.begin() as bound:``.
        schema: the schema of the library's own tables.
    """

    def __init__(self, bind: AsyncBind, schema: str = DEFAULT_SCHEMA) -> None:
        super().__init__(Repository(_sync(bind), schema))
        self._bind = bind

    head = _Awaited(_head)
    get = _Awaited(Repository.get)
    show = _Awaited(Repository.show)
    graph = _Awaited(_graph)
    delete = _Awaited(Repository.delete)
    undelete = _Awaited(Repository.undelete)
    blame = _Awaited(Repository.blame)
    merge_base = _Awaited(Repository.merge_base)
    merge_bases = _Awaited(Repository.merge_bases)
    is_ancestor = _Awaited(Repository.is_ancestor)
    versioned_tables = _Awaited(Repository.versioned_tables)
    diff = _Awaited(_diff(Repository.diff))

    commit = _Awaited(Repository.commit)
    execute = _Awaited(Repository.execute)
    plan = _Awaited(_plan(Repository.plan))
    restore = _Awaited(Repository.restore)
    rollback = _Awaited(Repository.rollback)
    checkout = _Awaited(Repository.checkout)
    revert = _Awaited(Repository.revert)
    plan_revert = _Awaited(_plan(Repository.plan_revert))

    tag = _Awaited(Repository.tag)
    tags = _Awaited(Repository.tags)
    delete_tag = _Awaited(Repository.delete_tag)
    branch = _Awaited(Repository.branch)
    branches = _Awaited(Repository.branches)
    current_branch = _Awaited(_current_branch)
    rename_branch = _Awaited(Repository.rename_branch)
    delete_branch = _Awaited(Repository.delete_branch)
    switch = _Awaited(Repository.switch)
    ref_log = _Awaited(Repository.ref_log)

    merge = _Awaited(Repository.merge)
    merge_commit = _Awaited(Repository.merge_commit)
    merge_abort = _Awaited(Repository.merge_abort)
    merging = _Awaited(_merging)
    conflicts = _Awaited(Repository.conflicts)
    resolve = _Awaited(Repository.resolve)

    verify = _Awaited(Repository.verify)
    digest = _Awaited(Repository.digest)
    hash_commits = _Awaited(Repository.hash_commits)

    log = _Awaited(Repository.log)

    @property
    def schema(self) -> str:
        """The schema of the library's own tables."""
        return self._target.schema

    async def connection(self) -> AsyncConnection:
        """The connection it works on.

        Raises:
            ConfigurationError: it was given an engine, and is not in a block.
        """
        bind = self._bind
        if isinstance(bind, AsyncSession):
            return await bind.connection()
        if isinstance(bind, AsyncConnection):
            return bind
        return AsyncConnection(bind, self._target.connection)

    async def commit_of(self, done: Outcome | MergeResult | Executed) -> Commit:
        """The commit that an operation became; see :attr:`Outcome.commit`.

        Raises:
            CommitError: there is none, or not yet.
        """
        return await greenlet_spawn(lambda: done.commit)

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncRepository]:
        """A repository in a transaction of its own; see :meth:`Repository.begin`."""
        async with self._block(self._target.begin()) as bound:
            yield bound

    @asynccontextmanager
    async def committing(
        self,
        message: str | None = None,
        *,
        author: str | None = None,
        context: Mapping[str, Any] | None = None,
        parent: When | None = None,
    ) -> AsyncIterator[AsyncRepository]:
        """A block that is one commit, described; see :meth:`Repository.committing`.

        Raises:
            StaleParentError: HEAD is not ``parent``; nothing became visible.
        """
        block = self._target.committing(message, author=author, context=context, parent=parent)
        async with self._block(block) as bound:
            yield bound

    @asynccontextmanager
    async def _block(
        self, block: AbstractContextManager[Repository]
    ) -> AsyncIterator[AsyncRepository]:
        target = await greenlet_spawn(block.__enter__)
        bound = AsyncRepository(self._bind, self.schema)
        bound._target = target
        try:
            yield bound
        except BaseException as error:
            if not await greenlet_spawn(block.__exit__, type(error), error, error.__traceback__):
                raise
        else:
            await greenlet_spawn(block.__exit__, None, None, None)


def _sync(bind: AsyncBind) -> Any:
    match bind:
        case AsyncSession():
            return bind.sync_session
        case AsyncConnection():
            return bind.sync_connection
        case AsyncEngine():
            return bind.sync_engine
    raise ConfigurationError(
        f"an AsyncRepository works on an AsyncSession, AsyncConnection or AsyncEngine, not on "
        f"{bind!r}; for one that is not of asyncio, use Repository"
    )


__all__ = ["AsyncBind", "AsyncDiff", "AsyncPlan", "AsyncRepository"]
