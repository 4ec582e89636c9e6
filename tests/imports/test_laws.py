"""Whatever was recorded, each moment reads as a model in plain Python remembers it."""

from __future__ import annotations

import random
import secrets
from collections.abc import Iterator
from datetime import datetime

import pytest
from sqlalchemy import (
    Column,
    Connection,
    DateTime,
    Engine,
    Float,
    Integer,
    MetaData,
    Table,
    Text,
    text,
)
from sqlalchemy import create_engine as make_engine

from sqlalchemy_temporal import (
    HistoryImportError,
    PrivilegeError,
    Repository,
    import_continuum_history,
    query_temporal_data,
)

NAME = 'we"ird % :name'
States = list[dict[int, tuple[str | None, float]]]


def tables(metadata: MetaData) -> tuple[Table, Table, Table]:
    def columns() -> list[Column[object]]:
        return [Column("order %", Text), Column("a:b", Float)]

    return (
        Table(NAME, metadata, Column("Key %", Integer, primary_key=True), *columns()),
        Table(
            f"{NAME}_version",
            metadata,
            Column("Key %", Integer),
            *columns(),
            Column("transaction_id", Integer),
            Column("operation_type", Integer),
        ),
        Table(
            "transaction",
            metadata,
            Column("id", Integer, primary_key=True),
            Column("issued_at", DateTime),
        ),
    )


def record(connection: Connection, dice: random.Random) -> States:
    """Record a random program as SQLAlchemy-Continuum does; its state after each transaction."""
    metadata = MetaData()
    live, versions, transaction = tables(metadata)
    metadata.create_all(connection)
    state: dict[int, tuple[str | None, float]] = {}
    states: States = []
    for number in range(1, 30):
        # Often equal, or out of order; without time zone, as both libraries keep it.
        at = datetime(2024, 1, 1, second=dice.randrange(10))  # noqa: DTZ001
        connection.execute(transaction.insert().values(id=number * 3, issued_at=at))
        for key in dice.sample(range(5), dice.randrange(1, 4)):
            row: tuple[str | None, float | None] = (dice.choice(["a", "b", None]), 1.5)
            operation = 1 if key in state else 0
            if key in state and dice.random() < 0.4:
                del state[key]
                row, operation = (None, None), 2
            else:
                state[key] = (row[0], 1.5)
            connection.execute(versions.insert().values((key, *row, number * 3, operation)))
        states.append(dict(state))
    for key, (order, number_) in state.items():
        connection.execute(live.insert().values((key, order, number_)))
    return states


@pytest.mark.parametrize("seed", range(3))
def test_every_moment_reads_as_it_was_recorded(any_engine: Engine, seed: int) -> None:
    with any_engine.begin() as connection:
        states = record(connection, random.Random(seed))
    import_continuum_history(any_engine, [NAME], dry_run=False)
    for back, state in enumerate(reversed(states), start=1):
        rows = query_temporal_data(any_engine, NAME, f"HEAD~{back}")
        assert {row["Key %"]: (row["order %"], row["a:b"]) for row in rows} == state
    with Repository(any_engine).begin() as repo:
        assert repo.verify().ok
        times = [commit.effective_at for commit in repo.log()]
        assert times == sorted(set(times), reverse=True)


@pytest.fixture
def owner(pg_engine: Engine) -> Iterator[Engine]:
    """An engine of a role that owns the tables, and is no superuser."""
    role = f"temporal_owner_{secrets.token_hex(4)}"
    with pg_engine.begin() as connection:
        connection.execute(text(f"CREATE ROLE {role} LOGIN"))
        connection.execute(text(f"GRANT ALL ON SCHEMA public TO {role}"))
        connection.execute(text(f"GRANT CREATE ON DATABASE {pg_engine.url.database} TO {role}"))
    engine = make_engine(pg_engine.url.set(username=role))
    yield engine
    engine.dispose()
    with pg_engine.begin() as connection:
        connection.execute(text(f"DROP OWNED BY {role} CASCADE"))
        connection.execute(text(f"DROP ROLE {role}"))


def test_rows_that_a_policy_hides_are_not_taken_for_deleted(owner: Engine) -> None:
    with owner.begin() as connection:
        record(connection, random.Random(1))
        quoted = '"we""ird % \\:name"'
        connection.execute(text(f"ALTER TABLE {quoted} ENABLE ROW LEVEL SECURITY"))
        connection.execute(text(f"ALTER TABLE {quoted} FORCE ROW LEVEL SECURITY"))
    with pytest.raises(PrivilegeError, match="sees all their rows"):
        import_continuum_history(owner, [NAME])
    with owner.begin() as connection:
        connection.execute(text(f"ALTER TABLE {quoted} NO FORCE ROW LEVEL SECURITY"))
    assert import_continuum_history(owner, [NAME], dry_run=False).commits == 29


def test_values_that_do_not_fit_a_columns_type_are_refused(pg_engine: Engine) -> None:
    with pg_engine.begin() as connection:
        record(connection, random.Random(1))
        connection.execute(
            text('ALTER TABLE "we""ird % \\:name" ALTER "order %" TYPE integer USING 1')
        )
    with pytest.raises(HistoryImportError, match="does not fit its columns"):
        import_continuum_history(pg_engine, [NAME])
