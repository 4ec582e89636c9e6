"""Reads of the past against the same reads of the live table.

The moment is resolved once, before; what that costs is a figure of the section on the
barrier. Everything runs in one open transaction, so that a read is one round trip.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy import Engine, Table, func, select, text
from sqlalchemy.orm import Session

from benchmarks.bench import Bench
from benchmarks.measure import Figure, Target, compare, in_turn, seconds
from benchmarks.reading import Item, each, get, mapped, sent
from benchmarks.tables import VERSIONED, insert_generated, items, settle
from sqlalchemy_temporal.clock.moment import Moment
from sqlalchemy_temporal.clock.resolve import resolve
from sqlalchemy_temporal.reading.as_of import as_of

SECTION = "reads"
_TARGET = Target("at most", 1.6)
_DEPTH = Target("at most", 2.0)
_SINGLE_VERSION_ROWS = 100
_WAYS = {"core": "Core", "orm": "Session.get", "sql": "the same SQL by psycopg"}


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows that have the same number of versions.

    Attributes:
        versions: That number.
        keys: Keys of such rows.
        moments: The moments now, in the middle of their history and early in it.
    """

    versions: int
    keys: range
    moments: Mapping[str, Moment]


def measure(bench: Bench) -> list[Figure]:
    """Rows by key and whole tables, each at three moments."""
    figures: list[Figure] = []
    with bench.engine() as engine, items(engine, bare=bench.bare) as tables:
        table = tables[VERSIONED]
        with mapped(table):
            bench.tell("writing history to read")
            kinds = _write(bench, engine)
            for rows in kinds:
                for name in rows.moments:
                    bench.tell(f"by key, {rows.versions:,} versions, {name}")
                    figures += _by_key(bench, engine, table, rows, name)
            bench.tell("by key, many versions beside one")
            figures += _depth(bench, engine, table, kinds[0], kinds[-1])
            for name, moment in kinds[1].moments.items():
                bench.tell(f"whole table, {name}")
                figures += _whole(bench, engine, table, name, moment)
    return figures


def _write(bench: Bench, engine: Engine) -> list[Rows]:
    """Rows of one version, rows of some, and one row of very many."""
    sizes = bench.sizes
    rows, versions, many = sizes.table_rows, sizes.table_versions, sizes.hot_versions
    last = rows + _SINGLE_VERSION_ROWS + 1
    change = f"UPDATE {VERSIONED} SET quantity = quantity + 1"
    with bench.driver() as connection:
        connection.execute(insert_generated(VERSIONED, 1, last))
        for _ in range(versions - 1):
            connection.execute(f"{change} WHERE id <= {rows}")
            connection.execute(f"VACUUM {VERSIONED}")
        connection.execute(
            f"DO $$ BEGIN FOR i IN 2..{many} LOOP {change} WHERE id = {last}; "
            "COMMIT; END LOOP; END $$"
        )
        connection.execute("SELECT temporal_versioning.seal()")
        settle(connection)
    with engine.begin() as asking:
        listed = text("SELECT uuid FROM temporal_versioning.commit ORDER BY seq")
        uuids = asking.scalars(listed).all()[-(versions + many - 1) :]

        def at(**numbers: int) -> dict[str, Moment]:
            return {name: resolve(asking, uuids[n]) for name, n in numbers.items()}

        bulk = at(now=-1, middle=versions // 2, early=1)
        deep = at(now=-1, middle=versions + many // 2, early=versions + 1)
    return [
        Rows(1, range(rows + 1, last), bulk),
        Rows(versions, range(1, rows + 1), bulk),
        Rows(many, range(last, last + 1), deep),
    ]


def _by_key(bench: Bench, engine: Engine, table: Table, rows: Rows, name: str) -> Iterator[Figure]:
    """Read single rows through Core, the ORM, and by the driver alone."""
    keys = [rows.keys[i * 7919 % len(rows.keys)] for i in range(bench.sizes.point_block)]
    asked = [select(table).where(table.c.id == key) for key in keys]
    moment = rows.moments[name]
    with (
        engine.connect() as connection,
        Session(connection) as session,
        as_of(session, moment) as then,
        as_of(connection, moment) as core,
        bench.driver() as driver,
    ):
        live = sent(connection, lambda: connection.execute(asked[0]))
        past = sent(connection, lambda: core.execute(asked[0]))
        driver.execute("BEGIN")
        work = {
            "core live": each(asked, lambda one: connection.execute(one).one()),
            "core past": each(asked, lambda one: core.execute(one).one()),
            "orm live": each(keys, lambda key: get(session, key)),
            "orm past": each(keys, lambda key: get(then, key)),
            "sql live": each(keys, lambda _: driver.execute(*live, prepare=True).fetchone()),
            "sql past": each(keys, lambda _: driver.execute(*past, prepare=True).fetchone()),
        }
        samples = in_turn(work, bench.sizes.point_rounds, warm_up=2)
    label = f"by key, {rows.versions:,} version(s), {name}"
    for way, title in _WAYS.items():
        yield compare(
            SECTION,
            f"{label}, {title}",
            "µs",
            samples[f"{way} past"],
            samples[f"{way} live"],
            target=None if way == "sql" else _TARGET,
            against="live",
        )


def _depth(bench: Bench, engine: Engine, table: Table, few: Rows, many: Rows) -> Iterator[Figure]:
    """A row of very many versions beside rows of one, at a moment amid its history."""
    with engine.connect() as connection, as_of(connection, many.moments["middle"]) as core:
        samples = in_turn(
            {
                str(rows.versions): each(
                    [
                        select(table).where(table.c.id == rows.keys[i % len(rows.keys)])
                        for i in range(bench.sizes.point_block)
                    ],
                    lambda one: core.execute(one).one(),
                )
                for rows in (few, many)
            },
            bench.sizes.point_rounds,
            warm_up=2,
        )
    yield compare(
        SECTION,
        f"by key, {many.versions:,} versions",
        "µs",
        samples[str(many.versions)],
        samples[str(few.versions)],
        target=_DEPTH,
        against=f"{few.versions} version",
    )


def _whole(
    bench: Bench, engine: Engine, table: Table, name: str, moment: Moment
) -> Iterator[Figure]:
    """Fetch all rows, and count them."""
    everything, count = select(table), select(func.count()).select_from(table)
    with (
        engine.connect() as connection,
        Session(connection) as session,
        as_of(connection, moment) as then,
        as_of(session, moment) as objects,
    ):
        work: dict[str, Callable[[], object]] = {
            "core live": lambda: connection.execute(everything).all(),
            "core past": lambda: then.execute(everything).all(),
            "orm live": lambda: session.scalars(select(Item)).all(),
            "orm past": lambda: objects.scalars(select(Item)).all(),
            "count live": lambda: connection.scalar(count),
            "count past": lambda: then.scalar(count),
        }

        def timed(one: Callable[[], object]) -> Callable[[], float]:
            def run() -> float:
                session.expunge_all()
                objects.expunge_all()
                return seconds(one) * 1000

            return run

        variants = {way: timed(one) for way, one in work.items()}
        samples = in_turn(variants, bench.sizes.table_rounds, warm_up=1)
    sizes = bench.sizes
    for way, title in (("core", "rows by Core"), ("orm", "objects"), ("count", "count(*)")):
        yield compare(
            SECTION,
            f"{sizes.table_rows:,} rows of {sizes.table_versions} versions, {name}, {title}",
            "ms",
            samples[f"{way} past"],
            samples[f"{way} live"],
            target=None if way == "count" else _TARGET,
            against="live",
        )
