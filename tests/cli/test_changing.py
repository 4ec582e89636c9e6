"""Commands that change: enable, disable, restore, checkout, rollback, revert, names, purge."""

import json
from pathlib import Path

from sqlalchemy import URL, create_engine, text

from tests.cli.conftest import Vsg


def cities(shop: Vsg) -> dict[str, str | None]:
    rows = json.loads(shop("as-of", "HEAD", "customers", "--json").out)["rows"]
    return {row["name"]: row["city"] for row in rows}


def test_tables_are_enabled_and_disabled_by_their_names(vsg: Vsg, pg_url: URL) -> None:
    engine = create_engine(pg_url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE a (id int PRIMARY KEY, b int, c int)"))
    enabled = json.loads(vsg("enable", "a", "--exclude", "a.c", "--json").out)
    assert enabled["tables"][0]["columns"] == ["id", "b"]
    assert vsg("disable", "a").code == 3
    disabled = vsg("disable", "a", "--yes")
    assert (disabled.code, "undo: vsg enable a" in disabled.err) == (0, True)
    assert "disabled" in vsg("tables").out
    assert vsg("disable", "a", "--drop-history", "--yes").code == 0
    engine.dispose()


def test_init_makes_what_tables_need_before_there_are_any(vsg: Vsg) -> None:
    assert vsg("init").code == 0
    assert json.loads(vsg("tables", "--json").out)["tables"] == []


def test_restore_shows_what_it_does_and_does_it_as_a_commit(shop: Vsg) -> None:
    tried = shop("restore", "HEAD~2", "--dry-run")
    assert tried.out.splitlines()[:5] == [
        "public.customers",
        "  ~ 2  city Oslo → Rome",
        "",
        "public.orders",
        "  + 7  customer_id 2  price 10.00",
    ]
    assert cities(shop)["Bea"] == "Oslo"
    done = shop("--author", "dora", "restore", "HEAD~2", "-y", "-m", "Back")
    assert (done.code, "undo: vsg restore" in done.err) == (0, True)
    assert cities(shop)["Bea"] == "Rome"
    assert " dora [RESTORE] Back" in shop("log", "-n", "1").out


def test_restore_of_one_table_leaves_the_others(shop: Vsg) -> None:
    assert shop("restore", "HEAD~2", "-y", "--table", "customers").code == 0
    assert cities(shop)["Bea"] == "Rome"
    assert "7" not in [line.split()[0] for line in shop("as-of", "HEAD", "orders").out.splitlines()]


def test_restore_to_where_it_is_does_nothing(shop: Vsg) -> None:
    done = shop("restore", "HEAD", "-y")
    assert (done.code, "no commit" in done.err) == (0, True)


def test_what_constraints_forbid_is_listed_and_refused(shop: Vsg) -> None:
    forbidden = shop("restore", "HEAD~4", "-y", "--table", "customers")
    assert forbidden.code == 3
    assert "forbidden: referenced" in forbidden.err
    assert len(cities(shop)) == 3


def test_rollback_undoes_the_last_commits(shop: Vsg) -> None:
    done = json.loads(shop("rollback", "2", "-y", "--json").out)
    assert (done["done"], done["operation"]) == (True, "ROLLBACK")
    assert cities(shop)["Bea"] == "Rome"


def test_checkout_goes_on_from_an_old_commit(shop: Vsg) -> None:
    old = json.loads(shop("log", "--json", "HEAD~2", "-n", "1").out)["commits"][0]["uuid"]
    assert shop("checkout", "HEAD~2", "-y").code == 0
    newest = json.loads(shop("show", "--json").out)
    assert (newest["operation"], newest["parents"]) == ("CHECKOUT", [old])


def test_revert_undoes_one_commit_on_top_of_the_others(shop: Vsg) -> None:
    done = shop("revert", "HEAD~1", "-y")
    assert done.code == 0
    assert cities(shop)["Bea"] == "Rome"
    assert "[REVERT] Revert " in shop("log", "-n", "1").out


def test_revert_exits_with_1_when_rows_were_changed_again(shop: Vsg, pg_url: URL) -> None:
    engine = create_engine(pg_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE customers SET city = 'Bergen' WHERE id = 2"))
    engine.dispose()
    refused = shop("revert", "HEAD~2", "-y")
    assert refused.code == 1
    assert "conflict: public.customers 2 was changed since" in refused.err
    assert cities(shop)["Bea"] == "Bergen"
    assert shop("revert", "HEAD~2", "-y", "--conflicts", "overwrite").code == 0
    assert cities(shop)["Bea"] == "Rome"


def test_tags_and_branches_are_made_listed_and_taken_away(shop: Vsg) -> None:
    assert shop("tag", "v1", "HEAD~1").code == 0
    assert shop("branch", "spring", "v1").code == 0
    assert shop("tag").out.split()[0] == "v1"
    assert [line[:8].strip() for line in shop("branch").out.splitlines()] == ["* main", "spring"]
    assert shop("branch", "spring", "--rename", "summer").code == 0
    assert shop("tag", "v1").code == 3
    assert shop("tag", "--delete", "v1").code == 0
    assert shop("branch", "--delete", "summer").code == 0
    actions = [each["action"] for each in json.loads(shop("reflog", "--json").out)["moves"]]
    assert len(actions) == 5


def test_purge_says_what_it_takes_and_takes_it_only_when_told(shop: Vsg) -> None:
    tried = shop("purge", "--older-than", "HEAD", "--dry-run")
    assert "public.customers" in tried.out
    assert shop("purge", "--older-than", "HEAD").code == 3
    assert shop("as-of", "HEAD~2", "customers").code == 0
    done = shop("purge", "--older-than", "HEAD", "--yes", "--reason", "Retention")
    assert "2 versions removed" in done.err
    refused = shop("as-of", "HEAD~4", "customers")
    assert (refused.code, "purged" in refused.err) == (4, True)


def test_archive_writes_parquet_files(shop: Vsg, tmp_path: Path) -> None:
    done = json.loads(shop("archive", "--older-than", "HEAD", "out", "--json").out)
    assert done["rows"] == 2
    assert sorted(file.suffix for file in (tmp_path / "out").iterdir()) == [".parquet"] * 2


def test_verify_finds_what_was_changed_behind_the_librarys_back(
    shop: Vsg, pg_url: URL, tmp_path: Path
) -> None:
    assert shop("verify").code == 0
    (tmp_path / "kept.json").write_text(shop("digest").out)
    assert shop("verify", "--digest", "kept.json").code == 0
    engine = create_engine(pg_url)
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text("UPDATE temporal_versioning.customers_history SET city = 'Milan'"))
    engine.dispose()
    found = shop("verify", "--json")
    assert found.code == 1
    problem = json.loads(found.out)["problems"][0]
    assert (problem["kind"], problem["table"]) == (
        "altered",
        "temporal_versioning.customers_history",
    )


def test_redact_overwrites_values_for_ever_and_on_record(shop: Vsg) -> None:
    assert shop("redact", "customers", "2", "city", "--reason", "Request").code == 3
    done = shop("redact", "customers", "2", "city", "--reason", "Request", "-y")
    assert done.code == 0
    assert "Oslo" not in shop("history", "customers", "2").out
    assert shop("verify").code == 0
    assert "[REDACT] Request" in shop("log", "-n", "1").out


def test_doctor_names_each_drift_and_its_cure(shop: Vsg, pg_url: URL) -> None:
    assert shop("doctor").code == 0
    engine = create_engine(pg_url)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE customers ADD COLUMN age int"))
    engine.dispose()
    found = shop("doctor", "--json")
    assert found.code == 1
    (drift,) = json.loads(found.out)["drifts"]
    assert drift["table"] == "public.customers"
    assert "sync_versioning" in drift["cure"]


def test_doctor_compares_with_models(shop: Vsg, tmp_path: Path) -> None:
    (tmp_path / "declared.py").write_text(
        "from sqlalchemy import Column, Integer, MetaData, Table, Text\n"
        "from sqlalchemy_temporal import versioned_table\n"
        "metadata = MetaData()\n"
        "more = versioned_table(Table('more', metadata, Column('id', Integer, primary_key=True)))\n"
    )
    assert shop("--models", "declared:metadata", "doctor").code == 1
    assert shop("--models", "nowhere:metadata", "doctor").code == 2
