"""Take away history that is older than a moment, and never answer wrongly afterwards.

``purge_history`` removes the closed versions that no moment from the horizon on needs, and
notes the horizon with the table. Every later moment reads as before. An earlier one is
refused with ``PurgedHistoryError``, which says from when on the table is known again.

The horizon of a table is the last commit of which a removed version knew the end. It may
lie before the time given: where nothing was removed, nothing is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, select

from sqlalchemy_temporal.clock.moment import Moment
from sqlalchemy_temporal.clock.resolve import When, resolve
from sqlalchemy_temporal.clock.seal import seal
from sqlalchemy_temporal.errors import BeforeVersioningError, UnknownOptionError
from sqlalchemy_temporal.naming import DEFAULT_SCHEMA
from sqlalchemy_temporal.tables.access import AccessMode, mode_of, require_unrestricted
from sqlalchemy_temporal.tables.order import Order
from sqlalchemy_temporal.tables.recorded import RecordedTable, recorded_tables
from sqlalchemy_temporal.tables.removal import remove
from sqlalchemy_temporal.tables.retention import Amount, measure
from sqlalchemy_temporal.tables.work import Bind, working

Progress = Callable[[int, int], None]
"""Called with the versions removed so far, and how many there are to remove."""


@dataclass(frozen=True, slots=True)
class PurgedTable:
    """What a purge takes from one table.

    Attributes:
        table: the table, as ``schema.table``.
        removed: closed versions taken away, or to be taken away in a dry run.
        kept: closed versions that stay.
        bytes: about how many bytes the removed versions take, with their index entries.
            They become free for new versions; partitions that are dropped return them.
        known_from: the time from which on the table can be read (with time zone); None
            when nothing is taken away by this purge.
        horizon_seq: the number of the commit at that time.
    """

    table: str
    removed: int
    kept: int
    bytes: int
    known_from: datetime | None
    horizon_seq: int | None


@dataclass(frozen=True, slots=True)
class PurgeResult:
    """What a purge did, or would do.

    Attributes:
        tables: what it takes from each table.
        older_than: the time of the commit it went up to; None when nothing is that old.
        dry_run: whether nothing was changed.
        unreadable: tags and branches whose commit lies before a new horizon, so that the
            tables purged cannot be read there any more.
        dropped: partitions that were dropped as a whole, as ``schema.partition``.
    """

    tables: tuple[PurgedTable, ...]
    older_than: datetime | None
    dry_run: bool
    unreadable: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()

    @property
    def removed(self) -> int:
        """The versions taken away from all tables."""
        return sum(each.removed for each in self.tables)

    @property
    def bytes(self) -> int:
        """About how many bytes they take."""
        return sum(each.bytes for each in self.tables)

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values."""
        return asdict(self) | {"removed": self.removed, "bytes": self.bytes}

    def __str__(self) -> str:
        verb = "would be removed" if self.dry_run else "removed"
        lines = [f"{self.removed} versions ({self.bytes} bytes) {verb}"]
        lines += [
            f"  {each.table}: {each.removed} of {each.removed + each.kept}, known from "
            f"{each.known_from.isoformat() if each.known_from else 'its beginning'}"
            for each in self.tables
            if each.removed
        ]
        if self.unreadable:
            lines.append(f"  no longer readable: {', '.join(self.unreadable)}")
        if self.dropped:
            lines.append(f"  dropped: {', '.join(self.dropped)}")
        return "\n".join(lines)


