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
        self._chance = random.Random(1)

    def sample(self, kind: str) -> float:
        """Microseconds per transaction, in one block of them.

        INSERT and DELETE concern the same rows, so one must follow the other.
        """
        keys: Iterator[int] = iter(range(self._rows + 1, self._rows + 1 + self._block))
        if kind == "INSERT":
            took = seconds(lambda: [self._driver.insert(key) for key in keys])
        elif kind == "DELETE":
            took = seconds(lambda: [self._driver.delete(key) for key in keys])
        else:
            pick, value = self._chance.randrange, self._chance.randrange
            pairs = [(1 + pick(self._rows), value(1_000_000)) for _ in keys]
            took = seconds(lambda: [self._driver.update(*pair) for pair in pairs])
        return took / self._block * _MICROSECONDS


def measure(bench: Bench) -> list[Figure]:
    """INSERT, UPDATE and DELETE by key, each in a transaction of its own."""
    figures: list[Figure] = []
    with bench.engine() as engine, items(engine) as tables:
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
