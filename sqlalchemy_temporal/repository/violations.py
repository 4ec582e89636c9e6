"""What keeps a planned change from being made: constraints that would be violated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["referenced", "missing parent", "not null", "unique", "unversioned", "refused"]


@dataclass(frozen=True, slots=True)
class Violation:
    """One constraint that a planned change would violate.

    Attributes:
        kind: ``"referenced"``: rows refer to rows that would be deleted;
            ``"missing parent"``: planned rows refer to rows that would not exist;
            ``"unversioned"``: deleting would delete or change rows of a table without
            history, which could not be brought back; ``"not null"``; ``"unique"``;
            ``"refused"``: the database refused, for the reason in ``constraint``.
        constraint: the name of the constraint, or of the column for ``"not null"``.
        table: the table whose rows would violate it.
        count: how many rows would.
        rows: the keys of some of them.
    """

    kind: Kind
    constraint: str
    table: str
    count: int
    rows: tuple[Mapping[str, Any], ...] = ()

    def __str__(self) -> str:
        """The violation as half a line of text."""
        shown = ", ".join("/".join(str(value) for value in key.values()) for key in self.rows[:5])
        rows = "row" if self.count == 1 else "rows"
        more = ", …" if self.count > len(self.rows[:5]) else ""
        where = f" ({shown}{more})" if shown else ""
        return f"{self.kind}: {self.count} {rows} of {self.table}{where}, {self.constraint}"


__all__ = ["Kind", "Violation"]
