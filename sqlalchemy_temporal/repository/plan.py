"""A plan: exactly which rows would be inserted, updated and deleted, before it is done.

::

    plan = repo.plan("v1")                  # what restore("v1") would do
    print(plan.summary())
    for row in plan:
        print(row.table, row.operation, row.key, row.changed)
    plan.violations                         # what constraints forbid
    plan.execute()                          # that, and only that
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from sqlalchemy_temporal.clock.moment import Moment
from sqlalchemy_temporal.clock.own import own_counts
from sqlalchemy_temporal.clock.resolve import resolve
from sqlalchemy_temporal.errors import (
    AlteredRowsError,
    CommitError,
    ConstraintViolationError,
    StaleParentError,
)
from sqlalchemy_temporal.repository.compare import same
from sqlalchemy_temporal.repository.described import VersionedTable
from sqlalchemy_temporal.repository.diff import Operation
from sqlalchemy_temporal.repository.staging import DELETE, INSERT, Staged, counts, drop_stage, live
from sqlalchemy_temporal.repository.violations import Violation
from sqlalchemy_temporal.repository.writing import in_savepoint, refused_by, writer_of

BATCH = 500
"""Rows fetched at a time."""


@dataclass(frozen=True, slots=True)
class PlannedRow:
    """One row that a plan writes.

    Attributes:
        table: ``schema.name``.
        operation: ``INSERT``, ``UPDATE`` or ``DELETE``.
        key: the row's key, by column.
        before: its recorded columns as they are; None for an INSERT.
        after: the same as they shall be; None for a DELETE.
        changed: the columns that an UPDATE changes.
        origin: ``"plan"``, or the name of the foreign key by which it follows from the
            deletion of another row.
    """

    table: str
    operation: Operation
    key: Mapping[str, Any]
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    changed: tuple[str, ...]
    origin: str


class Plan:
    """Rows to be written, in one transaction; see the module.

    Made by :func:`~sqlalchemy_temporal.repository.apply.plan_moment` and its like. It lives
    as long as the transaction it was made in.

    Attributes:
        violations: what constraints forbid; a plan that has any is refused.
        unknown: tables that are left as they are, because nothing is recorded of them at
            the moment asked for, and why.
        head: the commit it was made on; None when there was none to check against.
    """

    def __init__(
        self,
        connection: Connection,
        staged: Mapping[str, Staged],
        violations: list[Violation],
        *,
        schema: str,
        head: Moment | None,
        locked: tuple[VersionedTable, ...] = (),
        unknown: Mapping[str, str] | None = None,
    ) -> None:
        self.connection = connection
        self.violations = tuple(violations)
        self.unknown = dict(unknown or {})
        self.head = head
        self.counts = {name: counts(connection, each) for name, each in staged.items()}
        self._staged = {name: each for name, each in staged.items() if self.counts[name]}
        self._tables = locked
        self._schema = schema
        self._state = own_counts(connection, schema)
        self._done = False

    def __bool__(self) -> bool:
        """Whether anything is to be done."""
        return bool(self._staged)

    def __iter__(self) -> Iterator[PlannedRow]:
        """The rows to be written, streamed: by table, in the order of their keys."""
        for staged in self._staged.values():
            yield from self._rows(staged)

    def summary(self) -> dict[str, dict[str, int]]:
        """How many rows are to be written, by table and operation."""
        return {
            name: {op: self.counts[name].get(op, 0) for op in ("INSERT", "UPDATE", "DELETE")}
            for name in self._staged
        }

    def execute(self, *, triggers: str = "check") -> dict[str, dict[str, int]]:
        """Write the rows: those of the plan, all of them or none.

        Parameters:
            triggers: ``"check"`` refuses when triggers of the application gave a row other
                values than planned; ``"allow"`` lets them.

        Returns:
            The rows written, by table and operation.

        Raises:
            ConstraintViolationError: constraints forbid it; nothing was written.
            StaleParentError: somebody committed since the plan was made.
            AlteredRowsError: triggers of the application interfered; nothing was written.
            CommitError: it was executed before, or the transaction has written since.
        """
        if self._done:
            raise CommitError("this plan was executed before; make a new one")
        if self.violations:
            raise violated(self.violations)
        writer = writer_of(self.connection, self._schema)
        with in_savepoint(self.connection), refused_by(self.connection):
            writer.lock(self._tables)
            self._check_fresh()
            found = writer.write(list(self._staged.values()))
            if triggers != "allow":
                self._check_result()
        self._done = True
        self.discard()
        return found

    def discard(self) -> None:
        """Drop what the plan keeps in temporary tables; it cannot be used any more."""
        for staged in self._staged.values():
            drop_stage(self.connection, staged)
        self._done = True

    # ------------------------------------------------------------------------------ inside

    def _check_fresh(self) -> None:
        if own_counts(self.connection, self._schema) != self._state:
            raise CommitError(
                "this transaction has written to versioned tables since the plan was made; "
                "make a new plan"
            )
        if self.head is None:
            return
        now = resolve(self.connection, "HEAD", self.head.schema)
        if now.uuid != self.head.uuid:
            raise StaleParentError(
                f"the plan was made on commit {self.head.uuid}, but HEAD is {now.uuid} by now; "
                "make a new plan",
                expected=str(self.head.uuid),
                actual=str(now.uuid),
            )

    def _check_result(self) -> None:
        for name, staged in self._staged.items():
            table, stage, row = staged.table, staged.stage, live(staged.table, "l")
            there = row.c[table.key[0]].is_not(None)
            values = [row.c[column] for column in table.writable]
            wrong = (stage.c.op == DELETE) & there
            wrong |= (stage.c.op != DELETE) & (
                ~there | ~same(values, staged.values(table.writable))
            )
            found = self.connection.execute(
                select(*staged.values(table.key))
                .select_from(stage.outerjoin(row, staged.same_key(row)))
                .where(wrong)
                .limit(20)
            ).all()
            if found:
                keys = ", ".join("/".join(map(str, key)) for key in found)
                raise AlteredRowsError(
                    f"triggers of the application gave rows of {name} ({keys}) other values "
                    "than planned, so nothing was written; pass triggers='allow' to let them"
                )

    def _rows(self, staged: Staged) -> Iterator[PlannedRow]:
        table, stage, row = staged.table, staged.stage, live(staged.table, "l")
        statement = (
            select(
                stage.c.op,
                stage.c.origin,
                stage.c.mask,
                *(staged.column(name).label(f"a{i}") for i, name in enumerate(table.columns)),
                *(row.c[name].label(f"b{i}") for i, name in enumerate(table.columns)),
            )
            .select_from(stage.outerjoin(row, staged.same_key(row)))
            .order_by(*staged.values(table.key))
        )
        if self.connection.dialect.driver != "asyncpg":  # which does not close its cursors
            statement = statement.execution_options(yield_per=BATCH)
        with self.connection.execute(statement) as result:
            for found in result:
                yield _planned(table, tuple(found))


def violated(violations: tuple[Violation, ...]) -> ConstraintViolationError:
    """The error that tells of ``violations``."""
    listed = "\n".join(f"  {violation}" for violation in violations)
    return ConstraintViolationError(
        f"constraints forbid the change, so nothing was written:\n{listed}",
        violations=violations,
    )


def _planned(table: VersionedTable, row: tuple[Any, ...]) -> PlannedRow:
    operation, origin, mask = row[:3]
    width = len(table.columns)
    after = dict(zip(table.columns, row[3 : 3 + width], strict=True))
    before = dict(zip(table.columns, row[3 + width :], strict=True))
    changed: tuple[str, ...] = ()
    if operation == "UPDATE":
        changed = tuple(n for n, flag in zip(table.columns, mask, strict=True) if flag == "1")
    return PlannedRow(
        table=table.name,
        operation=operation,
        key={name: after[name] for name in table.key},
        before=None if operation == INSERT else before,
        after=None if operation == DELETE else after,
        changed=changed,
        origin=origin,
    )


__all__ = ["Plan", "PlannedRow", "violated"]
