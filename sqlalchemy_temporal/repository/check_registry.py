"""Check what the library's own tables say of each other, and of the database's catalog."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Row, Table, and_, func, select, text

from sqlalchemy_temporal.ddl.postgresql.table import STAMP_TRIGGER
from sqlalchemy_temporal.errors import ConfigurationError
from sqlalchemy_temporal.naming import TX_COLUMN, VersioningOptions, history_name
from sqlalchemy_temporal.repository.check_rows import Named
from sqlalchemy_temporal.repository.findings import Findings, Problem, ProblemKind
from sqlalchemy_temporal.schema import SystemTables, system_of

_CATALOG: Final = text(
    """
    SELECT v.id, c.oid IS NOT NULL AS has_live, h.oid IS NOT NULL AS has_history,
           (SELECT array_agg(a.attname::text ORDER BY k.position)
            FROM pg_index i
            CROSS JOIN LATERAL unnest(i.indkey::smallint[]) WITH ORDINALITY
              AS k (attnum, position)
            JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
            WHERE i.indrelid = c.oid AND i.indisprimary AND k.position <= i.indnkeyatts) AS key,
           (SELECT jsonb_object_agg(a.attname, format_type(a.atttypid, a.atttypmod))
            FROM pg_attribute a
            WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
           (SELECT obj_description(g.oid, 'pg_trigger') FROM pg_trigger g
            WHERE g.tgrelid = c.oid AND g.tgname = :stamp) AS comment
    FROM jsonb_to_recordset(CAST(:tables AS jsonb))
      AS v (id integer, schema text, name text, history_schema text, history text)
    LEFT JOIN pg_namespace n ON n.nspname = v.schema
    LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = v.name
    LEFT JOIN pg_namespace m ON m.nspname = v.history_schema
    LEFT JOIN pg_class h ON h.relnamespace = m.oid AND h.relname = v.history
    """
)
_TRIGGERED: Final = text(
    """
    SELECT n.nspname AS schema, c.relname AS name
    FROM pg_trigger t
    JOIN pg_proc p ON p.oid = t.tgfoid
    JOIN pg_namespace m ON m.oid = p.pronamespace AND m.nspname = :schema
    JOIN pg_class c ON c.oid = t.tgrelid AND NOT c.relispartition
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE t.tgname = :stamp
    """
)


@dataclass(frozen=True, slots=True)
class RegistryCheck:
    """The check of what is registered.

    Attributes:
        connection: where.
        schema: the schema of the library's own tables.
        findings: where problems go.
        upto: the number of the last commit to check.
    """

    connection: Connection
    schema: str
    findings: Findings
    upto: int

    @property
    def _own(self) -> Any:
        """The id of the transaction under way here, whose rows nobody else sees."""
        return text("nullif(current_setting('temporal.tx_id', true), '')::bigint")

    @property
    def _system(self) -> SystemTables:
        return system_of(self.connection, self.schema)

    def run(self, tables: Iterable[Named]) -> None:
        """Check everything, given the ``tables`` that are registered."""
        known = list(tables)
        self._commits()
        self._roots({table.id for table in known})
        self._refs()
        self._key_changes({table.qualified for table in known})
        self._overrides({table.id for table in known})
        self._listed()
        self._sequences()

    # Commits -------------------------------------------------------------------------------

    def _commits(self) -> None:
        commit, transaction = self._system.commit, self._system.transaction
        unsealed = (
            select(transaction.c.commit_seq, transaction.c.uuid)
            .outerjoin_from(transaction, commit, commit.c.tx_id == transaction.c.id)
            .where(transaction.c.commit_seq <= self.upto, commit.c.seq.is_(None))
        )
        for row in self._some(unsealed):
            self._report(
                "missing",
                "the commit of a transaction is gone",
                "commit",
                None,
                seq=row.commit_seq,
                commit=row.uuid,
            )

    def _roots(self, tables: set[int]) -> None:
        root, commit = self._system.commit_root, self._system.commit
        orphans = (
            select(root.c.seq)
            .outerjoin_from(root, commit, commit.c.seq == root.c.seq)
            .where(commit.c.seq.is_(None))
            .distinct()
        )
        for row in self._some(orphans):
            self._report("added", "a root of no commit", "commit_root", "seq", seq=row.seq)
        gone = select(root.c.table_id, func.count().label("n")).group_by(root.c.table_id)
        for row in self._some(gone.where(root.c.table_id.not_in(tables))):
            self.findings.unverifiable.append(
                f"{row.n} commit(s) changed a table that is no longer registered (number "
                f"{row.table_id}): its versioning was removed with its history"
            )

    # What points to commits ------------------------------------------------------------------

    def _refs(self) -> None:
        ref, transaction = self._system.ref, self._system.transaction
        lost = (
            select(ref.c.name, ref.c.commit_uuid)
            .outerjoin_from(ref, transaction, transaction.c.uuid == ref.c.commit_uuid)
            .where(transaction.c.id.is_(None), ref.c.commit_uuid.is_not(None))
        )
        for row in self._some(lost):
            message = f"{row.name!r} names no commit"
            self._report("altered", message, "ref", "commit_uuid", key={"name": row.name})

    def _key_changes(self, tables: set[str]) -> None:
        changed = self._system.pk_change
        self._of_commits(changed, "tx_id", {"id": changed.c.id})
        names = select(changed.c.table_schema, changed.c.table_name).distinct()
        for row in self.connection.execute(names):
            if f"{row[0]}.{row[1]}" not in tables:
                message = f"{row[0]}.{row[1]} is not a versioned table"
                self._report("unaccounted", message, "pk_change", "table_name")

    def _overrides(self, tables: set[int]) -> None:
        override = self._system.leaf_override
        for name in ("tx_id", "by_tx_id"):
            self._of_commits(override, name, {"id": override.c.id})
        for number in self.connection.scalars(select(override.c.table_id).distinct()):
            if number not in tables:
                self.findings.unverifiable.append(
                    f"versions were redacted or purged of a table that is no longer registered "
                    f"(number {number})"
                )

    def _of_commits(self, table: Table, name: str, key: dict[str, Any]) -> None:
        transaction = self._system.transaction
        lost = (
            select(*key.values(), table.c[name].label("tx"))
            .outerjoin_from(table, transaction, transaction.c.id == table.c[name])
            .where(and_(transaction.c.id.is_(None), table.c[name].is_distinct_from(self._own)))
        )
        for row in self._some(lost):
            self._report(
                "unaccounted",
                f"no commit has the transaction {row.tx}",
                table.name,
                name,
                key=dict(zip(key, row, strict=False)),
            )

    # The list of versioned tables --------------------------------------------------------------

    def _listed(self) -> None:
        listed = self._system.versioned_tables
        rows = self.connection.execute(select(listed).order_by(listed.c.id)).all()
        tables = [
            {
                "id": row.id,
                "schema": row.table_schema,
                "name": row.table_name,
                "history_schema": row.history_schema,
                "history": row.history_table,
            }
            for row in rows
        ]
        found = self.connection.execute(
            _CATALOG, {"tables": json.dumps(tables), "stamp": STAMP_TRIGGER}
        )
        catalog = {row.id: row for row in found}
        for row in rows:
            self._one(row, catalog[row.id])
        names = {(row.table_schema, row.table_name) for row in rows}
        recording = self.connection.execute(
            _TRIGGERED, {"schema": self.schema, "stamp": STAMP_TRIGGER}
        )
        for row in recording:
            if (row.schema, row.name) not in names:
                message = f"{row.schema}.{row.name} has our triggers and is not listed"
                self._report("missing", message, "versioned_tables", "table_name")

    def _one(self, row: Row[Any], catalog: Row[Any]) -> None:
        if not catalog.has_live and row.disabled_tx_id is None:
            self._drift(row, "table_name", "there is no such table")
        if not catalog.has_history:
            self._drift(row, "history_table", "there is no such table")
        if row.history_table != expected_history(row):
            self._drift(row, "options", "the name of the history table does not follow")
        if row.purged_seq is not None and not self._is_commit(row.purged_seq):
            self._drift(row, "purged_seq", f"there is no commit {row.purged_seq}")
        self._interruptions(row)
        if not catalog.has_live:
            return
        recording = TX_COLUMN in catalog.columns
        if recording != (row.disabled_tx_id is None):
            self._drift(row, "disabled_tx_id", "the live table says otherwise")
        if recording:
            self._recording(row, catalog)

    def _recording(self, row: Row[Any], catalog: Row[Any]) -> None:
        if catalog.key and catalog.key != list(row.key_columns):
            self._drift(row, "key_columns", f"the key is {', '.join(catalog.key)}")
        current = {each["name"]: each["type"] for each in row.columns if each["until"] is None}
        live = {name: type_ for name, type_ in catalog.columns.items() if name != TX_COLUMN}
        if set(current) | set(row.excluded_columns) != set(live):
            self._drift(row, "excluded_columns", "the live table has other columns")
        elif set(current) & set(row.excluded_columns):
            self._drift(row, "excluded_columns", "a column is both recorded and excluded")
        elif any(live[name] != type_ for name, type_ in current.items()):
            self._drift(row, "columns", "the live table has columns of other types")
        if row.capture == "trigger" and not (catalog.comment or "").startswith(row.fingerprint):
            self._drift(row, "fingerprint", "the triggers have another one")
        if (row.capture == "trigger") != (catalog.comment is not None):
            self._drift(row, "capture", "the table's triggers say otherwise")

    def _interruptions(self, row: Row[Any]) -> None:
        """Check when recording was interrupted: from and until a commit each time."""
        transaction = self._system.transaction
        ends = [gap[name] for gap in row.gaps for name in ("since", "until")]
        disabled = row.disabled_tx_id
        statement = select(transaction.c.id, transaction.c.started_at).where(
            transaction.c.id.in_([*ends, disabled or 0, row.enabled_tx_id])
        )
        began = {each.id: each.started_at for each in self.connection.execute(statement)}
        if row.enabled_tx_id not in began:
            self._drift(row, "enabled_tx_id", "no commit has this transaction")
        if disabled is not None and disabled not in began:
            self._drift(row, "disabled_tx_id", f"no commit has the transaction {disabled}")
        elif began.get(disabled) != row.disabled_at:
            self._drift(row, "disabled_at", "not when that transaction began")
        if not set(ends) <= set(began):
            self._drift(row, "gaps", "a gap does not begin or end with a commit")

    def _is_commit(self, seq: int) -> bool:
        transaction = self._system.transaction
        found = select(transaction.c.id).where(transaction.c.commit_seq == seq)
        return self.connection.scalar(found) is not None

    def _sequences(self) -> None:
        transaction = self._system.transaction
        highest = self.connection.execute(
            select(func.max(transaction.c.id), func.max(transaction.c.commit_seq))
        ).one()
        for sequence, used in zip(self._system.sequences, highest, strict=True):
            quoted = self.connection.dialect.identifier_preparer.format_sequence(sequence)
            reached = self.connection.exec_driver_sql(
                f"SELECT last_value FROM {quoted}"  # noqa: S608 - quoted
            ).scalar_one()
            if used is not None and reached < used:
                message = f"it would give numbers up to {used} again"
                self._report("altered", message, str(sequence.name), "last_value")

    # Reporting ---------------------------------------------------------------------------------

    def _some(self, statement: Any) -> Any:
        return self.connection.execute(statement.limit(self.findings.limit)).all()

    def _drift(self, row: Row[Any], column: str, message: str) -> None:
        name = f"{row.table_schema}.{row.table_name}"
        self._report("drift", f"{name}: {message}", "versioned_tables", column, key={"id": row.id})

    def _report(
        self,
        kind: ProblemKind,
        message: str,
        table: str,
        column: str | None,
        *,
        seq: int | None = None,
        commit: UUID | None = None,
        key: dict[str, Any] | None = None,
    ) -> None:
        self.findings.add(
            Problem(kind, message, f"{self.schema}.{table}", column, key, seq, commit)
        )


def expected_history(row: Row[Any]) -> str | None:
    """What the history table of a registered table should be called."""
    said = row.options
    options = VersioningOptions(
        schema="",
        history_table_suffix=said.get("history_table_suffix", ""),
        history_schema=row.history_schema,
    )
    try:
        return history_name(said.get("schema"), row.table_name, options)
    except ConfigurationError:
        return None
