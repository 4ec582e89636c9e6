"""What holds for every command: where it works, exit codes, errors, colours, help."""

import subprocess
from pathlib import Path

import pytest
from sqlalchemy import URL

from tests.cli.conftest import COMMAND, Vsg, environment, run


def test_without_a_database_it_says_how_to_name_one(tmp_path: Path) -> None:
    ran = run(None, tmp_path, "log")
    assert ran.code == 2
    assert "--url" in ran.err
    assert "DATABASE_URL" in ran.err


def test_the_project_file_names_the_database(shop_url: URL, tmp_path: Path) -> None:
    address = shop_url.render_as_string(hide_password=False)
    (tmp_path / "pyproject.toml").write_text(f'[tool.sqlalchemy-temporal]\nurl = "{address}"\n')
    below = tmp_path / "below"
    below.mkdir()
    assert run(None, below, "status").out.startswith("On branch main")


def test_the_project_file_may_name_a_variable_instead(shop_url: URL, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.sqlalchemy-temporal]\nurl-env = "SHOP"\n')
    assert run(None, tmp_path, "status").code == 2
    address = shop_url.render_as_string(hide_password=False)
    assert run(None, tmp_path, "status", SHOP=address).code == 0


def test_unknown_settings_in_the_project_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.sqlalchemy-temporal]\nadress = "x"\n')
    ran = run(None, tmp_path, "log")
    assert (ran.code, "adress" in ran.err) == (2, True)


def test_an_address_without_a_driver_takes_the_one_that_is_installed(
    shop_url: URL, tmp_path: Path
) -> None:
    plain = shop_url.set(drivername="postgresql").render_as_string(hide_password=False)
    assert run(None, tmp_path, "--url", plain, "status").code == 0


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("log",), 0),
        (("nonsense",), 2),
        (("log", "--key", "7"), 2),
        (("log", "--since", "2024-01-15"), 2),
        (("as-of", "2999-01-01T00:00Z", "customers"), 4),
        (("as-of", "nowhere", "customers"), 4),
        (("as-of", "HEAD", "nowhere"), 4),
        (("--access-mode", "restricted", "tag", "v1"), 3),
        (("restore", "HEAD~1"), 3),
        (("--url", "postgresql://joe:secret@127.0.0.1:1/shop", "log"), 5),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else str(value),
)
def test_exit_codes_tell_what_became_of_it(ask: Vsg, arguments: tuple[str, ...], code: int) -> None:
    assert ask(*arguments).code == code


def test_an_error_is_one_line_and_debug_shows_the_trace(ask: Vsg) -> None:
    assert len(ask("as-of", "nowhere", "customers").err.splitlines()) == 1
    assert "Traceback" in ask("--debug", "as-of", "nowhere", "customers").err


def test_passwords_are_never_printed(tmp_path: Path) -> None:
    for url in (
        "postgresql://joe:hush@127.0.0.1:1/shop",
        "nonsense://joe:hush@host/x",
        "joe:hush@",
    ):
        ran = run(None, tmp_path, "--debug", "--url", url, "log")
        assert ran.code != 0
        assert "hush" not in ran.out + ran.err


def test_what_would_be_asked_is_not_done_where_nobody_can_be_asked(shop: Vsg) -> None:
    refused = shop("restore", "HEAD~2", stdin="y\n")
    assert refused.code == 3
    assert "--yes" in refused.err
    assert "city Oslo → Rome" in refused.out
    assert "Oslo" in shop("as-of", "HEAD", "customers").out


def test_restricted_access_reads_and_says_what_writing_needs(ask: Vsg) -> None:
    assert ask("--access-mode", "restricted", "log", "-n", "1").code == 0
    refused = ask("--access-mode", "restricted", "branch", "spring")
    assert "unrestricted" in refused.err


def test_there_are_no_colours_and_nothing_is_cut_in_a_pipe(ask: Vsg) -> None:
    out = ask("log", COLUMNS="20").out
    assert "\x1b" not in out
    assert "bea Bea moves  customers ~1" in out
    assert "\x1b[" in ask("--color", "always", "log").out


def test_a_command_is_found_by_the_beginning_of_its_name(ask: Vsg) -> None:
    assert ask("stat").out.startswith("On branch main")
    ambiguous = ask("re")
    assert (ambiguous.code, "restore" in ambiguous.err) == (2, True)


def test_a_reader_that_leaves_early_is_no_error(shop_url: URL, tmp_path: Path) -> None:
    with subprocess.Popen(
        [COMMAND, "log"],
        cwd=tmp_path,
        env=environment(shop_url),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert (process.wait(), process.stderr.read()) == (0, b"")
