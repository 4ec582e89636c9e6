"""The interface behind which databases differ in how they tell transactions apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import Connection

from sqlalchemy_temporal.clock.moment import Moment


@dataclass(frozen=True, slots=True)
class Question:
    """What a user calls a point in time, taken apart.

    Attributes:
        kind: ``"head"``, ``"commit"`` (asked is its uuid), ``"ref"`` (asked is a name),
            ``"time"`` (asked is in ISO format, with an offset) or ``"ago"`` (asked is
            ``"<n> microseconds"``).
        asked: the commit, name or time.
        steps: ``~n`` and ``^n`` to go on from there.
        label: how to call it in messages.
    """

    kind: str
    asked: str
    steps: str = ""
    label: str = ""


class Clock(Protocol):
    """How one database describes and finds transactions."""

    def require(self, connection: Connection, schema: str) -> None:
        """Make sure that the database has versioning in ``schema``.

        Raises:
            NotInstalledError: it has none.
        """

    def snapshot_is_fixed(self, connection: Connection) -> bool:
        """Whether later statements of the transaction see its first statement's state."""

    def resolve(self, connection: Connection, schema: str, question: Question) -> Moment:
        """The moment asked for.

        Raises:
            MomentError: there is none.
        """

    def describe(
        self, connection: Connection, author: str | None, message: str | None, context: str | None
    ) -> None:
        """Describe the connection's current transaction; ``context`` is JSON."""
