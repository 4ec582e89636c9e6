"""The SELECT that yields the rows of one table as of a moment.

The rows of a moment are the live rows written by a visible transaction and the closed
versions whose start is visible and whose end is not. Three forms of SQL say so. All of
them are exact; they differ in what the planner can do with them (measured on PostgreSQL 15
with 200,000 rows of 10 versions each, as multiples of the same question to the live table).

``rows`` (the default)
    One filter outside of a plain union. PostgreSQL flattens a union only when its branches
    carry no WHERE; then joins reach the indexes of both branches: 1,000 parents and their
    children ×1.0–1.4 of the live tables (with the filter inside ×3–4, and a row with its
    parent ×35).

``key``
    For a row asked for by its primary key. History is read in the order of ``(key, end)``
    from ``lo`` on and left at the first version that stands, so a row with 10,000 versions
    costs as much as one with ten: ×1.1–1.5, where ``rows`` takes up to ×7.

``table``
    The filter inside both branches. For joins of whole tables, where there is nothing to
    push down: ×2.6, where ``rows`` takes ×4–8, as the planner then joins four pairs of
    branches.

In all of them ``end >= lo`` comes first. It follows from "the end is not visible", but
only it can be answered by an index, as the list of ids in flight cannot. In PostgreSQL,
``rows`` and ``table`` also say that the version's block of ids is one of the moment's, which
follows too (:mod:`sqlalchemy_temporal.ddl.blocks`): by the index of blocks, whole tables and
joins cost the same however many versions there are, where ``end >= lo`` alone has half of
history read for a moment in its middle. Whether that index or one of the table's own is
better, the planner decides, by the statistics it keeps of blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Label,
    Select,
    SelectBase,
    Table,
    and_,
    case,
    cast,
    column,
    false,
    literal_column,
    null,
    or_,
    select,
    true,
)

from sqlalchemy_temporal.ddl.blocks import BLOCK, PRESENT
from sqlalchemy_temporal.naming import END_COLUMN, TX_COLUMN
from sqlalchemy_temporal.reading.dialects.rules import BIGGEST_ID, Rules
from sqlalchemy_temporal.reading.option import Bounds
from sqlalchemy_temporal.schema import history_table, recorded_columns
from sqlalchemy_temporal.stored import HistoryRows, LiveRows, history_rows, live_rows, quoted


class Form(Enum):
    """The form of SQL that reads a table as of a moment."""

    ROWS = "rows"
    KEY = "key"
    TABLE = "table"


def rows_as_of(
    table: Table,
    bounds: Bounds,
    rules: Rules,
    *,
    form: Form = Form.ROWS,
    key: Sequence[ColumnElement[bool]] = (),
) -> SelectBase:
    """The rows of ``table`` as of a moment, with its columns under their own names.

    Columns that are excluded from history read as NULL of their type: their value at the
    moment is not known, and the present one would not be an answer.

    Parameters:
        table: a versioned table.
        bounds: the moment.
        rules: what the database needs.
        form: see the module.
        key: for :attr:`Form.KEY`, an equality for every column of the primary key, in
            which the column has its name only.
    """
    recorded = {c.name for c in recorded_columns(table)}
    columns = [_output(c, recorded=c.name in recorded) for c in table.columns]
    live = live_rows(table)
    history = history_rows(table)
    if history_table(table).fullname in bounds.closed:
        # The live table has no system column now; what it has now was never recorded.
        closed = select(*columns).select_from(history)
        standing = _standing(_id(TX_COLUMN), _id(END_COLUMN), bounds, rules)
        return closed.where(*_in_block(rules.block, bounds, rules), *standing)
    if form is Form.ROWS:
        return _filter_outside(columns, live, history, bounds, rules)
    start, end = _id(TX_COLUMN), _id(END_COLUMN)
    present = select(*columns).select_from(live)
    present = present.where(*key, visible(start, bounds, rules))
    past = select(*columns).select_from(history)
    standing = _standing(start, end, bounds, rules)
    if form is Form.TABLE:
        return present.union_all(past.where(*_in_block(rules.block, bounds, rules), *standing))
    # Versions of one key follow each other, so at most one of them stands at a moment: the
    # limit changes no answer, it only ends the search. It must not end it at the first end
    # greater than some id, because ids do not order commits. The CASE hides from the planner
    # how few versions stand; it would rather read them all and sort than go by the index.
    found = case((and_(*standing[1:]), true()), else_=false())
    first = past.where(*key, standing[0], found).order_by(end).limit(literal_column("1"))
    newest = first.subquery("v")
    outer: list[ColumnElement[Any]] = [column(quoted(c.name)) for c in columns]
    return present.union_all(select(*outer).select_from(newest))


def visible(tx: ColumnElement[int], bounds: Bounds, rules: Rules) -> ColumnElement[bool]:
    """Whether the changes of transaction ``tx`` are visible at the moment."""
    return and_(tx <= bounds.hi, rules.not_in_flight(tx, bounds.inflight))


def not_visible(tx: ColumnElement[int], bounds: Bounds, rules: Rules) -> ColumnElement[bool]:
    """Whether the changes of transaction ``tx`` are not visible at the moment."""
    return or_(tx > bounds.hi, rules.in_flight(tx, bounds.inflight))


def _filter_outside(
    columns: Sequence[Label[Any] | ColumnElement[Any]],
    live: LiveRows,
    history: HistoryRows,
    bounds: Bounds,
    rules: Rules,
) -> Select[Any]:
    start, end = _id(TX_COLUMN), _id(END_COLUMN)
    # A constant of the same type as the other branch's column: a cast there would keep
    # PostgreSQL from flattening the union.
    never = cast(literal_column(str(BIGGEST_ID)), BigInteger).label(END_COLUMN)
    standing = _standing(start, end, bounds, rules)
    now: list[ColumnElement[Any]] = [*columns, start, never]
    past: list[ColumnElement[Any]] = [*columns, start, end]
    if rules.block is not None:
        now.append(cast(literal_column(str(PRESENT)), BigInteger).label(BLOCK))
        past.append(rules.block.label(BLOCK))
        standing = (*_in_block(_id(BLOCK), bounds, rules), *standing)
    versions = (
        select(*now).select_from(live).union_all(select(*past).select_from(history)).subquery("v")
    )
    outer: list[ColumnElement[Any]] = [column(quoted(c.name)) for c in columns]
    return select(*outer).select_from(versions).where(*standing)


def _in_block(
    block: ColumnElement[int] | None, bounds: Bounds, rules: Rules
) -> tuple[ColumnElement[bool], ...]:
    return () if block is None else (rules.in_block(block, bounds.blocks),)


def _standing(
    start: ColumnElement[int], end: ColumnElement[int], bounds: Bounds, rules: Rules
) -> tuple[ColumnElement[bool], ...]:
    return (
        end >= bounds.lo,
        visible(start, bounds, rules),
        not_visible(end, bounds, rules),
    )


def _output(source: Column[Any], *, recorded: bool) -> Any:
    name = quoted(source.name)
    if recorded:
        # Without a type, as no conversion is due here: the enclosing SELECT does it.
        return column(name)
    return cast(null(), source.type).label(name)


def _id(name: str) -> ColumnElement[int]:
    return column(name, BigInteger)


__all__ = ["Form", "not_visible", "rows_as_of", "visible"]
