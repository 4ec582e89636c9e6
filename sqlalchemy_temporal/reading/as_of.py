"""``as_of``: the past of a session, of a connection, or of one entity in a statement."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeVar, overload

from sqlalchemy import Connection, FromClause, Table, inspect
from sqlalchemy.orm import Mapper, Session, aliased, scoped_session, with_polymorphic
from sqlalchemy.orm.util import AliasedInsp

from sqlalchemy_temporal.clock.moment import Moment
from sqlalchemy_temporal.clock.resolve import When
from sqlalchemy_temporal.errors import MomentError, UnsupportedReadError
from sqlalchemy_temporal.naming import DEFAULT_SCHEMA
from sqlalchemy_temporal.reading.alias import selectable_as_of
from sqlalchemy_temporal.reading.connection import PastConnection, option_for
from sqlalchemy_temporal.reading.further import read_further_tables
from sqlalchemy_temporal.reading.policy import Choice, Plan, Policy
from sqlalchemy_temporal.reading.session import AsOfSession, open_past

T = TypeVar("T")


@overload
def as_of(
    target: Session | scoped_session[Any],
    when: When,
    *,
    unversioned: Choice = ...,
    text: Choice = ...,
    plan: Plan = ...,
    functions: Iterable[str] = ...,
    schema: str = ...,
) -> AbstractContextManager[AsOfSession]: ...


@overload
def as_of(target: type[T], when: Moment, *, name: str | None = ...) -> type[T]: ...


@overload
def as_of(target: Table, when: Moment, *, name: str | None = ...) -> FromClause: ...


@overload
def as_of(
    target: Connection,
    when: When,
    *,
    unversioned: Choice = ...,
    text: Choice = ...,
    plan: Plan = ...,
    functions: Iterable[str] = ...,
    schema: str = ...,
) -> AbstractContextManager[PastConnection]: ...


def as_of(
    target: Session | scoped_session[Any] | Connection | Table | type[Any],
    when: When,
    *,
    unversioned: Choice = "error",
    text: Choice = "error",
    plan: Plan = "auto",
    functions: Iterable[str] = (),
    schema: str = DEFAULT_SCHEMA,
    name: str | None = None,
) -> Any:
    """Read the past: of a session, of a connection, or of one entity of a statement.

    ::

        with as_of(session, "v1.2") as past:
            order = past.get(Order, 7)

        then, now = as_of(Customer, session.moment("v1.2")), Customer
        select(then, now).join(now, now.id == then.id).where(now.name != then.name)

    Of an entity (or table) this makes an alias that reads its rows as of a moment. It can
    stand in any statement, beside the present and beside other moments; its objects live in
    a read-only session of that moment, so that what is loaded from them is of it too. Of the
    moment are the entity's own tables, those that its derived attributes read, and the
    association table of a many-to-many relationship that is joined along; whatever else it
    is joined to needs an ``as_of`` of its own.

    Parameters:
        target: a session of any class, or a connection for Core statements, whose
            connection and transaction are shared; or a mapped class, ``with_polymorphic()``
            of one, or a table.
        when: the point in time: an aware datetime, a timedelta (that long ago), a commit or
            its uuid, a tag, a branch, ``"HEAD~2"``, or a moment. For an entity or table a
            moment, as ``session.moment(when)`` gives it.
        unversioned: ``"error"`` refuses tables without history, ``"allow"`` reads them as
            they are now.
        text: ``"error"`` refuses SQL text and what else may read the present unseen,
            ``"allow"`` runs it as it is, if it is a query.
        plan: the form of SQL, see :class:`~sqlalchemy_temporal.reading.policy.Policy`.
        functions: names of SQL functions of your own that read no tables.
        schema: the schema of the library's own tables.
        name: the name of the alias in SQL, for an entity or table.

    Returns:
        A context manager with a read-only session (or connection) of the past, or an alias.

    Raises:
        MomentError: ``when`` names no point in time that can be read.
        UnversionedTableError: the entity has a table without history.
    """
    policy = Policy(unversioned, text, plan, frozenset(functions)).check()
    if isinstance(target, Connection):
        return _past_connection(target, when, policy, schema)
    if isinstance(target, Session | scoped_session):
        session = target() if isinstance(target, scoped_session) else target
        return _past_session(session, when, policy, schema)
    return _alias(target, when, name)


def _alias(target: Any, when: When, name: str | None) -> Any:
    if not isinstance(when, Moment):
        raise MomentError(
            f"as_of() of an entity needs a moment, not {when!r}: pass session.moment({when!r})"
        )
    if isinstance(target, FromClause):
        return selectable_as_of(target, when, name)
    entity: Any = inspect(target, raiseerr=False)
    if isinstance(entity, Mapper):
        source = selectable_as_of(entity._with_polymorphic_selectable, when, name)
        found: Any = aliased(target, source, name=name)
    elif isinstance(entity, AliasedInsp) and entity._is_with_polymorphic:
        found = _polymorphic(entity, when, name)
    else:
        raise UnsupportedReadError(
            "as_of() takes a session, a connection, a mapped class, with_polymorphic() of one "
            f"or a table, not {target!r}"
        )
    read_further_tables(found, when)
    return found


def _polymorphic(entity: AliasedInsp[Any], when: Moment, name: str | None) -> Any:
    """``with_polymorphic`` of the same classes, over their tables as of a moment."""
    inner = not entity.represents_outer_join
    mappers = entity.with_polymorphic_mappers
    tables = entity.mapper._selectable_from_mappers(mappers, inner)
    return with_polymorphic(
        entity.mapper.class_,
        [mapper.class_ for mapper in mappers],
        selectable_as_of(tables, when, name),
        innerjoin=inner,
        name=name,
    )


@contextmanager
def _past_session(
    session: Session, when: When, policy: Policy, schema: str
) -> Iterator[AsOfSession]:
    past = open_past(session, when, policy, schema)
    try:
        yield past
    finally:
        past.close()


@contextmanager
def _past_connection(
    connection: Connection, when: When, policy: Policy, schema: str
) -> Iterator[PastConnection]:
    yield PastConnection(connection, option_for(connection, when, policy, schema))
