"""The graph drawn as text, in colour, and by Graphviz."""

from __future__ import annotations

import builtins
import io
import re
import shutil
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from rich.console import Console
from sqlalchemy import Engine

from sqlalchemy_temporal.errors import MissingExtraError, UnknownOptionError
from sqlalchemy_temporal.repository import Repository
from tests.repository.graphs import commit


@pytest.fixture
def engine(each_engine: Engine) -> Engine:
    return each_engine


@pytest.fixture
def made(engine: Engine) -> dict[str, UUID]:
    """Two lines that part after a, and are merged in m."""
    made = {"a": commit(engine, message="a")}
    made["b"] = commit(engine, message="b")
    made["x"] = commit(engine, message="x", parent=made["a"], author="bo")
    made["c"] = commit(engine, message="c", parent=made["b"])
    made["m"] = commit(engine, message="m", parent=made["c"], merge=made["x"])
    return made


def drawing(text: str) -> list[str]:
    """The lines without uuids, times and authors."""
    return [re.sub(r" [0-9a-f]{10}|\s*<.*>$", "", line) for line in text.splitlines()]


def test_lanes_part_and_come_together(made: dict[str, UUID], repo: Repository) -> None:
    repo.tag("v1", at=made["a"])
    assert drawing(str(repo.graph())) == [
        "* (HEAD -> main) m",
        "|\\",
        "* | c",
        "| * x",
        "* | b",
        "|/",
        "* (tag: v1) a",
        "* [BASELINE]",
    ]


def test_lines_merged_crosswise_cross(engine: Engine, repo: Repository) -> None:
    root = commit(engine, message="root")
    left = commit(engine, message="left")
    right = commit(engine, message="right", parent=root)
    one = commit(engine, message="one", parent=left, merge=right)
    two = commit(engine, message="two", parent=right, merge=left)
    commit(engine, message="all", parent=one, merge=two)
    assert drawing(repo.graph(since=root).text()) == [
        "* (HEAD -> main) all",
        "|\\",
        "| * two",
        "| |\\",
        "* | | one",
        "|\\| |",
        "| * | right",
        "|_|/",
        "* | left",
        "|/",
        "* root",
    ]


def test_commits_that_are_left_out_are_passed_through(
    made: dict[str, UUID], repo: Repository
) -> None:
    rows = repo.graph(message=re.compile("^(m|a)$")).rows
    assert [row.commit.message for row in rows] == ["m", "a"]
    assert rows[0].parents == (made["a"],)
    [merge, *_] = repo.graph(message=re.compile("^(m|b|x)$")).rows
    assert merge.parents == (made["b"], made["x"])


def test_the_log_can_tell_the_places_of_a_drawing(made: dict[str, UUID], repo: Repository) -> None:
    rows = repo.log(graph=True, limit=4)
    assert [(row.commit.message, row.lane) for row in rows] == [
        ("m", 0),
        ("c", 0),
        ("x", 1),
        ("b", 0),
    ]
    assert rows[0].leaving == (1,)


def test_rich_draws_the_same_in_colour(made: dict[str, UUID], repo: Repository) -> None:
    graph = repo.graph()
    console = Console(
        width=200, force_terminal=True, color_system="truecolor", file=io.StringIO(), record=True
    )
    console.print(graph)
    assert "\x1b[" in console.export_text(clear=False, styles=True)
    plain = [line.rstrip() for line in console.export_text().splitlines()]
    assert plain == str(graph).splitlines()


def test_dot_names_commits_edges_and_refs(made: dict[str, UUID], repo: Repository) -> None:
    source = repo.graph().dot()
    assert source.startswith("digraph commits {")
    assert f'"{made["m"]}" -> "{made["c"]}";' in source
    assert f'"{made["m"]}" -> "{made["x"]}" [style=dashed];' in source
    assert '"heads/main" [label="HEAD -> main"' in source
    assert '\\nx\\nbo"' in source


def test_dot_escapes_what_users_wrote(engine: Engine, repo: Repository) -> None:
    commit(engine, message='say "hi" \\ {x}\nsecond line')
    assert 'say \\"hi\\" \\\\ {x}"' in repo.graph(limit=1).dot()


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
def test_graphviz_draws_svg_and_png(made: dict[str, UUID], repo: Repository) -> None:
    graph = repo.graph()
    assert "<svg" in graph.svg()
    assert graph.png().startswith(b"\x89PNG")


def test_a_missing_program_is_named(
    made: dict[str, UUID], repo: Repository, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingExtraError, match="apt-get install graphviz"):
        repo.graph().svg()


@pytest.mark.parametrize(("package", "extra"), [("graphviz", "graph"), ("rich", "cli")])
def test_a_missing_package_is_named(
    package: str,
    extra: str,
    made: dict[str, UUID],
    repo: Repository,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    imported = builtins.__import__

    def refuse(name: str, *args: Any, **kw: Any) -> Any:
        if name.partition(".")[0] == package:
            raise ImportError(name)
        return imported(name, *args, **kw)

    graph = repo.graph()
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingExtraError, match=rf"sqlalchemy-temporal\[{extra}\]"):
        graph.svg() if package == "graphviz" else graph.rich()


def test_a_graph_is_saved_by_the_ending_of_its_file(
    made: dict[str, UUID], repo: Repository, tmp_path: Path
) -> None:
    graph = repo.graph()
    assert graph.save(tmp_path / "g.dot").read_text() == graph.dot()
    assert graph.save(tmp_path / "g.txt").read_text() == f"{graph}\n"
    with pytest.raises(UnknownOptionError, match=r"\.gif"):
        graph.save(tmp_path / "g.gif")
