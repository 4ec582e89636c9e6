"""Ask for a difference: what is compared, and which tables and rows of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, Connection, and_, or_, tuple_
from sqlalchemy.sql.visitors import replacement_traverse

from sqlalchemy_temporal.clock.moment import Moment
from sqlalchemy_temporal.clock.resolve import When, resolve
from sqlalchemy_temporal.errors import ConfigurationError, MomentError, UnrecordedMomentError
from sqlalchemy_temporal.reading.refusal import check_known
from sqlalchemy_temporal.repository.catalog import Entity, choose, load_tables
from sqlalchemy_temporal.repository.changes import ChangeQuery, KeyFilter, every_key
from sqlalchemy_temporal.repository.described import VersionedTable
from sqlalchemy_temporal.repository.diff import Diff
from sqlalchemy_temporal.repository.spans import span

_MAX_KEYS: Final = 1000
"""Keys in one list, well below every driver's limit of parameters."""


def compare(
    connection: Connection,
    schema: str,
    start: When,
    end: When | None,
    tables: Sequence[Entity] = (),
    *,
    keys: Iterable[Any] | None = None,
    where: ColumnElement[bool] | None = None,
    described: Sequence[VersionedTable] | None = None,
) -> Diff:
    """What differs between two points in time.

    Parameters:
        connection: where to read.
        schema: the schema of the library's own tables.
        start: the first side.
        end: the second side; None for the live tables as this transaction sees them.
        tables: only these; nothing for all that both sides know.
        keys: only rows with these keys (values, or tuples for composite keys); for one table.
        where: only rows for which this condition on columns of one table holds, on either
            side.
        described: every versioned table, when they were loaded already.

    Raises:
        MomentError: a side names no point in time.
        UnrecordedMomentError: a table given in ``tables`` is not known on both sides.
        ConfigurationError: a table is not versioned, or keys are given for several tables.
    """
    first = resolve(connection, start, schema)
    second = None if end is None else resolve(connection, end, schema)
    # A disabled table has a past, and no recorded present.
    if described is None:
        chosen = load_tables(connection, schema, tables, disabled=second is not None)
    else:
        chosen = choose(connection, described, tables)
    known, unknown = _known(chosen, [m for m in (first, second) if m], explicit=bool(tables))
    if second is None and not tables and first.closed:
        unknown |= _disabled(connection, schema, first)
    if keys is not None and len(known) != 1:
        raise ConfigurationError("keys= needs exactly one table to look for them in")
    backwards = second is not None and second.seq < first.seq
    begin, later = (second, first) if second is not None and backwards else (first, second)
    return Diff(
        connection=connection,
        start=first,
        end=second,
        tables=tuple(known),
        span=span(connection, begin, later),
        unknown=unknown,
        filters=(every_key,) if keys is None else _key_filters(known[0], keys),
        where=_same if where is None else lambda query: _matching(query, where),
    )


def split_range(start: When, end: When | None) -> tuple[When, When]:
    """The two sides of ``"a..b"``, or those given; what is left out is HEAD.

    Raises:
        MomentError: a range together with a second side, or a range of three dots.
    """
    if not isinstance(start, str) or ".." not in start:
        return start, "HEAD" if end is None else end
    left, _, right = start.partition("..")
    if end is not None or right.startswith(".") or ".." in right:
        raise MomentError(f"{start!r} is not a range of two revisions, as in 'v1..v2'")
    return left or "HEAD", right or "HEAD"


def _known(
    tables: Sequence[VersionedTable], moments: Sequence[Moment], *, explicit: bool
) -> tuple[list[VersionedTable], dict[str, str]]:
    known, unknown = [], {}
    for table in tables:
        try:
            for moment in moments:
                check_known(table.live, moment)
        except UnrecordedMomentError as error:
            if explicit:
                raise
            unknown[table.name] = str(error)
        else:
            known.append(table)
    return known, unknown


def _disabled(connection: Connection, schema: str, moment: Moment) -> dict[str, str]:
    """The tables that are recorded at ``moment`` and not at present, and why."""
    found = {}
    for table in load_tables(connection, schema, disabled=True):
        if table.disabled_tx_id is None:
            continue
        why = "its versioning is disabled at present, so it is not compared and not changed"
        try:
            check_known(table.live, moment)
        except UnrecordedMomentError as error:
            why = str(error)
        found[table.name] = why
    return found


def _same(query: ChangeQuery) -> ChangeQuery:
    return query


def _key_filters(table: VersionedTable, keys: Iterable[Any]) -> tuple[KeyFilter, ...]:
    listed = [key if isinstance(key, tuple) else (key,) for key in keys]
    for key in listed:
        if len(key) != len(table.key):
            raise ConfigurationError(
                f"{key!r} is not a key of {table.name}: it has the columns {', '.join(table.key)}"
            )
    parts = [listed[i : i + _MAX_KEYS] for i in range(0, len(listed), _MAX_KEYS)]
    return tuple(_one_of(part) for part in parts)


def _one_of(keys: Sequence[tuple[Any, ...]]) -> KeyFilter:
    def condition(columns: Sequence[ColumnElement[Any]]) -> ColumnElement[bool]:
        if len(columns) == 1:
            return columns[0].in_([key[0] for key in keys])
        return tuple_(*columns).in_(keys)

    return condition


def _matching(query: ChangeQuery, where: ColumnElement[bool]) -> ChangeQuery:
    """Only the changes of rows that ``where`` holds for on either side."""
    before = dict(zip(query.table.columns, query.before, strict=True))
    after = dict(zip(query.table.columns, query.after, strict=True))
    return query.narrowed(
        or_(
            and_(query.had, adapted(where, query.table, before)),
            and_(query.has, adapted(where, query.table, after)),
        )
    )


def adapted(
    where: ColumnElement[bool], table: VersionedTable, values: dict[str, ColumnElement[Any]]
) -> ColumnElement[bool]:
    """``where``, said of ``values`` instead of the columns of a table.

    Raises:
        ConfigurationError: it names a column that is not recorded, or of another table.
    """

    def replace(element: Any, **_: Any) -> Any:
        if not isinstance(element, Column):
            return None
        if element.name not in values or element.table.name != table.table_name:
            raise ConfigurationError(
                f"where= names {element}, which is not a recorded column of {table.name}"
            )
        return values[element.name]

    found: ColumnElement[bool] = replacement_traverse(where, {}, replace)
    return found


__all__ = ["adapted", "compare", "split_range"]
