"""Whether a connection is used by a ``Session``."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, event
from sqlalchemy.orm import Session, SessionTransaction

from sqlalchemy_temporal.naming import INFO_KEY

_USED: Final = f"{INFO_KEY}.of_session"


def listen_to_sessions() -> None:
    """Notice which connections sessions use, from now on; repeatable."""
    if not event.contains(Session, "after_begin", _begins):
        event.listen(Session, "after_begin", _begins)
        event.listen(Session, "after_transaction_end", _ends)


def is_of_session(connection: Connection) -> bool:
    """Whether a session is using the connection for its transaction."""
    return bool(connection.info.get(_USED))


def _begins(session: Session, transaction: SessionTransaction, connection: Connection) -> None:
    used: list[Any] = session.info.setdefault(_USED, [])
    info = connection.info
    if not any(each is info for each in used):
        used.append(info)
    info[_USED] = True


def _ends(session: Session, transaction: SessionTransaction) -> None:
    if transaction.parent is None:
        for info in session.info.pop(_USED, ()):
            info.pop(_USED, None)


__all__ = ["is_of_session", "listen_to_sessions"]
