"""Transactions of one row: by one client and by many, with synchronous commit and without."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from benchmarks.bench import Bench
from benchmarks.crowd import KINDS, Crowd, Order
from benchmarks.measure import Cost, Figure, Target
from benchmarks.models import ITEM
from benchmarks.sections.common import figures, filled, take
from benchmarks.subjects import OURS
from benchmarks.workers import Context

SECTION = "transactions"
_TARGETS = {False: 1.8, True: 1.15}
_MANY = 2.0
_CROWD = "crowd"


def measure(bench: Bench) -> Iterator[Figure]:
    """Microseconds per transaction: the time through the number of all that were made in it."""
    sizes = bench.sizes
    bench.tell("rows to work on")
    for worker in bench.workers:
        worker(reset)
        worker(filled, sizes.transaction_rows)
    plain = bench.workers.those(lambda kind: kind.records_sql)
    objects = bench.workers.those(lambda kind: kind.has_orm)
    for way, there in (("sql", plain), ("orm", objects)):
        for synchronous in (False, True):
            for clients in sizes.transaction_clients:
                if way == "orm" and (synchronous or clients > 1):
                    continue
                label = _label(clients, synchronous=synchronous)
                bench.tell(f"{way}, {label}")
                # A copy of the table for each of thousands of transactions would fill the disk.
                here = {k: w for k, w in there.items() if k != "snapshot" or clients == 1}
                for key in list(here):
                    here[key](gather, clients, way, synchronous)
                try:
                    taken = take(
                        bench,
                        {
                            key: partial(worker, sample, sizes.transaction_seconds)
                            for key, worker in here.items()
                        },
                        sizes.transaction_rounds,
                        warm_up=1,
                    )
                finally:
                    for worker in here.values():
                        worker(part)
                aim = _TARGETS[synchronous] if clients == 1 else _MANY
                target = Target("at most", aim)
                for kind in KINDS:
                    figure = Figure(
                        SECTION,
                        f"{kind}, {label}",
                        "µs",
                        None,
                        way=way,
                        parameters={"kind": kind, "clients": clients, "synchronous": synchronous},
                    )
                    samples = {key: [one[kind] for one in found] for key, found in taken.items()}
                    yield from figures(figure, samples, {OURS: target} if way == "sql" else None)


def _label(clients: int, *, synchronous: bool) -> str:
    many = "1 client" if clients == 1 else f"{clients} clients"
    return f"{many}, synchronous commit {'on' if synchronous else 'off'}"


def reset(context: Context) -> None:
    """Begin with new keys."""
    context.state["crowds"] = 0


def gather(context: Context, clients: int, way: str, synchronous: bool) -> None:
    """Start client processes."""
    crowds = context.state["crowds"] = context.state.get("crowds", 0) + 1
    context.state[_CROWD] = Crowd(
        context.subject.key,
        context.url.render_as_string(hide_password=False),
        clients,
        context.sizes.transaction_rows,
        way,
        synchronous=synchronous,
        first=crowds * 1_000_000_000,
    )


def sample(context: Context, seconds: float) -> dict[str, Cost]:
    """Let them work, some time with each kind of transaction."""
    crowd: Crowd = context.state[_CROWD]
    taken = {kind: crowd.run(Order(kind, seconds))[0] for kind in KINDS}
    if context.subject.key == "snapshot":
        context.driver().execute(f"TRUNCATE {ITEM}_snapshot")
    return taken


def part(context: Context) -> None:
    """End the client processes."""
    crowd: Crowd | None = context.state.pop(_CROWD, None)
    if crowd is not None:
        crowd.close()
