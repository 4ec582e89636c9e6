"""Writing: each release is one transaction, described and tagged."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import selectinload, sessionmaker

from examples.mime.models import MediaType
from examples.mime.releases import Release, assign
from sqlalchemy_temporal import TemporalSession


def load(sessions: sessionmaker[TemporalSession], release: Release) -> None:
    """Write one release as one commit, and tag it with the release's name."""
    with sessions.begin() as session:
        session.describe(
            author="mime-db",
            message=f"Release {release.name}",
            context={"release": release.name, "date": release.date},
        )
        _apply(session, release)
    with sessions.begin() as session:
        session.repository.tag(release.name)


def _apply(session: TemporalSession, release: Release) -> None:
    """Bring the objects up to date: ordinary code that knows nothing of versions."""
    for row in release.added:
        media_type = MediaType(type=row["type"])
        assign(media_type, row)
        session.add(media_type)
    touched = {row["type"]: row for row in release.changed} | dict.fromkeys(release.removed)
    present = (
        select(MediaType)
        .where(MediaType.type.in_(touched))
        .options(selectinload(MediaType.extensions))
    )
    for media_type in session.scalars(present).all():
        row = touched[media_type.type]
        if row is None:
            session.delete(media_type)
        else:
            assign(media_type, row)
