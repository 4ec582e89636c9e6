"""The tables and row triggers of one versioned table on SQLite.

Beside the live table, which is not changed at all, lie

``customers_history``
    its closed versions, as on every database;
``customers_history_current``
    its key and the transaction that wrote the current version of each row;
``customers_history_replaced``
    between the beginning and the end of an INSERT or UPDATE of a row: the rows it would
    replace. ``REPLACE`` deletes rows without a DELETE trigger, unless
    ``PRAGMA recursive_triggers`` is on.

Versions are closed by BEFORE triggers: the application's own triggers may change the same
row again, in an order that SQLite does not promise, and the first BEFORE trigger of a row is
the one that still sees what the row was. AFTER triggers note what has become of the row.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sqlalchemy_temporal.ddl.postgresql.quoting import Quoter
from sqlalchemy_temporal.ddl.spec import ColumnSpec, TableSpec
from sqlalchemy_temporal.ddl.sqlite.system import SystemSql, trigger
from sqlalchemy_temporal.naming import (
    END_COLUMN,
    FROM_COLUMN,
    ID_COLUMN,
    OPERATION_COLUMN,
    TO_COLUMN,
    TX_COLUMN,
    current_name,
    replaced_name,
    shorten,
)

PURPOSES = (
    "suspect_insert",
    "suspect_update",
    "insert",
    "update",
    "updated",
    "delete",
    "deleted",
    "replaced",
)
"""The triggers of each table, see :meth:`SqliteTableSql.triggers`."""

_GONE = "temporal_gone"
_TYPE = re.compile(r"[\w\s(),.+-]*")


def trigger_name(purpose: str, table: str) -> str:
    """A trigger's name; unlike PostgreSQL's they have one name space per database."""
    return shorten(f"temporal_{purpose}__{table}")


@dataclass(frozen=True, slots=True)
class SqliteTableSql:
    """Renders the SQL of one versioned table."""

    spec: TableSpec
    quote: Quoter

    # Names -------------------------------------------------------------------------

    @property
    def system(self) -> SystemSql:
        """The library's own objects."""
        return SystemSql(self.spec.options.schema, self.quote)

    @property
    def live(self) -> str:
        """The quoted live table."""
        return self.quote.name(self.spec.name)

    @property
    def history(self) -> str:
        """The quoted history table."""
        return self.quote.name(self.spec.history_table)

    @property
    def current(self) -> str:
        """The quoted table of current versions."""
        spec = self.spec
        return self.quote.name(current_name(spec.schema, spec.name, spec.options))

    @property
    def replaced(self) -> str:
        """The quoted table of rows about to be replaced."""
        spec = self.spec
        return self.quote.name(replaced_name(spec.schema, spec.name, spec.options))

    # Tables ------------------------------------------------------------------------

    def history_statements(self) -> Iterator[str]:
        """Create the history table and its indexes."""
        q = self.quote
        columns = ", ".join(self.history_column(c.name) for c in self.spec.columns)
        yield (
            f"CREATE TABLE IF NOT EXISTS {self.history} ({columns}, "
            f"{ID_COLUMN} INTEGER PRIMARY KEY, {OPERATION_COLUMN} TEXT NOT NULL, "
            f"{TX_COLUMN} INTEGER NOT NULL, {END_COLUMN} INTEGER NOT NULL, "
            f"{FROM_COLUMN} DATETIME, {TO_COLUMN} DATETIME, "
            f"UNIQUE ({q.names((*self.spec.key, END_COLUMN, TX_COLUMN))}))"
        )
        yield from self.index_statements()

    def history_column(self, name: str) -> str:
        """A column of history: without a type, so that it keeps every value as it is.

        Columns that are looked up have the live table's type: SQLite uses no index to compare
        a column without a type with one that has a type.
        """
        column = self._column(name)
        declared = f" {self.history_type(name)}".rstrip()
        return f"{self.quote.name(name)}{declared}{_collate(column.collation)}"

    def history_type(self, name: str) -> str:
        """The type of a column of history; empty for all that are not looked up."""
        spec = self.spec
        listed = (spec.key, *spec.foreign_keys, *spec.options.index)
        looked_up = {each for columns in listed for each in columns}
        return _plain_type(self._column(name).type) if name in looked_up else ""

    def _column(self, name: str) -> ColumnSpec:
        return next(column for column in self.spec.columns if column.name == name)

    def _key_column(self, name: str) -> str:
        """A key column beside the live table, which compares as the live table's does."""
        column = self._column(name)
        return f"{self.quote.name(name)} {_plain_type(column.type)}{_collate(column.collation)}"

    def indexes(self) -> dict[str, tuple[str, ...]]:
        """Index names of the history table and their columns."""
        table = self.spec.history_table
        found: dict[str, tuple[str, ...]] = {
            shorten(f"{table}_time_idx"): (END_COLUMN, TX_COLUMN),
        }
        covered = [self.spec.key]
        for columns in (*self.spec.foreign_keys, *self.spec.options.index):
            if all(columns != seen[: len(columns)] for seen in covered):
                covered.append(columns)
                found[shorten(f"{table}_{'_'.join(columns)}_idx")] = (
                    *columns,
                    END_COLUMN,
                    TX_COLUMN,
                )
        return found

    def index_statements(self) -> Iterator[str]:
        """Create the indexes of the history table that do not exist yet."""
        for name, columns in self.indexes().items():
            yield (
                f"CREATE INDEX IF NOT EXISTS {self.quote.name(name)} ON {self.history} "
                f"({self.quote.names(columns)})"
            )

    def current_statements(self) -> Iterator[str]:
        """Create the tables beside the live one; rows that are there begin now."""
        q, system = self.quote, self.system
        key = ", ".join(self._key_column(name) for name in self.spec.key)
        yield from self.drop_current_statements()
        yield (
            f"CREATE TABLE {self.current} ({key}, {TX_COLUMN} INTEGER NOT NULL, "
            f"PRIMARY KEY ({q.names(self.spec.key)})) WITHOUT ROWID"
        )
        yield (
            f"CREATE INDEX {q.name(shorten(f'{self.spec.history_table}_current_idx'))} "
            f"ON {self.current} ({TX_COLUMN})"
        )
        yield from self._replaced_statements()
        yield system.start
        yield (
            f"INSERT INTO {self.current} ({q.names(self.spec.key)}, {TX_COLUMN}) "
            f"SELECT {q.names(self.spec.key)}, {system.tx} FROM {self.live}"
        )

    def drop_current_statements(self) -> Iterator[str]:
        """Drop the tables beside the live one."""
        yield f"DROP TABLE IF EXISTS {self.current}"
        yield f"DROP TABLE IF EXISTS {self.replaced}"

    def _replaced_statements(self) -> Iterator[str]:
        columns = ", ".join(self.history_column(c.name) for c in self.spec.columns)
        yield f"DROP TABLE IF EXISTS {self.replaced}"
        yield f"CREATE TABLE {self.replaced} ({columns}, {_GONE} INTEGER NOT NULL DEFAULT 0)"

    def adopt_statements(self) -> Iterator[str]:
        """Let rows that escaped the triggers begin now, and forget rows that are gone."""
        q, system = self.quote, self.system
        yield from self._replaced_statements()
        yield system.start
        yield (
            f"INSERT INTO {self.current} ({q.names(self.spec.key)}, {TX_COLUMN}) "
            f"SELECT {q.names(self.spec.key, 'l.')}, {system.tx} FROM {self.live} AS l WHERE NOT "
            f"EXISTS (SELECT 1 FROM {self.current} AS c WHERE {self._same('c.', 'l.')})"
        )
        yield (
            f"DELETE FROM {self.current} WHERE NOT EXISTS (SELECT 1 FROM {self.live} AS l "
            f"WHERE {self._same('l.', f'{self.current}.')})"
        )

    def close_statements(self) -> Iterator[str]:
        """Copy what the table has now into history, ended by this transaction."""
        system = self.system
        yield system.start
        yield (
            f"INSERT OR IGNORE INTO {self._target()} "
            f"SELECT {self.quote.names(self.spec.column_names, 'l.')}, 'DISABLE', {self._ends()} "
            f"FROM {self.live} AS l JOIN {self.current} AS c ON {self._same('c.', 'l.')}, "
            f"{system.name('pending')} AS p"
        )

    # Parts of triggers -------------------------------------------------------------

    def _in_step(self) -> str:
        """Refuse to record when columns were added that history does not know.

        SQLite counts the columns when it prepares a statement, anew after every change of
        the schema, and says what the list is called when the numbers differ; no row is read.
        """
        columns = (*self.spec.columns, *self.spec.unrecorded)
        said = self.quote.preparer.quote_identifier(
            f"{self.spec.name} was changed without its history, so this change of its rows was "
            "refused: run sync_versioning(connection, table), or op.sync_versioning() in a "
            "migration. It"
        )
        return (
            f"SELECT 1 FROM (WITH {said} ({self.quote.names(c.name for c in columns)}) AS "
            f"(SELECT * FROM {self.live} WHERE 0) SELECT 1 FROM {said})"
        )

    def _target(self) -> str:
        return (
            f"{self.history} ({self.quote.names(self.spec.column_names)}, "
            f"{OPERATION_COLUMN}, {TX_COLUMN}, {END_COLUMN}, {FROM_COLUMN}, {TO_COLUMN})"
        )

    def _ends(self) -> str:
        """The system columns of a version that the transaction under way ends."""
        began = (
            f"(SELECT t.started_at FROM {self.system.name('transaction')} AS t "
            f"WHERE t.id = c.{TX_COLUMN})"
        )
        return f"c.{TX_COLUMN}, p.tx_id, {began}, p.started_at"

    def _same(self, left: str, right: str, names: Iterable[str] | None = None) -> str:
        return self.quote.equal(self.spec.key if names is None else names, left, right)

    def differs(self, names: Iterable[str], left: str = "OLD", right: str = "NEW") -> str:
        """Whether a column changed, by type and by bytes: not by the column's collation."""
        q = self.quote
        return " OR ".join(
            f"{left}.{q.name(name)} IS NOT {right}.{q.name(name)} COLLATE BINARY "
            f"OR typeof({left}.{q.name(name)}) <> typeof({right}.{q.name(name)})"
            for name in names
        )

    def _close(self, row: str, operation: str) -> str:
        """Record the version that ``row`` is, unless this transaction wrote it."""
        return (
            f"INSERT INTO {self._target()} SELECT "
            f"{self.quote.names(self.spec.column_names, f'{row}.')}, '{operation}', {self._ends()} "
            f"FROM {self.current} AS c, {self.system.name('pending')} AS p "
            f"WHERE {self._same('c.', f'{row}.')} AND c.{TX_COLUMN} <> p.tx_id"
        )

    def _count(self, *changes: str) -> str:
        return self.system.count(self.spec.qualified, *changes)

    def _delete(self, row: str) -> Iterator[str]:
        """Record that ``row`` is deleted, also when this transaction changed it before."""
        system, current = self.system, self.current
        own = (
            f"EXISTS (SELECT 1 FROM {current} AS c WHERE {self._same('c.', f'{row}.')} "
            f"AND c.{TX_COLUMN} = {system.tx})"
        )
        yield self._count(f"inserted = inserted - ({own})")
        yield self._close(row, "DELETE")
        yield self._count("deleted = deleted + changes()")
        yield (
            f"UPDATE {self.history} SET {OPERATION_COLUMN} = 'DELETE' "
            f"WHERE {self._same('', f'{row}.')} AND {END_COLUMN} = {system.tx} "
            f"AND {OPERATION_COLUMN} = 'UPDATE'"
        )
        yield self._count(
            "inserted = inserted + changes()",
            "updated = updated - changes()",
            "deleted = deleted + changes()",
        )

    def _suspects(self, *, but_not: str = "") -> Iterator[str]:
        """Keep the rows that the new row would replace, if it does replace rows."""
        matches = [self._same("l.", "NEW.")]
        matches += [
            " AND ".join(
                f"l.{self.quote.name(name)} = NEW.{self.quote.name(name)}{_collate(collation)}"
                for name, collation in unique
            )
            for unique in self.spec.uniques
        ]
        which = " OR ".join(f"({match})" for match in dict.fromkeys(matches))
        names = self.quote.names(self.spec.column_names)
        # Rows of before that are gone by now: of an INSERT that is not over yet, in whose
        # triggers this one is run.
        yield self.system.start_if(
            f"EXISTS (SELECT 1 FROM {self.replaced} AS r WHERE {self._dead('r.')})"
        )
        yield self._confirm_dead()
        yield f"DELETE FROM {self.replaced}"
        yield (
            f"INSERT INTO {self.replaced} ({names}) "
            f"SELECT {self.quote.names(self.spec.column_names, 'l.')} FROM {self.live} AS l "
            f"WHERE ({which}){but_not}"
        )

    def _confirm(self) -> Iterator[str]:
        """Record those of them that it did replace."""
        yield (
            f"UPDATE {self.replaced} SET {_GONE} = 1 WHERE ({self._same('', 'NEW.')}) "
            f"OR {self._dead(f'{self.replaced}.')}"
        )
        yield f"DELETE FROM {self.replaced}"

    def _confirm_dead(self) -> str:
        """Record those of them that are gone, whatever has become of the new row."""
        return f"UPDATE {self.replaced} SET {_GONE} = 1 WHERE {self._dead(f'{self.replaced}.')}"

    def _dead(self, row: str) -> str:
        return f"NOT EXISTS (SELECT 1 FROM {self.live} AS l WHERE {self._same('l.', row)})"

    # Triggers ----------------------------------------------------------------------

    def triggers(self) -> dict[str, str]:
        """The triggers' names and their statements."""
        made: dict[str, str] = {}
        programs = self._programs()
        for purpose in PURPOSES:
            when, body = programs[purpose]
            name = trigger_name(purpose, self.spec.name)
            made[name] = trigger(self.quote.name(name), when, body)
        return made

    def _programs(self) -> dict[str, tuple[str, tuple[str, ...]]]:
        live, system, spec = self.live, self.system, self.spec
        stored = [c.name for c in spec.columns if not c.generated]
        unique = list(
            dict.fromkeys((*spec.key, *(name for each in spec.uniques for name, _ in each)))
        )
        moved = self.differs(spec.key)
        taken = self.differs(unique)
        stamp = (
            f"UPDATE {self.current} SET {TX_COLUMN} = {system.tx} WHERE {self._same('', 'OLD.')}"
        )
        return {
            "suspect_insert": (f"BEFORE INSERT ON {live}", tuple(self._suspects())),
            "suspect_update": (
                f"BEFORE UPDATE ON {live} WHEN {taken}",
                tuple(self._suspects(but_not=f" AND NOT ({self._same('l.', 'OLD.')})")),
            ),
            "insert": (
                f"AFTER INSERT ON {live}",
                (
                    system.start,
                    *self._confirm(),
                    f"DELETE FROM {self.current} WHERE {self._same('', 'NEW.')}",
                    *self._refuse_null_key(),
                    (
                        f"INSERT INTO {self.current} ({self.quote.names(spec.key)}, {TX_COLUMN}) "
                        f"SELECT {self.quote.names(spec.key, 'NEW.')}, {system.tx} "
                        f"WHERE EXISTS (SELECT 1 FROM {live} AS l WHERE {self._same('l.', 'NEW.')})"
                    ),
                    self._count("inserted = inserted + 1"),
                    system.finish,
                ),
            ),
            "update": (
                f"BEFORE UPDATE ON {live} WHEN {self.differs(stored)}",
                (
                    self._in_step(),
                    system.start,
                    self._close("OLD", "UPDATE"),
                    self._count("updated = updated + changes()"),
                    stamp,
                    system.finish,
                ),
            ),
            "updated": (
                f"AFTER UPDATE ON {live} WHEN {taken}",
                (*self._confirm(), *self._move_key(moved), system.finish),
            ),
            "delete": (
                f"BEFORE DELETE ON {live}",
                (self._in_step(), system.start, *self._delete("OLD"), stamp, system.finish),
            ),
            "deleted": (
                f"AFTER DELETE ON {live}",
                (
                    # Recorded already; an INSERT that did nothing may have suspected it.
                    f"DELETE FROM {self.replaced} WHERE {self._same('', 'OLD.')}",
                    # A row that was about to be changed may go with one that it replaced.
                    self._confirm_dead(),
                    (
                        f"DELETE FROM {self.current} WHERE {self._same('', 'OLD.')} "
                        f"AND {self._dead('OLD.')}"
                    ),
                    system.finish,
                ),
            ),
            "replaced": (
                f"AFTER UPDATE OF {_GONE} ON {self.replaced}",
                (
                    *self._delete("NEW"),
                    f"DELETE FROM {self.current} WHERE {self._same('', 'NEW.')}",
                ),
            ),
        }

    def _refuse_null_key(self) -> Iterator[str]:
        """SQLite allows NULL in most primary keys; such rows cannot be told apart."""
        missing = " OR ".join(f"NEW.{self.quote.name(name)} IS NULL" for name in self.spec.key)
        message = f"a versioned row of {self.spec.name} needs a primary key that is not NULL"
        yield f"SELECT RAISE(ABORT, {self.quote.literal(message)}) WHERE {missing}"

    def _move_key(self, moved: str) -> Iterator[str]:
        q, system, spec = self.quote, self.system, self.spec
        assigned = ", ".join(f"{q.name(name)} = NEW.{q.name(name)}" for name in spec.key)
        yield from (
            statement.replace("WHERE ", f"WHERE ({moved}) AND (", 1) + ")"
            for statement in self._refuse_null_key()
        )
        yield f"UPDATE {self.current} SET {assigned} WHERE ({moved}) AND {self._same('', 'OLD.')}"
        yield (
            f"INSERT INTO {system.name('pk_change')} (table_schema, table_name, tx_id, old_key, "
            f"new_key) SELECT {q.literal(spec.live_schema)}, {q.literal(spec.name)}, {system.tx}, "
            f"{self._key_document('OLD')}, {self._key_document('NEW')} WHERE {moved}"
        )

    def _key_document(self, row: str) -> str:
        """The key as JSON, which has no bytes: those are written in hexadecimal."""
        pairs = ", ".join(
            f"{self.quote.literal(name)}, CASE typeof({row}.{self.quote.name(name)}) "
            f"WHEN 'blob' THEN hex({row}.{self.quote.name(name)}) "
            f"ELSE {row}.{self.quote.name(name)} END"
            for name in self.spec.key
        )
        return f"json_object({pairs})"

    def drop_trigger_statements(self) -> Iterator[str]:
        """Drop the triggers."""
        for name in self.triggers():
            yield f"DROP TRIGGER IF EXISTS {self.quote.name(name)}"

    # Registration ------------------------------------------------------------------

    def register_statements(self, fingerprint: str, options: str) -> Iterator[str]:
        """Write the table into the list of versioned tables, as a commit of its own kind."""
        q, spec, system = self.quote, self.spec, self.system
        values = (
            q.literal(spec.live_schema),
            q.literal(spec.name),
            q.literal(spec.history_schema),
            q.literal(spec.history_table),
            q.literal(json.dumps(spec.key)),
            q.literal(json.dumps(spec.options.exclude)),
            q.literal(spec.options.capture),
            "'[]'",
            q.literal(fingerprint),
            q.literal(options),
            system.tx,
        )
        listed = system.name("versioned_tables")
        gap = (
            "json_object('since', disabled_tx_id, 'since_at', disabled_at, "
            "'until', excluded.enabled_tx_id, 'until_at', CURRENT_TIMESTAMP)"
        )
        yield system.start
        yield (
            f"INSERT INTO {listed} (table_schema, table_name, history_schema, history_table, "
            "key_columns, excluded_columns, capture, columns, fingerprint, options, "
            f"enabled_tx_id) VALUES ({', '.join(values)}) "
            "ON CONFLICT (table_schema, table_name) DO UPDATE SET "
            "key_columns = excluded.key_columns, excluded_columns = excluded.excluded_columns, "
            "capture = excluded.capture, fingerprint = excluded.fingerprint, "
            "options = excluded.options, "
            # What happened since it was disabled is not known.
            "gaps = CASE WHEN disabled_tx_id IS NULL THEN gaps "
            f"ELSE json_insert(gaps, '$[#]', {gap}) END, "
            "disabled_tx_id = NULL, disabled_at = NULL"
        )
        yield self._identities(listed)
        yield (
            f"INSERT OR IGNORE INTO {system.name('counts')} (name) "
            f"VALUES ({q.literal(spec.qualified)})"
        )
        yield from self.note_statements("BASELINE")

    def _identities(self, listed: str) -> str:
        """Give new columns identities, and end those of columns that are gone or retyped."""
        q, system = self.quote, self.system
        now = ", ".join(
            f"({position}, {q.literal(c.name)}, {q.literal(c.type)})"
            for position, c in enumerate(self.spec.columns)
        )
        kept = (
            "EXISTS (SELECT 1 FROM now AS n WHERE n.name = json_extract(e.value, '$.name') "
            "AND n.type = json_extract(e.value, '$.type'))"
        )
        known = (
            "EXISTS (SELECT 1 FROM json_each(v.columns) AS e WHERE "
            "json_extract(e.value, '$.until') IS NULL AND "
            "json_extract(e.value, '$.name') = n.name AND json_extract(e.value, '$.type') = n.type)"
        )
        return f"""UPDATE {listed} AS v SET columns = (
  WITH now(position, name, type) AS (VALUES {now})
  SELECT json_group_array(json(u.entry)) FROM (
    SELECT e.key AS position, CASE WHEN json_extract(e.value, '$.until') IS NULL AND NOT {kept}
      THEN json_set(e.value, '$.until', {system.tx}) ELSE e.value END AS entry
    FROM json_each(v.columns) AS e
    UNION ALL
    SELECT 1000000 + n.position, json_object('id', (SELECT coalesce(max(
        json_extract(e.value, '$.id')), 0) FROM json_each(v.columns) AS e)
        + row_number() OVER (ORDER BY n.position),
      'name', n.name, 'type', n.type, 'since', {system.tx}, 'until', NULL, 'history', n.name)
    FROM now AS n WHERE NOT {known}
    ORDER BY 1) AS u)
  WHERE {self.registered}"""

    def disabled_statements(self) -> Iterator[str]:
        """Note that the table is not recorded from this transaction on."""
        system = self.system
        yield system.start
        yield (
            f"UPDATE {system.name('versioned_tables')} SET disabled_tx_id = {system.tx}, "
            f"disabled_at = CURRENT_TIMESTAMP WHERE {self.registered}"
        )
        yield from self.note_statements("DISABLE")

    def note_statements(self, operation: str) -> Iterator[str]:
        """Make this transaction a commit of a kind, though no row changes."""
        system, kind = self.system, self.quote.literal(operation)
        yield f"UPDATE {system.name('pending')} SET operation = {kind} WHERE mode = 'client'"
        yield (
            f"UPDATE {system.name('transaction')} SET operation = {kind} "
            f"WHERE id = (SELECT p.tx_id FROM {system.name('pending')} AS p "
            "WHERE p.mode = 'statement')"
        )
        yield self._count()
        yield system.finish

    @property
    def registered(self) -> str:
        """The condition that finds the table's registration."""
        return (
            f"table_schema = {self.quote.literal(self.spec.live_schema)} "
            f"AND table_name = {self.quote.literal(self.spec.name)}"
        )

    def unregister_statements(self) -> Iterator[str]:
        """Strike the table from the list of versioned tables."""
        system = self.system
        yield f"DELETE FROM {system.name('versioned_tables')} WHERE {self.registered}"
        yield f"DELETE FROM {system.name('pk_change')} WHERE {self.registered}"
        yield (
            f"DELETE FROM {system.name('counts')} "
            f"WHERE name = {self.quote.literal(self.spec.qualified)}"
        )


def _collate(collation: str | None) -> str:
    """A COLLATE clause where the collation is not the ordinary one."""
    if collation is None or collation.upper() == "BINARY":
        return ""
    return f' COLLATE "{collation}"'


def _plain_type(declared: str) -> str:
    """A column's type as it can stand in a declaration.

    ``ANY`` keeps every value as it is in a STRICT table only; no type does so everywhere.
    """
    if declared.upper() == "ANY" or not _TYPE.fullmatch(declared):
        return ""
    return declared
