"""switch, merge, conflicts, resolve: two lines of commits, at the command line."""

import json

import pytest
from sqlalchemy import URL, create_engine, text

from tests.cli.conftest import Vsg


def write(url: URL, statement: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()


@pytest.fixture
def forked(shop: Vsg, pg_url: URL) -> Vsg:
    """On main Bea lives in Bergen; on spring in Narvik, and Ana is called Anna."""
    assert shop("branch", "spring").code == 0
    write(pg_url, "UPDATE customers SET city = 'Bergen' WHERE id = 2")
    switched = shop("switch", "spring", "-y")
    assert (switched.code, "on branch spring" in switched.err) == (0, True)
    write(pg_url, "UPDATE customers SET city = 'Narvik' WHERE id = 2")
    write(pg_url, "UPDATE customers SET name = 'Anna' WHERE id = 1")
    assert shop("switch", "main", "--yes").code == 0
    return shop


def customers(shop: Vsg) -> dict[int, tuple[str, str | None]]:
    rows = json.loads(shop("as-of", "HEAD", "customers", "--json").out)["rows"]
    return {row["id"]: (row["name"], row["city"]) for row in rows}


def test_a_branch_is_made_and_switched_to_in_one_step(shop: Vsg) -> None:
    assert shop("switch", "--create", "spring").code == 0
    assert "* spring" in shop("branch").out


def test_switching_shows_what_changes_and_asks(forked: Vsg) -> None:
    refused = forked("switch", "spring")
    assert (refused.code, "city Bergen → Narvik" in refused.out) == (3, True)
    assert forked("status").out.startswith("On branch main")


def test_a_merge_with_a_conflict_waits_to_be_resolved(forked: Vsg) -> None:
    tried = json.loads(forked("merge", "spring", "--dry-run", "--json").out)
    assert (tried["status"], tried["dry_run"]) == ("conflicts", True)
    stopped = forked("merge", "spring", "-y", "-m", "Spring")
    assert stopped.code == 1
    assert customers(forked)[2] == ("Bea", "Bergen")

    listed = forked("conflicts", "--json")
    (conflict,) = json.loads(listed.out)["conflicts"]
    assert listed.code == 1
    assert (conflict["kind"], conflict["ours"]["city"], conflict["theirs"]["city"]) == (
        "cell",
        "Bergen",
        "Narvik",
    )
    assert "Narvik" in forked("conflicts").out
    assert forked("merge", "--continue").code == 3
    assert "vsg merge --continue" in forked("resolve", "customers", "2", "--theirs").err
    assert forked("conflicts", "--open").code == 0
    assert forked("merge", "--continue").code == 0
    assert customers(forked)[2] == ("Bea", "Narvik")
    assert customers(forked)[1] == ("Anna", "Rome")
    assert len(json.loads(forked("show", "--json").out)["parents"]) == 2


def test_a_conflict_is_resolved_by_values(forked: Vsg) -> None:
    assert forked("merge", "spring", "--yes").code == 1
    assert forked("resolve", "customers", "2", "--set", "city=Oslo").code == 0
    assert forked("merge", "--continue").code == 0
    assert customers(forked)[2] == ("Bea", "Oslo")


def test_a_merge_is_given_up_without_a_trace(forked: Vsg) -> None:
    before = customers(forked)
    assert forked("merge", "spring", "--yes").code == 1
    assert forked("merge", "--abort").code == 0
    assert customers(forked) == before
    assert forked("conflicts").code == 3


def test_merging_what_is_there_already_says_so(shop: Vsg) -> None:
    assert shop("branch", "spring").code == 0
    merged = shop("merge", "spring")
    assert (merged.code, "up-to-date" in merged.err) == (0, True)


def test_merge_wants_exactly_one_thing_to_do(ask: Vsg) -> None:
    assert ask("merge").code == 2
    assert ask("merge", "spring", "--abort").code == 2
