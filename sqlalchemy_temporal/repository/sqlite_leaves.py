"""The leaves and roots of commits on SQLite, computed in Python from values as stored.

SQLite has no hash function, and its values have storage classes rather than the types of
their columns: an integer, a real number, text or bytes, which is what is hashed. Times of
the library's own are text there, and hashed as such. Otherwise the format is that of
:mod:`sqlalchemy_temporal.repository.canonical`.

A transaction's id is its sequence number on SQLite.
"""

from __future__ import annotations

import heapq
import json
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from sqlalchemy import Column, Connection, Table, select

from sqlalchemy_temporal.ddl.columns import ColumnIdentity, identities
from sqlalchemy_temporal.errors import UnhashableTypeError
from sqlalchemy_temporal.instant import Instant
from sqlalchemy_temporal.naming import (
    END_COLUMN,
    FROM_COLUMN,
    ID_COLUMN,
    OPERATION_COLUMN,
    TO_COLUMN,
    TX_COLUMN,
    shorten,
)
from sqlalchemy_temporal.repository import canonical
from sqlalchemy_temporal.repository.canonical import frame, int4, int8, optional
from sqlalchemy_temporal.repository.edited import Fields
from sqlalchemy_temporal.schema import system_of

_MANY = 500
"""Versions that are read together, well below SQLite's limit of parameters."""


@dataclass(frozen=True, slots=True)
class SqliteTable:
    """One versioned table of SQLite, with what hashing has to know of it.

    Attributes:
        id: its number in the list of versioned tables.
        name: the live table.
        history_table: its history table.
        key: the names of its key columns.
        columns: every column it has or had.
        live: the columns of the live table; none when it is gone or not recorded.
        past: the columns of the history table; none when it is gone.
        joined: the columns by which its current versions are found.
        enabled_tx_id: the transaction in which its versioning began.
        enabled_at: when that was, as stored.
    """

    id: int
    name: str
    history_table: str
    key: tuple[str, ...]
    columns: tuple[ColumnIdentity, ...]
    live: frozenset[str]
    past: frozenset[str]
    joined: frozenset[str]
    enabled_tx_id: int
    enabled_at: str
    qualified: str
    history_schema: str

    @property
    def current(self) -> str:
        """The table that says which transaction wrote each live row."""
        return _current(self.history_table)


def _current(history_table: str) -> str:
    return shorten(f"{history_table}_current")


@dataclass(frozen=True, slots=True)
class Leaf:
    """A leaf, and the row it is of; see :class:`~…check_rows.Located`."""

    seq: int
    leaf: bytes
    origin: str
    key: str | None = None
    version: int | None = None


def sqlite_tables(connection: Connection, schema: str) -> list[SqliteTable]:
    """Every registered table."""
    listed = system_of(connection, schema).versioned_tables
    rows = connection.execute(select(*without_times(listed)).order_by(listed.c.id)).all()
    raw = connection.exec_driver_sql(
        f"SELECT id, enabled_at FROM {_q(connection, listed.name)}"  # noqa: S608 - quoted
    )
    began = {row[0]: row[1] for row in raw}
    tables = [
        SqliteTable(
            id=row.id,
            name=row.table_name,
            history_table=row.history_table,
            key=tuple(row.key_columns),
            columns=tuple(sorted(identities(row.columns), key=lambda each: each.id)),
            live=_columns(connection, row.table_name if row.disabled_tx_id is None else ""),
            past=_columns(connection, row.history_table),
            joined=_columns(connection, _current(row.history_table)) - {TX_COLUMN},
            enabled_tx_id=row.enabled_tx_id,
            enabled_at=str(began[row.id]),
            qualified=f"{row.table_schema}.{row.table_name}",
            history_schema=row.history_schema,
        )
        for row in rows
    ]
    override = system_of(connection, schema).leaf_override
    of_commits = select(override.c.id).where(override.c.table_id == canonical.OF_COMMITS).limit(1)
    if connection.execute(of_commits).first() is not None:
        tables.append(_of_commits(schema))
    return tables


def _of_commits(schema: str) -> SqliteTable:
    """What stands for the table of transactions; its leaves are those of redactions."""
    nothing: frozenset[str] = frozenset()
    return SqliteTable(
        id=canonical.OF_COMMITS,
        name="",
        history_table="",
        key=(),
        columns=(),
        live=nothing,
        past=nothing,
        joined=nothing,
        enabled_tx_id=0,
        enabled_at="",
        qualified=f"{schema}.transaction",
        history_schema=schema,
    )


