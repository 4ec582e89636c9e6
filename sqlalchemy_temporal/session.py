"""Sessions that know about the past: ``TemporalSession`` and ``AsyncTemporalSession``.

::

    Session = sessionmaker(engine, class_=TemporalSession)

    with Session.begin() as session:
        session.describe(author="ana", message="Spring prices")
        …                                          # ordinary code

    with Session() as session, session.as_of("v1.2") as past:
        order = past.get(Order, 7)
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, cast
from uuid import UUID

from sqlalchemy import Connection, Table, event, inspect
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapper, ORMExecuteState, Session, SessionTransaction
from sqlalchemy.util import greenlet_spawn

from sqlalchemy_temporal.capture.check import verify_capture
from sqlalchemy_temporal.clock.describe import (
    NOBODY,
    Description,
    current_actor,
    write_description,
)
from sqlalchemy_temporal.clock.hooks import attach
from sqlalchemy_temporal.clock.intent import Intent, write_intent
from sqlalchemy_temporal.clock.moment import Moment
from sqlalchemy_temporal.clock.resolve import When, resolve
from sqlalchemy_temporal.errors import ReadOnlyPastError, TwoPhaseError
from sqlalchemy_temporal.naming import DEFAULT_SCHEMA, INFO_KEY
from sqlalchemy_temporal.reading.as_of import as_of
from sqlalchemy_temporal.reading.entity_loading import close_pasts
from sqlalchemy_temporal.reading.policy import Choice, Plan, Policy
from sqlalchemy_temporal.reading.session import AsOfSession, is_of_past, open_past, present_of
from sqlalchemy_temporal.reading.token import PastToken, refuse_attach
from sqlalchemy_temporal.repository import AsyncRepository, Repository
from sqlalchemy_temporal.schema import is_versioned

_STATE: Final = f"{INFO_KEY}.session"


@dataclass(slots=True)
class _State:
    """What a session keeps about its transaction, in ``session.info``."""

    block: Description = NOBODY
    statement: Description = NOBODY
    connections: list[Connection] = field(default_factory=list)
    committing: bool = False
    expected_head: UUID | None = None

    def description(self) -> Description:
        return current_actor().updated(self.block).updated(self.statement)


class Described:
    """What ``session.describe`` returns: a description that can be limited to a block."""

    def __init__(self, state: _State, before: _State, given: Description) -> None:
        self._state = state
        self._before = before
        self._given = given

    def __enter__(self) -> None:
        """Make the description that of the block, for every commit inside of it."""
        self._state.statement = self._before.statement
        self._state.block = self._before.block.updated(self._given)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Return to the description from before the block."""
        self._state.block = self._before.block


