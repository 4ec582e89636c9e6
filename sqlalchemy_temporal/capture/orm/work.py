"""What is done before a statement and after it, so that its changes are recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from sqlalchemy import (
    ColumnElement,
    Connection,
    Delete,
    FromClause,
    Insert,
    Update,
    inspect,
)

from sqlalchemy_temporal.capture.orm.cascades import Consequences
from sqlalchemy_temporal.capture.orm.reading import (
    Addition,
    Change,
    Parameters,
    addition_of,
    as_driven,
    change_of,
    column_of,
    rows_of,
)
from sqlalchemy_temporal.capture.orm.recorder import OURS, Found, Key, Recorder
from sqlalchemy_temporal.capture.orm.sqlite import SQLiteRecorder
from sqlalchemy_temporal.capture.orm.state import TableName
from sqlalchemy_temporal.errors import UnrecordedWriteError


class Work(Protocol):
    """What is to be done after a statement."""

    def finish(self, connection: Connection, rowcount: int | None) -> None:
        """The statement was executed."""

    def abandon(self, connection: Connection) -> None:
        """The statement failed, and its transaction may go on."""


@dataclass(slots=True)
class Rows:
    """Rows of one table that a statement changes.

    Attributes:
        recorder: what records the table.
        others: those that other transactions wrote, whose versions are closed.
        own: those that this transaction wrote.
        stamped: whether the statement itself stamps what it changes.
    """

    recorder: Recorder
    others: list[Found]
    own: list[Found]
    stamped: bool = False

    @classmethod
    def close(
        cls,
        connection: Connection,
        recorder: Recorder,
        found: Sequence[Found],
        operation: str,
        *,
        stamped: bool = False,
    ) -> Rows:
        """Record the versions of the rows found."""
        tx = recorder.take_id(connection)
        others = [row for row in found if row.tx != tx]
        recorder.close(connection, [row.key for row in others], operation)
        return cls(recorder, others, [row for row in found if row.tx == tx], stamped)

    def __bool__(self) -> bool:
        return bool(self.others or self.own)

    def updated(self, connection: Connection) -> None:
        """Stamp and count what was changed, and take back what was not."""
        if not self:
            return
        moves = [(row.key, row.new_key) for row in (*self.others, *self.own) if row.moves]
        self.recorder.move(connection, moves)
        stayed = [row.key for row in self.others if not row.moves]
        gone = self.recorder.settle(connection, stayed, stamped=self.stamped)
        changed = len(self.others) - gone
        if changed or self.own:
            self.recorder.note(connection, update=changed)

    def deleted(self, connection: Connection) -> None:
        """Count what was deleted, and take back what was not."""
        if not self:
            return
        recorder = self.recorder
        others, own = {row.key for row in self.others}, {row.key for row in self.own}
        still = recorder.remaining(connection, [*others, *own])
        recorder.take_back(connection, list(others & still))
        others, own = others - still, own - still
        if not others and not own:
            return
        relabelled = recorder.relabel(connection, list(own)) if own else 0
        recorder.note(
            connection,
            insert=relabelled - len(own),
            update=-relabelled,
            delete=relabelled + len(others),
        )
        recorder.deleted(connection, [*others, *own])


@dataclass(slots=True)
class Changed:
    """After an UPDATE or DELETE.

    Attributes:
        updated: rows that were changed, table by table.
        deleted: rows that were deleted.
    """

    updated: list[Rows] = field(default_factory=list)
    deleted: list[Rows] = field(default_factory=list)

    def finish(self, connection: Connection, rowcount: int | None) -> None:
        """Settle every table that was changed."""
        for rows in self.deleted:
            rows.deleted(connection)
        for rows in self.updated:
            rows.updated(connection)

    def abandon(self, connection: Connection) -> None:
        """Take back every version that was closed."""
        for rows in self.deleted:
            rows.recorder.take_back(connection, [row.key for row in rows.others])
        for rows in self.updated:
            keys = [row.key for row in rows.others]
            rows.recorder.settle(connection, keys, stamped=True)


# --------------------------------------------------------------------------- UPDATE, DELETE


def before_update(
    connection: Connection,
    element: Update,
    sets: Sequence[Parameters],
    name: TableName,
    along: Consequences,
) -> tuple[Update, Work | None]:
    """Record the versions that an UPDATE is about to end."""
    change = change_of(connection, element, sets)
    recorders = along.recorder
    own = recorders(name)
    watched = {c for e in along.graph.updating(name, change.assigned) for c in e.referred}
    work = Changed()
    found: list[Found] = []
    if own is not None:
        own.take_id(connection)
        found = rows_of(connection, own, change)
        element = own.stamped(_confined(own, element, change, found))
        work.updated.append(Rows.close(connection, own, found, "UPDATE", stamped=True))
    if watched:
        along.follow_update(name, _pairs(connection, change, watched))
    for row in found:
        along.updated.get(name, {}).pop(row.key, None)
    for table, more in along.updated.items():
        recorder = recorders(table)
        if recorder is not None and more:
            work.updated.append(Rows.close(connection, recorder, list(more.values()), "UPDATE"))
    return element, work if own is not None or work.updated else None


def _confined(own: Recorder, element: Any, change: Change, found: Sequence[Found]) -> Any:
    """Where conditions say which rows, let it be those that were found."""
    if change.lookup is not None and len(found) >= len(change.sets):
        return element
    return own.restricted(element, change.table, {row.tx for row in found} | {0})


def _pairs(
    connection: Connection, change: Change, watched: set[str]
) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """The old and the new values of columns that other tables refer to."""
    names = sorted(watched)
    found = []
    for values in change.sets:
        new = {n: change.new_value(n, values) for n in names if n in change.assigned}
        computed = [n for n, value in new.items() if isinstance(value, ColumnElement)]
        before = [column_of(change.table, n) for n in names]
        statement = as_driven([*before, *(new[n] for n in computed)])
        statement = statement.select_from(change.table).where(*change.criteria)
        for row in connection.execute(
            statement, dict(values), execution_options={OURS: True}
        ).all():
            old = dict(zip(names, row, strict=False))
            by_row = dict(zip(computed, row[len(names) :], strict=True))
            found.append((old, {**new, **by_row}))
    return found


def before_delete(
    connection: Connection,
    element: Delete,
    sets: Sequence[Parameters],
    name: TableName,
    along: Consequences,
) -> tuple[Delete, Work | None]:
    """Record the versions that a DELETE is about to end, those of other tables included."""
    change = change_of(connection, element, sets)
    recorders = along.recorder
    own = recorders(name)
    if own is not None:
        own.take_id(connection)
        found = rows_of(connection, own, change, deleting=True)
        element = _confined(own, element, change, found)
        along.deleted[name] = {row.key: row for row in found}
    if along.graph.deleting(name):
        along.follow_delete(name, lambda columns: _selected(connection, change, columns))
    work = Changed()
    for table, rows in along.deleted.items():
        recorder = recorders(table)
        if recorder is not None and rows:
            work.deleted.append(Rows.close(connection, recorder, list(rows.values()), "DELETE"))
    for table, rows in along.updated.items():
        recorder = recorders(table)
        left = [r for key, r in rows.items() if key not in along.deleted.get(table, {})]
        if recorder is not None and left:
            work.updated.append(Rows.close(connection, recorder, left, "UPDATE"))
    return element, work if work.deleted or work.updated else None


def _selected(connection: Connection, change: Change, columns: Sequence[str]) -> list[Key]:
    """Values of columns in the rows that the statement is about."""
    rows: list[Key] = []
    statement = as_driven(column_of(change.table, n) for n in columns)
    statement = statement.select_from(change.table).where(*change.criteria)
    if connection.dialect.name == "postgresql":
        statement = statement.with_for_update(of=change.table)
    for values in change.sets:
        found = connection.execute(statement, dict(values), execution_options={OURS: True})
        rows += [tuple(row) for row in found]
    return rows


# ----------------------------------------------------------------------------------- INSERT


@dataclass(slots=True)
class Inserted:
    """After an INSERT.

    Attributes:
        recorder: what records the table.
        addition: what was read of the statement.
        last: on SQLite, the last row of before.
        rows: the rows that were there and may have been updated instead.
        target: the columns by which they were found.
        given: their values in each row.
        known: the keys of rows that had such values before.
    """

    recorder: Recorder
    addition: Addition
    last: int | None = None
    rows: Rows | None = None
    target: tuple[str, ...] = ()
    given: Sequence[Key] = ()
    known: frozenset[Key] = frozenset()

    def finish(self, connection: Connection, rowcount: int | None) -> None:
        """Count the rows that are new, and settle those that were updated instead."""
        recorder, rows = self.recorder, self.rows
        if isinstance(recorder, SQLiteRecorder):
            added = self._adopt(connection, recorder)
        else:
            added = self._count(connection, rowcount)
        if rows is None:
            if added:
                recorder.note(connection, insert=added)
            return
        gone = recorder.settle(connection, [row.key for row in rows.others], stamped=True)
        changed = len(rows.others) - gone
        if added or changed or rows.own:
            recorder.note(connection, insert=added, update=changed)

    def abandon(self, connection: Connection) -> None:
        """Take back the versions that were closed."""
        if self.rows is not None:
            self.recorder.settle(connection, [row.key for row in self.rows.others], stamped=True)

    def _adopt(self, connection: Connection, recorder: SQLiteRecorder) -> int:
        key = recorder.spec.key
        if not recorder.numbers_itself or not any(self.addition.gives(name) for name in key):
            return recorder.adopt(connection, self.last, None)
        given = self.addition.given(key, connection.dialect)
        return recorder.adopt(connection, None, given)

    def _count(self, connection: Connection, rowcount: int | None) -> int:
        addition = self.addition
        if self.target:
            unique = [row for row in self.given if None not in row]
            found = self.recorder.find(connection, self.target, list(dict.fromkeys(unique)))
            new = sum(row.key not in self.known for row in found)
            return new + len(self.given) - len(unique)
        if addition.on_conflict is None and addition.rows is not None:
            return len(addition.rows)
        if rowcount is None:
            raise UnrecordedWriteError(
                f"the driver does not tell how many rows were inserted into "
                f"{self.recorder.spec.qualified!r}; name the columns of the conflict, and give "
                "their values"
            )
        return rowcount


def before_insert(
    connection: Connection, element: Insert, sets: Sequence[Parameters], recorder: Recorder
) -> tuple[Insert, Work]:
    """Record the versions that an INSERT may update instead of inserting.

    Raises:
        UnrecordedWriteError: it cannot be told which.
    """
    addition = addition_of(connection, element, sets)
    recorder.take_id(connection)
    work = Inserted(recorder, addition)
    if isinstance(recorder, SQLiteRecorder):
        if addition.replaces:
            raise UnrecordedWriteError(
                f"REPLACE may delete any rows of {recorder.spec.qualified!r}; use "
                "on_conflict_do_update()"
            )
        work.last = recorder.last_row(connection)
    clause = addition.on_conflict
    if clause is None:
        return element, work
    updates = hasattr(clause, "update_values_to_set")
    target = conflict_target(connection, clause, recorder)
    given = None if target is None else _given(connection, addition, target)
    if given is None or target is None:
        if updates:
            raise UnrecordedWriteError(
                f"which rows of {recorder.spec.qualified!r} would be updated instead of inserted "
                "cannot be told: name the columns of the conflict with index_elements, and give "
                "their values"
            )
        return element, work
    work.target, work.given = target, given
    unique = list(dict.fromkeys(row for row in given if None not in row))
    found = recorder.find(connection, target, unique, keys_stay=True)
    work.known = frozenset(row.key for row in found)
    if not updates:
        return element, work
    _refuse_key_change(clause, addition.table, recorder)
    work.rows = Rows.close(connection, recorder, found, "UPDATE")
    return recorder.guarded(element), work


def _refuse_key_change(clause: Any, table: FromClause, recorder: Recorder) -> None:
    names = {str(getattr(name, "name", name)) for name in dict(clause.update_values_to_set)}
    if names & set(recorder.spec.key):
        raise UnrecordedWriteError(
            f"ON CONFLICT DO UPDATE sets the key of {recorder.spec.qualified!r}: what becomes of "
            "which row cannot be told before. Update the key in a statement of its own"
        )


def _given(connection: Connection, addition: Addition, target: tuple[str, ...]) -> list[Key] | None:
    """The values of the columns of a conflict, in each row that is to be inserted."""
    if addition.source is None:
        return addition.given(target, connection.dialect)
    source, names = addition.source
    if not set(target) <= set(names):
        return None
    rows = source.subquery("temporal_source")
    statement = as_driven(list(rows.c)[names.index(name)] for name in target)
    return [tuple(r) for r in connection.execute(statement, execution_options={OURS: True})]


def conflict_target(
    connection: Connection, clause: Any, recorder: Recorder
) -> tuple[str, ...] | None:
    """The columns whose values make a conflict; None when they are not known."""
    elements = clause.inferred_target_elements
    if elements:
        names = tuple(str(getattr(each, "name", each)) for each in elements)
        every = {c.name for c in (*recorder.spec.columns, *recorder.spec.unrecorded)}
        return names if set(names) <= every else None
    name = getattr(clause, "constraint_target", None)  # PostgreSQL
    if name is None:
        return None
    spec, inspector = recorder.spec, inspect(connection)
    primary = inspector.get_pk_constraint(spec.name, schema=spec.live_schema)
    if primary.get("name") == name:
        return tuple(primary["constrained_columns"])
    for unique in inspector.get_unique_constraints(spec.name, schema=spec.live_schema):
        if unique["name"] == name:
            return tuple(unique["column_names"])
    return None


__all__ = ["Changed", "Inserted", "Rows", "Work", "before_delete", "before_insert", "before_update"]
