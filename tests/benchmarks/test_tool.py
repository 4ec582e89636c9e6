"""The benchmark runs, its subjects keep what they claim, and its arithmetic is right."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from benchmarks import mariadb
from benchmarks.cli import main, run
from benchmarks.measure import (
    Cost,
    Figure,
    Target,
    compare,
    compare_costs,
    cost,
    in_turn,
    processor_seconds,
    spread,
)
from benchmarks.report import Result, read_json, summary, write_json
from benchmarks.sections import SECTIONS
from benchmarks.server import Place, databases
from benchmarks.sizes import TINY
from benchmarks.subjects import BASE, OURS, SUBJECTS, Subject
from tests.fix_server import Server

PLACE = Place("embedded", {"server_version": "18"}, {"processor": "x"}, {"python": "3"})
OWN = [name for name, section in SECTIONS.items() if not section.compares and name != mariadb.KEY]


@pytest.fixture
def result() -> Result:
    """Made-up results of the sections that are drawn."""
    figures = []
    for section, kinds in (("flush", ("add", "update", "delete")), ("bulk", ("INSERT", "COPY"))):
        for kind in kinds:
            shape = Figure(section, kind, "ms", None, parameters={"kind": kind, "objects": 5})
            figures += _made(shape, {"rows": 5})
    for kind in ("INSERT", "UPDATE", "DELETE"):
        shape = Figure("transactions", kind, "µs", None, way="sql", parameters={"kind": kind})
        figures += _made(shape, {"clients": 1, "synchronous": False})
    for versions in (1, 10, 50):
        shape = Figure("reads", f"a row by its key, {versions} versions, now", "µs", None)
        figures += _made(shape, {"question": "key", "versions": versions, "moment": "now"})
    missing = {"periods": "not installed", "mariadb": "not installed"}
    return Result("tiny", False, PLACE, missing, tuple(figures))


def _made(shape: Figure, parameters: dict[str, Any]) -> list[Figure]:
    shape = dataclasses.replace(shape, parameters={**shape.parameters, **parameters})
    base = [Cost(1.0, 0.5, 0.5), Cost(1.5, 0.5, 0.5)]
    ours = [Cost(2.0, 1.0, 0.5), Cost(4.0, 1.0, 0.5)]
    target = Target("at most", 1.5)
    against = dataclasses.replace(shape, subject=OURS, against="unversioned", target=target)
    return [
        compare_costs(dataclasses.replace(shape, subject=BASE), base, None),
        compare_costs(against, ours, base),
    ]


@pytest.mark.postgresql
@pytest.mark.parametrize("section", OWN)
def test_a_section_about_this_library_measures(server: Server, section: str) -> None:
    console = Console(file=StringIO(), width=140)
    figures, _ = run(server.url, TINY, [section], console, strict=True)
    assert {figure.section for figure in figures} == {section}


def test_every_subject_is_measured_where_it_can_and_answers_as_this_library_does(
    server: Server,
) -> None:
    # Strict: a subject that fails, or remembers a row otherwise than this library, ends it.
    chosen = [name for name, section in SECTIONS.items() if section.compares]
    console = Console(file=StringIO(), width=140)
    figures, missing = run(server.url, TINY, chosen, console, strict=True)
    assert set(missing) <= {"periods"}
    expected: dict[str, Callable[[type[Subject]], bool]] = {
        "transactions": lambda _: True,
        "flush": lambda kind: kind.has_orm,
        "bulk": lambda kind: kind.records_sql,
        "storage": lambda _: True,
        "airports": lambda _: True,
        "reads": lambda kind: not kind.reads_like,
    }
    for section, accepts in expected.items():
        measured = {one.subject for one in figures if one.section == section}
        wanted = {key for key, kind in SUBJECTS.items() if accepts(kind) and key not in missing}
        assert measured == wanted, section
    for one in figures:
        if one.section in {"flush", "bulk", "transactions"} and one.subject != BASE:
            assert one.ratio is not None, one


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where temporary directories of the test lie: one that other accounts may pass."""
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o711)
        monkeypatch.setattr(tempfile, "tempdir", made)
        yield Path(made)


@pytest.mark.skipif(bool(mariadb.missing()), reason=f"MariaDB: {mariadb.missing()}")
def test_mariadb_is_measured_beside_itself_and_gone_afterwards(
    server: Server, temporary: Path
) -> None:
    output = StringIO()
    figures, missing = run(
        server.url, TINY, [mariadb.KEY], Console(file=output, width=140), strict=True
    )
    assert missing == {}
    assert "innodb_flush_log_at_trx_commit is 1 for" in output.getvalue()
    measured = {one.name for one in figures if one.ratio is not None}
    for kind in ("INSERT", "UPDATE", "DELETE"):
        assert f"{kind}, 1 client, synchronous commit on" in measured
        assert f"{kind}, 1 client, synchronous commit off" in measured
        assert f"{kind} of 200 rows" in measured
        assert f"redo log, per {kind} of one row" in measured
    assert "a row by its key, 3 versions, middle" in measured
    assert "all 20 items, 3 versions, middle" in measured
    assert list(temporary.iterdir()) == []


@pytest.mark.skipif(bool(mariadb.missing()), reason=f"MariaDB: {mariadb.missing()}")
def test_mariadb_is_gone_after_a_failure_too(temporary: Path) -> None:
    pids = []

    def fail() -> None:
        with mariadb.server() as found:
            pids.append(found.pid)
            os.kill(found.pid, 0)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)
    assert list(temporary.iterdir()) == []


