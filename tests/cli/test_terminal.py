"""The command at a terminal: questions, colours, widths, the prompt of the past."""

import subprocess
import sys

import pexpect
import pytest
from sqlalchemy import URL

from tests.cli.conftest import COMMAND, ROOT, Vsg, environment


def spawn(url: URL, *arguments: str, **variables: str) -> pexpect.spawn:
    terminal = environment(url) | {"TERM": "xterm", "PAGER": "cat"} | variables
    terminal.pop("COLUMNS")
    return pexpect.spawn(
        str(COMMAND),
        list(arguments),
        env=terminal,
        dimensions=(40, 60),
        encoding="utf-8",
        timeout=60,
    )


def ended(child: pexpect.spawn) -> int:
    child.expect(pexpect.EOF)
    child.close()
    return child.exitstatus


@pytest.mark.parametrize(("answer", "code", "city"), [("y", 0, "Rome"), ("n", 130, "Oslo")])
def test_a_change_is_previewed_and_asked_about(
    shop: Vsg, pg_url: URL, answer: str, code: int, city: str
) -> None:
    child = spawn(pg_url, "restore", "HEAD~2")
    child.expect("Go to the state of")
    assert "Oslo" in child.before
    child.sendline(answer)
    assert ended(child) == code
    assert city in shop("as-of", "HEAD", "customers", "--where", "id=2").out


def test_there_are_colours_at_a_terminal_unless_no_color_says_otherwise(shop_url: URL) -> None:
    for variables, coloured in (({}, True), ({"NO_COLOR": "1"}, False)):
        child = spawn(shop_url, "log", **variables)
        child.expect(pexpect.EOF)
        assert ("\x1b[33m" in child.before) is coloured
        child.close()


def test_wide_values_are_shortened_to_the_terminal(shop: Vsg, pg_url: URL) -> None:
    child = spawn(pg_url, "history", "customers", "2")
    child.expect(pexpect.EOF)
    assert "…" in child.before
    child.close()


def test_the_prompt_answers_as_of_a_moment_and_moves(shop_url: URL) -> None:
    child = spawn(shop_url, "shell", "--at", "HEAD~2", NO_COLOR="1")
    child.expect("HEAD~2> ")
    child.sendline("select city from customers where id = 2;")
    child.expect("Rome")
    child.expect("> ")
    child.sendline("delete from customers;")
    child.expect("vsg: ")
    child.expect("> ")
    child.sendline(r"\at HEAD")
    child.expect("as of 20")
    child.expect("HEAD> ")
    child.sendline("select city from customers where id = 2;")
    child.expect("Oslo")
    child.sendline(r"\q")
    assert ended(child) == 0


def test_the_prompt_reads_from_a_pipe(ask: Vsg) -> None:
    asked = ask("shell", "--at", "HEAD~2", stdin="select count(*) as n\nfrom orders;\n")
    assert asked.out.split() == ["n", "2"]
    assert ask("shell", stdin="select nonsense;").code == 5


def test_the_full_screen_view_opens_and_closes(shop_url: URL) -> None:
    child = spawn(shop_url, "tui")
    child.expect("Bea moves")
    child.send("q")
    assert ended(child) == 0


def test_the_full_screen_view_needs_a_terminal_and_a_database_with_history(
    ask: Vsg, pg_url: URL
) -> None:
    refused = ask("tui")
    assert (refused.code, "needs a terminal" in refused.err) == (2, True)
    child = spawn(pg_url, "tui")
    child.expect("vsg: ")
    assert ended(child) != 0


def test_without_textual_the_extra_is_named_in_one_line(shop_url: URL) -> None:
    program = (
        "import sys; sys.modules['textual'] = None; "
        "from sqlalchemy_temporal.cli.app import run; sys.exit(run(['tui']))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=environment(shop_url),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 3
    assert "sqlalchemy-temporal[tui]" in ran.stderr
    assert len(ran.stderr.splitlines()) == 1
