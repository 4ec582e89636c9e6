"""The server and the database that are measured, and what they run on."""

from __future__ import annotations

import os
import platform
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
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
_PACKAGES = (
    "sqlalchemy-temporal",
    "sqlalchemy",
    "psycopg",
    "sqlalchemy-continuum",
    "sqlalchemy-history",
    "postgresql-audit",
)
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
def server() -> Iterator[tuple[URL, Place]]:
    """Give a server: the one that ``DATABASE_URL`` names, as superuser, or one of its own."""
    with postgres_server(settings=_SETTINGS) as found:
        yield found.url, _place(found.url, found.source)


@contextmanager
def databases(url: URL, names: Iterable[str]) -> Iterator[dict[str, URL]]:
    """Make empty databases on a server, and drop them.

    Parameters:
        url: Any database of the server.
        names: What the databases are for; each is found by this name.
    """
    prefix = f"temporal_bench_{secrets.token_hex(4)}"
    made: dict[str, URL] = {}
    admin = create_engine(url, isolation_level="AUTOCOMMIT")
    try:
        for name in names:
            with admin.connect() as connection:
                connection.exec_driver_sql(f"CREATE DATABASE {prefix}_{name} TEMPLATE template0")
            made[name] = url.set(database=f"{prefix}_{name}")
        yield made
    finally:
        for one in made.values():
            with admin.connect() as connection:
                connection.exec_driver_sql(f"DROP DATABASE {one.database} WITH (FORCE)")
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
            "system": f"{platform.system()} {platform.release()} {platform.machine()}",
            "memory": _memory(),
        },
        versions={
            "python": platform.python_version(),
            **{name: _version(name) for name in _PACKAGES},
        },
    )


def _memory() -> str:
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return ""
    return f"{total / 2**30:.0f} GiB"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except FileNotFoundError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
