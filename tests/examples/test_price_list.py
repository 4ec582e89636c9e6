"""The price list: two branches, one conflict, a merge, and the commits drawn."""

import re
import shutil
from pathlib import Path

import pytest
from sqlalchemy import URL, Engine, text

from examples.price_list import main


@pytest.fixture(autouse=True)
def given_url(pg_url: URL, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use the server of the tests."""
    monkeypatch.setenv("DATABASE_URL", pg_url.render_as_string(hide_password=False))
    monkeypatch.delenv("SQLALCHEMY_TEMPORAL_SERVER", raising=False)
    monkeypatch.setenv("COLUMNS", "120")


def test_the_merged_list_has_what_both_did(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    shown = capsys.readouterr().out
    merged = shown.partition("Merged in commit")[2].partition("Who set what")[0]
    found = re.findall(r"^\s+(\S.*?)\s+(\d\.\d\d)\s*$", merged, re.MULTILINE)
    assert found == [
        ("Espresso", "2.45"),
        ("Cappuccino, oat milk", "3.40"),
        ("Iced coffee", "3.80"),
    ]
    assert re.search(r"Espresso\s+price\s+2\.20\s+2\.30\s+2\.60", shown)
    assert re.search(r"oat milk\s+Ana: Say what is in it;.*Bo: Spring prices", shown)
    drawn = shown.partition("The commits")[2]
    assert re.search(r"^\* \w{10} \(HEAD -> main\) Merge spring into main", drawn, re.MULTILINE)
    assert re.search(r"^\| \* \w{10} \(spring\) Iced coffee", drawn, re.MULTILINE)


def test_nothing_is_left_on_the_server(
    pg_engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([]) == 0
    capsys.readouterr()
    with pg_engine.connect() as connection:
        left = connection.scalar(
            text("SELECT count(*) FROM pg_database WHERE datname LIKE 'price_list%'")
        )
    assert left == 0


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
def test_the_commits_are_drawn_to_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "commits.svg"
    assert main(["--svg", str(target)]) == 0
    assert f"Drawn to {target}" in capsys.readouterr().out.replace("\n", "")
    assert "<svg" in target.read_text()


def test_a_missing_program_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["--svg", str(tmp_path / "commits.svg")]) == 2
    assert "apt-get install graphviz" in capsys.readouterr().err
