"""``verify``, ``digest``: what was recorded, proved."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import click

from sqlalchemy_temporal.cli import codes
from sqlalchemy_temporal.cli.app import App, pass_app
from sqlalchemy_temporal.cli.options import as_json
from sqlalchemy_temporal.cli.progress import Work, working
from sqlalchemy_temporal.repository import Progress, Verification


@click.command()
@click.option("--since", metavar="WHEN", help="Trust everything up to this commit.")
@click.option(
    "--digest",
    "digest_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path, allow_dash=True),
    help="A file with a digest that was kept elsewhere; - for standard input.",
)
@as_json
@pass_app
def verify(app: App, since: str | None, digest_file: Path | None, as_json: bool) -> int:
    r"""Compute every hash anew from the rows, and say where it does not fit.

    Exits with 1 when something is not as it was recorded.

    \b
    vsg verify
    vsg verify --digest kept-elsewhere.json
    """
    with app.reading() as repo, working(app.output, "verifying") as work:
        found = repo.verify(
            since, digest=_read(digest_file), progress=lambda each: _advance(work, each)
        )
    if as_json:
        app.output.json(_json(found))
    else:
        app.output.show(str(found))
    return codes.OK if found.ok else codes.FOUND


@click.command()
@pass_app
def digest(app: App) -> None:
    r"""Print a few values that pin down all commits so far, to be kept elsewhere.

    \b
    vsg digest > /media/elsewhere/shop.json
    """
    with app.reading() as repo:
        sys.stdout.write(repo.digest().to_json() + "\n")


def _read(file: Path | None) -> str | None:
    if file is None:
        return None
    return sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")


def _advance(work: Work, progress: Progress) -> None:
    about = f"{progress.stage} {progress.table}" if progress.table else progress.stage
    work.at(progress.done, progress.total, about)


def _json(found: Verification) -> dict[str, Any]:
    plain = asdict(found)
    plain["head_hash"] = None if found.head_hash is None else bytes(found.head_hash).hex()
    return {"ok": found.ok, **plain}


COMMANDS: Final = (verify, digest)
