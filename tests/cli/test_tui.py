"""The full-screen view, to look: commits, changes, filters, a table through time."""

import pytest
from sqlalchemy import URL, create_engine, text
from textual.widgets import Select

from sqlalchemy_temporal import Repository
from sqlalchemy_temporal.cli.tui.dialogs import ChooseTable, Help, Jump
from sqlalchemy_temporal.cli.tui.log_screen import LogScreen
from sqlalchemy_temporal.cli.tui.table_screen import TableScreen
from sqlalchemy_temporal.cli.tui.widgets import CommitList
from tests.cli.conftest import tell
from tests.cli.screens import Seen, run, viewing


def messages(seen: Seen) -> list[str]:
    """The commits in the list without their ids."""
    return [line.partition(" ")[2].partition(" ")[2] for line in seen.lines("#log")]


async def test_commits_stand_on_the_left_and_changes_of_the_newest_on_the_right(
    shop_url: URL,
) -> None:
    async with viewing(shop_url) as seen:
        assert messages(seen) == [
            "(HEAD -> main) orders -1",
            "Bea moves bea",
            "First order bea",
            "Open the shop ana",
            "[BASELINE]",
        ]
        assert seen.lines("#changes") == [
            "public.orders  -1",
            "  - 7  customer_id 2  price 10.00",
        ]


async def test_it_fits_a_terminal_of_80_columns_and_24_lines(shop_url: URL) -> None:
    async with viewing(shop_url) as seen:
        lines = seen.screen.splitlines()
        assert (len(lines), max(map(len, lines)) <= 80) == (24, True)
        keys = ("Filter", "Go to", "Table", "Restore", "Checkout", "Revert", "Help", "Quit")
        assert all(key in lines[-1] for key in keys)


async def test_another_commit_shows_its_own_changes_cell_by_cell(shop_url: URL) -> None:
    async with viewing(shop_url) as seen:
        await seen.press("down")
        assert seen.lines("#changes") == ["public.customers  ~1", "  ~ 2  city Rome → Oslo"]
        await seen.press("end")
        assert seen.lines("#changes")[0].startswith("the first commit")


async def test_lines_of_history_run_beside_each_other_with_their_names(pg_url: URL) -> None:
    tell(pg_url)
    engine = create_engine(pg_url)
    repo = Repository(engine)
    with repo.begin() as bound:
        bound.tag("v1", "HEAD~1")
    repo.checkout("HEAD~2")
    engine.dispose()
    async with viewing(pg_url) as seen:
        graph = "\n".join(seen.lines("#log"))
        assert "| * " in graph
        assert "|/" in graph
        assert "tag: v1" in graph


async def test_older_commits_are_read_when_they_are_reached(pg_url: URL) -> None:
    tell(pg_url)
    run(pg_url, *(f"INSERT INTO customers VALUES ({i}, 'x')" for i in range(100, 230)))
    async with viewing(pg_url) as seen:
        assert len(seen.lines("#log")) == 100
        await seen.press("end")
        assert len(seen.lines("#log")) == 135
        assert seen.view.screen.query_one(CommitList).highlighted == 99
        await seen.press("end")
        assert "[BASELINE]" in seen.lines("#log")[-1]


async def test_a_large_commit_is_shown_in_part_until_more_is_asked_for(pg_url: URL) -> None:
    tell(pg_url)
    run(pg_url, "INSERT INTO customers SELECT i, 'x' FROM generate_series(100, 349) i")
    async with viewing(pg_url) as seen:
        assert len(seen.lines("#changes")) == 102
        assert seen.lines("#changes")[-1] == "… 150 more rows: press Enter"
        await seen.press("enter", "end", "enter")
        assert len(seen.lines("#changes")) == 251
        assert seen.lines("#changes")[-1].startswith("  + 349")


