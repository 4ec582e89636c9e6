"""Statements over many rows, against unversioned and against history written by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

import psycopg

from benchmarks.bench import Bench
from benchmarks.measure import Figure, Target, compare, seconds
from benchmarks.tables import (
    COLUMNS,
    HAND,
    HAND_HISTORY,
    HISTORY,
    PLAIN,
    VERSIONED,
    empty,
    generated,
    insert_generated,
    items,
)

SECTION = "bulk"
NAMES = ", ".join(COLUMNS)
_TABLES = (PLAIN, VERSIONED, HAND)
_TARGETS = {
    "INSERT": Target("at most", 1.3),
    "COPY": Target("at most", 1.3),
    "UPDATE": Target("at most", 2.2),
    "DELETE": Target("at most", 4.5),
}
_BY_HAND = Target("at most", 1.15)
_Samples = dict[tuple[str, str], list[float]]
Connections = Mapping[str, psycopg.Connection[Any]]


def measure(bench: Bench) -> list[Figure]:
    """INSERT, UPDATE, DELETE and COPY of many rows, each in a transaction of its own."""
    sizes = bench.sizes
    samples: _Samples = {}
    with (
        bench.engine() as engine,
        items(engine, bare=bench.bare, by_hand=True),
        ExitStack() as stack,
    ):
        connections = {name: stack.enter_context(bench.driver()) for name in _TABLES}
        data = _copy_data(connections[PLAIN], sizes.bulk_rows)
        for turn in range(-1, sizes.bulk_rounds):
            bench.tell(f"{sizes.bulk_rows:,} rows, round {turn + 2}")
            took = _round(connections, sizes.bulk_rows, data, turned=turn % 2 == 1)
            if turn >= 0:
                for name, value in took.items():
                    samples.setdefault(name, []).append(value)
    figures = []
    for kind, target in _TARGETS.items():
        label = f"{kind} of {sizes.bulk_rows:,} rows"
        ours = samples[kind, VERSIONED]
        figures.append(compare(SECTION, label, "ms", ours, samples[kind, PLAIN], target=target))
        figures.append(
            compare(
                SECTION,
                label,
                "ms",
                ours,
                samples[kind, HAND],
                target=_BY_HAND,
                against="history by hand",
            )
        )
    return figures


def _round(
    connections: Connections, rows: int, data: bytes, *, turned: bool
) -> dict[tuple[str, str], float]:
    """One sample of everything, in milliseconds."""
    steps: dict[str, Callable[[str], Callable[[], object]]] = {
        "INSERT": lambda name: _statements(connections[name], inserts(name, rows)),
        "UPDATE": lambda name: _statements(connections[name], updates(name)),
        "DELETE": lambda name: _statements(connections[name], deletes(name)),
        "COPY": lambda name: _copy(connections[name], name, data),
    }
    admin = connections[PLAIN]
    empty(admin, by_hand=True)
    took = {}
    for kind, step in steps.items():
        if kind == "COPY":
            empty(admin, by_hand=True)
        _vacuum(admin)
        for name in reversed(_TABLES) if turned else _TABLES:
            took[kind, name] = seconds(step(name)) * 1000
    return took


def inserts(table: str, rows: int) -> list[str]:
    """Insert made-up rows."""
    if table != HAND:
        return [insert_generated(table, 1, rows)]
    source = generated("1", str(rows))
    return [f"INSERT INTO {HAND} ({NAMES}, temporal_tx_id) SELECT s.*, 1 FROM ({source}) AS s"]


def updates(table: str, where: str = "true") -> list[str]:
    """Change two columns of all rows; by hand, write their history as well."""
    change = "quantity = quantity + 1, note = 'Changed by a statement over many rows, ' || id"
    if table != HAND:
        return [f"UPDATE {table} SET {change} WHERE {where}"]
    return [
        _history_by_hand("UPDATE", 2, where),
        f"UPDATE {HAND} SET {change}, temporal_tx_id = 2 WHERE {where}",
    ]


def deletes(table: str, where: str = "true") -> list[str]:
    """Delete all rows; by hand, write their history as well."""
    plain = f"DELETE FROM {table} WHERE {where}"
    return [_history_by_hand("DELETE", 3, where), plain] if table == HAND else [plain]


def _history_by_hand(operation: str, tx: int, where: str) -> str:
    return (
        f"INSERT INTO {HAND_HISTORY} ({NAMES}, temporal_operation, temporal_tx_id, "
        "temporal_end_tx_id, temporal_valid_from, temporal_valid_to) "
        f"SELECT {NAMES}, '{operation}', temporal_tx_id, {tx}, "
        f"timestamptz '2024-01-01', transaction_timestamp() FROM {HAND} WHERE {where}"
    )


def _statements(connection: psycopg.Connection[Any], statements: list[str]) -> Callable[[], object]:
    def run() -> None:
        with connection.transaction():
            for statement in statements:
                connection.execute(statement)

    return run


def _copy(connection: psycopg.Connection[Any], table: str, data: bytes) -> Callable[[], object]:
    names = f"{NAMES}, temporal_tx_id" if table == HAND else NAMES
    if table == HAND:
        data = data.replace(b"\n", b"\t1\n")

    def run() -> None:
        with (
            connection.transaction(),
            connection.cursor() as cursor,
            cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy,
        ):
            copy.write(data)

    return run


def _copy_data(connection: psycopg.Connection[Any], rows: int) -> bytes:
    question = f"COPY ({generated('1', str(rows))}) TO STDOUT"
    with connection.cursor() as cursor, cursor.copy(question) as copy:
        return b"".join(bytes(part) for part in copy)


def _vacuum(connection: psycopg.Connection[Any]) -> None:
    connection.execute(f"VACUUM (ANALYZE) {PLAIN}, {VERSIONED}, {HAND}, {HISTORY}, {HAND_HISTORY}")
    connection.execute("CHECKPOINT")
