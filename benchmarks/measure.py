"""Samples, their spread, and ratios of samples that were taken in turn.

Two things are compared by running them alternately, many times, in one process and against
one server. Each round gives one ratio; the figure is the median of these, and the quartiles
say how far it can be trusted. A disturbance from outside then meets both sides alike.
"""

from __future__ import annotations

import gc
import os
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, TypeVar

K = TypeVar("K")
T = TypeVar("T")
Sense = Literal["at most", "at least"]
_NANOSECONDS = 1e-9


@dataclass(frozen=True, slots=True)
class Cost:
    """What a piece of work took, in seconds or whatever it was scaled to.

    Attributes:
        wall: From beginning to end.
        client: Processor time of the processes that asked.
        server: Processor time of the server's processes that answered; None where the system
            does not tell.
    """

    wall: float
    client: float
    server: float | None = None

    @property
    def processor(self) -> float | None:
        """Processor time of both sides together."""
        return None if self.server is None else self.client + self.server

    def __mul__(self, factor: float) -> Cost:
        """The same in another unit, or for one of many pieces."""
        server = None if self.server is None else self.server * factor
        return Cost(self.wall * factor, self.client * factor, server)

    def __add__(self, other: Cost) -> Cost:
        """Two pieces of work as one."""
        both = self.server is not None and other.server is not None
        server = (self.server or 0.0) + (other.server or 0.0) if both else None
        return Cost(self.wall + other.wall, self.client + other.client, server)


@dataclass(frozen=True, slots=True)
class Spread:
    """The middle of some samples and how they scatter.

    Attributes:
        median: The middle value.
        low: The first quartile.
        high: The third quartile.
        count: How many samples there were.
    """

    median: float
    low: float
    high: float
    count: int


@dataclass(frozen=True, slots=True)
class Target:
    """What a ratio, or a value without a base, ought to be."""

    sense: Sense
    value: float

    def met(self, measured: float) -> bool:
        """Whether a measured value reaches the target."""
        return measured <= self.value if self.sense == "at most" else measured >= self.value


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the results.

    Attributes:
        section: The part of the benchmark it belongs to.
        name: What was measured.
        unit: The unit of ``ours`` and ``base``.
        ours: The versioned side.
        base: What it is compared with, if anything.
        against: What ``base`` is.
        ratio: ``ours`` to ``base``, of samples taken in turn.
        target: What the ratio (or, without a base, the median) ought to be.
        subject: What was measured, by the key of its module.
        way: How it was asked: ``sql`` by plain psycopg, ``orm`` through a session.
        parameters: What distinguishes the work from others of the section.
        processor: Processor time of client and server together, in the unit of ``ours``.
        server: The server's part of it.
        processor_ratio: ``processor`` to that of ``base``, of samples taken in turn.
        note: Why there is no figure, or what to know about it.
    """

    section: str
    name: str
    unit: str
    ours: Spread | None
    base: Spread | None = None
    against: str = ""
    ratio: Spread | None = None
    target: Target | None = None
    subject: str = "triggers"
    way: str = ""
    parameters: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    processor: Spread | None = None
    server: Spread | None = None
    processor_ratio: Spread | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the target was reached; None when there is none."""
        judged = self.ratio or self.ours
        if self.target is None or judged is None:
            return None
        return self.target.met(judged.median)


def spread(samples: Sequence[float]) -> Spread:
    """The median and the quartiles of ``samples``, of which there must be one at least."""
    if len(samples) == 1:
        return Spread(samples[0], samples[0], samples[0], 1)
    low, median, high = statistics.quantiles(samples, n=4, method="inclusive")
    return Spread(median, low, high, len(samples))