def purge_history(
    bind: Bind,
    older_than: When,
    table_name: str | Sequence[str] | None = None,
    schema_name: str = "public",
    *,
    keep_last: int | None = None,
    dry_run: bool = True,
    author: str | None = None,
    reason: str | None = None,
    batch_size: int = 100_000,
    progress: Progress | None = None,
    patience: timedelta = timedelta(seconds=10),
    access: AccessMode | None = None,
    schema: str = DEFAULT_SCHEMA,
) -> PurgeResult:
    """Remove closed versions that ended before a moment.

    Parameters:
        bind: an Engine: versions are removed in batches, each a commit of its own that
            moves the horizon along; broken off, it can be run again. A Connection or
            Session: all in its transaction.
        older_than: versions that ended up to this point in time are removed.
        table_name: one table or several; None for every table.
        schema_name: the schema of the tables.
        keep_last: keep so many newest versions of each row, its current one included,
            though they are older. They show in the history of the row; moments before the
            horizon are refused all the same, as other rows are missing then.
        dry_run: only say what would be removed (the default).
        author: who does it; recorded with the commit.
        reason: why; the message of the commit.
        batch_size: about how many versions to remove at a time. Versions that one
            transaction ended are removed together.
        progress: called after each batch.
        patience: how long to wait for transactions under way before a whole partition is
            dropped; after that its rows are deleted, and the empty partition is left for
            the next purge. Only with an Engine; in a caller's transaction none is dropped.
        access: ``"restricted"`` allows reads only: a dry run.
        schema: the schema of the library's own tables.

    Returns:
        What was removed, or would be. Each batch is recorded as a commit with the
        operation PURGE; where there was nothing to remove, there is none.

    Raises:
        AccessModeError: the mode allows reads only.
        MomentError: ``older_than`` names no point in time.
        NotInstalledError: a table is not versioned.
        UnknownOptionError: ``keep_last`` or ``batch_size`` is not positive.
        PrivilegeError: the role may not change history.
    """
    for name, number in (("keep_last", keep_last), ("batch_size", batch_size)):
        if number is not None and number < 1:
            raise UnknownOptionError(f"{name} must be positive, not {number!r}")
    names = [table_name] if isinstance(table_name, str) else table_name
    if not dry_run:
        require_unrestricted(bind, access, "purge_history(dry_run=False)")
    with working(bind, restricted=mode_of(bind, access) == "restricted") as work:
        with work.step() as connection:
            tables = recorded_tables(connection, schema, names, table_schema=schema_name)
            moment = moment_before(connection, older_than, schema)
            if moment is None:
                return PurgeResult((), None, dry_run)
        with work.step() as connection:
            amounts = [measure(connection, each, moment, keep_last) for each in tables]
            result = _result(connection, tables, amounts, moment, dry_run=dry_run)
        if dry_run:
            return result
        order = Order(moment, keep_last, batch_size, author, reason, patience)
        done, dropped = 0, []
        for each in tables:
            for removed in remove(work, each, order):
                done += removed.versions
                dropped += [removed.partition] if removed.partition else []
                if progress is not None and removed.versions:
                    progress(done, result.removed)
    return replace(result, dropped=tuple(dropped))


def moment_before(connection: Connection, older_than: When, schema: str) -> Moment | None:
    """The moment to purge up to; None when nothing is that old."""
    seal(connection, schema)  # the horizon must have its exact time
    try:
        return resolve(connection, older_than, schema)
    except BeforeVersioningError:
        return None


def _result(
    connection: Connection,
    tables: Sequence[RecordedTable],
    amounts: Sequence[Amount],
    moment: Moment,
    *,
    dry_run: bool,
) -> PurgeResult:
    pairs = list(zip(tables, amounts, strict=True))
    boundaries = {a.boundary for a in amounts if a.boundary is not None}
    times = _times(connection, tables, boundaries)
    purged = tuple(
        PurgedTable(
            table=each.qualified,
            removed=amount.over,
            kept=amount.versions - amount.over,
            bytes=amount.bytes,
            known_from=times.get(amount.boundary),
            horizon_seq=amount.boundary,
        )
        for each, amount in pairs
    )
    unreadable = _unreadable(connection, tables, max(boundaries)) if boundaries else ()
    return PurgeResult(purged, moment.effective_at, dry_run, unreadable)


def _times(
    connection: Connection, tables: Sequence[RecordedTable], numbers: set[int]
) -> dict[int | None, datetime]:
    if not numbers:
        return {}
    system = tables[0].system
    commit, transaction = system.commit, system.transaction
    rows = connection.execute(
        select(
            transaction.c.commit_seq,
            func.coalesce(commit.c.effective_at, transaction.c.committed_at),
        )
        .outerjoin_from(transaction, commit, commit.c.tx_id == transaction.c.id)
        .where(transaction.c.commit_seq.in_(numbers))
    )
    return {row[0]: row[1] for row in rows}


def _unreadable(
    connection: Connection, tables: Sequence[RecordedTable], before: int
) -> tuple[str, ...]:
    ref, transaction = tables[0].system.ref, tables[0].system.transaction
    return tuple(
        connection.scalars(
            select(ref.c.name)
            .join(transaction, transaction.c.uuid == ref.c.commit_uuid)
            .where(transaction.c.commit_seq < before)
            .order_by(ref.c.name)
        )
    )


__all__ = ["Progress", "PurgeResult", "PurgedTable", "moment_before", "purge_history"]