def without_times(table: Table) -> list[Column[Any]]:
    """The columns that are no times: text that is none would be an error to read as one."""
    return [column for column in table.c if not isinstance(column.type, Instant)]


def _columns(connection: Connection, table: str) -> frozenset[str]:
    found = connection.exec_driver_sql("SELECT name FROM pragma_table_xinfo(?)", (table,))
    return frozenset(found.scalars())


def _q(connection: Connection, name: str) -> str:
    return connection.dialect.identifier_preparer.quote_identifier(str(name))


def value_bytes(value: Any) -> tuple[str, bytes]:
    """The tag and the bytes of a value that is not NULL.

    Raises:
        UnhashableTypeError: a converter of the driver made something else of it.
    """
    match value:
        case bool() | int():
            return "int8", int8(int(value))
        case float():
            return "float8", struct.pack(">d", value)
        case str():
            return "text", value.encode()
        case bytes() | memoryview() | bytearray():
            return "bytea", bytes(value)
    raise UnhashableTypeError(type(value).__name__)


def _text(value: str | None) -> bytes | None:
    return None if value is None else str(value).encode()


class SqliteLeaves:
    """Reads the leaves of one table, in the order of commits.

    Parameters:
        connection: where.
        schema: the schema of the library's own tables.
        table: the table.
    """

    def __init__(self, connection: Connection, schema: str, table: SqliteTable) -> None:
        self._connection = connection
        self._system = system_of(connection, schema)
        self._table = table

    def commits(self, after: int, upto: int) -> Iterator[tuple[int, list[Leaf]]]:
        """Per commit with a number in ``(after, upto]``, its leaves as rows are now.

        Only the leaves of one commit are in memory at a time.
        """
        sources = (
            self._live(after, upto),
            self._written(after, upto),
            self._ended(after, upto),
            self._key_changes(after, upto),
            self._overrides(after, upto),
            self._fixed(after, upto),
        )
        merged = heapq.merge(*sources, key=lambda leaf: leaf.seq)
        for seq, leaves in groupby(merged, key=lambda leaf: leaf.seq):
            yield seq, list(leaves)

    def originals(self, after: int, upto: int) -> dict[int, tuple[dict[bytes, bytes], list[bytes]]]:
        """What was redacted and purged, by commit."""
        override = self._system.leaf_override
        rows = self._connection.execute(
            select(override).where(
                override.c.table_id == self._table.id,
                override.c.tx_id.between(after + 1, upto),
                override.c.kind != canonical.SAYS,
            )
        )
        found: dict[int, tuple[dict[bytes, bytes], list[bytes]]] = {}
        for row in rows:
            redacted, purged = found.setdefault(row.tx_id, ({}, []))
            if row.kind == "purged":
                joined = row.original_hash or b""
                purged += (joined[i : i + 32] for i in range(0, len(joined), 32))
            else:
                redacted[row.current_hash] = row.original_hash
        return found

    # Sources ---------------------------------------------------------------------------------

    def _rows(self, sql: str, values: Sequence[Any]) -> Iterator[Sequence[Any]]:
        result = self._connection.exec_driver_sql(
            sql, tuple(values), execution_options={"stream_results": True, "yield_per": 1000}
        )
        for part in result.partitions():
            yield from part

    def _name(self, name: str) -> str:
        return _q(self._connection, name)

    def _select(self, alias: str, available: frozenset[str], *, live: bool) -> str:
        """The columns to read, one for each identity; a plus keeps converters away."""
        names = [each.name if live else each.history for each in self._table.columns]
        return ", ".join(
            f"+{alias}.{self._name(name)}" if name in available else "NULL" for name in names
        )

    def _live(self, after: int, upto: int) -> Iterator[Leaf]:
        if not self._table.live:
            return
        columns = self._select("l", self._table.live, live=True)
        same = " AND ".join(
            f"l.{self._name(name)} IS v.{self._name(name)}" for name in sorted(self._table.joined)
        )
        rows = self._rows(
            f"SELECT v.{TX_COLUMN}, {columns} FROM {self._name(self._table.current)} AS v "  # noqa: S608
            f"JOIN {self._name(self._table.name)} AS l ON {same} "
            f"WHERE v.{TX_COLUMN} > ? AND v.{TX_COLUMN} <= ? ORDER BY v.{TX_COLUMN}",
            (after, upto),
        )
        for row in rows:
            yield Leaf(row[0], self._version(row[0], row[1:]), "live", self._key(row[1:]))

    def _written(self, after: int, upto: int) -> Iterator[Leaf]:
        for row in self._history(TX_COLUMN, after, upto):
            leaf = self._version(row[0], row[6:])
            yield Leaf(row[0], leaf, "history", self._key(row[6:]), row[1])

    def _ended(self, after: int, upto: int) -> Iterator[Leaf]:
        for row in self._history(END_COLUMN, after, upto):
            yield self._end(row)

    def _end(self, row: Sequence[Any]) -> Leaf:
        seq, version, began, operation, valid_from, valid_to = row[:6]
        data = self._head(canonical.ENDED) + int8(began) + int8(version)
        data += frame(str(operation).encode())
        data += optional(_text(valid_from)) + optional(_text(valid_to))
        for each, value in zip(self._table.columns, row[6:], strict=True):
            there = each.since < seq or each.since == self._table.enabled_tx_id
            if each.name in self._table.key and there and (each.until or seq) >= seq:
                data += _field(each.id, value)
        return Leaf(seq, canonical.sha256(data), "ended", self._key(row[6:]), version)

    def of_versions(self, versions: Sequence[int]) -> Iterator[tuple[Leaf, Leaf]]:
        """Of some versions of history, the leaves of their beginning and of their end."""
        for first in range(0, len(versions), _MANY):
            some = versions[first : first + _MANY]
            marks = ", ".join("?" * len(some))
            for row in self._rows(f"{self._past_leaves(END_COLUMN)} IN ({marks})", some):
                written = self._version(row[2], row[6:])
                yield Leaf(row[2], written, "history", self._key(row[6:]), row[1]), self._end(row)

    def _past_leaves(self, by: str) -> str:
        """A SELECT of what leaves are made of, up to the version's number."""
        columns = self._select("h", self._table.past, live=False)
        times = f"+h.{FROM_COLUMN}, +h.{TO_COLUMN}"
        return (
            f"SELECT h.{by}, h.{ID_COLUMN}, h.{TX_COLUMN}, h.{OPERATION_COLUMN}, "  # noqa: S608
            f"{times}, {columns} FROM {self._name(self._table.history_table)} AS h "
            f"WHERE h.{ID_COLUMN}"
        )

    def _history(self, by: str, after: int, upto: int) -> Iterator[Sequence[Any]]:
        if not self._table.past:
            return iter(())
        columns = self._select("h", self._table.past, live=False)
        times = f"+h.{FROM_COLUMN}, +h.{TO_COLUMN}"
        return self._rows(
            f"SELECT h.{by}, h.{ID_COLUMN}, h.{TX_COLUMN}, h.{OPERATION_COLUMN}, "  # noqa: S608
            f"{times}, {columns} FROM {self._name(self._table.history_table)} AS h "
            f"WHERE h.{by} > ? AND h.{by} <= ? ORDER BY h.{by}",
            (after, upto),
        )

    def _key_changes(self, after: int, upto: int) -> Iterator[Leaf]:
        numbers = {each.name: each.id for each in self._table.columns}
        changed = self._system.pk_change
        schema = self._table.qualified.removesuffix(f".{self._table.name}")
        rows = self._connection.execute(
            select(changed)
            .where(
                changed.c.table_schema == schema,
                changed.c.table_name == self._table.name,
                changed.c.tx_id.between(after + 1, upto),
            )
            .order_by(changed.c.tx_id)
        )
        for row in rows:
            data = self._head(canonical.KEY_CHANGED) + int8(row.id)
            data += _pairs(row.old_key, numbers) + _pairs(row.new_key, numbers)
            yield Leaf(row.tx_id, canonical.sha256(data), "key change", json.dumps({"id": row.id}))

    def _overrides(self, after: int, upto: int) -> Iterator[Leaf]:
        override = self._system.leaf_override
        rows = self._connection.execute(
            select(override)
            .where(
                override.c.table_id == self._table.id, override.c.by_tx_id.between(after + 1, upto)
            )
            .order_by(override.c.by_tx_id)
        )
        for row in rows:
            data = self._head(canonical.OVERRIDDEN) + int8(row.id) + int8(row.tx_id)
            data += frame(row.kind.encode())
            data += optional(row.original_hash) + optional(row.current_hash)
            key = json.dumps({"id": row.id})
            yield Leaf(row.by_tx_id, canonical.sha256(data), "override", key)

    def _fixed(self, after: int, upto: int) -> Iterator[Leaf]:
        table = self._table
        made = [(table.enabled_tx_id, canonical.ENABLED, table.enabled_at.encode())]
        for each in table.columns:
            made.append((each.since, canonical.COLUMN_SINCE, int4(each.id)))
            if each.until is not None:
                made.append((each.until, canonical.COLUMN_UNTIL, int4(each.id)))
        for seq, kind, data in sorted(made):
            if after < seq <= upto:
                yield Leaf(seq, canonical.sha256(self._head(kind) + data), "catalog")

    # Bytes -----------------------------------------------------------------------------------

    def _head(self, kind: bytes) -> bytes:
        return canonical.leaf_head(kind, self._table.id)

    def _version(self, seq: int, values: Sequence[Any]) -> bytes:
        data = [self._head(canonical.WRITTEN), *self._parts(seq, values)]
        return canonical.sha256(b"".join(data))

    def _parts(self, seq: int, values: Sequence[Any]) -> tuple[bytes, ...]:
        return tuple(
            _field(each.id, value)
            if each.since <= seq and (each.until is None or seq < each.until)
            else b""
            for each, value in zip(self._table.columns, values, strict=True)
        )

    def fields(self, seq: int, leaf: Leaf) -> Fields | None:
        """What the leaf of a version is taken of, and what those beside it would have there."""
        table = self._table
        if leaf.key is None or not (table.live and table.past):
            return None
        every: list[tuple[int | None, int | None, int | None, tuple[bytes, ...]]] = [
            (row[0], None, None, self._parts(seq, row[1:])) for row in self._current(leaf.key)
        ]
        every += [
            (row[1], row[0], row[2], self._parts(seq, row[3:])) for row in self._past(leaf.key)
        ]
        own = next((each for each in every if each[0] == seq and each[2] == leaf.version), None)
        if own is None:
            return None
        beside = [
            each
            for each in every
            if each is not own and (each[1] == seq or (own[1] is not None and each[0] == own[1]))
        ]
        return Fields(
            self._head(canonical.WRITTEN),
            tuple(each.name for each in table.columns),
            own[3],
            tuple(each[3] for each in beside),
        )

    def _current(self, key: str) -> Iterator[Sequence[Any]]:
        """The live row with a key; none with a key of bytes, which JSON does not have."""
        same = " AND ".join(
            f"l.{self._name(name)} IS v.{self._name(name)}" for name in sorted(self._table.joined)
        )
        where, values = self._where("l", key, live=True)
        return self._rows(
            f"SELECT v.{TX_COLUMN}, {self._select('l', self._table.live, live=True)} "  # noqa: S608
            f"FROM {self._name(self._table.current)} AS v "
            f"JOIN {self._name(self._table.name)} AS l ON {same} WHERE {where}",
            values,
        )

    def _past(self, key: str) -> Iterator[Sequence[Any]]:
        where, values = self._where("h", key, live=False)
        return self._rows(
            f"SELECT h.{END_COLUMN}, h.{TX_COLUMN}, h.{ID_COLUMN}, "  # noqa: S608
            f"{self._select('h', self._table.past, live=False)} "
            f"FROM {self._name(self._table.history_table)} AS h WHERE {where}",
            values,
        )

    def _where(self, alias: str, key: str, *, live: bool) -> tuple[str, list[Any]]:
        stored = {each.name: each.history for each in self._table.columns if each.current}
        given = json.loads(key)
        names = [name if live else stored[name] for name in given]
        return " AND ".join(f"{alias}.{self._name(n)} IS ?" for n in names), [*given.values()]

    def _key(self, values: Sequence[Any]) -> str:
        found = {
            each.name: value.hex() if isinstance(value, bytes) else value
            for each, value in zip(self._table.columns, values, strict=True)
            if each.name in self._table.key and each.current
        }
        return json.dumps(found)


def _field(number: int, value: Any) -> bytes:
    if value is None:
        return b""
    tag, data = value_bytes(value)
    return canonical.field_head(number, tag) + frame(data)


def _pairs(key: Mapping[str, Any], numbers: Mapping[str, int]) -> bytes:
    values = sorted(
        (numbers.get(name, 0), json.dumps(value, ensure_ascii=False)) for name, value in key.items()
    )
    return b"".join(int4(number) + frame(value.encode()) for number, value in values)


def original_root(
    leaves: Iterable[Leaf], known: tuple[dict[bytes, bytes], list[bytes]]
) -> tuple[int, bytes, bytes]:
    """The number, root and marks of leaves as they were before anything was withdrawn."""
    redacted, purged = known
    every = sorted([*(redacted.get(each.leaf, each.leaf) for each in leaves), *purged])
    marks = b"".join(canonical.mark_of(leaf) for leaf in every)
    return len(every), canonical.root_of(every), marks
