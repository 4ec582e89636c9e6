"""History that grows: archiving it to Parquet, purging it, and partitioning it by month."""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Engine

from benchmarks.bench import Bench
from benchmarks.measure import Figure, spread
from benchmarks.tables import VERSIONED, insert_generated, items, settle
from sqlalchemy_temporal import archive_history, partition_history, purge_history

SECTION = "archive"
_UPDATES = 10
_MEBI = 2**20


def resident() -> int:
    """Bytes of memory; where the system does not tell, the most there ever were."""
    pages = Path("/proc/self/statm")
    if pages.exists():
        return int(pages.read_text(encoding="ascii").split()[1]) * resource.getpagesize()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


@dataclass
class _Memory:
    """The most memory of this process while something ran, beyond what it had before."""

    before: int = field(default_factory=resident)
    peak: int = 0

    def look(self, *_: int) -> None:
        """A progress callback."""
        self.peak = max(self.peak, resident() - self.before)


def measure(bench: Bench) -> list[Figure]:
    """Seconds for all versions of a table, each of whose rows has eleven."""
    rows = bench.sizes.archive_versions // _UPDATES
    versions = rows * _UPDATES
    with bench.engine() as engine, items(engine, bare=True):
        bench.tell(f"making {versions} versions")
        with bench.driver() as driver:
            driver.execute(insert_generated(VERSIONED, 1, rows))
        update = [_update(engine) for _ in range(_UPDATES)]
        with bench.driver() as driver:
            settle(driver)
        figures = [
            _figure("UPDATE of the whole table, history in one table", update, rows, "rows"),
            *_archived(bench, engine, versions),
        ]
        bench.tell("partitioning")
        took = _seconds(lambda: partition_history(engine, VERSIONED))
        figures.append(_figure("partitioning a history that exists", [took], versions))
        update = [_update(engine)]
        figures.append(
            _figure("UPDATE of the whole table, history in months", update, rows, "rows")
        )
        bench.tell("purging")
        took = _seconds(lambda: purge_history(engine, "HEAD", dry_run=False))
        figures.append(_figure("purging, row by row in batches", [took], versions + rows))
    return figures


def _archived(bench: Bench, engine: Engine, versions: int) -> list[Figure]:
    bench.tell("archiving")
    memory = _Memory()
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "items.parquet"
        took = _seconds(
            lambda: archive_history(engine, "HEAD", path, VERSIONED, progress=memory.look)
        )
        size = path.stat().st_size
    return [
        _figure("archiving to Parquet, with reading back", [took], versions),
        Figure(SECTION, "memory that archiving takes", "MiB", spread([memory.peak / _MEBI])),
        Figure(SECTION, "bytes of the archive, per version", "B", spread([size / versions])),
    ]


def _update(engine: Engine) -> float:
    def run() -> None:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"UPDATE {VERSIONED} SET quantity = quantity + 1")

    return _seconds(run)


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _figure(name: str, samples: list[float], number: int, what: str = "versions") -> Figure:
    return Figure(SECTION, f"{name} ({number:,} {what})", "s", spread(samples))
