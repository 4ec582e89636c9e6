"""Statements over many rows, each in a transaction of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
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
        taken = {key: [one[kind] for one in found if kind in one] for key, found in samples.items()}
        late = [key for key, found in taken.items() if not found]
        taken = {key: found for key, found in taken.items() if found}
        figure = Figure(
            SECTION,
            f"{kind} of {rows:,} rows",
            "ms",
            None,
            way="sql",
            parameters={"kind": kind, "rows": rows},
        )
        yield from figures(figure, taken, {OURS: Target("at most", _TARGETS[kind])})
        for key in late:
            yield replace(figure, subject=key, note=f"over {bench.sizes.bulk_seconds:g} s")
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
        work = partial(_together, driver, [*subject.begin(), *texts])
        found = _limited(context, kind, work, pid)
        if found is not None:
            taken[kind] = found
        elif kind == "INSERT":  # the others want the rows
            empty(context)
            subject.seed(context.engine(), ITEM, generated(1, rows))
        vacuum(context)
    empty(context)
    vacuum(context)
    data = _copy_data(driver, rows)
    found = _limited(context, "COPY", partial(_copy, context, driver, data), pid)
    if found is not None:
        taken["COPY"] = found
    empty(context)
    return {kind: one * 1e3 for kind, one in taken.items()}


def _limited(
    context: Context, kind: str, work: Callable[[], object], pids: list[int]
) -> Cost | None:
    """What it takes; None when it took too long, and then it is not tried again."""
    given_up: set[str] = context.state.setdefault("given up", set())
    if kind in given_up:
        return None
    context.limit(context.sizes.bulk_seconds)
    try:
        return cost(work, pids)
    except psycopg.errors.QueryCanceled:
        given_up.add(kind)
        return None
    finally:
        context.limit(context.sizes.statement_seconds)


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