async def test_filters_by_text_author_and_table_are_heeded_while_typing(shop_url: URL) -> None:
    async with viewing(shop_url) as seen:
        await seen.press("slash", *"FIRST")
        assert messages(seen) == ["First order bea"]
        await seen.write("#text", "nothing like that")
        assert "no commit is like that" in seen.screen
        await seen.write("#text", "")
        await seen.write("#author", "bea")
        assert messages(seen) == ["Bea moves bea", "First order bea"]
        await seen.write("#author", "EA")
        assert messages(seen) == ["Bea moves bea", "First order bea"]
        await seen.write("#author", ".*")
        assert messages(seen) == []
        await seen.write("#author", "bea")
        seen.view.screen.query_one("#table", Select).value = "public.customers"
        await seen.settled()
        assert messages(seen) == ["Bea moves bea"]
        await seen.press("escape")
        assert len(messages(seen)) == 5


@pytest.mark.parametrize("where", ["HEAD~3", "v1", "its time"])
async def test_it_goes_to_a_revision_whatever_the_filters_hide(pg_url: URL, where: str) -> None:
    tell(pg_url)
    engine = create_engine(pg_url)
    with engine.begin() as connection:
        repo = Repository(connection)
        repo.tag("v1", "HEAD~3")
        wanted = repo.get("HEAD~3")
    engine.dispose()
    assert wanted.effective_at is not None
    async with viewing(pg_url) as seen:
        await seen.write("#text", "moves")
        seen.view.screen.query_one(CommitList).focus()
        await seen.dialog(Jump, "g")
        asked = wanted.effective_at.isoformat() if where == "its time" else where
        await seen.write("#where", asked)
        await seen.press("enter")
        await seen.until(lambda: isinstance(seen.view.screen, LogScreen))
        chosen = seen.view.screen.query_one(CommitList).chosen
        assert chosen is not None
        assert chosen.uuid == wanted.uuid
        assert "Open the shop" in seen.screen
        assert len(messages(seen)) == 5


async def test_a_revision_that_is_none_is_told_and_changes_nothing(shop_url: URL) -> None:
    async with viewing(shop_url) as seen:
        await seen.dialog(Jump, "g")
        await seen.write("#where", "nowhere")
        await seen.press("enter")
        await seen.until(lambda: seen.told)
        assert "nowhere" in seen.told[0]
        assert len(messages(seen)) == 5


async def test_the_slider_shows_a_table_as_of_each_of_its_commits(shop_url: URL) -> None:
    async with viewing(shop_url) as seen:
        await seen.dialog(ChooseTable, "t")
        await seen.dialog(TableScreen, "enter")
        assert seen.rows() == ["1 Ana Rome", "~ 2 Bea Oslo", "3 Cleo NULL"]
        assert "●▶ 2/2" in seen.screen
        assert "rows 1-3 · ~1 here" in seen.screen
        await seen.press("left")
        assert seen.rows() == ["+ 1 Ana Rome", "+ 2 Bea Rome", "+ 3 Cleo NULL"]
        assert "◀●" in seen.screen
        await seen.press("left", "end")
        assert "2/2" in seen.screen
        await seen.press("home")
        assert "1/2" in seen.screen
        await seen.press("right", "escape")
        assert isinstance(seen.view.screen, LogScreen)


async def test_enter_on_a_table_shows_it_as_of_the_commit_with_what_it_deleted(
    shop_url: URL,
) -> None:
    async with viewing(shop_url) as seen:
        await seen.press("enter", "enter")
        assert isinstance(seen.view.screen, TableScreen)
        assert seen.rows() == ["8 1 99.50"]
        assert "-1 deleted" in seen.screen


async def test_a_table_stands_where_it_stood_when_no_row_is_marked(pg_url: URL) -> None:
    def header(seen: Seen) -> str:
        return next(line for line in seen.screen.splitlines() if line.split()[:1] == ["id"])

    tell(pg_url)
    async with viewing(pg_url) as seen:
        await seen.dialog(ChooseTable, "t")
        await seen.dialog(TableScreen, "enter")
        marked = header(seen)
    run(pg_url, "DELETE FROM customers WHERE id = 3")
    async with viewing(pg_url) as seen:
        await seen.dialog(ChooseTable, "t")
        await seen.dialog(TableScreen, "enter")
        assert seen.rows() == ["1 Ana Rome", "2 Bea Oslo"]
        assert header(seen) == marked


