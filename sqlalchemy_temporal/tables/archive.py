"""Write old history to Parquet files, which DuckDB, Spark and others read.

``archive_history`` writes the versions that a purge up to the same moment would take away:
one row per version with the table's columns, when it was valid, and who began and ended it.
With ``purge=True`` they are taken away afterwards, when the file has been read back and
holds as many rows as the database counts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, text

from sqlalchemy_temporal.clock.moment import Moment
from sqlalchemy_temporal.clock.resolve import When
from sqlalchemy_temporal.errors import ArchiveError, UnknownOptionError, UnsupportedDatabaseError
from sqlalchemy_temporal.naming import DEFAULT_SCHEMA
from sqlalchemy_temporal.tables import parquet
from sqlalchemy_temporal.tables.access import AccessMode, mode_of, require_unrestricted
from sqlalchemy_temporal.tables.archive_rows import Archived, archived_columns
from sqlalchemy_temporal.tables.purge import Progress, PurgeResult, moment_before, purge_history
from sqlalchemy_temporal.tables.recorded import RecordedTable, recorded_tables
from sqlalchemy_temporal.tables.work import Bind, Work, working

_SETTINGS: Final = (
    ("IntervalStyle", "iso_8601"),
    ("DateStyle", "ISO"),
    ("TimeZone", "UTC"),
    ("extra_float_digits", "1"),
)


@dataclass(frozen=True, slots=True)
class ArchivedTable:
    """One table's archive.

    Attributes:
        table: the table, as ``schema.table``.
        path: the Parquet file; None when there was nothing to archive.
        rows: versions in it.
        bytes: its size.
    """

    table: str
    path: Path | None
    rows: int
    bytes: int


@dataclass(frozen=True, slots=True)
class ArchiveResult:
    """What was archived, and what was purged afterwards.

    Attributes:
        tables: one archive for each table.
        older_than: the time of the commit it went up to; None when nothing is that old.
        purge: what was removed; None when that was not asked for.
    """

    tables: tuple[ArchivedTable, ...]
    older_than: datetime | None
    purge: PurgeResult | None = None

    @property
    def rows(self) -> int:
        """The versions in all archives."""
        return sum(each.rows for each in self.tables)

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values."""
        return asdict(self) | {"rows": self.rows}

    def __str__(self) -> str:
        lines = [f"{self.rows} versions archived"]
        lines += [
            f"  {each.table}: {each.rows} in {each.path} ({each.bytes} bytes)"
            for each in self.tables
            if each.path is not None
        ]
        return "\n".join([*lines, *([str(self.purge)] if self.purge else [])])


def archive_history(
    bind: Bind,
    older_than: When,
    path: str | Path,
    table_name: str | Sequence[str] | None = None,
    schema_name: str = "public",
    *,
    keep_last: int | None = None,
    purge: bool = False,
    complete: bool = False,
    as_text: Sequence[str] = (),
    author: str | None = None,
    reason: str | None = None,
    overwrite: bool = False,
    compression: str = "zstd",
    row_group_size: int = 50_000,
    progress: Progress | None = None,
    access: AccessMode | None = None,
    schema: str = DEFAULT_SCHEMA,
) -> ArchiveResult:
    """Write closed versions that ended before a moment to Parquet.

    Parameters:
        bind: an Engine, or a Connection or Session whose transaction is used.
        older_than: versions that ended up to this point in time are archived.
        path: the file for a single named table when it ends with ``.parquet``; else a
            directory, in which each table has a file of its name.
        table_name: one table or several; None for every table.
        schema_name: the schema of the tables.
        keep_last: as in ``purge_history``: leave out so many newest versions of each row.
        purge: remove what was archived, once the files have been read back.
        complete: also write the versions that stood at the moment, with an empty
            ``temporal_valid_to``: then the file alone answers for every time up to it.
        as_text: columns to keep as text, e.g. for values their Parquet type cannot hold.
        author: who does it; recorded with the purge.
        reason: why; recorded with the purge.
        overwrite: replace files that exist.
        compression: of the Parquet files.
        row_group_size: rows in memory at a time, and in a row group of the file.
        progress: called after each row group with the rows written so far and the rows
            to write in all.
        access: ``"restricted"`` allows reads only: no purge.
        schema: the schema of the library's own tables.

    Returns:
        What was written, and what was purged. A table without old versions has no file.

    Raises:
        AccessModeError: the mode allows reads only.
        ArchiveError: pyarrow is missing, a file exists, a value has no place in Parquet,
            or a file does not hold what it should; nothing is purged then.
        MomentError: ``older_than`` names no point in time.
        NotInstalledError: a table is not versioned.
        UnknownOptionError: ``keep_last`` or ``row_group_size`` is not positive.
        UnsupportedDatabaseError: ``complete`` on SQLite.
    """
    for name, number in (("keep_last", keep_last), ("row_group_size", row_group_size)):
        if number is not None and number < 1:
            raise UnknownOptionError(f"{name} must be positive, not {number!r}")
    parquet.require_pyarrow()
    names = [table_name] if isinstance(table_name, str) else table_name
    if purge:
        require_unrestricted(bind, access, "archive_history(purge=True)")
    if complete and _dialect(bind) == "sqlite":
        raise UnsupportedDatabaseError("complete=True is for PostgreSQL only")
    with working(bind, restricted=mode_of(bind, access) == "restricted") as work:
        with work.step() as connection:
            tables = recorded_tables(connection, schema, names, table_schema=schema_name)
            moment = moment_before(connection, older_than, schema)
        if moment is None:
            return ArchiveResult((), None)
        writer = _Writer(
            work, moment, keep_last, complete, tuple(as_text), compression, row_group_size
        )
        made = tuple(
            writer.write(each, _path_for(Path(path), each, tables), overwrite, progress)
            for each in tables
        )
    removed = None
    if purge:
        removed = purge_history(
            bind,
            moment,
            names,
            schema_name,
            keep_last=keep_last,
            dry_run=False,
            author=author,
            reason=reason,
            schema=schema,
        )
    return ArchiveResult(made, moment.effective_at, removed)


