"""Which columns of a table can be redacted, and with what."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, cast, null, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.types import NullType, UserDefinedType

from sqlalchemy_temporal.ddl.columns import identities
from sqlalchemy_temporal.errors import RedactionError
from sqlalchemy_temporal.tables.recorded import RecordedTable

_COLUMNS = text(
    """
    SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type,
           a.attnotnull AS required, a.attgenerated <> '' AS computed,
           CASE WHEN a.attgenerated <> '' THEN pg_get_expr(d.adbin, d.adrelid) END AS expression,
           ARRAY(SELECT s.attname::text FROM pg_depend p
             JOIN pg_attribute s ON s.attrelid = p.refobjid AND s.attnum = p.refobjsubid
             WHERE a.attgenerated <> '' AND p.classid = 'pg_attrdef'::regclass AND p.objid = d.oid
               AND p.refobjid = a.attrelid AND p.refobjsubid > 0) AS sources
    FROM pg_attribute a
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = to_regclass(:name) AND a.attnum > 0 AND NOT a.attisdropped
    """
)


_SQLITE_COLUMNS = text(
    'SELECT name, "notnull" AS required, hidden IN (2, 3) AS computed '
    "FROM pragma_table_xinfo(:name)"
)


class NamedType(UserDefinedType[Any]):
    """A type of the database by its own name; its values are the driver's.

    Without a name nothing is cast to it: SQLite's columns convert what is put in.
    """

    cache_ok = True

    def __init__(self, name: str) -> None:
        self.name = name

    def get_col_spec(self, **_: Any) -> str:
        """The name."""
        return self.name


def typed(value: ColumnElement[Any], kind: NamedType) -> ColumnElement[Any]:
    """``value`` as one of a type."""
    return cast(value, kind) if kind.name else value


@dataclass(frozen=True, slots=True)
class Facts:
    """One column of a table as it is in the database."""

    name: str
    type: str
    required: bool
    computed: bool
    expression: str | None
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Targets:
    """What is to be overwritten in one table.

    Attributes:
        live: columns of the live table, and what to write there.
        history: columns of the history table, and what to write there.
        computed: columns of the history table that follow from those, and the expressions
            that compute them.
        key_types: the types of the key columns.
    """

    live: dict[str, ColumnElement[Any]]
    history: dict[str, ColumnElement[Any]]
    computed: dict[str, str]
    key_types: tuple[NamedType, ...]


def targets(
    connection: Connection,
    one: RecordedTable,
    columns: Sequence[str],
    replacement: Mapping[str, Any],
) -> Targets:
    """What is to be overwritten, checked against the table.

    Raises:
        RedactionError: a column does not exist, belongs to the key, is computed, or needs a
            replacement; or a replacement has the wrong type.
    """
    live = columns_of(connection, one.schema, one.name)
    past = columns_of(connection, one.history_schema, one.history_name)
    _check(one, columns, replacement, live, past)
    chosen_live = {
        name: _value(connection, one, live[name], replacement.get(name))
        for name in columns
        if name in live
    }
    former = _former(connection, one)
    chosen_past: dict[str, ColumnElement[Any]] = {}
    current = dict(one.columns)
    for name in columns:
        stored = current.get(name, name)
        if stored in past:
            chosen_past[stored] = _value(connection, one, past[stored], replacement.get(name))
        for old in former.get(name, ()):
            if old in past and old not in chosen_past:
                chosen_past[old] = typed(null(), NamedType(past[old].type))
    computed = {
        current[facts.name]: facts.expression
        for facts in live.values()
        if facts.expression and set(facts.sources) & set(columns) and facts.name in current
    }
    keys = tuple(
        NamedType(live[name].type) if name in live else NamedType("text") for name in one.key
    )
    return Targets(chosen_live, chosen_past, computed, keys)


def columns_of(connection: Connection, schema: str, name: str) -> dict[str, Facts]:
    """The columns of one table."""
    if connection.dialect.name == "sqlite":
        return {
            row.name: Facts(row.name, "", bool(row.required), bool(row.computed), None, ())
            for row in connection.execute(_SQLITE_COLUMNS, {"name": name})
        }
    quote = connection.dialect.identifier_preparer.quote
    full = f"{quote(schema)}.{quote(name)}".replace("%%", "%")
    return {
        row.name: Facts(
            row.name, row.type, row.required, row.computed, row.expression, tuple(row.sources)
        )
        for row in connection.execute(_COLUMNS, {"name": full})
    }


def _former(connection: Connection, one: RecordedTable) -> dict[str, list[str]]:
    """Where history keeps values of columns of a name from before they changed their type."""
    listed = one.system.versioned_tables
    entries = connection.scalar(select(listed.c.columns).where(listed.c.id == one.id))
    found: dict[str, list[str]] = {}
    for each in identities(entries or ()):
        if not each.current:
            found.setdefault(each.name, []).append(each.history)
    return found


def _check(
    one: RecordedTable,
    columns: Sequence[str],
    replacement: Mapping[str, Any],
    live: Mapping[str, Facts],
    past: Mapping[str, Facts],
) -> None:
    if not columns:
        raise RedactionError("name the columns to redact")
    unknown = [name for name in columns if name not in live and name not in past]
    if unknown:
        raise RedactionError(f"{one.qualified} has no column {', '.join(unknown)} to redact")
    stray = sorted(set(replacement) - set(columns))
    if stray:
        raise RedactionError(f"a replacement is given for {', '.join(stray)}, not to be redacted")
    in_key = [name for name in columns if name in one.key]
    if in_key:
        raise RedactionError(
            f"{', '.join(in_key)} belongs to the key of {one.qualified}, by which its versions "
            "are found. Give the row another key with UPDATE and redact the other columns; the "
            "former key stays until purge_history() removes those versions"
        )
    computed = [name for name in columns if name in live and live[name].computed]
    if computed:
        raise RedactionError(
            f"{', '.join(computed)} of {one.qualified} is computed; redact what it is computed from"
        )
    lost = [name for name, facts in live.items() if facts.computed and facts.expression is None]
    if lost:
        raise RedactionError(
            f"{', '.join(lost)} of {one.qualified} is computed, and its values in history cannot "
            "be computed anew on SQLite; purge the history instead"
        )
    needed = [
        name
        for name in columns
        if name in live and live[name].required and replacement.get(name) is None
    ]
    if needed:
        raise RedactionError(
            f"{', '.join(needed)} of {one.qualified} must not be NULL; give a replacement, e.g. "
            f"replacement={{{needed[0]!r}: …}}"
        )


def _value(
    connection: Connection, one: RecordedTable, facts: Facts, value: Any
) -> ColumnElement[Any]:
    if value is None:
        return typed(null(), NamedType(facts.type))
    if isinstance(value, dict) or (isinstance(value, list) and facts.type in ("json", "jsonb")):
        value = json.dumps(value)
    made = typed(bindparam(None, value, NullType()), NamedType(facts.type))
    try:
        with connection.begin_nested():
            connection.execute(select(made))
    except DBAPIError as error:
        raise RedactionError(
            f"{value!r} is no replacement for {facts.name} ({facts.type}) of {one.qualified}: "
            f"{error.orig}"
        ) from error
    return made


__all__ = ["Facts", "NamedType", "Targets", "columns_of", "targets", "typed"]
