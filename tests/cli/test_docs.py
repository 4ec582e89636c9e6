"""README.md and docs/cli.md: sessions and screens are real, the reference is the help itself."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import URL, create_engine, text
from textual.binding import Binding

from sqlalchemy_temporal.cli.tui.app import HistoryApp
from sqlalchemy_temporal.cli.tui.log_screen import LogScreen
from sqlalchemy_temporal.cli.tui.table_screen import TableScreen
from tests.cli.conftest import ROOT, Vsg
from tests.cli.screens import viewing

PAGE = ROOT / "docs" / "cli.md"
VARYING = (
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+\+00:00)?"), "<time>"),
    (re.compile(r"\b[0-9a-f]{10}\b"), "<commit>"),
    (re.compile(r" +$", re.MULTILINE), ""),
)


def steady(output: str) -> list[str]:
    for pattern, name in VARYING:
        output = pattern.sub(name, output)
    return output.splitlines()


def session(page: Path) -> list[tuple[str, str]]:
    block = re.search(r"<!-- session -->\n```console\n(.*?)```", page.read_text(), re.DOTALL)
    assert block is not None
    steps = re.split(r"^\$ (.*)\n", block[1], flags=re.MULTILINE)[1:]
    return list(zip(steps[::2], steps[1::2], strict=True))


@pytest.mark.parametrize("page", [PAGE, ROOT / "README.md"], ids=lambda page: page.name)
def test_the_session_prints_what_the_page_says(vsg: Vsg, pg_url: URL, page: Path) -> None:
    engine = create_engine(pg_url)
    with engine.begin() as connection:
        connection.execute(
            text("CREATE TABLE customers (id int PRIMARY KEY, name text, city text)")
        )
        connection.execute(
            text(
                "CREATE TABLE orders (id int PRIMARY KEY, customer_id int REFERENCES customers, "
                "price numeric(8, 2))"
            )
        )
        connection.execute(
            text("INSERT INTO customers VALUES (1, 'Ana', 'Rome'), (2, 'Bea', 'Rome')")
        )
        connection.execute(text("INSERT INTO orders VALUES (7, 2, 10), (8, 1, 99.5)"))
    for command, printed in session(page):
        program, *arguments = shlex.split(command)
        if program == "psql":
            with engine.begin() as connection:
                connection.execute(text(arguments[-1]))
            continue
        ran = vsg(*arguments)
        assert steady(ran.out + ran.err) == steady(printed), command
    engine.dispose()


def test_the_reference_is_the_commands_own_help() -> None:
    finished = subprocess.run(
        [sys.executable, "scripts/update_cli.py", "--check"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (finished.returncode, finished.stderr) == (0, "")


def test_shells_are_told_how_to_complete(vsg: Vsg) -> None:
    for shell in ("bash", "zsh", "fish"):
        assert "_VSG_COMPLETE" in vsg("completion", shell).out


def test_every_command_has_an_example_in_its_help(vsg: Vsg) -> None:
    text = PAGE.read_text()
    sections = re.findall(r"^### (vsg \S+)\n\n```text\n(.*?)```", text, re.DOTALL | re.MULTILINE)
    assert len(sections) > 30
    assert [name for name, help_text in sections if f"  {name}" not in help_text] == []


def drawn(name: str) -> str:
    """A screen on the page."""
    block = re.search(rf"<!-- {name} -->\n```text\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert block is not None
    return block[1].rstrip("\n")


def still(screen: str) -> list[str]:
    """The lines of a screen without what is another each time."""
    named = re.sub(r" · temporal_test_\w+|\b[0-9a-f]{7}\b", lambda found: _name(found[0]), screen)
    return steady(named)


def _name(found: str) -> str:
    return " · shop" if found.startswith(" ·") else "<short>"


async def test_the_screens_are_those_of_the_page(shop_url: URL) -> None:
    async with viewing(shop_url, (80, 11)) as seen:
        await seen.press("down")
        assert still(seen.screen) == still(drawn("screen"))
        await seen.press("enter", "enter")
        assert still(seen.screen) == still(drawn("slider"))


async def test_all_keys_of_the_full_screen_view_are_on_the_page() -> None:
    section = PAGE.read_text().partition("## Full-screen")[2].partition("\n## ")[0]
    signs = {"slash": "/", "question_mark": "?", "comma": ",", "full_stop": "."}
    signs |= {"left": "←", "right": "→"}
    bindings = [*LogScreen.BINDINGS, *TableScreen.BINDINGS, *HistoryApp.BINDINGS]
    keys = [
        signs.get(each.key, each.key.title() if len(each.key) > 1 else each.key)
        for each in bindings
        if isinstance(each, Binding)
    ]
    assert [key for key in keys if f"`{key}`" not in section] == []
