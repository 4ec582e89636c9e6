"""What is recorded by the ORM is what triggers record: the same programs, the same history."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from sqlalchemy import Connection, Engine, func, select
from sqlalchemy.orm import Session

from sqlalchemy_temporal import Repository, as_of
from sqlalchemy_temporal.schema import system_of
from tests.capture.both import PROGRAMS, START, Family, Step, family, recorded, run


@pytest.fixture
def families(any_engine: Engine) -> Iterator[tuple[Family, Family]]:
    made = family("trigger"), family("orm")
    for each in made:
        each.base.metadata.create_all(any_engine)
    yield made
    for each in made:
        each.base.registry.dispose()


def last_transaction(connection: Connection) -> int:
    transaction = system_of(connection, "temporal_versioning").transaction
    return connection.scalar(select(func.coalesce(func.max(transaction.c.id), 0))) or 0


def empty(engine: Engine, models: Family) -> None:
    with Session(engine) as session, session.begin():
        for table in reversed(models.base.metadata.sorted_tables):
            session.execute(table.delete())


def rows_at(engine: Engine, models: Family, moment: Any) -> dict[str, list[str]]:
    with Session(engine) as session, as_of(session, moment) as past:
        return {
            name: sorted(
                repr(tuple(row))
                for row in past.execute(select(*(c for c in table.columns if c.name != "seen")))
            )
            for name, table in models.tables.items()
        }


def test_the_same_program_leaves_the_same_history_in_both_kinds(
    any_engine: Engine, families: tuple[Family, Family]
) -> None:
    @settings(
        max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
    )
    @given(program=PROGRAMS)
    def compare(program: list[tuple[list[Step], bool]]) -> None:
        compare_histories(any_engine, families, program)

    compare()
    with any_engine.connect() as connection:
        assert Repository(connection).verify()


def compare_histories(
    engine: Engine, families: tuple[Family, Family], program: list[tuple[list[Step], bool]]
) -> None:
    for models in families:
        empty(engine, models)
    with engine.connect() as connection:
        since = last_transaction(connection)
    moments = []
    for steps, committed in [(START, True), *program]:
        for models in families:
            run(engine, models, steps, committed)
        with engine.connect() as connection:
            moments.append(Repository(connection).head)
    with engine.connect() as connection:
        by_trigger, by_orm = (recorded(connection, models, since) for models in families)
    assert by_orm.live == by_trigger.live
    assert by_orm.history == by_trigger.history
    assert by_orm.commits == by_trigger.commits
    assert by_orm.moved == by_trigger.moved
    for moment in moments:
        by_trigger_then, by_orm_then = (rows_at(engine, m, moment) for m in families)
        assert by_orm_then == by_trigger_then
