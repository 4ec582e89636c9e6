"""Random programs of SQL statements over two tables, and what to compare them with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    Integer,
    MetaData,
    Numeric,
    Table,
    Text,
    text,
)

from sqlalchemy_temporal.clock.moment import Moment
from sqlalchemy_temporal.model.declare import versioned_table
from sqlalchemy_temporal.schema import history_table

State = dict[str, frozenset[tuple[Any, ...]]]


def tables() -> MetaData:
    """Owners and their accounts; deletes and key changes cascade in the database."""
    metadata = MetaData()
    versioned_table(
        Table(
            "owner",
            metadata,
            Column("id", Integer, primary_key=True, autoincrement=False),
            Column("name", Text),
            Column("note", Text),
        )
    )
    versioned_table(
        Table(
            "account",
            metadata,
            Column("id", Integer, primary_key=True, autoincrement=False),
            Column(
                "owner_id",
                ForeignKey("owner.id", ondelete="CASCADE", onupdate="CASCADE"),
            ),
            Column("amount", Numeric),
        )
    )
    return metadata


@dataclass(frozen=True)
class Step:
    """One statement, run inside a savepoint that may be rolled back."""

    sql: str
    values: dict[str, Any]
    rolled_back: bool = False


Transaction = tuple[tuple[Step, ...], bool]
"""Steps, and whether the transaction is committed."""

KEYS = st.integers(0, 6)
NAMES = st.sampled_from(["ana", "bo", "", "o'neil", "ünï"])
AMOUNTS = st.sampled_from(["0", "1", "1.0", "1.00", "-5", "NaN"])

STATEMENTS: tuple[tuple[str, dict[str, st.SearchStrategy[Any]]], ...] = (
    (
        "INSERT INTO owner (id, name) VALUES (:k, :n) ON CONFLICT DO NOTHING",
        {"k": KEYS, "n": NAMES},
    ),
    (
        (
            "INSERT INTO owner (id, name) VALUES (:k, :n), (:k + 1, :n) "
            "ON CONFLICT (id) DO UPDATE SET name = excluded.name"
        ),
        {"k": KEYS, "n": NAMES},
    ),
    (
        (
            "INSERT INTO account (id, owner_id, amount) "
            "SELECT o.id + :k, o.id, CAST(:a AS numeric) FROM owner o ON CONFLICT DO NOTHING"
        ),
        {"k": KEYS, "a": AMOUNTS},
    ),
    ("UPDATE owner SET name = :n WHERE id <= :k", {"k": KEYS, "n": NAMES}),
    ("UPDATE owner SET name = name WHERE id >= :k", {"k": KEYS}),
    (
        "UPDATE owner SET note = CASE WHEN id < :k THEN :n ELSE note END",
        {"k": KEYS, "n": NAMES},
    ),
    ("UPDATE account SET amount = CAST(:a AS numeric) WHERE id > :k", {"k": KEYS, "a": AMOUNTS}),
    ("UPDATE account SET amount = amount + 1", {}),
    (
        "UPDATE owner SET id = :j WHERE id = :k AND NOT EXISTS (SELECT FROM owner WHERE id = :j)",
        {"k": KEYS, "j": KEYS},
    ),
    ("DELETE FROM owner WHERE id = :k", {"k": KEYS}),
    ("DELETE FROM account WHERE id < :k", {"k": KEYS}),
    (
        (
            "WITH gone AS (DELETE FROM account WHERE id = :k RETURNING *), "
            "kept AS (UPDATE owner SET note = 'lost' WHERE id IN (SELECT owner_id FROM gone) "
            "RETURNING id) "
            "INSERT INTO account (id, owner_id, amount) "
            "SELECT id + 100, owner_id, amount FROM gone "
            "ON CONFLICT DO NOTHING"
        ),
        {"k": KEYS},
    ),
    (
        "WITH gone AS (DELETE FROM account WHERE id >= 100 RETURNING *) SELECT count(*) FROM gone",
        {},
    ),
    (
        (
            "MERGE INTO owner o "
            "USING (VALUES (CAST(:k AS integer), CAST(:n AS text))) AS v (id, name) "
            "ON o.id = v.id "
            "WHEN MATCHED AND v.name = '' THEN DELETE "
            "WHEN MATCHED THEN UPDATE SET name = v.name "
            "WHEN NOT MATCHED THEN INSERT (id, name) VALUES (v.id, v.name)"
        ),
        {"k": KEYS, "n": NAMES},
    ),
    ("TRUNCATE account", {}),
    ("TRUNCATE owner CASCADE", {}),
    ("COPY", {"k": KEYS, "n": NAMES}),
    ("SET CONSTRAINTS ALL IMMEDIATE", {}),
    ("SET CONSTRAINTS ALL DEFERRED", {}),
)


@st.composite
def steps(draw: st.DrawFn) -> Step:
    """One random statement."""
    sql, values = draw(st.sampled_from(STATEMENTS))
    bound = {name: draw(strategy) for name, strategy in values.items()}
    return Step(sql, bound, rolled_back=draw(st.integers(0, 4)) == 0)


programs = st.lists(
    st.tuples(st.lists(steps(), min_size=1, max_size=5).map(tuple), st.integers(0, 5).map(bool)),
    min_size=1,
    max_size=8,
)


def run_step(connection: Connection, step: Step) -> None:
    """Execute one step in its savepoint."""
    savepoint = connection.begin_nested()
    if step.sql == "COPY":
        driver = connection.connection.driver_connection
        assert driver is not None
        with driver.cursor() as cursor:
            taken = {row[0] for row in cursor.execute("SELECT id FROM owner").fetchall()}
            with cursor.copy("COPY owner (id, name) FROM STDIN") as copy:
                for key in {step.values["k"], step.values["k"] + 10} - taken:
                    copy.write_row((key, step.values["n"]))
    else:
        connection.execute(text(step.sql), step.values)
    if step.rolled_back:
        savepoint.rollback()
    else:
        savepoint.commit()


def copy_of(connection: Connection, metadata: MetaData) -> State:
    """A full copy of the live tables, every value as the text that shows it exactly."""
    return {
        table.name: frozenset(
            tuple(row)
            for row in connection.execute(text(f"SELECT {_columns(table)} FROM {table.name}"))
        )
        for table in metadata.sorted_tables
    }


def state_at(connection: Connection, metadata: MetaData, moment: Moment) -> State:
    """The tables as of ``moment``, by the definition of visibility and nothing else."""
    return {table.name: _rows_at(connection, table, moment) for table in metadata.sorted_tables}


def _columns(table: Table) -> str:
    return ", ".join(f"{column.name}::text" for column in table.columns)


def _rows_at(connection: Connection, table: Table, moment: Moment) -> frozenset[tuple[Any, ...]]:
    past = history_table(table)
    visible = "({0} <= :hi AND {0} <> ALL (CAST(:inflight AS bigint[])))".format
    rows = connection.execute(
        text(
            f"SELECT {_columns(table)} FROM {table.name} WHERE {visible('temporal_tx_id')} "
            f"UNION ALL SELECT {_columns(table)} FROM {past.schema}.{past.name} "
            f"WHERE {visible('temporal_tx_id')} AND NOT {visible('temporal_end_tx_id')} "
            "AND temporal_end_tx_id >= :lo"
        ),
        {"hi": moment.hi, "lo": moment.lo, "inflight": list(moment.inflight)},
    ).all()
    found = frozenset(tuple(row) for row in rows)
    assert len(found) == len(rows), f"{table.name}: a row appears twice as of {moment}"
    return found
