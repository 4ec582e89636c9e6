"""Run through the revisions with changes in between, and ask about the past at the end."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, select, text

from examples.migrations.models import Customer
from sqlalchemy_temporal import Repository, TemporalSession
from sqlalchemy_temporal.embedded import postgres_server

HERE = Path(__file__).resolve().parent

STORY = {
    "0001": "INSERT INTO customer (id, name, fax, credit) VALUES (1, 'Ana', '555', 7)",
    "0002": "UPDATE customer SET tier = 'gold' WHERE id = 1",
    "0003": "INSERT INTO customer (id, full_name, credit) VALUES (2, 'Ben', 3)",
    "0004": "UPDATE customer SET credit = credit + 0.25",
    "0005": "DELETE FROM customer WHERE id = 2",
}
"""What the application did after each revision."""


def config(url: str) -> Config:
    """Alembic's configuration for one database."""
    made = Config(str(HERE / "alembic.ini"))
    made.attributes["url"] = url
    return made


def tell(url: str) -> None:
    """Migrate an empty database, live a little, and look back from the end."""
    engine = create_engine(url)
    moments = {}
    for revision, change in STORY.items():
        command.upgrade(config(url), revision)
        engine.dispose()  # a restarted application
        with engine.begin() as connection:
            connection.execute(text(change))
        with engine.begin() as connection:
            moments[revision] = Repository(connection).head
    with TemporalSession(engine) as session:
        for revision, commit in moments.items():
            with session.as_of(commit) as past:
                for customer in past.scalars(select(Customer).order_by(Customer.id)):
                    print(
                        f"after {revision}: {customer.full_name}, {customer.tier}, "
                        f"{customer.credit}"
                    )
        faxes = session.scalars(
            text("SELECT DISTINCT fax FROM temporal_versioning.customer_history WHERE fax <> ''")
        )
        print("faxes of old:", ", ".join(faxes))
        print("every hash as it was:", not session.repository.verify().problems)
    engine.dispose()


def main(arguments: list[str]) -> None:
    """Use the database given, or a server of its own."""
    with ExitStack() as stack:
        url = arguments[0] if arguments else None
        if url is None:
            server = stack.enter_context(postgres_server())
            url = server.url.render_as_string(hide_password=False)
        tell(url)


if __name__ == "__main__":
    main(sys.argv[1:])
