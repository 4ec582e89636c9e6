"""Law 4: a difference, applied to its first side, gives the second."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from sqlalchemy import Connection, Engine, MetaData, text

from sqlalchemy_temporal.clock.moment import Moment
from sqlalchemy_temporal.clock.resolve import resolve
from sqlalchemy_temporal.repository import Diff, Repository
from sqlalchemy_temporal.repository.changes import Way
from sqlalchemy_temporal.repository.spans import Span
from tests.laws.programs import State, Transaction, copy_of, programs, run_step, tables


@pytest.fixture
def metadata(pg_engine: Engine) -> MetaData:
    found = tables()
    found.create_all(pg_engine)
    return found


def _applied(state: State, diff: Diff, metadata: MetaData) -> State:
    """The state after the changes, as a program without a database would make it."""
    names = {t.name: [c.name for c in t.columns] for t in metadata.sorted_tables}
    rows = {name: set(found) for name, found in state.items()}
    for change in diff:
        name = change.table.removeprefix("public.")
        for values, do in ((change.before, set.remove), (change.after, set.add)):
            if values is not None:
                row = (values[column] for column in names[name])
                do(rows[name], tuple(None if v is None else str(v) for v in row))
    return {name: frozenset(found) for name, found in rows.items()}


def _remember(
    connection: Connection, metadata: MetaData, program: list[Transaction]
) -> list[tuple[Moment, State]]:
    remembered = []
    for steps, committed in program:
        for step in steps:
            run_step(connection, step)
        if committed:
            connection.commit()
        else:
            connection.rollback()
        remembered.append((resolve(connection, "HEAD"), copy_of(connection, metadata)))
        connection.commit()
    return remembered


def _start_anew(connection: Connection) -> None:
    connection.execute(text("TRUNCATE owner, account"))
    connection.execute(text("INSERT INTO owner (id, name) VALUES (0, 'first')"))
    connection.commit()


@settings(
    max_examples=12,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(program=programs)
def test_a_difference_turns_its_first_side_into_the_second(
    pg_engine: Engine, metadata: MetaData, program: list[Transaction]
) -> None:
    with pg_engine.connect() as connection:
        _start_anew(connection)
        remembered = _remember(connection, metadata, program)
        repo = Repository(connection)
        for a, state_a in remembered:
            assert not repo.diff(a, a)
            for b, state_b in remembered:
                diff = repo.diff(a, b)
                assert _applied(state_a, diff, metadata) == state_b
                assert bool(diff) == (state_a != state_b)
                back = [repr((c.key, c.after, c.before, c.changed)) for c in repo.diff(b, a)]
                assert [repr((c.key, c.before, c.after, c.changed)) for c in diff] == back


@settings(
    max_examples=10,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(program=programs)
def test_every_way_of_finding_changes_finds_the_same(
    pg_engine: Engine, metadata: MetaData, program: list[Transaction]
) -> None:
    with pg_engine.connect() as connection:
        _start_anew(connection)
        remembered = _remember(connection, metadata, program)
        repo = Repository(connection)
        for a, _ in remembered:
            for b, _ in remembered:
                chosen = [repr(change) for change in repo.diff(a, b)]
                with pytest.MonkeyPatch.context() as patch:
                    patch.setattr(Span, "way", lambda *_: (Way.SCAN, 0))
                    assert [repr(change) for change in repo.diff(a, b)] == chosen
