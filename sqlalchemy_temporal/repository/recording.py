"""Recording what an operation writes to tables that no trigger records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import Connection, select, type_coerce
from sqlalchemy.types import NullType

from sqlalchemy_temporal.capture.orm.bracket import Writes, recording
from sqlalchemy_temporal.repository.staging import DELETE, INSERT, UPDATE, Staged
from sqlalchemy_temporal.schema import options_of


@contextmanager
def recorded(connection: Connection, staged: Sequence[Staged]) -> Iterator[None]:
    """Record the staged rows, which the block writes, where the ORM captures their table."""
    own = [each for each in staged if _captured_by_orm(each)]
    with recording(connection, [_writes(connection, each) for each in own]):
        yield


def _captured_by_orm(staged: Staged) -> bool:
    options = options_of(staged.table.live)
    return options is not None and options.capture == "orm"


def _writes(connection: Connection, staged: Staged) -> Writes:
    table, stage = staged.table, staged.stage
    key = [type_coerce(column, NullType()) for column in staged.values(table.key)]
    rows: dict[str, list[tuple[object, ...]]] = {UPDATE: [], DELETE: [], INSERT: []}
    for operation, *values in connection.execute(select(stage.c.op, *key)):
        rows[operation].append(tuple(values))
    name = (table.schema, table.table_name)
    return Writes(name, rows[UPDATE], rows[DELETE], rows[INSERT])


__all__ = ["recorded"]
