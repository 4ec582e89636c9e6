"""Five years of the world's airports, in a table made with plain SQL and filled with COPY.

    python -m examples.airports [--releases N] [--quiet]

There are no models. The table is versioned by its name; each release of airportsdata is one
transaction of COPY and SQL, and the time after it is noted. Then the table is asked for as it was
at each of these times, and the SHA-256 of its rows compared with the published one. `DATABASE_URL`
names the PostgreSQL database to use; without it a server is started and afterwards removed.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, text

from sqlalchemy_temporal import TemporalTables, describe
from sqlalchemy_temporal.embedded import postgres_server
from sqlalchemy_temporal.errors import ServerUnavailable

SCHEMA: Final = "temporal_airports"
_FILE: Final = Path(__file__).parent / "data" / "airports_releases.jsonl.gz"
_TABLE: Final = f"""
CREATE TABLE {SCHEMA}.airports (
  icao text PRIMARY KEY, iata text, name text, city text, subd text, country text,
  elevation double precision, lat double precision, lon double precision, tz text, lid text)
"""
_COLUMNS: Final = (
    "iata",
    "name",
    "city",
    "subd",
    "country",
    "elevation",
    "lat",
    "lon",
    "tz",
    "lid",
)
_NAMES: Final = ", ".join(_COLUMNS)
# A row is completed from the one that is there, so it may bring only what changed.
_UPDATE: Final = f"""
UPDATE {SCHEMA}.airports a SET ({_NAMES}) = (
  SELECT {_NAMES} FROM jsonb_populate_record(a, c.row))
FROM changed c WHERE c.row ->> 'icao' = a.icao
"""  # noqa: S608 - constants
_INSERT: Final = f"""
INSERT INTO {SCHEMA}.airports (icao, {_NAMES})
SELECT p.icao, {_NAMES} FROM added, jsonb_populate_record(NULL::{SCHEMA}.airports, row) AS p
"""  # noqa: S608 - constants
_DELETE: Final = f"""
DELETE FROM {SCHEMA}.airports a USING removed r WHERE r.row #>> '{{}}' = a.icao
"""  # noqa: S608 - constants


@dataclass(frozen=True, slots=True)
class Loaded:
    """A release that was written.

    Attributes:
        name: such as ``20260905``.
        at: the server's time after its transaction.
        row_count: how many rows there are after it, as published.
        sha256: of all rows after it, as published.
    """

    name: str
    at: datetime
    row_count: int
    sha256: str


def read_releases(number: int | None = None) -> list[dict[str, Any]]:
    """Read the releases, oldest first."""
    with gzip.open(_FILE, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line, _ in zip(lines, range(number or 1000), strict=False)]


def create(engine: Engine) -> TemporalTables:
    """Make the table with SQL, and have it versioned by its name."""
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE SCHEMA {SCHEMA}")
        connection.exec_driver_sql(_TABLE)
    tables = TemporalTables(engine)
    tables.enable_temporal_versioning("airports", SCHEMA)
    return tables


def load(engine: Engine, release: Mapping[str, Any]) -> Loaded:
    """Write one release in one transaction; nothing in it knows of versions."""
    with engine.begin() as connection:
        describe(connection, author="airportsdata", message=f"Release {release['release']}")
        for part in ("added", "changed", "removed"):
            _copy(connection, part, release[part])
        for statement in (_DELETE, _UPDATE, _INSERT):
            connection.exec_driver_sql(statement)
    with engine.begin() as connection:
        at = connection.scalar(text("SELECT clock_timestamp()"))
    return Loaded(release["release"], at, release["row_count"], release["sha256"])


def _copy(connection: Connection, name: str, rows: Iterable[Any]) -> None:
    """COPY rows as JSON into a temporary table."""
    connection.exec_driver_sql(f"CREATE TEMP TABLE {name} (row jsonb) ON COMMIT DROP")
    cursor: Any = connection.connection.cursor()
    with cursor.copy(f"COPY {name} FROM STDIN") as copy:
        for row in rows:
            copy.write_row((json.dumps(row),))


def is_rebuilt(tables: TemporalTables, release: Loaded) -> bool:
    """Whether the table as of the release's time is what was published."""
    found = tables.query_temporal_data("airports", release.at, schema_name=SCHEMA, buffer=0)
    rows = list(found)  # streamed, for they are many
    return len(rows) == release.row_count and digest(rows) == release.sha256


def digest(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return the SHA-256 of rows in the form in which they are published."""
    lines = (
        json.dumps(row, sort_keys=True, ensure_ascii=False)
        for row in sorted(rows, key=lambda row: str(row["icao"]))
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def show(tables: TemporalTables, loaded: Sequence[Loaded]) -> None:
    """Ask some questions that need no models either."""
    first, last = loaded[0], loaded[-1]
    print(tables.get_temporal_status("airports", SCHEMA), "\n")
    compared = tables.compare_temporal_data(
        "airports", first.at, last.at, schema_name=SCHEMA, where={"country": "IS"}
    )
    print(compared, "\n")
    for change in compared.modified_rows[:1]:
        icao = change.key["icao"]
        print(tables.get_row_history("airports", icao, "icao", schema_name=SCHEMA), "\n")
    deleted = tables.get_change_history(
        "airports", first.at, last.at, "DELETE", schema_name=SCHEMA, limit=5
    )
    print(deleted, "\n")


def run(engine: Engine, number: int | None = None, *, quiet: bool = False) -> int:
    """Load the releases and compare each as of its time; return how many differ."""
    tables = create(engine)
    try:
        loaded = [load(engine, release) for release in read_releases(number)]
        failed = [release.name for release in loaded if not is_rebuilt(tables, release)]
        if not quiet:
            show(tables, loaded)
        print(f"{len(loaded) - len(failed)} of {len(loaded)} releases rebuilt exactly")
        return len(failed)
    finally:
        tables.disable_temporal_versioning("airports", SCHEMA, drop_history=True)
        with engine.begin() as connection:
            connection.exec_driver_sql(f"DROP SCHEMA {SCHEMA} CASCADE")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the example; return 0 when every release was rebuilt exactly."""
    parser = argparse.ArgumentParser(prog="python -m examples.airports", description=__doc__)
    parser.add_argument("--releases", type=int, help="load only the first N releases")
    parser.add_argument("--quiet", action="store_true", help="print the last line only")
    options = parser.parse_args(arguments)
    try:
        with postgres_server() as server:
            engine = create_engine(server.url)
            try:
                return 1 if run(engine, options.releases, quiet=options.quiet) else 0
            finally:
                engine.dispose()
    except ServerUnavailable as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    raise SystemExit(main())
