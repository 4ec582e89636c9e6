"""The full-screen view, to go back: preview, question, and what is refused."""

from pathlib import Path

import pytest
from sqlalchemy import URL, create_engine, text
from textual.widgets._footer import FooterKey

from sqlalchemy_temporal import Repository
from sqlalchemy_temporal.cli.tui.dialogs import Confirm, Decide
from sqlalchemy_temporal.cli.tui.log_screen import LogScreen
from sqlalchemy_temporal.cli.tui.table_screen import TableScreen
from sqlalchemy_temporal.clock.commit import Commit
from sqlalchemy_temporal.tables.enable import enable_many
from tests.cli.conftest import tell
from tests.cli.screens import Seen, run, viewing


@pytest.fixture
def story(pg_url: URL) -> URL:
    """A database with the story, of the test's own."""
    tell(pg_url)
    return pg_url


def head(url: URL) -> Commit:
    engine = create_engine(url)
    with engine.connect() as connection:
        found = Repository(connection).head
    engine.dispose()
    return found


def city(url: URL) -> str | None:
    engine = create_engine(url)
    with engine.connect() as connection:
        found: str | None = connection.scalar(text("SELECT city FROM customers WHERE id = 2"))
    engine.dispose()
    return found


async def answered(seen: Seen, button: str) -> None:
    """Press a button of the question, and wait until it is dealt with."""
    await seen.click(button)
    await seen.until(lambda: not isinstance(seen.view.screen, Confirm) and seen.told)


async def test_restoring_is_previewed_confirmed_and_done_as_a_commit(story: URL) -> None:
    async with viewing(story, author="dora") as seen:
        await seen.press("down", "down")
        await seen.dialog(Confirm, "R")
        assert "public.customers: 1 updated" in seen.screen
        assert "~ 2  city Oslo → Rome" in seen.screen
        await seen.write("#message", "Back again")
        assert city(story) == "Oslo"
        await answered(seen, "#do")
        assert city(story) == "Rome"
        made = head(story)
        assert (made.operation, made.author, made.message) == ("RESTORE", "dora", "Back again")
        assert "[RESTORE] Back again dora" in seen.lines("#log")[0]
        assert "  ~ 2  city Oslo → Rome" in seen.lines("#changes")
        assert "public.customers: 1 updated" in seen.told[0]


@pytest.mark.parametrize("key", ["enter", "escape"])
async def test_nothing_is_done_by_a_key_pressed_too_soon(story: URL, key: str) -> None:
    before = head(story)
    async with viewing(story) as seen:
        await seen.press("down", "down")
        await seen.dialog(Confirm, "R")
        await seen.press(key)
        await seen.until(lambda: isinstance(seen.view.screen, LogScreen))
    assert head(story).uuid == before.uuid


async def test_checking_out_goes_on_from_the_commit(story: URL) -> None:
    async with viewing(story) as seen:
        await seen.press("down", "down")
        await seen.dialog(Confirm, "C")
        await answered(seen, "#do")
        assert "| * " in "\n".join(seen.lines("#log"))
    assert head(story).operation == "CHECKOUT"
    assert city(story) == "Rome"


async def test_reverting_undoes_one_commit(story: URL) -> None:
    async with viewing(story) as seen:
        await seen.press("down")
        await seen.dialog(Confirm, "V")
        assert "public.customers: 1 updated" in seen.screen
        await answered(seen, "#do")
    made = head(story)
    assert made.operation == "REVERT"
    assert (made.message or "").endswith(": Bea moves")


@pytest.mark.parametrize(("button", "there"), [("#keep", "Bergen"), ("#overwrite", "Rome")])
async def test_rows_changed_again_since_are_asked_about_before_reverting(
    story: URL, button: str, there: str
) -> None:
    run(story, "UPDATE customers SET city = 'Bergen' WHERE id = 2")
    async with viewing(story) as seen:
        await seen.press("down", "down")
        await seen.dialog(Decide, "V")
        assert "public.customers 2 was changed since" in seen.screen
        await seen.click(button)
        await seen.until(lambda: isinstance(seen.view.screen, Confirm))
        if button == "#keep":
            assert "nothing differs" in seen.screen
            assert seen.view.screen.query_one("#do").disabled
        else:
            await answered(seen, "#do")
    assert city(story) == there


