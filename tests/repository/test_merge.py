"""Three-way merge: every outcome by name, conflicts, and what may happen on the way."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import Column, Engine, Integer, MetaData, Table, create_engine, text
from sqlalchemy.orm import Session

from sqlalchemy_temporal.capture.sync import sync_versioning
from sqlalchemy_temporal.errors import (
    CommitError,
    ConfigurationError,
    MergeError,
    OpenConflictsError,
)
from sqlalchemy_temporal.model.declare import versioned_table
from sqlalchemy_temporal.repository import Repository
from tests.repository.graphs import commit, tables
from tests.repository.merges import cells, part, rows, versioned


@pytest.fixture
def engine(each_engine: Engine) -> Engine:
    return each_engine


BASE = "INSERT INTO price VALUES (1, 'Tea', 3), (2, 'Cake', 5)"
TEA = "UPDATE price SET {} WHERE id = 1"
DELETE = "DELETE FROM price WHERE id = 1"


@dataclass(frozen=True)
class Case:
    """What both sides do to the first row, and what becomes of it.

    ``merged`` is the row, or None when it is gone. ``kind`` is the conflict, ``disputed``
    its columns.
    """

    ours: str
    theirs: str
    merged: tuple[str, int] | None = None
    kind: str | None = None
    disputed: tuple[str, ...] = ()
    base: str = BASE


def changed(what: str) -> str:
    return TEA.format(what)


CASES = {
    "only theirs changed": Case("", changed("amount = 4"), ("Tea", 4)),
    "only ours changed": Case(changed("amount = 4"), "", ("Tea", 4)),
    "both changed alike": Case(changed("amount = 4"), changed("amount = 4"), ("Tea", 4)),
    "both changed different cells": Case(
        changed("amount = 4"), changed("name = 'Tee'"), ("Tee", 4)
    ),
    "both changed the same cell differently": Case(
        changed("amount = 4"), changed("amount = 5"), kind="cell", disputed=("amount",)
    ),
    "one cell disputed, another combined": Case(
        changed("amount = 4"),
        changed("amount = 5, name = 'Tee'"),
        kind="cell",
        disputed=("amount",),
    ),
    "both changed two cells differently": Case(
        changed("amount = 4, name = 'A'"),
        changed("amount = 5, name = 'B'"),
        kind="cell",
        disputed=("name", "amount"),
    ),
    "theirs set NULL, ours changed another cell": Case(
        changed("amount = 4"),
        changed("name = NULL"),
        (None, 4),  # type: ignore[arg-type]
    ),
    "theirs set NULL, ours changed the cell": Case(
        changed("name = 'Tee'"), changed("name = NULL"), kind="cell", disputed=("name",)
    ),
    "both set NULL": Case(
        changed("name = NULL"),
        changed("name = NULL"),
        (None, 3),  # type: ignore[arg-type]
    ),
    "theirs changed and changed back": Case(
        changed("amount = 4"), changed("amount = 9") + ";" + changed("amount = 3"), ("Tea", 4)
    ),
    "only theirs deleted": Case("", DELETE, None),
    "only ours deleted": Case(DELETE, "", None),
    "both deleted": Case(DELETE, DELETE, None),
    "ours changed, theirs deleted": Case(
        changed("amount = 4"), DELETE, kind="deleted_by_them", disputed=("name", "amount")
    ),
    "ours deleted, theirs changed": Case(
        DELETE, changed("amount = 4"), kind="deleted_by_us", disputed=("name", "amount")
    ),
    "only theirs added": Case("", BASE, ("Tea", 3), base=""),
    "only ours added": Case(BASE, "", ("Tea", 3), base=""),
    "both added the same": Case(BASE, BASE, ("Tea", 3), base=""),
    "both added different rows": Case(
        BASE,
        BASE.replace("'Tea', 3", "'Tea', 4"),
        kind="both_added",
        disputed=("amount",),
        base="",
    ),
    "theirs deleted and added again unchanged": Case(
        changed("amount = 4"), DELETE + "; INSERT INTO price VALUES (1, 'Tea', 3)", ("Tea", 4)
    ),
    "theirs deleted and added again otherwise": Case(
        changed("amount = 4"),
        DELETE + "; INSERT INTO price VALUES (1, 'Tea', 7)",
        kind="cell",
        disputed=("amount",),
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_outcomes(engine: Engine, case: Case) -> None:
    repo = part(engine, case.base, case.ours, case.theirs)
    before = rows(engine)
    result = repo.merge("theirs")
    if case.kind is None:
        assert result.status in ("merged", "fast-forward", "up-to-date")
        merged = {row[0]: row[1:] for row in rows(engine)}
        assert merged.get(1) == case.merged
        assert result.conflicts == ()
    else:
        [conflict] = result.conflicts
        assert (conflict.kind, conflict.columns) == (case.kind, case.disputed)
        assert result.status == "conflicts"
        assert rows(engine) == before


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("amount = 4", "name = 'Tee'"),
        ("amount = 4", "amount = 4"),
        ("amount = 4", "amount = 5"),
    ],
)
def test_strict_makes_a_conflict_of_a_row_that_both_touched(
    engine: Engine, ours: str, theirs: str
) -> None:
    repo = part(engine, BASE, changed(ours), changed(theirs))
    [conflict] = repo.merge("theirs", strict=True).conflicts
    assert conflict.kind == ("cell" if theirs == "amount = 5" else "strict")


def test_strict_leaves_rows_that_one_side_touched(engine: Engine) -> None:
    repo = part(engine, BASE, changed("amount = 4"), "UPDATE price SET amount = 6 WHERE id = 2")
    assert repo.merge("theirs", strict=True).status == "merged"
    assert rows(engine) == [(1, "Tea", 4), (2, "Cake", 6)]


# ------------------------------------------------------------------------ the merge commit


def test_a_merge_commit_has_two_parents(engine: Engine) -> None:
    repo = part(engine, BASE, changed("amount = 4"), changed("name = 'Tee'"))
    with repo.begin() as bound:
        ours, theirs = bound.head.uuid, bound.get("theirs").uuid
        base = bound.merge_base("HEAD", "theirs")
    result = repo.merge("theirs", author="ana")
    made = result.commit
    assert base is not None
    assert (result.ours, result.theirs, result.bases) == (ours, theirs, (base.uuid,))
    assert made.parents == (ours, theirs)
    assert (made.operation, made.author) == ("MERGE", "ana")
    assert made.message == "Merge theirs into main"
    assert result.changes == {"public.price": {"UPDATE": 1}}
    assert {each.name: each.commit_uuid for each in repo.branches()} == {
        "main": made.uuid,
        "theirs": theirs,
    }


def test_what_is_merged_already_is_up_to_date(engine: Engine) -> None:
    repo = part(engine, BASE, changed("amount = 4"), changed("name = 'Tee'"))
    made = repo.merge("theirs").commit
    again = repo.merge("theirs")
    assert (again.status, bool(again)) == ("up-to-date", True)
    with repo.begin() as bound:
        assert bound.head == made
    with pytest.raises(MergeError, match="no commit"):
        _ = again.commit


def test_only_what_is_new_is_merged_the_second_time(engine: Engine) -> None:
    repo = part(engine, BASE, changed("amount = 4"), changed("name = 'Tee'"))
    repo.merge("theirs")
    commit(engine, changed("name = 'Our tea'"))
    repo.switch("theirs")
    commit(engine, "UPDATE price SET amount = 6 WHERE id = 2")
    repo.switch("main")
    assert repo.merge("theirs").status == "merged"
    assert rows(engine) == [(1, "Our tea", 4), (2, "Cake", 6)]


def test_where_nothing_happened_here_what_is_merged_is_taken_as_it_is(engine: Engine) -> None:
    repo = part(engine, BASE, "", changed("name = 'Tee'"))
    with repo.begin() as bound:
        theirs = bound.get("theirs").uuid
    result = repo.merge("theirs")
    assert (result.status, result.commit.operation) == ("fast-forward", "FAST_FORWARD")
    assert result.commit.parents == (theirs,)
    assert rows(engine)[0] == (1, "Tee", 3)
    assert repo.current_branch == "main"
    assert repo.merge("theirs").status == "up-to-date"


def test_a_merge_commit_can_be_asked_for_where_a_fast_forward_would_do(engine: Engine) -> None:
    repo = part(engine, BASE, "", changed("name = 'Tee'"))
    result = repo.merge("theirs", fast_forward=False)
    assert result.status == "merged"
    assert result.commit.is_merge


def test_a_branch_that_was_only_switched_to_brings_nothing(engine: Engine) -> None:
    repo = part(engine, BASE, changed("amount = 4"), "")
    repo.switch("theirs")
    repo.switch("main")
    assert repo.merge("theirs").status == "up-to-date"


def test_both_parents_changes_are_blamed_on_who_made_them(engine: Engine) -> None:
    repo = part(engine, BASE, changed("amount = 4"), changed("name = 'Tee'"))
    with repo.begin() as bound:
        ours, theirs = bound.head.uuid, bound.get("theirs").uuid
    repo.merge("theirs")
    with repo.begin() as bound:
        blamed = bound.blame("price", 1)
    assert (blamed["amount"].uuid, blamed["name"].uuid) == (ours, theirs)


def test_lines_merged_crosswise_use_both_bases(engine: Engine) -> None:
    """Undoing what came from the other line is a change, whichever base is looked at."""
    repo = part(engine, BASE, changed("amount = 4"), "UPDATE price SET amount = 6 WHERE id = 2")
    with repo.begin() as bound:
        left, right = bound.get("main").uuid, bound.get("theirs").uuid
    repo.merge(right)  # main has both
    repo.switch("theirs")
    repo.merge(left)  # theirs has both, too
    commit(engine, changed("amount = 3"))  # and takes back what came from main
    repo.switch("main")
    with repo.begin() as bound:
        assert len(bound.merge_bases("main", "theirs")) == 2
    assert repo.merge("theirs").status == "merged"
    assert rows(engine) == [(1, "Tea", 3), (2, "Cake", 6)]


def test_a_cell_that_two_bases_disagree_on_is_a_conflict(engine: Engine) -> None:
    repo = part(engine, BASE, changed("amount = 4"), changed("amount = 5"))
    with repo.begin() as bound:
        left, right = bound.get("main").uuid, bound.get("theirs").uuid
    repo.merge(right)
    repo.resolve(take="ours")
    assert repo.merge_commit()
    repo.switch("theirs")
    repo.merge(left)
    repo.resolve(take="ours")
    assert repo.merge_commit()
    repo.switch("main")
    [conflict] = repo.merge("theirs").conflicts
    assert (conflict.kind, conflict.columns) == ("cell", ("amount",))


# -------------------------------------------------------------------------------- conflicts


@pytest.fixture
def stopped(engine: Engine) -> Repository:
    """A merge with a conflict in each row: a disputed cell, and changed against deleted."""
    repo = part(
        engine,
        BASE,
        changed("amount = 4") + "; UPDATE price SET amount = 6 WHERE id = 2",
        changed("amount = 5, name = 'Tee'") + "; DELETE FROM price WHERE id = 2",
    )
    assert repo.merge("theirs", author="ana").status == "conflicts"
    return repo


def test_a_conflict_shows_all_three_sides(stopped: Repository) -> None:
    cell, gone = stopped.conflicts()
    assert (cell.table, cell.key, cell.is_open) == ("public.price", {"id": 1}, True)
    assert cell.base == {"id": 1, "name": "Tea", "amount": 3}
    assert cell.ours == {"id": 1, "name": "Tea", "amount": 4}
    assert cell.theirs == {"id": 1, "name": "Tee", "amount": 5}
    assert cell.cells == {"amount": (3, 4, 5)}
    assert (gone.kind, gone.theirs) == ("deleted_by_them", None)
    assert gone.ours == {"id": 2, "name": "Cake", "amount": 6}


def test_a_merge_waits_in_the_database(stopped: Repository, engine: Engine) -> None:
    other = create_engine(engine.url)
    there = Repository(other)
    assert there.merging is not None
    assert (there.merging.revision, there.merging.author) == ("theirs", "ana")
    assert there.conflicts() == stopped.conflicts()
    assert there.resolve(take="theirs") == 2
    other.dispose()
    assert stopped.merge_commit().commit.author == "ana"
    assert rows(engine) == [(1, "Tee", 5)]
    assert stopped.merging is None


@pytest.mark.parametrize(
    ("take", "expected"),
    [
        ("ours", [(1, "Tee", 4), (2, "Cake", 6)]),
        ("theirs", [(1, "Tee", 5)]),
        ("base", [(1, "Tee", 3), (2, "Cake", 5)]),
    ],
)
def test_a_side_is_taken_for_what_is_disputed(
    stopped: Repository, engine: Engine, take: str, expected: Any
) -> None:
    assert stopped.resolve(take=take) == 2
    result = stopped.merge_commit()
    assert result.status == "merged"
    assert result.commit.is_merge
    assert rows(engine) == expected


def test_rows_are_resolved_one_by_one(stopped: Repository, engine: Engine) -> None:
    assert stopped.resolve("price", key=1, values={"amount": 9}, author="bo") == 1
    assert stopped.resolve("price", key=2, take="theirs") == 1
    cell, gone = stopped.conflicts()
    assert (cell.resolution, cell.values, cell.resolved_by) == ("values", {"amount": 9}, "bo")
    assert (gone.resolution, stopped.conflicts(only_open=True)) == ("theirs", [])
    assert stopped.merge_commit()
    assert rows(engine) == [(1, "Tee", 9)]


def test_values_may_keep_a_deleted_row(stopped: Repository, engine: Engine) -> None:
    stopped.resolve("price", key=1, values={"amount": 9, "name": "Chai"})
    stopped.resolve("price", key=2, values={"amount": 1})
    assert stopped.merge_commit()
    assert rows(engine) == [(1, "Chai", 9), (2, "Cake", 1)]


def test_a_decision_can_be_changed(stopped: Repository, engine: Engine) -> None:
    stopped.resolve(take="ours")
    stopped.resolve("price", take="theirs")
    assert stopped.merge_commit()
    assert rows(engine) == [(1, "Tee", 5)]


def test_a_merge_with_open_conflicts_is_not_committed(stopped: Repository, engine: Engine) -> None:
    stopped.resolve("price", key=1, take="ours")
    with pytest.raises(OpenConflictsError, match=r"1 conflict.*public\.price \{'id': 2\}") as info:
        stopped.merge_commit()
    assert info.value.count == 1
    assert rows(engine) == [(1, "Tea", 4), (2, "Cake", 6)]


def test_aborting_leaves_everything_as_it_was(stopped: Repository, engine: Engine) -> None:
    before, head = rows(engine), Repository(engine).branches()
    stopped.resolve(take="theirs")
    stopped.merge_abort()
    assert (rows(engine), stopped.branches(), stopped.merging) == (before, head, None)
    with pytest.raises(MergeError, match="no merge is in progress"):
        stopped.conflicts()
    assert stopped.merge("theirs").status == "conflicts"


def test_one_merge_at_a_time(stopped: Repository) -> None:
    with pytest.raises(MergeError, match="in progress"):
        stopped.merge("theirs")


def test_resolutions_that_do_not_fit_are_refused(stopped: Repository) -> None:
    with pytest.raises(MergeError, match="is either take="):
        stopped.resolve("price", key=1)
    with pytest.raises(MergeError, match="one of ours, theirs, base"):
        stopped.resolve(take="mine")
    with pytest.raises(MergeError, match="by its table and key"):
        stopped.resolve(key=1, take="ours")
    with pytest.raises(MergeError, match="no conflict at the key 7"):
        stopped.resolve("price", key=7, take="ours")
    with pytest.raises(MergeError, match="amount: give values for all disputed"):
        stopped.resolve("price", key=1, values={"name": "Tee"})
    with pytest.raises(MergeError, match=r"colour: .* has no such column"):
        stopped.resolve("price", key=1, values={"amount": 1, "colour": 2})
    with pytest.raises(ConfigurationError, match="not a versioned table"):
        stopped.resolve("nothing", take="ours")


def test_a_resolution_outlives_a_new_head(stopped: Repository, engine: Engine) -> None:
    stopped.resolve(take="theirs")
    commit(engine, "INSERT INTO price VALUES (3, 'Pie', 7)")
    assert stopped.merge_commit().status == "merged"
    assert rows(engine) == [(1, "Tee", 5), (3, "Pie", 7)]


def test_a_conflict_that_changed_is_open_again(stopped: Repository, engine: Engine) -> None:
    stopped.resolve(take="theirs")
    commit(engine, changed("amount = 8"))
    result = stopped.merge_commit()
    assert result.status == "conflicts"
    [conflict] = stopped.conflicts(only_open=True)
    assert conflict.cells == {"amount": (3, 8, 5)}
    assert rows(engine) == [(1, "Tea", 8), (2, "Cake", 6)]
    stopped.resolve("price", key=1, take="ours")
    assert stopped.merge_commit()
    assert rows(engine) == [(1, "Tee", 8)]


# --------------------------------------------------------------- around the merge


def test_a_dry_run_writes_nothing_and_tells_all(engine: Engine) -> None:
    repo = part(
        engine,
        BASE,
        changed("amount = 4"),
        changed("amount = 5") + "; UPDATE price SET amount = 6 WHERE id = 2;"
        "INSERT INTO price VALUES (3, 'Pie', 7)",
    )
    before, log = rows(engine), len(repo.ref_log())
    result = repo.merge("theirs", dry_run=True)
    assert (result.status, result.dry_run) == ("conflicts", True)
    assert result.changes == {"public.price": {"INSERT": 1, "UPDATE": 1, "DELETE": 0}}
    assert [conflict.key for conflict in result.conflicts] == [{"id": 1}]
    assert (rows(engine), len(repo.ref_log()), repo.merging) == (before, log, None)


def test_changes_that_are_not_committed_are_refused(engine: Engine) -> None:
    part(engine, BASE, changed("amount = 4"), changed("name = 'Tee'"))
    with engine.begin() as connection:
        connection.execute(text(changed("amount = 9")))
        with pytest.raises(MergeError, match="commit or roll back before"):
            Repository(connection).merge("theirs")


def test_a_merge_that_is_rolled_back_leaves_everything(engine: Engine) -> None:
    repo = part(engine, BASE, changed("amount = 4"), changed("name = 'Tee'"))
    before = rows(engine)
    with engine.connect() as connection:
        result = Repository(connection).merge("theirs")
        with pytest.raises(CommitError, match="not committed yet"):
            _ = result.commit
        connection.rollback()
    assert rows(engine) == before
    assert repo.merge("theirs").status == "merged"


def test_writers_wait_and_lose_nothing(engine: Engine) -> None:
    part(engine, BASE, changed("amount = 4"), changed("name = 'Tee'"))
    done = threading.Event()

    def write() -> None:
        commit(engine, "UPDATE price SET amount = amount + 10 WHERE id = 1")
        done.set()

    with engine.begin() as connection:
        assert Repository(connection).merge("theirs").status == "merged"
        writer = threading.Thread(target=write)
        writer.start()
        assert not done.wait(0.2)
    writer.join(10)
    assert rows(engine)[0] == (1, "Tee", 14)


def test_merges_at_the_same_time_are_made_one_after_the_other(pg_engine: Engine) -> None:
    tables().create_all(pg_engine)
    repo = part(pg_engine, BASE, changed("amount = 4"), changed("name = 'Tee'"))
    repo.switch("theirs")
    repo.switch("more", create=True)
    commit(pg_engine, "UPDATE price SET amount = 6 WHERE id = 2")
    repo.switch("main")
    names = ["theirs", "more"]
    results: dict[str, str] = {}
    threads = [
        threading.Thread(target=lambda n=name: results.update({n: repo.merge(n).status}))
        for name in names
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert set(results) == set(names)
    assert set(results.values()) <= {"merged", "up-to-date"}
    assert rows(pg_engine) == [(1, "Tee", 4), (2, "Cake", 6)]


def test_a_session_sees_the_merged_rows(engine: Engine) -> None:
    part(engine, BASE, changed("amount = 4"), changed("name = 'Tee'"))
    with Session(engine) as session:
        assert Repository(session).merge("theirs").status == "merged"
        session.commit()
    assert rows(engine)[0] == (1, "Tee", 4)


def test_a_key_change_against_a_change_of_the_row_loses_nothing(engine: Engine) -> None:
    repo = part(engine, BASE, changed("amount = 4"), changed("id = 9"))
    [conflict] = repo.merge("theirs").conflicts
    assert (conflict.kind, conflict.key) == ("deleted_by_them", {"id": 1})
    repo.resolve(take="ours")
    assert repo.merge_commit()
    assert rows(engine) == [(1, "Tea", 4), (2, "Cake", 5), (9, "Tea", 3)]


# ------------------------------------------------------------------------------ many tables

SHOP = (
    "CREATE TABLE shop (id int PRIMARY KEY, name text NOT NULL UNIQUE, size int CHECK (size > 0))",
    "CREATE TABLE item (id int PRIMARY KEY, shop_id int NOT NULL REFERENCES shop, label text)",
)


def test_rows_of_many_tables_are_written_in_the_order_of_their_keys(pg_engine: Engine) -> None:
    versioned(pg_engine, *SHOP)
    repo = part(
        pg_engine,
        "INSERT INTO shop VALUES (1, 'A', 1), (2, 'B', 1); INSERT INTO item VALUES (1, 2, 'x')",
        "UPDATE shop SET size = 2 WHERE id = 1",
        "DELETE FROM item; DELETE FROM shop WHERE id = 2;"
        "INSERT INTO shop VALUES (3, 'C', 3); INSERT INTO item VALUES (2, 3, 'y')",
    )
    assert repo.merge("theirs").status == "merged"
    assert rows(pg_engine, "shop") == [(1, "A", 2), (3, "C", 3)]
    assert rows(pg_engine, "item") == [(2, 3, "y")]


VIOLATIONS = {
    "a row refers to one that theirs deleted": (
        "INSERT INTO item VALUES (1, 1, 'x')",
        "DELETE FROM shop WHERE id = 1",
        "item_shop_id_fkey",
    ),
    "theirs refers to a row that ours deleted": (
        "DELETE FROM shop WHERE id = 1",
        "INSERT INTO item VALUES (1, 1, 'x')",
        "item_shop_id_fkey",
    ),
    "both gave one name to two rows": (
        "INSERT INTO shop VALUES (2, 'B', 1)",
        "INSERT INTO shop VALUES (3, 'B', 1)",
        "shop_name_key",
    ),
}


@pytest.mark.parametrize(("ours", "theirs", "constraint"), VIOLATIONS.values(), ids=VIOLATIONS)
def test_constraints_are_reported_apart_from_conflicts(
    pg_engine: Engine, ours: str, theirs: str, constraint: str
) -> None:
    versioned(pg_engine, *SHOP)
    repo = part(pg_engine, "INSERT INTO shop VALUES (1, 'A', 1)", ours, theirs)
    before = (rows(pg_engine, "shop"), rows(pg_engine, "item"))
    assert repo.merge("theirs", dry_run=True).status == "violations"
    result = repo.merge("theirs")
    assert (result.status, result.conflicts) == ("violations", ())
    assert [violation.constraint for violation in result.violations] == [constraint]
    assert (rows(pg_engine, "shop"), rows(pg_engine, "item")) == before
    assert repo.merging is not None


def test_a_check_of_two_columns_is_reported_when_the_database_refuses(pg_engine: Engine) -> None:
    versioned(pg_engine, "CREATE TABLE span (id int PRIMARY KEY, lo int, hi int, CHECK (lo < hi))")
    repo = part(
        pg_engine,
        "INSERT INTO span VALUES (1, 1, 9)",
        "UPDATE span SET lo = 5",
        "UPDATE span SET hi = 3",
    )
    result = repo.merge("theirs")
    assert result.status == "violations"
    assert [violation.constraint for violation in result.violations] == ["span_check"]
    assert repo.resolve("span", key=1, values={"hi": 8}) == 1
    assert repo.merge_commit().status == "merged"
    assert rows(pg_engine, "span") == [(1, 5, 8)]


def test_not_null_is_kept_and_generated_columns_follow(pg_engine: Engine) -> None:
    versioned(
        pg_engine,
        "CREATE TABLE line (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "
        "price int NOT NULL, count int NOT NULL DEFAULT 1, "
        "total int GENERATED ALWAYS AS (price * count) STORED)",
    )
    repo = part(
        pg_engine,
        "INSERT INTO line (price) VALUES (5), (6)",
        "UPDATE line SET price = 7 WHERE id = 1",
        "UPDATE line SET count = 3 WHERE id = 1; INSERT INTO line (price) VALUES (8)",
    )
    assert repo.merge("theirs").status == "merged"
    assert rows(pg_engine, "line") == [(1, 7, 3, 21), (2, 6, 1, 6), (3, 8, 1, 8)]
    commit(pg_engine, "INSERT INTO line (price) VALUES (9)")
    assert rows(pg_engine, "line")[-1] == (4, 9, 1, 9)


def test_rows_without_columns_besides_the_key_are_merged(pg_engine: Engine) -> None:
    versioned(pg_engine, "CREATE TABLE tag (id int, word text, PRIMARY KEY (id, word))")
    repo = part(
        pg_engine,
        "INSERT INTO tag VALUES (1, 'a'), (1, 'b')",
        "DELETE FROM tag WHERE word = 'a'",
        "DELETE FROM tag WHERE word = 'b'; INSERT INTO tag VALUES (2, 'c')",
    )
    assert repo.merge("theirs").status == "merged"
    assert rows(pg_engine, "tag") == [(2, "c")]


def test_a_table_versioned_on_one_line_only_is_merged(engine: Engine) -> None:
    repo = Repository(engine)
    commit(engine, BASE)
    repo.switch("theirs", create=True)
    versioned(engine, "CREATE TABLE extra (id int PRIMARY KEY, v text)")
    commit(engine, "INSERT INTO extra VALUES (1, 'x')")
    repo.switch("main")
    assert rows(engine, "extra") == [(1, "x")]  # not known there, so left as it is
    assert repo.merge("theirs", fast_forward=False)  # both have the same
    assert rows(engine, "extra") == [(1, "x")]


def dropped_meanwhile(engine: Engine, theirs: str) -> Repository:
    """Ours drops a column after ``theirs`` was committed on its branch."""
    versioned(engine, "CREATE TABLE thing (id int PRIMARY KEY, v int, w text)")
    repo = part(engine, "INSERT INTO thing VALUES (1, 1, 'x'), (2, 2, 'y')", "", theirs)
    thing = Table("thing", MetaData(), Column("id", Integer, primary_key=True))
    thing.append_column(Column("v", Integer))
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE thing DROP COLUMN w"))
        sync_versioning(connection, versioned_table(thing))
    commit(engine, "UPDATE thing SET v = 9 WHERE id = 2")
    return repo


def test_a_dropped_column_against_a_changed_cell_is_a_conflict(pg_engine: Engine) -> None:
    repo = dropped_meanwhile(pg_engine, "UPDATE thing SET w = 'z', v = 5 WHERE id = 1")
    result = repo.merge("theirs")
    [conflict] = result.conflicts
    assert (result.status, conflict.kind) == ("conflicts", "dropped_column")
    assert (conflict.key, conflict.columns) == ({"id": 1}, ("w",))
    assert conflict.cells == {"w": ("x", None, "z")}
    repo.resolve(take="ours")
    assert repo.merge_commit().status == "merged"
    assert rows(pg_engine, "thing") == [(1, 5), (2, 9)]


def test_a_dropped_column_that_nobody_wrote_to_is_no_conflict(pg_engine: Engine) -> None:
    repo = dropped_meanwhile(pg_engine, "UPDATE thing SET v = 5 WHERE id = 1")
    assert repo.merge("theirs").status == "merged"
    assert rows(pg_engine, "thing") == [(1, 5), (2, 9)]


def test_a_dropped_column_is_told_with_other_disputed_cells(pg_engine: Engine) -> None:
    repo = dropped_meanwhile(pg_engine, "UPDATE thing SET w = 'z', v = 5 WHERE id = 2")
    [conflict] = repo.merge("theirs").conflicts
    assert conflict.cells == {"v": (2, 9, 5), "w": ("y", None, "z")}


# --------------------------------------------------------------------- values of all types

EQUAL = {
    "numbers of another scale": ("numeric", "1", "2.0", "2.00", "1.5"),
    "the same document written otherwise": (
        "json",
        "'{}'",
        """'{"a": 1, "b": 2}'""",
        """'{"b": 2,"a": 1}'""",
        "'[]'",
    ),
    "binary documents": ("jsonb", "'{}'", """'{"a": 1.0}'""", """'{"a": 1.00}'""", "'[]'"),
    "not a number": ("double precision", "0", "'NaN'", "'NaN'", "1"),
    "arrays": ("int[]", "'{}'", "'{1,NULL}'", "'{1,NULL}'", "'{1}'"),
    "points, which have no equality": ("point", "'(0,0)'", "'(1,2)'", "'(1,2)'", "'(2,1)'"),
    "instants in two zones": (
        "timestamptz",
        "'2024-01-01 00:00+00'",
        "'2024-01-01 12:00+00'",
        "'2024-01-01 14:00+02'",
        "'2024-01-01 13:00+00'",
    ),
    "boxes, which are equal by their area": (
        "box",
        "'(0,0),(1,1)'",
        "'(0,0),(2,2)'",
        "'(2,2),(0,0)'",
        "'(5,5),(7,7)'",
    ),
}


@pytest.mark.parametrize("values", EQUAL.values(), ids=EQUAL)
@pytest.mark.filterwarnings("ignore:Did not recognize type")
def test_cells_are_compared_as_values_of_their_type(
    pg_engine: Engine, values: tuple[str, ...]
) -> None:
    type_, base, one, same, other = values
    versioned(pg_engine, f"CREATE TABLE thing (id int PRIMARY KEY, v {type_})")
    repo = part(
        pg_engine,
        f"INSERT INTO thing SELECT g, {base} FROM generate_series(1, 2) g",
        f"UPDATE thing SET v = {one}",
        f"UPDATE thing SET v = CASE id WHEN 1 THEN {same}::{type_} ELSE {other}::{type_} END",
    )
    conflicts = repo.merge("theirs").conflicts
    assert [conflict.key for conflict in conflicts] == [{"id": 2}]
    repo.resolve(take="theirs")
    assert repo.merge_commit().status == "merged"
    assert cells(pg_engine, "v::text", "thing")[1] != cells(pg_engine, "v::text", "thing")[0]


def test_values_of_a_resolution_keep_their_type(pg_engine: Engine) -> None:
    versioned(
        pg_engine,
        "CREATE TABLE thing (id int PRIMARY KEY, n numeric(10, 3), d date, b bytea, j jsonb, "
        "a text[], i interval, u uuid, f float8)",
    )
    repo = part(
        pg_engine,
        "INSERT INTO thing (id) VALUES (1)",
        "UPDATE thing SET n = 1",
        "UPDATE thing SET n = 2",
    )
    repo.merge("theirs")
    with pg_engine.connect() as connection:
        wanted = connection.execute(
            text(
                "SELECT 1.250::numeric n, date '2024-02-29' d, '\\x00ff'::bytea b, "
                """'{"$x": [1, null]}'::jsonb j, ARRAY['a', NULL] a, interval '1 day 2 hours' i, """
                "'00000000-0000-4000-8000-000000000000'::uuid u, 0.1::float8 f"
            )
        ).one()
    repo.resolve("thing", key=1, values=dict(wanted._mapping))
    [conflict] = repo.conflicts()
    assert conflict.values == dict(wanted._mapping)
    assert repo.merge_commit()
    assert cells(pg_engine, "n, d, b, j, a, i, u, f", "thing") == [tuple(wanted)]


def test_values_that_cannot_wait_are_refused(pg_engine: Engine) -> None:
    versioned(pg_engine, "CREATE TABLE thing (id int PRIMARY KEY, r int4range)")
    repo = part(
        pg_engine,
        "INSERT INTO thing VALUES (1, '[1,2)')",
        "UPDATE thing SET r = '[1,3)'",
        "UPDATE thing SET r = '[1,4)'",
    )
    [conflict] = repo.merge("theirs").conflicts
    assert conflict.cells == {"r": ("[1,2)", "[1,3)", "[1,4)")}
    with pytest.raises(MergeError, match="cannot be kept"):
        repo.resolve("thing", key=1, values={"r": object()})
    repo.resolve(take="theirs")
    assert repo.merge_commit()
    assert cells(pg_engine, "r::text", "thing") == [("[1,4)",)]
