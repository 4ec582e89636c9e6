"""What Python adds to a read of the past beyond what it adds to one of the present.

The same rows are read through SQLAlchemy and by the driver alone, with the same SQL, both now
and as of a moment. What remains of a read through SQLAlchemy without that by the driver is
Python's share; what it is more for the past is the overhead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from benchmarks.bench import Bench
from benchmarks.measure import Figure, Target, in_turn, spread
from benchmarks.reading import Item, each, get, mapped, sent
from benchmarks.tables import VERSIONED, insert_generated, items, settle
from sqlalchemy_temporal.clock.resolve import resolve
from sqlalchemy_temporal.reading.as_of import as_of

SECTION = "overhead"
_TARGET = Target("at most", 80.0)
_ROWS = 200
_WAYS = {
    "again": "Core, a statement executed again",
    "new": "Core, a statement made each time",
    "session": "Core through a session",
    "get": "Session.get",
    "objects": "objects by a SELECT",
}
_Work = dict[str, Callable[[], float]]


def measure(bench: Bench) -> list[Figure]:
    """Rows by key, asked for in the ways that applications do."""
    with bench.engine() as engine, items(engine, bare=bench.bare) as tables:
        table = tables[VERSIONED]
        with bench.driver() as driver:
            driver.execute(insert_generated(VERSIONED, 1, _ROWS))
            driver.execute(f"UPDATE {VERSIONED} SET quantity = quantity + 1")
            driver.execute("SELECT temporal_versioning.seal()")
            settle(driver)
        keys = [1 + i * 7919 % _ROWS for i in range(bench.sizes.point_block)]
        bench.tell("rows by key")
        with (
            mapped(table),
            engine.connect() as connection,
            Session(connection) as session,
            bench.driver() as driver,
        ):
            moment = resolve(connection, "HEAD~1")
            with as_of(session, moment) as then, as_of(connection, moment) as core:
                work = {
                    **_asked("live", table, keys, connection, session),
                    **_asked("past", table, keys, core, then),
                }
                statement = select(table).where(table.c.id == keys[0])
                driver.execute("BEGIN")
                for name, run in (("live", connection.execute), ("past", core.execute)):
                    work[f"sql {name}"] = _driven(
                        driver, sent(connection, lambda run=run: run(statement)), keys
                    )
                samples = in_turn(work, bench.sizes.point_rounds, warm_up=2)
    return [figure for way in _WAYS for figure in _figures(way, samples)]


def _asked(name: str, table: Any, keys: Sequence[int], connection: Any, session: Any) -> _Work:
    """The ways of reading, on a connection and a session of the present or the past."""
    kept = [select(table).where(table.c.id == key) for key in keys]
    made = [select(Item).where(table.c.id == key) for key in keys]

    def objects(statement: Any) -> object:
        session.expunge_all()
        return session.scalars(statement).one()

    return {
        f"again {name}": each(kept, lambda one: connection.execute(one).one()),
        f"new {name}": each(
            keys, lambda key: connection.execute(select(table).where(table.c.id == key)).one()
        ),
        f"session {name}": each(kept, lambda one: session.execute(one).one()),
        f"get {name}": each(keys, lambda key: get(session, key)),
        f"objects {name}": each(made, objects),
    }


def _driven(driver: Any, question: tuple[str, Any], keys: Sequence[int]) -> Callable[[], float]:
    return each(keys, lambda _: driver.execute(*question, prepare=True).fetchone())


def _figures(way: str, samples: Mapping[str, Sequence[float]]) -> Iterator[Figure]:
    """Python's share in the past and the present with their ratio, and the difference."""
    shares = {
        name: [
            whole - alone
            for whole, alone in zip(samples[f"{way} {name}"], samples[f"sql {name}"], strict=True)
        ]
        for name in ("live", "past")
    }
    pairs = list(zip(shares["past"], shares["live"], strict=True))
    yield Figure(
        SECTION,
        f"{_WAYS[way]}, Python's share",
        "µs",
        spread(shares["past"]),
        spread(shares["live"]),
        "live",
        spread([past / live for past, live in pairs if live > 0] or [1.0]),
    )
    added = spread([past - live for past, live in pairs])
    yield Figure(SECTION, f"{_WAYS[way]}, added", "µs", added, target=_TARGET)
