"""A few lines of JSON to keep elsewhere, against which a whole chain can be checked.

Whoever owns a database can change rows and compute every hash anew. What then no longer
fits is what was said about it before, somewhere the owner cannot write.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, func, select

from sqlalchemy_temporal.errors import BeforeVersioningError, CommitError
from sqlalchemy_temporal.repository.findings import Findings, Problem
from sqlalchemy_temporal.repository.refs import TAG
from sqlalchemy_temporal.schema import system_of

FORMAT: Final = 1
"""The version of what is hashed, and how."""


@dataclass(frozen=True, slots=True)
class Digest:
    """What a database said of its newest commit, and so of everything before it.

    Attributes:
        seq: the number of the commit.
        commit: its uuid.
        hash: its hash, in hexadecimal; it covers all earlier commits, of whatever line.
        commits: how many commits there were up to it.
        effective_at: the commit's exact time (with time zone).
        taken_at: when the digest was made, by this computer's clock (with time zone).
        tags: the commits that tags named, by name.
        format: the version of the format of hashes.
    """

    seq: int
    commit: UUID
    hash: str
    commits: int
    effective_at: datetime
    taken_at: datetime
    tags: Mapping[str, UUID] = field(default_factory=dict)
    format: int = FORMAT

    def to_json(self) -> str:
        """The digest as a line of JSON."""
        return json.dumps(asdict(self), default=str, sort_keys=True)

    @classmethod
    def parse(cls, given: Digest | Mapping[str, Any] | str) -> Digest:
        """A digest from what :meth:`to_json` gave, or from the same as a mapping.

        Raises:
            CommitError: it is not a digest.
        """
        if isinstance(given, Digest):
            return given
        try:
            said = json.loads(given) if isinstance(given, str) else dict(given)
            made = cls(
                seq=int(said["seq"]),
                commit=UUID(str(said["commit"])),
                hash=bytes.fromhex(said["hash"]).hex(),
                commits=int(said["commits"]),
                effective_at=datetime.fromisoformat(str(said["effective_at"])),
                taken_at=datetime.fromisoformat(str(said["taken_at"])),
                tags={name: UUID(str(uuid)) for name, uuid in said["tags"].items()},
                format=int(said["format"]),
            )
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise CommitError(f"this is not a digest of repo.digest(): {error!r}") from error
        if made.format != FORMAT:
            raise CommitError(
                f"the digest has the format {made.format}, this version knows {FORMAT}"
            )
        return made


def take_digest(connection: Connection, schema: str) -> Digest:
    """A digest of the last commit that has a hash.

    Raises:
        BeforeVersioningError: no commit has one.
    """
    system = system_of(connection, schema)
    commit, ref = system.commit, system.ref
    head = connection.execute(
        select(commit.c.seq, commit.c.uuid, commit.c.hash, commit.c.effective_at)
        .where(commit.c.hash.is_not(None))
        .order_by(commit.c.seq.desc())
        .limit(1)
    ).one_or_none()
    if head is None:
        raise BeforeVersioningError(
            "no commit has a hash yet: nothing was recorded, or no role that may store hashes "
            "(the owner of the library's tables) has asked for them"
        )
    number = connection.scalar(select(func.count()).where(commit.c.seq <= head.seq))
    tags = connection.execute(
        select(ref.c.name, ref.c.commit_uuid).where(ref.c.kind == TAG).order_by(ref.c.name)
    )
    return Digest(
        seq=head.seq,
        commit=head.uuid,
        hash=bytes(head.hash).hex(),
        commits=number or 0,
        effective_at=head.effective_at.astimezone(UTC),
        taken_at=datetime.now(UTC),
        tags={row.name: row.commit_uuid for row in tags},
    )


def check_digest(connection: Connection, schema: str, digest: Digest, findings: Findings) -> None:
    """Report where the database is not a continuation of what the digest says."""
    commit = system_of(connection, schema).commit

    def report(message: str, column: str | None = None, table: str = "commit") -> None:
        findings.add(
            Problem(
                "digest",
                message,
                f"{schema}.{table}",
                column,
                seq=digest.seq,
                commit=digest.commit,
            )
        )

    row = connection.execute(
        select(commit.c.seq, commit.c.hash).where(commit.c.uuid == digest.commit)
    ).one_or_none()
    if row is None:
        report("the commit of the digest is gone")
        return
    if row.seq != digest.seq:
        report(f"the commit of the digest had the number {digest.seq}", "seq")
    if row.hash is None or bytes(row.hash).hex() != digest.hash:
        report(
            "the commit, or one before it, is another one than when the digest was taken", "hash"
        )
    number = connection.scalar(select(func.count()).where(commit.c.seq <= digest.seq))
    if number != digest.commits:
        report(f"there were {digest.commits} commits up to it, and there are {number}")
    _check_tags(connection, schema, digest, report)


def _check_tags(connection: Connection, schema: str, digest: Digest, report: Any) -> None:
    """Tags may come and go; one that is there must name what it named."""
    ref = system_of(connection, schema).ref
    tags = connection.execute(select(ref.c.name, ref.c.commit_uuid).where(ref.c.kind == TAG))
    now = {row.name: row.commit_uuid for row in tags}
    for name, uuid in digest.tags.items():
        if now.get(name, uuid) != uuid:
            report(f"the tag {name!r} named commit {uuid}", "commit_uuid", "ref")
