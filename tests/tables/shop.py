"""A table with a past: five commits, some minutes of which may be purged."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import Column, Connection, Engine, Integer, MetaData, Table, Text, text

from sqlalchemy_temporal import Moment, resolve, versioned_table
from tests.laws.programs import State, copy_of


def items() -> MetaData:
    metadata = MetaData()
    versioned_table(
        Table(
            "item",
            metadata,
            Column("id", Integer, primary_key=True, autoincrement=False),
            Column("name", Text, nullable=False),
            Column("note", Text),
        )
    )
    return metadata


@dataclass
class Shop:
    """A database, and what its tables held after each commit."""

    engine: Engine
    metadata: MetaData
    copies: list[tuple[Moment, State]] = field(default_factory=list)

    def run(self, *statements: str) -> Moment:
        """One commit; remember what was there after it."""
        with self.engine.begin() as connection:
            for statement in statements:
                connection.execute(text(statement))
        with self.engine.begin() as connection:
            self.copies.append((resolve(connection, "HEAD"), copy_of(connection, self.metadata)))
        return self.copies[-1][0]

    @property
    def table(self) -> Table:
        return self.metadata.tables["item"]


def open_shop(engine: Engine, metadata: MetaData | None = None) -> Shop:
    """Four items and five versions of the first."""
    shop = Shop(engine, metadata or items())
    shop.metadata.create_all(engine)
    shop.run("INSERT INTO item VALUES (1, 'a1'), (2, 'b1'), (3, 'c1'), (4, 'd1')")
    shop.run("UPDATE item SET name = 'a2' WHERE id = 1", "DELETE FROM item WHERE id = 4")
    shop.run("UPDATE item SET name = 'a3' WHERE id = 1")
    shop.run("UPDATE item SET name = 'a4' WHERE id = 1", "UPDATE item SET name = 'b2' WHERE id = 2")
    shop.run("UPDATE item SET name = 'a5' WHERE id = 1")
    return shop


def history_rows(connection: Connection, columns: str = "name") -> list[str]:
    return list(
        connection.scalars(
            text(f"SELECT {columns} FROM temporal_versioning.item_history ORDER BY 1")
        )
    )


def age(engine: Engine, where: str, months: int) -> None:
    """Make versions look as if they had ended so many months ago."""
    with engine.begin() as connection:
        connection.execute(
            text(
                "UPDATE temporal_versioning.item_history SET temporal_valid_to = "
                f"temporal_valid_to - make_interval(months => {months}) WHERE {where}"
            )
        )
