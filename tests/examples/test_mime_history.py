"""The demonstration: every release is rebuilt, and nothing of it is left behind."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from sqlalchemy import URL, Engine, inspect, text

from examples.mime.database import demo_database
from examples.mime.interrupt import Interrupts
from examples.mime.models import MediaType
from examples.mime.releases import read_releases
from examples.mime_history import main, run
from sqlalchemy_temporal.embedded import ServerUnavailable, wheel_binaries

ROOT = Path(__file__).parents[2]
MADE = {"mime_demo", "temporal_versioning", "temporal_as_of"}
posix = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")


@pytest.fixture
def given_url(pg_url: URL, monkeypatch: pytest.MonkeyPatch) -> str:
    """Set DATABASE_URL to the database of the test."""
    url = pg_url.render_as_string(hide_password=False)
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.delenv("SQLALCHEMY_TEMPORAL_SERVER", raising=False)
    return url


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory for temporary files that every account may pass."""
    path = Path(tempfile.mkdtemp())
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def user_schemas(engine: Engine) -> set[str]:
    return set(inspect(engine).get_schema_names()) - {"information_schema", "public"}


def test_every_release_is_rebuilt_as_the_readme_shows_and_nothing_is_left(
    given_url: str,
    pg_engine: Engine,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert main([]) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    lines = [line.rstrip() for line in shown.out.splitlines()]
    assert lines[-1] == "49 of 49 releases rebuilt exactly"
    assert lines_of_readme() - {"", " …"} <= set(lines)
    assert not user_schemas(pg_engine)
    assert not inspect(pg_engine).get_table_names()


def lines_of_readme() -> set[str]:
    """The output of the demonstration as README.md shows it."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    _, _, after = readme.partition("<!-- demo:")
    _, block, *_ = after.split("```")
    return set(block.splitlines()[1:])


def test_all_answers_are_shown(given_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--releases", "3"]) == 0
    shown = capsys.readouterr().out
    for title in (
        "Releases rebuilt from history",
        "How they came to be: media_type.versions",
        "What changed from 1.7.0 to 1.8.0",
        "Which source contributed most file extensions?",
        "Which media types claimed .js?",
        "The log: repository.log()",
    ):
        assert title in shown


def test_a_single_release_has_no_difference_to_show(
    given_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--releases", "1"]) == 0
    assert "What changed" not in capsys.readouterr().out


def test_quiet_prints_the_result_only(given_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--quiet", "--releases", "2"]) == 0
    assert capsys.readouterr().out == "2 of 2 releases rebuilt exactly\n"


def test_a_release_that_differs_is_named_and_is_a_failure(
    given_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    right, wrong = read_releases()[:2]
    with demo_database() as database:
        both = [right, replace(wrong, sha256="0" * 64)]
        assert run(Console(), database.sessions, both, Interrupts()) == 1
    shown = capsys.readouterr().out
    assert "1 of 2 releases rebuilt exactly" in shown
    assert "not as published: 0000000000000000" in shown


def test_a_missing_list_and_an_empty_one_are_two_things() -> None:
    media_type = MediaType(type="text/plain")
    media_type.list_extensions(None)
    assert media_type.extension_names is None
    media_type.list_extensions([])
    assert media_type.extension_names == []


def test_keep_leaves_the_tables_and_a_second_run_refuses_to_touch_them(
    given_url: str, pg_engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--keep", "--quiet", "--releases", "1"]) == 0
    assert user_schemas(pg_engine) == MADE
    capsys.readouterr()
    assert main(["--quiet", "--releases", "1"]) == 2
    assert "already has the schema mime_demo and temporal_versioning" in capsys.readouterr().err
    with pg_engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM mime_demo.media_types")) == 1787


def test_tables_of_the_same_name_are_left_alone(
    given_url: str, pg_engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    with pg_engine.begin() as connection:
        connection.execute(text("CREATE SCHEMA mime_demo"))
        connection.execute(text("CREATE TABLE mime_demo.media_types (mine integer)"))
    assert main(["--quiet", "--releases", "1"]) == 2
    assert "Name another database in DATABASE_URL" in capsys.readouterr().err
    assert inspect(pg_engine).has_table("media_types", schema="mime_demo")
    assert user_schemas(pg_engine) == {"mime_demo"}


def test_an_error_in_the_middle_leaves_nothing_behind(given_url: str, pg_engine: Engine) -> None:
    def fail() -> None:
        with demo_database():
            assert user_schemas(pg_engine) == MADE
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert not user_schemas(pg_engine)


@pytest.mark.parametrize("number", ["0", "50", "many"])
def test_a_number_of_releases_there_are_not(
    number: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["--releases", number])
    assert "--releases" in capsys.readouterr().err


def test_keep_is_refused_where_the_server_is_removed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    with pytest.raises(SystemExit):
        main(["--keep"])
    assert "--keep needs DATABASE_URL" in capsys.readouterr().err


@posix
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_that_python_dropped_is_raised_after_all() -> None:
    class Dropping:
        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.01)  # the signal is handled here

    seen = []

    def work(interrupts: Interrupts) -> None:
        for number in interrupts.watch(range(3)):
            seen.append(number)
            Dropping()

    with Interrupts() as interrupts:
        with pytest.raises(KeyboardInterrupt):
            work(interrupts)
        os.kill(os.getpid(), signal.SIGTERM)  # does not break into what cleans up
    assert seen == [0]


def interrupted(environment: Mapping[str, str], number: signal.Signals = signal.SIGINT) -> int:
    """Interrupt the demonstration while it works; return the code it ends with."""
    with subprocess.Popen(
        [sys.executable, "-m", "examples.mime_history"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment,
    ) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        time.sleep(0.3)
        process.send_signal(number)
        _, errors = process.communicate(timeout=30)
    assert first.startswith("The history of mime-db on PostgreSQL"), errors
    assert errors.endswith("Interrupted\n")
    return process.returncode


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_takes_away_what_was_made_in_a_given_database(
    number: signal.Signals, given_url: str, pg_engine: Engine
) -> None:
    assert interrupted(os.environ, number) == 128 + number
    assert not user_schemas(pg_engine)


@posix
def test_ctrl_c_ends_and_removes_a_server_that_was_started(directory: Path) -> None:
    try:
        wheel_binaries()
    except ServerUnavailable:
        source = "local"
    else:
        source = "embedded"
    kept = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    places = {"TMPDIR": str(directory), "SQLALCHEMY_TEMPORAL_SERVER": source}
    assert interrupted({**kept, **places}) == 130
    assert not list(directory.iterdir())
