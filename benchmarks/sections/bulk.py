"""Statements over many rows, each in a transaction of its own."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import psycopg

from benchmarks.bench import Bench
from benchmarks.measure import Cost, Figure, Target, compare_costs, cost
from benchmarks.models import ITEM, generated
from benchmarks.sections.common import NAMES, empty, figures, take, vacuum
from benchmarks.subjects import OURS
from benchmarks.workers import Context

SECTION = "bulk"
KINDS = ("INSERT", "UPDATE", "DELETE", "COPY")
_TARGETS = {"INSERT": 1.3, "COPY": 1.3, "UPDATE": 2.2, "DELETE": 4.5}
_BY_HAND = Target("at most", 1.15)
CHANGE = "quantity = quantity + 1, note = 'Changed by a statement over many rows, ' || id"


def measure(bench: Bench) -> Iterator[Figure]:
    """INSERT, UPDATE, DELETE and COPY of many rows by plain psycopg, in milliseconds."""
    rows = bench.sizes.bulk_rows
    there = bench.workers.those(lambda kind: kind.records_sql)

    def round_of(key: str) -> dict[str, Cost]:
        bench.tell(f"{rows:,} rows, {key}")
        found: dict[str, Cost] = there[key](sample, rows)
        return found

    samples = take(
        bench,
        {key: partial(round_of, key) for key in there},
        bench.sizes.bulk_rounds,
        budget=bench.sizes.bulk_budget,
    )
    for kind in KINDS:
        taken = {key: [one[kind] for one in found] for key, found in samples.items()}
        figure = Figure(
            SECTION,
            f"{kind} of {rows:,} rows",
            "ms",
            None,
            way="sql",
            parameters={"kind": kind, "rows": rows},
        )
        yield from figures(figure, taken, {OURS: Target("at most", _TARGETS[kind])})
        if OURS in taken and "by_hand" in taken:
            against = Figure(
                SECTION,
                f"{kind} of {rows:,} rows",
                "ms",
                None,
                way="sql",
                against="by hand",
                target=_BY_HAND,
                parameters={"kind": kind, "rows": rows},
            )
            yield compare_costs(against, taken[OURS], taken["by_hand"])


def sample(context: Context, rows: int) -> dict[str, Cost]:
    """One sample of each, in milliseconds, on tables as if they were new."""
    driver, subject = context.driver(), context.subject
    pid = [driver.info.backend_pid]
    taken = {}
    empty(context)
    vacuum(context)
    statements = {
        "INSERT": subject.insert(ITEM, NAMES, generated(1, rows)),
        "UPDATE": subject.update(ITEM, CHANGE, "true"),
        "DELETE": subject.delete(ITEM, "true"),
    }
    for kind, texts in statements.items():
        taken[kind] = cost(partial(_together, driver, [*subject.begin(), *texts]), pid)
        vacuum(context)
    empty(context)
    vacuum(context)
    data = _copy_data(driver, rows)
    taken["COPY"] = cost(partial(_copy, context, driver, data), pid)
    empty(context)
    return {kind: one * 1e3 for kind, one in taken.items()}


def _together(driver: psycopg.Connection[Any], statements: list[str]) -> None:
    with driver.transaction():
        for statement in statements:
            driver.execute(statement)


def _copy(context: Context, driver: psycopg.Connection[Any], data: bytes) -> None:
    with driver.transaction():
        for statement in context.subject.begin():
            driver.execute(statement)
        with driver.cursor() as cursor, cursor.copy(f"COPY {ITEM} ({NAMES}) FROM STDIN") as copy:
            copy.write(data)
        for statement in context.subject.copied(ITEM):
            driver.execute(statement)


def _copy_data(driver: psycopg.Connection[Any], rows: int) -> bytes:
    question = f"COPY ({generated(1, rows)}) TO STDOUT"
    with driver.cursor() as cursor, cursor.copy(question) as copy:
        return b"".join(bytes(part) for part in copy)
