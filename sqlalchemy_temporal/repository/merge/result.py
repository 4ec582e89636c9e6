"""What a merge came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

from sqlalchemy_temporal.clock.commit import Commit
from sqlalchemy_temporal.errors import MergeError
from sqlalchemy_temporal.repository.merge.state import Conflict
from sqlalchemy_temporal.repository.outcome import Outcome
from sqlalchemy_temporal.repository.violations import Violation

Status = Literal["merged", "fast-forward", "up-to-date", "conflicts", "violations"]


@dataclass(frozen=True, slots=True)
class MergeResult:
    """What a merge came to, or would come to.

    Attributes:
        status: ``"merged"``; ``"fast-forward"``: HEAD was an ancestor, so the live tables
            became what was merged; ``"up-to-date"``: there was nothing to merge;
            ``"conflicts"``: nothing was written, as conflicts wait to be resolved;
            ``"violations"``: nothing was written, as constraints would be violated.
        ours: the commit that was HEAD.
        theirs: the commit that was merged.
        bases: the best common ancestors, newest first.
        changes: rows written, by table and operation; or that would be.
        conflicts: the conflicts, resolved ones too.
        violations: the constraints that the merged rows would violate.
        dry_run: whether it was only tried.
        unknown: tables left as they are, because the commit that was merged says nothing
            about them, and why.
    """

    status: Status
    ours: UUID
    theirs: UUID
    bases: tuple[UUID, ...]
    changes: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    conflicts: tuple[Conflict, ...] = ()
    violations: tuple[Violation, ...] = ()
    dry_run: bool = False
    unknown: Mapping[str, str] = field(default_factory=dict)
    outcome: Outcome | None = field(default=None, repr=False)

    def __bool__(self) -> bool:
        """Whether the merge is done: nothing is left to be resolved."""
        return self.status in ("merged", "fast-forward", "up-to-date")

    @property
    def commit(self) -> Commit:
        """The commit it became.

        Raises:
            MergeError: it became none.
            CommitError: its transaction has not been committed yet.
        """
        if self.outcome is None:
            tried = "was only tried" if self.dry_run else f"came to {self.status!r}"
            raise MergeError(f"the merge {tried}, so there is no commit")
        return self.outcome.commit


__all__ = ["MergeResult", "Status"]