class TemporalSession(Session):
    """A session whose transactions can be described, and from which the past can be read.

    Parameters are those of :class:`sqlalchemy.orm.Session`.

    Raises:
        TwoPhaseError: ``twophase=True``. A prepared transaction may be committed at any
            later time, so no moment after it could be answered for.
    """

    def __init__(self, *args: Any, **kw: Any) -> None:
        if kw.get("twophase"):
            raise TwoPhaseError(
                "twophase=True: versioned changes cannot be prepared, as moments after them "
                "would stay uncertain; use ordinary transactions"
            )
        super().__init__(*args, **kw)

    # --------------------------------------------------------------------------- the past

    def as_of(
        self,
        when: When,
        *,
        unversioned: Choice = "error",
        text: Choice = "error",
        plan: Plan = "auto",
        functions: Iterable[str] = (),
        schema: str = DEFAULT_SCHEMA,
    ) -> AbstractContextManager[AsOfSession]:
        """Read the past in a ``with`` block; see :func:`~sqlalchemy_temporal.as_of`."""
        return as_of(
            self,
            when,
            unversioned=unversioned,
            text=text,
            plan=plan,
            functions=functions,
            schema=schema,
        )

    def moment(self, when: When, *, schema: str = DEFAULT_SCHEMA) -> Moment:
        """Resolve a point in time to the exact set of visible transactions.

        Parameters:
            when: the point in time, as in :meth:`as_of`.
            schema: the schema of the library's own tables.

        Raises:
            MomentError: ``when`` names no point in time that can be read.
        """
        return resolve(present_of(self).connection(), when, schema)

    @property
    def head(self) -> Moment:
        """The moment after the last commit."""
        return TemporalSession.moment(self, "HEAD")  # in the past, ``moment`` is that read

    @property
    def repository(self) -> Repository:
        """The commits of the session's database: log and tags."""
        return Repository(present_of(self))

    # ------------------------------------------------------------------------ description

    def describe(
        self,
        author: str | None = None,
        message: str | None = None,
        context: Mapping[str, Any] | None = None,
        *,
        parent: When | None = None,
    ) -> Described:
        """Say who makes a change, and why.

        As a statement it describes the current transaction: ``session.describe(…)``. With
        ``with`` it describes all transactions committed inside of the block. What is left
        out stays as it was said before; the keys of contexts add up.

        Parameters:
            author: who makes the change.
            message: what for.
            context: further facts that can be written as JSON, e.g. a request id.
            parent: the commit that was HEAD when the change was thought out. Unless it is
                HEAD still when the current transaction commits, that raises
                :class:`~sqlalchemy_temporal.errors.StaleParentError`, and nothing of the
                transaction becomes visible.

        Raises:
            UnknownOptionError: a value has the wrong type.
            ReadOnlyPastError: this is a session of the past.
            MomentError: ``parent`` names no commit.
        """
        if is_of_past(self):
            raise ReadOnlyPastError("there is nothing to describe in the past; it is read-only")
        given = Description.checked(author, message, context)
        state = _state_of(self)
        before = _State(state.block, state.statement)
        state.statement = state.statement.updated(given)
        if parent is not None:
            state.expected_head = TemporalSession.moment(self, parent).uuid
        return Described(state, before, given)

    def rollback(self) -> None:
        """Roll back, and forget what was said about the transaction; see ``Session``."""
        super().rollback()
        _state_of(self).statement = NOBODY  # also when no transaction had begun

    def close(self) -> None:
        """Close the session, and what was opened of the past under it; see ``Session``."""
        close_pasts(self)
        super().close()

    # ------------------------------------------------------------------------------ guards

    def bulk_save_objects(self, objects: Iterable[object], *args: Any, **kw: Any) -> None:
        """Save objects without the unit of work; see ``Session.bulk_save_objects``."""
        listed = list(objects)
        for class_ in {type(each) for each in listed}:
            _verify(self, cast("Mapper[Any]", inspect(class_)))
        super().bulk_save_objects(listed, *args, **kw)

    def bulk_insert_mappings(self, mapper: Any, *args: Any, **kw: Any) -> None:
        """Insert without the unit of work; see ``Session.bulk_insert_mappings``."""
        _verify(self, inspect(mapper).mapper)
        super().bulk_insert_mappings(mapper, *args, **kw)

    def bulk_update_mappings(self, mapper: Any, *args: Any, **kw: Any) -> None:
        """Update without the unit of work; see ``Session.bulk_update_mappings``."""
        _verify(self, inspect(mapper).mapper)
        super().bulk_update_mappings(mapper, *args, **kw)

    def get(self, entity: Any, ident: Any, **kw: Any) -> Any:
        """Return the object with this primary key, or None; see ``Session.get``.

        Raises:
            ReadOnlyPastError: an object of the past is looked for, which only
                :meth:`merge` does: merged, it would silently revert the row.
        """
        token = kw.get("identity_token")
        if isinstance(token, PastToken) and not is_of_past(self):
            raise ReadOnlyPastError(
                "an object loaded from the past cannot be merged into a present session: it "
                "would silently revert the row. Load the present object and set what is to "
                "change"
            )
        return super().get(entity, ident, **kw)


def _state_of(session: Session) -> _State:
    state = session.info.get(_STATE)
    if state is None:
        state = session.info[_STATE] = _State()
    return cast("_State", state)


@event.listens_for(TemporalSession, "after_begin")
def _remember_connection(
    session: Session, transaction: SessionTransaction, connection: Connection
) -> None:
    """Keep the connections that take part, as each has to be told the description."""
    state = _state_of(session)
    known = connection.dialect.name in ("postgresql", "sqlite")
    if connection in state.connections or not known:
        return
    attach(connection)
    state.connections.append(connection)
    if state.committing:  # flushed while committing: this connection comes last
        _tell(connection, state)


@event.listens_for(TemporalSession, "before_commit")
def _describe_commit(session: Session) -> None:
    """Tell each connection the description, right before it commits.

    Not earlier: a savepoint rolled back would take the settings with it.
    """
    if session.in_nested_transaction():
        return
    state = _state_of(session)
    state.committing = True
    for connection in state.connections:
        _tell(connection, state)


