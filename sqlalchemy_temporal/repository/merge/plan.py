"""The plan of a merge: for each table one query that says what becomes of each row.

Only rows that theirs changed since a base are looked at: what ours changed alone is in the
live tables already. Each row is put side by side as it is in the base, in ours (the live
table) and in theirs, and merged by the server; nothing is fetched but conflicts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlalchemy import (
    FromClause,
    Select,
    Subquery,
    and_,
    cast,
    func,
    not_,
    or_,
    select,
    union,
)
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.types import Text

from sqlalchemy_temporal.clock.moment import Moment
from sqlalchemy_temporal.naming import END_COLUMN, TX_COLUMN
from sqlalchemy_temporal.reading.as_of import as_of
from sqlalchemy_temporal.repository.catalog import load_tables
from sqlalchemy_temporal.repository.changes import ChangeQuery
from sqlalchemy_temporal.repository.compare import same
from sqlalchemy_temporal.repository.comparing import compare
from sqlalchemy_temporal.repository.described import VersionedTable
from sqlalchemy_temporal.repository.merge.bases import Base, direct_points
from sqlalchemy_temporal.repository.merge.equality import equality
from sqlalchemy_temporal.repository.merge.outcome import outcome
from sqlalchemy_temporal.repository.merge.question import Question
from sqlalchemy_temporal.repository.merge.rows import Columns, Flag, RowAt, SideBySide
from sqlalchemy_temporal.repository.merge.unrecorded import mergeable
from sqlalchemy_temporal.repository.sides import side_of


@dataclass(frozen=True)
class TableMerge:
    """The merge of one table.

    Attributes:
        table: the table.
        columns: its columns that are merged.
        rows: a query with a row for each row that theirs changed: its key (``k0``, …), its
            cells in the base, ours, theirs and merged (``b0``, ``o0``, ``t0``, ``m0``, …),
            whether they are disputed (``d0``, …), whether the row stands in each (``b``,
            ``o``, ``t``, ``m``), the kind of conflict or NULL, the values of columns the
            database computes (``g0``, …), and the key as text.
    """

    table: VersionedTable
    columns: Columns
    rows: Subquery

    @property
    def key(self) -> tuple[ColumnElement[Any], ...]:
        """The key of a row."""
        return tuple(self.rows.c[f"k{i}"] for i in range(len(self.table.key)))

    def cells(self, side: str) -> tuple[ColumnElement[Any], ...]:
        """The cells of one side: b for the base, o ours, t theirs, m merged."""
        return tuple(self.rows.c[f"{side}{i}"] for i in range(len(self.columns.names)))

    @cached_property
    def differs(self) -> Flag:
        """Whether the merged row is another one than ours."""
        return self.other_than_ours(self.cells("m"), self.rows.c.m)

    def other_than_ours(self, cells: Sequence[ColumnElement[Any]], stands: Flag) -> Flag:
        """Whether a row with these cells is another one than ours."""
        ours = self.rows.c.o
        changed: Flag = not_(same(self.cells("o"), cells)) if cells else ours.is_(None)
        return or_(ours != stands, and_(ours, stands, changed))

    def changes(
        self,
        cells: Sequence[ColumnElement[Any]] | None = None,
        stands: Flag | None = None,
        *,
        source: FromClause | None = None,
        where: Flag | None = None,
    ) -> ChangeQuery:
        """What to change in the live table.

        Parameters:
            cells: the new cells; those merged without conflict by default.
            stands: whether the row is to be there.
            source: the rows, joined with what ``cells`` come from.
            where: which rows; those without a conflict by default.
        """
        new = self.cells("m") if cells is None else tuple(cells)
        has: Flag = self.rows.c.m if stands is None else stands
        chosen: Flag = self.rows.c.kind.is_(None) if where is None else where
        return ChangeQuery(
            table=self.table,
            key=self.key,
            before=self._row(self.cells("o")),
            after=self._row(new),
            had=self.rows.c.o,
            has=has,
            source=self.rows if source is None else source,
            where=and_(chosen, self.other_than_ours(new, has)),
        )

    def conflicts(self) -> Select[Any]:
        """The rows in conflict, in the order of their keys."""
        rows = self.rows
        return select(rows).where(rows.c.kind.is_not(None)).order_by(*self.key)

    def _row(self, cells: Sequence[ColumnElement[Any]]) -> tuple[ColumnElement[Any], ...]:
        """Cells as the table's recorded columns, with the key and what is computed."""
        by_name: dict[str, ColumnElement[Any]] = dict(zip(self.columns.names, cells, strict=True))
        by_name |= dict(zip(self.table.key, self.key, strict=True))
        by_name |= {name: self.rows.c[f"g{i}"] for i, name in enumerate(_computed(self.table))}
        return tuple(by_name[name] for name in self.table.columns)


