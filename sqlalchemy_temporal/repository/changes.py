"""The query that finds which rows of one table differ between two points in time.

Visible transactions only grow from commit to commit, so of two points one is earlier. The
versions that tell are those at the boundaries of change: what stood at the earlier point
and had ended by the later one (*before*), and what began between them and stands at the
later one (*after*). Paired by key they are the changed rows; full states are never
compared.

*Before* is a range of the index ``(temporal_end_tx_id, temporal_tx_id)`` of history. *After*
is found in one of two ways:

``LOOKUP``
    By the keys of what ended. It finds all there is when no row came under a new key,
    which the counts of the commits between tell: no insert, no changed key. The live table is
    never scanned.
``NEWEST``
    The same, and also the rows from some key on, where new rows are when the database
    numbers them. Whether those are all, their number tells (:func:`new_rows`).
``SCAN``
    By a scan for versions that began between the two points. It is needed when rows were
    inserted, and is cheaper when a large part of the table changed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    SelectBase,
    and_,
    case,
    exists,
    false,
    func,
    literal_column,
    or_,
    select,
    true,
    union_all,
)

from sqlalchemy_temporal.naming import END_COLUMN, TX_COLUMN
from sqlalchemy_temporal.repository.compare import same
from sqlalchemy_temporal.repository.described import VersionedTable
from sqlalchemy_temporal.repository.sides import Side


class Way(Enum):
    """How the rows at the later point are found; see the module."""

    LOOKUP = "lookup"
    NEWEST = "newest"
    SCAN = "scan"


@dataclass(frozen=True, slots=True)
class ChangeQuery:
    """The changed rows of one table, as parts of a SELECT.

    Attributes:
        table: the table.
        key: an expression for each key column.
        before: for each recorded column, its value on the side asked from; where the row did
            not exist there, it means nothing.
        after: the same on the side asked to.
        had: whether the row existed on the side asked from.
        has: whether it exists on the side asked to.
        source: where they come from.
        where: what makes a row a changed one.
    """

    table: VersionedTable
    key: tuple[ColumnElement[Any], ...]
    before: tuple[ColumnElement[Any], ...]
    after: tuple[ColumnElement[Any], ...]
    had: ColumnElement[bool]
    has: ColumnElement[bool]
    source: FromClause
    where: ColumnElement[bool]

    def inverse(self) -> ChangeQuery:
        """The same changes, backwards."""
        return ChangeQuery(
            self.table,
            self.key,
            self.after,
            self.before,
            self.has,
            self.had,
            self.source,
            self.where,
        )

    @property
    def operation(self) -> ColumnElement[str]:
        """``INSERT``, ``UPDATE`` or ``DELETE``."""
        return case(
            (~self.had, literal_column("'INSERT'")),
            (~self.has, literal_column("'DELETE'")),
            else_=literal_column("'UPDATE'"),
        )

    @property
    def mask(self) -> ColumnElement[str]:
        """A string with a 1 for each recorded column that differs, a 0 for each other."""
        flags = [
            case((same([old], [new]), literal_column("'0'")), else_=literal_column("'1'"))
            for old, new in zip(self.before, self.after, strict=True)
        ]
        joined: ColumnElement[Any] = flags[0]
        for flag in flags[1:]:
            joined = joined.op("||")(flag)
        return joined

    def differing(self) -> list[ColumnElement[int]]:
        """For each recorded column 1 when it differs, else 0."""
        return [
            case((same([old], [new]), literal_column("0")), else_=literal_column("1"))
            for old, new in zip(self.before, self.after, strict=True)
        ]

    def select(self, *more: ColumnElement[Any]) -> Select[Any]:
        """A SELECT of ``more`` over the changed rows."""
        return select(*more).select_from(self.source).where(self.where)

    def ordered(self, *more: ColumnElement[Any]) -> Select[Any]:
        """The same in the order of the keys."""
        return self.select(*more).order_by(*self.key)

    def narrowed(self, condition: ColumnElement[bool]) -> ChangeQuery:
        """Those changes for which ``condition`` holds too."""
        return ChangeQuery(
            self.table,
            self.key,
            self.before,
            self.after,
            self.had,
            self.has,
            self.source,
            and_(self.where, condition),
        )


KeyFilter = Callable[[Sequence[ColumnElement[Any]]], ColumnElement[bool]]
"""Makes a condition of the key columns of whichever table is asked."""


def every_key(_: Sequence[ColumnElement[Any]]) -> ColumnElement[bool]:
    """All keys."""
    return true()


def changes(
    table: VersionedTable,
    earlier: Side,
    later: Side,
    way: Way,
    keys: KeyFilter = every_key,
    *,
    since: int = 0,
) -> ChangeQuery:
    """The rows of ``table`` that differ between two points in time.

    Parameters:
        table: a versioned table that is known on both sides.
        earlier: the earlier side; it is the ``before``.
        later: the later side.
        way: how to find the rows of the later side; :attr:`Way.LOOKUP` is exact only when
            no key is new there.
        keys: which keys to look at.
        since: for :attr:`Way.NEWEST`, the smallest key that is new.
    """
    ended = _ended(table, earlier, later, keys)
    if way is Way.LOOKUP:
        return _by_lookup(table, ended, later)
    if way is Way.NEWEST:
        (key,) = table.key
        new = [
            only_own(table, select(*_columns(table, rows), false().label("stood")), rows).where(
                rows.c[key] >= since, *conditions, keys(_key_of(table, rows))
            )
            for rows, conditions in _new(table, earlier, later)
        ]
        return _by_lookup(table, ended.union_all(*new), later)
    return _by_scan(table, ended, earlier, later, keys)


def new_rows(table: VersionedTable, earlier: Side, later: Side, largest: int) -> Select[Any]:
    """A SELECT of how many rows are new, as far as can be told quickly, and their least key.

    When as many are as were inserted between the two points, there are no others.

    Parameters:
        table: a table with one key column.
        earlier: the earlier side.
        later: the later side.
        largest: how many live rows to look at, those with the largest keys.
    """
    (key,) = table.key
    (live, _), *past = _new(table, earlier, later)
    top = select(live.c[key], live.c[TX_COLUMN]).order_by(live.c[key].desc()).limit(largest)
    found = top.subquery("top")
    parts = [select(found.c[key].label("key")).where(*_began(found, earlier, later))]
    parts += [select(rows.c[key].label("key")).where(*conditions) for rows, conditions in past]
    each, h = union_all(*parts).subquery("each"), table.history.alias("before")
    stood = exists().where(
        h.c[key] == each.c.key,
        earlier.ended_later(h.c[END_COLUMN]),
        earlier.sees(h.c[TX_COLUMN]),
    )
    statement: Select[Any] = select(*[func.count(), func.min(each.c.key)])
    return statement.where(~stood)


def _new(
    table: VersionedTable, earlier: Side, later: Side
) -> list[tuple[FromClause, list[ColumnElement[bool]]]]:
    """Where rows of the later side are that began since the earlier one, and which."""
    live, h = table.stored.alias("new"), table.history.alias("replaced")
    found: list[tuple[FromClause, list[ColumnElement[bool]]]]
    found = [(live, _began(live, earlier, later))]
    if later.bounds is not None:
        past = [later.ended_later(h.c[END_COLUMN]), *_began(h, earlier, later)]
        found.append((h, past))
    return found


def _began(source: FromClause, earlier: Side, later: Side) -> list[ColumnElement[bool]]:
    start = source.c[TX_COLUMN]
    return [earlier.began_later(start), later.sees(start)]


def only_own(table: VersionedTable, statement: Select[Any], source: FromClause) -> Select[Any]:
    """Leave out the members of an inheritance tree, which are tables of their own."""
    if table.kind != "inherited":
        return statement
    return statement.with_hint(source, "ONLY", "postgresql")


def _columns(table: VersionedTable, source: FromClause) -> list[ColumnElement[Any]]:
    return [source.c[name].label(f"v{i}") for i, name in enumerate(table.columns)]


def _key_of(table: VersionedTable, source: FromClause) -> list[ColumnElement[Any]]:
    return [source.c[name] for name in table.key]


def _places(table: VersionedTable) -> list[str]:
    """The labels of the key columns."""
    return [f"v{table.columns.index(name)}" for name in table.key]


def _ended(table: VersionedTable, earlier: Side, later: Side, keys: KeyFilter) -> Select[Any]:
    """The versions that ended between the two points; ``stood`` when they began before."""
    h = table.history.alias("h")
    start, end = h.c[TX_COLUMN], h.c[END_COLUMN]
    conditions = [earlier.ended_later(end), later.ended_already(end), keys(_key_of(table, h))]
    stood = earlier.sees(start).label("stood")
    return only_own(table, select(*_columns(table, h), stood).where(*conditions), h)


def _by_lookup(table: VersionedTable, ended: SelectBase, later: Side) -> ChangeQuery:
    """One row for each key, the one that stood if there is one, and what it is later.

    Picked in one pass: joining the keys with what stood would be planned for as few rows as
    the statistics know of recent transactions, which is none, and be run for many.
    """
    found, places = ended.subquery("e"), _places(table)
    first = func.row_number().over(
        partition_by=[found.c[p] for p in places], order_by=found.c.stood.desc()
    )
    numbered = select(*found.c, first.label("place")).subquery("n")
    b = select(*numbered.c).where(numbered.c.place == literal_column("1")).subquery("b")
    live = table.stored.alias("l")

    def on(source: FromClause, names: Sequence[str]) -> list[ColumnElement[bool]]:
        return [source.c[name] == b.c[p] for name, p in zip(names, places, strict=True)]

    now = live
    if table.kind == "inherited":
        inner = table.stored.alias("o")
        now = only_own(table, select(*inner.c), inner).subquery("l")
    started = now.c[TX_COLUMN]
    source: Any = b.outerjoin(now, and_(*on(now, table.key), later.sees(started)))
    after: list[ColumnElement[Any]] = [now.c[name] for name in table.columns]
    has: ColumnElement[bool] = started.is_not(None)
    if later.bounds is not None:
        h = table.history.alias("s")
        past: Any = h
        if table.kind == "inherited":
            past = only_own(table, select(*h.c), h).subquery("s")
        begin, end = past.c[TX_COLUMN], past.c[END_COLUMN]
        stands = and_(*on(past, table.key), later.sees(begin), later.ended_later(end))
        source = source.outerjoin(past, stands)
        after = [
            case((started.is_not(None), now.c[name]), else_=past.c[name]) for name in table.columns
        ]
        has = or_(has, begin.is_not(None))
    had = b.c.stood == true()
    old = tuple(b.c[f"v{i}"] for i in range(len(table.columns)))
    return ChangeQuery(
        table=table,
        key=tuple(b.c[p] for p in places),
        before=old,
        after=tuple(after),
        had=had,
        has=has,
        source=source,
        where=differ(old, after, had, has),
    )


def _by_scan(
    table: VersionedTable, ended: Select[Any], earlier: Side, later: Side, keys: KeyFilter
) -> ChangeQuery:
    places = _places(table)
    found = ended.subquery("e")
    before = select(*found.c).where(found.c.stood).subquery("b")
    after = _begun(table, earlier, later, keys).subquery("a")
    pairs = [before.c[p] == after.c[p] for p in places]
    source = before.join(after, and_(*pairs), full=True)
    old, new = (
        tuple(side.c[f"v{i}"] for i in range(len(table.columns))) for side in (before, after)
    )
    had, has = before.c.stood.is_not(None), after.c.stands.is_not(None)
    return ChangeQuery(
        table=table,
        key=tuple(func.coalesce(before.c[p], after.c[p]) for p in places),
        before=old,
        after=new,
        had=had,
        has=has,
        source=source,
        where=differ(old, new, had, has),
    )


def _begun(table: VersionedTable, earlier: Side, later: Side, keys: KeyFilter) -> Any:
    """The versions that began between the two points and stand at the later one."""
    live = table.stored.alias("l")
    start = live.c[TX_COLUMN]
    stands: ColumnElement[int] = literal_column("1").label("stands")
    begun = [earlier.began_later(start), later.sees(start), keys(_key_of(table, live))]
    present = only_own(table, select(*_columns(table, live), stands).where(*begun), live)
    if later.bounds is None:
        return present
    h = table.history.alias("s")
    start, end = h.c[TX_COLUMN], h.c[END_COLUMN]
    conditions = [
        later.ended_later(end),
        earlier.began_later(start),
        later.sees(start),
        keys(_key_of(table, h)),
    ]
    past = only_own(table, select(*_columns(table, h), stands).where(*conditions), h)
    return present.union_all(past)


def differ(
    before: Sequence[ColumnElement[Any]],
    after: Sequence[ColumnElement[Any]],
    had: ColumnElement[bool],
    has: ColumnElement[bool],
) -> ColumnElement[bool]:
    """Whether the row is not the same on both sides."""
    return and_(or_(had, has), or_(~had, ~has, ~same(before, after)))


__all__ = [
    "ChangeQuery",
    "KeyFilter",
    "Way",
    "changes",
    "differ",
    "every_key",
    "new_rows",
    "only_own",
]
