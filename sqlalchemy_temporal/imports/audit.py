"""History recorded by postgresql-audit: one table of activities, with rows as JSON.

An activity is one change of one row: the row before it and the columns it changed. They are
numbered as they happened, so of two transactions that changed one row, the later one has the
larger last number; that is the order in which transactions are imported.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta, tzinfo
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    DateTime,
    Text,
    and_,
    cast,
    exists,
    func,
    insert,
    inspect,
    literal_column,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.sql import column, table
from sqlalchemy.sql.expression import ColumnClause, Subquery, TableClause

from sqlalchemy_temporal.ddl.postgresql.quoting import Quoter
from sqlalchemy_temporal.errors import HistoryImportError, UnsupportedDatabaseError
from sqlalchemy_temporal.imports import staging
from sqlalchemy_temporal.imports.activities import FIRST, last_states, states_before
from sqlalchemy_temporal.imports.continuum import user_of
from sqlalchemy_temporal.imports.result import ImportResult
from sqlalchemy_temporal.imports.run import run
from sqlalchemy_temporal.imports.source import (
    Fit,
    Missing,
    Named,
    Recorded,
    Teller,
    instant,
    refuse_missing,
)
from sqlalchemy_temporal.imports.target import ALIVE, NUMBER, Entity, Target, numbers, streaming
from sqlalchemy_temporal.imports.writing import Progress
from sqlalchemy_temporal.naming import DEFAULT_SCHEMA
from sqlalchemy_temporal.tables.access import AccessMode
from sqlalchemy_temporal.tables.render import jsonable
from sqlalchemy_temporal.tables.work import Bind


def actor_of(transaction: Mapping[str, Any]) -> str | None:
    """The ``actor_id`` of a recorded transaction as text, where it has one."""
    actor = transaction.get("actor_id")
    return user_of(transaction) if actor is None else str(actor)


@dataclass(frozen=True, slots=True)
class Activities:
    """The tables that postgresql-audit writes; see :func:`import_audit_activity`."""

    targets: dict[str, Target]
    activity: TableClause
    transaction_table: str
    missing: Missing
    complete: bool
    timezone: tzinfo | None
    author: Teller
    message: Teller | None

    @property
    def name(self) -> str:
        """What recorded it."""
        return "postgresql-audit"

    # Columns -----------------------------------------------------------------------------

    def fit(self, connection: Connection, target: Target) -> Fit:
        """Compare the columns that activities name with the table's."""
        if connection.dialect.name != "postgresql":
            raise UnsupportedDatabaseError("postgresql-audit records on PostgreSQL only")
        if not inspect(connection).has_table(self.activity.name, schema=self.activity.schema):
            raise HistoryImportError(
                f"there is no table {self.activity.name!r}; say where activities are with "
                "activity_schema= and activity_table="
            )
        self.targets[target.spec.qualified] = target
        activity = self.activity
        keys = func.jsonb_object_keys(activity.c.old_data.op("||")(activity.c.changed_data))
        names = select(keys.label("name")).where(self._of(target)).distinct()
        recorded = set(connection.scalars(names))
        unknown = tuple(n for n in target.columns if n not in recorded) if recorded else ()
        refuse_missing(target, unknown, self.missing)
        return Fit(tuple(sorted(recorded - set(target.columns))), unknown)

    def _of(self, target: Target) -> ColumnElement[bool]:
        """Whether an activity is about this table, and changed rows."""
        activity = self.activity
        return and_(
            func.coalesce(activity.c.schema_name, "public") == target.spec.live_schema,
            activity.c.table_name == target.spec.name,
            activity.c.verb.in_(["insert", "update", "delete"]),
        )

    # Transactions ------------------------------------------------------------------------

    def number(self, connection: Connection) -> int:
        """Number the transactions in the order of their last activities."""
        self._refuse_truncated(connection)
        activity = self.activity
        native = cast(activity.c.native_transaction_id, Text)
        staging.create_numbers(connection, "text")
        known = numbers(connection)
        offset = FIRST if self.complete else 0
        place = func.row_number().over(order_by=func.max(activity.c.id)) + offset
        connection.execute(
            insert(known).from_select(
                ["source", NUMBER],
                select(native, place)
                .where(or_(*(self._of(each) for each in self.targets.values())))
                .group_by(native),
            )
        )
        staging.index(connection, known, "source")
        return int(connection.scalar(select(func.max(known.c[NUMBER]))) or 0)

    def _refuse_truncated(self, connection: Connection) -> None:
        activity = self.activity
        names = [each.spec.name for each in self.targets.values()]
        found = connection.scalar(
            select(func.min(activity.c.id)).where(
                activity.c.verb == "truncate", activity.c.table_name.in_(names)
            )
        )
        if found is not None:
            raise HistoryImportError(
                f"activity {found} is a TRUNCATE, which does not say which rows it deleted; add "
                "a 'delete' activity for each of them, with its old_data, and delete it"
            )

    def transactions(self, connection: Connection) -> Iterator[Recorded]:
        """The transactions in order, after what was there before them."""
        begun = not self.complete
        for each in self._told(connection):
            if not begun:
                begun = True
                before = each.at - timedelta(microseconds=1)
                context = {"imported_from": "postgresql-audit"}
                yield Recorded(FIRST, before, context=context, operation="BASELINE")
            yield each

    def _told(self, connection: Connection) -> Iterator[Recorded]:
        activity, known = self.activity, numbers(connection)
        transaction = self._transaction(connection)
        each = (
            select(
                known.c[NUMBER],
                cast(func.max(activity.c.issued_at), DateTime).label("activity_at"),
                func.max(activity.c.transaction_id).label("transaction"),
            )
            .join_from(
                known, activity, cast(activity.c.native_transaction_id, Text) == known.c.source
            )
            .where(or_(*(self._of(target) for target in self.targets.values())))
            .group_by(known.c[NUMBER])
            .subquery("each_transaction")
        )
        found = connection.execute(
            select(each.c[NUMBER], each.c.activity_at, *transaction.c)
            .outerjoin_from(each, transaction, transaction.c.id == each.c.transaction)
            .order_by(each.c[NUMBER]),
            execution_options=streaming(connection),
        )
        for row in found.mappings():
            told = {n: v for n, v in row.items() if n not in (NUMBER, "activity_at")}
            rest = {n: v for n, v in told.items() if n not in ("id", "issued_at")}
            known_as = {"transaction_id": told["id"]} if told["id"] is not None else {}
            yield Recorded(
                number=int(row[NUMBER]),
                at=instant(row["activity_at"], self.timezone, f"transaction {told['id']}"),
                author=self.author(told),
                message=self.message(told) if self.message else None,
                context={
                    "imported_from": "postgresql-audit",
                    **known_as,
                    **{name: jsonable(value) for name, value in rest.items() if value is not None},
                },
            )

    def _transaction(self, connection: Connection) -> TableClause:
        """The table of transactions; columns of types of PostgreSQL alone are read as text."""
        names = connection.scalars(
            select(column("attname", Text))
            .select_from(table("pg_attribute", schema="pg_catalog"))
            .where(
                literal_column("attrelid") == func.to_regclass(self._transaction_name(connection)),
                literal_column("attnum") > 0,
                ~literal_column("attisdropped"),
                literal_column("attname") != "native_transaction_id",
            )
        ).all()
        if "id" not in names:
            raise HistoryImportError(
                f"there is no table {self.transaction_table!r} with a column 'id' beside the "
                "activities; say what it is called with transaction_table="
            )
        return _clause(
            self.transaction_table, self.activity.schema, [column(str(name)) for name in names]
        )

    def _transaction_name(self, connection: Connection) -> str:
        quote = Quoter(connection.dialect)
        name = quote.name(self.transaction_table)
        if self.activity.schema:
            name = f"{quote.name(self.activity.schema)}.{name}"
        return name.replace("%%", "%")

    # Rows --------------------------------------------------------------------------------

    def stage(self, connection: Connection, target: Target) -> None:
        """The last activity of a row within a transaction says what it is after it."""
        events = last_states(self.activity, self._of(target), numbers(connection), target)
        self._insert(connection, target, events)
        if self.complete:
            staging.index(connection, target.staged, *target.spec.key, NUMBER)
            self._insert(connection, target, states_before(self.activity, self._of(target), target))
            live, staged = target.live, target.staged
            untouched = ~exists().where(staging.same_key(target, staged, live))
            rows = select(
                *(live.c[name] for name in target.columns),
                literal_column(str(FIRST)),
                literal_column("1"),
            ).where(untouched)
            names = [*target.columns, NUMBER, ALIVE]
            connection.execute(insert(target.staged).from_select(names, rows))
            staging.drop_index(connection, target.staged)

    def _insert(self, connection: Connection, target: Target, events: Subquery) -> None:
        quote = Quoter(connection.dialect)
        kind = Named(quote.qualified(target.spec.live_schema, target.spec.name))
        row = func.jsonb_populate_record(cast(literal_column("NULL"), kind), events.c.state)
        names: list[ColumnClause[Any]] = [column(name) for name in target.columns]
        filled = row.table_valued(*names).alias("filled")
        rows = select(
            *(filled.c[name] for name in target.columns), events.c.number, events.c.alive
        ).select_from(events.join(filled, literal_column("true")))
        connection.execute(
            insert(target.staged).from_select([*target.columns, NUMBER, ALIVE], rows)
        )


