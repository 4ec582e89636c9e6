"""``doctor``: whether models, tables and triggers are in step."""

from __future__ import annotations

from dataclasses import asdict
from typing import Final

import click

from sqlalchemy_temporal.capture.doctor import doctor as examine
from sqlalchemy_temporal.cli import codes
from sqlalchemy_temporal.cli.app import App, pass_app
from sqlalchemy_temporal.cli.models import metadata_of
from sqlalchemy_temporal.cli.options import as_json


@click.command()
@as_json
@pass_app
def doctor(app: App, as_json: bool) -> int:
    r"""List every drift between models, tables and triggers, with its cure.

    Exits with 1 when there is one. With --models the database is compared with what they
    declare, else with how each table was registered.

    \b
    vsg doctor
    vsg --models shop.models:Base doctor
    """
    where = app.settings.models
    metadata = None if where is None else metadata_of(where)
    with app.reading() as repo:
        report = examine(repo.connection, metadata)
    if as_json:
        drifts = [asdict(each) for each in report.drifts]
        app.output.json({"healthy": report.healthy, "tables": report.tables, "drifts": drifts})
    else:
        app.output.show(str(report))
    return codes.OK if report else codes.FOUND


COMMANDS: Final = (doctor,)
