"""What it takes to resolve HEAD, idle and among writers, and to seal commits."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Engine

from benchmarks.bench import Bench
from benchmarks.clients import Order, clients
from benchmarks.measure import Figure, seconds, spread
from benchmarks.tables import VERSIONED, insert_generated, items, settle
from sqlalchemy_temporal.clock.resolve import resolve

SECTION = "barrier"


def measure(bench: Bench) -> list[Figure]:
    """Milliseconds to resolve HEAD; microseconds to seal a commit."""
    sizes = bench.sizes
    figures: list[Figure] = []
    with bench.engine() as engine, items(engine, bare=bench.bare):
        with bench.driver() as connection:
            connection.execute(insert_generated(VERSIONED, 1, sizes.rows))
            settle(connection)
        _seal(bench)
        bench.tell("HEAD, idle")
        _ask(engine, 2)
        figures.append(
            Figure(SECTION, "HEAD, idle", "ms", spread(_ask(engine, sizes.barrier_questions)))
        )
        figures += _among_writers(bench, engine)
        for count in sizes.unsealed:
            bench.tell(f"sealing {count:,} commits")
            figures += _unsealed(bench, engine, count)
    return figures


def _ask(engine: Engine, times: int) -> list[float]:
    found = []
    for _ in range(times):
        with engine.begin() as connection:
            connection.exec_driver_sql("SELECT 1")  # begins the transaction
            found.append(seconds(lambda: resolve(connection, "HEAD")) * 1000)
    return found


def _among_writers(bench: Bench, engine: Engine) -> Iterator[Figure]:
    sizes = bench.sizes
    bench.tell(f"HEAD, {sizes.barrier_writers} writers")
    took: list[float] = []
    with clients(bench.url, sizes.barrier_writers, sizes.rows) as writers:
        batch = max(1, sizes.barrier_questions // 10)
        while len(took) < sizes.barrier_questions:
            writers.start(Order(VERSIONED, max(0.2, sizes.client_seconds / 4)))
            took += _ask(engine, batch)
            writers.finish()
    label = f"HEAD, {sizes.barrier_writers} clients writing without pause"
    yield Figure(SECTION, label, "ms", spread(took))


def _unsealed(bench: Bench, engine: Engine, count: int) -> Iterator[Figure]:
    """Resolve HEAD, and seal, when nobody has asked about ``count`` commits yet."""
    _seal(bench)
    _commits(bench, count)
    label = f"{count:,} commits not sealed yet"
    yield Figure(SECTION, f"HEAD, {label}, first time", "ms", spread(_ask(engine, 1)))
    yield Figure(SECTION, f"HEAD, {label}, again", "ms", spread(_ask(engine, 5)))
    _seal(bench)
    _commits(bench, count)
    with bench.driver() as connection:
        took = seconds(lambda: connection.execute("SELECT temporal_versioning.seal()"))
    yield Figure(SECTION, f"sealing, per commit of {count:,}", "µs", spread([took / count * 1e6]))


def _seal(bench: Bench) -> None:
    with bench.driver() as connection:
        connection.execute("SELECT temporal_versioning.seal()")


def _commits(bench: Bench, count: int) -> None:
    with bench.driver() as connection:
        connection.execute(
            f"DO $$ BEGIN FOR i IN 1..{count} LOOP "
            f"UPDATE {VERSIONED} SET quantity = quantity + 1 WHERE id = 1 + i % {bench.sizes.rows};"
            " COMMIT; END LOOP; END $$"
        )
