"""The benchmark runs, reports every section, and its arithmetic is right."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from sqlalchemy import URL, create_engine, inspect

from benchmarks.cli import main, run
from benchmarks.measure import Figure, Target, compare, in_turn, spread
from benchmarks.report import summary, write_json
from benchmarks.sections import SECTIONS
from benchmarks.server import Place
from benchmarks.sizes import TINY


@pytest.fixture
def console() -> Console:
    return Console(file=StringIO(), width=140)


@pytest.mark.parametrize("section", SECTIONS)
def test_a_section_measures_and_leaves_nothing_behind(
    pg_url: URL, console: Console, section: str
) -> None:
    figures = run(pg_url, TINY, [section], console)
    assert figures
    assert {figure.section for figure in figures} == {section}
    engine = create_engine(pg_url)
    assert inspect(engine).get_table_names() == []
    engine.dispose()


def test_bare_tables_are_measured_on_demand(pg_url: URL, console: Console) -> None:
    assert run(pg_url, TINY, ["bulk"], console, bare=True)


def test_variants_take_turns_in_both_orders() -> None:
    calls: list[str] = []

    def variant(name: str) -> float:
        calls.append(name)
        return 1.0

    samples = in_turn({"a": lambda: variant("a"), "b": lambda: variant("b")}, rounds=2, warm_up=1)
    assert calls == ["b", "a", "a", "b", "b", "a"]
    assert samples == {"a": [1.0, 1.0], "b": [1.0, 1.0]}


def test_a_ratio_is_the_median_of_the_ratios_of_each_round() -> None:
    figure = compare("s", "n", "ms", [2.0, 9.0, 40.0], [1.0, 3.0, 10.0])
    assert figure.ratio is not None
    assert figure.ratio.median == 3.0


@pytest.mark.parametrize(
    ("target", "value", "met"),
    [
        (Target("at most", 1.8), 1.7, True),
        (Target("at most", 1.8), 1.9, False),
        (Target("at least", 0.5), 0.6, True),
        (Target("at least", 0.5), 0.4, False),
    ],
)
def test_a_target_is_met_on_its_side(target: Target, value: float, met: bool) -> None:
    figure = Figure("s", "n", "ms", spread([1.0]), ratio=spread([value]), target=target)
    assert figure.met is met
    assert summary([figure]) == f"{int(met)} of 1 targets met"


def test_results_are_written_as_json(tmp_path: Path) -> None:
    figure = compare("s", "n", "ms", [2.0], [1.0], target=Target("at most", 1.5))
    place = Place("embedded", {"server_version": "18"}, {"processor": "x"}, {"python": "3"})
    path = tmp_path / "results.json"
    write_json(path, place, "tiny", [figure], bare=False)
    written = json.loads(path.read_text())
    assert written["place"]["settings"]["server_version"] == "18"
    assert written["figures"][0]["ratio"]["median"] == 2.0
    assert written["figures"][0]["met"] is False


def test_an_unknown_section_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--only", "nonsense"])
    assert "invalid choice: 'nonsense'" in capsys.readouterr().err
