"""Going back, as the commands and the screen do it: look first, then do what was looked at.

A :class:`Change` says what is wanted. Its preview is planned in a transaction that leaves
nothing; it is carried out on the commit that the preview was of, or refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Literal
from uuid import UUID

from sqlalchemy_temporal.clock.commit import Commit
from sqlalchemy_temporal.repository import Outcome, Plan, PlannedRow, Repository
from sqlalchemy_temporal.repository.reverting import OnConflict

if TYPE_CHECKING:
    from sqlalchemy_temporal.cli.app import App

Kind = Literal["restore", "checkout", "rollback", "revert"]

_WORDS: Final = {"INSERT": "inserted", "UPDATE": "updated", "DELETE": "deleted"}


@dataclass(frozen=True, slots=True)
class Change:
    """What is wanted.

    Attributes:
        kind: ``"restore"``, ``"checkout"``, ``"rollback"`` or ``"revert"``.
        when: the commit to go back to; for ``"revert"`` the one to undo.
        tables: only in these tables; none for all.
        message: what the commit is for.
        conflicts: for ``"revert"``, what becomes of rows that were changed again since.
        number: for ``"rollback"``, how many commits to go back.
    """

    kind: Kind
    when: str
    tables: tuple[str, ...] = ()
    message: str | None = None
    conflicts: OnConflict = "refuse"
    number: int = 1


@dataclass(frozen=True, slots=True)
class Preview:
    """What a change would do.

    Attributes:
        change: what is wanted.
        head: the commit that this was planned on.
        target: the commit that :attr:`Change.when` names.
        rows: the rows that would be written: all, or the first ones.
        more: whether there are more rows than these.
        summary: how many rows would be written, by table and operation.
        forbidden: what constraints forbid, in words; then it cannot be done.
        unknown: tables that would be left as they are, and why.
    """

    change: Change
    head: UUID
    target: Commit
    rows: tuple[PlannedRow, ...]
    more: bool
    summary: Mapping[str, Mapping[str, int]]
    forbidden: tuple[str, ...]
    unknown: Mapping[str, str]

    @property
    def question(self) -> str:
        """What to ask before it is done."""
        if self.change.kind == "revert":
            return f"Undo commit {self.target.short}?"
        return f"Go to the state of {self.target.short}?"

    @property
    def does_something(self) -> bool:
        """Whether there would be a commit: a checkout of another commit is always one."""
        moves = self.change.kind == "checkout" and self.target.uuid != self.head
        return bool(self.summary) or moves

    def counted(self) -> Iterator[tuple[str, str]]:
        """Each table, and how many of its rows would be written, in words."""
        for table, numbers in self.summary.items():
            yield table, counted(numbers)

    def to_dict(self) -> dict[str, Any]:
        """The preview as ``--json`` shows it."""
        return {
            "summary": {table: dict(each) for table, each in self.summary.items()},
            "rows": [
                {
                    "table": row.table,
                    "operation": row.operation,
                    "key": dict(row.key),
                    "changed": list(row.changed),
                    "before": None if row.before is None else dict(row.before),
                    "after": None if row.after is None else dict(row.after),
                    "origin": row.origin,
                }
                for row in self.rows
            ],
            "violations": list(self.forbidden),
            "unknown": dict(self.unknown),
            "done": False,
            "target": str(self.target.uuid),
        }


def preview(app: App, change: Change, most: int | None = None) -> Preview:
    """What ``change`` would do; nothing stays in the database.

    Parameters:
        app: the run of the command.
        change: what is wanted.
        most: how many rows to give; None for all.

    Raises:
        AccessModeError: the mode allows reads only.
        MomentError: there is no such commit.
        RevertConflictError: rows were changed again since, and that is to be refused.
    """
    with app.planning() as repo:
        head, target = repo.head.uuid, repo.get(change.when)
        plan = _plan(repo, change, target)
        rows = tuple(islice(plan, None if most is None else most + 1))
        found = Preview(
            change=change,
            head=head,
            target=target,
            rows=rows[:most],
            more=most is not None and len(rows) > most,
            summary=plan.summary(),
            forbidden=tuple(str(each) for each in plan.violations),
            unknown=dict(plan.unknown),
        )
        plan.discard()
    return found


def carry_out(app: App, seen: Preview, message: str | None = None) -> Outcome:
    """Do what was previewed, as a commit on the HEAD that the preview was of.

    Parameters:
        app: the run of the command.
        seen: the preview.
        message: what the commit is for; by default what the change says.

    Raises:
        AccessModeError: the mode allows reads only.
        StaleParentError: HEAD has moved since the preview; nothing was done.
        RevertConflictError: rows were changed again since; nothing was done.
        ConstraintViolationError: constraints forbid it; nothing was done.
    """
    change, target = seen.change, seen.target
    said = message or change.message
    with app.writing("this command") as repo, repo.committing(parent=seen.head) as work:
        match change.kind:
            case "restore":
                return work.restore(target, *change.tables, message=said)
            case "checkout":
                return work.checkout(target, message=said)
            case "rollback":
                return work.rollback(change.number, message=said)
            case "revert":
                return work.revert(
                    target,
                    *change.tables,
                    conflicts=change.conflicts,
                    message=said or _undoes(target),
                )


def counted(numbers: Mapping[str, int]) -> str:
    """How many rows, in words."""
    parts = [f"{number} {_WORDS[name]}" for name, number in numbers.items() if number]
    return ", ".join(parts) or "nothing"


def _plan(repo: Repository, change: Change, target: Commit) -> Plan:
    if change.kind == "revert":
        return repo.plan_revert(target, *change.tables, conflicts=change.conflicts)
    return repo.plan(target, *change.tables)


def _undoes(commit: Commit) -> str:
    about = f": {commit.message}" if commit.message else ""
    return f"Revert {commit.short}{about}"


__all__ = ["Change", "Kind", "Preview", "carry_out", "counted", "preview"]
