"""A PostgreSQL server in a container of a Docker that is already running."""

import os
import socket
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from sqlalchemy import URL, make_url

from sqlalchemy_temporal.errors import ServerUnavailable

IMAGE = "postgres:18-alpine"
_DAEMON_SECONDS = 3


@contextmanager
def docker_server(
    *, image: str = IMAGE, settings: Mapping[str, str] | None = None
) -> Iterator[URL]:
    """Run a container and remove it afterwards.

    Args:
        image: The image to run.
        settings: Settings of the server, by name.

    Yields:
        The URL of its database ``postgres``, as superuser.

    Raises:
        ServerUnavailable: testcontainers is not installed, the Docker daemon does not answer, or
            the container does not start.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of other packages, while they are imported
        try:
            import docker
            import requests
            from testcontainers.postgres import PostgresContainer
        except ImportError as error:
            raise ServerUnavailable(f"testcontainers is not installed: {error}") from error
    failures = (docker.errors.DockerException, requests.RequestException, OSError, TimeoutError)
    try:
        _knock()
        client = docker.from_env(timeout=_DAEMON_SECONDS)
        try:
            client.ping()
        finally:
            client.close()
    except failures as error:
        raise ServerUnavailable(f"the Docker daemon does not answer: {error}") from error
    options = [f"-c {name}={value}" for name, value in (settings or {}).items()]
    container = (
        PostgresContainer(image, username="postgres", dbname="postgres", driver="psycopg")
        .with_env("POSTGRES_INITDB_ARGS", "--no-locale --encoding=UTF8")
        .with_command(" ".join(["postgres", *options]))
    )
    try:
        container.start()
    except failures as error:
        raise ServerUnavailable(f"the container of {image} did not start: {error}") from error
    try:
        yield make_url(container.get_connection_url())
    finally:
        container.stop()


def _knock() -> None:
    """Connect to the daemon's socket once: docker's own client leaves it open when that fails."""
    host = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
    if host.startswith("unix://"):
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(_DAEMON_SECONDS)
            probe.connect(host.removeprefix("unix://"))
