"""The index of blocks: the server computes what Python computes, and plans go by it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, create_engine, event, func, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from sqlalchemy_temporal import Versioned
from sqlalchemy_temporal.capture.doctor import doctor
from sqlalchemy_temporal.capture.sync import sync_versioning
from sqlalchemy_temporal.ddl.blocks import BLOCK_SQL, BLOCKS_SQL, block_of, blocks_of
from sqlalchemy_temporal.reading.as_of import as_of
from tests.fix_server import Server

INDEX = "item_history_block_idx"
ROWS, ROUNDS = 2_000, 20


class Base(DeclarativeBase):
    pass


class Item(Versioned, Base):
    __tablename__ = "item"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    amount: Mapped[int]
    ref: Mapped[int]


@pytest.fixture(scope="module")
def deep(server: Server) -> Iterator[Engine]:
    """A table of which each row was changed a few times, a tenth of the rows at once."""
    with server.database() as url:
        engine = create_engine(url)
        Base.metadata.create_all(engine)
        with engine.begin() as connection:
            connection.execute(
                text(
                    "INSERT INTO item SELECT i, 'n' || i, 0, i / 10 FROM generate_series(1, :n) i"
                ),
                {"n": ROWS},
            )
        for number in range(10 * ROUNDS):
            with engine.begin() as connection:
                connection.execute(
                    text("UPDATE item SET amount = amount + 1 WHERE id % 10 = :n"),
                    {"n": number % 10},
                )
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("SELECT temporal_versioning.seal()"))
            connection.execute(text("VACUUM ANALYZE"))
        yield engine
        engine.dispose()


def plans(connection: Connection) -> list[str]:
    """The plans of what is executed from now on, as one line each."""
    found: list[str] = []

    def explain(_c: object, cursor: Any, sql: str, values: Any, *_: object) -> None:
        if sql.startswith("SELECT"):
            cursor.execute(f"EXPLAIN {sql}", values)
            found.append(" ".join(row[0] for row in cursor.fetchall()))

    event.listen(connection, "before_cursor_execute", explain)
    return found


ids = st.one_of(st.integers(1, 50), st.integers(1, 2**62 - 1), st.just(2**63 - 1))


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(start=ids, end=ids, inflight=st.lists(ids, max_size=3))
def test_the_server_computes_the_same_blocks(
    deep: Engine, start: int, end: int, inflight: list[int]
) -> None:
    block = f"SELECT {BLOCK_SQL} FROM (SELECT CAST(:s AS bigint) AS temporal_tx_id, "
    block += "CAST(:e AS bigint) AS temporal_end_tx_id) AS h"
    blocks = f"SELECT {BLOCKS_SQL.format(ids='CAST(:ids AS bigint[])')}"
    with deep.connect() as connection:
        binds = {"s": start, "e": end, "ids": [end, *inflight]}
        found = connection.exec_driver_sql(
            block.replace(":s", "%(s)s").replace(":e", "%(e)s"), binds
        ).scalar()
        assert found == block_of(start, end)
        several = connection.exec_driver_sql(blocks.replace(":ids", "%(ids)s"), binds).scalar()
        assert set(several or ()) == set(blocks_of(end, tuple(inflight)))


@pytest.mark.parametrize("back", [20, 100, 180])
@pytest.mark.parametrize("plan", ["rows", "table", "auto"])
def test_a_whole_table_is_read_by_the_index_of_blocks(deep: Engine, back: int, plan: Any) -> None:
    with deep.connect() as connection:
        seen = plans(connection)
        with as_of(connection, f"HEAD~{back}", plan=plan) as past:
            assert past.scalar(select(func.count()).select_from(Item)) == ROWS
            rounds, rest = divmod(10 * ROUNDS - back, 10)
            total = rounds * ROWS + rest * ROWS // 10
            assert past.scalar(select(func.sum(Item.amount))) == total
        of_past = [line for line in seen if "item_history" in line]
    assert len(of_past) == 2
    assert all(INDEX in line for line in of_past), of_past


def test_a_view_is_read_by_the_index_of_blocks(deep: Engine) -> None:
    with deep.begin() as connection:
        connection.execute(text("SELECT temporal_versioning.travel_to('HEAD~100')"))
        total = "SELECT sum(amount) FROM temporal_as_of.item"
        assert connection.scalar(text(total)) == ROWS * (ROUNDS - 10)
        plan = "\n".join(connection.scalars(text(f"EXPLAIN (ANALYZE) {total}")))
    assert INDEX in plan


def test_a_row_by_key_is_read_without_it(deep: Engine) -> None:
    with deep.connect() as connection:
        seen = plans(connection)
        with as_of(connection, "HEAD~100") as past:
            assert past.scalar(select(Item.amount).where(Item.id == 7)) == ROUNDS - 10
    assert INDEX not in " ".join(seen)


def test_a_history_of_before_gains_the_index(deep: Engine) -> None:
    with deep.connect() as connection, connection.begin() as transaction:
        connection.execute(text(f"DROP INDEX temporal_versioning.{INDEX}"))
        (drift,) = doctor(connection, Base.metadata).drifts
        assert f"index {INDEX} of the history is missing" in str(drift)
        sync_versioning(connection, Item.__table__)  # type: ignore[arg-type]
        assert not doctor(connection, Base.metadata).drifts
        transaction.rollback()
