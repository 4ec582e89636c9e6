"""Check the wheel as its users get it: build it, install it alone, import it, find its types."""

import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("sqlalchemy_temporal", "alembic_ext")
STRAY = ("tests/", "examples/", "benchmarks/", "docs/", "scripts/")
# Run from outside the tree, so that only the installed packages can be found.
PROGRAM = """
import sys
from importlib import import_module
from importlib.resources import files
for package in sys.argv[1:]:
    import_module(package)
    assert files(package).joinpath("py.typed").is_file(), f"{package} lacks py.typed"
    print(f"{package} imported, with its types")
"""


def main() -> int:
    """Build, install and import; return 0 when the wheel is as it should be."""
    with tempfile.TemporaryDirectory(prefix="temporal wheel ") as name:
        directory = Path(name)
        wheel = build(directory)
        complaints = contents(wheel)
        for complaint in complaints:
            print(complaint, file=sys.stderr)
        python = install(wheel, directory / "venv")
        code = subprocess.run(
            [python, "-I", "-c", PROGRAM, *PACKAGES], cwd=directory, check=False
        ).returncode
    return code or (1 if complaints else 0)


def build(directory: Path) -> Path:
    """Build the wheel of the tree with the build backend that is installed here."""
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation"]
    subprocess.run([*command, "--outdir", directory, ROOT], check=True, stdout=subprocess.DEVNULL)
    (wheel,) = directory.glob("*.whl")
    print(f"built {wheel.name}")
    return wheel


def contents(wheel: Path) -> list[str]:
    """Return what the wheel lacks or should not have."""
    names = zipfile.ZipFile(wheel).namelist()
    lacking = [f"the wheel lacks {p}/py.typed" for p in PACKAGES if f"{p}/py.typed" not in names]
    sources = {
        str(path.relative_to(ROOT).as_posix())
        for p in PACKAGES
        for path in (ROOT / p).rglob("*.py")
    }
    lacking += [f"the wheel lacks {name}" for name in sorted(sources - set(names))]
    return lacking + [f"the wheel ships {name}" for name in names if name.startswith(STRAY)]


def install(wheel: Path, directory: Path) -> Path:
    """Install the wheel, with the one extra that both packages import, into a new environment."""
    venv.create(directory, with_pip=True)
    python = directory / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    options = ["-qq", "--disable-pip-version-check", "--root-user-action=ignore"]
    command = [str(python), "-m", "pip", "install", *options, f"{wheel}[alembic]"]
    subprocess.run(command, check=True)
    return python


if __name__ == "__main__":
    sys.exit(main())
