"""Processes of one subject that write transactions of one row at the same time.

Processes, because threads of one Python would wait for each other rather than for the server.
They are forked where that can be done, so that the models need not be declared again in each.
"""

from __future__ import annotations

import multiprocessing
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe
from typing import Any, Final

from sqlalchemy import make_url
from sqlalchemy.orm import Session

from benchmarks.bench import connect
from benchmarks.measure import Cost, processor_seconds
from benchmarks.models import COLUMNS, ITEM, item_values, remark
from benchmarks.subjects import Subject, subject
from benchmarks.workers import engine_for

KINDS: Final = ("INSERT", "UPDATE", "DELETE")
_SPAN: Final = 10_000_000
"""Each client has a span of keys of its own, so that none waits for another's row."""
_METHOD: Final = "fork" if sys.platform == "linux" else "spawn"


@dataclass(frozen=True, slots=True)
class Order:
    """What every client is to do: transactions of one kind, for some seconds."""

    kind: str
    seconds: float


class Crowd:
    """Client processes of a subject, connected and ready.

    Parameters:
        key: the subject.
        address: its database.
        count: how many processes.
        rows: how many rows there are to update.
        way: ``sql`` or ``orm``.
        synchronous: whether they commit synchronously.
        first: the key after which their own begin.
    """

    def __init__(
        self,
        key: str,
        address: str,
        count: int,
        rows: int,
        way: str,
        *,
        synchronous: bool,
        first: int,
    ) -> None:
        context: Any = multiprocessing.get_context(_METHOD)
        self._processes, self._pipes = [], []
        for number in range(count):
            here, there = context.Pipe()
            given = (
                there,
                [*self._pipes, here],
                key,
                address,
                number,
                count,
                rows,
                way,
                synchronous,
                first,
            )
            process = context.Process(target=_serve, args=given, daemon=True)
            process.start()
            there.close()
            self._processes.append(process)
            self._pipes.append(here)
        for pipe in self._pipes:
            pipe.recv()

    def run(self, order: Order) -> tuple[Cost, int]:
        """Let all work; return the cost of a transaction, in microseconds, and their number.

        The wall time of a transaction is the whole time through the number of all that were
        made in it: what one client waits for, others use.
        """
        for pipe in self._pipes:
            pipe.send(order)
        answers: list[tuple[int, Cost]] = [pipe.recv() for pipe in self._pipes]
        number = sum(count for count, _ in answers)
        if not number:
            raise RuntimeError(f"no {order.kind} was made in {order.seconds} s")
        rate = sum(count / cost.wall for count, cost in answers)
        client = sum(cost.client for _, cost in answers)
        servers = [cost.server for _, cost in answers if cost.server is not None]
        server = sum(servers) / number if len(servers) == len(answers) else None
        return Cost(1 / rate, client / number, server) * 1e6, number

    def close(self) -> None:
        """End the processes."""
        for pipe in self._pipes:
            pipe.close()
        for process in self._processes:
            process.join(5)
            if process.is_alive():
                process.terminate()


def _serve(  # noqa: PLR0917 - the arguments of a process
    pipe: Pipe,
    others: list[Pipe],
    key: str,
    address: str,
    number: int,
    count: int,
    rows: int,
    way: str,
    synchronous: bool,
    first: int,
) -> None:
    for other in others:  # inherited by a fork: they would keep the pipes of others open
        other.close()
    chance = random.Random()
    next_key = first + (number + 1) * _SPAN
    inserted: list[int] = []
    share = range(1 + number, rows + 1, count)
    writer = (_SqlWriter if way == "sql" else _OrmWriter)(subject(key), address, synchronous)
    pids = [writer.pid]
    pipe.send("ready")
    while True:
        try:
            order: Order = pipe.recv()
        except (EOFError, KeyboardInterrupt):
            writer.close()
            return
        work: dict[str, Callable[[], object]] = {
            "UPDATE": lambda: writer.update(chance.choice(share), chance.randrange(1_000_000)),
            "DELETE": lambda: writer.delete(inserted.pop()),
        }
        done = 0
        server = processor_seconds(pids)
        busy, start = time.process_time(), time.perf_counter()
        while time.perf_counter() - start < order.seconds:
            if order.kind == "INSERT":
                next_key += 1
                writer.insert(next_key)
                inserted.append(next_key)
            elif order.kind == "DELETE" and not inserted:
                break
            else:
                work[order.kind]()
            done += 1
        wall, client = time.perf_counter() - start, time.process_time() - busy
        after = processor_seconds(pids)
        both = None if server is None or after is None else after - server
        pipe.send((done, Cost(wall, client, both)))


class _SqlWriter:
    """Plain psycopg: BEGIN, the subject's statements, prepared, and COMMIT."""

    def __init__(self, of: Subject, address: str, synchronous: bool) -> None:
        self._connection = connect(make_url(address), synchronous=synchronous)
        self.pid = self._connection.info.backend_pid
        names = COLUMNS[ITEM]
        values = ", ".join(f"%({name})s" for name in names)
        self._begin = ["BEGIN", *of.begin()]
        self._insert = of.insert(ITEM, ", ".join(names), f"VALUES ({values})")
        changes = "quantity = %(quantity)s, note = %(note)s"
        self._update = of.update(ITEM, changes, "id = %(id)s")
        self._delete = of.delete(ITEM, "id = %(id)s")

    def insert(self, key: int) -> None:
        self._run(self._insert, item_values(key))

    def update(self, key: int, value: int) -> None:
        self._run(self._update, {"id": key, "quantity": value, "note": remark(value)})

    def delete(self, key: int) -> None:
        self._run(self._delete, {"id": key})

    def _run(self, statements: list[str], values: dict[str, Any]) -> None:
        for statement in [*self._begin, *statements]:
            self._connection.execute(statement, values if "%(" in statement else None, prepare=True)
        self._connection.execute("COMMIT", prepare=True)

    def close(self) -> None:
        self._connection.close()


class _OrmWriter:
    """A session: load or make the object, change it, commit."""

    def __init__(self, of: Subject, address: str, synchronous: bool) -> None:
        self._subject = of
        self._engine = engine_for(make_url(address), synchronous=synchronous)
        self._connection = self._engine.connect()
        driver: Any = self._connection.connection.dbapi_connection
        self.pid = driver.info.backend_pid
        self._item = of.models.classes[ITEM]

    def insert(self, key: int) -> None:
        self._run(lambda session: session.add(self._item(**item_values(key))))

    def update(self, key: int, value: int) -> None:
        def change(session: Session) -> None:
            one = session.get_one(self._item, key)
            one.quantity, one.note = value, remark(value)

        self._run(change)

    def delete(self, key: int) -> None:
        self._run(lambda session: session.delete(session.get_one(self._item, key)))

    def _run(self, change: Callable[[Session], object]) -> None:
        with Session(self._connection) as session:
            change(session)
            session.flush()
            self._subject.before_commit(session, ITEM)
            session.commit()

    def close(self) -> None:
        self._connection.close()
        self._engine.dispose()
