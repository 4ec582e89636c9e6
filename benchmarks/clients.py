"""Processes that write single-row transactions at the same time.

Processes, because threads of one Python would wait for each other rather than for the
server.
"""

from __future__ import annotations

import multiprocessing
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe

from sqlalchemy import URL

from benchmarks.bench import connect
from benchmarks.drivers import PsycopgDriver

_SPAN = 10_000_000
"""Each client has a span of keys of its own, so that none waits for another's row."""


@dataclass(frozen=True, slots=True)
class Order:
    """What every client is to do: statements of one kind on a table, for some seconds."""

    table: str
    kind: str
    seconds: float


class Clients:
    """Client processes under way."""

    def __init__(self, pipes: list[Pipe]) -> None:
        self._pipes = pipes

    def start(self, order: Order) -> None:
        """Let all begin."""
        for pipe in self._pipes:
            pipe.send(order)

    def finish(self) -> float:
        """Wait for all; return how many transactions a second they made together."""
        results: list[tuple[int, float]] = [pipe.recv() for pipe in self._pipes]
        return sum(count / elapsed for count, elapsed in results)

    def run(self, order: Order) -> float:
        """Let all begin, and wait for them."""
        self.start(order)
        return self.finish()


@contextmanager
def clients(url: URL, count: int, rows: int) -> Iterator[Clients]:
    """Start ``count`` processes, connected and ready.

    Parameters:
        url: The database.
        count: How many processes.
        rows: How many rows the tables have; updates go to these.
    """
    context = multiprocessing.get_context("spawn")
    processes, pipes = [], []
    try:
        for number in range(count):
            here, there = context.Pipe()
            address = url.render_as_string(hide_password=False)
            process = context.Process(
                target=_serve, args=(there, address, number, count, rows), daemon=True
            )
            process.start()
            there.close()
            processes.append(process)
            pipes.append(here)
        for pipe in pipes:
            pipe.recv()
        yield Clients(pipes)
    finally:
        for pipe in pipes:
            pipe.close()  # ends the process
        for process in processes:
            process.join(10)


def _serve(pipe: Pipe, address: str, number: int, count: int, rows: int) -> None:
    from sqlalchemy import make_url

    chance = random.Random(number)
    next_key = (number + 1) * _SPAN
    inserted: dict[str, list[int]] = {}
    share = range(1 + number, rows + 1, count)
    with connect(make_url(address)) as connection:
        pipe.send("ready")
        while True:
            try:
                order: Order = pipe.recv()
            except (EOFError, KeyboardInterrupt):
                return
            driver = PsycopgDriver(connection, order.table)
            own = inserted.setdefault(order.table, [])
            done = 0
            start = time.perf_counter()
            while time.perf_counter() - start < order.seconds:
                if order.kind == "INSERT":
                    next_key += 1
                    driver.insert(next_key)
                    own.append(next_key)
                elif order.kind == "UPDATE":
                    driver.update(chance.choice(share), chance.randrange(1_000_000))
                elif own:
                    driver.delete(own.pop())
                else:
                    break
                done += 1
            pipe.send((done, time.perf_counter() - start))
