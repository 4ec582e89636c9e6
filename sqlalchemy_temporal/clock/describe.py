"""Who makes a change, and why: the description that a transaction's commit will carry.

A description has three sources, the later ones winning value by value (keys of a context
add up):

1. the actor of the current task or thread, set once per request by :func:`actor` or
   :func:`set_actor`;
2. ``with session.describe(…):``, for the transactions committed inside of the block;
3. ``session.describe(…)`` as a statement, for the current transaction.

It reaches the database as settings of the transaction, which the commit reads.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import Connection

from sqlalchemy_temporal.clock.backends import clock_of
from sqlalchemy_temporal.errors import UnknownOptionError

_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Description:
    """What is said about a transaction.

    Attributes:
        author: who makes the change; None when that is not said.
        message: what for; None when that is not said.
        context: further facts that can be written as JSON, e.g. a request id.
    """

    author: str | None = None
    message: str | None = None
    context: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)

    def __bool__(self) -> bool:
        """Whether anything is said at all."""
        return self.author is not None or self.message is not None or bool(self.context)

    def updated(self, other: Description) -> Description:
        """This description where ``other`` says nothing, ``other`` where it does."""
        return Description(
            self.author if other.author is None else other.author,
            self.message if other.message is None else other.message,
            {**self.context, **other.context},
        )

    @classmethod
    def checked(
        cls, author: str | None, message: str | None, context: Mapping[str, Any] | None
    ) -> Description:
        """A description of values that a user gave.

        Raises:
            UnknownOptionError: a value has the wrong type, or the context is not JSON.
        """
        for name, value in (("author", author), ("message", message)):
            if value is not None and not isinstance(value, str):
                raise UnknownOptionError(f"describe: {name} must be a string, not {value!r}")
            if value is not None and "\0" in value:
                raise UnknownOptionError(f"describe: {name} must not contain NUL characters")
        if context is not None and not isinstance(context, Mapping):
            raise UnknownOptionError(f"describe: context must be a mapping, not {context!r}")
        try:
            _json(context or {})
        except (TypeError, ValueError) as error:
            raise UnknownOptionError(
                f"describe: context must hold what JSON can: {error}"
            ) from error
        return cls(author, message, dict(context or {}))


NOBODY: Final = Description()
"""The description that says nothing."""

_ACTOR: ContextVar[Description] = ContextVar("sqlalchemy_temporal_actor", default=NOBODY)


def current_actor() -> Description:
    """What :func:`actor` or :func:`set_actor` said for the current task or thread."""
    return _ACTOR.get()


def set_actor(author: str | None, /, **context: Any) -> Token[Description]:
    """Say who acts from now on in the current task or thread, e.g. in a web middleware.

    Parameters:
        author: who; None for nobody.
        context: further facts for each commit, e.g. ``request_id="…"``.

    Returns:
        A token for :func:`reset_actor`.
    """
    return _ACTOR.set(Description.checked(author, None, context))


def reset_actor(token: Token[Description]) -> None:
    """Undo the :func:`set_actor` that returned ``token``."""
    _ACTOR.reset(token)


@contextmanager
def actor(author: str | None, /, **context: Any) -> Iterator[None]:
    """Say who acts inside of a ``with`` block, in the current task or thread.

    Parameters:
        author: who; None for nobody.
        context: further facts for each commit, e.g. ``request_id="…"``.
    """
    token = set_actor(author, **context)
    try:
        yield
    finally:
        reset_actor(token)


def describe(
    connection: Connection,
    author: str | None = None,
    message: str | None = None,
    context: Mapping[str, Any] | None = None,
) -> None:
    """Describe the current transaction of a connection, for users of Core.

    A later call replaces the whole description. Said inside of a savepoint that is rolled
    back, it is rolled back too.

    Parameters:
        connection: a connection, in a transaction that it begins if there is none.
        author: who makes the change.
        message: what for.
        context: further facts that can be written as JSON.

    Raises:
        UnsupportedDatabaseError: the database is neither PostgreSQL nor SQLite.
        UnknownOptionError: a value has the wrong type.
    """
    write_description(connection, Description.checked(author, message, context))


def write_description(connection: Connection, description: Description) -> None:
    """Make ``description`` that of the connection's current transaction."""
    clock_of(connection).describe(
        connection,
        description.author,
        description.message,
        _json(description.context) if description.context else None,
    )


def _json(context: Mapping[str, Any]) -> str:
    # Not NaN and Infinity, which JSON has not and jsonb refuses.
    return json.dumps(dict(context), ensure_ascii=False, allow_nan=False)


__all__ = [
    "NOBODY",
    "Description",
    "actor",
    "current_actor",
    "describe",
    "reset_actor",
    "set_actor",
    "write_description",
]
