"""The SQL that computes the leaves and roots of one table.

A query starts with a relation ``x (tx_id, seq)`` of the commits it is about. Leaves come
from the rows as they are, wherever they are now: a version that a commit wrote may still be
live or in history. The forms of leaves are given in
:mod:`sqlalchemy_temporal.repository.canonical` and ``docs/verification.md``.

The live table has no index on its system column, which would cost every write. So its rows
are found by key, among those whose former versions the commits ended, where that is known to
be all of them, and by reading the table once otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy_temporal.ddl.columns import ColumnIdentity
from sqlalchemy_temporal.ddl.postgresql.encoding import Encoder, constant
from sqlalchemy_temporal.ddl.postgresql.quoting import Quoter
from sqlalchemy_temporal.ddl.postgresql.types import TypeShape
from sqlalchemy_temporal.errors import UnhashableTypeError
from sqlalchemy_temporal.naming import (
    END_COLUMN,
    FROM_COLUMN,
    ID_COLUMN,
    OPERATION_COLUMN,
    TO_COLUMN,
    TX_COLUMN,
)


@dataclass(frozen=True, slots=True)
class HashedColumn:
    """One column identity of a table, with what hashing has to know of it.

    Attributes:
        identity: the column.
        since_seq: the sequence number of the first commit that has it; 0 for always.
        until_seq: that of the first commit that no longer has it; None when it is current.
        live: its type in the live table; None when it is not there.
        history: its type in the history table; None when it is not there.
        key: whether it is part of the key.
    """

    identity: ColumnIdentity
    since_seq: int
    until_seq: int | None
    live: TypeShape | None
    history: TypeShape | None
    key: bool


@dataclass(frozen=True, slots=True)
class HashedTable:
    """One versioned table, with what hashing has to know of it.

    Attributes:
        id: its number in the list of versioned tables.
        schema: the schema of the live table.
        name: the live table.
        history_schema: the schema of the history table.
        history_table: the history table.
        key: the names of its key columns.
        columns: every column it has or had.
        has_live: whether there is a live table whose rows are recorded.
        has_history: whether the history table is there.
        live_only: whether rows of tables that inherit from the live one are not its own.
        history_only: the same for the history table.
        fixed: leaves that do not come from rows: transaction id and leaf.
        overridden: whether there are entries in ``leaf_override``.
        purged_seq: the last commit of which versions that it ended may have been purged.
    """

    id: int
    schema: str
    name: str
    history_schema: str
    history_table: str
    key: tuple[str, ...]
    columns: tuple[HashedColumn, ...]
    has_live: bool
    has_history: bool
    live_only: bool
    history_only: bool
    fixed: tuple[tuple[int, bytes], ...] = ()
    overridden: bool = False
    purged_seq: int = 0

    @property
    def qualified(self) -> str:
        """``schema.table``, as in counts and messages."""
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True, slots=True)
class Scope:
    """Which rows to look through.

    Attributes:
        lo: versions that ended in a transaction with a smaller id cannot matter.
        by_key: live rows are to be found by the keys of the versions that ended.
    """

    lo: int | None = None
    by_key: bool = False


EVERYTHING = Scope()


class LeafSql:
    """Writes the queries of one table.

    Parameters:
        table: the table.
        quote: the dialect's quoting.
        schema: the schema of the library's own tables, unquoted.
        utf8: whether the database stores text as UTF-8.

    Raises:
        UnhashableTypeError: a column has a type that cannot be hashed.
    """

    def __init__(self, table: HashedTable, quote: Quoter, schema: str, *, utf8: bool) -> None:
        self._table = table
        self._quote = quote
        self._s = quote.name(schema)
        self._encoder = Encoder(quote, utf8=utf8)
        only = "ONLY "
        self.live = (only if table.live_only else "") + quote.qualified(table.schema, table.name)
        self.history = (only if table.history_only else "") + quote.qualified(
            table.history_schema, table.history_table
        )

    # Leaves of rows ----------------------------------------------------------------------

    def written(self, alias: str, *, live: bool) -> str:
        """The leaf of the commit that wrote the version ``alias``."""
        parts = [self._head(b"W"), *filter(None, self.fields(alias, live=live))]
        return f"sha256({' || '.join(parts)})"

    def fields(self, alias: str, *, live: bool) -> list[str]:
        """The field of each column in that leaf; empty for one that is not in the table."""
        found = []
        for column in self._table.columns:
            shape = column.live if live else column.history
            if shape is None:
                found.append("")
                continue
            name = column.identity.name if live else column.identity.history
            field = self._field(column, shape, f"{alias}.{self._quote.name(name)}")
            found.append(_when(field, _written_in(column)))
        return found

    def has_key(self, alias: str, key: str, *, live: bool) -> str:
        """Whether a version has a key, given as JSON by the names of the live table."""
        row = self._quote.qualified(self._table.schema, self._table.name)
        given = f"jsonb_populate_record(NULL::{row}, {self._quote.literal(key)}::jsonb)"
        return " AND ".join(
            f"{alias}.{self._quote.name(column.identity.name if live else column.identity.history)}"
            f" = (SELECT ({given}).{self._quote.name(column.identity.name)})"
            for column in self._table.columns
            if column.key and column.identity.current
        )

    def ended(self, alias: str) -> str:
        """The leaf of the commit that ended the version ``alias`` of history."""
        int8 = "int8send({}.{})".format
        parts = [
            self._head(b"E"),
            int8(alias, TX_COLUMN),
            int8(alias, ID_COLUMN),
            _framed_text(f"{alias}.{OPERATION_COLUMN}"),
            _optional_time(f"{alias}.{FROM_COLUMN}"),
            _optional_time(f"{alias}.{TO_COLUMN}"),
        ]
        for column in self._table.columns:
            if column.key and column.history is not None:
                value = f"{alias}.{self._quote.name(column.identity.history)}"
                field = self._field(column, column.history, value)
                parts.append(_when(field, _ended_in(column)))
        return f"sha256({' || '.join(parts)})"

    def _key_change(self) -> str:
        parts = [self._head(b"K"), "int8send(p.id)"]
        parts += [
            "(SELECT coalesce(string_agg(int4send(k.id) || "
            f"{_framed_text('k.value')}, ''::bytea ORDER BY k.id, k.value), ''::bytea) "
            f"FROM (SELECT {self._column_number('e.key')} AS id, e.value::text AS value "
            f"FROM jsonb_each(p.{side}) AS e) AS k)"
            for side in ("old_key", "new_key")
        ]
        return f"sha256({' || '.join(parts)})"

    def _override(self) -> str:
        parts = [
            self._head(b"O"),
            "int8send(o.id)",
            "int8send(o.tx_id)",
            _framed_text("o.kind"),
            _optional_bytes("o.original_hash"),
            _optional_bytes("o.current_hash"),
        ]
        return f"sha256({' || '.join(parts)})"

    def _column_number(self, name: str) -> str:
        numbers = {c.identity.name: c.identity.id for c in self._table.columns}
        if not numbers:
            return "0"
        cases = " ".join(
            f"WHEN {self._quote.literal(known)} THEN {number}" for known, number in numbers.items()
        )
        return f"CASE {name} {cases} ELSE 0 END"

    def _head(self, kind: bytes) -> str:
        return constant(kind + self._table.id.to_bytes(4, "big"))

    def _field(self, column: HashedColumn, shape: TypeShape, value: str) -> str:
        try:
            return self._encoder.field(column.identity.id, shape, value)
        except UnhashableTypeError as error:
            place = f"{self._table.qualified}.{column.identity.name}"
            raise UnhashableTypeError(error.type_name, place) from error

    # Queries -------------------------------------------------------------------------------

    def leaves(self, scope: Scope, *, located: bool = False) -> str:
        """A query of all leaves of the commits ``x``: ``seq``, ``leaf``.

        Parameters:
            scope: which rows to look through.
            located: also where each leaf comes from: ``origin``, ``key``, ``version``.
        """
        return "\nUNION ALL\n".join(self._sources(scope, located=located))

    def _sources(self, scope: Scope, *, located: bool) -> Iterator[str]:
        table, s = self._table, self._s

        def place(origin: str, alias: str = "", version: str = "NULL") -> str:
            if not located:
                return ""
            key = self._key_text(alias, origin) if alias else "NULL::text"
            return f", '{origin}' AS origin, {key} AS key, {version}::bigint AS version"

        if table.has_live:
            where = place("live", "l")
            leaf = self.written("l", live=True)
            yield f"SELECT x.seq, {leaf} AS leaf{where} FROM {self._live_rows(scope)}"
        if table.has_history:
            where = place("history", "h", f"h.{ID_COLUMN}")
            within = "" if scope.lo is None else f" WHERE h.{END_COLUMN} >= {scope.lo}"
            yield (
                f"SELECT x.seq, {self.written('h', live=False)} AS leaf{where} "
                f"FROM {self.history} AS h JOIN x ON x.tx_id = h.{TX_COLUMN}{within}"
            )
            where = place("ended", "h", f"h.{ID_COLUMN}")
            yield (
                f"SELECT x.seq, {self.ended('h')} AS leaf{where} "
                f"FROM {self.history} AS h JOIN x ON x.tx_id = h.{END_COLUMN}{within}"
            )
        name = self._quote.literal(table.name)
        yield (
            f"SELECT x.seq, {self._key_change()} AS leaf{place('key change', 'p')} "
            f"FROM {s}.pk_change AS p JOIN x ON x.tx_id = p.tx_id WHERE p.table_name = {name} "
            f"AND p.table_schema = {self._quote.literal(table.schema)}"
        )
        yield (
            f"SELECT x.seq, {self._override()} AS leaf{place('override', 'o')} "
            f"FROM {s}.leaf_override AS o JOIN x ON x.tx_id = o.by_tx_id "
            f"WHERE o.table_id = {table.id}"
        )
        if table.fixed:
            values = ", ".join(f"({tx}::bigint, {constant(leaf)})" for tx, leaf in table.fixed)
            yield (
                f"SELECT x.seq, f.leaf{place('catalog')} "
                f"FROM (VALUES {values}) AS f (tx, leaf) JOIN x ON x.tx_id = f.tx"
            )

    def _live_rows(self, scope: Scope) -> str:
        if not scope.by_key:
            return f"{self.live} AS l JOIN x ON x.tx_id = l.{TX_COLUMN}"
        keys = self._quote.names(self._table.key, "h.")
        same = " AND ".join(
            f"l.{self._quote.name(name)} = x.{self._quote.name(name)}" for name in self._table.key
        )
        within = "" if scope.lo is None else f" WHERE h.{END_COLUMN} >= {scope.lo}"
        return (
            f"(SELECT DISTINCT {keys}, x.seq, x.tx_id FROM {self.history} AS h "
            f"JOIN x ON x.tx_id = h.{END_COLUMN}{within}) AS x "
            f"JOIN {self.live} AS l ON {same} AND l.{TX_COLUMN} = x.tx_id"
        )

    def _key_text(self, alias: str, origin: str) -> str:
        if origin in ("key change", "override"):
            return f"jsonb_build_object('id', {alias}.id)::text"
        names = {
            c.identity.name: c.identity.name if origin == "live" else c.identity.history
            for c in self._table.columns
            if c.key and c.identity.current
        }
        pairs = (
            f"{self._quote.literal(name)}, {alias}.{self._quote.name(column)}"
            for name, column in names.items()
        )
        return f"jsonb_build_object({', '.join(pairs)})::text"

    def original_leaves(self, scope: Scope) -> str:
        """The same, with the leaves as they were before anything was redacted or purged."""
        if not self._table.overridden:
            return self.leaves(scope)
        overrides = (
            f"FROM {self._s}.leaf_override AS o JOIN x ON x.tx_id = o.tx_id "
            f"WHERE o.table_id = {self._table.id} AND o.kind = "
        )
        return (
            f"SELECT r.seq, coalesce(v.original_hash, r.leaf) AS leaf "
            f"FROM ({self.leaves(scope)}) AS r "
            f"LEFT JOIN (SELECT x.seq, o.original_hash, o.current_hash {overrides} 'redacted') "
            "AS v ON v.seq = r.seq AND v.current_hash = r.leaf\nUNION ALL\n"
            "SELECT g.seq, substr(g.original_hash, 32 * g.i + 1, 32) FROM (SELECT x.seq, "
            "o.original_hash, generate_series(0, octet_length(o.original_hash) / 32 - 1) AS i "
            f"{overrides} 'purged' AND o.original_hash IS NOT NULL) AS g"
        )


def roots(leaves: str) -> str:
    """A query of the roots over ``leaves``: ``seq``, ``leaves``, ``root``, ``marks``.

    In two levels, so that one commit of many millions of rows stays within what one
    value of the server can hold.
    """
    ordered = "string_agg({}, ''::bytea ORDER BY leaf)".format
    return (
        f"SELECT b.seq, sum(b.n)::bigint AS leaves, sha256({constant(b'R')} || "
        "string_agg(b.hash, ''::bytea ORDER BY b.first)) AS root, "
        "string_agg(b.marks, ''::bytea ORDER BY b.first) AS marks "
        "FROM (SELECT seq, get_byte(leaf, 0) AS first, count(*) AS n, "
        f"sha256({constant(b'B')} || {ordered('leaf')}) AS hash, "
        f"{ordered('substr(leaf, 1, 4)')} AS marks "
        f"FROM ({leaves}) AS every GROUP BY seq, get_byte(leaf, 0)) AS b GROUP BY b.seq"
    )


def _when(field: str, condition: str) -> str:
    return f"CASE WHEN {condition} THEN {field} ELSE ''::bytea END" if condition else field


def _written_in(column: HashedColumn) -> str:
    """Whether commit ``x`` may have written the column."""
    parts = [f"x.seq >= {column.since_seq}"] if column.since_seq else []
    if column.until_seq is not None:
        parts.append(f"x.seq < {column.until_seq}")
    return " AND ".join(parts)


def _ended_in(column: HashedColumn) -> str:
    """Whether versions that commit ``x`` ended had the column."""
    parts = [f"x.seq > {column.since_seq}"] if column.since_seq else []
    if column.until_seq is not None:
        parts.append(f"x.seq <= {column.until_seq}")
    return " AND ".join(parts)


def _framed_text(value: str) -> str:
    encoded = f"convert_to({value}, 'UTF8')"
    return f"int4send(octet_length({encoded})) || {encoded}"


def _optional_time(value: str) -> str:
    present = constant(bytes([1, 0, 0, 0, 8]))
    return f"coalesce({present} || timestamptz_send({value}), {constant(bytes(1))})"


def _optional_bytes(value: str) -> str:
    present = constant(bytes([1]))
    return (
        f"coalesce({present} || int4send(octet_length({value})) || {value}, {constant(bytes(1))})"
    )