async def test_a_long_table_is_shown_in_pages(pg_url: URL) -> None:
    tell(pg_url)
    run(pg_url, "INSERT INTO customers SELECT i, 'x' FROM generate_series(100, 349) i")
    async with viewing(pg_url) as seen:
        await seen.press("enter", "enter")
        assert len(seen.rows()) == 100
        await seen.press("n")
        assert seen.rows()[0] == "+ 197 x NULL"
        await seen.press("n", "n")
        assert seen.rows()[-1] == "+ 349 x NULL"
        assert "rows 201-253" in seen.screen
        await seen.press("p")
        assert "rows 101-200 of more" in seen.screen


async def test_a_key_of_several_columns_marks_its_rows(pg_url: URL) -> None:
    run(
        pg_url,
        "CREATE TABLE parts (a int, b text, n int, PRIMARY KEY (a, b))",
        "INSERT INTO parts VALUES (1, 'x', 1), (1, 'y', 1)",
    )
    engine = create_engine(pg_url)
    from sqlalchemy_temporal.tables.enable import enable_many

    enable_many(engine, ["parts"])
    engine.dispose()
    run(pg_url, "UPDATE parts SET n = 2 WHERE b = 'y'")
    async with viewing(pg_url) as seen:
        await seen.press("enter", "enter")
        assert seen.rows() == ["1 x 1", "~ 1 y 2"]


async def test_help_lists_the_keys(shop_url: URL) -> None:
    async with viewing(shop_url) as seen:
        await seen.dialog(Help, "question_mark")
        assert "make the tables what they were" in seen.screen
        await seen.press("escape")
        assert isinstance(seen.view.screen, LogScreen)


async def test_it_is_dark_or_light(shop_url: URL) -> None:
    async with viewing(shop_url, light=True) as seen:
        assert not seen.view.current_theme.dark
        await seen.press("d")
        assert seen.view.current_theme.dark


async def test_no_color_leaves_only_shades_of_grey(
    shop_url: URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    shades = []
    for variables in ({}, {"NO_COLOR": "1"}):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        async with viewing(shop_url) as seen:
            segments = [s for strip in seen.view.screen._compositor.render_strips() for s in strip]
            styles = [segment.style for segment in segments if segment.style]
            colours = [each for s in styles for each in (s.color, s.bgcolor) if each]
            triplets = {each.get_truecolor() for each in colours}
            shades.append(all(each.red == each.green == each.blue for each in triplets))
    assert shades == [False, True]


async def test_keys_are_heeded_while_the_database_does_not_answer(pg_url: URL) -> None:
    tell(pg_url)
    engine = create_engine(pg_url)
    async with viewing(pg_url) as seen:
        with engine.begin() as connection:
            connection.execute(text("LOCK TABLE temporal_versioning.transaction"))
            await seen.pilot.press("down", "question_mark")
            await seen.pilot.pause(0.2)
            assert isinstance(seen.view.screen, Help)
            assert any(each.group == "changes" for each in seen.view.workers)
        await seen.press("escape")
        assert seen.lines("#changes")[0] == "public.customers  ~1"
    engine.dispose()


async def test_what_the_database_refuses_is_told_in_one_line(pg_url: URL) -> None:
    tell(pg_url)
    async with viewing(pg_url) as seen:
        run(pg_url, "DROP TABLE temporal_versioning.customers_history CASCADE")
        await seen.press("down")
        await seen.until(lambda: seen.told)
        assert "\n" not in seen.told[0]
        await seen.press("up")
        assert seen.lines("#changes")[0] == "public.orders  -1"
