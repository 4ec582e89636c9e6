"""Bytes: of tables and indexes per change, and of the log per transaction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg

from benchmarks.bench import Bench
from benchmarks.measure import Figure, spread
from benchmarks.tables import COLUMNS, HISTORY, PLAIN, VERSIONED, generated, items, settle

SECTION = "storage"
_SYSTEM = "temporal_versioning"


def measure(bench: Bench) -> list[Figure]:
    """Bytes of single-row transactions; the log without full pages after a checkpoint."""
    count = bench.sizes.storage_changes
    with bench.engine() as engine, items(engine, bare=bench.bare), bench.driver() as connection:
        bench.tell("bytes of the log")
        log: dict[tuple[str, str], float] = {}
        for table in (PLAIN, VERSIONED):
            _run(connection, table, "INSERT", count)
        settle(connection)
        for table in (PLAIN, VERSIONED):
            _run(connection, table, "UPDATE", count)  # every page has been written in full
        for kind in ("UPDATE", "DELETE", "INSERT"):
            for table in (PLAIN, VERSIONED):
                log[kind, table] = _log_bytes(connection, table, kind, count)
        figures = [_log_figure(kind, log) for kind in ("INSERT", "UPDATE", "DELETE")]
        bench.tell("bytes of tables")
        connection.execute(f"SELECT {_SYSTEM}.seal()")
        before = _sizes(connection)
        _run(connection, VERSIONED, "UPDATE", count)
        connection.execute(f"SELECT {_SYSTEM}.seal()")
        after = _sizes(connection)
        figures += [
            Figure(
                SECTION,
                f"{name}, per single-row UPDATE",
                "B",
                spread([(after[name] - before[name]) / count]),
            )
            for name in after
        ]
    return figures


def _log_figure(kind: str, log: Mapping[tuple[str, str], float]) -> Figure:
    ours, base = log[kind, VERSIONED], log[kind, PLAIN]
    return Figure(
        SECTION,
        f"write-ahead log, per single-row {kind}",
        "B",
        spread([ours]),
        spread([base]),
        "unversioned",
        spread([ours / base]),
    )


def _run(connection: psycopg.Connection[Any], table: str, kind: str, count: int) -> None:
    """Single-row transactions, one after the other, inside the server."""
    statement = {
        "INSERT": f"INSERT INTO {table} ({', '.join(COLUMNS)}) {generated('n', 'n')}",
        "UPDATE": f"UPDATE {table} SET quantity = quantity + 1 WHERE id = n",
        "DELETE": f"DELETE FROM {table} WHERE id = n",
    }[kind]
    connection.execute(
        f"DO $$ BEGIN FOR n IN 1..{count} LOOP {statement}; COMMIT; END LOOP; END $$"
    )


def _log_bytes(connection: psycopg.Connection[Any], table: str, kind: str, count: int) -> float:
    start = _one(connection, "SELECT pg_current_wal_insert_lsn()::text")
    _run(connection, table, kind, count)
    written = _one(connection, f"SELECT pg_current_wal_insert_lsn() - '{start}'::pg_lsn")
    return float(written) / count


def _sizes(connection: psycopg.Connection[Any]) -> dict[str, int]:
    """The bytes of what grows with every change."""
    found = {}
    for name, table in (
        ("history", HISTORY),
        ("transaction", f"{_SYSTEM}.transaction"),
        ("commit", f"{_SYSTEM}.commit"),
    ):
        heap = int(_one(connection, f"SELECT pg_table_size('{table}')"))
        found[f"{name}, rows"] = heap
        found[f"{name}, indexes"] = int(_one(connection, f"SELECT pg_indexes_size('{table}')"))
    return found


def _one(connection: psycopg.Connection[Any], question: str) -> Any:
    row = connection.execute(question).fetchone()
    return row[0] if row else None
