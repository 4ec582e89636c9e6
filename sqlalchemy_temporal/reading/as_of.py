"""``as_of``: open the past of a session or of a connection."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, overload

from sqlalchemy import Connection
from sqlalchemy.orm import Session, scoped_session

from sqlalchemy_temporal.clock.resolve import When
from sqlalchemy_temporal.naming import DEFAULT_SCHEMA
from sqlalchemy_temporal.reading.connection import PastConnection, option_for
from sqlalchemy_temporal.reading.policy import Choice, Plan, Policy
from sqlalchemy_temporal.reading.session import AsOfSession, open_past


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
    target: Session | scoped_session[Any] | Connection,
    when: When,
    *,
    unversioned: Choice = "error",
    text: Choice = "error",
    plan: Plan = "auto",
    functions: Iterable[str] = (),
    schema: str = DEFAULT_SCHEMA,
) -> AbstractContextManager[AsOfSession] | AbstractContextManager[PastConnection]:
    """Read the past of a session or connection, as a context manager.

    ::

        with as_of(session, "v1.2") as past:
            order = past.get(Order, 7)

    Parameters:
        target: a session of any class, or a connection for Core statements. Its connection
            and transaction are shared.
        when: the point in time: an aware datetime, a timedelta (that long ago), a commit or
            its uuid, a tag, a branch, ``"HEAD~2"``, or a moment.
        unversioned: ``"error"`` refuses tables without history, ``"allow"`` reads them as
            they are now.
        text: ``"error"`` refuses SQL text and what else may read the present unseen,
            ``"allow"`` runs it as it is.
        plan: the form of SQL, see :class:`~sqlalchemy_temporal.reading.policy.Policy`.
        functions: names of SQL functions of your own that read no tables.
        schema: the schema of the library's own tables.

    Returns:
        A context manager with a read-only session (or connection) of the past.

    Raises:
        MomentError: ``when`` names no point in time that can be read.
    """
    policy = Policy(unversioned, text, plan, frozenset(functions)).check()
    if isinstance(target, Connection):
        return _past_connection(target, when, policy, schema)
    session = target() if isinstance(target, scoped_session) else target
    return _past_session(session, when, policy, schema)


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
