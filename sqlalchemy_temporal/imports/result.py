"""What an import did, or would do."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class ImportedTable:
    """What was brought in for one table.

    Attributes:
        table: the table, as ``schema.table``.
        inserted: rows that came into being, as it was recorded.
        updated: changes of rows.
        deleted: deletions.
        current: rows that are now as they were recorded last; they keep who wrote them.
        changed_since: rows that are not: the difference was never recorded, so it is a
            change of the commit that begins our own versioning.
        gone_since: rows recorded as existing that are not there; that commit deletes them.
        unrecorded: rows of which nothing was recorded; they exist since that commit.
        ignored: recorded deletions of rows of which nothing was recorded before.
        left_out: recorded columns that the table has no longer, or does not version.
        unknown: columns of the table that were not recorded; NULL in imported versions.
    """

    table: str
    inserted: int
    updated: int
    deleted: int
    current: int
    changed_since: int
    gone_since: int
    unrecorded: int
    ignored: int
    left_out: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def versions(self) -> int:
        """The imported versions."""
        return self.inserted + self.updated


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What an import did, or would do.

    Attributes:
        tables: what was brought in for each table.
        commits: the imported commits.
        first: when the first of them was made (with time zone).
        last: when the last of them was made.
        dry_run: whether nothing was changed.
    """

    tables: tuple[ImportedTable, ...]
    commits: int
    first: datetime
    last: datetime
    dry_run: bool

    @property
    def versions(self) -> int:
        """The imported versions of all tables."""
        return sum(each.versions for each in self.tables)

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values."""
        return asdict(self) | {"versions": self.versions}

    def __str__(self) -> str:
        verb = "would be imported" if self.dry_run else "imported"
        lines = [
            (
                f"{self.commits} commits with {self.versions} versions {verb}, "
                f"{self.first.isoformat()} to {self.last.isoformat()}"
            )
        ]
        lines += [
            f"  {each.table}: {each.inserted} inserted, {each.updated} updated, "
            f"{each.deleted} deleted; of the rows there are, {each.current} as recorded, "
            f"{each.changed_since} changed since, {each.unrecorded} unrecorded; "
            f"{each.gone_since} gone since"
            for each in self.tables
        ]
        return "\n".join(lines)


__all__ = ["ImportResult", "ImportedTable"]