def _activity(name: str, schema: str | None) -> TableClause:
    columns: tuple[ColumnClause[Any], ...] = (
        column("id", BigInteger),
        column("schema_name", Text),
        column("table_name", Text),
        column("issued_at"),
        column("native_transaction_id"),
        column("transaction_id", BigInteger),
        column("verb", Text),
        column("old_data", JSONB),
        column("changed_data", JSONB),
    )
    return _clause(name, schema, columns)


def _clause(name: str, schema: str | None, columns: Iterable[Any]) -> TableClause:
    return table(name, *columns, schema=schema) if schema else table(name, *columns)


def import_audit_activity(
    bind: Bind,
    tables: Iterable[Entity],
    dry_run: bool = True,
    *,
    activity_schema: str | None = None,
    activity_table: str = "activity",
    transaction_table: str = "transaction",
    complete: bool = True,
    missing: Missing = "error",
    timezone: tzinfo | None = None,
    author: Teller = actor_of,
    message: Teller | None = None,
    progress: Progress | None = None,
    access: AccessMode | None = None,
    schema: str = DEFAULT_SCHEMA,
) -> ImportResult:
    """Take over what postgresql-audit recorded, and go on from there (PostgreSQL).

    Each recorded transaction that changed one of the tables becomes a commit with its time,
    actor and what it did; then the tables are versioned. All of it is one transaction, in
    which nobody else can use the tables. The recorded tables stay as they are.

    Parameters:
        bind: an engine; or a connection or session, in whose transaction it happens.
        tables: the tables: mapped classes, ``Table`` objects, or names; all that are to have
            imported history, at once.
        dry_run: only say what would be done; the default.
        activity_schema: the schema of activities and transactions; None for the default one.
        activity_table: what the table of activities is called.
        transaction_table: what the table of transactions is called.
        complete: whether every change of the tables was recorded since the first activity.
            Then what a row was before its first activity, and rows without any, were there
            from the beginning: a first commit says so. Otherwise rows without activities
            exist since the import, and others since their first activity.
        missing: what to do about columns that were not recorded: refuse, or take them as NULL
            in imported versions.
        timezone: in which times without time zone were recorded; UTC by default.
        author: tells the author, given the columns of a transaction; ``actor_id`` as text by
            default. For changes without a transaction all of them are None.
        message: the same for a message; none by default.
        progress: called after each batch of commits.
        access: the access mode; ``"restricted"`` refuses the call.
        schema: the schema of the library's own tables.

    Returns:
        What was imported, by table.

    Raises:
        HistoryImportError: it cannot be imported; nothing was changed.
        PrivilegeError: the role does not own the tables, or a policy hides rows from it.
        UnsupportedDatabaseError: the database is not PostgreSQL.
        Others are those of :func:`~sqlalchemy_temporal.enable_temporal_versioning`.
    """
    source = Activities(
        targets={},
        activity=_activity(activity_table, activity_schema),
        transaction_table=transaction_table,
        missing=missing,
        complete=complete,
        timezone=timezone,
        author=author,
        message=message,
    )
    return run(
        bind,
        source,
        tables,
        dry_run=dry_run,
        progress=progress,
        access=access,
        schema=schema,
    )


__all__ = ["actor_of", "import_audit_activity"]
