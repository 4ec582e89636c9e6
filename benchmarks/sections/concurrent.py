"""The throughput of many clients that write single-row transactions."""

from __future__ import annotations

from benchmarks.bench import Bench
from benchmarks.clients import Order, clients
from benchmarks.measure import Figure, Target, compare
from benchmarks.tables import PLAIN, VERSIONED, insert_generated, items, settle

SECTION = "concurrent"
KINDS = ("INSERT", "UPDATE", "DELETE")
_TARGET = Target("at least", 0.5)


def measure(bench: Bench) -> list[Figure]:
    """Transactions per second of all clients together, synchronous commit off."""
    sizes = bench.sizes
    samples: dict[tuple[str, str], list[float]] = {}
    with bench.engine() as engine, items(engine, bare=bench.bare):
        with bench.driver() as connection:
            for table in (PLAIN, VERSIONED):
                connection.execute(insert_generated(table, 1, sizes.rows))
            settle(connection)
        with clients(bench.url, sizes.clients, sizes.rows) as writers:
            for turn in range(-1, sizes.client_rounds):
                bench.tell(f"{sizes.clients} clients, round {turn + 2}")
                for kind in KINDS:
                    for table in (PLAIN, VERSIONED) if turn % 2 else (VERSIONED, PLAIN):
                        rate = writers.run(Order(table, kind, sizes.client_seconds))
                        if turn >= 0:
                            samples.setdefault((kind, table), []).append(rate)
    return [
        compare(
            SECTION,
            f"{kind}, {sizes.clients} clients, synchronous commit off",
            "1/s",
            samples[kind, VERSIONED],
            samples[kind, PLAIN],
            target=_TARGET,
        )
        for kind in KINDS
    ]
