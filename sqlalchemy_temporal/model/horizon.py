"""From which commit on the versions of an entity are all there: purged ones are not.

What began at the horizon or before may have replaced a version that was purged. So it is
not known what it changed, nor whether it was inserted then; what began later is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, cast

from sqlalchemy import inspect, select
from sqlalchemy.orm import Session

from sqlalchemy_temporal.errors import PurgedHistoryError
from sqlalchemy_temporal.model.version import Version, info_of
from sqlalchemy_temporal.naming import INFO_KEY
from sqlalchemy_temporal.reading.session import present_of
from sqlalchemy_temporal.schema import history_table, system_of

_KEPT: Final = f"{INFO_KEY}.horizons"


@dataclass(frozen=True, slots=True)
class Horizon:
    """The commit from which on a table is known, after a purge.

    Attributes:
        seq: its sequence number.
        at: its exact time (with time zone), when it has one.
    """

    seq: int
    at: datetime | None

    def error(self, what: str) -> PurgedHistoryError:
        """The error that says that ``what`` is not known any more."""
        since = self.at.isoformat() if self.at else f"commit {self.seq}"
        return PurgedHistoryError(f"{what} is not known: history before {since} was purged")


def horizon_of(session: Session, history: type[Version]) -> Horizon | None:
    """The horizon of the entity's table; None when nothing of it was purged.

    Asked once in a transaction of the session.
    """
    present = present_of(session)
    transaction = present.get_transaction()
    kept = present.info.get(_KEPT)
    if kept is None or kept[0] is not transaction:
        kept = present.info[_KEPT] = (transaction, {})
    found: dict[type[Version], Horizon | None] = kept[1]
    if history not in found:
        found[history] = _read(present, history)
        # Asking may have begun the transaction.
        present.info[_KEPT] = (present.get_transaction(), found)
    return found[history]


def purged_before(session: Session, version: Version) -> Horizon | None:
    """The horizon, when ``version`` began there or before; else None."""
    horizon = horizon_of(session, type(version))
    if horizon is None:
        return None
    began = cast("Any", version).temporal_commit_seq
    return horizon if began is not None and began <= horizon.seq else None


def _read(session: Session, history: type[Version]) -> Horizon | None:
    info = info_of(history)
    connection = session.connection(bind_arguments={"mapper": info.entity})
    past = history_table(cast("Any", inspect(info.entity)).local_table)
    system = system_of(connection, info.schema)
    listed, commit = system.versioned_tables, system.commit
    row = connection.execute(
        select(listed.c.purged_seq, commit.c.effective_at)
        .outerjoin_from(listed, commit, commit.c.seq == listed.c.purged_seq)
        .where(listed.c.history_schema == past.schema, listed.c.history_table == past.name)
    ).one_or_none()
    if row is None or row.purged_seq is None:
        return None
    return Horizon(row.purged_seq, row.effective_at)


__all__ = ["Horizon", "horizon_of", "purged_before"]
