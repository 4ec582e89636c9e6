"""The installed command in a process of its own, and databases to run it on."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import URL, create_engine, text

from tests.fix_server import Server

ROOT = Path(__file__).parents[2]
COMMAND = Path(sys.executable).with_name("vsg")


@dataclass(frozen=True)
class Ran:
    """What a run of the command came to."""

    code: int
    out: str
    err: str


Vsg = Callable[..., Ran]


def environment(url: URL | None) -> dict[str, str]:
    """The environment of the command: nothing of the developer's own."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("VSG_", "DATABASE_", "NO_COLOR", "FORCE_COLOR"))
    }
    given = {} if url is None else {"DATABASE_URL": url.render_as_string(hide_password=False)}
    return kept | given | {"PYTHONPATH": str(ROOT), "COLUMNS": "120"}


def run(url: URL | None, cwd: Path, *arguments: str, stdin: str = "", **variables: str) -> Ran:
    done = subprocess.run(
        [COMMAND, *arguments],
        cwd=cwd,
        env=environment(url) | variables,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def vsg(pg_url: URL, tmp_path: Path) -> Vsg:
    """The command on an empty database of the test's own."""

    def call(*arguments: str, **options: str) -> Ran:
        return run(pg_url, tmp_path, *arguments, **options)

    return call


STORY = (
    (
        "ana",
        "Open the shop",
        "INSERT INTO customers VALUES (1, 'Ana', 'Rome'), (2, 'Bea', 'Rome'), (3, 'Cleo', NULL)",
    ),
    ("bea", "First order", "INSERT INTO orders VALUES (7, 2, 10), (8, 1, 99.5)"),
    ("bea", "Bea moves", "UPDATE customers SET city = 'Oslo' WHERE id = 2"),
    (None, None, "DELETE FROM orders WHERE id = 7"),
)
"""Author, message and statement of each commit after the two of setting up."""


def tell(url: URL) -> None:
    """Make two versioned tables and tell the story."""
    from sqlalchemy_temporal.tables.enable import enable_many

    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(
            text("CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL, city text)")
        )
        connection.execute(
            text(
                "CREATE TABLE orders (id int PRIMARY KEY, "
                "customer_id int NOT NULL REFERENCES customers, price numeric(8, 2))"
            )
        )
        connection.execute(text("CREATE TABLE plain (id int PRIMARY KEY)"))
    enable_many(engine, ["customers", "orders"])
    for author, message, statement in STORY:
        with engine.begin() as connection:
            for name, value in (("author", author), ("message", message)):
                if value is not None:
                    connection.execute(
                        text("SELECT set_config(:name, :value, true)"),
                        {"name": f"temporal.{name}", "value": value},
                    )
            connection.execute(text(statement))
    engine.dispose()


@pytest.fixture(scope="module")
def shop_url(server: Server) -> Iterator[URL]:
    """A database with the story, for tests that only read it."""
    with server.database() as url:
        tell(url)
        yield url


@pytest.fixture
def ask(shop_url: URL, tmp_path: Path) -> Vsg:
    """The command on the story, to be read only."""

    def call(*arguments: str, **options: str) -> Ran:
        return run(shop_url, tmp_path, *arguments, **options)

    return call


@pytest.fixture
def shop(pg_url: URL, vsg: Vsg) -> Vsg:
    """The command on a story of the test's own, to be changed."""
    tell(pg_url)
    return vsg
