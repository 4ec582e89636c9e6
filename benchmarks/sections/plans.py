"""Whether a statement gets slower by what its connection ran before.

PL/pgSQL plans the statements of a trigger once per connection. A plan made for one row that
then meets a million, or the other way round, is the classic trap of triggers like these.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from benchmarks.bench import Bench
from benchmarks.measure import Figure, Target, compare, seconds
from benchmarks.sections.bulk import CHANGE
from benchmarks.tables import HISTORY, VERSIONED, empty, insert_generated, items

SECTION = "plans"
_TARGET = Target("at most", 1.25)
_TIMEOUT = "120s"


def measure(bench: Bench) -> list[Figure]:
    """Single-row statements before and after a bulk one, and the bulk one after them."""
    sizes = bench.sizes
    figures = []
    with bench.engine() as engine, items(engine, bare=bench.bare):
        for kind in ("UPDATE", "DELETE"):
            samples: dict[str, list[float]] = {}
            for turn in range(sizes.trap_rounds):
                bench.tell(f"{kind}s in both orders, round {turn + 1}")
                for name, value in _round(bench, kind).items():
                    samples.setdefault(name, []).append(value)
            bulk = f"{kind} of {sizes.bulk_rows:,} rows"
            for name, label, unit in (
                ("single", f"{kind} of one row after {bulk}", "µs"),
                ("bulk", f"{bulk} after {sizes.trap_singles} of one row", "ms"),
            ):
                after, first = samples[f"{name} after"], samples[f"{name} first"]
                figures.append(
                    compare(
                        SECTION,
                        label,
                        unit,
                        after,
                        first,
                        target=_TARGET,
                        against="a new connection",
                    )
                )
    return figures


def _round(bench: Bench, kind: str) -> dict[str, float]:
    """Both orders, each on a new connection and a table like new."""
    rows, count = bench.sizes.bulk_rows, bench.sizes.trap_singles
    keys = random.Random(7).sample(range(1, rows + 1), count)
    if kind == "UPDATE":
        bulk = f"UPDATE {VERSIONED} SET {CHANGE}"
        single = f"UPDATE {VERSIONED} SET quantity = quantity + 1 WHERE id = %s"
    else:
        bulk = f"DELETE FROM {VERSIONED} WHERE id <> ALL (ARRAY{keys})"
        single = f"DELETE FROM {VERSIONED} WHERE id = %s"
    found: dict[str, float] = {}
    with _new(bench) as connection:
        found["bulk first"] = _bulk(connection, bulk)
        found["single after"] = _singles(connection, single, keys)
    with _new(bench) as connection:
        found["single first"] = _singles(connection, single, keys)
        found["bulk after"] = _bulk(connection, bulk)
    return found


@contextmanager
def _new(bench: Bench) -> Iterator[psycopg.Connection[Any]]:
    """A new connection, to a table like new."""
    with bench.driver() as admin:
        empty(admin)
        admin.execute(insert_generated(VERSIONED, 1, bench.sizes.bulk_rows))
        admin.execute(f"VACUUM (ANALYZE) {VERSIONED}, {HISTORY}")
        admin.execute("CHECKPOINT")
    with bench.driver() as connection:
        connection.execute(f"SET statement_timeout = '{_TIMEOUT}'")
        yield connection


def _bulk(connection: psycopg.Connection[Any], statement: str) -> float:
    """Milliseconds of a statement over many rows."""
    return seconds(lambda: connection.execute(statement)) * 1000


def _singles(connection: psycopg.Connection[Any], statement: str, keys: list[int]) -> float:
    """Microseconds of a statement about one row, the median over the keys."""
    times = []
    for key in keys:
        values = (key,)
        start = time.perf_counter()
        connection.execute(statement, values, prepare=True)
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e6
