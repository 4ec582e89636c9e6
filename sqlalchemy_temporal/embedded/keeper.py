"""The process that runs a server and ends it with its owner; a script of the standard library.

The owner starts it with one line on its standard input, the `Order`. It makes and starts the
server, and answers with one line: ``{}``, or ``{"error": …}``. From then on it waits for the end
of its standard input. That comes when the owner closes it, and also when the owner dies in any
way whatever (SIGKILL leaves nobody else to clean up), because the system then closes it. The
keeper stops the server, removes the temporary files, and answers with a second line.
"""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

_POLL_SECONDS = 0.01
_STOP_SECONDS = 15.0
_LOG_LINES = 15
_STATUS_LINE = 7  # of postmaster.pid, counted from 0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What the keeper is to do.

    Attributes:
        runtime: The directory of temporary files: log and socket.
        data: The data directory.
        copies: Directories to copy first: from, to.
        initdb: The command that makes the data directory, unless that exists.
        postgres: The command that runs the server.
        uid: The user to run both as, or None for the keeper's own.
        gid: The group, likewise.
        environment: The environment of both.
        timeout: Seconds until the server must be ready.
    """

    runtime: str
    data: str
    copies: list[tuple[str, str]]
    initdb: list[str] | None
    postgres: list[str]
    uid: int | None
    gid: int | None
    environment: dict[str, str]
    timeout: float

    @property
    def log(self) -> Path:
        """The file the programs write their messages to."""
        return Path(self.runtime) / "server.log"


class StartupError(Exception):
    """The server did not start."""


def start(order: Order) -> subprocess.Popen[bytes]:
    """Make the data directory, start the server and wait until it accepts connections."""
    deadline = time.monotonic() + order.timeout
    for source, target in order.copies:
        shutil.copytree(
            source, target, symlinks=True, ignore=shutil.ignore_patterns("include", "*.a", "*.py*")
        )
        _make_readable(Path(target))
    if order.initdb is not None:
        initdb = _spawn(order, order.initdb)
        try:
            code = initdb.wait(order.timeout)
        except subprocess.TimeoutExpired as error:
            initdb.kill()
            initdb.wait()
            raise _failure(order, f"initdb did not end within {order.timeout:g} s") from error
        if code != 0:
            raise _failure(order, f"initdb ended with code {code}")
    server = _spawn(order, order.postgres)
    try:
        _await_ready(order, server, deadline)
    except BaseException:
        stop(order, server)
        raise
    return server


def stop(order: Order, server: subprocess.Popen[bytes]) -> None:
    """Stop the server: in order first, at once if that takes too long."""
    if sys.platform == "win32":  # no signals there
        pg_ctl = Path(order.postgres[0]).with_name("pg_ctl.exe")
        subprocess.run([pg_ctl, "stop", "-D", order.data, "-m", "fast", "-w"], check=True)
        server.wait(_STOP_SECONDS)
        return
    # https://www.postgresql.org/docs/current/server-shutdown.html: fast, immediate, never mind
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        if server.poll() is not None:
            return
        server.send_signal(number)
        try:
            server.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            continue


def main() -> int:
    """Follow the order on standard input."""
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), _leave)
    values: dict[str, Any] = json.loads(sys.stdin.readline())
    order = Order(**values)
    error: str | None = None
    started = False
    try:
        server = start(order)
        try:
            started = True
            _answer(None)
            sys.stdin.read()  # until its end
        finally:
            stop(order, server)
    except (StartupError, OSError, shutil.Error, subprocess.SubprocessError) as failure:
        error = str(failure) if isinstance(failure, StartupError) else repr(failure)
    finally:
        try:
            shutil.rmtree(order.runtime)
        except OSError as failure:
            error = f"{error or 'the server has stopped'}; cannot remove files: {failure}"
        if started or error is not None:
            _answer(error)
    return 0 if error is None else 1


def _spawn(order: Order, command: list[str]) -> subprocess.Popen[bytes]:
    identity: dict[str, Any] = {}
    if order.uid is not None:
        identity = {"user": order.uid, "group": order.gid, "extra_groups": [], "umask": 0o077}
    with order.log.open("ab") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=order.runtime,
            env=order.environment,
            **identity,
        )


def _await_ready(order: Order, server: subprocess.Popen[bytes], deadline: float) -> None:
    while not _is_ready(order, server.pid):
        if server.poll() is not None:
            raise _failure(order, f"postgres ended with code {server.returncode}")
        if time.monotonic() > deadline:
            raise _failure(order, f"postgres was not ready within {order.timeout:g} s")
        time.sleep(_POLL_SECONDS)


def _is_ready(order: Order, pid: int) -> bool:
    try:
        lines = (Path(order.data) / "postmaster.pid").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return False
    # A crash may have left the file of an earlier server: it counts only with our process id.
    return (
        len(lines) > _STATUS_LINE
        and lines[0].strip() == str(pid)
        and lines[_STATUS_LINE].strip() == "ready"
    )


def _failure(order: Order, summary: str) -> StartupError:
    lines = order.log.read_text(encoding="utf-8", errors="replace").splitlines()
    return StartupError("; ".join([summary, *(line.strip() for line in lines[-_LOG_LINES:])]))


def _make_readable(directory: Path) -> None:
    """Let everyone read a copy: the originals may be for their owner only."""
    for path in (directory, *directory.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | 0o444 | (0o111 if path.is_dir() or mode & 0o100 else 0))


def _answer(error: str | None) -> None:
    try:
        sys.stdout.write(json.dumps({} if error is None else {"error": error}) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:  # the owner has died: nobody to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _leave(number: int, frame: object) -> None:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
