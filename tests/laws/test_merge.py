"""Law 6: merging is three-way by the merge base, symmetric but for the sides, idempotent."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from sqlalchemy_temporal.repository import Repository
from sqlalchemy_temporal.repository.merge.result import MergeResult
from tests.repository.graphs import tables

SETTINGS = settings(
    max_examples=25,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
MIRRORED = {"deleted_by_us": "deleted_by_them", "deleted_by_them": "deleted_by_us"}

Row = tuple[str | None, int | None]
State = dict[int, Row]

rows = st.tuples(st.sampled_from([None, "a", "b"]), st.sampled_from([None, 1, 2]))
states = st.dictionaries(st.integers(1, 4), rows, max_size=4)


@dataclass(frozen=True)
class Merged:
    """What the definition of a merge says: rows, with ours where there is a conflict."""

    rows: State
    conflicts: dict[int, str]


def merged(base: State, ours: State, theirs: State) -> Merged:
    """The definition, row by row and cell by cell."""
    found: State = {}
    conflicts: dict[int, str] = {}
    for key in {*base, *ours, *theirs}:
        b, o, t = base.get(key), ours.get(key), theirs.get(key)
        row, kind = merged_row(b, o, t)
        if row is not None:
            found[key] = row
        if kind is not None:
            conflicts[key] = kind
    return Merged(found, conflicts)


def merged_row(b: Row | None, o: Row | None, t: Row | None) -> tuple[Row | None, str | None]:
    if t in (o, b):
        return o, None
    if o == b:
        return t, None
    if o is None:
        return o, "deleted_by_us"
    if t is None:
        return o, "deleted_by_them"
    if b is None:
        return o, "both_added"
    cells = [
        oc if tc in (bc, oc) else tc if oc == bc else DISPUTED
        for bc, oc, tc in zip(b, o, t, strict=True)
    ]
    kept = tuple(oc if c is DISPUTED else c for c, oc in zip(cells, o, strict=True))
    return kept, "cell" if DISPUTED in cells else None  # type: ignore[return-value]


DISPUTED = "disputed"
numbers = itertools.count()


@pytest.fixture(params=["pg_engine", "sqlite_engine"])
def engine(request: pytest.FixtureRequest) -> Engine:
    found: Engine = request.getfixturevalue(request.param)
    tables().create_all(found)
    return found


def write(engine: Engine, state: Mapping[int, Row], *, before: Mapping[int, Row]) -> None:
    """Make the table ``state``, which it is ``before``, by one statement for each row."""
    with engine.begin() as connection:
        for key in {*state, *before}:
            row, old = state.get(key), before.get(key)
            sql = "UPDATE price SET name = :n, amount = :a WHERE id = :k"
            if row is None:
                sql = "DELETE FROM price WHERE id = :k"
            elif old is None:
                sql = "INSERT INTO price (id, name, amount) VALUES (:k, :n, :a)"
            if row != old:
                name, amount = row or (None, None)
                connection.execute(text(sql), {"k": key, "n": name, "a": amount})


def state_of(engine: Engine) -> State:
    with engine.connect() as connection:
        found = connection.execute(text("SELECT id, name, amount FROM price"))
        return {row.id: (row.name, row.amount) for row in found}


@dataclass(frozen=True)
class Lines:
    """Two branches from one state; the first is the current one."""

    repo: Repository
    left: str
    right: str


def part(engine: Engine, base: State, left: State, right: State) -> Lines:
    """Two new branches with these states, from a common commit with the base."""
    number = next(numbers)
    lines = Lines(Repository(engine), f"left{number}", f"right{number}")
    write(engine, base, before=state_of(engine))
    lines.repo.switch(lines.right, create=True)
    lines.repo.branch(lines.left)
    write(engine, right, before=base)
    lines.repo.switch(lines.left)
    write(engine, left, before=base)
    return lines


def kinds(result: MergeResult) -> dict[int, str]:
    return {conflict.key["id"]: conflict.kind for conflict in result.conflicts}


@SETTINGS
@given(base=states, left=states, right=states)
def test_merging_is_three_way_symmetric_and_idempotent(
    engine: Engine, base: State, left: State, right: State
) -> None:
    lines = part(engine, base, left, right)
    repo = lines.repo
    expected = merged(base, left, right)
    result = repo.merge(lines.right, dry_run=True)
    assert kinds(result) == expected.conflicts
    assert state_of(engine) == left

    repo.switch(lines.right)
    mirrored = repo.merge(lines.left, dry_run=True)
    assert kinds(mirrored) == {
        key: MIRRORED.get(kind, kind) for key, kind in expected.conflicts.items()
    }
    take_left = "theirs"
    assert settle(repo, lines.left, take_left)
    assert state_of(engine) == expected.rows  # what is disputed is taken from the left

    repo.switch(lines.left)
    assert state_of(engine) == left
    assert settle(repo, f"{lines.right}^1" if merged_there(repo, lines) else lines.right, "ours")
    assert state_of(engine) == expected.rows

    again = repo.merge(lines.right, dry_run=True)
    assert again.conflicts == ()
    assert repo.merge(lines.right)
    assert state_of(engine) == expected.rows
    assert repo.merge(lines.right).status == "up-to-date"


def merged_there(repo: Repository, lines: Lines) -> bool:
    """Whether the right line has got a merge commit, before which it is to be merged again."""
    with repo.begin() as bound:
        return bound.get(lines.right).is_merge


def settle(repo: Repository, name: str, take: str) -> bool:
    """Merge, with one side taken for what is disputed."""
    result = repo.merge(name)
    if result.status == "conflicts":
        repo.resolve(take=take)
        result = repo.merge_commit()
    return bool(result)
