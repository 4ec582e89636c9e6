"""What hashes cost: giving them to commits after the fact, and computing all of them anew.

Half of the changed rows are inserted, the other half are updates of these, and some single-row
commits follow. Peak memory is that of this process, which must not grow with the rows.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator

from sqlalchemy import Engine

from benchmarks.bench import Bench
from benchmarks.measure import Figure, seconds, spread
from benchmarks.tables import VERSIONED, insert_generated, items, settle
from sqlalchemy_temporal.repository import Repository, Verification

SECTION = "verify"


def measure(bench: Bench) -> list[Figure]:
    """Microseconds a row to hash; seconds and megabytes to verify."""
    with bench.engine() as engine, items(engine, bare=bench.bare):
        figures = list(_hashing(bench, engine))
        return figures + list(_verifying(bench, engine))


def _hashing(bench: Bench, engine: Engine) -> Iterator[Figure]:
    half, singles = bench.sizes.verify_rows // 2, bench.sizes.verify_commits
    _hash(engine)
    with bench.driver() as connection:
        for label, statement in (
            ("inserted", insert_generated(VERSIONED, 1, half)),
            ("updated", f"UPDATE {VERSIONED} SET quantity = quantity + 1"),
        ):
            bench.tell(f"{half:,} rows {label}")
            connection.execute(statement)
            if label == "inserted":
                settle(connection)
            took = _hash(engine) / half * 1e6
            yield Figure(SECTION, f"hash a row {label}, of {half:,}", "µs", spread([took]))
        bench.tell("single rows")
        for label, statement in (
            ("update", f"UPDATE {VERSIONED} SET quantity = 0 WHERE id = 1 + i % {half}"),
            ("insert", _insert_numbered(half)),
        ):
            connection.execute(
                f"DO $$ BEGIN FOR i IN 1..{singles} LOOP {statement}; COMMIT; END LOOP; END $$"
            )
            took = _hash(engine) / singles * 1e6
            name = f"hash a commit of one {label}, {singles:,} at once"
            yield Figure(SECTION, name, "µs", spread([took]))
            connection.execute(f"DO $$ DECLARE i int := 0; BEGIN {statement}; END $$")
            took = _hash(engine) * 1e3
            name = f"hash a single commit of one {label}"
            yield Figure(SECTION, name, "ms", spread([took]))


def _insert_numbered(rows: int) -> str:
    """An INSERT of the row after the last one and ``i`` more."""
    return (
        f"INSERT INTO {VERSIONED} (id, name, amount, quantity, active, created_at) "
        f"VALUES ({rows + 1} + i, 'Item', 1, 1, true, now())"
    )


def _verifying(bench: Bench, engine: Engine) -> Iterator[Figure]:
    rows = bench.sizes.verify_rows
    before = _peak()
    found: list[Verification] = []

    def verify() -> None:
        with engine.connect() as connection:
            found.append(Repository(connection).verify())

    bench.tell(f"verifying {rows:,} rows")
    took = seconds(verify)
    if not found[0].ok:
        raise RuntimeError(f"the benchmark's own database does not verify: {found[0]}")
    yield Figure(SECTION, f"verify {rows:,} changed rows", "s", spread([took]))
    yield Figure(SECTION, "memory that takes in the client", "MB", spread([_peak() - before]))


def _hash(engine: Engine) -> float:
    def work() -> None:
        with engine.connect() as connection:
            Repository(connection).hash_commits()

    return seconds(work)


def _peak() -> float:
    """The most memory this process has had, in megabytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)
