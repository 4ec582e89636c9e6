"""Bytes: of the log per transaction, and of tables and indexes per change."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy.orm import Session

from benchmarks.bench import Bench
from benchmarks.measure import Figure, spread
from benchmarks.models import ITEM, generated, item_values
from benchmarks.sections.common import NAMES, filled
from benchmarks.subjects import BASE, SUBJECTS
from benchmarks.workers import Context, WorkerError

SECTION = "storage"
KINDS = ("INSERT", "UPDATE", "DELETE")
_WHAT = {
    "log": "write-ahead log",
    "rows": "tables",
    "indexes": "indexes",
}


def measure(bench: Bench) -> Iterator[Figure]:
    """Bytes per single-row transaction, of everything in the subject's database."""
    count = bench.sizes.stored_changes
    found: dict[str, dict[str, dict[str, float]]] = {}
    for worker in bench.workers:
        bench.tell(worker.key)
        try:
            found[worker.key] = worker(sample, count)
        except WorkerError as error:
            if bench.strict:
                raise
            bench.problems.append(f"{worker.key}: {str(error).splitlines()[-1]}")
    for kind in KINDS:
        for what, title in _WHAT.items():
            for key in SUBJECTS:
                if key not in found:
                    continue
                value = found[key][kind][what]
                figure = Figure(
                    SECTION,
                    f"{title}, per {kind} of one row",
                    "B",
                    spread([value]),
                    subject=key,
                    way="sql" if SUBJECTS[key].records_sql else "orm",
                    parameters={"kind": kind, "what": what},
                )
                base = found[BASE][kind][what] if BASE in found else 0.0
                if key != BASE and base > 0:
                    figure = replace(
                        figure,
                        base=spread([base]),
                        against="unversioned",
                        ratio=spread([value / base]),
                    )
                yield figure


def sample(context: Context, count: int) -> dict[str, dict[str, float]]:
    """Bytes of each kind of transaction, on rows whose pages the log has in full already."""
    filled(context, count)
    write = _by_sql(context) if context.subject.records_sql else _by_session(context)
    # After this every page of the tables is in the log in full, until a checkpoint.
    write("UPDATE", range(1, count + 1))
    write("DELETE", range(count + 1, count + 2))
    _settled(context)
    found = {}
    keys = {"UPDATE": range(1, count + 1), "INSERT": range(count + 1, 2 * count + 1)}
    keys["DELETE"] = keys["INSERT"]
    for kind in ("UPDATE", "INSERT", "DELETE"):
        log, sizes = _log(context), _sizes(context)
        write(kind, keys[kind])
        written = _log(context, log)
        _settled(context)
        after = _sizes(context)
        found[kind] = {
            "log": written / count,
            "rows": (after[0] - sizes[0]) / count,
            "indexes": (after[1] - sizes[1]) / count,
        }
    return found


_Write = Callable[[str, Sequence[int]], None]


def _by_sql(context: Context) -> _Write:
    """Transactions one after the other, inside the server."""
    subject = context.subject

    def write(kind: str, keys: Sequence[int]) -> None:
        statements = {
            "INSERT": subject.insert(ITEM, NAMES, generated("k", "k")),
            "UPDATE": subject.update(ITEM, "quantity = quantity + 1", "id = k"),
            "DELETE": subject.delete(ITEM, "id = k"),
        }[kind]
        transaction = "; ".join([*subject.begin(), *statements])
        context.driver().execute(
            f"DO $bench$ BEGIN FOR k IN {keys[0]}..{keys[-1]} LOOP {transaction}; "
            "COMMIT; END LOOP; END $bench$"
        )

    return write


def _by_session(context: Context) -> _Write:
    item = context.models.classes[ITEM]

    def write(kind: str, keys: Sequence[int]) -> None:
        for key in keys:
            with Session(context.engine()) as session:
                if kind == "INSERT":
                    session.add(item(**item_values(key)))
                elif kind == "UPDATE":
                    session.get_one(item, key).quantity += 1
                elif (one := session.get(item, key)) is not None:
                    session.delete(one)
                session.commit()

    return write


def _settled(context: Context) -> None:
    with context.admin() as connection:
        context.subject.settle(connection)


def _log(context: Context, since: Any = None) -> Any:
    """Where the log ends, or how many bytes it has since."""
    if since is None:
        return _one(context, "SELECT pg_current_wal_insert_lsn()::text")
    return float(_one(context, f"SELECT pg_current_wal_insert_lsn() - '{since}'::pg_lsn"))


def _sizes(context: Context) -> tuple[float, float]:
    """Bytes of all rows and of all indexes in the database, system catalogue left out."""
    here = "FROM pg_class c WHERE relkind IN ('r', 'm') AND c.oid >= 16384"
    rows = _one(context, f"SELECT sum(pg_table_size(c.oid)) {here}")
    indexes = _one(context, f"SELECT sum(pg_indexes_size(c.oid)) {here}")
    return float(rows), float(indexes)


def _one(context: Context, question: str) -> Any:
    row = context.driver().execute(question).fetchone()
    return row[0] if row else None
