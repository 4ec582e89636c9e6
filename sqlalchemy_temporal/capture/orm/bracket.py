"""Recording around statements of the library itself, whose rows it knows beforehand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection

from sqlalchemy_temporal.capture.orm.listen import recorder_of
from sqlalchemy_temporal.capture.orm.recorder import Key
from sqlalchemy_temporal.capture.orm.sqlite import SQLiteRecorder
from sqlalchemy_temporal.capture.orm.state import TableName
from sqlalchemy_temporal.capture.orm.work import Changed, Rows


@dataclass(frozen=True, slots=True)
class Writes:
    """The keys of rows of one table that are about to be written; keys stay as they are."""

    table: TableName
    updated: Sequence[Key]
    deleted: Sequence[Key]
    inserted: Sequence[Key]


@contextmanager
def recording(connection: Connection, writes: Sequence[Writes]) -> Iterator[None]:
    """Record what the block writes, of tables that are captured by the ORM.

    The statements in the block carry the execution option ``OURS``.
    """
    work = Changed()
    known = [(each, recorder_of(connection, each.table)) for each in writes]
    for each, recorder in known:
        if recorder is None:
            continue
        recorder.take_id(connection)
        key = recorder.spec.key
        found = recorder.find(connection, key, each.updated)
        work.updated.append(Rows.close(connection, recorder, found, "UPDATE"))
        found = recorder.find(connection, key, each.deleted, keys_stay=False)
        work.deleted.append(Rows.close(connection, recorder, found, "DELETE"))
    yield
    work.finish(connection, None)
    for each, recorder in known:
        if recorder is not None and each.inserted:
            if isinstance(recorder, SQLiteRecorder):
                recorder.adopt(connection, None, each.inserted)
            recorder.note(connection, insert=len(each.inserted))


__all__ = ["Writes", "recording"]
