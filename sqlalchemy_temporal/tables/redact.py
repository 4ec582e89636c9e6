"""Erase values from a row and from all its past, for privacy law.

``redact`` overwrites columns of one row: in the live table and in the versions of history.
It is recorded as a commit (REDACT) with author and reason. Hashes of what was there stay,
so that verification tells the versions as redacted and not as tampered with.

What is overwritten is gone for every question. The database's own files, its log and
backups keep what they have until VACUUM, the end of the log's retention, and theirs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, get_args

from sqlalchemy import (
    Connection,
    Text,
    cast,
    column,
    literal_column,
    or_,
    select,
    table,
    update,
)
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.sql.elements import ColumnElement, quoted_name

from sqlalchemy_temporal.clock.hooks import transaction_id
from sqlalchemy_temporal.errors import RedactionError, UnknownOptionError
from sqlalchemy_temporal.naming import DEFAULT_SCHEMA, END_COLUMN, ID_COLUMN
from sqlalchemy_temporal.repository import sqlite_withdrawal
from sqlalchemy_temporal.repository.withdrawal import is_hashable, redacting
from sqlalchemy_temporal.tables.access import AccessMode, require_unrestricted
from sqlalchemy_temporal.tables.recorded import RecordedTable, recorded_tables
from sqlalchemy_temporal.tables.redact_columns import Targets, targets
from sqlalchemy_temporal.tables.redact_copies import redact_conflicts
from sqlalchemy_temporal.tables.redact_versions import Line
from sqlalchemy_temporal.tables.work import Bind, Work, record, working

Which = Literal["all", "history", "live"]
"""``"all"``: the live row and its past; ``"history"``: its past alone; ``"live"``: what it
has now, and with it the version that redacting ends."""

_NOTHING: Final[Mapping[str, Any]] = {}


@dataclass(frozen=True, slots=True)
class RedactionResult:
    """What was redacted.

    Attributes:
        table: the table, as ``schema.table``.
        columns: the columns.
        versions: closed versions that were altered.
        live: whether a live row was altered.
        copies: conflicts of merges, open or ended, in which copies were altered.
    """

    table: str
    columns: tuple[str, ...]
    versions: int
    live: bool
    copies: int = 0

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values."""
        return asdict(self)

    def __str__(self) -> str:
        where = f"{self.versions} version(s){' and the live row' if self.live else ''}"
        also = f", and in {self.copies} conflict(s) of merges" if self.copies else ""
        return f"{', '.join(self.columns)} redacted in {where} of {self.table}{also}"


def redact(
    bind: Bind,
    table_name: str,
    key: Any,
    columns: Sequence[str],
    schema_name: str = "public",
    *,
    replacement: Mapping[str, Any] = _NOTHING,
    versions: Which = "all",
    follow_key_changes: bool = False,
    author: str | None = None,
    reason: str | None = None,
    access: AccessMode | None = None,
    schema: str = DEFAULT_SCHEMA,
) -> RedactionResult:
    """Overwrite columns of one row, now and in its past.

    The copies that conflicts of merges keep of the row's values are overwritten, too,
    whatever ``versions`` says; in a merge that is open such a row is compared anew.

    Parameters:
        bind: an Engine, or a Connection or Session whose transaction is used, of a role
            that owns the history table.
        table_name: a versioned table.
        key: the row's key: a value, or a mapping or list for a key of several columns. All
            versions of this key are meant, also those of a row that had it before.
        columns: the columns to overwrite; also a column that the table no longer has and
            its history keeps. Columns computed from them are computed anew.
        schema_name: the table's schema.
        replacement: what to write, by column; NULL otherwise. A column that must not be
            NULL needs one.
        versions: ``"all"``, ``"history"`` or ``"live"``.
        follow_key_changes: include the row's versions under former and later keys, and
            leave out those of other rows that had its keys.
        author: who does it; recorded with the commit.
        reason: why; the message of the commit. Neither should hold what is to be erased.
        access: ``"restricted"`` allows reads only, which refuses this.
        schema: the schema of the library's own tables.

    Returns:
        What was altered. The redaction is recorded as a commit with the operation REDACT,
        unless there was nothing to alter.

    Raises:
        AccessModeError: the mode allows reads only.
        RedactionError: no version has this key, a column cannot be redacted, or a
            constraint forbids it. Nothing is changed then.
        NotInstalledError: the table is not versioned.
        UnknownOptionError: ``versions`` is none of the three.
        PrivilegeError: the role may not change history.
    """
    if versions not in get_args(Which):
        raise UnknownOptionError(f"versions must be 'all', 'history' or 'live', not {versions!r}")
    names = [columns] if isinstance(columns, str) else list(columns)
    require_unrestricted(bind, access, "redact()")
    with working(bind) as work, work.step() as connection:
        found = recorded_tables(connection, schema, [table_name], table_schema=schema_name)
        asked = next(e for e in found if (e.schema, e.name) == (schema_name, table_name))
        done = _Redaction(work, asked, names, replacement, versions)
        try:
            return done.run(found, key, author, reason, follow=follow_key_changes)
        except (DataError, IntegrityError) as error:
            raise RedactionError(
                f"{asked.qualified} cannot be redacted like this: {error.orig}"
            ) from error


