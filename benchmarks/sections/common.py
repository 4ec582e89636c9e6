"""What sections that compare subjects have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from benchmarks.bench import Bench
from benchmarks.measure import Cost, Figure, Target, compare_costs, in_turn
from benchmarks.models import COLUMNS, ITEM, VERSIONED, generated
from benchmarks.subjects import BASE, SUBJECTS
from benchmarks.workers import Context, WorkerError

T = TypeVar("T")
NAMES = ", ".join(COLUMNS[ITEM])


def empty(context: Context) -> None:
    """Empty all tables and histories of a subject."""
    driver = context.driver()
    with driver.transaction():
        context.subject.empty(driver)


def filled(context: Context, rows: int) -> None:
    """Empty all tables, and put items into theirs."""
    empty(context)
    context.subject.seed(context.engine(), ITEM, generated(1, rows))
    vacuum(context)


def vacuum(context: Context) -> None:
    """Bring statistics, visibility maps and the log into an ordinary state."""
    with context.admin() as connection:
        tables = ", ".join([*VERSIONED, *context.subject.histories()])
        connection.exec_driver_sql(f"VACUUM (ANALYZE) {tables}")
        connection.exec_driver_sql("CHECKPOINT")


def figures(
    figure: Figure,
    samples: Mapping[str, Sequence[Cost]],
    targets: Mapping[str, Target] | None = None,
) -> Iterator[Figure]:
    """A figure for each subject, beside the unversioned one.

    Parameters:
        figure: What was measured, as yet without subject and samples.
        samples: Samples taken in turn, by subject.
        targets: What the ratio ought to be, by subject.
    """
    base = samples.get(BASE)
    for key in SUBJECTS:
        if key not in samples:
            continue
        other = None if key == BASE else base
        one = replace(
            figure,
            subject=key,
            against="unversioned" if other else "",
            target=(targets or {}).get(key) if other else None,
        )
        yield compare_costs(one, samples[key], other)


def take(
    bench: Bench,
    work: Mapping[str, Callable[[], T]],
    rounds: int,
    *,
    warm_up: int = 0,
    budget: float | None = None,
) -> dict[str, list[T]]:
    """Samples of subjects, taken in turn; one that fails takes no more part.

    Parameters:
        bench: Notes what failed, and why.
        work: What takes a sample, by subject.
        rounds: How many samples to take of each.
        warm_up: How many rounds to run first and forget.
        budget: Seconds that a subject may take.
    """
    failed: dict[str, str] = {}

    def guarded(key: str, sample: Callable[[], T]) -> Callable[[], T | None]:
        def run() -> T | None:
            if key in failed:
                return None
            try:
                return sample()
            except WorkerError as error:
                if bench.strict:
                    raise
                failed[key] = str(error).splitlines()[-1]
                return None

        return run

    taken = in_turn(
        {key: guarded(key, sample) for key, sample in work.items()},
        rounds,
        warm_up=warm_up,
        budget=budget,
    )
    for key, reason in failed.items():
        bench.problems.append(f"{SUBJECTS[key].title}: {reason}")
    return {
        key: [sample for sample in samples if sample is not None]
        for key, samples in taken.items()
        if key not in failed
    }
