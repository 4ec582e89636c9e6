"""What every section is given: a database, the sizes, and a way to report."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.conninfo import make_conninfo
from sqlalchemy import URL, Engine, create_engine

from benchmarks.measure import Figure
from benchmarks.sizes import Sizes

if TYPE_CHECKING:
    from benchmarks.workers import Workers


@dataclass(frozen=True, slots=True)
class Bench:
    """One run of the benchmark.

    Attributes:
        url: A database of its own.
        sizes: How much to measure.
        tell: Is called with what is being done.
        bare: Measure tables without foreign keys and indexes.
        processes: The processes of the subjects; None for sections that measure this library alone.
        strict: Whether a subject that fails ends the run, instead of missing in a section.
        problems: What failed.
    """

    url: URL
    sizes: Sizes
    tell: Callable[[str], None]
    bare: bool = False
    processes: Workers | None = None
    strict: bool = False
    problems: list[str] = field(default_factory=list)

    @property
    def workers(self) -> Workers:
        """The processes of the subjects."""
        if self.processes is None:
            raise RuntimeError("the subjects have not been started")
        return self.processes

    @contextmanager
    def engine(self, *, synchronous: bool = False) -> Iterator[Engine]:
        """An engine whose connections commit synchronously, or not."""
        setting = "on" if synchronous else "off"
        engine = create_engine(
            self.url, connect_args={"options": f"-c synchronous_commit={setting}"}
        )
        try:
            yield engine
        finally:
            engine.dispose()

    @contextmanager
    def driver(self, *, synchronous: bool = False) -> Iterator[psycopg.Connection[Any]]:
        """A connection of plain psycopg, in autocommit."""
        with connect(self.url, synchronous=synchronous) as connection:
            yield connection


def connect(url: URL, *, synchronous: bool = False) -> psycopg.Connection[Any]:
    """Connect with plain psycopg, in autocommit."""
    address = url.translate_connect_args(username="user", database="dbname")
    address.update((name, str(value)) for name, value in url.query.items())
    setting = "on" if synchronous else "off"
    return psycopg.connect(
        make_conninfo(**address),
        autocommit=True,
        options=f"-c synchronous_commit={setting}",
    )


Section = Callable[[Bench], Iterable[Figure]]
"""Makes its tables, measures, and drops them."""
