"""Rows that the database changes by itself, because a row they refer to is deleted or moved.

Foreign keys with ON DELETE CASCADE, SET NULL or SET DEFAULT, and those with the like ON UPDATE,
are read from the catalog: a model need not know of them. What they lead to is found before the
statement runs, level by level, in one question per foreign key and level.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, text

from sqlalchemy_temporal.capture.orm.postgresql import arrays
from sqlalchemy_temporal.capture.orm.recorder import OURS, Found, Key, Recorder
from sqlalchemy_temporal.capture.orm.sqlite import key_lists, listing_keys
from sqlalchemy_temporal.capture.orm.state import TableName
from sqlalchemy_temporal.ddl.parameters import finished, parameter
from sqlalchemy_temporal.ddl.postgresql.quoting import Quoter
from sqlalchemy_temporal.errors import UnrecordedWriteError

_POSTGRESQL: Final = text(
    """
    SELECT cn.nspname AS child_schema, c.relname AS child, pn.nspname AS parent_schema,
      p.relname AS parent, f.confdeltype::text AS on_delete, f.confupdtype::text AS on_update,
      (SELECT array_agg(a.attname::text ORDER BY k.position)
       FROM unnest(f.conkey) WITH ORDINALITY AS k(attnum, position)
       JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.attnum) AS columns,
      (SELECT array_agg(format_type(a.atttypid, a.atttypmod) ORDER BY k.position)
       FROM unnest(f.conkey) WITH ORDINALITY AS k(attnum, position)
       JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.attnum) AS types,
      (SELECT array_agg(a.attname::text ORDER BY k.position)
       FROM unnest(f.confkey) WITH ORDINALITY AS k(attnum, position)
       JOIN pg_attribute a ON a.attrelid = f.confrelid AND a.attnum = k.attnum) AS referred
    FROM pg_constraint f
    JOIN pg_class c ON c.oid = f.conrelid JOIN pg_namespace cn ON cn.oid = c.relnamespace
    JOIN pg_class p ON p.oid = f.confrelid JOIN pg_namespace pn ON pn.oid = p.relnamespace
    WHERE f.contype = 'f' AND f.conparentid = 0
      AND (f.confdeltype IN ('c', 'n', 'd') OR f.confupdtype IN ('c', 'n', 'd'))
    ORDER BY f.oid
    """
)
_SQLITE: Final = text(
    """
    SELECT m.name AS child, f.id, f.seq, f."table" AS parent, f."from" AS child_column,
      f."to" AS referred, f.on_delete, f.on_update
    FROM sqlite_master AS m, pragma_foreign_key_list(m.name) AS f
    WHERE m.type = 'table' ORDER BY m.name, f.id, f.seq
    """
)
_KEY: Final = text("SELECT name FROM pragma_table_xinfo(:name) WHERE pk ORDER BY pk")
_ACTIONS: Final = {
    "c": "cascade",
    "n": "set",
    "d": "default",
    "CASCADE": "cascade",
    "SET NULL": "set",
    "SET DEFAULT": "default",
}


@dataclass(frozen=True, slots=True)
class Edge:
    """A foreign key that makes the database change rows by itself.

    Attributes:
        parent: the table referred to.
        child: the table that refers to it.
        columns: the columns that refer.
        types: their types as SQL.
        referred: the columns they refer to.
        on_delete: ``cascade``, ``set``, ``default``, or None.
        on_update: the same.
    """

    parent: TableName
    child: TableName
    columns: tuple[str, ...]
    types: tuple[str, ...]
    referred: tuple[str, ...]
    on_delete: str | None
    on_update: str | None


@dataclass(frozen=True, slots=True)
class Graph:
    """The foreign keys by which a change can reach a table that is captured by the ORM."""

    edges: Mapping[TableName, tuple[Edge, ...]] = field(default_factory=dict)

    def deleting(self, table: TableName) -> tuple[Edge, ...]:
        """Those that matter when rows of ``table`` are deleted."""
        return tuple(edge for edge in self.edges.get(table, ()) if edge.on_delete)

    def updating(self, table: TableName, columns: Iterable[str]) -> tuple[Edge, ...]:
        """Those that matter when ``columns`` of ``table`` get other values."""
        changed = set(columns)
        return tuple(
            edge
            for edge in self.edges.get(table, ())
            if edge.on_update and changed & set(edge.referred)
        )


def load_graph(connection: Connection, captured: Iterable[TableName]) -> Graph:
    """Read the foreign keys that lead to one of ``captured``."""
    every = list(_edges(connection))
    reached = set(captured)
    while True:
        leading = {e.parent for e in every if e.child in reached and e.on_delete == "cascade"}
        leading |= {e.parent for e in every if e.child in reached and e.on_update == "cascade"}
        if leading <= reached:
            break
        reached |= leading
    found: dict[TableName, tuple[Edge, ...]] = {}
    for edge in every:
        if edge.child in reached:
            found[edge.parent] = (*found.get(edge.parent, ()), edge)
    return Graph(found)


def _edges(connection: Connection) -> Iterator[Edge]:
    if connection.dialect.name == "postgresql":
        for row in connection.execute(_POSTGRESQL, execution_options={OURS: True}):
            yield Edge(
                parent=(row.parent_schema, row.parent),
                child=(row.child_schema, row.child),
                columns=tuple(row.columns),
                types=tuple(row.types),
                referred=tuple(row.referred),
                on_delete=_ACTIONS.get(row.on_delete),
                on_update=_ACTIONS.get(row.on_update),
            )
        return
    if not connection.exec_driver_sql("PRAGMA foreign_keys").scalar():
        return
    keys: dict[tuple[str, int], list[Any]] = {}
    for row in connection.execute(_SQLITE, execution_options={OURS: True}).all():
        keys.setdefault((row.child, row.id), []).append(row)
    for (child, _), rows in keys.items():
        first = rows[0]
        referred = tuple(row.referred for row in rows)
        if None in referred:  # the primary key is meant
            referred = tuple(connection.scalars(_KEY, {"name": first.parent}))
        yield Edge(
            parent=("public", first.parent),
            child=("public", child),
            columns=tuple(row.child_column for row in rows),
            types=(),
            referred=referred,
            on_delete=_ACTIONS.get(first.on_delete),
            on_update=_ACTIONS.get(first.on_update),
        )


# ---------------------------------------------------------------------------- what follows


Fetch = Callable[[tuple[str, ...]], list[Key]]
"""Gives the values that columns have in the rows concerned."""


@dataclass(slots=True)
class Consequences:
    """Rows that will be deleted or changed along.

    Attributes:
        deleted: by table, what records it and the rows.
        updated: the same.
    """

    connection: Connection
    graph: Graph
    recorder: Callable[[TableName], Recorder | None]
    deleted: dict[TableName, dict[Key, Found]] = field(default_factory=dict)
    updated: dict[TableName, dict[Key, Found]] = field(default_factory=dict)
    _met: dict[Edge, set[Key]] = field(default_factory=dict)

    def follow_delete(self, table: TableName, fetch: Fetch) -> None:
        """Find what goes, or loses its reference, with rows of ``table``."""
        for edge in self.graph.deleting(table):
            values = self._new(edge, fetch(edge.referred))
            if not values:
                continue
            recorder = self.recorder(edge.child)
            cascades = edge.on_delete == "cascade"
            if recorder is None:
                if cascades:
                    self.follow_delete(edge.child, self._lookup(edge.child, edge, values))
                continue
            self._refuse_default(edge, edge.on_delete, recorder)
            rows = recorder.find(self.connection, edge.columns, values, keys_stay=not cascades)
            if not cascades:
                self.updated.setdefault(edge.child, {}).update({r.key: r for r in rows})
                continue
            known = self.deleted.setdefault(edge.child, {})
            fresh = {row.key: row for row in rows if row.key not in known}
            known.update(fresh)
            if fresh:
                name = recorder.spec.key
                self.follow_delete(edge.child, self._by_key(edge.child, name, list(fresh)))

    def follow_update(
        self, table: TableName, pairs: Sequence[tuple[dict[str, Any], dict[str, Any]]]
    ) -> None:
        """Find what changes along with columns of ``table``, given old and new values."""
        changed = {name for _, new in pairs for name in new}
        for edge in self.graph.updating(table, changed):
            values: dict[Key, Key] = {}
            for old, new in pairs:
                before = tuple(old[name] for name in edge.referred)
                after = tuple({**old, **new}[name] for name in edge.referred)
                if before != after:
                    values[before] = after
            fresh = self._new(edge, list(values))
            recorder = self.recorder(edge.child)
            if recorder is None or not fresh:
                continue
            self._refuse_default(edge, edge.on_update, recorder)
            self._move(edge, recorder, {row: values[row] for row in fresh})

    def _move(self, edge: Edge, recorder: Recorder, values: Mapping[Key, Key]) -> None:
        key = recorder.spec.key
        moving = edge.on_update == "cascade" and bool(set(edge.columns) & set(key))
        known = self.updated.setdefault(edge.child, {})
        pairs = []
        for before, after in values.items():
            rows = recorder.find(self.connection, edge.columns, [before], keys_stay=not moving)
            new = dict(zip(edge.columns, after, strict=True)) if moving else {}
            for row in rows:
                new_key = tuple(new.get(n, v) for n, v in zip(key, row.key, strict=True))
                known[row.key] = Found(row.key, row.tx, new_key)
                old = dict(zip(key, row.key, strict=True))
                pairs.append((old, dict(zip(key, new_key, strict=True))))
        if moving and pairs:
            self.follow_update(edge.child, pairs)

    def _refuse_default(self, edge: Edge, action: str | None, recorder: Recorder) -> None:
        if action == "default" and set(edge.columns) & set(recorder.spec.key):
            raise UnrecordedWriteError(
                f"a foreign key of {recorder.spec.qualified!r} would set part of its key to a "
                "default, which cannot be known before: change those rows first"
            )

    def _new(self, edge: Edge, values: Iterable[Key]) -> list[Key]:
        """What was not followed along ``edge`` yet; rows may refer to each other in a circle."""
        met = self._met.setdefault(edge, set())
        fresh = [value for value in dict.fromkeys(values) if None not in value and value not in met]
        met.update(fresh)
        return fresh

    def _lookup(self, table: TableName, edge: Edge, values: Sequence[Key]) -> Fetch:
        return lambda columns: _values(
            self.connection, table, columns, values, names=edge.columns, types=edge.types
        )

    def _by_key(self, table: TableName, key: tuple[str, ...], rows: Sequence[Key]) -> Fetch:
        def fetch(columns: tuple[str, ...]) -> list[Key]:
            recorder = self.recorder(table)
            if set(columns) <= set(key) or recorder is None:
                return [tuple(row[key.index(name)] for name in columns) for row in rows]
            every = {c.name: c.type for c in (*recorder.spec.columns, *recorder.spec.unrecorded)}
            types = tuple(every[name] for name in key)
            return _values(self.connection, table, columns, rows, names=key, types=types)

        return fetch


def _values(
    connection: Connection,
    table: TableName,
    wanted: Sequence[str],
    rows: Sequence[Key],
    *,
    names: Sequence[str],
    types: Sequence[str],
) -> list[Key]:
    """The values of columns in the rows that have given values in others, locked."""
    q = Quoter(connection.dialect)
    columns = q.names(names, "t.")
    if connection.dialect.name == "postgresql":
        given = ", ".join(f"CAST({parameter(f'k{i}')} AS {t}[])" for i, t in enumerate(types))
        sql = finished(
            f"SELECT {q.names(wanted, 't.')} FROM {q.qualified(*table)} AS t "  # noqa: S608 - quoted
            f"WHERE ({columns}) IN (SELECT * FROM unnest({given})) FOR UPDATE"
        )
        found = connection.execute(text(sql), arrays("k", rows), execution_options={OURS: True})
        return [tuple(row) for row in found]
    listed = columns if len(names) == 1 else f"({columns})"
    sql = finished(
        f"SELECT {q.names(wanted, 't.')} FROM {q.name(table[1])} AS t "  # noqa: S608 - quoted
        f"WHERE {listed} IN {parameter('k')}"
    )
    statement = listing_keys(sql)
    result: list[Key] = []
    for share in key_lists(rows, len(names)):
        found = connection.execute(statement, {"k": share}, execution_options={OURS: True})
        result += [tuple(row) for row in found]
    return result


__all__ = ["Consequences", "Edge", "Fetch", "Graph", "load_graph"]
