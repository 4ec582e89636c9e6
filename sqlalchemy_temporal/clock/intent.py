"""What the current transaction's commit is to be, besides its description.

A transaction may say from which commit it goes on (its parent), what kind of operation made
it, and on which HEAD it insists. The commit reads these from settings of the transaction,
like a description.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, event, text
from sqlalchemy.engine import ExceptionContext

from sqlalchemy_temporal.clock.hooks import set_on_transaction
from sqlalchemy_temporal.ddl import keys
from sqlalchemy_temporal.errors import StaleParentError

_COLUMNS: Final = {"parent": "parent_uuid", "merge_parent": "merge_parent_uuid"}
"""What is called otherwise in the row of the transaction under way on SQLite."""
_HEX: Final = frozenset({"parent", "merge_parent", "expected_head"})
_UUIDS: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Intent:
    """What is to be recorded of a commit; None leaves what was said before.

    Attributes:
        operation: what made it, e.g. ``"RESTORE"``; ``COMMIT`` when nothing is said.
        parent: the commit it goes on from; HEAD when nothing is said.
        merge_parent: the commit that is merged into it.
        expected_head: it is refused unless this commit is HEAD when it commits.
    """

    operation: str | None = None
    parent: UUID | None = None
    merge_parent: UUID | None = None
    expected_head: UUID | None = None


def write_intent(connection: Connection, intent: Intent) -> None:
    """Say what the commit of the connection's current transaction is to be.

    Said inside of a savepoint that is rolled back, it is rolled back too. With an expected
    HEAD, the COMMIT raises :class:`~sqlalchemy_temporal.errors.StaleParentError` when another
    commit is HEAD by then, and nothing of the transaction becomes visible. The check waits
    for those that are just committing and makes later ones wait, so of several transactions
    that expect the same HEAD at most one is committed.
    """
    given = {f.name: getattr(intent, f.name) for f in fields(intent)}
    said = {name: str(value) for name, value in given.items() if value is not None}
    if not said:
        return
    if connection.dialect.name == "sqlite":
        columns = {
            _COLUMNS.get(n, n): v.replace("-", "") if n in _HEX else v for n, v in said.items()
        }
        set_on_transaction(connection, columns)
        return
    if intent.expected_head is not None:
        explain_stale_parents(connection)
    calls = ", ".join(f"set_config('temporal.{name}', :{name}, true)" for name in said)
    if intent.operation is None and (intent.parent or intent.merge_parent):
        # The stamp looks for parents where an operation is named.
        calls += ", set_config('temporal.operation', coalesce(nullif("
        calls += "current_setting('temporal.operation', true), ''), 'COMMIT'), true)"
    connection.execute(text(f"SELECT {calls}"), said)


def explain_stale_parents(connection: Connection) -> None:
    """Let the engine of ``connection`` raise our error when a COMMIT is refused."""
    dialect = connection.dialect
    if not event.contains(dialect, "handle_error", _raise_stale_parent):
        event.listen(dialect, "handle_error", _raise_stale_parent)


def _raise_stale_parent(context: ExceptionContext) -> None:
    error: Any = context.sqlalchemy_exception or context.original_exception
    if getattr(error, "orig", None) is not None and keys.sqlstate(error) == keys.STATE_STALE:
        raise stale_parent(str(error.orig)) from context.original_exception


def stale_parent(message: str) -> StaleParentError:
    """The error that a server's refusal stands for."""
    first, *rest = _UUIDS.findall(message)
    return StaleParentError(
        f"the commit was based on {first}, but HEAD is {rest[0] if rest else 'another commit'}; "
        "nothing of it was kept. Read again what it depends on, and try again on the new HEAD",
        expected=first,
        actual=rest[0] if rest else None,
    )


__all__ = ["Intent", "explain_stale_parents", "stale_parent", "write_intent"]
