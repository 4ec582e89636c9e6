"""One process for each subject, with a database of its own, asked in turn.

Some of the subjects attach listeners to every mapper and session of their process, so each has
one to itself. The processes live through the whole run and work only when they are told to, one
at a time: samples of all subjects alternate as they would in one process.
"""

from __future__ import annotations

import multiprocessing
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection as Pipe
from typing import Any

import psycopg
from sqlalchemy import URL, Connection, Engine, create_engine, make_url

from benchmarks.bench import connect
from benchmarks.models import Models
from benchmarks.sizes import Sizes
from benchmarks.subjects import SUBJECTS, Subject, subject

_GRACE = 10.0
"""Seconds for a process to end by itself."""


class WorkerError(RuntimeError):
    """A subject failed; the message is the traceback of its process."""


@dataclass
class Context:
    """What a subject's process has.

    Attributes:
        subject: The subject, its models declared and its tables made.
        url: Its database.
        sizes: How much to measure.
        state: What the section that is measured keeps between its calls.
    """

    subject: Subject
    url: URL
    sizes: Sizes
    state: dict[str, Any] = field(default_factory=dict)
    _engines: dict[bool, Engine] = field(default_factory=dict)
    _drivers: dict[bool, psycopg.Connection[Any]] = field(default_factory=dict)

    @property
    def models(self) -> Models:
        """The subject's models."""
        return self.subject.models

    def engine(self, *, synchronous: bool = False) -> Engine:
        """An engine whose connections commit synchronously, or not."""
        if synchronous not in self._engines:
            self._engines[synchronous] = engine_for(
                self.url, synchronous=synchronous, seconds=self.sizes.statement_seconds
            )
        return self._engines[synchronous]

    def driver(self, *, synchronous: bool = False) -> psycopg.Connection[Any]:
        """A connection of plain psycopg, in autocommit."""
        if synchronous not in self._drivers:
            self._drivers[synchronous] = connect(self.url, synchronous=synchronous)
            self.limit(self.sizes.statement_seconds, synchronous=synchronous)
        return self._drivers[synchronous]

    def limit(self, seconds: float, *, synchronous: bool = False) -> None:
        """Let no statement of that connection take longer."""
        driver = self.driver(synchronous=synchronous)
        driver.execute(f"SET statement_timeout = {int(seconds * 1000)}")

    def admin(self) -> Connection:
        """A connection of its own, in autocommit; to be closed."""
        return self.engine().connect().execution_options(isolation_level="AUTOCOMMIT")

    def close(self) -> None:
        """Close all connections."""
        for driver in self._drivers.values():
            driver.close()
        for engine in self._engines.values():
            engine.dispose()


def engine_for(url: URL, *, synchronous: bool = False, seconds: float = 0.0) -> Engine:
    """An engine whose connections commit synchronously, or not.

    Parameters:
        url: the database.
        synchronous: whether they do.
        seconds: how long a statement may take; 0: as long as it likes.
    """
    options = (
        f"-c synchronous_commit={'on' if synchronous else 'off'} "
        f"-c statement_timeout={int(seconds * 1000)}"
    )
    return create_engine(url, connect_args={"options": options})


class Worker:
    """A subject's process, seen from the one that measures."""

    def __init__(self, key: str, process: Any, pipe: Pipe) -> None:
        self.key = key
        self._process = process
        self._pipe = pipe

    def __call__(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function of a module with the process's context; return what it returns."""
        self._pipe.send((function, arguments))
        return self.answer()

    def answer(self) -> Any:
        """Wait for the process; return what it has to say."""
        try:
            failed, value = self._pipe.recv()
        except EOFError:
            raise WorkerError(f"the process of {self.key} has ended") from None
        if failed:
            raise WorkerError(f"{self.key}: {value}")
        return value

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join(_GRACE)
        if self._process.is_alive():
            self._process.terminate()
            self._process.join(_GRACE)


@dataclass(frozen=True, slots=True)
class Workers:
    """All processes.

    Attributes:
        there: Those that can be measured, by their keys.
        missing: Why the others cannot.
    """

    there: Mapping[str, Worker]
    missing: Mapping[str, str]

    def __iter__(self) -> Iterator[Worker]:
        """Each of them."""
        return iter(self.there.values())

    def those(self, accepts: Callable[[type[Subject]], bool]) -> dict[str, Worker]:
        """Those whose subject is accepted."""
        return {key: one for key, one in self.there.items() if accepts(SUBJECTS[key])}


@contextmanager
def workers(addresses: Mapping[str, URL], sizes: Sizes) -> Iterator[Workers]:
    """Start a process for each subject.

    Parameters:
        addresses: An empty database for each, by the subject's key.
        sizes: How much to measure.
    """
    context = multiprocessing.get_context("spawn")
    with ExitStack() as stack:
        started = []
        for key, url in addresses.items():
            here, there = context.Pipe()
            address = url.render_as_string(hide_password=False)
            process = context.Process(target=_serve, args=(there, key, address, sizes))
            process.start()
            there.close()
            worker = Worker(key, process, here)
            stack.callback(worker.close)
            started.append(worker)
        reasons = {worker.key: worker.answer() for worker in started}
        yield Workers(
            {worker.key: worker for worker in started if not reasons[worker.key]},
            {key: reason for key, reason in reasons.items() if reason},
        )


def _serve(pipe: Pipe, key: str, address: str, sizes: Sizes) -> None:
    url = make_url(address)
    try:
        reason = _missing(key, url)
        context = None if reason else _made(key, url, sizes)
    except Exception:  # noqa: BLE001 - it is reported to the process that measures
        pipe.send((True, traceback.format_exc()))
        return
    pipe.send((False, reason))
    while context is not None:
        try:
            function, arguments = pipe.recv()
        except (EOFError, KeyboardInterrupt):
            break
        try:
            answer = (False, function(context, *arguments))
        except Exception:  # noqa: BLE001 - as above
            answer = (True, traceback.format_exc())
        pipe.send(answer)
    if context is not None:
        context.close()


def _missing(key: str, url: URL) -> str:
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            return SUBJECTS[key]().missing(connection)
    except ImportError as error:
        return f"not installed: {error}"
    finally:
        engine.dispose()


def _made(key: str, url: URL, sizes: Sizes) -> Context:
    context = Context(subject(key), url, sizes)
    context.subject.create(context.engine())
    return context
