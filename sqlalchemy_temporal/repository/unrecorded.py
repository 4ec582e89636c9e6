"""Tables of which an operation would need to know more than is recorded.

Before its versioning began, while that was disabled, and up to where it was purged, nothing
is recorded of a table. Such a state is neither empty nor that of another commit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy_temporal.clock.moment import Moment
from sqlalchemy_temporal.errors import UnrecordedMomentError, VersioningGapError
from sqlalchemy_temporal.reading.refusal import check_known
from sqlalchemy_temporal.repository.described import VersionedTable


def unrecorded(
    table: VersionedTable, moments: Sequence[tuple[str, Moment]]
) -> UnrecordedMomentError | None:
    """Why a table cannot be worked on; None when it is recorded all along, and at present.

    Parameters:
        table: the table.
        moments: the moments that matter, each with what it is called.
    """
    for called, moment in moments:
        try:
            check_known(table.live, moment)
        except UnrecordedMomentError as error:
            return type(error)(f"at the {called}, {moment.uuid}: {error}")
    if table.disabled_tx_id is not None:
        return VersioningGapError(
            f"at present: the versioning of table {table.name!r} is disabled, so what would be "
            "written to it would not be recorded"
        )
    return None


def wrote(counts: Mapping[str, Mapping[str, int]], table: VersionedTable) -> bool:
    """Whether a commit with these counts wrote rows of a table; a purge takes only versions."""
    return bool(counts.get(table.name, {}).keys() - {"purge", "redact"})


def restricted(
    what: str, call: str, table: VersionedTable, tables: Sequence[VersionedTable]
) -> str:
    """The advice to leave ``table`` out; empty when there is no other."""
    others = ", ".join(repr(each.name) for each in tables if each is not table)
    return f"To {what} other tables alone, name them: {call}(x, {others})" if others else ""


__all__ = ["restricted", "unrecorded", "wrote"]
