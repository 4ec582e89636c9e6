"""``get_row_history``: everything that happened to one row, under whatever key it had."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    Text,
    and_,
    cast,
    null,
    or_,
    select,
    union_all,
)

from sqlalchemy_temporal.clock.commit import Commit
from sqlalchemy_temporal.clock.commits import commits_by_transaction
from sqlalchemy_temporal.clock.resolve import resolve
from sqlalchemy_temporal.model.keys import spans_of
from sqlalchemy_temporal.model.line import Span
from sqlalchemy_temporal.naming import DEFAULT_SCHEMA, END_COLUMN, OPERATION_COLUMN, TX_COLUMN
from sqlalchemy_temporal.repository.described import VersionedTable
from sqlalchemy_temporal.schema import system_of
from sqlalchemy_temporal.tables.access import AccessMode, reading
from sqlalchemy_temporal.tables.change import Changes, RecordedChange, described
from sqlalchemy_temporal.tables.expressions import key_values, same_key
from sqlalchemy_temporal.tables.lookup import find_table, gaps_between
from sqlalchemy_temporal.tables.stream import Held, checked
from sqlalchemy_temporal.tables.work import Bind

Key = tuple[Any, ...]


@dataclass(frozen=True, slots=True, repr=False)
class RowHistory(Changes):
    """Everything that happened to one row, in the order of the commits; see :class:`Changes`.

    Attributes:
        key: the key it was asked for by.
    """

    key: Mapping[str, Any]

    def subject(self) -> str:
        """Which row."""
        return f"{self.table} {described(self.key)}"

    def to_dict(self) -> dict[str, Any]:
        """The same as values that JSON can have."""
        from sqlalchemy_temporal.tables.render import jsonable

        return Changes.to_dict(self) | {"key": jsonable(self.key)}


@dataclass(frozen=True, slots=True)
class _Version:
    """One version of the row: what it held, who began and who ended it."""

    values: Mapping[str, Any]
    tx: int
    end_tx: int | None
    operation: str | None


def get_row_history(
    bind: Bind,
    table_name: str,
    primary_key_value: Any,
    primary_key_column: str | None = None,
    *,
    schema_name: str = "public",
    limit: int | None = None,
    newest_first: bool = False,
    follow_key_changes: bool = True,
    access: AccessMode | None = None,
    schema: str = DEFAULT_SCHEMA,
) -> RowHistory:
    """Everything that happened to one row.

    A row whose key was changed is followed: backwards to the keys it had before, and
    forwards to the one it has now when no other row took its place. Rows that had the key
    before it came to this row are others, and left out; a row that was deleted and one
    inserted later with the same key cannot be told apart, and are given as one.

    Parameters:
        bind: an engine, a connection or a session.
        table_name: the table.
        primary_key_value: the key: a value, or for a composite key a mapping, or a sequence
            in the key's order. Text is read as the column's type.
        primary_key_column: the name of the key column, which has to be given to no table.
        schema_name: the schema of the table.
        limit: at most so many changes.
        newest_first: begin with the last change instead of the first.
        follow_key_changes: False for what happened to rows under this very key.
        access: ``"restricted"`` reads in a read-only transaction.
        schema: the schema of the library's own tables.

    Returns:
        The changes, from ``BASELINE`` or ``INSERT`` on; none for a key that never was.

    Raises:
        NotInstalledError: the table was never versioned.
        UnknownOptionError: it is not a key of the table.
    """
    checked("limit", limit)
    with reading(bind, access) as connection:
        table = find_table(connection, table_name, schema_name, schema)
        key = key_values(table.live, table.key, primary_key_column, primary_key_value)
        end = resolve(connection, "HEAD", schema)
        spans: Sequence[Span] = (Span(key),)
        if follow_key_changes:
            latest = _latest_key(connection, table, schema, key)
            spans = spans_of(connection, table.live, latest)
        versions = _versions(connection, table, schema, spans)
        found = list(_changes(connection, table, schema, versions))
        if newest_first:
            found.reverse()
        kept = tuple(found if limit is None else found[:limit])
        return RowHistory(
            table=table.name,
            start=None,
            end=end.effective_at,
            gaps=gaps_between(connection, schema, table, None, end),
            key=dict(zip(table.key, key, strict=True)),
            _held=Held(kept, is_all=True, more=len(kept) < len(found), again=lambda: iter(kept)),
        )


def _latest_key(connection: Connection, table: VersionedTable, schema: str, key: Key) -> Key:
    """The key that the row which last had ``key`` has now."""
    seen: set[Key] = set()
    while key not in seen:
        seen.add(key)
        left_in = _left_in(connection, table, schema, key)
        if left_in is not None:
            key = _destination(connection, table, schema, left_in, key)
    return key


def _left_in(connection: Connection, table: VersionedTable, schema: str, key: Key) -> int | None:
    """The transaction in which the last row with this key got another; None if none did."""
    versions = list(_versions(connection, table, schema, (Span(key),)))
    return versions[-1].end_tx if versions and versions[-1].operation == "UPDATE" else None


def _destination(
    connection: Connection, table: VersionedTable, schema: str, tx: int, key: Key
) -> Key:
    """The key at the end of transaction ``tx`` of the row that began it with ``key``."""
    changes = system_of(connection, schema).pk_change
    steps = connection.execute(
        select(changes.c.old_key, changes.c.new_key)
        .where(
            changes.c.table_schema == table.schema,
            changes.c.table_name == table.table_name,
            changes.c.tx_id == tx,
        )
        .order_by(changes.c.id)
    )
    for old, new in steps.all():
        if key_values(table.live, table.key, None, old) == key:
            key = key_values(table.live, table.key, None, new)
    return key


def _versions(
    connection: Connection, table: VersionedTable, schema: str, spans: Sequence[Span]
) -> Iterator[_Version]:
    """The committed versions of one row, in the order of the commits that began them."""
    transaction = system_of(connection, schema).transaction
    rows = _all_versions(table).subquery("v")
    key = [rows.c[name] for name in table.key]
    seq = transaction.c.commit_seq
    statement: Select[Any] = (
        select(rows)
        .join(transaction, transaction.c.id == rows.c[TX_COLUMN])
        .where(or_(*(_in_span(key, seq, span) for span in spans)))
        .order_by(seq)
    )
    width = len(table.columns)
    for row in connection.execute(statement).all():
        values = dict(zip(table.columns, row[:width], strict=True))
        yield _Version(values, *row[width : width + 3])


def _in_span(
    key: Sequence[ColumnElement[Any]], seq: ColumnElement[int], span: Span
) -> ColumnElement[bool]:
    parts = [same_key(key, span.key)]
    if span.since is not None:
        parts.append(seq >= span.since)
    if span.before is not None:
        parts.append(seq < span.before)
    return and_(*parts)


def _all_versions(table: VersionedTable) -> Any:
    history = table.history
    closed = select(
        *(history.c[name].label(name) for name in table.columns),
        history.c[TX_COLUMN],
        history.c[END_COLUMN],
        history.c[OPERATION_COLUMN],
    )
    stored = table.stored
    current = select(
        *(stored.c[name].label(name) for name in table.columns),
        stored.c[TX_COLUMN],
        cast(null(), BigInteger).label(END_COLUMN),
        cast(null(), Text).label(OPERATION_COLUMN),
    )
    return union_all(current, closed)


def _changes(
    connection: Connection, table: VersionedTable, schema: str, found: Iterable[_Version]
) -> Iterator[RecordedChange]:
    """What happened from version to version."""
    versions: list[_Version | None] = [None, *found, None]
    commits = commits_by_transaction(
        connection, schema, {tx for v in versions if v for tx in (v.tx, v.end_tx) if tx}
    )
    baselines = {table.enabled_tx_id, *(gap["until"] for gap in table.gaps)}
    for earlier, later in pairwise(versions):
        follows = earlier is not None and later is not None and earlier.end_tx == later.tx
        ended = None if earlier is None or follows else commits.get(earlier.end_tx or 0)
        if earlier is not None and ended is not None and earlier.operation != "DISABLE":
            yield _change(table, earlier.operation or "DELETE", earlier, None, ended)
        if later is not None:
            operation = "UPDATE" if follows else "INSERT"
            if not follows and later.tx in baselines:
                operation = "BASELINE"
            yield _change(table, operation, earlier if follows else None, later, commits[later.tx])


def _change(
    table: VersionedTable,
    operation: str,
    before: _Version | None,
    after: _Version | None,
    commit: Commit,
) -> RecordedChange:
    shown = after or before
    values = shown.values if shown is not None else {}
    return RecordedChange(
        table=table.name,
        operation=operation,
        key={name: values[name] for name in table.key},
        before=before.values if before is not None else None,
        after=after.values if after is not None else None,
        commit=commit,
    )


__all__ = ["RowHistory", "get_row_history"]
