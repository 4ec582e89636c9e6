"""The tests of ``docs/testing.md`` pass, as tests of an application."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from sqlalchemy import URL

from tests.docs.test_readme import EXAMPLE_URL, ROOT, examples

_WITHOUT = ("-p", "no:cacheprovider", "-p", "no:asyncio", "-p", "no:xdist")
PAGE = ROOT / "docs" / "testing.md"


def test_tests_of_the_page_pass(pg_url: URL, tmp_path: Path) -> None:
    code = "\n".join(example.code for example in examples(PAGE))
    url = pg_url.render_as_string(hide_password=False)
    names = {"shop_template": f"{pg_url.database}_t", "shop_copy": f"{pg_url.database}_c"}
    for before, after in {EXAMPLE_URL: url, **names}.items():
        code = code.replace(before, after)
    (tmp_path / "test_shop.py").write_text(code, encoding="utf-8")
    finished = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", *_WITHOUT, "."],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout
    assert "9 passed" in finished.stdout
