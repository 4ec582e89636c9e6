"""What names a point in time, and what is refused."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    StaticPool,
    Table,
    Text,
    create_engine,
    text,
)

from sqlalchemy_temporal.clock.resolve import resolve
from sqlalchemy_temporal.clock.seal import ENOUGH, seal
from sqlalchemy_temporal.errors import (
    BarrierTimeoutError,
    BeforeVersioningError,
    FutureMomentError,
    MomentError,
    NaiveDatetimeError,
    SnapshotTooOldError,
    UnknownRevisionError,
)
from sqlalchemy_temporal.model.declare import versioned_table
from sqlalchemy_temporal.repository import Repository


@pytest.fixture
def engine(pg_engine: Engine) -> Engine:
    """A database with four commits: the set-up and three rows."""
    metadata = MetaData()
    versioned_table(
        Table("t", metadata, Column("id", Integer, primary_key=True), Column("v", Text))
    )
    metadata.create_all(pg_engine)
    for i in range(3):
        with pg_engine.begin() as connection:
            connection.execute(text("INSERT INTO t VALUES (:i)"), {"i": i})
    return pg_engine


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    with engine.begin() as connection:
        yield connection


def write(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE t SET v = md5(random()::text)"))


def test_head_and_its_ancestors(connection: Connection) -> None:
    assert [resolve(connection, f"HEAD~{n}").seq for n in range(4)] == [4, 3, 2, 1]
    assert resolve(connection, "HEAD^^") == resolve(connection, "HEAD~2")
    assert resolve(connection, "HEAD~1^") == resolve(connection, "HEAD~2")
    assert resolve(connection, "HEAD~") == resolve(connection, "HEAD~1")


def test_a_time_means_the_last_commit_that_is_not_later(connection: Connection) -> None:
    third = resolve(connection, "HEAD~1")
    assert resolve(connection, third.effective_at) == third
    assert resolve(connection, third.effective_at + timedelta(microseconds=1)) == third
    assert resolve(connection, third.effective_at - timedelta(microseconds=1)).seq == 2


def test_a_time_may_be_given_in_any_zone_and_as_text(connection: Connection) -> None:
    third = resolve(connection, "HEAD~1")
    abroad = third.effective_at.astimezone(timezone(timedelta(hours=5, minutes=45)))
    assert resolve(connection, abroad) == third
    assert resolve(connection, abroad.isoformat()) == third


@pytest.mark.parametrize("style", ["ISO, DMY", "ISO, MDY", "ISO, YMD"])
def test_the_session_s_date_style_does_not_matter(connection: Connection, style: str) -> None:
    third = resolve(connection, "HEAD~1")
    connection.execute(text("SELECT set_config('DateStyle', :style, true)"), {"style": style})
    connection.execute(text("SET LOCAL IntervalStyle = 'sql_standard'"))
    assert resolve(connection, third.effective_at) == third
    assert resolve(connection, timedelta(0)).seq == 4


def test_a_timedelta_means_that_long_ago(connection: Connection) -> None:
    assert resolve(connection, timedelta(0)).seq == 4


def test_a_uuid_a_commit_and_a_moment_name_themselves(connection: Connection) -> None:
    moment = resolve(connection, "HEAD~1")
    commit = Repository(connection).get(moment)
    assert resolve(connection, moment.uuid) == moment
    assert resolve(connection, str(moment.uuid)) == moment
    assert resolve(connection, f"{moment.uuid}~1").seq == 2
    assert resolve(connection, commit) == moment
    assert resolve(connection, moment) == moment


def test_a_tag_names_its_commit(connection: Connection) -> None:
    Repository(connection).tag("v1.0", at="HEAD~2")
    assert resolve(connection, "v1.0").seq == 2
    assert resolve(connection, "v1.0~1").seq == 1


@pytest.mark.parametrize("when", [datetime(2024, 1, 15), "2024-01-15 10:30:00", "2024-01-15"])  # noqa: DTZ001
def test_a_datetime_without_a_zone_is_refused(connection: Connection, when: datetime | str) -> None:
    with pytest.raises(NaiveDatetimeError, match="no time zone"):
        resolve(connection, when)


def test_a_day_is_refused(connection: Connection) -> None:
    with pytest.raises(NaiveDatetimeError, match="is a day"):
        resolve(connection, date(2024, 1, 15))  # type: ignore[arg-type]


@pytest.mark.parametrize("when", [datetime(2999, 1, 1, tzinfo=UTC), timedelta(days=-1)])
def test_the_future_is_refused(connection: Connection, when: datetime | timedelta) -> None:
    with pytest.raises(FutureMomentError):
        resolve(connection, when)


def test_a_time_before_versioning_is_refused_and_says_when_it_began(
    connection: Connection,
) -> None:
    with pytest.raises(BeforeVersioningError, match="versioning began at"):
        resolve(connection, datetime(2000, 1, 1, tzinfo=UTC))


def test_an_ancestor_before_the_first_commit_is_refused(connection: Connection) -> None:
    with pytest.raises(BeforeVersioningError, match="before the first commit"):
        resolve(connection, "HEAD~4")


@pytest.mark.parametrize("when", ["nope", "nope~1", "", "  ", str(UUID(int=7)), UUID(int=7)])
def test_an_unknown_name_is_refused(connection: Connection, when: str | UUID) -> None:
    with pytest.raises(UnknownRevisionError):
        resolve(connection, when)


def test_anything_else_is_refused(connection: Connection) -> None:
    with pytest.raises(MomentError, match="does not name a point in time"):
        resolve(connection, 17)  # type: ignore[arg-type]


def test_a_refusal_leaves_the_transaction_usable(connection: Connection) -> None:
    connection.execute(text("INSERT INTO t VALUES (77)"))
    for when in ("nope", datetime(2000, 1, 1, tzinfo=UTC), datetime(2999, 1, 1, tzinfo=UTC)):
        with pytest.raises(MomentError):
            resolve(connection, when)
    assert connection.scalar(text("SELECT count(*) FROM t WHERE id = 77")) == 1


def test_own_uncommitted_changes_are_no_commit(connection: Connection) -> None:
    before = resolve(connection, "HEAD")
    connection.execute(text("INSERT INTO t VALUES (77)"))
    assert resolve(connection, "HEAD") == before
    connection.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))
    assert resolve(connection, "HEAD") == before


def test_effective_times_increase_strictly(engine: Engine) -> None:
    threads = [threading.Thread(target=lambda: [write(engine) for _ in range(20)]) for _ in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with engine.begin() as connection:
        assert seal(connection)
        times = list(
            connection.scalars(
                text("SELECT effective_at FROM temporal_versioning.commit ORDER BY seq")
            )
        )
    assert len(times) == 44
    assert all(a < b for a, b in itertools.pairwise(times))


SEALED = "SELECT seq, uuid, effective_at, hi, parent_uuid FROM temporal_versioning.commit"


def test_it_does_not_matter_who_seals(engine: Engine) -> None:
    with engine.connect() as connection:
        assert seal(connection)
        first = connection.execute(text(SEALED)).all()
        connection.rollback()
    write(engine)
    with engine.begin() as connection:
        assert seal(connection)
        assert connection.execute(text(SEALED + " WHERE seq <= 4")).all() == first


def test_asking_does_not_write_in_the_transaction_that_asks(connection: Connection) -> None:
    for when in ("HEAD", "HEAD~2", timedelta(0), resolve(connection, "HEAD").uuid):
        resolve(connection, when)
    assert connection.scalar(text("SELECT pg_current_xact_id_if_assigned()")) is None
    assert connection.execute(text(SEALED)).all() == []


def test_many_unsealed_commits_are_sealed_on_another_connection(engine: Engine) -> None:
    for _ in range(ENOUGH):
        write(engine)
    with engine.connect() as connection:
        before = resolve(connection, "HEAD")
        connection.rollback()
        assert len(connection.execute(text(SEALED)).all()) == before.seq
        assert resolve(connection, "HEAD") == before


@pytest.mark.parametrize("pool", [{"pool_size": 1, "max_overflow": 0}, {"poolclass": StaticPool}])
def test_without_a_spare_connection_nothing_is_sealed_and_nothing_waits(
    engine: Engine, pool: dict[str, Any]
) -> None:
    for _ in range(ENOUGH):
        write(engine)
    small = create_engine(engine.url, **pool)
    with small.connect() as connection:
        assert resolve(connection, "HEAD").seq == ENOUGH + 4
        assert connection.execute(text(SEALED)).all() == []
    small.dispose()


def test_a_read_only_transaction_resolves_without_sealing(engine: Engine) -> None:
    write(engine)
    with engine.connect().execution_options(postgresql_readonly=True) as connection:
        assert resolve(connection, "HEAD").seq == 5
        assert resolve(connection, timedelta(0)).seq == 5
        assert resolve(connection, "HEAD~3").seq == 2


def test_others_may_ask_while_one_holds_the_seal(engine: Engine) -> None:
    with engine.connect() as holder, engine.connect() as other:
        assert seal(holder)
        write(engine)
        assert not seal(other)
        assert resolve(other, "HEAD").seq == 5
        assert resolve(other, "HEAD~4").seq == 1
        holder.commit()
        assert resolve(other, timedelta(0)).seq == 5
        assert seal(other)


def test_a_moment_newer_than_a_fixed_snapshot_is_refused(engine: Engine) -> None:
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        old = resolve(connection, "HEAD")
        write(engine)
        with engine.begin() as other:
            new = resolve(other, "HEAD")
        assert resolve(connection, old) == old
        with pytest.raises(SnapshotTooOldError):
            resolve(connection, new)


def test_a_fixed_snapshot_answers_for_commits_it_sees(engine: Engine) -> None:
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        third = resolve(connection, "HEAD~1")
        write(engine)
        assert resolve(connection, third.uuid) == third


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_a_fixed_snapshot_that_is_too_old_is_refused(engine: Engine, level: str) -> None:
    with engine.connect().execution_options(isolation_level=level) as connection:
        assert resolve(connection, "HEAD").seq == 4
        write(engine)
        with pytest.raises(SnapshotTooOldError, match="READ COMMITTED"):
            resolve(connection, "HEAD")
        with pytest.raises(SnapshotTooOldError):
            resolve(connection, timedelta(0))


def test_a_commit_in_flight_is_waited_for(engine: Engine) -> None:
    """Held between its stamp and its end, as a slow disk would."""
    with engine.connect() as slow:
        slow.execute(text("INSERT INTO t VALUES (50)"))
        slow.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))
        release = threading.Timer(0.3, slow.commit)
        started = time.monotonic()
        release.start()
        with engine.begin() as connection:
            assert resolve(connection, "HEAD").seq == 5
        assert time.monotonic() - started >= 0.25
        release.join()


def test_a_prepared_transaction_is_named_when_it_holds_up_the_answer(engine: Engine) -> None:
    autocommit = engine.execution_options(isolation_level="AUTOCOMMIT")
    with autocommit.connect() as connection:
        connection.exec_driver_sql("BEGIN")
        connection.exec_driver_sql("INSERT INTO t VALUES (50)")
        connection.exec_driver_sql("PREPARE TRANSACTION 'stuck'")
        try:
            connection.exec_driver_sql("SET temporal.patience = '100ms'")
            with pytest.raises(BarrierTimeoutError, match=r"prepared.*pg_prepared_xacts"):
                resolve(connection, "HEAD")
        finally:
            connection.exec_driver_sql("ROLLBACK PREPARED 'stuck'")
        assert resolve(connection, "HEAD").seq == 4
