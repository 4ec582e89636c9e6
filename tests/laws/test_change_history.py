"""Laws of histories by name: replayed they give every state, followed they lead to the present."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from hypothesis import HealthCheck, given, settings
from sqlalchemy import Connection, Engine, MetaData

from sqlalchemy_temporal import get_change_history, get_row_history, query_temporal_data
from tests.laws.programs import Transaction, programs
from tests.laws.test_storage import run, versioned

__all__ = ["versioned"]

Row = tuple[str, ...]


def exact(values: Mapping[str, Any] | None) -> Row | None:
    """A row as text, so that 1.0 is not 1.00 and NaN is itself."""
    return None if values is None else tuple(str(value) for value in values.values())


def state(connection: Connection, table: str, when: str) -> set[Row | None]:
    return {exact(row) for row in query_temporal_data(connection, table, when)}


def replayed(
    connection: Connection, table: str, begin: set[Row | None], start: str, end: str
) -> set[Row | None]:
    """What the changes after ``start`` make of the rows that were there."""
    commits: dict[int, list[Any]] = defaultdict(list)
    for change in get_change_history(connection, table, start, end):
        commits[change.commit.seq].append(change)
    assert list(commits) == sorted(commits)
    rows = set(begin)
    for changes in commits.values():
        gone = [exact(c.before) for c in changes if c.before is not None]
        assert len(set(gone)) == len(gone)
        assert set(gone) <= rows
        rows = (rows - set(gone)) | {exact(c.after) for c in changes if c.after is not None}
    return rows


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(program=programs)
def test_changes_replayed_from_any_commit_give_every_later_one(
    versioned: tuple[Engine, MetaData],
    program: list[Transaction],
) -> None:
    engine, metadata = versioned
    commits = list(dict.fromkeys(uuid for uuid, _ in run(engine, metadata, program)))
    with engine.begin() as connection:
        for table in metadata.tables:
            states = {uuid: state(connection, table, uuid) for uuid in commits}
            spans = [*pairwise(commits), (commits[0], commits[-1])]
            for start, end in spans:
                assert replayed(connection, table, states[start], start, end) == states[end]


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(program=programs)
def test_the_history_of_every_row_leads_to_what_it_is(
    versioned: tuple[Engine, MetaData],
    program: list[Transaction],
) -> None:
    engine, metadata = versioned
    run(engine, metadata, program)
    with engine.begin() as connection:
        for table in metadata.tables:
            for row in query_temporal_data(connection, table, "HEAD"):
                changes = list(get_row_history(connection, table, row["id"]))
                assert exact(changes[-1].after) == exact(row)
                assert changes[0].before is None
                for earlier, later in pairwise(changes):
                    assert exact(later.before) == exact(earlier.after)