@event.listens_for(TemporalSession, "before_flush")
def _refuse_unrecorded(session: Session, _context: object, _instances: object) -> None:
    """Make sure, once per database connection, that what is about to be written is kept."""
    if is_of_past(session):
        return
    for class_ in {type(each) for each in (*session.new, *session.dirty, *session.deleted)}:
        _verify(session, cast("Mapper[Any]", inspect(class_)))


def _verify(session: Session, mapper: Mapper[Any]) -> None:
    tables = [t for t in mapper.tables if isinstance(t, Table) and is_versioned(t)]
    if tables:
        verify_capture(session.connection(bind_arguments={"mapper": mapper}), tables)


@event.listens_for(TemporalSession, "do_orm_execute")
def _refuse_unrecorded_statement(state: ORMExecuteState) -> None:
    """The same for INSERT, UPDATE and DELETE statements, of the ORM and of Core."""
    table = getattr(state.statement, "table", None)
    is_dml = state.is_insert or state.is_update or state.is_delete
    if is_dml and isinstance(table, Table) and is_versioned(table):
        connection = state.session.connection(bind_arguments=state.bind_arguments)
        verify_capture(connection, [table])


def _tell(connection: Connection, state: _State) -> None:
    # An earlier description of this transaction, by Core, is not to be overwritten with
    # nothing.
    description = state.description()
    if description:
        write_description(connection, description)
    if state.expected_head is not None:
        write_intent(connection, Intent(expected_head=state.expected_head))


@event.listens_for(TemporalSession, "after_transaction_end")
def _forget_transaction(session: Session, transaction: SessionTransaction) -> None:
    """Descriptions said as statements end with the transaction they were about."""
    if transaction.parent is None:
        state = _state_of(session)
        state.statement = NOBODY
        state.expected_head = None
        state.connections.clear()
        state.committing = False


event.listen(TemporalSession, "before_attach", refuse_attach)


class AsyncPastSession(AsyncSession):
    """An asyncio session of the past, see :class:`AsyncTemporalSession`."""

    @property
    def moment(self) -> Moment:
        """The moment that is read."""
        return cast("AsOfSession", self.sync_session).moment

    async def connection(self, *_: object, **__: object) -> Any:
        """Refused, as an asyncio connection would lead to the present.

        Raises:
            ReadOnlyPastError: always.
        """
        raise ReadOnlyPastError(
            "a session of the past has no connection of its own; execute through the session"
        )


class AsyncTemporalSession(AsyncSession):
    """An asyncio session that knows about the past; the parameters are AsyncSession's."""

    sync_session_class: type[Session] = TemporalSession
    sync_session: TemporalSession

    @asynccontextmanager
    async def as_of(
        self,
        when: When,
        *,
        unversioned: Choice = "error",
        text: Choice = "error",
        plan: Plan = "auto",
        functions: Iterable[str] = (),
        schema: str = DEFAULT_SCHEMA,
    ) -> AsyncIterator[AsyncPastSession]:
        """Read the past in an ``async with`` block; see :func:`~sqlalchemy_temporal.as_of`."""
        policy = Policy(unversioned, text, plan, frozenset(functions)).check()
        child = await greenlet_spawn(open_past, self.sync_session, when, policy, schema)
        past = AsyncPastSession(sync_session_class=cast("Any", lambda **_: child))
        try:
            yield past
        finally:
            await past.close()

    async def moment(self, when: When, *, schema: str = DEFAULT_SCHEMA) -> Moment:
        """Resolve a point in time; see :meth:`TemporalSession.moment`."""
        return await greenlet_spawn(self.sync_session.moment, when, schema=schema)

    async def head(self) -> Moment:
        """The moment after the last commit."""
        return await self.moment("HEAD")

    @property
    def repository(self) -> AsyncRepository:
        """The commits of the session's database; its methods are to be awaited."""
        return AsyncRepository(self)

    def describe(
        self,
        author: str | None = None,
        message: str | None = None,
        context: Mapping[str, Any] | None = None,
    ) -> Described:
        """Say who makes a change, and why; see :meth:`TemporalSession.describe`."""
        return self.sync_session.describe(author, message, context)


__all__ = ["AsyncPastSession", "AsyncTemporalSession", "Described", "TemporalSession"]
