"""The server and the database that are measured, and what they run on."""

from __future__ import annotations

import os
import platform
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from sqlalchemy import URL, create_engine

from benchmarks.bench import connect
from sqlalchemy_temporal.embedded import postgres_server

_SETTINGS: Mapping[str, str] = {
    # As a server whose data matter: a throwaway one would make commits look cheap.
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "wal_level": "replica",
    # Big enough to be measured rather than the disk; vacuum and checkpoints come at known
    # places instead of in the middle of a sample.
    "shared_buffers": "512MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "30min",
    "autovacuum": "off",
}
_RECORDED = (
    "server_version",
    "fsync",
    "full_page_writes",
    "wal_level",
    "shared_buffers",
    "work_mem",
    "max_wal_size",
    "autovacuum",
    "jit",
)


@dataclass(frozen=True, slots=True)
class Place:
    """What was measured on.

    Attributes:
        source: Where the server came from.
        settings: Its version and the settings that matter.
        machine: The processor, how many of them, and the system.
        versions: Versions of what runs on the client's side.
    """

    source: str
    settings: Mapping[str, str]
    machine: Mapping[str, str]
    versions: Mapping[str, str]


@contextmanager
def database() -> Iterator[tuple[URL, Place]]:
    """Give an empty database, and drop it.

    It is made on the server that ``DATABASE_URL`` names, as superuser, or on one that is
    started for the purpose.
    """
    with postgres_server(settings=_SETTINGS) as server:
        name = f"temporal_bench_{secrets.token_hex(4)}"
        admin = create_engine(server.url, isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name} TEMPLATE template0")
        try:
            url = server.url.set(database=name)
            yield url, _place(url, server.source)
        finally:
            with admin.connect() as connection:
                connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
            admin.dispose()


def _place(url: URL, source: str) -> Place:
    with connect(url) as connection:
        settings = {}
        for name in _RECORDED:
            row = connection.execute(f"SHOW {name}").fetchone()
            settings[name] = str(row[0]) if row else ""
    return Place(
        source=source,
        settings=settings,
        machine={
            "processor": _processor(),
            "processors": str(os.cpu_count()),
            "system": platform.platform(),
        },
        versions={
            "python": platform.python_version(),
            **{name: version(name) for name in ("sqlalchemy", "psycopg")},
        },
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except FileNotFoundError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
