"""The parts of the benchmark, by the names that ``--only`` takes."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.bench import Section
from benchmarks.sections import (
    archive,
    barrier,
    bulk,
    concurrent,
    overhead,
    plans,
    reads,
    repository,
    single,
    storage,
    verify,
)

SECTIONS: Mapping[str, tuple[str, Section]] = {
    "single": ("Single-row transactions, one client", single.measure),
    "concurrent": ("Single-row transactions, many clients", concurrent.measure),
    "bulk": ("Statements over many rows", bulk.measure),
    "plans": ("Statements after others on one connection", plans.measure),
    "reads": ("Reads of the past", reads.measure),
    "overhead": ("Python's part in reads of the past", overhead.measure),
    "barrier": ("Resolving HEAD, and sealing", barrier.measure),
    "storage": ("Bytes", storage.measure),
    "repository": ("Comparing commits and returning to them", repository.measure),
    "archive": ("History that grows", archive.measure),
    "verify": ("Hashes, and verifying them", verify.measure),
}
"""A title and a function by name, in the order they are run."""
