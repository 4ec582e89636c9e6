"""Two people edit a price list on two branches; it is merged, with one conflict to decide.

    python -m examples.price_list [--svg FILE]

Ana works on the main list, Bo prepares the spring prices on a branch of his own. `DATABASE_URL`
names a PostgreSQL server on which a database may be made for a moment; without it a server is
started, and removed afterwards.
"""

from __future__ import annotations

import argparse
import secrets
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from sqlalchemy import Numeric, create_engine, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

from sqlalchemy_temporal import Conflict, MissingExtraError, Repository, TemporalSession, Versioned
from sqlalchemy_temporal.embedded import postgres_server
from sqlalchemy_temporal.errors import ServerUnavailable

Sessions = sessionmaker[TemporalSession]


class Base(DeclarativeBase):
    """The models of the example."""


class Product(Versioned, Base):
    """A line of the price list."""

    __tablename__ = "product"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    price: Mapped[Decimal] = mapped_column(Numeric(6, 2))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the example; return 0 when it went through."""
    parser = argparse.ArgumentParser(prog="python -m examples.price_list")
    parser.add_argument("--svg", metavar="FILE", help="also draw the commits as SVG (needs dot)")
    options = parser.parse_args(arguments)
    console = Console(highlight=False)
    try:
        with database() as sessions:
            run(console, sessions, svg=options.svg)
    except (ServerUnavailable, DBAPIError, MissingExtraError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


@contextmanager
def database() -> Iterator[Sessions]:
    """Give sessions on a new database, which is dropped afterwards."""
    name = f"price_list_{secrets.token_hex(4)}"
    with postgres_server() as server:
        admin = create_engine(server.url, isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name} TEMPLATE template0"))
        engine = create_engine(server.url.set(database=name))
        try:
            Base.metadata.create_all(engine)
            yield sessionmaker(engine, class_=TemporalSession)
        finally:
            engine.dispose()
            with admin.connect() as connection:
                connection.execute(text(f"DROP DATABASE {name}"))
            admin.dispose()


def run(console: Console, sessions: Sessions, *, svg: str | None = None) -> None:
    """Edit on two branches, merge, decide, and show it all."""
    repo = Repository(sessions)
    with sessions.begin() as session:
        session.describe(author="Ana", message="Open with three coffees")
        session.add_all(
            Product(id=number, name=name, price=Decimal(price))
            for number, (name, price) in enumerate(
                [("Espresso", "2.20"), ("Cappuccino", "3.10"), ("Filter", "2.50")], start=1
            )
        )
    repo.tag("opening", author="Ana")
    show_prices(console, sessions, "The price list both begin with")

    repo.switch("spring", create=True, author="Bo")
    edit_for_spring(sessions)
    show_prices(console, sessions, "Bo's branch [bold]spring[/]")

    repo.switch("main", author="Ana")
    edit_main(sessions)
    show_prices(console, sessions, "Meanwhile, Ana's [bold]main[/]")

    result = repo.merge("spring", author="Ana")
    show_conflicts(console, result.conflicts)
    repo.resolve(Product, key=1, values={"price": Decimal("2.45")}, author="Ana")
    console.print("Ana meets Bo halfway: 2.45.\n")
    merged = repo.merge_commit().commit
    show_prices(console, sessions, f"Merged in commit [yellow]{merged.short}[/]")
    show_blame(console, repo)
    with repo.begin() as bound:
        graph = bound.graph()
    console.print("The commits\n")
    console.print(graph)
    if svg:
        console.print(f"\nDrawn to {graph.save(svg)}")


def edit_for_spring(sessions: Sessions) -> None:
    """What Bo does on his branch."""
    with sessions.begin() as session:
        session.describe(author="Bo", message="Spring prices")
        session.get_one(Product, 1).price = Decimal("2.60")
        session.get_one(Product, 2).price = Decimal("3.40")
    with sessions.begin() as session:
        session.describe(author="Bo", message="Iced coffee for warm days")
        session.add(Product(id=4, name="Iced coffee", price=Decimal("3.80")))


def edit_main(sessions: Sessions) -> None:
    """What Ana does on the main list."""
    with sessions.begin() as session:
        session.describe(author="Ana", message="Beans became dearer")
        session.get_one(Product, 1).price = Decimal("2.30")
    with sessions.begin() as session:
        session.describe(author="Ana", message="Say what is in it; nobody orders filter coffee")
        session.get_one(Product, 2).name = "Cappuccino, oat milk"
        session.delete(session.get_one(Product, 3))


def show_prices(console: Console, sessions: Sessions, title: str) -> None:
    """Show the price list as it is now."""
    table = _table("product", "price")
    with sessions() as session:
        for product in session.scalars(select(Product).order_by(Product.id)):
            table.add_row(product.name, str(product.price))
    console.print(title)
    console.print(table)


def show_conflicts(console: Console, conflicts: Sequence[Conflict]) -> None:
    """Show what both sides want differently."""
    table = _table("row", "column", "both began with", "main", "spring")
    for conflict in conflicts:
        for column, sides in conflict.cells.items():
            table.add_row(_name(conflict), column, *map(str, sides))
    console.print("Merging [bold]spring[/] into [bold]main[/] stops at one cell")
    console.print(table)


def show_blame(console: Console, repo: Repository) -> None:
    """Show who set each price and name, along both branches."""
    table = _table("product", "name by", "price by")
    with repo.begin() as bound:
        names = bound.connection.execute(text("SELECT id, name FROM product ORDER BY id"))
        for number, name in names.all():
            blamed = bound.blame(Product, number)
            table.add_row(name, _who(blamed["name"]), _who(blamed["price"]))
    console.print("Who set what")
    console.print(table)


def _who(commit: Any) -> str:
    return f"{commit.author}: {commit.message}"


def _name(conflict: Conflict) -> str:
    row = conflict.ours or conflict.theirs or {}
    return str(row.get("name"))


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE)
    for column in columns:
        table.add_column(column, justify="right" if column == "price" else "left")
    return table


if __name__ == "__main__":
    sys.exit(main())