@dataclass(frozen=True, slots=True)
class Planned:
    """A merge that is thought out.

    Attributes:
        merges: the merges of the tables that theirs changed, parents before children.
        tables: the names of all tables that were looked at.
        unknown: tables left as they are because theirs says nothing about them, and why.
    """

    merges: list[TableMerge]
    tables: frozenset[str]
    unknown: dict[str, str]


def plan(question: Question, base: Base) -> Planned:
    """The merges of all tables that theirs changed, or of those wanted.

    Raises:
        MomentError: a commit cannot be read.
        UnrecordedMomentError: a table that theirs changed cannot be merged, as the base,
            theirs or the present is not recorded.
    """
    keys: dict[str, list[Select[Any]]] = {}
    tables: dict[str, VersionedTable] = {}
    points = direct_points(base)
    connection, schema = question.connection, question.tables.schema
    wanted = load_tables(connection, schema, question.only, disabled=True)
    can = mergeable(question, wanted, points)
    for point in points:
        before = question.moment_at(point)
        diff = compare(connection, schema, before, question.theirs, described=can.tables)
        for query in diff.queries():
            table = query.table
            tables[table.name] = table
            found = [query.select(*_labelled(query.key))]
            if len(points) > 1:
                found = _written(question, table, before)
            keys.setdefault(table.name, []).extend(found)
    if not points:
        for table in can.tables:
            past = as_of(table.live, question.theirs)
            tables[table.name] = table
            keys[table.name] = [select(*_labelled([past.c[name] for name in table.key]))]
    ordered = sorted(tables.values(), key=lambda table: table.position)
    merges = [_merge(question, base, table, keys[table.name]) for table in ordered]
    return Planned(merges, frozenset(each.name for each in can.tables), can.unknown)


def _written(question: Question, table: VersionedTable, base: Moment) -> list[Select[Any]]:
    """The keys of rows written between a base and theirs, changed in the end or not.

    Where there are several bases: the queries of several differences, which have names for
    their parts, cannot stand in one statement.
    """
    dialect = question.connection.dialect
    before, after = side_of(base, dialect), side_of(question.theirs, dialect)
    stored, history = table.stored, table.history

    def between(tx: ColumnElement[Any]) -> Flag:
        return and_(before.misses(tx), after.sees(tx))

    def key(source: FromClause) -> Select[Any]:
        return select(*_labelled([source.c[name] for name in table.key]))

    began, ended = history.c[TX_COLUMN], history.c[END_COLUMN]
    return [
        key(stored).where(between(stored.c[TX_COLUMN])),
        key(history).where(before.ended_later(ended), or_(between(began), after.sees(ended))),
    ]


def _labelled(key: Sequence[ColumnElement[Any]]) -> list[ColumnElement[Any]]:
    return [column.label(f"k{i}") for i, column in enumerate(key)]


def _merge(
    question: Question, base: Base, table: VersionedTable, keys: Sequence[Select[Any]]
) -> TableMerge:
    dialect = question.connection.dialect.name
    columns = Columns(
        table, table.values, tuple(equality(table, name, dialect) for name in table.values)
    )
    every = keys[0] if len(keys) == 1 else union(*keys)
    rows = SideBySide(columns, every.cte("changed_keys"), question.moment_at)
    before = rows.base(base)
    ours, live = rows.live()
    theirs, past = rows.past(question.theirs)
    merged = outcome(columns, before, ours, theirs, strict=question.strict)

    def computed(name: str) -> ColumnElement[Any]:
        return func.coalesce(live.c[name], past.c[name])

    query = select(
        *_labelled(rows.key),
        *(_numbered("b", before)),
        *(_numbered("o", ours)),
        *(_numbered("t", theirs)),
        *(_numbered("m", RowAt(merged.stands, merged.cells, (), merged.stands))),
        *(flag.label(f"d{i}") for i, flag in enumerate(merged.disputed)),
        *(computed(name).label(f"g{i}") for i, name in enumerate(_computed(table))),
        merged.kind.label("kind"),
        key_text(rows.key, dialect).label("key_text"),
    ).select_from(rows.source)
    return TableMerge(table, columns, query.subquery("merged"))


def _numbered(letter: str, row: RowAt) -> list[ColumnElement[Any]]:
    cells = [cell.label(f"{letter}{i}") for i, cell in enumerate(row.cells)]
    return [row.stands.label(letter), *cells]


def _computed(table: VersionedTable) -> list[str]:
    return [name for name in table.columns if name in table.generated and name not in table.key]


def key_text(key: Sequence[ColumnElement[Any]], dialect: str) -> ColumnElement[Any]:
    """A key as one text, by which a conflict is found again."""
    if dialect == "postgresql":
        return cast(func.jsonb_build_array(*key), Text)
    text: ColumnElement[Any] = func.quote(key[0])
    for part in key[1:]:
        text = text.op("||")(",").op("||")(func.quote(part))
    return text


__all__ = ["Planned", "TableMerge", "key_text", "plan"]
