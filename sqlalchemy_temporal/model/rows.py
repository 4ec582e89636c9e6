"""All versions of the rows of one table: the current ones and the closed ones, as a union.

The branches carry no WHERE and equal types, so PostgreSQL flattens the union and pushes a
filter on the key into both: the live table is read by its primary key, history by
``(key…, temporal_end_tx_id)``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Subquery,
    Table,
    Text,
    cast,
    column,
    null,
    select,
    union_all,
)
from sqlalchemy.ext.compiler import compiles

from sqlalchemy_temporal.errors import UnsupportedReadError
from sqlalchemy_temporal.naming import END_COLUMN, OPERATION_COLUMN, TX_COLUMN
from sqlalchemy_temporal.reading.rows import AsStored, quoted
from sqlalchemy_temporal.schema import history_table


class LiveRows(AsStored):
    """A live table with its system column, read as it is, in a session of the past too.

    The system column is not on the application's Table, where every INSERT that names
    all columns would write it.
    """

    inherit_cache = True
    # A name of its own hides it from mappers, which would take it for a table to write to.
    __visit_name__ = "temporal_live_rows"


@compiles(LiveRows)
def _render(rows: LiveRows, compiler: Any, **kw: Any) -> str:
    renamed = compiler.schema_translate_map
    if renamed and rows.schema in renamed:
        raise UnsupportedReadError(
            f"schema_translate_map renames the schema of {rows.fullname!r}; its history is "
            "named after the schema declared, so versions cannot be read through it"
        )
    rendered: str = compiler.visit_table(rows, **kw)
    return rendered


@dataclass(frozen=True, slots=True)
class RowVersions:
    """Every version of every row of one table.

    Attributes:
        rows: the union of current and closed versions.
        columns: the live table's columns and what they are in ``rows``.
        tx: the transaction that wrote the version.
        end_tx: the transaction that ended it; NULL for the current version.
        operation: what ended it, as recorded; NULL for the current version.
    """

    rows: Subquery
    columns: Mapping[ColumnElement[Any], ColumnElement[Any]]
    tx: ColumnElement[Any]
    end_tx: ColumnElement[Any]
    operation: ColumnElement[Any]


def row_versions(table: Table) -> RowVersions:
    """Every version of every row of the versioned ``table``, current and closed.

    Excluded columns are NULL in every version, the current one too, so that two versions
    never differ by something that was not recorded.
    """
    history = history_table(table)
    kept = [each for each in table.c if each.key in history.c]
    lost = [each for each in table.c if each.key not in history.c]
    missing = [cast(null(), each.type).label(quoted(each.name)) for each in lost]
    live = LiveRows(
        quoted(table.name),
        *(column(quoted(each.name), each.type) for each in kept),
        column(TX_COLUMN, BigInteger),
        schema=table.schema,
    )
    rows = union_all(
        select(
            *(live.c[each.name] for each in kept),
            *missing,
            live.c[TX_COLUMN],
            cast(null(), BigInteger).label(END_COLUMN),
            cast(null(), Text).label(OPERATION_COLUMN),
        ),
        select(
            *(history.c[each.key] for each in kept),
            *missing,
            history.c[TX_COLUMN],
            history.c[END_COLUMN],
            history.c[OPERATION_COLUMN],
        ),
    ).subquery()
    found = list(rows.c)
    return RowVersions(
        rows=rows,
        columns=dict(zip([*kept, *lost], found[:-3], strict=True)),
        tx=found[-3],
        end_tx=found[-2],
        operation=found[-1],
    )


__all__ = ["LiveRows", "RowVersions", "row_versions"]
