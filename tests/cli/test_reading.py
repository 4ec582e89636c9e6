"""Commands that read: log, show, diff, as-of, history, blame, tables, status."""

import json
from typing import Any

from tests.cli.conftest import STORY, Vsg


def test_the_log_shows_the_newest_commit_first_with_author_message_and_counts(ask: Vsg) -> None:
    lines = ask("log").out.splitlines()
    assert len(lines) == len(STORY) + 1
    assert "(HEAD -> main)" in lines[0]
    assert lines[0].endswith("orders -1")
    assert lines[1].endswith("bea Bea moves  customers ~1")
    assert lines[-1].endswith("[BASELINE]")


def test_the_log_is_filtered_by_table_author_text_and_number(ask: Vsg) -> None:
    def messages(*options: str) -> list[str | None]:
        found = json.loads(ask("log", "--json", *options).out)["commits"]
        return [each["message"] for each in found]

    assert messages("--table", "customers", "--author", "bea") == ["Bea moves"]
    assert messages("--grep", "order") == ["First order"]
    assert messages("--table", "orders", "--key", "7") == [None, "First order"]
    assert messages("-n", "1", "--skip", "1") == ["Bea moves"]
    assert messages("HEAD~2..HEAD") == [None, "Bea moves"]


def test_the_log_draws_the_graph(ask: Vsg) -> None:
    lines = ask("log", "--graph").out.splitlines()
    assert [line[:2] for line in lines] == ["* "] * len(lines)
    assert "Bea moves <bea, " in lines[1]


def test_commits_as_json_have_their_documented_fields(ask: Vsg) -> None:
    (commit,) = json.loads(ask("log", "--json", "-n", "1", "--skip", "1").out)["commits"]
    assert set(commit) == {
        *("uuid", "seq", "parents", "hash", "operation", "author", "message", "context"),
        *("database_user", "started_at", "committed_at", "effective_at", "counts", "refs"),
        "deleted",
    }
    assert commit["counts"] == {"public.customers": {"update": 1}}
    assert commit["author"] == "bea"


def test_show_prints_a_commit_with_the_rows_it_changed(ask: Vsg) -> None:
    out = ask("show", "HEAD~1").out
    assert "Author:    bea" in out
    assert "    Bea moves" in out
    assert out.rstrip().endswith("public.customers\n  ~ 2  city Rome → Oslo")


def test_show_as_json_streams_the_changes_of_the_commit(ask: Vsg) -> None:
    shown = json.loads(ask("show", "--json").out)
    assert [each["key"] for each in shown["changes"]] == [{"id": 7}]
    assert shown["changes"][0]["before"] == {"id": 7, "customer_id": 2, "price": "10.00"}


def test_a_diff_shows_rows_with_their_cells(ask: Vsg) -> None:
    out = ask("diff", "HEAD~3..HEAD").out
    assert out.splitlines() == [
        "public.customers",
        "  ~ 2  city Rome → Oslo",
        "",
        "public.orders",
        "  + 8  customer_id 1  price 99.50",
    ]


def test_a_diff_says_how_much_differs(ask: Vsg) -> None:
    stat = ask("diff", "HEAD~3", "HEAD", "--stat").out.splitlines()
    assert stat[1].split() == ["public.customers", "0", "1", "0", "0", "1", "0"]
    assert ask("diff", "HEAD~3", "--summary").out.splitlines() == [
        "public.customers: 1 changed",
        "public.orders: 1 added",
    ]


def test_a_diff_as_sql_is_statements_that_end_with_a_semicolon(ask: Vsg) -> None:
    out = ask("diff", "HEAD~2", "HEAD~1", "--sql").out.splitlines()
    assert out[-1] == "UPDATE public.customers SET city = 'Oslo' WHERE id = 2;"


def test_a_diff_tells_by_its_exit_code_only_when_asked_to(ask: Vsg) -> None:
    assert ask("diff", "HEAD~1..HEAD").code == 0
    assert ask("diff", "HEAD~1..HEAD", "--exit-code").code == 1
    assert ask("diff", "HEAD..HEAD", "--exit-code").code == 0


def test_a_table_is_shown_as_it_was(ask: Vsg) -> None:
    then = ask("as-of", "HEAD~2", "customers", "--where", "city=Rome", "--order-by", "-id")
    assert [line.split() for line in then.out.splitlines()] == [
        ["id", "name", "city"],
        ["2", "Bea", "Rome"],
        ["1", "Ana", "Rome"],
    ]


def test_where_compares_values_of_the_columns_type_and_null(ask: Vsg) -> None:
    def names(where: str) -> list[Any]:
        rows = json.loads(ask("as-of", "HEAD", "customers", "--where", where, "--json").out)
        return [row["name"] for row in rows["rows"]]

    assert names("id=3") == ["Cleo"]
    assert names("city=") == ["Cleo"]


def test_sql_is_asked_of_the_past(ask: Vsg) -> None:
    sql = "select c.city, o.price from orders o join customers c on c.id = o.customer_id order by 2"
    asked = ask("as-of", "HEAD~2", sql, "--json")
    assert json.loads(asked.out)["rows"] == [
        {"city": "Rome", "price": "10.00"},
        {"city": "Rome", "price": "99.50"},
    ]


def test_sql_that_would_read_the_present_is_refused(ask: Vsg) -> None:
    for sql in (
        "select * from public.customers",
        "select (select count(*) from public.plain) from customers",
        "with p as (select * from public.orders) select * from p",
    ):
        refused = ask("as-of", "HEAD~2", sql)
        assert (refused.code, refused.out) == (2, "")
        assert "as of now" in refused.err
    assert ask("as-of", "HEAD", "select * from plain").code == 5


def test_sql_that_writes_is_refused(ask: Vsg) -> None:
    for sql in (
        "with gone as (delete from public.plain returning id) select * from gone",
        "select 1; drop table plain",
    ):
        assert ask("as-of", "HEAD", sql).code != 0
    assert ask("diff", "HEAD..HEAD", "--exit-code").code == 0


def test_the_history_of_a_row_lists_every_change(ask: Vsg) -> None:
    told = json.loads(ask("history", "orders", "7", "--json").out)
    assert [each["operation"] for each in told["changes"]] == ["INSERT", "DELETE"]
    lines = ask("history", "customers", "2").out.splitlines()
    assert len(lines) == 3
    assert "bea" in lines[2]


def test_blame_names_the_commit_that_last_set_each_cell(ask: Vsg) -> None:
    lines = ask("blame", "customers", "2").out.splitlines()
    assert {line.split()[0]: line.rstrip().rsplit("  ", 1)[-1] for line in lines[1:]} == {
        "id": "Open the shop",
        "name": "Open the shop",
        "city": "Bea moves",
    }


def test_a_row_that_is_not_there_is_said_and_has_an_exit_code(ask: Vsg) -> None:
    for arguments in (("blame", "customers", "99"), ("history", "customers", "99")):
        ran = ask(*arguments)
        assert (ran.code, "there" in ran.err) == (4, True)


def test_tables_and_status_say_what_is_versioned(ask: Vsg) -> None:
    assert "temporal_versioning.customers_history" in ask("tables").out
    status = ask("status").out.splitlines()
    assert status[0] == "On branch main"
    assert status[-1] == "2 versioned tables; see vsg tables"
    figures = json.loads(ask("status", "customers", "--json").out)
    assert (figures["inserts"], figures["updates"]) == (3, 1)


def test_the_graph_is_given_as_dot(ask: Vsg) -> None:
    out = ask("graph", "--format", "dot").out
    assert out.startswith("digraph commits {")
    assert "Bea moves" in out
