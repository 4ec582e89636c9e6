"""Purging, partitioning and verifying while others write: no answer changes, none is torn."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from datetime import timedelta

from sqlalchemy import Engine, MetaData, create_engine, text
from sqlalchemy.exc import DBAPIError

from sqlalchemy_temporal.clock.moment import Moment
from sqlalchemy_temporal.clock.resolve import resolve
from sqlalchemy_temporal.ddl import keys
from sqlalchemy_temporal.repository import Repository
from sqlalchemy_temporal.tables.partitions import partition_history
from sqlalchemy_temporal.tables.purge import purge_history
from tests.laws.programs import State, state_at
from tests.laws.test_concurrency import ROWS, money, total, transfer

SECONDS = 4.0
DEADLOCK = "40P01"
"""Transfers go both ways, so two of them may wait for each other."""


class Site:
    """Threads that work at a database until time is up."""

    def __init__(self, engine: Engine, metadata: MetaData) -> None:
        self.engine = engine
        self.metadata = metadata
        self.answers: list[tuple[Moment, State]] = []
        self.errors: list[BaseException] = []
        self.removed = 0
        self._end = time.monotonic() + SECONDS

    def repeat(self, work: Callable[[], None]) -> None:
        while time.monotonic() < self._end:
            try:
                work()
            except DBAPIError as error:
                if keys.sqlstate(error) != DEADLOCK:
                    self.errors.append(error)
            except BaseException as error:  # noqa: BLE001 - told by the test's own thread
                self.errors.append(error)

    def read(self) -> None:
        with self.engine.begin() as connection:
            moment = resolve(connection, "HEAD")
            self.answers.append((moment, state_at(connection, self.metadata, moment)))

    def purge(self) -> None:
        age = timedelta(seconds=1.5)  # no reader takes as long between its statements
        self.removed += purge_history(self.engine, age, dry_run=False, batch_size=100).removed
        time.sleep(0.1)

    def verify(self) -> None:
        with self.engine.connect() as connection:
            found = Repository(connection).verify()
        assert found.ok, str(found)
        time.sleep(0.2)

    def partition(self) -> None:
        time.sleep(SECONDS / 3)
        partition_history(self.engine, "checking")

    def run(self) -> None:
        chance = random.Random(7)
        works: list[Callable[[], None]] = [self.read, self.purge, self.verify, self.partition]
        for _ in range(4):
            seed = random.Random(chance.random())
            works.append(lambda seed=seed: transfer(self.engine, seed) and None)  # type: ignore[misc]
        threads = [threading.Thread(target=self.repeat, args=(work,)) for work in works]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def test_maintenance_under_load_changes_no_answer(pg_engine: Engine) -> None:
    metadata = money()
    metadata.create_all(pg_engine)
    with pg_engine.begin() as connection:
        for table in ("checking", "savings"):
            connection.execute(
                text(f"INSERT INTO {table} SELECT g, 100 FROM generate_series(0, {ROWS - 1}) g")
            )
    engine = create_engine(pg_engine.url, pool_size=20)
    site = Site(engine, metadata)
    site.run()
    assert site.errors == []
    assert site.removed > 0
    assert all(total(state) == ROWS * 200 for _, state in site.answers)
    with engine.begin() as connection:
        for moment, state in site.answers:
            now = resolve(connection, moment)
            refused = {each.history.split(".")[1] for each in now.unknown}
            found = state_at(connection, metadata, now)
            for name in set(state) - {each.removesuffix("_history") for each in refused}:
                assert found[name] == state[name]
        assert Repository(connection).verify().ok
    engine.dispose()
