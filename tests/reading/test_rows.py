"""The rows of a moment, in every form of SQL, against a plain model of what was committed.

Transactions take their ids in one order and commit in another. A moment is what was
committed after so many commits; ids in flight lie between visible ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, MetaData, create_engine, insert, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from sqlalchemy_temporal.clock.moment import Moment
from sqlalchemy_temporal.naming import DEFAULT_SCHEMA, VersioningOptions
from sqlalchemy_temporal.reading.as_of import as_of
from sqlalchemy_temporal.reading.policy import Plan
from sqlalchemy_temporal.schema import history_table, mark_versioned, system_of
from tests.fix_server import Server

KEYS = range(3)


class Base(DeclarativeBase):
    metadata = MetaData()


class Row(Base):
    __tablename__ = "rows"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    value: Mapped[int]


mark_versioned(Row.__table__, VersioningOptions())  # type: ignore[arg-type]


@dataclass(frozen=True)
class Write:
    """One committed transaction: its id, and the rows it leaves (None: deleted)."""

    tx: int
    rows: dict[int, int | None]


@dataclass
class Recorded:
    """What the tables hold after all writes, and the state after each."""

    live: dict[int, tuple[int, int]] = field(default_factory=dict)
    history: list[tuple[int, int, int, int]] = field(default_factory=list)
    states: list[tuple[Moment, dict[int, int]]] = field(default_factory=list)


writes = (
    st.integers(2, 9)
    .flatmap(
        lambda count: st.tuples(
            st.permutations(range(1, count + 1)),
            st.lists(
                st.dictionaries(
                    st.sampled_from(KEYS), st.one_of(st.none(), st.integers(0, 99)), min_size=1
                ),
                min_size=count,
                max_size=count,
            ),
        )
    )
    .map(lambda drawn: [Write(tx, rows) for tx, rows in zip(*drawn, strict=True)])
)
apart = st.sampled_from([1, 7, 1_000_003, 2**58 + 1])
"""How far ids lie from one another: blocks of all sizes are met."""


def record(program: Sequence[Write]) -> Recorded:
    """Run the writes in the order of their commits."""
    done = Recorded()
    for seq, write in enumerate(program, 1):
        for key, value in write.rows.items():
            if key in done.live:
                old, start = done.live.pop(key)
                done.history.append((key, old, start, write.tx))
            if value is not None:
                done.live[key] = (value, write.tx)
        seen = {w.tx for w in program[:seq]}
        hi = max(seen)
        inflight = tuple(sorted(w.tx for w in program if w.tx < hi and w.tx not in seen))
        moment = Moment(
            seq, uuid4(), datetime.now(UTC), hi, inflight, min((*inflight, hi + 1)),
            "temporal_versioning",
        )  # fmt: skip
        done.states.append((moment, {key: value for key, (value, _) in done.live.items()}))
    return done


def store(connection: Connection, done: Recorded) -> None:
    """Put the rows into the tables as the triggers would."""
    history: Any = history_table(Row.__table__)  # type: ignore[arg-type]
    on_sqlite = connection.dialect.name == "sqlite"
    name = history.name if on_sqlite else history.fullname
    connection.execute(text("DELETE FROM rows"))
    if on_sqlite:
        connection.execute(text("DELETE FROM rows_history_current"))
    connection.execute(text(f"DELETE FROM {name}"))
    for key, (value, start) in done.live.items():
        row = {"k": key, "v": value, "s": start}
        if on_sqlite:
            connection.execute(text("INSERT INTO rows VALUES (:k, :v)"), row)
            connection.execute(text("INSERT INTO rows_history_current VALUES (:k, :s)"), row)
        else:
            connection.execute(text("INSERT INTO rows VALUES (:k, :v, :s)"), row)
    for number, (key, value, start, end) in enumerate(done.history):
        connection.execute(
            text(
                f"INSERT INTO {name} (id, value, temporal_id, temporal_operation, "
                "temporal_tx_id, temporal_end_tx_id) VALUES (:k, :v, :n, 'UPDATE', :s, :e)"
            ),
            {"k": key, "v": value, "n": number, "s": start, "e": end},
        )


def check(session: Session, done: Recorded, plan: Plan) -> None:
    """Compare every state with what is read at its moment: all rows, and each by its key."""
    for moment, state in done.states:
        with as_of(session, moment, plan=plan) as past:
            found = {row.id: row.value for row in past.scalars(select(Row))}
            assert found == state, moment
            for key in KEYS:
                row = past.execute(select(Row.value).where(Row.id == key)).all()
                assert row == ([(state[key],)] if key in state else []), (moment, key)


@pytest.fixture(scope="module")
def engines(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Engine]]:
    history: Any = history_table(Row.__table__)  # type: ignore[arg-type]
    columns = "id integer PRIMARY KEY, value integer"
    current = "id integer PRIMARY KEY, temporal_tx_id bigint"
    past = (
        "id integer, value integer, temporal_id bigint, temporal_operation text, "
        "temporal_tx_id bigint, temporal_end_tx_id bigint"
    )
    with server.database() as url:
        postgres = create_engine(url)
        sqlite = create_engine(f"sqlite:///{tmp_path_factory.mktemp('rows') / 'rows.db'}")
        with postgres.begin() as connection:
            connection.execute(text("CREATE SCHEMA temporal_versioning"))
            connection.execute(text(f"CREATE TABLE rows ({columns}, temporal_tx_id bigint)"))
            connection.execute(text(f"CREATE TABLE {history.fullname} ({past})"))
            system_of(connection, DEFAULT_SCHEMA).metadata.create_all(connection)
        with sqlite.begin() as connection:
            connection.execute(text(f"CREATE TABLE rows ({columns})"))
            connection.execute(text(f"CREATE TABLE rows_history_current ({current})"))
            connection.execute(text(f"CREATE TABLE {history.name} ({past})"))
            system_of(connection, DEFAULT_SCHEMA).metadata.create_all(connection)
        yield [postgres, sqlite]
        postgres.dispose()
        sqlite.dispose()


@settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(program=writes, plan=st.sampled_from(["auto", "rows", "table"]), gap=apart)
def test_every_moment_reads_as_it_was_committed(
    engines: list[Engine], program: list[Write], plan: Plan, gap: int
) -> None:
    done = record([Write(write.tx * gap, write.rows) for write in program])
    for engine in engines:
        with Session(engine) as session:
            store(session.connection(), done)
            check(session, done, plan)
            session.rollback()


def test_a_transaction_that_began_first_and_ended_last(engines: list[Engine]) -> None:
    """The end id of the first version is smaller than its start id: ids are no order."""
    done = record([Write(2, {0: 20}), Write(1, {0: 10}), Write(3, {0: 30})])
    assert (0, 20, 2, 1) in done.history
    for engine in engines:
        with Session(engine) as session:
            store(session.connection(), done)
            check(session, done, "auto")
            session.rollback()


def test_writing_on_sqlite_is_refused_in_the_past(engines: list[Engine]) -> None:
    from sqlalchemy_temporal.errors import ReadOnlyPastError

    done = record([Write(1, {0: 1})])
    with Session(engines[1]) as session:
        store(session.connection(), done)
        with as_of(session, done.states[0][0]) as past, pytest.raises(ReadOnlyPastError):
            past.execute(insert(Row).values(id=1, value=1))
        session.rollback()
