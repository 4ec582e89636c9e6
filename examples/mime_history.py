"""Ten years of the MIME database, written release by release and read as of each of them.

    python -m examples.mime_history [--releases N] [--quiet] [--keep]

Each release of mime-db is written through ordinary ORM models as one commit. Then every one of
them is rebuilt from history, and its SHA-256 compared with the published one. `DATABASE_URL` names
the PostgreSQL database to use; without it a server is started and afterwards removed.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence

from rich.console import Console
from sqlalchemy.orm import sessionmaker

from examples.mime import questions, show
from examples.mime.database import DatabaseInUseError, demo_database
from examples.mime.interrupt import Interrupts
from examples.mime.load import load
from examples.mime.models import MediaType
from examples.mime.releases import Release, read_releases
from sqlalchemy_temporal import TemporalSession
from sqlalchemy_temporal.errors import ServerUnavailable

EXAMPLES = ("text/javascript", "application/ecmascript", "image/bmp")
EXTENSION = "js"

DIFFERENT, UNUSABLE, SIGNALLED = 1, 2, 128


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demonstration; return 0 when every release was rebuilt exactly."""
    releases = read_releases()
    options = _options(arguments, len(releases))
    console = Console(quiet=options.quiet, highlight=False)
    with Interrupts() as interrupts:
        try:
            with demo_database(keep=options.keep) as database:
                console.print(f"[bold]The history of mime-db[/] on {database.description}\n")
                chosen = releases[: options.releases]
                return run(console, database.sessions, chosen, interrupts)
        except KeyboardInterrupt:
            print("Interrupted", file=sys.stderr)
            return SIGNALLED + (interrupts.number or signal.SIGINT)
        except (DatabaseInUseError, ServerUnavailable) as error:
            print(f"error: {error}", file=sys.stderr)
            return UNUSABLE


def run(
    console: Console,
    sessions: sessionmaker[TemporalSession],
    releases: Sequence[Release],
    interrupts: Interrupts,
) -> int:
    """Load the releases, check each and show what can be asked of their history."""
    with show.progress(console) as progress:
        for release in interrupts.watch(progress.track(releases, description="Writing releases")):
            load(sessions, release)
        with sessions() as session:
            rebuilding = progress.track(releases, description="Rebuilding and comparing")
            failed = [
                release
                for release in interrupts.watch(rebuilding)
                if not questions.is_rebuilt(session, release)
            ]
    console.print()
    show.show_rebuilt(console, releases, failed)
    if not console.quiet:
        with sessions() as session:
            show_answers(console, session, releases)
    print(f"{len(releases) - len(failed)} of {len(releases)} releases rebuilt exactly")
    return DIFFERENT if failed else 0


def show_answers(console: Console, session: TemporalSession, releases: Sequence[Release]) -> None:
    """Ask some questions of the past and show the answers."""
    names = [release.name for release in releases]
    show.show_histories(console, {key: questions.history(session, key) for key in EXAMPLES})
    if len(names) > 1:
        old, new = names[-2:]
        show.show_difference(console, old, new, questions.difference(session, old, new))
    chosen = dict.fromkeys((names[0], names[len(names) // 2], names[-1]))
    counts = {name: questions.extensions_by_source(session, name) for name in chosen}
    show.show_sources(console, counts)
    show.show_claims(console, EXTENSION, questions.claims(session, EXTENSION, releases))
    show.show_log(console, session.repository.log(MediaType, limit=4))


def _options(arguments: Sequence[str] | None, available: int) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m examples.mime_history",
        description="Write the releases of mime-db as commits, and read them as they were.",
    )
    parser.add_argument(
        "--releases", type=int, default=available, metavar="N", help="only the first N releases"
    )
    parser.add_argument("--quiet", action="store_true", help="print the result only")
    parser.add_argument(
        "--keep", action="store_true", help="leave the tables in the database of DATABASE_URL"
    )
    options = parser.parse_args(arguments)
    if not 1 <= options.releases <= available:
        parser.error(f"--releases must be a number from 1 to {available}")
    if options.keep and not os.environ.get("DATABASE_URL"):
        parser.error("--keep needs DATABASE_URL: a server started here is removed at the end")
    return options


if __name__ == "__main__":
    sys.exit(main())
