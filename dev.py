#!/usr/bin/env python3
"""The project's chores, each one command that needs nothing but Python.

    python3 dev.py demo  [options of the demonstration]
    python3 dev.py test  [options of pytest]
    python3 dev.py lint
    python3 dev.py bench [options of the benchmarks]
    python3 dev.py majors [--only 13,18] [options of pytest]

Each makes a virtual environment beside this file and installs what it needs, again only when
pyproject.toml has changed. `test` runs the linters, pytest and the check of the wheel, each of
them even when another fails; with options for pytest it runs pytest alone.

`--sqlalchemy SPEC` and `--alembic SPEC` before the other options, or DEV_SQLALCHEMY and DEV_ALEMBIC
in the environment, choose the versions to use, in an environment of their own:
python3 dev.py test --sqlalchemy '<2.1' --alembic '==1.13.0'
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent
OLDEST_PYTHON = (3, 11)
CHOOSABLE = ("sqlalchemy", "alembic")
LINTERS = {
    "ruff check": ["-m", "ruff", "check", "."],
    "ruff format": ["-m", "ruff", "format", "--check", "."],
    "mypy": ["-m", "mypy"],
    "import-linter": ["-c", "from importlinter.cli import lint_imports_command as c; c()"],
}


def main() -> int:
    """Run the chore named on the command line; return the code of the first part that failed."""
    if sys.version_info < OLDEST_PYTHON:
        print(f"Python {OLDEST_PYTHON[0]}.{OLDEST_PYTHON[1]} or newer is needed", file=sys.stderr)
        return 2
    chore, *options = sys.argv[1:] or ["help"]
    if chore not in CHORES:
        print(__doc__)
        return 0 if chore in {"-h", "--help", "help"} else 2
    chosen = {name: os.environ.get(f"DEV_{name.upper()}", "") for name in CHOOSABLE}
    while options and options[0].startswith("--") and options[0][2:] in chosen:
        option, *options = options
        if not options:
            print(f"{option} needs a version, such as '<2.1'", file=sys.stderr)
            return 2
        chosen[option[2:]], *options = options
    extra, start = CHORES[chore]
    try:
        return start(environment(extra, chosen), options)
    except KeyboardInterrupt:
        return 130


def demo(python: Path, options: list[str]) -> int:
    """Run the demonstration."""
    return run(python, ["-m", "examples.mime_history", *options])


def test(python: Path, options: list[str]) -> int:
    """Run the linters, all tests and the check of the wheel; with options, pytest alone."""
    if options:
        return run(python, ["-m", "pytest", *options])
    pytest = {"pytest": ["-m", "pytest", "-n", "auto"]}
    wheel = {"wheel": ["scripts/check_wheel.py"]}
    return run_all(python, LINTERS | pytest | wheel)


def lint(python: Path, options: list[str]) -> int:
    """Run the linters, which take no options."""
    if options:
        print(f"lint takes no options, not {options}", file=sys.stderr)
        return 2
    return run_all(python, LINTERS)


def bench(python: Path, options: list[str]) -> int:
    """Run the benchmarks."""
    return run(python, ["-m", "benchmarks", *options])


def majors(python: Path, options: list[str]) -> int:
    """Run the tests of hashes, or those given, on each major version of PostgreSQL."""
    return run(python, ["scripts/majors.py", *options])


def run_all(python: Path, parts: dict[str, list[str]]) -> int:
    """Run every part, whatever happens to the others, and report on them at the end."""
    codes: dict[str, int] = {}
    for name, arguments in parts.items():
        print(f"== {name}", flush=True)
        codes[name] = run(python, arguments)
    print("== summary")
    for name, code in codes.items():
        print(f"{name}: {'ok' if code == 0 else f'FAILED with code {code}'}")
    return next((code for code in codes.values() if code != 0), 0)


def run(python: Path, arguments: list[str]) -> int:
    """Run Python in the environment, streaming its output."""
    sys.stdout.flush()
    process = subprocess.Popen([python, *arguments], cwd=ROOT)
    while True:
        try:
            code = process.wait()
        except KeyboardInterrupt:
            # Ctrl-C went to the program as well: let it clean up and choose its code.
            continue
        return code if code >= 0 else 128 - code  # ended by a signal: as a shell says it


def environment(extra: str, chosen: dict[str, str]) -> Path:
    """Make or reuse the virtual environment for an extra; return its Python."""
    versions = [f"{name}{version}" for name, version in chosen.items() if version]
    named = [re.sub(r"[^0-9a-z.]+", "-", version) for version in versions]
    directory = ROOT / "-".join([".venv", extra, *named])
    bin_directory = directory / ("Scripts" if os.name == "nt" else "bin")
    python = bin_directory / ("python.exe" if os.name == "nt" else "python")
    requirements = ["--editable", f".[{extra}]", *versions]
    stamp = directory / "installed"
    inputs = [sys.version, str(directory), *requirements, (ROOT / "pyproject.toml").read_text()]
    digest = hashlib.sha256("\0".join(inputs).encode()).hexdigest()
    if python.exists() and stamp.exists() and stamp.read_text() == digest:
        return python
    print(f"Installing into {directory.name} …", flush=True)
    make_environment(directory, python)
    stamp.unlink(missing_ok=True)
    command = [python, "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    code = run_pip([str(part) for part in command] + requirements)
    if code != 0:
        sys.exit(code)
    stamp.write_text(digest)
    return python


def make_environment(directory: Path, python: Path) -> None:
    """Make a virtual environment with pip, unless it is there already."""
    try:
        import ensurepip  # noqa: F401 - Debian ships it apart
    except ImportError:
        sys.exit(
            "This Python cannot make virtual environments, for it lacks ensurepip. On Debian and "
            f"Ubuntu: apt install python{sys.version_info[0]}.{sys.version_info[1]}-venv"
        )
    # A directory that was moved or half made has a Python that does not start.
    if (
        python.exists()
        and subprocess.run(
            [python, "-m", "pip", "--version"], check=False, capture_output=True
        ).returncode
        == 0
    ):
        return
    if directory.exists():
        shutil.rmtree(directory)
    venv.create(directory, with_pip=True)


def run_pip(command: list[str]) -> int:
    """Run pip, without its warning about root, which does not apply to virtual environments."""
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PIP_ROOT_USER_ACTION": "ignore"}, check=False
    ).returncode


CHORES: dict[str, tuple[str, Callable[[Path, list[str]], int]]] = {
    "demo": ("demo", demo),
    "test": ("dev", test),
    "lint": ("dev", lint),
    "bench": ("bench", bench),
    "majors": ("dev", majors),
}

if __name__ == "__main__":
    sys.exit(main())
