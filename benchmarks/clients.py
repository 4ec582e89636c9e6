"""Processes that update a row a transaction, all at the same time, while something else goes on.

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


@dataclass(frozen=True, slots=True)
class Order:
    """What every client is to do: updates of a table, for some seconds."""

    table: str
    seconds: float


class Clients:
    """Client processes under way."""

    def __init__(self, pipes: list[Pipe]) -> None:
        self._pipes = pipes

    def start(self, order: Order) -> None:
        """Let all begin."""
        for pipe in self._pipes:
            pipe.send(order)

    def finish(self) -> None:
        """Wait for all."""
        for pipe in self._pipes:
            pipe.recv()


@contextmanager
def clients(url: URL, count: int, rows: int) -> Iterator[Clients]:
    """Start ``count`` processes, connected and ready.

    Parameters:
        url: The database.
        count: How many processes.
        rows: How many rows the tables have. Each process updates a share of its own, so that
            none waits for another's row.
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
    share = range(1 + number, rows + 1, count)
    with connect(make_url(address)) as connection:
        pipe.send("ready")
        while True:
            try:
                order: Order = pipe.recv()
            except (EOFError, KeyboardInterrupt):
                return
            update = f"UPDATE {order.table} SET quantity = %s, note = %s WHERE id = %s"
            start = time.perf_counter()
            while time.perf_counter() - start < order.seconds:
                value = chance.randrange(1_000_000)
                note = f"A remark of some forty characters, {value}"
                connection.execute("BEGIN", prepare=True)
                connection.execute(update, (value, note, chance.choice(share)), prepare=True)
                connection.execute("COMMIT", prepare=True)
            pipe.send("done")
