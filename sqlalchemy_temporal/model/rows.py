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
    null,
    select,
    union_all,
)

from sqlalchemy_temporal.naming import END_COLUMN, OPERATION_COLUMN, TX_COLUMN
from sqlalchemy_temporal.schema import recorded_columns
from sqlalchemy_temporal.stored import history_rows, live_rows, quoted


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
    live, history = live_rows(table), history_rows(table)
    recorded = {column.name for column in recorded_columns(table)}
    kept = [each for each in table.c if each.name in recorded]
    lost = [each for each in table.c if each.name not in recorded]
    missing = [cast(null(), each.type).label(quoted(each.name)) for each in lost]
    rows = union_all(
        select(
            *(live.c[each.name] for each in kept),
            *missing,
            live.c[TX_COLUMN],
            cast(null(), BigInteger).label(END_COLUMN),
            cast(null(), Text).label(OPERATION_COLUMN),
        ),
        select(
            *(history.c[each.name] for each in kept),
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


__all__ = ["RowVersions", "row_versions"]
