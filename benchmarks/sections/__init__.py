"""The parts of the benchmark, by the names that ``--only`` takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.bench import Section as Measure
from benchmarks.sections import (
    airports,
    archive,
    barrier,
    bulk,
    flush,
    mariadb,
    memory,
    overhead,
    plans,
    reads,
    repository,
    storage,
    transactions,
    verify,
)


@dataclass(frozen=True, slots=True)
class Section:
    """A workload.

    Attributes:
        title: What it is.
        measure: Makes its tables, measures, and drops them.
        compares: Whether it runs over all subjects, or over this library alone.
    """

    title: str
    measure: Measure
    compares: bool = True


SECTIONS: Mapping[str, Section] = {
    "transactions": Section("Transactions of one row", transactions.measure),
    "flush": Section("Many objects in one flush of the ORM", flush.measure),
    "bulk": Section("Statements over many rows", bulk.measure),
    "storage": Section("Bytes", storage.measure),
    "airports": Section("Five years of airports, release by release", airports.measure),
    "reads": Section("Reads, as history grows", reads.measure),
    "plans": Section("Statements after others on one connection", plans.measure, compares=False),
    "overhead": Section("Python's part in reads of the past", overhead.measure, compares=False),
    "barrier": Section("Resolving HEAD, and sealing", barrier.measure, compares=False),
    "repository": Section(
        "Comparing commits and returning to them", repository.measure, compares=False
    ),
    "archive": Section("History that grows", archive.measure, compares=False),
    "verify": Section("Hashes, and verifying them", verify.measure, compares=False),
    "memory": Section("Memory, at millions of versions", memory.measure, compares=False),
    "mariadb": Section("An outside yardstick: MariaDB", mariadb.measure, compares=False),
}
"""In the order in which they are run."""
