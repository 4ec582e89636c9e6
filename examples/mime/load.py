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
    changed = {row["type"]: row for row in release.changed}
    present = (
        select(MediaType)
        .where(MediaType.type.in_([*changed, *release.removed]))
        .options(selectinload(MediaType.extensions))
    )
    for media_type in session.scalars(present).all():
        if media_type.type in changed:
            assign(media_type, changed[media_type.type])
        else:
            session.delete(media_type)