def in_turn(
    variants: Mapping[K, Callable[[], T]],
    rounds: int,
    *,
    warm_up: int = 0,
    budget: float | None = None,
) -> dict[K, list[T]]:
    """Run every variant once a round, the order turning round each time.

    Parameters:
        variants: Functions that do a piece of work and return its cost, by name.
        rounds: How many samples to take of each.
        warm_up: How many rounds to run first and forget.
        budget: Seconds that a variant may take altogether: one that has used them, and has a
            sample, takes no more part. What is slow has fewer samples, and says so.

    Returns:
        The samples of each variant, in the order of rounds.
    """
    samples: dict[K, list[T]] = {name: [] for name in variants}
    used = dict.fromkeys(variants, 0.0)
    for turn in range(-warm_up, rounds):
        names = list(variants) if turn % 2 == 0 else list(reversed(list(variants)))
        for name in names:
            if budget is not None and used[name] > budget and (samples[name] or turn < 0):
                continue
            start = time.perf_counter()
            cost = variants[name]()
            used[name] += time.perf_counter() - start
            if turn >= 0:
                samples[name].append(cost)
    return samples


def compare(
    section: str,
    name: str,
    unit: str,
    ours: Sequence[float],
    base: Sequence[float],
    *,
    target: Target | None = None,
    against: str = "unversioned",
) -> Figure:
    """A figure of two series that :func:`in_turn` took."""
    ratios = [one / other for one, other in zip(ours, base, strict=True)]
    return Figure(section, name, unit, spread(ours), spread(base), against, spread(ratios), target)


def seconds(work: Callable[[], object]) -> float:
    """How long ``work`` takes, without Python's garbage collector.

    It would come by chance into some samples, and cost more than a read of many rows.
    """
    gc.collect(0)
    gc.disable()
    try:
        start = time.perf_counter()
        work()
        return time.perf_counter() - start
    finally:
        gc.enable()


def processor_seconds(pids: Iterable[int]) -> float | None:
    """How long processes have kept a processor busy; None where the system does not tell.

    Linux only, and only for a server on this machine.
    """
    total = 0.0
    for pid in pids:
        here = Path(f"/proc/{pid}")
        try:
            if "(postgres" not in (here / "stat").read_text(encoding="ascii", errors="replace"):
                return None  # the server runs elsewhere, and this is another process
            total += _busy(here)
        except OSError:
            return None
    return total


def _busy(process: Path) -> float:
    try:  # to the nanosecond, where the kernel keeps it
        return int((process / "schedstat").read_text().split()[0]) * _NANOSECONDS
    except (OSError, ValueError, IndexError):
        fields = (process / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cost(
    work: Callable[[], object],
    pids: Sequence[int],
    busy: Callable[[Sequence[int]], float | None] = processor_seconds,
) -> Cost:
    """What ``work`` takes, without Python's garbage collector.

    Parameters:
        work: What to do.
        pids: The server's processes that answer.
        busy: How long they have kept a processor busy.
    """
    gc.collect(0)
    gc.disable()
    try:
        before = busy(pids)
        own, start = time.process_time(), time.perf_counter()
        work()
        wall, client = time.perf_counter() - start, time.process_time() - own
        after = busy(pids)
    finally:
        gc.enable()
    server = None if before is None or after is None else after - before
    return Cost(wall, client, server)


def compare_costs(figure: Figure, ours: Sequence[Cost], base: Sequence[Cost] | None) -> Figure:
    """Fill in a figure from series that :func:`in_turn` took.

    Parameters:
        figure: What was measured, as yet without samples.
        ours: The samples.
        base: Those of what it is compared with. When one has fewer, for it took too long, the
            first of the other are compared with them.
    """
    processor = [one.processor for one in ours if one.processor is not None]
    server = [one.server for one in ours if one.server is not None]
    filled = replace(
        figure,
        ours=spread([one.wall for one in ours]),
        processor=spread(processor) if processor else None,
        server=spread(server) if server else None,
    )
    if base is None:
        return filled
    pairs = list(zip(ours, base, strict=False))
    busy = [
        one.processor / other.processor
        for one, other in pairs
        if one.processor is not None and other.processor
    ]
    return replace(
        filled,
        base=spread([one.wall for one in base]),
        ratio=spread([one.wall / other.wall for one, other in pairs]),
        processor_ratio=spread(busy) if busy else None,
    )
