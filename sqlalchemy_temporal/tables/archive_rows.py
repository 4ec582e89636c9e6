"""The rows of an archive: versions with when they were valid, and who began and ended them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Connection,
    DateTime,
    Select,
    TableClause,
    Text,
    cast,
    column,
    exists,
    func,
    null,
    or_,
    select,
    table,
    text,
    union_all,
)
from sqlalchemy.sql.elements import ColumnElement, quoted_name

from sqlalchemy_temporal.clock.moment import Moment
from sqlalchemy_temporal.errors import ArchiveError
from sqlalchemy_temporal.naming import (
    END_COLUMN,
    FROM_COLUMN,
    ID_COLUMN,
    OPERATION_COLUMN,
    SYSTEM_COLUMNS,
    TO_COLUMN,
    TX_COLUMN,
)
from sqlalchemy_temporal.reading.dialects import rules_for
from sqlalchemy_temporal.reading.option import Bounds
from sqlalchemy_temporal.reading.rows import visible
from sqlalchemy_temporal.tables.archive_types import (
    Stored,
    affinity,
    read,
    stored_postgresql,
    stored_sqlite,
)
from sqlalchemy_temporal.tables.recorded import RecordedTable
from sqlalchemy_temporal.tables.retention import is_over, versions_over

_COLUMNS = text(
    """
    SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type
    FROM pg_attribute a
    WHERE a.attrelid = to_regclass(:name) AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY a.attnum
    """
)
_AFFINITIES = text(
    """
    SELECT h.name, l.type FROM pragma_table_xinfo(:history) AS h
    LEFT JOIN pragma_table_xinfo(:live) AS l ON l.name = h.name ORDER BY h.cid
    """
)
_TIME: Final = "timestamp with time zone"
_ABOUT: Final = (
    (FROM_COLUMN, _TIME),
    (TO_COLUMN, _TIME),
    (TX_COLUMN, "bigint"),
    (END_COLUMN, "bigint"),
    (OPERATION_COLUMN, "text"),
    ("temporal_commit", "uuid"),
    ("temporal_author", "text"),
    ("temporal_message", "text"),
    ("temporal_end_commit", "uuid"),
    ("temporal_end_author", "text"),
    ("temporal_end_message", "text"),
)
"""What an archive says of each version: from when to when (the exact times of the commits
that began and ended it), by which transactions, what ended it, and about both commits."""
_SAID: Final = frozenset(name for name, _ in _ABOUT)
_STORED: Final = (ID_COLUMN, OPERATION_COLUMN, TX_COLUMN, END_COLUMN, FROM_COLUMN, TO_COLUMN)


def archived_columns(
    connection: Connection, one: RecordedTable, as_text: Sequence[str]
) -> tuple[Stored, ...]:
    """The columns of the archive: those of history, then what is said of each version.

    Raises:
        ArchiveError: ``as_text`` names a column that history does not have, or the table
            has a column of a name that the archive uses.
    """
    on_sqlite = connection.dialect.name == "sqlite"
    types = _sqlite_types(connection, one) if on_sqlite else _types(connection, one)
    found = {name: kind for name, kind in types.items() if name not in SYSTEM_COLUMNS}
    names = set(found)
    unknown = sorted(set(as_text) - names)
    if unknown:
        raise ArchiveError(f"{one.qualified} has no column {', '.join(unknown)} to keep as text")
    clash = sorted(names & _SAID)
    if clash:
        raise ArchiveError(f"{one.qualified}: the archive uses the name(s) {', '.join(clash)}")
    stored = stored_sqlite if on_sqlite else stored_postgresql
    return (
        *(stored(name, kind, as_text=name in as_text) for name, kind in found.items()),
        *(_said_sqlite(*each) if on_sqlite else _said(*each) for each in _ABOUT),
    )


def _said(name: str, sql_type: str) -> Stored:
    return stored_postgresql(name, sql_type, as_text=False)


def _said_sqlite(name: str, sql_type: str) -> Stored:
    return replace(_said(name, sql_type), reading="typed")


def _types(connection: Connection, one: RecordedTable) -> dict[str, str]:
    """The columns of history and their types, on PostgreSQL."""
    quote = connection.dialect.identifier_preparer.quote
    name = f"{quote(one.history_schema)}.{quote(one.history_name)}".replace("%%", "%")
    return {row.name: row.type for row in connection.execute(_COLUMNS, {"name": name})}


def _sqlite_types(connection: Connection, one: RecordedTable) -> dict[str, str]:
    """The columns of history and the affinities of their live columns, on SQLite."""
    rows = connection.execute(_AFFINITIES, {"live": one.name, "history": one.history_name})
    return {row.name: affinity(row.type or "") for row in rows}


@dataclass(frozen=True, slots=True)
class Archived:
    """Which versions of one table are archived.

    Attributes:
        connection: where they are read.
        one: the table.
        moment: the versions that are over at it.
        keep_last: without so many newest versions of each row; None for all.
        complete: with those that stand at the moment, and without leaving out any.
    """

    connection: Connection
    one: RecordedTable
    moment: Moment
    keep_last: int | None
    complete: bool

    def select(self, columns: Sequence[Stored]) -> Select[Any]:
        """Select ``columns``, in the order in which the versions ended."""
        found = self._versions([c.name for c in columns if c.name not in _SAID])
        began, ended = _about(self.one, "began"), _about(self.one, "ended")
        sources: dict[str, ColumnElement[Any]] = dict(found.c) | {
            FROM_COLUMN: func.coalesce(began.c.effective_at, found.c[FROM_COLUMN]),
            TO_COLUMN: func.coalesce(ended.c.effective_at, found.c[TO_COLUMN]),
        }
        for name in ("commit", "author", "message"):
            sources[f"temporal_{name}"] = began.c[name]
            sources[f"temporal_end_{name}"] = ended.c[name]
        return (
            select(*(read(each, sources[each.name]) for each in columns))
            .select_from(
                found.outerjoin(began, began.c.id == found.c[TX_COLUMN]).outerjoin(
                    ended, ended.c.id == found.c[END_COLUMN]
                )
            )
            .order_by(found.c[END_COLUMN], found.c[TX_COLUMN])
        )

    def count(self) -> int:
        """How many versions there are."""
        found = self._versions([])
        return self.connection.scalar(select(func.count()).select_from(found)) or 0

    def _versions(self, names: Sequence[str]) -> Any:
        history = self._relation(self.one.history_schema, self.one.history_name, names, _STORED)
        closed = self._only(select(*history.c), history)
        if self.keep_last is not None and not self.complete:
            over = versions_over(self.connection, self.one, self.moment, self.keep_last).subquery()
            same = (over.c[name] == history.c[name] for name in over.c.keys())  # noqa: SIM118
            return closed.where(exists().where(*same)).subquery("v")
        is_gone = is_over(self.connection, self.moment, history)
        if not self.complete:
            return closed.where(is_gone).subquery("v")
        parts = [closed.where(or_(is_gone, self._begun(history)))]
        if not self.one.disabled:
            parts.append(self._live(names))
        return union_all(*parts).subquery("v")

    def _live(self, names: Sequence[str]) -> Select[Any]:
        """The rows that are current, and were at the moment."""
        known = {past: name for name, past in self.one.columns}
        here = [known[name] for name in names if name in known]
        live = self._relation(self.one.schema, self.one.name, here, (TX_COLUMN,))
        values = [live.c[known[name]] if name in known else null() for name in names]
        nothing = cast(null(), BigInteger)
        chosen = select(
            *(value.label(name) for name, value in zip(names, values, strict=True)),
            nothing.label(ID_COLUMN),
            cast(null(), Text).label(OPERATION_COLUMN),
            live.c[TX_COLUMN],
            nothing.label(END_COLUMN),
            *(cast(null(), DateTime(timezone=True)).label(n) for n in (FROM_COLUMN, TO_COLUMN)),
        )
        return self._only(chosen.where(self._begun(live)), live)

    def _begun(self, source: Any) -> ColumnElement[bool]:
        bounds, rules = Bounds.of(self.moment), rules_for(self.connection.dialect)
        return visible(source.c[TX_COLUMN], bounds, rules)

    def _relation(
        self, schema: str, name: str, names: Sequence[str], more: Sequence[str]
    ) -> TableClause:
        columns: list[Any] = [column(quoted_name(each, None)) for each in (*names, *more)]
        within = schema if self.one.in_schemas else None
        return table(quoted_name(name, None), *columns, schema=within)

    def _only(self, statement: Select[Any], source: Any) -> Select[Any]:
        return statement.with_hint(source, "ONLY", "postgresql") if self.one.only else statement


def _about(one: RecordedTable, name: str) -> Any:
    """The transactions with the exact times of their commits."""
    transaction, commit = one.system.transaction, one.system.commit
    return (
        select(
            transaction.c.id,
            transaction.c.uuid.label("commit"),
            transaction.c.author,
            transaction.c.message,
            func.coalesce(commit.c.effective_at, transaction.c.committed_at).label("effective_at"),
        )
        .outerjoin_from(transaction, commit, commit.c.tx_id == transaction.c.id)
        .subquery(name)
    )


__all__ = ["Archived", "archived_columns"]
