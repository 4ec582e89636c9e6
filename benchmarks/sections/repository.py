"""Commits: what differs between two, returning to one, and what each takes to keep.

The naive way to version a table is to keep, for each commit, the whole table as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Engine, text

from benchmarks.bench import Bench
from benchmarks.measure import Figure, Target, in_turn, seconds, spread
from benchmarks.reading import sent
from benchmarks.tables import COLUMNS, HISTORY, VERSIONED, insert_generated, items, settle
from sqlalchemy_temporal import Repository

SECTION = "repository"
_VERSIONS = 10
_FEW = 10
_SYSTEM = "temporal_versioning"
_AIM = Target("at most", 5.0)


def measure(bench: Bench) -> list[Figure]:
    """Milliseconds and bytes, on a table whose rows have ten versions each."""
    rows, large = bench.sizes.repository_rows, bench.sizes.repository_changes
    rounds = bench.sizes.repository_rounds
    with bench.engine() as engine, items(engine) as _:
        bench.tell(f"making {rows * _VERSIONS} versions")
        with bench.driver() as driver:
            driver.execute(insert_generated(VERSIONED, 1, rows))
            for _ in range(_VERSIONS - 1):
                driver.execute(f"UPDATE {VERSIONED} SET quantity = quantity + 1")
            settle(driver)
        figures = _stored(engine, rows, large)
        tags = _commits(engine, rows, large)
        with bench.driver() as driver:
            settle(driver)
        bench.tell("comparing commits")
        with engine.connect() as connection:
            figures += _compared(connection, tags, rounds)
        bench.tell("returning to commits")
        figures += _restored(engine, tags, rounds)
        with engine.begin() as connection:
            connection.execute(text("DROP TABLE IF EXISTS item_snapshot"))
    return figures


def _change(connection: Connection, rows: int, count: int, offset: int) -> None:
    """Change some rows that lie scattered over the table."""
    step = max(rows // count, 1)
    connection.execute(
        text(
            f"UPDATE {VERSIONED} SET amount = amount + 1, note = note || '.' "
            "WHERE id = ANY (ARRAY(SELECT 1 + (i * :step + :offset) % :rows "
            "FROM generate_series(0, :count - 1) AS i))"
        ),
        {"step": step, "offset": offset, "rows": rows, "count": count},
    )


def _commits(engine: Engine, rows: int, large: int) -> dict[str, tuple[str, str]]:
    """Pairs of neighbouring commits, by what lies between them."""
    found: dict[str, tuple[str, str]] = {}
    changes: dict[str, Callable[[Connection], object]] = {
        f"{_FEW} updated rows": lambda c: _change(c, rows, _FEW, 3),
        f"{large} updated rows": lambda c: _change(c, rows, large, 5),
        f"{_FEW} inserted rows": lambda c: c.execute(
            text(insert_generated(VERSIONED, rows + 1, rows + _FEW))
        ),
        f"{_FEW} deleted rows": lambda c: c.execute(
            text(f"DELETE FROM {VERSIONED} WHERE id BETWEEN {rows // 2} AND {rows // 2 + _FEW - 1}")
        ),
        f"{large} updated rows, last": lambda c: _change(c, rows, large, 7),
    }
    for name, change in changes.items():
        with engine.begin() as connection:
            before = str(Repository(connection).head.uuid)
            change(connection)
        with engine.connect() as connection:
            found[name] = (before, str(Repository(connection).head.uuid))
    return found


def _compared(
    connection: Connection, tags: dict[str, tuple[str, str]], rounds: int
) -> list[Figure]:
    figures = []
    for name, (before, after) in tags.items():
        diff = Repository(connection).diff(before, after)
        statement, values = sent(connection, lambda d=diff: list(d))  # type: ignore[misc]

        def server(statement: str = statement, values: Any = values) -> float:
            explained = connection.exec_driver_sql(
                f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {statement}", values
            ).scalar_one()
            plan = json.loads(explained) if isinstance(explained, str) else explained
            return float(plan[0]["Execution Time"])

        def whole(before: str = before, after: str = after) -> float:
            repo = Repository(connection)
            return seconds(lambda: list(repo.diff(before, after))) * 1e3

        taken = in_turn({"server": server, "whole": whole}, rounds, warm_up=1)
        target = _AIM if name.startswith(f"{_FEW} ") else None
        figures += [
            Figure(
                SECTION,
                f"diff of neighbours, {name}: server",
                "ms",
                spread(taken["server"]),
                target=target,
            ),
            Figure(
                SECTION,
                f"diff of neighbours, {name}: as Python objects",
                "ms",
                spread(taken["whole"]),
            ),
        ]
    return figures


def _restored(engine: Engine, tags: dict[str, tuple[str, str]], rounds: int) -> list[Figure]:
    """Each return is rolled back again, so that all begin with the same table."""
    last = next(reversed(tags))
    large, _ = tags[last]
    with engine.begin() as connection:
        few = str(Repository(connection).head.uuid)
        _change(connection, 100, _FEW, 1)

    def to(target: str) -> Callable[[], float]:
        def run() -> float:
            with engine.connect() as connection:
                return seconds(lambda: Repository(connection).restore(target)) * 1e3

        return run

    taken = in_turn({"few": to(few), "large": to(large)}, rounds, warm_up=1)
    changed = last.split()[0]
    return [
        Figure(SECTION, f"restore, {_FEW} rows away", "ms", spread(taken["few"])),
        Figure(SECTION, f"restore, {int(changed) + _FEW} rows away", "ms", spread(taken["large"])),
    ]


def _stored(engine: Engine, rows: int, large: int) -> list[Figure]:
    """What a commit of a thousand rows takes, against the table as JSON."""
    row = ", ".join(f"'{name}', t.{name}" for name in COLUMNS)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE item_snapshot (id bigserial, state json)"))
    snapshot = text(
        f"INSERT INTO item_snapshot (state) SELECT json_agg(json_build_object({row})) "
        f"FROM {VERSIONED} AS t"
    )
    samples: dict[str, list[float]] = {"time": [], "json time": [], "bytes": [], "json bytes": []}
    for turn in range(3):
        before, json_before = _bytes(engine, HISTORY), _bytes(engine, "item_snapshot")

        def commit(turn: int = turn) -> None:
            with engine.begin() as connection:
                _change(connection, rows, large, 11 + turn)

        def copy() -> None:
            with engine.begin() as connection:
                connection.execute(snapshot)

        samples["time"].append(seconds(commit) * 1e3)
        samples["json time"].append(seconds(copy) * 1e3)
        samples["bytes"].append(_bytes(engine, HISTORY) - before or 1)
        samples["json bytes"].append(_bytes(engine, "item_snapshot") - json_before)
    return [
        Figure(
            SECTION,
            f"{what} of a commit of {large} rows",
            unit,
            spread(samples[key]),
            spread(samples[f"json {key}"]),
            "the table as JSON",
            spread([a / b for a, b in zip(samples[key], samples[f"json {key}"], strict=True)]),
        )
        for what, key, unit in (("time", "time", "ms"), ("bytes", "bytes", "B"))
    ]


def _bytes(engine: Engine, table: str) -> int:
    with engine.connect() as connection:
        found = connection.execute(text(f"SELECT pg_total_relation_size('{table}')"))
        return int(found.scalar_one())
