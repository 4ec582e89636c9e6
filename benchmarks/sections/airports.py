"""A real data set: the world's airports, release by release, each release a transaction."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from typing import Any

import psycopg
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from benchmarks.bench import Bench
from benchmarks.measure import Cost, Figure, cost
from benchmarks.models import AIRPORT, COLUMNS
from benchmarks.sections.common import empty, figures, take, vacuum
from benchmarks.subjects import Moment
from benchmarks.workers import Context
from examples.airports import read_releases

SECTION = "airports"
_ORM_SHARE = 10
"""Sessions load so many times fewer: some of the subjects take a minute for all of them."""
_REST = [name for name in COLUMNS[AIRPORT] if name != "icao"]
_NAMES = ", ".join(COLUMNS[AIRPORT])


def measure(bench: Bench) -> Iterator[Figure]:
    """Milliseconds for all releases, by COPY and SQL, and by sessions."""
    sizes = bench.sizes
    plain = bench.workers.those(lambda kind: kind.records_sql)
    objects = bench.workers.those(lambda kind: kind.has_orm and kind.key != "snapshot")
    for way, there, share in (
        ("sql", plain, sizes.airports_share),
        ("orm", objects, sizes.airports_share * _ORM_SHARE),
    ):
        bench.tell(f"{way}: {sizes.releases} releases")
        samples = take(
            bench,
            {
                key: partial(worker, load, way, sizes.releases, share)
                for key, worker in there.items()
            },
            sizes.airports_rounds,
            budget=sizes.airports_budget,
        )
        changes = sum(
            len(release[part])
            for release in releases(sizes.releases, share)
            for part in ("added", "changed", "removed")
        )
        figure = Figure(
            SECTION,
            f"{sizes.releases} releases, {changes:,} changes",
            "ms",
            None,
            way=way,
            parameters={"releases": sizes.releases, "changes": changes},
        )
        yield from figures(figure, samples)


@cache
def releases(number: int, share: int) -> Sequence[Mapping[str, list[Any]]]:
    """The first releases, as changes to one of so many airports."""

    def chosen(code: str) -> bool:
        return zlib.crc32(code.encode()) % share == 0

    return [
        {
            "added": [row for row in release["added"] if chosen(row["icao"])],
            "changed": [row for row in release["changed"] if chosen(row["icao"])],
            "removed": [code for code in release["removed"] if chosen(code)],
        }
        for release in read_releases(number)
    ]


def load(context: Context, way: str, number: int, share: int) -> Cost:
    """Load releases into the empty table; return the cost of all, in milliseconds."""
    chosen = releases(number, share)
    empty(context)
    vacuum(context)
    total = Cost(0.0, 0.0, 0.0)
    moments: list[Moment] = []
    for release in chosen:
        total += _by_sql(context, release) if way == "sql" else _by_session(context, release)
        with context.engine().begin() as connection:
            moments.append(context.subject.moment(connection))
    _check(context, chosen, moments)
    return total * 1e3


def _check(
    context: Context, chosen: Iterable[Mapping[str, list[Any]]], moments: Sequence[Moment]
) -> None:
    """Refuse a subject that does not know how many airports there were after each release."""
    expected = 0
    subject = context.subject
    for release, moment in zip(chosen, moments, strict=True):
        expected += len(release["added"]) - len(release["removed"])
        if not subject.has_past:
            continue
        with context.engine().connect() as connection, subject.reading(connection, moment) as past:
            airport = subject.relation(context.models.table(AIRPORT), moment)
            found = past.scalar(select(func.count()).select_from(airport))
        if found != expected:
            raise RuntimeError(f"{found} airports where there were {expected}")


def _by_sql(context: Context, release: Mapping[str, list[Any]]) -> Cost:
    driver, subject = context.driver(), context.subject
    values = ", ".join(f"p.{name}" for name in _REST)
    statements = [
        *subject.begin(),
        *subject.delete(AIRPORT, "icao IN (SELECT icao FROM removed)"),
        *subject.update(
            AIRPORT,
            f"({', '.join(_REST)}) = (SELECT {values} FROM changed AS c, "
            f"jsonb_populate_record({AIRPORT}, c.row) AS p WHERE c.icao = {AIRPORT}.icao)",
            "icao IN (SELECT icao FROM changed)",
        ),
        *subject.insert(
            AIRPORT,
            _NAMES,
            f"SELECT p.icao, {values} FROM added AS a, "
            f"jsonb_populate_record(NULL::{AIRPORT}, a.row) AS p",
        ),
    ]

    def work() -> None:
        with driver.transaction():
            for part in ("added", "changed", "removed"):
                _copy(driver, part, release[part])
            for statement in statements:
                driver.execute(statement)

    return cost(work, [driver.info.backend_pid])


def _copy(driver: psycopg.Connection[Any], name: str, rows: Iterable[Any]) -> None:
    driver.execute(f"CREATE TEMP TABLE {name} (icao text PRIMARY KEY, row jsonb) ON COMMIT DROP")
    with driver.cursor() as cursor, cursor.copy(f"COPY {name} FROM STDIN") as copy:
        for row in rows:
            code = row if isinstance(row, str) else row["icao"]
            copy.write_row((code, json.dumps(row)))


def _by_session(context: Context, release: Mapping[str, list[Any]]) -> Cost:
    airport = context.models.classes[AIRPORT]
    with Session(context.engine()) as session:
        driver: Any = session.connection().connection.dbapi_connection

        def work() -> None:
            changed = {row["icao"]: row for row in release["changed"]}
            codes = [*changed, *release["removed"]]
            found = session.scalars(select(airport).where(airport.icao.in_(codes))).all()
            for one in found:
                if one.icao in changed:
                    for name, value in changed[one.icao].items():
                        setattr(one, name, value)
                else:
                    session.delete(one)
            session.add_all([airport(**row) for row in release["added"]])
            session.flush()
            session.commit()

        return cost(work, [driver.info.backend_pid])
