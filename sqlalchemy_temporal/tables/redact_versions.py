"""Which versions are those of a row, its former keys included."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Select, Text, and_, bindparam, cast, func, literal, or_, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.types import NullType

from sqlalchemy_temporal.errors import RedactionError
from sqlalchemy_temporal.naming import END_COLUMN, ID_COLUMN, TX_COLUMN
from sqlalchemy_temporal.reading.dialects.rules import BIGGEST_ID
from sqlalchemy_temporal.tables.recorded import RecordedTable
from sqlalchemy_temporal.tables.redact_columns import NamedType, typed

_OWN: Final = BIGGEST_ID
"""The number of a commit that has none yet: that of the transaction under way."""

Key = tuple[Any, ...]
"""The values of a key: as the text the database writes for them, or as they are on SQLite."""


@dataclass(frozen=True, slots=True)
class Span:
    """Versions of one key, within commits.

    Attributes:
        key: the key.
        since: versions begun by this commit or later; None for all.
        until: versions ended by this commit or before; None for all, and the live row.
    """

    key: Key
    since: int | None = None
    until: int | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """Finds the versions of one row.

    Attributes:
        connection: where.
        one: the table.
        types: the types of its key columns.
    """

    connection: Connection
    one: RecordedTable
    types: tuple[NamedType, ...]

    def key(self, given: Any) -> Key:
        """A key that a user gave, as text.

        Raises:
            RedactionError: it does not fit the key columns.
        """
        values = _values(self.one, given)
        if not all(kind.name for kind in self.types):
            return values
        made = (
            cast(cast(bindparam(None, value, NullType()), kind), Text)
            for value, kind in zip(values, self.types, strict=True)
        )
        return tuple(self.connection.execute(select(*made)).one())

    def spans(self, key: Key, *, follow: bool) -> list[Span]:
        """The key's versions; with those of former and later keys when they are followed."""
        if not follow:
            return [Span(key)]
        spans: list[Span] = []
        at: Key = self._newest(key)
        until: int | None = None
        while True:
            former = self._former(at, until)
            spans.append(Span(at, former[1] if former else None, until))
            if former is None:
                return spans
            at, until = former

    def versions(self, spans: Sequence[Span]) -> Select[Any]:
        """Select ``temporal_id`` and ending transaction of the closed versions."""
        history, t = self.one.history, self.one.system.transaction
        began, ended = t.alias("began"), t.alias("ended")
        numbers = [func.coalesce(each.c.commit_seq, _OWN) for each in (began, ended)]
        chosen = select(history.c[ID_COLUMN], history.c[END_COLUMN])
        if self.one.only:
            chosen = chosen.with_hint(history, "ONLY", "postgresql")
        return chosen.select_from(
            history.outerjoin(began, began.c.id == history.c[TX_COLUMN]).outerjoin(
                ended, ended.c.id == history.c[END_COLUMN]
            )
        ).where(
            or_(
                *(
                    and_(
                        self.matches(history, self.one.history_key, span.key),
                        *([numbers[0] >= span.since] if span.since is not None else []),
                        *([numbers[1] <= span.until] if span.until is not None else []),
                    )
                    for span in spans
                )
            )
        )

    def matches(self, source: Any, names: Sequence[str], key: Key) -> ColumnElement[bool]:
        """Whether a row of ``source`` has the key."""
        return and_(
            *(
                source.c[name] == _literal(value, kind)
                for name, value, kind in zip(names, key, self.types, strict=True)
            )
        )

    def literals(self, key: Key) -> list[ColumnElement[Any]]:
        """The values of a key as expressions of its columns' types."""
        return [_literal(value, kind) for value, kind in zip(key, self.types, strict=True)]

    def lives(self, key: Key) -> bool:
        """Whether there is a live row with the key."""
        live = self.one.live
        found = select(literal(1)).select_from(live).where(self.matches(live, self.one.key, key))
        return self.connection.execute(found).first() is not None

    def _newest(self, key: Key) -> Key:
        """What the key of the row has become, when no row has it any more."""
        since = -1
        while not self.lives(key):
            found = self._changes("old_key", "new_key", key).where(self._number() > since)
            number = self._number()
            row = self.connection.execute(found.order_by(number.desc()).limit(1)).one_or_none()
            if row is None:
                return key
            key, since = tuple(row[:-1]), row[-1]
        return key

    def _former(self, key: Key, before: int | None) -> tuple[Key, int] | None:
        """What the key was before, and the commit that changed it."""
        number = self._number()
        found = self._changes("new_key", "old_key", key)
        if before is not None:
            found = found.where(number < before)
        row = self.connection.execute(found.order_by(number.desc()).limit(1)).one_or_none()
        return None if row is None else (tuple(row[:-1]), row[-1])

    def _number(self) -> ColumnElement[Any]:
        return func.coalesce(self.one.system.transaction.c.commit_seq, _OWN)

    def _changes(self, of: str, to: str, key: Key) -> Select[Any]:
        change, transaction = self.one.system.pk_change, self.one.system.transaction
        values = zip(self._parts(change.c[of]), key, self.types, strict=True)
        chosen: Select[Any] = select(*self._parts(change.c[to]), self._number())
        return chosen.select_from(
            change.outerjoin(transaction, transaction.c.id == change.c.tx_id)
        ).where(
            change.c.table_schema == self.one.schema,
            change.c.table_name == self.one.name,
            *(typed(part, kind) == _literal(value, kind) for part, value, kind in values),
        )

    def _parts(self, noted: ColumnElement[Any]) -> list[ColumnElement[Any]]:
        """The values of a key that was noted as JSON: as text, or as they are on SQLite."""
        if self.connection.dialect.name == "sqlite":
            quoted = (name.replace('"', '\\"') for name in self.one.key)
            return [func.json_extract(noted, f'$."{name}"', type_=NullType()) for name in quoted]
        pairs = cast(noted, JSONB)
        return [pairs.op("->>", return_type=Text())(literal(n, Text)) for n in self.one.key]


def _literal(value: Any, kind: NamedType) -> ColumnElement[Any]:
    return typed(literal(value, Text if kind.name else NullType), kind)


def _values(one: RecordedTable, given: Any) -> tuple[Any, ...]:
    if isinstance(given, Mapping):
        if set(given) != set(one.key):
            raise RedactionError(
                f"the key of {one.qualified} is {', '.join(one.key)}, not {', '.join(given)}"
            )
        return tuple(given[name] for name in one.key)
    values = tuple(given) if isinstance(given, list | tuple) else (given,)
    if len(values) != len(one.key):
        raise RedactionError(
            f"the key of {one.qualified} is {', '.join(one.key)}; {len(values)} value(s) are given"
        )
    return values


__all__ = ["Key", "Line", "Span"]
