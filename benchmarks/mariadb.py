"""A MariaDB server of the benchmark's own, where the programs are installed.

It has a temporary directory, no network and no configuration but what is said here, and is
stopped and removed whatever happens.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import pwd

    import pymysql

KEY: Final = "mariadb"
TITLE: Final = "MariaDB system versioning"
ABOUT: Final = (
    "another server, whose tables keep their history themselves; an outside yardstick, "
    "compared with its own unversioned tables"
)
SETTINGS: Final[Mapping[str, str]] = {
    # As PostgreSQL is set up: durable, pages written twice, big enough to be measured rather
    # than the disk.
    "innodb_flush_log_at_trx_commit": "1",
    "innodb_doublewrite": "ON",
    "innodb_buffer_pool_size": "512M",
    "innodb_log_file_size": "512M",
    "character_set_server": "utf8mb4",
}
_PROGRAMS: Final = ("mariadbd", "mariadb-install-db")
_DATABASE: Final = "bench"
_SECONDS: Final = 60.0
"""How long the server may take to start, and to stop."""
_KEEPER: Final = """
exec 3<&0
"$@" </dev/null 3<&- &
server=$!
(cat <&3 >/dev/null; kill $server) 2>/dev/null &
keeper=$!
wait $server
code=$?
kill $keeper 2>/dev/null
[ $code = 0 ] && rm -rf "$0"
exit $code
"""
"""Stops the server when this process closes the pipe, or ends in whatever way."""


@dataclass(frozen=True, slots=True)
class MariaDB:
    """A running server.

    Attributes:
        path: The socket on which it listens.
        pid: Its process.
        version: What it says of itself.
    """

    path: Path
    pid: int
    version: str

    @contextmanager
    def connection(self) -> Iterator[pymysql.Connection[Any]]:
        """A connection in autocommit."""
        made = _connect(self.path)
        try:
            yield made
        finally:
            made.close()

    def busy(self, _: Sequence[int] = ()) -> float | None:
        """Seconds for which its threads have kept processors busy; None where nothing tells."""
        try:
            # The clock of another process, to the nanosecond: what clock_getcpuclockid() gives.
            return time.clock_gettime((~self.pid << 3) | 2)
        except OSError:
            return None


def missing() -> str:
    """Why it is not measured; empty when it can be."""
    if os.name != "posix" or any(shutil.which(name) is None for name in _PROGRAMS):
        return "not installed"
    if importlib.util.find_spec("pymysql") is None:
        return "installed, but PyMySQL is not (the extra “bench” has it)"
    return ""


@contextmanager
def server(settings: Mapping[str, str] = SETTINGS) -> Iterator[MariaDB]:
    """Give a server with an empty database.

    Parameters:
        settings: Its options.

    Raises:
        RuntimeError: it does not start; the message has the end of its log.
    """
    account = _account()
    # Short, as the path of a socket has to be; closed to others, as root has no password.
    directory = Path(tempfile.mkdtemp(prefix="bench-mariadb-"))
    try:
        if account:
            os.chown(directory, account.pw_uid, account.pw_gid)
        yield from _running(directory, settings, account)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _running(
    directory: Path, settings: Mapping[str, str], account: pwd.struct_passwd | None
) -> Iterator[MariaDB]:
    data, log = directory / "data", directory / "log"
    path, pid = directory / "socket", directory / "pid"
    as_account: dict[str, Any] = {"cwd": directory, "stdin": subprocess.DEVNULL}
    if account:
        as_account.update(user=account.pw_uid, group=account.pw_gid, extra_groups=[])
    with log.open("wb") as written:
        as_account.update(stdout=written, stderr=subprocess.STDOUT)
        made = subprocess.run(
            [
                str(shutil.which("mariadb-install-db")),
                "--no-defaults",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
                f"--datadir={data}",
            ],
            check=False,
            **as_account,
        )
        if made.returncode:
            raise RuntimeError(f"mariadb-install-db failed:\n{_end(log)}")
        # In a session of its own: an interrupt from the keyboard is for the benchmark, which
        # stops the server then.
        process = subprocess.Popen(
            [
                "/bin/sh",
                "-c",
                _KEEPER,
                str(directory),
                str(shutil.which("mariadbd")),
                "--no-defaults",
                f"--datadir={data}",
                f"--socket={path}",
                f"--pid-file={pid}",
                "--skip-networking",
                *(f"--{name.replace('_', '-')}={value}" for name, value in settings.items()),
            ],
            start_new_session=True,
            **(as_account | {"stdin": subprocess.PIPE}),
        )
    try:
        version = _await(process, path, log)
        yield MariaDB(path, int(pid.read_text(encoding="ascii")), version)
    finally:
        if process.stdin:
            process.stdin.close()
        try:
            process.wait(_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _await(process: subprocess.Popen[bytes], path: Path, log: Path) -> str:
    """Wait until the server answers; make the database; return the server's version."""
    deadline = time.monotonic() + _SECONDS
    while not _listens(path):
        if process.poll() is not None:
            raise RuntimeError(f"mariadbd ended with {process.returncode}:\n{_end(log)}")
        if time.monotonic() > deadline:
            raise RuntimeError(f"mariadbd does not answer:\n{_end(log)}")
        time.sleep(0.05)
    with _connect(path, database=None) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {_DATABASE}")
        cursor.execute("SELECT version()")
        row = cursor.fetchone()
        return str(row[0]) if row else ""


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def _connect(path: Path, database: str | None = _DATABASE) -> pymysql.Connection[Any]:
    import pymysql

    return pymysql.connect(
        unix_socket=str(path),
        user="root",
        database=database,
        charset="utf8mb4",
        autocommit=True,
    )


def _account() -> pwd.struct_passwd | None:
    """Whom the server runs as, where this process is root, whom it refuses."""
    if os.geteuid() != 0:
        return None
    import pwd

    for name in ("mysql", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise RuntimeError("mariadbd does not run as root, and there is neither “mysql” nor “nobody”")


def _end(log: Path) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-20:])
