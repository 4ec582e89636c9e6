"""Memory of this process while it streams, archives and verifies millions of versions."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from sqlalchemy import Engine, select

from benchmarks.bench import Bench
from benchmarks.measure import Figure, seconds, spread
from benchmarks.sections.archive import resident
from benchmarks.tables import VERSIONED, insert_generated, items, settle
from sqlalchemy_temporal import Repository, archive_history, as_of

SECTION = "memory"
_UPDATES = 10
_MEBI = 2**20
_LOOK_EVERY = 0.05


def measure(bench: Bench) -> Iterator[Figure]:
    """Mebibytes at most, beyond what there was before."""
    versions = bench.sizes.memory_versions
    if not versions:
        return
    rows = versions // _UPDATES
    with bench.engine() as engine, items(engine, bare=True) as tables:
        bench.tell(f"making {versions:,} versions")
        with bench.driver() as driver:
            driver.execute(insert_generated(VERSIONED, 1, rows))
            for _ in range(_UPDATES):
                driver.execute(f"UPDATE {VERSIONED} SET quantity = quantity + 1")
                driver.execute(f"VACUUM {VERSIONED}")
            settle(driver)
        table = tables[VERSIONED]

        def stream() -> None:
            with engine.connect() as connection, as_of(connection, "HEAD~5") as past:
                count = sum(1 for _ in past.execute(select(table), execution_options=_STREAM))
            if count != rows:
                raise RuntimeError(f"{count} rows were streamed, not {rows}")

        def verify() -> None:
            with engine.connect() as connection:
                found = Repository(connection).verify()
            if not found.ok:
                raise RuntimeError(f"the benchmark's own database does not verify: {found}")

        for name, work in (
            (f"streaming {rows:,} rows as of a moment", stream),
            (f"hashing and verifying {versions:,} versions", verify),
            (f"archiving {versions:,} versions", lambda: _archive(engine)),
        ):
            bench.tell(name)
            peak, took = _peak(work)
            yield Figure(SECTION, f"{name}: memory", "MiB", spread([peak / _MEBI]))
            yield Figure(SECTION, f"{name}: time", "s", spread([took]))


_STREAM = {"yield_per": 1000}


def _archive(engine: Engine) -> None:
    with tempfile.TemporaryDirectory() as directory:
        archive_history(engine, "HEAD", Path(directory) / "items.parquet", VERSIONED)


def _peak(work: Callable[[], object]) -> tuple[float, float]:
    """The most memory while something ran, looked at twenty times a second; and its time."""
    before = resident()
    most, done = [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(_LOOK_EVERY):
            most[0] = max(most[0], resident() - before)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        took = seconds(work)
    finally:
        done.set()
        watcher.join()
    return most[0], took
