"""Write planned rows on SQLite: statement by statement, in one transaction.

Foreign keys are checked at the end of the transaction (``PRAGMA defer_foreign_keys``), but
what they do to the children of a deleted row is done at once. So updates come first: what is
to refer to another parent does so before the old one is deleted. Then rows are deleted,
and last inserted. Unique constraints are checked row by row; rows whose unique value another
updated row is to have give it up first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Table, and_, func, literal_column, select, update

from sqlalchemy_temporal.capture.orm.recorder import OURS
from sqlalchemy_temporal.clock.hooks import transaction_id
from sqlalchemy_temporal.repository.compare import same
from sqlalchemy_temporal.repository.described import UniqueInfo, VersionedTable
from sqlalchemy_temporal.repository.recording import recorded
from sqlalchemy_temporal.repository.staging import DELETE, INSERT, UPDATE, Staged, live

_NUMBERS: Final = ("INT", "REAL", "FLOA", "DOUB", "NUM", "DEC")


class SQLiteWriter:
    """Writes staged rows.

    Parameters:
        connection: where to write.
        schema: the schema of the library's own tables.
    """

    def __init__(self, connection: Connection, schema: str) -> None:
        self.connection = connection
        self.schema = schema
        self.quote = connection.dialect.identifier_preparer.quote

    def lock(self, tables: Sequence[VersionedTable]) -> None:
        """Take the write lock of the database: there is one writer at a time."""
        transaction_id(self.connection, self.schema)

    def write(self, staged: Sequence[Staged]) -> dict[str, dict[str, int]]:
        """Make the planned changes; return the rows written by table and operation."""
        self.connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
        for each in staged:
            for unique in each.table.uniques:
                self._vacate(each, unique)
        with recorded(self.connection, staged):
            return self._write_all(staged)

    def _write_all(self, staged: Sequence[Staged]) -> dict[str, dict[str, int]]:
        found: dict[str, dict[str, int]] = {}
        for operation, each, statement in (
            *((UPDATE, each, self._update(each)) for each in staged),
            *((DELETE, each, self._delete(each)) for each in reversed(staged)),
            *((INSERT, each, self._insert(each)) for each in staged),
        ):
            number = self._count(each, operation)
            if number and statement is not None:
                self.connection.exec_driver_sql(statement, execution_options={OURS: True})
                found.setdefault(each.table.name, {})[operation] = number
        return found

    def _name(self, table: VersionedTable) -> str:
        return self.quote(table.table_name)

    def _stage(self, staged: Staged) -> str:
        return f"temp.{staged.stage.name}"

    def _places(self, staged: Staged, names: Iterable[str], prefix: str = "s.") -> str:
        return ", ".join(f"{prefix}v{staged.table.columns.index(name)}" for name in names)

    def _count(self, staged: Staged, operation: str) -> int:
        stage = staged.stage
        wanted = select(func.count()).select_from(stage).where(stage.c.op == operation)
        return self.connection.scalar(wanted) or 0

    def _update(self, staged: Staged) -> str | None:
        table = staged.table
        names = [
            name
            for name in table.values
            if self.connection.exec_driver_sql(
                f"SELECT 1 FROM {self._stage(staged)} AS s WHERE s.op = '{UPDATE}' "  # noqa: S608
                f"AND substr(s.mask, {table.columns.index(name) + 1}, 1) = '1' LIMIT 1"
            ).first()
        ]
        if not names:
            return None
        assigned = ", ".join(
            f"{self.quote(name)} = s.v{table.columns.index(name)}" for name in names
        )
        key = " AND ".join(
            f"t.{self.quote(name)} = s.v{table.columns.index(name)}" for name in table.key
        )
        return (
            f"UPDATE {self._name(table)} AS t SET {assigned} "  # noqa: S608 - quoted
            f"FROM {self._stage(staged)} AS s WHERE s.op = '{UPDATE}' AND {key}"
        )

    def _delete(self, staged: Staged) -> str:
        key = ", ".join(self.quote(name) for name in staged.table.key)
        return (
            f"DELETE FROM {self._name(staged.table)} WHERE ({key}) IN (SELECT "  # noqa: S608
            f"{self._places(staged, staged.table.key)} FROM {self._stage(staged)} AS s "
            f"WHERE s.op = '{DELETE}')"
        )

    def _insert(self, staged: Staged) -> str:
        names = staged.table.writable
        return (
            f"INSERT INTO {self._name(staged.table)} ({', '.join(map(self.quote, names))}) "  # noqa: S608
            f"SELECT {self._places(staged, names)} FROM {self._stage(staged)} AS s "
            f"WHERE s.op = '{INSERT}'"
        )

    # ------------------------------------------------------------- exchanged unique values

    def _vacate(self, staged: Staged, unique: UniqueInfo) -> None:
        """Let rows give up a unique value that an updated row is to have."""
        table, names = staged.table, unique.columns
        free = [name for name in names if name in table.values]
        if not free or not set(names) <= set(table.columns):
            return
        one, other = staged.stage.alias("one"), staged.stage.alias("other")
        holds = live(table, "l")
        wanted = (
            select(*(holds.c[name] for name in table.key))
            .select_from(holds)
            .join(one, staged.same_key(holds, one))
            .join(other, and_(*(holds.c[n] == staged.column(n, other) for n in names)))
            .where(
                one.c.op != INSERT,
                other.c.op == UPDATE,
                ~same(staged.values(table.key, one), staged.values(table.key, other)),
            )
            .distinct()
        )
        keys = self.connection.execute(wanted).all()
        if not keys:
            return
        name = next((name for name in free if name not in table.not_null), free[0])
        statement = update(table.live)
        for number, key in enumerate(keys, 1):
            same_key = (table.live.c[k] == v for k, v in zip(table.key, key, strict=True))
            value = self._free_value(table.live, name, number, nullable=name not in table.not_null)
            self.connection.execute(statement.where(*same_key).values({name: value}))

    def _free_value(self, table: Table, name: str, number: int, *, nullable: bool) -> Any:
        """A value that no row has."""
        if nullable:
            return literal_column("NULL")
        kind = str(table.c[name].type).upper()
        if any(each in kind for each in _NUMBERS):
            every = table.alias("e")
            return select(func.max(every.c[name]) + number).scalar_subquery()
        return func.hex(func.randomblob(16))


__all__ = ["SQLiteWriter"]
