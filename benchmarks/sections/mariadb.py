"""MariaDB's system-versioned tables beside its own unversioned ones.

Another server cannot be compared in microseconds: only the ratios say something here. The
processor time is the server's alone, as that of a driver in Python would hide it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import count, cycle, islice
from typing import TYPE_CHECKING, Any

from benchmarks.bench import Bench
from benchmarks.mariadb import KEY, SETTINGS, TITLE, MariaDB, missing, server
from benchmarks.measure import Cost, Figure, compare_costs, cost, in_turn, spread

if TYPE_CHECKING:
    import pymysql

SECTION = "mariadb"
KINDS = ("INSERT", "UPDATE", "DELETE")
_PLAIN, _VERSIONED = "plain", "versioned"
_TABLES = {_PLAIN: "", _VERSIONED: "WITH SYSTEM VERSIONING"}
_NAMES = "id, name, email, amount, quantity, active, created_at, note, group_id"
_STORED = 10_000
"""Transactions whose bytes are counted, at most: enough for pages, and no more."""


def measure(bench: Bench) -> Iterator[Figure]:
    """Everything, on a server of its own; or why there is none."""
    if reason := missing():
        yield _note(TITLE, reason)
        return
    bench.tell("starting")
    with server() as found, found.connection() as connection:
        cursor = connection.cursor()
        settings = ", ".join(f"{name} = {value}" for name, value in SETTINGS.items())
        yield _note(
            "server",
            f"version {found.version}, {settings}; innodb_flush_log_at_trx_commit is 1 for "
            "synchronous commit on, and 2 for off; PyMySQL through a socket.",
        )
        _prepare(cursor)
        for part in (_transactions, _bulk, _reads, _bytes):
            bench.tell(part.__name__.strip("_"))
            yield from part(bench, found, cursor)


def _note(name: str, text: str) -> Figure:
    return Figure(SECTION, name, "", None, subject=KEY, note=text)


# -------------------------------------------------------------------------------------- tables


def _prepare(cursor: pymysql.cursors.Cursor) -> None:
    cursor.execute("CREATE TABLE item_group (id int PRIMARY KEY)")
    cursor.execute("INSERT INTO item_group SELECT seq FROM seq_0_to_99")


def _fresh(cursor: pymysql.cursors.Cursor, table: str, rows: int) -> None:
    """Make a table anew, for a versioned one cannot be emptied, and fill it."""
    cursor.execute(f"DROP TABLE IF EXISTS {table}")
    cursor.execute(
        f"CREATE TABLE {table} (id bigint PRIMARY KEY, name text NOT NULL, email varchar(255), "
        "amount decimal(12, 2) NOT NULL, quantity int NOT NULL, active boolean NOT NULL, "
        "created_at datetime(6) NOT NULL, note text, group_id int REFERENCES item_group (id), "
        f"KEY (email), KEY (group_id)) {_TABLES[table]}"
    )
    if rows:
        cursor.execute(_insert(table, 1, rows))
    _settle(cursor)


def _settle(cursor: pymysql.cursors.Cursor) -> None:
    """Let the server do away with what transactions left behind, before and not in a sample."""
    cursor.execute("SET GLOBAL innodb_max_purge_lag_wait = 0")


def _insert(table: str, first: int, last: int) -> str:
    return f"INSERT INTO {table} ({_NAMES}) {_items('seq')} FROM seq_{first}_to_{last}"


def _items(key: str) -> str:
    """A SELECT of made-up items, as the other subjects have them."""
    return (
        f"SELECT {key}, concat('Item number ', {key}), concat('user', {key}, '@example.org'), "
        f"mod({key}, 9973) / 7.0, mod({key}, 50), mod({key}, 3) = 0, "
        f"'2024-01-01' + INTERVAL {key} SECOND, "
        f"concat('A remark of some forty characters, ', {key}), mod({key}, 100)"
    )


def _one(cursor: pymysql.cursors.Cursor, question: str) -> Any:
    cursor.execute(question)
    row = cursor.fetchone()
    return row[0] if row else None


# ------------------------------------------------------------------------------------- sections


def _transactions(bench: Bench, found: MariaDB, cursor: pymysql.cursors.Cursor) -> Iterator[Figure]:
    """Statements of one row, each a transaction, by one client."""
    sizes = bench.sizes
    rows = sizes.transaction_rows
    for synchronous in (False, True):
        _synchronous(cursor, on=synchronous)
        block = sizes.single_block_synchronous if synchronous else sizes.single_block
        for table in _TABLES:
            _fresh(cursor, table, rows)
        for kind in KINDS:
            taken = in_turn(
                {
                    table: partial(_block, found, cursor, _singles(kind, table, rows), block)
                    for table in _TABLES
                },
                sizes.single_rounds,
            )
            state = "on" if synchronous else "off"
            yield _figure(f"{kind}, 1 client, synchronous commit {state}", "µs", taken, 1e6)
    _synchronous(cursor, on=False)


def _singles(kind: str, table: str, rows: int) -> Iterator[str]:
    """What is inserted is deleted afterwards; updates go round the rows that there were."""
    keys = cycle(range(1, rows + 1)) if kind == "UPDATE" else count(rows + 1)
    return (_single(kind, table, key) for key in keys)


def _block(
    found: MariaDB,
    cursor: pymysql.cursors.Cursor,
    statements: Iterator[str],
    number: int,
) -> Cost:
    """A sample of transactions."""
    return _timed(found, cursor, list(islice(statements, number)))


def _single(kind: str, table: str, key: int | str) -> str:
    return {
        "INSERT": f"INSERT INTO {table} ({_NAMES}) {_items(str(key))}",
        "UPDATE": f"UPDATE {table} SET quantity = quantity + 1 WHERE id = {key}",
        "DELETE": f"DELETE FROM {table} WHERE id = {key}",
    }[kind]


def _synchronous(cursor: pymysql.cursors.Cursor, *, on: bool) -> None:
    cursor.execute(f"SET GLOBAL innodb_flush_log_at_trx_commit = {1 if on else 2}")


def _bulk(bench: Bench, found: MariaDB, cursor: pymysql.cursors.Cursor) -> Iterator[Figure]:
    """Statements over many rows."""
    rows = bench.sizes.bulk_rows

    def sample(kind: str, table: str) -> Cost:
        _fresh(cursor, table, 0 if kind == "INSERT" else rows)
        return _timed(found, cursor, [_many(kind, table, rows)])

    for kind in KINDS:
        taken = in_turn(
            {table: partial(sample, kind, table) for table in _TABLES},
            bench.sizes.bulk_rounds,
            budget=bench.sizes.bulk_budget,
        )
        yield _figure(f"{kind} of {rows:,} rows", "ms", taken, 1e3)


def _many(kind: str, table: str, rows: int) -> str:
    return {
        "INSERT": _insert(table, 1, rows),
        "UPDATE": f"UPDATE {table} SET quantity = quantity + 1",
        "DELETE": f"DELETE FROM {table}",
    }[kind]


def _reads(bench: Bench, found: MariaDB, cursor: pymysql.cursors.Cursor) -> Iterator[Figure]:
    """Of the present, and as of a moment in the middle of history."""
    sizes = bench.sizes
    rows, last = sizes.read_items, max(sizes.read_versions)
    moments = {}
    expected = {}
    for table in _TABLES:
        _fresh(cursor, table, rows)
    for version in range(1, last + 1):
        if version > 1:
            for table in _TABLES:
                cursor.execute(_many("UPDATE", table, rows))
        moments[version] = _one(cursor, "SELECT sysdate(6)")
        expected[version] = _one(cursor, f"SELECT sum(quantity) FROM {_PLAIN}")
        if version not in {last, *sizes.read_versions}:
            continue
        _settle(cursor)
        middle = (version + 1) // 2
        for name, past in (
            ("now", ""),
            ("middle", f"FOR SYSTEM_TIME AS OF TIMESTAMP '{moments[middle]}'"),
        ):
            wanted = expected[version if name == "now" else middle]
            answer = _one(cursor, f"SELECT sum(quantity) FROM {_VERSIONED} {past}")
            if answer != wanted:
                raise RuntimeError(f"MariaDB as of {name}: {answer} instead of {wanted}")
            where = f"WHERE id = {rows // 2}"
            many = "1 version" if version == 1 else f"{version} versions"
            for what, condition, times in (
                (f"a row by its key, {many}, {name}", where, sizes.point_block),
                (f"all {rows:,} items, {many}, {name}", "", 1),
            ):
                work = {
                    table: f"SELECT {_NAMES} FROM {table} {asked} {condition}"
                    for table, asked in ((_PLAIN, ""), (_VERSIONED, past))
                }
                taken = in_turn(
                    {
                        table: partial(_timed, found, cursor, [statement] * times)
                        for table, statement in work.items()
                    },
                    sizes.read_rounds,
                    warm_up=1,
                    budget=sizes.read_budget,
                )
                yield _figure(what, "µs", taken, 1e6)


def _bytes(bench: Bench, _: MariaDB, cursor: pymysql.cursors.Cursor) -> Iterator[Figure]:
    """Of the log, the rows and the indexes, for each transaction of one row."""
    changes = min(bench.sizes.bulk_rows, _STORED)
    cursor.execute("SET GLOBAL innodb_stats_persistent_sample_pages = 1000000")
    stored: dict[str, dict[str, tuple[float, ...]]] = {}
    for table in _TABLES:
        _fresh(cursor, table, 0)
        stored[table] = {}
        for kind in KINDS:
            log, rows, indexes = _log(cursor), *_pages(cursor, table)
            cursor.execute(
                f"BEGIN NOT ATOMIC FOR k IN 1..{changes} DO "
                f"{_single(kind, table, 'k')}; END FOR; END"
            )
            _settle(cursor)
            written, after = _log(cursor), _pages(cursor, table)
            stored[table][kind] = tuple(
                value / changes for value in (written - log, after[0] - rows, after[1] - indexes)
            )
    for kind in KINDS:
        for number, what in enumerate(("redo log", "tables", "indexes")):
            value, base = (stored[table][kind][number] for table in (_VERSIONED, _PLAIN))
            yield Figure(
                SECTION,
                f"{what}, per {kind} of one row",
                "B",
                spread([value]),
                spread([base]),
                "unversioned",
                spread([value / base]) if base > 0 and value > 0 else None,
                subject=KEY,
            )


def _log(cursor: pymysql.cursors.Cursor) -> int:
    cursor.execute("SHOW GLOBAL STATUS LIKE 'Innodb_lsn_current'")
    return int(cursor.fetchall()[0][1])


def _pages(cursor: pymysql.cursors.Cursor, table: str) -> tuple[int, int]:
    """Bytes of the leaf pages of rows, and of those of other indexes."""
    # All pages are sampled, so that the size of the sample is their number; n_leaf_pages and
    # the sizes of files and segments are rounded.
    cursor.execute(f"ANALYZE TABLE {table}")
    cursor.fetchall()
    cursor.execute(
        "SELECT index_name = 'PRIMARY', sum(sample_size) * @@innodb_page_size "
        "FROM mysql.innodb_index_stats WHERE database_name = database() "
        f"AND table_name = '{table}' AND stat_name = 'n_diff_pfx01' GROUP BY 1"
    )
    found = {bool(primary): int(size) for primary, size in cursor.fetchall()}
    return found.get(True, 0), found.get(False, 0)


# -------------------------------------------------------------------------------------- samples


def _timed(found: MariaDB, cursor: pymysql.cursors.Cursor, statements: Sequence[str]) -> Cost:
    """What statements take, each."""

    def work() -> None:
        for statement in statements:
            cursor.execute(statement)
            cursor.fetchall()

    taken = cost(work, (), busy=found.busy)
    return Cost(taken.wall, 0.0, taken.server) * (1 / len(statements))


def _figure(name: str, unit: str, taken: dict[str, list[Cost]], factor: float) -> Figure:
    ours, base = ([one * factor for one in taken[table]] for table in (_VERSIONED, _PLAIN))
    shape = Figure(SECTION, name, unit, None, subject=KEY, against="unversioned")
    return compare_costs(shape, ours, base)
