"""Single-row transactions of one client, with and without synchronous commit."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

from sqlalchemy import Table

from benchmarks.bench import Bench
from benchmarks.drivers import CoreDriver, Driver, PsycopgDriver
from benchmarks.measure import Figure, Target, compare, seconds
from benchmarks.tables import PLAIN, VERSIONED, insert_generated, items, settle

SECTION = "single"
WAYS = ("psycopg", "psycopg, one round trip", "SQLAlchemy Core")
KINDS = ("INSERT", "UPDATE", "DELETE")
_MICROSECONDS = 1e6
_TARGETS = {False: Target("at most", 1.8), True: Target("at most", 1.15)}
_WARM_UP = 2


class Work:
    """Blocks of single-row transactions on one table."""

    def __init__(self, driver: Driver, block: int, rows: int) -> None:
        self._driver = driver
        self._block = block
        self._rows = rows
        # Another sequence for each: an update must not set the values that are there already.
        self._chance = random.Random()

    def sample(self, kind: str) -> float:
        """Microseconds per transaction, in one block of them.

        INSERT and DELETE concern the same rows, so one must follow the other.
        """
        keys = range(self._rows + 1, self._rows + 1 + self._block)
        driver, number = self._driver, self._chance.randrange

        def insert() -> None:
            for key in keys:
                driver.insert(key)

        def delete() -> None:
            for key in keys:
                driver.delete(key)

        def update() -> None:
            for key, value in pairs:
                driver.update(key, value)

        pairs = [(1 + number(self._rows), number(1_000_000)) for _ in keys]
        took = seconds({"INSERT": insert, "UPDATE": update, "DELETE": delete}[kind])
        return took / self._block * _MICROSECONDS


def measure(bench: Bench) -> list[Figure]:
    """INSERT, UPDATE and DELETE by key, each in a transaction of its own."""
    figures: list[Figure] = []
    with bench.engine() as engine, items(engine, bare=bench.bare) as tables:
        with bench.driver() as connection:
            for table in (PLAIN, VERSIONED):
                connection.execute(insert_generated(table, 1, bench.sizes.rows))
            settle(connection)
        for synchronous in (False, True):
            for way in WAYS:
                label = f"{way}, synchronous commit {'on' if synchronous else 'off'}"
                bench.tell(label)
                with _drivers(bench, tables, way, synchronous=synchronous) as drivers:
                    figures += _figures(bench, drivers, label, synchronous=synchronous)
    return figures


def _figures(
    bench: Bench, drivers: Mapping[str, Driver], label: str, *, synchronous: bool
) -> Iterator[Figure]:
    sizes = bench.sizes
    block = sizes.single_block_synchronous if synchronous else sizes.single_block
    work = {table: Work(driver, block, sizes.rows) for table, driver in drivers.items()}
    samples: dict[tuple[str, str], list[float]] = {}
    for turn in range(-_WARM_UP, sizes.single_rounds):
        for kind in KINDS:
            for table in list(work) if turn % 2 else list(reversed(work)):
                took = work[table].sample(kind)
                if turn >= 0:
                    samples.setdefault((kind, table), []).append(took)
    for kind in KINDS:
        yield compare(
            SECTION,
            f"{kind}, {label}",
            "µs",
            samples[kind, VERSIONED],
            samples[kind, PLAIN],
            target=_TARGETS[synchronous],
        )


@contextmanager
def _drivers(
    bench: Bench, tables: Mapping[str, Table], way: str, *, synchronous: bool
) -> Iterator[dict[str, Driver]]:
    """One connection for each table, so that neither warms the caches of the other."""
    with ExitStack() as stack:
        found: dict[str, Driver] = {}
        for name, table in tables.items():
            if way == "SQLAlchemy Core":
                engine = stack.enter_context(bench.engine(synchronous=synchronous))
                found[name] = CoreDriver(stack.enter_context(engine.connect()), table)
            else:
                driver = stack.enter_context(bench.driver(synchronous=synchronous))
                found[name] = PsycopgDriver(driver, name, begin=way == "psycopg")
        yield found
