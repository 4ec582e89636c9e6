"""Write planned rows on PostgreSQL: all tables in one statement.

Foreign keys are checked at the end of a statement, also those that are not deferrable. So
one statement that deletes, updates and inserts the rows of all tables needs no order among
the tables, and tables may refer to each other in a circle. Nor does ``ON DELETE CASCADE``
find anything that is not planned: by then, each row refers to what it shall refer to.

Unique constraints that are not deferrable are checked row by row. Deleting happens before
updating and that before inserting, which each part forces by counting what the one before
did. Only rows that exchange unique values among each other are in each other's way; those
give up their value first (:func:`vacate`).

There are no values in the SQL made here; they lie in the temporary tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, cast

from sqlalchemy import Connection, Select, Table, and_, func, literal_column, select, update

from sqlalchemy_temporal.capture.orm.recorder import OURS
from sqlalchemy_temporal.ddl.postgresql.quoting import Quoter
from sqlalchemy_temporal.repository.compare import same
from sqlalchemy_temporal.repository.described import UniqueInfo, VersionedTable
from sqlalchemy_temporal.repository.recording import recorded
from sqlalchemy_temporal.repository.staging import DELETE, INSERT, UPDATE, Staged, live

_PLACEHOLDERS: Final = (
    (("smallint", "integer", "bigint", "numeric", "real", "double"), "m.most + m.n"),
    (("text", "character", "citext"), "left(md5(random()::text || m.n::text), {length})"),
    (("uuid",), "gen_random_uuid()"),
    (("date",), "m.most + m.n::integer"),
    (("timestamp",), "m.most + m.n * interval '1 day'"),
)
"""Values that no row has, by how the name of the type begins."""


class PostgreSQLWriter:
    """Writes staged rows.

    Parameters:
        connection: where to write.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.quote = connection.dialect.identifier_preparer.quote

    # ------------------------------------------------------------------------------ names

    def _table(self, table: VersionedTable) -> str:
        only = "ONLY " if table.kind == "inherited" else ""
        return only + self._name(table)

    def _name(self, table: VersionedTable) -> str:
        return f"{self.quote(table.schema)}.{self.quote(table.table_name)}"

    def _stage(self, staged: Staged) -> str:
        return f"{staged.stage.schema}.{staged.stage.name}"

    def _pairs(self, staged: Staged, names: Iterable[str], left: str = "") -> list[str]:
        columns = staged.table.columns
        return [f"{left}{self.quote(name)} = s.v{columns.index(name)}" for name in names]

    # ------------------------------------------------------------------------------ locks

    def lock(self, tables: Sequence[VersionedTable]) -> None:
        """Wait for those who write the tables, and let nobody else write them.

        One statement in a fixed order: two that lock the same tables wait for each other,
        and not each for the other.
        """
        names = ", ".join(sorted(self._name(table) for table in tables))
        if names:
            self.connection.exec_driver_sql(f"LOCK TABLE {names} IN SHARE ROW EXCLUSIVE MODE")

    # ---------------------------------------------------------------------------- writing

    def write(self, staged: Sequence[Staged]) -> dict[str, dict[str, int]]:
        """Make the planned changes.

        Returns:
            The rows written, by table and operation.
        """
        deferred = self._deferrable(staged)
        if deferred:
            self.connection.exec_driver_sql(f"SET CONSTRAINTS {deferred} DEFERRED")
        for each in staged:
            for unique in each.table.uniques:
                self._vacate(each, unique)
        found = self._write_all(staged)
        if deferred:  # named: checking ALL would stamp the commit, too
            self.connection.exec_driver_sql(f"SET CONSTRAINTS {deferred} IMMEDIATE")
        for each in staged:
            self._advance(each)
        return found

    def _deferrable(self, staged: Sequence[Staged]) -> str:
        names = {
            f"{self.quote(schema)}.{self.quote(name)}"
            for each in staged
            for schema, name in (
                *((each.table.schema, u.name) for u in each.table.uniques if u.deferrable),
                *(
                    (key.table.rpartition(".")[0], key.name)
                    for key in (*each.table.foreign_keys, *each.table.referenced_by)
                    if key.deferrable
                ),
            )
        }
        return ", ".join(sorted(names))

    def _write_all(self, staged: Sequence[Staged]) -> dict[str, dict[str, int]]:
        parts: list[tuple[str, str, str, str]] = []
        before: list[str] = []
        for operation, sql in (
            (DELETE, self._delete),
            (UPDATE, self._update),
            (INSERT, self._insert),
        ):
            after = "".join(f" AND {_count(name)} >= 0" for name in before)
            named = []
            for i, each in enumerate(staged):
                statement = sql(each, after)
                if statement is not None:
                    name = f"{operation[0].lower()}{i}"
                    parts.append((name, each.table.name, operation, statement))
                    named.append(name)
            before = named or before
        if not parts:
            return {}
        ctes = ",\n".join(f"{name} AS ({sql} RETURNING 1)" for name, _, _, sql in parts)
        numbers = ", ".join(_count(name) for name, *_ in parts)
        with recorded(self.connection, staged):
            row = self.connection.exec_driver_sql(
                f"WITH {ctes}\nSELECT {numbers}", execution_options={OURS: True}
            ).one()
        found: dict[str, dict[str, int]] = {}
        for (_, table, operation, _), number in zip(parts, row, strict=True):
            if number:
                found.setdefault(table, {})[operation] = number
        return found

    def _has(self, staged: Staged, operation: str) -> bool:
        stage = staged.stage
        found = self.connection.execute(select(stage.c.op).where(stage.c.op == operation).limit(1))
        return found.first() is not None

    def _delete(self, staged: Staged, after: str) -> str | None:
        if not self._has(staged, DELETE):
            return None
        key = " AND ".join(self._pairs(staged, staged.table.key, "t."))
        return (
            f"DELETE FROM {self._table(staged.table)} AS t USING {self._stage(staged)} AS s "  # noqa: S608 - quoted
            f"WHERE s.op = '{DELETE}' AND {key}{after}"
        )

    def _update(self, staged: Staged, after: str) -> str | None:
        names = self._changed(staged)
        if not names:
            return None
        key = " AND ".join(self._pairs(staged, staged.table.key, "t."))
        return (
            f"UPDATE {self._table(staged.table)} AS t "  # noqa: S608 - quoted
            f"SET {', '.join(self._pairs(staged, names))} FROM {self._stage(staged)} AS s "
            f"WHERE s.op = '{UPDATE}' AND {key}{after}"
        )

    def _insert(self, staged: Staged, after: str) -> str | None:
        if not self._has(staged, INSERT):
            return None
        table = staged.table
        names = table.writable
        values = ", ".join(f"s.v{table.columns.index(name)}" for name in names)
        overriding = " OVERRIDING SYSTEM VALUE" if table.always_identity & set(names) else ""
        return (
            f"INSERT INTO {self._name(table)} ({', '.join(self.quote(n) for n in names)})"  # noqa: S608 - quoted
            f"{overriding} SELECT {values} FROM {self._stage(staged)} AS s "
            f"WHERE s.op = '{INSERT}'{after}"
        )

    def _changed(self, staged: Staged) -> list[str]:
        """The columns that some update changes."""
        places = [staged.table.columns.index(name) + 1 for name in staged.table.values]
        flags = ", ".join(f"bool_or(substr(s.mask, {place}, 1) = '1')" for place in places)
        if not flags:
            return []
        row = self.connection.exec_driver_sql(
            f"SELECT {flags} FROM {self._stage(staged)} AS s WHERE s.op = '{UPDATE}'"  # noqa: S608
        ).one()
        return [name for name, changed in zip(staged.table.values, row, strict=True) if changed]

    # ------------------------------------------------------------- exchanged unique values

    def _vacate(self, staged: Staged, unique: UniqueInfo) -> None:
        """Let rows give up a unique value that another updated row is to have."""
        table, names = staged.table, unique.columns
        if unique.deferrable or not names or not set(names) <= set(table.columns):
            return
        free = [name for name in names if name in table.values]
        one, other = staged.stage.alias("one"), staged.stage.alias("other")
        holds = live(table, "l")
        wanted = (
            select(*(holds.c[name] for name in table.key))
            .select_from(holds)
            .join(one, staged.same_key(holds, one))
            .join(other, and_(*(holds.c[n] == staged.column(n, other) for n in names)))
            .where(
                one.c.op == UPDATE,
                other.c.op == UPDATE,
                ~same(staged.values(table.key, one), staged.values(table.key, other)),
            )
            .distinct()
        )
        if not free or self.connection.execute(wanted.limit(1)).first() is None:
            return
        self._clear(table, *self._free_value(table, free), wanted)

    def _clear(self, table: VersionedTable, name: str, value: str, keys: Select[Any]) -> None:
        every, target = table.stored.alias("e"), cast("Table", table.stored)
        most = select(func.max(every.c[name])).scalar_subquery()
        listed = keys.subquery("k")
        number = func.row_number().over().label("n")
        m = select(*listed.c, number, *([most.label("most")] if "most" in value else [])).subquery(
            "m"
        )
        statement = (
            update(target)
            .values({name: literal_column(value)})
            .where(*(target.c[key] == m.c[key] for key in table.key))
        )
        if table.kind == "inherited":
            statement = statement.with_hint("ONLY", dialect_name="postgresql")
        self.connection.execute(statement)

    def _free_value(self, table: VersionedTable, names: Sequence[str]) -> tuple[str, str]:
        """A column that can be cleared, and the SQL of a value that no row has."""
        for name in names:
            if name not in table.not_null:
                return name, "NULL"
        for name in names:
            for begins, value in _PLACEHOLDERS:
                if table.types[name].startswith(begins):
                    length = table.types[name].partition("(")[2].rstrip(")") or "32"
                    return name, value.format(length=length)
        return names[0], "NULL"  # refused by the database, which names the constraint

    # -------------------------------------------------------------------------- sequences

    def _advance(self, staged: Staged) -> None:
        """Let sequences go on behind the keys that were inserted."""
        for name, sequence in staged.table.sequences.items():
            if name not in staged.table.writable or not self._has(staged, INSERT):
                continue
            place = staged.table.columns.index(name)
            quoted = sequence.replace("%", "%%")
            literal = Quoter(self.connection.dialect).literal(sequence)
            self.connection.exec_driver_sql(
                f"SELECT setval({literal}::regclass, m.most) FROM (SELECT "  # noqa: S608 - quoted
                f"max(s.v{place})::bigint AS most FROM {self._stage(staged)} AS s "
                f"WHERE s.op = '{INSERT}') AS m, {quoted} AS q "
                "WHERE m.most > q.last_value OR m.most = q.last_value AND NOT q.is_called"
            )


def _count(cte: str) -> str:
    return f"(SELECT count(*) FROM {cte})"  # noqa: S608 - a name made here


__all__ = ["PostgreSQLWriter"]
