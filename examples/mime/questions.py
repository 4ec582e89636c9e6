"""Reading: what the demonstration asks of the past. Returns values; prints nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import selectinload

from examples.mime.models import Extension, MediaType
from examples.mime.releases import Release, Row, as_row, digest
from sqlalchemy_temporal import TemporalSession


def rows_as_of(session: TemporalSession, release: str) -> dict[str, Row]:
    """Rebuild a release from the objects as they were, by key."""
    everything = select(MediaType).options(selectinload(MediaType.extensions))
    with session.as_of(release) as past:
        return {found.type: as_row(found) for found in past.scalars(everything)}


def is_rebuilt(session: TemporalSession, release: Release) -> bool:
    """Tell whether the release, rebuilt from history, has the published SHA-256."""
    rows = rows_as_of(session, release.name)
    return len(rows) == release.row_count and digest(rows.values()) == release.sha256


@dataclass(frozen=True, slots=True)
class Difference:
    """What differs between two releases: rows by key, changed ones by column."""

    added: dict[str, Row]
    removed: dict[str, Row]
    changed: dict[str, dict[str, tuple[object, object]]]


def difference(session: TemporalSession, old: str, new: str) -> Difference:
    """Compare two releases."""
    before, after = rows_as_of(session, old), rows_as_of(session, new)
    return Difference(
        added={key: after[key] for key in sorted(after.keys() - before.keys())},
        removed={key: before[key] for key in sorted(before.keys() - after.keys())},
        changed={
            key: {
                name: (before[key][name], after[key][name])
                for name in before[key]
                if before[key][name] != after[key][name]
            }
            for key in sorted(before.keys() & after.keys())
            if before[key] != after[key]
        },
    )


@dataclass(frozen=True, slots=True)
class VersionFacts:
    """One version of a media type: when and why it came to be, and what it changed."""

    release: str
    operation: str
    changes: dict[str, tuple[object, object]]


def history(session: TemporalSession, media_type: str) -> list[VersionFacts]:
    """Tell how a media type came to be what it is."""
    found = session.get_one(MediaType, media_type)
    return [
        VersionFacts(
            release=version.commit.context["release"],
            operation=version.operation,
            changes={name: (old, new) for name, (old, new) in version.changeset.items()},
        )
        for version in found.versions
    ]


def extensions_by_source(session: TemporalSession, release: str) -> dict[str, int]:
    """Count the extensions each source contributed as of a release: a join in the past."""
    source = func.coalesce(MediaType.source, "none").label("source")
    counts = (
        select(source, func.count().label("extensions")).join(MediaType.extensions).group_by(source)
    )
    with session.as_of(release) as past:
        return {row.source: row.extensions for row in past.execute(counts)}


@dataclass(frozen=True, slots=True)
class Claim:
    """From a release on, these media types claimed a file extension."""

    release: str
    date: str
    types: list[str]


def claims(session: TemporalSession, name: str, releases: Sequence[Release]) -> Iterator[Claim]:
    """Tell which media types claimed a file extension, whenever that changed."""
    claiming = (
        select(MediaType.type)
        .join(MediaType.extensions)
        .where(Extension.name == name)
        .order_by(MediaType.type)
    )
    known: list[str] | None = None
    for release in releases:
        with session.as_of(release.name) as past:
            types = list(past.scalars(claiming))
        if types != known:
            known = types
            yield Claim(release.name, release.date, types)