@pytest.mark.skipif(bool(mariadb.missing()), reason=f"MariaDB: {mariadb.missing()}")
def test_mariadb_that_does_not_start_says_why(temporary: Path) -> None:
    with (
        pytest.raises(RuntimeError, match="unknown variable 'no-such-option=1'"),
        mariadb.server({"no_such_option": "1"}),
    ):
        pass
    assert list(temporary.iterdir()) == []


def test_mariadb_that_is_not_installed_is_said_to_be_missing(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert shutil.which("mariadbd") is None
    output = StringIO()
    figures, missing = run(
        server.url, TINY, [mariadb.KEY], Console(file=output, width=140), strict=True
    )
    assert missing == {mariadb.KEY: "not installed"}
    assert [one.ours for one in figures] == [None]
    assert "MariaDB system versioning: not installed" in output.getvalue()


@pytest.mark.parametrize("there", [True, False])
def test_the_page_shows_mariadb_beside_itself_or_why_it_is_missing(
    tmp_path: Path, *, there: bool
) -> None:
    pytest.importorskip("matplotlib")
    from benchmarks.docs import update

    note = Figure(mariadb.KEY, "server", "", None, subject=mariadb.KEY, note="it is so")
    shape = Figure(mariadb.KEY, "INSERT", "ms", None, subject=mariadb.KEY, against="unversioned")
    figure = compare_costs(shape, [Cost(3.0, 0.0, 1.0)], [Cost(2.0, 0.0, 1.0)])
    page = tmp_path / "page.md"
    page.write_text("<!-- benchmarks: mariadb -->\n<!-- end -->\n", encoding="utf-8")
    update(Result("tiny", False, PLACE, {}, (note, figure) if there else (note,)), page)
    written = page.read_text(encoding="utf-8")
    assert "MariaDB system versioning: it is so" in written
    assert ("| INSERT | 2.00 ms | 3.00 ms | ×1.50 / ×1.00 |" in written) is there


def test_a_database_of_the_benchmark_is_dropped(server: Server) -> None:
    with databases(server.url, ["one"]) as made:
        name = made["one"].database
    with server.admin.connect() as connection:
        names = connection.exec_driver_sql("SELECT datname FROM pg_database").scalars().all()
    assert name not in names


def test_results_are_read_as_they_were_written(result: Result, tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    write_json(path, result)
    again = read_json(path)
    assert again.missing == result.missing
    assert [dataclasses.asdict(one) for one in again.figures] == [
        dataclasses.asdict(one) for one in result.figures
    ]
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["schema"] == 2
    assert content["place"]["settings"]["server_version"] == "18"


def test_results_of_another_version_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text('{"schema": 1}')
    with pytest.raises(ValueError, match="measure again"):
        read_json(path)


def test_tables_and_plots_are_written_into_the_page(result: Result, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from benchmarks.docs import PAGE, update

    page = tmp_path / "benchmarks.md"
    page.write_text(PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    written = update(result, page)
    plots = sorted(path.name for path in written if path.suffix == ".svg")
    assert plots == ["bulk.svg", "flush.svg", "growth.svg", "transactions.svg"]
    first = page.read_text(encoding="utf-8")
    assert "benchmarks/growth.svg" in first
    assert SUBJECTS[OURS].title in first
    before = {path: path.read_bytes() for path in written}
    update(result, page)
    assert {path: path.read_bytes() for path in written} == before


def test_a_line_is_fitted_through_points() -> None:
    pytest.importorskip("matplotlib")
    from benchmarks.plot import slope

    start, steep = slope([(1.0, 12.0), (10.0, 30.0), (50.0, 110.0)])
    assert start == pytest.approx(10.0)
    assert steep == pytest.approx(2.0)


def test_variants_take_turns_in_both_orders() -> None:
    calls: list[str] = []

    def variant(name: str) -> float:
        calls.append(name)
        return 1.0

    samples = in_turn({"a": lambda: variant("a"), "b": lambda: variant("b")}, rounds=2, warm_up=1)
    assert calls == ["b", "a", "a", "b", "b", "a"]
    assert samples == {"a": [1.0, 1.0], "b": [1.0, 1.0]}


def test_what_used_up_its_time_takes_no_more_part() -> None:
    samples = in_turn({"a": lambda: 1.0, "b": lambda: 2.0}, rounds=5, budget=0.0)
    assert samples == {"a": [1.0], "b": [2.0]}


def test_a_ratio_is_the_median_of_the_ratios_of_each_round() -> None:
    figure = compare("s", "n", "ms", [2.0, 9.0, 40.0], [1.0, 3.0, 10.0])
    assert figure.ratio is not None
    assert figure.ratio.median == 3.0


def test_processor_time_is_result_as_wall_time_is() -> None:
    ours = [Cost(4.0, 1.0, 2.0), Cost(6.0, 1.0, 5.0)]
    base = [Cost(2.0, 1.0, 0.5), Cost(3.0, 1.0, 1.0)]
    figure = compare_costs(Figure("s", "n", "ms", None), ours, base)
    assert figure.ratio == spread([2.0, 2.0])
    assert figure.processor_ratio == spread([2.0, 3.0])
    assert figure.server == spread([2.0, 5.0])


def test_a_server_that_does_not_tell_has_no_processor_time() -> None:
    assert processor_seconds([2**22 + 1]) is None
    taken = cost(lambda: None, [2**22 + 1])
    assert taken.server is None
    assert taken.processor is None
    assert compare_costs(Figure("s", "n", "ms", None), [taken], [taken]).processor is None


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


def test_an_unknown_section_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--only", "nonsense"])
    assert "invalid choice: 'nonsense'" in capsys.readouterr().err
