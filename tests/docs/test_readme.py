"""The documents say what is: their examples run, and print what they say."""

import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest
from sqlalchemy import URL

ROOT = Path(__file__).parents[2]
EXAMPLE_URL = "postgresql+psycopg://localhost/shop"
BLOCK = re.compile(
    r"^```python\n(?P<code>.*?)^```\n(?:```text\n(?P<output>.*?)^```\n)?",
    re.MULTILINE | re.DOTALL,
)
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


@dataclass(frozen=True)
class Example:
    """A block of Python, and what the block after it says it prints."""

    path: Path
    line: int
    code: str
    output: str | None


def examples(path: Path) -> list[Example]:
    text = path.read_text(encoding="utf-8")
    return [
        Example(path, text.count("\n", 0, found.start()) + 1, found["code"], found["output"])
        for found in BLOCK.finditer(text)
    ]


@pytest.fixture
def module(request: pytest.FixtureRequest) -> Iterator[ModuleType]:
    """A module for the examples of one document, which share their names."""
    made = ModuleType(f"examples_of_{request.node.name}")
    sys.modules[made.__name__] = made  # where annotations look their names up
    yield made
    if "engine" in vars(made):
        made.engine.dispose()
    del sys.modules[made.__name__]


def run(example: Example, module: ModuleType, url: URL) -> str:
    """Run an example with the lines it has in its document; return what it prints."""
    code = example.code.replace(EXAMPLE_URL, url.render_as_string(hide_password=False))
    printed = io.StringIO()
    with redirect_stdout(printed):
        exec(compile("\n" * example.line + code, example.path, "exec"), vars(module))  # noqa: S102
    return printed.getvalue()


@pytest.mark.parametrize("path", [p for p in DOCUMENTS if examples(p)], ids=lambda path: path.name)
def test_examples_run_in_order_and_print_what_is_said(
    path: Path, module: ModuleType, pg_url: URL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for example in examples(path):
        printed = run(example, module, pg_url)
        assert printed == (example.output or ""), f"{path.name}, line {example.line}"


def test_every_python_block_of_the_readme_is_run() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(examples(ROOT / "README.md")) == text.count("```py") > 5


def test_the_generated_sql_in_the_readme_is_what_is_generated() -> None:
    finished = subprocess.run(
        [sys.executable, "scripts/update_readme.py", "--check"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (finished.returncode, finished.stderr) == (0, "")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_between_files_lead_somewhere(path: Path) -> None:
    targets = LINK.findall(path.read_text(encoding="utf-8"))
    assert [target for target in targets if not (path.parent / target).exists()] == []
