"""What follows from planned changes through foreign keys and other constraints.

Rows that the database would delete or change along with a deleted parent are added to the
plan, so that the preview has them. What a constraint forbids is found before anything is
written, and told with the rows concerned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    FromClause,
    MetaData,
    Select,
    Table,
    and_,
    exists,
    func,
    literal,
    literal_column,
    null,
    or_,
    select,
)

from sqlalchemy_temporal.repository.compare import same
from sqlalchemy_temporal.repository.described import ForeignKeyInfo, VersionedTable
from sqlalchemy_temporal.repository.facts_sqlite import enforces_foreign_keys
from sqlalchemy_temporal.repository.staging import (
    DELETE,
    UPDATE,
    Staged,
    add_rows,
    create_stage,
    live,
)
from sqlalchemy_temporal.repository.violations import Violation

_SAMPLE: Final = 100
"""Rows named for each violated constraint."""


class Consequences:
    """The planned rows of all tables, and what follows from them.

    Parameters:
        connection: where the tables are.
        tables: every versioned table, by name.
        staged: the planned rows, by table; cascades are added here.
    """

    def __init__(
        self,
        connection: Connection,
        tables: Mapping[str, VersionedTable],
        staged: dict[str, Staged],
    ) -> None:
        self.connection = connection
        self.tables = tables
        self.staged = staged
        self.enforced = connection.dialect.name != "sqlite" or enforces_foreign_keys(connection)

    # --------------------------------------------------------------------------- cascades

    def add_cascades(self) -> None:
        """Plan what the database would do to rows that refer to deleted ones."""
        waiting = [staged.table.name for staged in self.staged.values()] if self.enforced else []
        while waiting:
            parent = self.staged[waiting.pop(0)]
            waiting += [
                key.table
                for key in parent.table.referenced_by
                if key.table in self.tables and self._cascade(parent, key)
            ]

    def _cascade(self, parent: Staged, key: ForeignKeyInfo) -> bool:
        if key.on_delete not in ("CASCADE", "SET NULL", "SET DEFAULT"):
            return False
        child = self.tables[key.table]
        if key.on_delete == "SET NULL" and set(key.set_on_delete) & child.not_null:
            return False  # told as a violation
        row = live(child, "c")
        found = self._referring(parent, key, row, planned=False)
        if found is None or self.connection.execute(found.limit(1)).first() is None:
            return False
        staged = self.staged.get(child.name)
        if staged is None:
            staged = self.staged[child.name] = create_stage(self.connection, child)
        keys, whole = found.distinct().subquery("k"), live(child, "w")
        values: list[Any] = [whole.c[name] for name in child.columns]
        operation, mask = DELETE, "0" * len(child.columns)
        if key.on_delete != "CASCADE":
            operation = UPDATE
            new = {name: _set_to(child, key, name) for name in key.set_on_delete}
            values = [new.get(name, whole.c[name]) for name in child.columns]
            mask = "".join("1" if name in new else "0" for name in child.columns)
        rows = (
            select(literal(operation), literal(key.name), literal(mask), *values)
            .select_from(whole)
            .join(keys, and_(*(whole.c[name] == keys.c[name] for name in child.key)))
        )
        return add_rows(self.connection, staged, rows) > 0

    def _referring(
        self, parent: Staged, key: ForeignKeyInfo, row: FromClause, *, planned: bool
    ) -> Select[Any] | None:
        """Rows of the child that refer to a parent row about to vanish, and still will.

        Parameters:
            parent: the planned rows of the parent.
            key: the foreign key.
            row: the live rows of the child.
            planned: also rows that the plan updates otherwise.

        Returns:
            The keys of those rows; None when the parent's key columns are not recorded.
        """
        if not set(key.referred_columns) <= set(parent.table.columns):
            return None
        gone, old = parent.stage.alias("g"), live(parent.table, "p")
        refers = and_(
            *(row.c[c] == old.c[r] for c, r in zip(key.columns, key.referred_columns, strict=True))
        )
        vanishes = gone.c.op == DELETE
        if not set(key.referred_columns) <= set(parent.table.key):
            was = [old.c[name] for name in key.referred_columns]
            vanishes = or_(
                vanishes,
                and_(gone.c.op == UPDATE, ~same(was, parent.values(key.referred_columns, gone))),
            )
        found = (
            select(*(row.c[name] for name in self._key_of(key)))
            .select_from(row)
            .join(old, refers)
            .join(gone, parent.same_key(old, gone))
            .where(vanishes, ~self._provided(parent, key, [row.c[c] for c in key.columns]))
        )
        return found.where(~self._leaves(key, row, planned=planned))

    def _key_of(self, key: ForeignKeyInfo) -> tuple[str, ...]:
        child = self.tables.get(key.table)
        return key.columns if child is None else child.key

    def _leaves(
        self, key: ForeignKeyInfo, row: FromClause, *, planned: bool
    ) -> ColumnElement[bool]:
        """Whether the plan deletes the child's row, or lets it refer to another."""
        child = self.staged.get(key.table)
        if child is None:
            return literal_column("1") == literal_column("0")
        own = child.stage.alias("own")
        leaves: ColumnElement[bool] = own.c.op == DELETE
        if set(key.columns) <= set(child.table.columns):
            now = [row.c[name] for name in key.columns]
            leaves = or_(leaves, ~same(now, child.values(key.columns, own)))
        if not planned:  # an update of the plan decides itself; it is checked afterwards
            leaves = or_(leaves, own.c.op == UPDATE)
        return exists().where(child.same_key(row, own), leaves)

    def _provided(
        self, parent: Staged, key: ForeignKeyInfo, values: Sequence[ColumnElement[Any]]
    ) -> ColumnElement[bool]:
        """Whether the plan writes a parent row that ``values`` refer to."""
        new = parent.stage.alias("n")
        pairs = zip(parent.values(key.referred_columns, new), values, strict=True)
        return exists().where(new.c.op != DELETE, *(one == other for one, other in pairs))

    # ------------------------------------------------------------------------- violations

    def violations(self) -> list[Violation]:
        """What constraints forbid, found without writing."""
        found: list[Violation | None] = []
        for staged in list(self.staged.values()):
            if self.enforced:
                found += [self._referenced(staged, key) for key in staged.table.referenced_by]
                found += [self._orphaned(staged, key) for key in staged.table.foreign_keys]
            found += [self._nulls(staged, name) for name in sorted(staged.table.not_null)]
            found += [
                self._twice(staged, unique.name, unique.columns)
                for unique in staged.table.uniques
                if unique.columns and not unique.partial
            ]
        return [each for each in found if each is not None]

    def _referenced(self, parent: Staged, key: ForeignKeyInfo) -> Violation | None:
        child = self.tables.get(key.table)
        row = _bare(key.table, key.columns, "c") if child is None else live(child, "c")
        found = self._referring(parent, key, row, planned=True)
        if found is None:
            return None
        kind: Any = "referenced"
        if child is None and key.on_delete not in ("NO ACTION", "RESTRICT"):
            kind = "unversioned"
        return self._told(kind, key.name, key.table, found)

    def _orphaned(self, child: Staged, key: ForeignKeyInfo) -> Violation | None:
        if not set(key.columns) <= set(child.table.columns):
            return None
        stage = child.stage
        values = child.values(key.columns)
        parent = self.tables.get(key.referred)
        there = self._stays(parent, key, values)
        given = and_(stage.c.op != DELETE, *(value.is_not(None) for value in values))
        found = select(*child.values(child.table.key)).where(given, ~there)
        staged_parent = self.staged.get(key.referred)
        if staged_parent is not None:
            found = found.where(~self._provided(staged_parent, key, values))
        return self._told("missing parent", key.name, child.table.name, found)

    def _stays(
        self,
        parent: VersionedTable | None,
        key: ForeignKeyInfo,
        values: Sequence[ColumnElement[Any]],
    ) -> ColumnElement[bool]:
        """Whether a live parent row has ``values`` and the plan leaves it alone."""
        row = _bare(key.referred, key.referred_columns, "p")
        if parent is not None:
            row = live(parent, "p")  # members of an inheritance tree are no parents
        pairs = zip(key.referred_columns, values, strict=True)
        has = [row.c[name] == value for name, value in pairs]
        staged = self.staged.get(key.referred)
        if staged is None:
            return exists().where(*has)
        own = staged.stage.alias("o")
        return exists().where(*has, ~exists().where(staged.same_key(row, own)))

    def _nulls(self, staged: Staged, name: str) -> Violation | None:
        if name not in staged.table.writable:
            return None
        found = select(*staged.values(staged.table.key)).where(
            staged.stage.c.op != DELETE, staged.column(name).is_(None)
        )
        return self._told("not null", name, staged.table.name, found)

    def _twice(self, staged: Staged, name: str, columns: Sequence[str]) -> Violation | None:
        table = staged.table
        if not set(columns) <= set(table.columns):
            return None
        stage, row, own = staged.stage, live(table, "l"), staged.stage.alias("o")
        other = and_(*(row.c[n] == staged.column(n) for n in columns))
        planned = exists().where(staged.same_key(row, own))
        taken = exists().where(other, ~staged.same_key(row), ~planned)
        again = staged.stage.alias("t")
        twin = exists().where(
            again.c.op != DELETE,
            *(staged.column(n, again) == staged.column(n) for n in columns),
            ~and_(*(staged.column(n, again) == staged.column(n) for n in table.key)),
        )
        found = select(*staged.values(table.key)).where(stage.c.op != DELETE, or_(taken, twin))
        return self._told("unique", name, table.name, found)

    def _told(self, kind: Any, constraint: str, table: str, found: Select[Any]) -> Violation | None:
        sample = self.connection.execute(found.distinct().limit(_SAMPLE)).all()
        if not sample:
            return None
        total = len(sample)
        if total == _SAMPLE:
            every = found.distinct().subquery()
            total = self.connection.scalar(select(func.count()).select_from(every)) or 0
        known = self.tables.get(table)
        names = None if known is None else known.key
        rows = tuple(dict(zip(names or row._fields, row, strict=True)) for row in sample)
        return Violation(kind, constraint, table, total, rows)


def _set_to(child: VersionedTable, key: ForeignKeyInfo, name: str) -> ColumnElement[Any]:
    """What the database sets a column to when the row that it refers to is deleted."""
    default = child.defaults.get(name) if key.on_delete == "SET DEFAULT" else None
    return null() if default is None else literal_column(f"({default})")


def _bare(name: str, columns: Sequence[str], alias: str) -> FromClause:
    """A table that is not versioned, with the columns of a foreign key."""
    schema, _, table = name.rpartition(".")
    return Table(
        table, MetaData(), *(Column(each) for each in dict.fromkeys(columns)), schema=schema
    ).alias(alias)


__all__ = ["Consequences"]
