"""The identities of the columns of a versioned table, over its whole life.

Hashes of rows name a column by a number that never changes, so that renaming a column
leaves the past as it was and adding one does not touch it. The list of versioned tables
keeps, for each table, one entry per identity, in the order in which they were given:

``{"id": 3, "name": "price", "type": "numeric(10,2)", "since": 17, "until": null,
"history": "price"}``

``since`` and ``until`` are the transactions from which on, and before which, versions have
the column; ``until`` is null while the table has it. A column that is dropped or whose type
changes gets an ``until`` and stays; what follows it gets a new identity. ``history`` is
the name under which the history table keeps the values.

A version has the column when it was *committed* at or after ``since`` and before ``until``:
ids alone do not order commits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ColumnIdentity:
    """One column of a versioned table, from when to when it was recorded.

    Attributes:
        id: its number, never used again within the table.
        name: its name, now or at last.
        type: its type as the database names it.
        since: the id of the transaction from which on it was recorded.
        until: the id of the transaction from which on it no longer was; None while it is.
        history: the name of the column in the history table.
    """

    id: int
    name: str
    type: str
    since: int
    until: int | None
    history: str

    @property
    def current(self) -> bool:
        """Whether the table records the column now."""
        return self.until is None


def identities(entries: Iterable[Mapping[str, Any]]) -> tuple[ColumnIdentity, ...]:
    """The identities that an entry of ``versioned_tables.columns`` lists."""
    return tuple(ColumnIdentity(**entry) for entry in entries)


__all__ = ["ColumnIdentity", "identities"]
