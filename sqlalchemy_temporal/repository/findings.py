"""What verifying finds: plain values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import UUID

ProblemKind = Literal[
    "altered", "added", "missing", "unaccounted", "overlap", "chain", "drift", "digest"
]
"""What is wrong:

``altered``
    A row or a field is not what its commit recorded.
``added``
    There is a row that its commit did not record.
``missing``
    A row or commit that was recorded is not there.
``unaccounted``
    A row names a transaction that is no commit.
``overlap``
    A row has two versions at the same time.
``chain``
    A commit does not follow from those before it.
``drift``
    The list of versioned tables and the database's catalog differ.
``digest``
    The database is not the one, or not the continuation of the one, the digest is of.
"""


@dataclass(frozen=True, slots=True)
class Problem:
    """One place that is not as it was recorded.

    Attributes:
        kind: what is wrong, see :data:`ProblemKind`.
        message: the same in words.
        table: the table it is in, ``schema.table``: a live table, a history table or one of
            the library's own.
        column: the column, where that can be told.
        key: the key of the row, where that can be told; values as JSON has them.
        seq: the number of the commit concerned, if one is.
        commit: its uuid, as it is stored.
    """

    kind: ProblemKind
    message: str
    table: str
    column: str | None = None
    key: Mapping[str, Any] | None = None
    seq: int | None = None
    commit: UUID | None = None

    def __str__(self) -> str:
        place = self.table + (f".{self.column}" if self.column else "")
        key = "" if self.key is None else f" {dict(self.key)}"
        commit = "" if self.seq is None else f" (commit {self.seq})"
        return f"{self.kind} in {place}{key}{commit}: {self.message}"


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """Versions of one table that were redacted or purged on purpose, as recorded.

    Attributes:
        kind: ``redacted`` or ``purged``.
        table: the table, ``schema.table``.
        leaves: the number of hashes that stand for what is gone: two for each purged
            version, for its beginning and its end. None for all of a commit's.
        commits: the number of commits that changed these versions.
    """

    kind: str
    table: str
    leaves: int | None
    commits: int


@dataclass(frozen=True, slots=True)
class Verification:
    """What :meth:`Repository.verify` found.

    Attributes:
        problems: each place that is not as recorded; see ``truncated``.
        commits: how many commits were checked.
        leaves: how many hashes of rows were computed.
        head: the uuid of the last commit that was checked, if there is any.
        head_seq: its number.
        head_hash: its stored hash.
        since_seq: the commit from which on was checked; 0 for all.
        unhashed: sealed commits after ``head`` that have no hash yet, so that there is
            nothing to compare them with: the role may not store hashes.
        withdrawn: what was redacted or purged on purpose.
        unverifiable: what is recorded and can no longer be computed, with the reason:
            tables whose versioning was removed, columns dropped without history.
        truncated: whether there are more problems than were kept.
    """

    problems: tuple[Problem, ...]
    commits: int
    leaves: int
    head: UUID | None
    head_seq: int
    head_hash: bytes | None
    since_seq: int = 0
    unhashed: int = 0
    withdrawn: tuple[Withdrawn, ...] = ()
    unverifiable: tuple[str, ...] = ()
    truncated: bool = False

    @property
    def ok(self) -> bool:
        """Whether everything that could be checked is as it was recorded."""
        return not self.problems

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        lines = [
            f"{self.commits} commits and {self.leaves} hashes checked: "
            + ("as recorded" if self.ok else f"{len(self.problems)} problem(s)")
        ]
        lines += [f"  {problem}" for problem in self.problems]
        if self.truncated:
            lines.append("  and more")
        if self.unhashed:
            lines.append(f"  {self.unhashed} commit(s) have no hash yet")
        lines += [
            f"  {each.kind} on purpose: {each.table}, in {each.commits} commit(s)"
            for each in self.withdrawn
        ]
        lines += [f"  cannot be verified: {each}" for each in self.unverifiable]
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far verifying has come.

    Attributes:
        stage: what is being done: ``hashing``, ``rows``, ``versions``, ``chain`` or
            ``registry``.
        table: the table at hand, if any.
        done: hashes of rows compared so far, of all tables; commits, while hashing or
            going through the chain.
        total: how many there will be, by what is stored.
    """

    stage: str
    table: str | None
    done: int
    total: int


@dataclass(slots=True)
class Findings:
    """Problems as they are found, up to a number."""

    limit: int
    problems: list[Problem] = field(default_factory=list)
    unverifiable: list[str] = field(default_factory=list)
    truncated: bool = False

    def add(self, problem: Problem) -> None:
        """Keep ``problem``, unless there are too many."""
        if len(self.problems) >= self.limit:
            self.truncated = True
        elif problem not in self.problems[-50:]:
            self.problems.append(problem)

    def __iter__(self) -> Iterator[Problem]:
        return iter(self.problems)
