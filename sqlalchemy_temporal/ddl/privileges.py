"""What the server refuses for lack of rights, explained."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError

from sqlalchemy_temporal.ddl import keys
from sqlalchemy_temporal.errors import PrivilegeError


@contextmanager
def explaining_refusal(explain: Callable[[str], str]) -> Iterator[None]:
    """Turn the server's refusal for lack of rights into an error that says what to do.

    Parameters:
        explain: gives the message, from what the server said.

    Raises:
        PrivilegeError: the role may not do what the block does.
    """
    try:
        yield
    except DBAPIError as error:
        if keys.sqlstate(error) != keys.STATE_INSUFFICIENT_PRIVILEGE:
            raise
        raise PrivilegeError(explain(str(error.orig))) from error


__all__ = ["explaining_refusal"]
