"""Write rows to a Parquet file, batch by batch, and make sure of what was written.

The file appears under its name only when it is complete and has been read back; memory
holds one batch of rows, whatever the size of the table.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy_temporal.errors import ArchiveError
from sqlalchemy_temporal.tables.archive_types import Stored, arrow_type

if TYPE_CHECKING:
    import pyarrow as pa


def require_pyarrow() -> None:
    """Say what to install when pyarrow is missing.

    Raises:
        ArchiveError: it is.
    """
    try:
        import pyarrow.parquet as _  # noqa: F401
    except ImportError as error:
        raise ArchiveError(
            "archiving needs pyarrow; install it with: pip install 'sqlalchemy-temporal[archive]'"
        ) from error


@contextmanager
def under_another_name(path: Path, *, overwrite: bool) -> Iterator[Path]:
    """Give a name beside ``path`` to write to; rename it to ``path`` at the end.

    Raises:
        ArchiveError: ``path`` exists, and may not be overwritten.
    """
    if path.exists() and not overwrite:
        raise ArchiveError(f"{path} exists; pass overwrite=True, or give another path")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        yield temporary
        _sync(temporary)
        temporary.replace(path)
        _sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_rows(
    path: Path,
    columns: Sequence[Stored],
    batches: Iterable[Sequence[Sequence[Any]]],
    *,
    compression: str,
    about: Mapping[str, str],
) -> int:
    """Write batches of rows, each as one row group; the number of rows.

    Raises:
        ArchiveError: a value does not fit the type of its column.
    """
    import pyarrow.parquet as pq

    schema = _schema(columns, about)
    rows = 0
    with pq.ParquetWriter(path, schema, compression=compression) as writer:
        for batch in batches:
            writer.write_batch(_batch(batch, columns, schema), row_group_size=len(batch))
            rows += len(batch)
    return rows


def rows_in(path: Path) -> int:
    """The number of rows of a Parquet file, every row group read and decoded.

    Raises:
        ArchiveError: it cannot be read back.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            return sum(batch.num_rows for batch in file.iter_batches(batch_size=65_536))
    except pa.ArrowException as error:
        raise ArchiveError(f"{path} cannot be read back: {error}") from error


def _schema(columns: Sequence[Stored], about: Mapping[str, str]) -> pa.Schema:
    import pyarrow as pa

    return pa.schema(
        [
            pa.field(each.name, arrow_type(each.arrow), metadata={"sql_type": each.type})
            for each in columns
        ],
        metadata=dict(about),
    )


def _batch(
    rows: Sequence[Sequence[Any]], columns: Sequence[Stored], schema: pa.Schema
) -> pa.RecordBatch:
    import pyarrow as pa

    arrays = []
    for stored, field, values in zip(columns, schema, zip(*rows, strict=True), strict=True):
        try:
            arrays.append(_array(stored, field.type, values))
        except (pa.ArrowException, TypeError, OverflowError) as error:
            raise ArchiveError(
                f"column {stored.name!r} ({stored.type}) holds a value that Parquet's "
                f"{field.type} has no place for: {error}; pass as_text=[{stored.name!r}]"
            ) from error
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _array(stored: Stored, wanted: pa.DataType, values: Sequence[Any]) -> pa.Array:
    import pyarrow as pa

    if stored.reading == "typed" and stored.arrow == "string":
        values = [None if value is None else str(value) for value in values]
    if stored.reading not in ("days", "microseconds"):
        return pa.array(values, wanted)
    width = pa.int32() if stored.reading == "days" else pa.int64()
    return pa.array(values, width).cast(wanted)


def _sync(path: Path) -> None:
    """Have the file, or the names in a directory, written to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


__all__ = ["require_pyarrow", "rows_in", "under_another_name", "write_rows"]