def _dialect(bind: Bind) -> str:
    found = bind if isinstance(bind, Engine | Connection) else bind.get_bind()
    return found.dialect.name


@dataclass(frozen=True, slots=True)
class _Writer:
    """Writes tables to files, all in the same way."""

    work: Work
    moment: Moment
    keep_last: int | None
    complete: bool
    as_text: tuple[str, ...]
    compression: str
    row_group_size: int

    def write(
        self, one: RecordedTable, path: Path, overwrite: bool, progress: Progress | None
    ) -> ArchivedTable:
        with self.work.step() as connection:
            versions = Archived(connection, one, self.moment, self.keep_last, self.complete)
            expected = versions.count()
            if not expected:
                return ArchivedTable(one.qualified, None, 0, 0)
            with parquet.under_another_name(path, overwrite=overwrite) as temporary:
                with _plain_text(connection):
                    written = self._write(versions, temporary, expected, progress)
                found = parquet.rows_in(temporary)
                if not expected == written == found:
                    raise ArchiveError(
                        f"{one.qualified}: the database counts {expected} versions, {written} "
                        f"were written and {found} read back; nothing was archived or purged"
                    )
        return ArchivedTable(one.qualified, path, written, path.stat().st_size)

    def _write(
        self, versions: Archived, path: Path, expected: int, progress: Progress | None
    ) -> int:
        connection, one = versions.connection, versions.one
        columns = archived_columns(connection, one, self.as_text)
        about = {
            "sqlalchemy_temporal": json.dumps(
                {
                    "table": one.qualified,
                    "key": one.key,
                    "older_than": self.moment.effective_at.isoformat(),
                    "commit": str(self.moment.uuid),
                    "complete": self.complete,
                }
            )
        }
        with connection.execute(
            versions.select(columns), execution_options={"yield_per": self.row_group_size}
        ) as result:
            return parquet.write_rows(
                path,
                columns,
                _told(result.partitions(), expected, progress),
                compression=self.compression,
                about=about,
            )


@contextmanager
def _plain_text(connection: Connection) -> Iterator[None]:
    """The text of intervals, times and floats must not depend on the connection."""
    if connection.dialect.name != "postgresql":
        yield
        return
    change = text("SELECT current_setting(:name), set_config(:name, :value, true)")
    before = [
        (name, connection.execute(change, {"name": name, "value": value}).one()[0])
        for name, value in _SETTINGS
    ]
    yield
    # After an error, the roll-back of the step does it.
    for name, value in before:
        connection.execute(change, {"name": name, "value": value})


def _told(
    batches: Iterator[Sequence[Any]], total: int, progress: Progress | None
) -> Iterator[Sequence[Any]]:
    done = 0
    for batch in batches:
        yield batch
        done += len(batch)
        if progress is not None:
            progress(done, max(total, done))


def _path_for(path: Path, one: RecordedTable, tables: Sequence[RecordedTable]) -> Path:
    """The file of one table.

    Raises:
        ArchiveError: there are several tables, and ``path`` is a file.
    """
    if path.suffix == ".parquet":
        if len(tables) > 1:
            raise ArchiveError(f"{len(tables)} tables cannot be one file; give a directory")
        return path
    return path / f"{one.qualified.replace('/', '_')}.parquet"


__all__ = ["ArchiveResult", "ArchivedTable", "archive_history"]
