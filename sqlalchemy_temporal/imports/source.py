"""What the importers of other libraries' records have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Any, Literal, Protocol

from sqlalchemy import Connection
from sqlalchemy.types import UserDefinedType

from sqlalchemy_temporal.errors import HistoryImportError
from sqlalchemy_temporal.imports.target import Target

Teller = Callable[[Mapping[str, Any]], str | None]
"""Says something of a recorded transaction, given its columns by name."""

Missing = Literal["error", "null"]
"""What to do about a column that was not recorded."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One recorded transaction.

    Attributes:
        number: its place in the order of all, from 1 on.
        at: when it was made, with time zone.
        author: who made it.
        message: what for.
        context: what else is known of it.
        operation: what its commit is called.
    """

    number: int
    at: datetime
    author: str | None = None
    message: str | None = None
    context: Mapping[str, Any] = field(default_factory=dict)
    operation: str = "IMPORT"


@dataclass(frozen=True, slots=True)
class Fit:
    """How the recorded columns of one table fit it.

    Attributes:
        left_out: recorded columns that the table does not version.
        unknown: columns of the table that were not recorded.
    """

    left_out: tuple[str, ...]
    unknown: tuple[str, ...]


class Source(Protocol):
    """Where history is imported from."""

    @property
    def name(self) -> str:
        """What recorded it, for messages."""

    def fit(self, connection: Connection, target: Target) -> Fit:
        """Compare columns; refuse those that do not match."""

    def number(self, connection: Connection) -> int:
        """Fill the table of numbered transactions; return the highest number."""

    def stage(self, connection: Connection, target: Target) -> None:
        """Fill the staged rows of one table."""

    def transactions(self, connection: Connection) -> Iterator[Recorded]:
        """The numbered transactions, in order, a few in memory at a time."""


class Named(UserDefinedType[Any]):
    """A type as the database names it."""

    cache_ok = True

    def __init__(self, name: str) -> None:
        self.name = name

    def get_col_spec(self, **_: Any) -> str:
        """The name, which came from the database's catalog."""
        return self.name


def instant(value: Any, zone: tzinfo | None, label: str) -> datetime:
    """A recorded time with its time zone.

    Parameters:
        value: the time as it was recorded.
        zone: where a time without a time zone was recorded; None for UTC.
        label: what it is the time of, for the message.

    Raises:
        HistoryImportError: there is none.
    """
    if not isinstance(value, datetime):
        raise HistoryImportError(
            f"{label} has no time, so it has no place in history; set its issued_at"
        )
    return value if value.tzinfo is not None else value.replace(tzinfo=zone or UTC)


def refuse_missing(target: Target, unknown: tuple[str, ...], missing: Missing) -> None:
    """Refuse columns that were not recorded, unless they may be NULL.

    Raises:
        HistoryImportError: there are some.
    """
    if missing not in ("error", "null"):
        raise HistoryImportError(f"missing must be 'error' or 'null', not {missing!r}")
    if unknown and missing == "error":
        raise HistoryImportError(
            f"table {target.spec.qualified!r}: nothing was recorded of the column(s) "
            f"{', '.join(unknown)}. Give their recorded names with rename={{table: {{column: "
            "recorded name}}, exclude them from versioning, or say missing='null': imported "
            "versions have NULL there, and today's values count from the import on"
        )


__all__ = ["Fit", "Missing", "Named", "Recorded", "Source", "Teller", "instant", "refuse_missing"]
