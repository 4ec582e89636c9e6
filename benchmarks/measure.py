"""Samples, their spread, and ratios of samples that were taken in turn.

Two things are compared by running them alternately, many times, in one process and against
one server. Each round gives one ratio; the figure is the median of these, and the quartiles
say how far it can be trusted. A disturbance from outside then meets both sides alike.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Sense = Literal["at most", "at least"]


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
    """

    section: str
    name: str
    unit: str
    ours: Spread
    base: Spread | None = None
    against: str = ""
    ratio: Spread | None = None
    target: Target | None = None

    @property
    def met(self) -> bool | None:
        """Whether the target was reached; None when there is none."""
        if self.target is None:
            return None
        return self.target.met((self.ratio or self.ours).median)


def spread(samples: Sequence[float]) -> Spread:
    """The median and the quartiles of ``samples``, of which there must be one at least."""
    if len(samples) == 1:
        return Spread(samples[0], samples[0], samples[0], 1)
    low, median, high = statistics.quantiles(samples, n=4, method="inclusive")
    return Spread(median, low, high, len(samples))


def in_turn(
    variants: Mapping[str, Callable[[], float]], rounds: int, *, warm_up: int = 0
) -> dict[str, list[float]]:
    """Run every variant once a round, the order turning round each time.

    Parameters:
        variants: Functions that do a piece of work and return its cost, by name.
        rounds: How many samples to take of each.
        warm_up: How many rounds to run first and forget.

    Returns:
        The samples of each variant, in the order of rounds.
    """
    samples: dict[str, list[float]] = {name: [] for name in variants}
    for turn in range(-warm_up, rounds):
        names = list(variants) if turn % 2 == 0 else list(reversed(list(variants)))
        for name in names:
            cost = variants[name]()
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
