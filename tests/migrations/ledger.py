"""Full copies of every versioned table at many moments, kept in step with its schema."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Engine, func, insert, select

from sqlalchemy_temporal import Repository, as_of
from sqlalchemy_temporal.repository.catalog import load_tables
from tests.factories import ProductFactory, SaleFactory, only

Rows = dict[Any, dict[str, Any]]


@dataclass
class Ledger:
    """What each moment is to answer.

    Attributes:
        engine: the database.
        copies: for each commit, by name of the table, its rows by key.
    """

    engine: Engine
    copies: list[tuple[Any, dict[str, Rows]]] = field(default_factory=list)
    hashes: dict[Any, bytes] = field(default_factory=dict)

    def churn(self) -> None:
        """Insert, change and delete some rows of whatever tables there are, and take copies."""
        for change in (self._insert, self._update, self._delete):
            with self.engine.begin() as connection:
                for table in load_tables(connection):
                    change(connection, table)
            self.copy()

    def _insert(self, connection: Connection, table: Any) -> None:
        live = table.live
        columns = set(live.c.keys())
        first = (connection.scalar(select(func.max(live.c.id))) or 0) + 1
        factory = ProductFactory if {"price", "stock"} & columns else SaleFactory
        products = [t for t in load_tables(connection) if t.live.name in {"product", "article"}]
        more = {}
        if "product_id" in columns and products:
            more["product_id"] = connection.scalar(select(func.max(products[0].live.c.id)))
        rows = [factory.build(id=first + i, **more) for i in range(4)]
        if "title" in columns:
            rows = [{**row, "title": row["name"]} for row in rows]
        fitting = [
            {name: self._fit(value, live.c[name], row["id"]) for name, value in row.items()}
            for row in (only(each, columns) for each in rows)
        ]
        connection.execute(insert(live), fitting)

    @staticmethod
    def _fit(value: Any, column: Any, number: int) -> Any:
        kind = column.type.python_type
        if value is None or isinstance(value, kind):
            return value
        return number if kind in {int, float} else f"n{value}"

    def _update(self, connection: Connection, table: Any) -> None:
        live = table.live
        for name in ("stock", "price", "note", "title", "amount", "name"):
            if name in live.c and live.c[name].type.python_type is int:
                values = {name: live.c[name] + 1}
            elif name in live.c and live.c[name].type.python_type is str:
                values = {name: live.c[name] + "!"}
            else:
                continue
            connection.execute(live.update().where(live.c.id % 2 == 0).values(values))

    def _delete(self, connection: Connection, table: Any) -> None:
        live = table.live
        if "product_id" in live.c:
            connection.execute(live.delete().where(live.c.id % 5 == 0))

    def copy(self) -> None:
        """Note what every table has now."""
        with self.engine.begin() as connection:
            head = Repository(connection).head
            found = {
                table.live.name: self._rows(connection, table.live)
                for table in load_tables(connection)
            }
        self.copies.append((head.uuid, found))

    @staticmethod
    def _rows(connection: Any, live: Any) -> Rows:
        return {
            row.id: dict(row._mapping)
            for row in connection.execute(select(live).order_by(live.c.id))
        }

    # What a migration did --------------------------------------------------------------

    def renamed(self, table: str, old: str, new: str) -> None:
        for _, tables in self.copies:
            for row in tables.get(table, {}).values():
                if old in row:
                    row[new] = row.pop(old)

    def converted(self, table: str, column: str, convert: Callable[[Any], Any]) -> None:
        for _, tables in self.copies:
            for row in tables.get(table, {}).values():
                if row.get(column) is not None:
                    row[column] = convert(row[column])

    def forgotten(self, table: str, column: str) -> None:
        for _, tables in self.copies:
            for row in tables.get(table, {}).values():
                row.pop(column, None)

    def moved(self, old: str, new: str) -> None:
        for _, tables in self.copies:
            if old in tables:
                tables[new] = tables.pop(old)

    def backfilled(self, table: str, column: str, value: Any) -> None:
        for _, tables in self.copies:
            for row in tables.get(table, {}).values():
                row.setdefault(column, value)

    def dropped(self, table: str) -> None:
        for _, tables in self.copies:
            tables.pop(table, None)

    # The proof ------------------------------------------------------------------------

    def check(self, *, some: int | None = None) -> None:
        """Every moment answers as its copy says, in the shape that tables have now.

        Parameters:
            some: ask only about so many moments, spread over time.
        """
        every = self.copies
        chosen = every[-1 :: -max(1, len(every) // some)] if some else every
        with self.engine.begin() as connection:
            tables = {table.live.name: table for table in load_tables(connection)}
            for uuid, copies in chosen:
                with as_of(connection, uuid) as past:
                    for name, rows in copies.items():
                        if name not in tables:
                            continue
                        live = tables[name].live
                        wanted = {
                            key: {c.key: row.get(c.key) for c in live.c}
                            for key, row in rows.items()
                        }
                        found = self._rows(past, live)
                        differing = [k for k in found | wanted if found.get(k) != wanted.get(k)]
                        assert not differing, [
                            (name, found.get(k), wanted.get(k)) for k in differing[:3]
                        ]

    def verify(self) -> None:
        """Every hash is what it was, and computed again, the same."""
        with self.engine.begin() as connection:
            Repository(connection).hash_commits()
        with self.engine.connect() as connection:
            result = Repository(connection).verify()
            assert result.problems == ()
            commits = Repository(connection).log(limit=1000)
        for commit in commits:
            if commit.hash is not None:
                assert self.hashes.setdefault(commit.uuid, commit.hash) == commit.hash
