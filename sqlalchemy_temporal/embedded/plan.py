"""What to start: the directories, commands and address of one server."""

import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL

from sqlalchemy_temporal.embedded.account import Account, server_account, temp_root
from sqlalchemy_temporal.embedded.binaries import Binaries, find_binaries
from sqlalchemy_temporal.embedded.keeper import Order
from sqlalchemy_temporal.errors import ServerUnavailable

_SOCKET_PORT = 5432  # each server has a socket directory of its own
_SOCKET_PATH_BYTES = 103  # sun_path holds 104 bytes on macOS and 108 on Linux, with the final NUL


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the user asked for; `EmbeddedPostgres` describes each."""

    binaries: Binaries | None
    data_directory: Path | None
    temp_directory: Path | None
    tcp: bool | None
    superuser: str
    password: str | None
    settings: Mapping[str, str]
    startup_timeout: float


@dataclass(frozen=True, slots=True)
class Plan:
    """What to start.

    Attributes:
        order: The keeper's order.
        url: The address of the database ``postgres``, as superuser.
        tcp: Whether the server listens on a port, rather than on a socket.
    """

    order: Order
    url: URL
    tcp: bool


def make_plan(options: Options) -> Plan:
    """Choose account, programs, directories and address, and make the runtime directory.

    Raises:
        ServerUnavailable: There are no programs, or none that can run here.
    """
    if options.data_directory is not None and options.tcp and options.password is None:
        raise ServerUnavailable(
            "a data directory that is kept, reached by TCP, needs a password of your own"
        )
    account = server_account(options.data_directory)
    source = options.binaries or find_binaries()
    # Asked before there is anything to clean up, since it takes a moment.
    in_place = _can_run(source, account)
    root = options.temp_directory or temp_root(account)
    runtime = Path(tempfile.mkdtemp(prefix="temporal-pg-", dir=root))
    try:
        if account is not None:
            os.chown(runtime, account.uid, account.gid)
        binaries = source if in_place else source.moved_to(runtime / "copy")
        copies = () if in_place else source.movable
        return _plan_in(runtime, options, account, binaries, copies)
    except BaseException:
        shutil.rmtree(runtime)
        raise


def _plan_in(
    runtime: Path,
    options: Options,
    account: Account | None,
    binaries: Binaries,
    copies: tuple[Path, ...],
) -> Plan:
    data = options.data_directory or runtime / "data"
    password = options.password or secrets.token_urlsafe(24)
    initdb = None
    if not (data / "PG_VERSION").exists():
        if data != runtime / "data":
            _make_data_directory(data, account)
        password_file = _write_password(runtime, password, account)
        initdb = _initdb(binaries, data, options.superuser, password_file)
    tcp = _needs_tcp(runtime) if options.tcp is None else options.tcp
    port = _free_port() if tcp else _SOCKET_PORT
    order = Order(
        runtime=str(runtime),
        data=str(data),
        copies=[(str(part), str(runtime / "copy" / part.name)) for part in copies],
        initdb=initdb,
        postgres=_postgres(binaries, data, options.settings, None if tcp else runtime, port),
        uid=account.uid if account else None,
        gid=account.gid if account else None,
        environment=_environment(),
        timeout=options.startup_timeout,
    )
    url = URL.create(
        "postgresql+psycopg",
        username=options.superuser,
        password=password if tcp else None,
        host="127.0.0.1" if tcp else None,
        port=port if tcp else None,
        database="postgres",
        query={} if tcp else {"host": str(runtime), "port": str(port)},
    )
    return Plan(order, url, tcp)


def _can_run(binaries: Binaries, account: Account | None) -> bool:
    """Tell whether the account can run the programs where they are, or else from a copy."""
    if not binaries.is_complete():
        raise ServerUnavailable(f"there are no initdb and postgres in {binaries.directory}")
    programs = (binaries.program("initdb"), binaries.program("postgres"))
    if account is None or all(account.runs(program) for program in programs):
        return True
    if not binaries.movable:
        raise ServerUnavailable(
            f"the account {account.name!r}, which runs the server as root may not, "
            f"cannot start the programs in {binaries.directory}"
        )
    return False


def _make_data_directory(data: Path, account: Account | None) -> None:
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    if account is not None:
        os.chown(data, account.uid, account.gid)


def _write_password(runtime: Path, password: str, account: Account | None) -> Path:
    path = runtime / "password"
    path.touch(mode=0o600)
    path.write_text(password + "\n", encoding="utf-8")
    if account is not None:
        os.chown(path, account.uid, account.gid)
    return path


def _initdb(binaries: Binaries, data: Path, superuser: str, password_file: Path) -> list[str]:
    return [
        str(binaries.program("initdb")),
        f"--pgdata={data}",
        f"--username={superuser}",
        f"--pwfile={password_file}",
        "--auth-local=trust",  # whoever gets into the socket's directory is this user, or root
        "--auth-host=scram-sha-256",
        "--encoding=UTF8",
        "--no-locale",
        "--no-sync",
    ]


def _postgres(
    binaries: Binaries, data: Path, settings: Mapping[str, str], sockets: Path | None, port: int
) -> list[str]:
    """Return the command that runs the server; without a socket directory it listens by TCP."""
    every = {
        **settings,
        "port": str(port),
        "listen_addresses": "127.0.0.1" if sockets is None else "",
        "unix_socket_directories": "" if sockets is None else f'"{sockets}"',
    }
    options = [word for item in every.items() for word in ("-c", "=".join(item))]
    return [str(binaries.program("postgres")), "-D", str(data), *options]


def _needs_tcp(runtime: Path) -> bool:
    path = os.fsencode(runtime / f".s.PGSQL.{_SOCKET_PORT}")
    # To libpq a comma separates several hosts, and it knows no way to quote one.
    return os.name == "nt" or len(path) > _SOCKET_PATH_BYTES or b"," in path


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _environment() -> dict[str, str]:
    """Return our environment without what would change the server: PG variables and locales."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PG", "LC_", "LANG"))
    }
    return {**kept, "LC_ALL": "C"}