async def test_what_constraints_forbid_is_shown_and_cannot_be_done(story: URL) -> None:
    run(story, "ALTER TABLE plain ADD customer_id int REFERENCES customers", "DELETE FROM orders")
    run(story, "INSERT INTO customers VALUES (9, 'Zoe')", "INSERT INTO plain VALUES (1, 9)")
    async with viewing(story) as seen:
        await seen.press("down")
        await seen.dialog(Confirm, "R")
        assert "forbidden: " in seen.screen
        assert seen.view.screen.query_one("#do").disabled


async def test_it_is_refused_when_head_has_moved_since_the_preview(story: URL) -> None:
    async with viewing(story) as seen:
        await seen.press("down", "down")
        await seen.dialog(Confirm, "R")
        run(story, "UPDATE customers SET city = 'Bergen' WHERE id = 1")
        moved = head(story)
        await answered(seen, "#do")
        assert "but HEAD is" in seen.told[0]
        assert len(seen.lines("#log")) == 6
    assert head(story).uuid == moved.uuid
    assert city(story) == "Oslo"


async def test_one_table_is_restored_from_its_own_past(story: URL) -> None:
    async with viewing(story) as seen:
        await seen.press("down", "enter", "enter", "left")
        assert seen.rows()[1] == "+ 2 Bea Rome"
        await seen.dialog(Confirm, "R")
        assert "public.orders" not in seen.screen
        await answered(seen, "#do")
        assert "1/3" in seen.screen
    assert city(story) == "Rome"


@pytest.mark.parametrize("key", ["R", "C", "V"])
async def test_restricted_access_says_why_nothing_is_done(shop_url: URL, key: str) -> None:
    async with viewing(shop_url, access="restricted") as seen:
        assert "restricted: reads only" in seen.screen
        await seen.press("down", key)
        assert seen.told == ["the access mode is restricted: it allows reads only"]
        assert isinstance(seen.view.screen, LogScreen)
        assert seen.lines("#changes") == ["public.customers  ~1", "  ~ 2  city Rome → Oslo"]


def dimmed(seen: Seen) -> set[str]:
    """The keys of the footer that are shown disabled."""
    keys = seen.view.screen.query(FooterKey)
    return {key.description for key in keys if key.has_class("-disabled")}


async def test_restricted_access_dims_the_keys_of_what_cannot_be_done(shop_url: URL) -> None:
    async with viewing(shop_url, access="restricted") as seen:
        assert dimmed(seen) == {"Restore", "Checkout", "Revert"}
        await seen.press("enter", "enter")
        assert isinstance(seen.view.screen, TableScreen)
        assert dimmed(seen) == {"Restore"}
        await seen.press("R")
        assert seen.told == ["the access mode is restricted: it allows reads only"]
    async with viewing(shop_url) as seen:
        assert dimmed(seen) == set()


async def test_sqlite_is_shown_and_restored_too(tmp_path: Path) -> None:
    url = URL.create("sqlite", database=str(tmp_path / "shop.db"))
    run(url, "CREATE TABLE customers (id integer PRIMARY KEY, city text)")
    engine = create_engine(url)
    enable_many(engine, ["customers"])
    repo = Repository(engine)
    repo.execute("INSERT INTO customers VALUES (2, 'Rome')", message="Open the shop")
    repo.execute("UPDATE customers SET city = 'Oslo'", message="Bea moves")
    engine.dispose()
    async with viewing(url) as seen:
        assert seen.lines("#changes")[-1] == "  ~ 2  city Rome → Oslo"
        await seen.press("enter", "enter")
        assert seen.rows() == ["~ 2 Oslo"]
        await seen.press("escape")
        await seen.press("shift+tab", "down")
        await seen.dialog(Confirm, "R")
        await answered(seen, "#do")
    assert city(url) == "Rome"