@dataclass(slots=True)
class _Redaction:
    """The work of one call; the values are counted up table by table.

    Members of an inheritance tree each keep the versions of their own rows.
    """

    work: Work
    asked: RecordedTable
    names: Sequence[str]
    replacement: Mapping[str, Any]
    which: Which
    known: bool = False
    live: bool = False
    copies: int = 0

    @property
    def connection(self) -> Connection:
        """Where to work."""
        return self.work.connection

    @property
    def _on_sqlite(self) -> bool:
        return self.connection.dialect.name == "sqlite"

    def _own_id(self, one: RecordedTable) -> Any:
        """The id of the transaction under way."""
        if self._on_sqlite:
            return transaction_id(self.connection, one.system.schema)
        return _OWN_ID

    def run(
        self,
        tables: Sequence[RecordedTable],
        key: Any,
        author: str | None,
        reason: str | None,
        *,
        follow: bool,
    ) -> RedactionResult:
        """Redact in every table of the tree, and record it."""
        self.work.describe(author, reason)
        counts = {
            each.qualified: {"redact": self._table(each, key, follow)}
            for each in tables
            if each is self.asked or set(self.names) & {name for name, _ in each.columns}
        }
        if not self.known:
            raise RedactionError(f"no version of {self.asked.qualified} has the key {key!r}")
        versions = sum(each["redact"] for each in counts.values())
        if versions or self.live or self.copies:
            record(self.connection, self.asked.system.schema, "REDACT", counts)
        return RedactionResult(
            self.asked.qualified, tuple(self.names), versions, self.live, self.copies
        )

    def _table(self, one: RecordedTable, key: Any, follow: bool) -> int:
        """Redact in one table; the number of closed versions altered."""
        names = self.names if one is self.asked else _present(self.names, one)
        given = {n: v for n, v in self.replacement.items() if one is self.asked or n in names}
        what = targets(self.connection, one, names, given)
        line = Line(self.connection, one, what.key_types)
        spans = line.spans(line.key(key), follow=follow)
        closed = line.versions(spans)
        standing = [span.key for span in spans if span.until is None and line.lives(span.key)]
        self.known |= bool(standing) or self.connection.execute(closed.limit(1)).first() is not None
        keys = {span.key for span in spans}
        copies = redact_conflicts(line, keys, names, given)
        self.copies += copies
        self.known |= copies > 0
        if self.which != "history" and what.live:
            for present in standing:
                self.live |= self._overwrite_live(one, what, line, present)
        return self._overwrite_history(one, what, closed) if what.history else 0

    def _overwrite_live(
        self, one: RecordedTable, what: Targets, line: Line, key: tuple[str, ...]
    ) -> bool:
        live = _relation(one, one.schema, one.name, [*one.key, *what.live])
        statement = update(live).values(what.live)
        statement = statement.where(line.matches(live, one.key, key), _differs(live, what.live))
        return self.connection.execute(_only(statement, one, live)).rowcount > 0

    def _overwrite_history(self, one: RecordedTable, what: Targets, closed: Any) -> int:
        can_hash = not self._on_sqlite and is_hashable(self.connection, one.system.schema, one.id)
        history = _relation(
            one,
            one.history_schema,
            one.history_name,
            [ID_COLUMN, END_COLUMN, *what.history, *what.computed],
        )
        chosen = closed.subquery("chosen")
        statement = select(history.c[ID_COLUMN], history.c[END_COLUMN]).where(
            _differs(history, what.history),
            history.c[END_COLUMN] == chosen.c[END_COLUMN],
            history.c[ID_COLUMN] == chosen.c[ID_COLUMN],
        )
        if self.which == "live":
            # Redacting the live row has just ended the version with the former values.
            statement = statement.where(history.c[END_COLUMN] == self._own_id(one))
        versions = [(row[0], row[1]) for row in self.connection.execute(statement)]
        for first in range(0, len(versions), _MANY):
            self._overwrite(one, what, history, versions[first : first + _MANY], can_hash)
        return len(versions)

    def _overwrite(
        self,
        one: RecordedTable,
        what: Targets,
        history: Any,
        versions: Sequence[tuple[int, int]],
        can_hash: bool,
    ) -> None:
        def these(source: Any) -> list[ColumnElement[bool]]:
            return [
                source.c[END_COLUMN].in_({end for _, end in versions}),
                source.c[ID_COLUMN].in_([number for number, _ in versions]),
            ]

        steps: list[dict[str, Any]] = [dict(what.history)]
        if what.computed:
            # An UPDATE computes from the values before it, so this is one of its own.
            steps.append({name: literal_column(sql) for name, sql in what.computed.items()})
        schema = one.system.schema
        kept: AbstractContextManager[None] = nullcontext()
        if self._on_sqlite:
            numbers = [number for number, _ in versions]
            kept = sqlite_withdrawal.redacting(self.connection, schema, one.id, numbers)
        elif can_hash:
            kept = redacting(self.connection, schema, one.id, one.history, these)
        with kept:
            for values in steps:
                statement = update(history).values(values).where(*these(history))
                self.connection.execute(_only(statement, one, history))


_MANY: Final = 1000
"""Versions that are altered together."""
_OWN_ID: Final[ColumnElement[int]] = literal_column(
    "nullif(current_setting('temporal.tx_id', true), '')::bigint"
)


def _present(names: Sequence[str], one: RecordedTable) -> list[str]:
    known = {name for name, _ in one.columns}
    return [name for name in names if name in known]


def _relation(one: RecordedTable, schema: str, name: str, names: Sequence[str]) -> Any:
    columns: list[Any] = [column(quoted_name(each, None)) for each in dict.fromkeys(names)]
    return table(quoted_name(name, None), *columns, schema=schema if one.in_schemas else None)


def _differs(source: Any, values: Mapping[str, Any]) -> Any:
    """Whether a row has another value; as text, since not every type can be compared."""
    return or_(
        *(
            cast(source.c[name], Text).is_distinct_from(cast(value, Text))
            for name, value in values.items()
        )
    )


def _only(statement: Any, one: RecordedTable, target: Any) -> Any:
    return statement.with_hint("ONLY", target, "postgresql") if one.only else statement


__all__ = ["RedactionResult", "Which", "redact"]
