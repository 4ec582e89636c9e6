"""Law 3 under load: no answer is torn, and no answer ever changes.

Writers move money between two tables, with savepoints, roll-backs and pauses between
their statements; readers ask for HEAD, for a time just now, and for commits by id, while
that goes on. The sum over both tables is constant at every moment.
"""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal

from sqlalchemy import Column, Engine, Integer, MetaData, Numeric, Table, text
from sqlalchemy.exc import DBAPIError

from sqlalchemy_temporal.clock.moment import Moment
from sqlalchemy_temporal.clock.resolve import resolve
from sqlalchemy_temporal.clock.seal import seal
from sqlalchemy_temporal.model.declare import versioned_table
from tests.laws.programs import State, state_at

WRITERS = 8
READERS = 3
SECONDS = 4.0
ROWS = 60


@dataclass
class Log:
    """What the readers were told, and what went wrong in a thread."""

    answers: list[tuple[Moment, State]] = field(default_factory=list)
    errors: list[BaseException] = field(default_factory=list)
    commits: int = 0


def money() -> MetaData:
    metadata = MetaData()
    for name in ("checking", "savings"):
        versioned_table(
            Table(
                name,
                metadata,
                Column("id", Integer, primary_key=True, autoincrement=False),
                Column("amount", Numeric, nullable=False),
            )
        )
    return metadata


def total(state: State) -> Decimal:
    return sum((Decimal(row[1]) for rows in state.values() for row in rows), Decimal(0))


def transfer(engine: Engine, chance: random.Random) -> bool:
    """One transfer, perhaps with a detour that is rolled back; True when committed."""
    here, there = chance.sample(["checking", "savings"], 2)
    amount = {"n": chance.randint(1, 9), "a": chance.randrange(ROWS), "b": chance.randrange(ROWS)}
    with engine.connect() as connection, connection.begin() as transaction:
        connection.execute(text("SET LOCAL deadlock_timeout = '10ms'"))
        connection.execute(
            text(f"UPDATE {here} SET amount = amount - :n WHERE id = :a"),
            {"n": amount["n"], "a": amount["a"]},
        )
        if chance.random() < 0.3:
            savepoint = connection.begin_nested()
            connection.execute(
                text(f"UPDATE {there} SET amount = 0 WHERE id = :b"), {"b": amount["b"]}
            )
            savepoint.rollback()
        time.sleep(chance.random() * 0.004)
        connection.execute(
            text(f"UPDATE {there} SET amount = amount + :n WHERE id = :b"),
            {"n": amount["n"], "b": amount["b"]},
        )
        if chance.random() < 0.15:
            transaction.rollback()
            return False
    return True


def write(engine: Engine, log: Log, stop: threading.Event, seed: int) -> None:
    chance = random.Random(seed)
    while not stop.is_set():
        try:
            log.commits += transfer(engine, chance)
        except DBAPIError as error:
            if "deadlock detected" not in str(error):
                log.errors.append(error)
                return


def read(engine: Engine, metadata: MetaData, log: Log, stop: threading.Event) -> None:
    questions = ["HEAD", timedelta(0), timedelta(milliseconds=5), "HEAD~1"]
    while not stop.is_set():
        for question in questions:
            try:
                with engine.begin() as connection:
                    moment = resolve(connection, question)
                    log.answers.append((moment, state_at(connection, metadata, moment)))
            except Exception as error:  # noqa: BLE001 - reported by the test
                log.errors.append(error)
                return


def race(engine: Engine, metadata: MetaData, seconds: float = SECONDS) -> Log:
    """Let writers and readers run against each other for a while."""
    log, stop = Log(), threading.Event()
    threads = [
        threading.Thread(target=write, args=(engine, log, stop, seed)) for seed in range(WRITERS)
    ]
    threads += [
        threading.Thread(target=read, args=(engine, metadata, log, stop)) for _ in range(READERS)
    ]
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    stop.set()
    for thread in threads:
        thread.join()
    return log


def test_no_answer_is_torn_and_none_changes_later(pg_engine: Engine) -> None:
    metadata = money()
    metadata.create_all(pg_engine)
    with pg_engine.begin() as connection:
        for name in metadata.tables:
            connection.execute(
                text(f"INSERT INTO {name} SELECT i, 100 FROM generate_series(0, :last) i"),
                {"last": ROWS - 1},
            )
    log = race(pg_engine, metadata)
    assert not log.errors, log.errors[0]
    assert log.commits > 20
    assert len(log.answers) > 20
    assert {total(state) for _, state in log.answers} == {Decimal(200 * ROWS)}
    with pg_engine.begin() as connection:
        changed = [m for m, state in log.answers if state_at(connection, metadata, m) != state]
        assert not changed
        again = [
            m
            for m, state in log.answers
            if state_at(connection, metadata, resolve(connection, m.uuid)) != state
        ]
        assert not again


def test_every_commit_sums_up_whatever_was_in_flight(pg_engine: Engine) -> None:
    metadata = money()
    metadata.create_all(pg_engine)
    with pg_engine.begin() as connection:
        for name in metadata.tables:
            connection.execute(
                text(f"INSERT INTO {name} SELECT i, 100 FROM generate_series(0, :last) i"),
                {"last": ROWS - 1},
            )
    race(pg_engine, metadata, seconds=2.0)
    with pg_engine.begin() as connection:
        assert seal(connection)
        uuids = list(
            connection.scalars(
                text("SELECT uuid FROM temporal_versioning.commit WHERE seq > 2 ORDER BY seq")
            )
        )
        sums = {total(state_at(connection, metadata, resolve(connection, u))) for u in uuids}
    assert sums == {Decimal(200 * ROWS)}
