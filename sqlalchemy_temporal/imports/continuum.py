"""History recorded by SQLAlchemy-Continuum or sqlalchemy-history.

Both keep one version table per table (``article_version``), whose rows are states of a row
with the transaction that made them and what it did (0 inserted, 1 updated, 2 deleted), and a
table of transactions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any, Final

from sqlalchemy import (
    Column,
    Connection,
    MetaData,
    Table,
    Text,
    and_,
    case,
    cast,
    func,
    insert,
    inspect,
    literal_column,
    select,
    text,
    union,
)
from sqlalchemy.exc import NoSuchTableError

from sqlalchemy_temporal.errors import HistoryImportError
from sqlalchemy_temporal.imports import staging
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
from sqlalchemy_temporal.imports.target import (
    ALIVE,
    NUMBER,
    Entity,
    Target,
    numbers,
    streaming,
    temporary_schema,
)
from sqlalchemy_temporal.imports.writing import Progress
from sqlalchemy_temporal.naming import DEFAULT_SCHEMA
from sqlalchemy_temporal.tables.access import AccessMode
from sqlalchemy_temporal.tables.render import jsonable
from sqlalchemy_temporal.tables.work import Bind

_DELETED: Final = 2
_TYPE_OF = text(
    "SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type FROM pg_attribute a "
    "WHERE a.attrelid = to_regclass(:name) AND a.attnum > 0 AND NOT a.attisdropped"
)


@dataclass(frozen=True, slots=True)
class VersionTables:
    """The tables that SQLAlchemy-Continuum and sqlalchemy-history write.

    Attributes:
        tables: what they are called, see :func:`import_continuum_history`.
    """

    targets: dict[str, Table]
    version_table: str
    transaction_table: str
    transaction_schema: str | None
    transaction_column: str
    operation_column: str
    end_column: str
    rename: Mapping[str, Mapping[str, str]]
    missing: Missing
    timezone: tzinfo | None
    author: Teller
    message: Teller | None

    @property
    def name(self) -> str:
        """What recorded it."""
        return "SQLAlchemy-Continuum"

    # Columns -----------------------------------------------------------------------------

    def fit(self, connection: Connection, target: Target) -> Fit:
        """Find the version table, and compare its columns with the table's."""
        versions = self._reflect(connection, self.version_table % target.spec.name, target.schema)
        for name in (self.transaction_column, self.operation_column):
            if name not in versions.c:
                raise HistoryImportError(
                    f"table {versions.fullname!r} has no column {name!r}; say what it is called"
                )
        self.targets[target.spec.qualified] = versions
        recorded = self._recorded(target)
        known = {name for name in target.columns if recorded[name] in versions.c}
        unknown = tuple(name for name in target.columns if name not in known)
        keys = [name for name in target.spec.key if name in unknown]
        if keys:
            raise HistoryImportError(
                f"table {versions.fullname!r} has no key column(s) {', '.join(keys)}"
            )
        refuse_missing(target, unknown, self.missing)
        used = {recorded[name] for name in known}
        own = {self.transaction_column, self.operation_column, self.end_column}
        left_out = tuple(
            column.name
            for column in versions.c
            if column.name not in used | own and not self._is_mark(column.name, versions)
        )
        return Fit(left_out, unknown)

    def _is_mark(self, name: str, versions: Table) -> bool:
        """Whether a column says that another one was changed (``name_mod``)."""
        return name.endswith("_mod") and name.removesuffix("_mod") in versions.c

    def _recorded(self, target: Target) -> dict[str, str]:
        """The recorded name of each column."""
        spec = target.spec
        renamed = {**self.rename.get(spec.name, {}), **self.rename.get(spec.qualified, {})}
        odd = sorted(set(renamed) - set(target.columns))
        if odd:
            raise HistoryImportError(
                f"rename: table {spec.qualified!r} versions no column(s) {', '.join(odd)}"
            )
        return {name: renamed.get(name, name) for name in target.columns}

    def _reflect(self, connection: Connection, name: str, schema: str | None) -> Table:
        """A table with its columns; types are those of the database, or none.

        Columns are listed rather than reflected as a whole: foreign keys do not matter, and
        a type that SQLAlchemy does not know is no reason to stop.
        """
        try:
            columns = inspect(connection).get_columns(name, schema=schema)
        except NoSuchTableError as error:
            label = f"{schema}.{name}" if schema else name
            raise HistoryImportError(
                f"there is no table {label!r}; say what the tables are called with "
                "version_table= and transaction_table="
            ) from error
        return Table(
            name,
            MetaData(),
            *(Column(each["name"], each["type"]) for each in columns),
            schema=schema,
        )

    # Transactions ------------------------------------------------------------------------

    def _transaction(self, connection: Connection) -> Table:
        return self._reflect(connection, self.transaction_table, self.transaction_schema)

    def number(self, connection: Connection) -> int:
        """Number the transactions of these tables in the order of their ids."""
        sources = [versions.c[self.transaction_column] for versions in self.targets.values()]
        # Each without duplicates: a union of one is no union.
        distinct = (select(each.label("source")).distinct() for each in sources)
        ids = union(*distinct).subquery("ids")
        kind = "INTEGER" if temporary_schema(connection) == "temp" else "bigint"
        staging.create_numbers(connection, kind)
        known = numbers(connection)
        connection.execute(
            insert(known).from_select(
                ["source", NUMBER],
                select(ids.c.source, func.row_number().over(order_by=ids.c.source)),
            )
        )
        staging.index(connection, known, "source")
        self._refuse_orphans(connection)
        return int(connection.scalar(select(func.count()).select_from(known)) or 0)

    def _refuse_orphans(self, connection: Connection) -> None:
        known, transaction = numbers(connection), self._transaction(connection)
        lost = connection.scalars(
            select(known.c.source)
            .outerjoin_from(known, transaction, transaction.c.id == known.c.source)
            .where(transaction.c.id.is_(None))
            .order_by(known.c[NUMBER])
            .limit(5)
        ).all()
        if lost:
            raise HistoryImportError(
                f"versions name transactions that are not in {transaction.fullname!r}: "
                f"{', '.join(map(str, lost))}, …; add a row with id and issued_at for each"
            )

    def transactions(self, connection: Connection) -> Iterator[Recorded]:
        """The transactions in order."""
        known, transaction = numbers(connection), self._transaction(connection)
        found = connection.execute(
            select(known.c[NUMBER], *transaction.c)
            .join_from(known, transaction, transaction.c.id == known.c.source)
            .order_by(known.c[NUMBER]),
            execution_options=streaming(connection),
        )
        for row in found.mappings():
            told = {name: value for name, value in row.items() if name != NUMBER}
            rest = {name: told[name] for name in told if name not in ("id", "issued_at")}
            yield Recorded(
                number=int(row[NUMBER]),
                at=instant(told.get("issued_at"), self.timezone, f"transaction {told['id']}"),
                author=self.author(told),
                message=self.message(told) if self.message else None,
                context={
                    "imported_from": "sqlalchemy-continuum",
                    "transaction_id": told["id"],
                    **{name: jsonable(value) for name, value in rest.items() if value is not None},
                },
            )

    # Rows --------------------------------------------------------------------------------

    def stage(self, connection: Connection, target: Target) -> None:
        """Each version is the state of a row after its transaction."""
        versions, known = self.targets[target.spec.qualified], numbers(connection)
        recorded, types = self._recorded(target), self._types(connection, target)
        values = [
            self._value(versions, recorded[column.name], column.type, types)
            for column in target.spec.columns
        ]
        deleted = versions.c[self.operation_column] == _DELETED
        alive = case((deleted, literal_column("0")), else_=literal_column("1"))
        rows = select(*values, known.c[NUMBER], alive).join_from(
            versions, known, and_(known.c.source == versions.c[self.transaction_column])
        )
        connection.execute(
            insert(target.staged).from_select([*target.columns, NUMBER, ALIVE], rows)
        )

    def _types(self, connection: Connection, target: Target) -> dict[str, str]:
        if temporary_schema(connection) == "temp":
            return {}
        versions = self.targets[target.spec.qualified]
        name = connection.dialect.identifier_preparer.format_table(versions)
        found = connection.execute(_TYPE_OF, {"name": name.replace("%%", "%")})
        return {row.name: row.type for row in found}

    def _value(self, versions: Table, name: str, wanted: str, types: Mapping[str, str]) -> Any:
        """A recorded value as the table's type; by way of text where types differ."""
        if name not in versions.c:
            return cast(literal_column("NULL"), Named(wanted)) if types else literal_column("NULL")
        column = versions.c[name]
        if types.get(name, wanted) == wanted:
            return column
        return cast(cast(column, Text), Named(wanted))


def user_of(transaction: Mapping[str, Any]) -> str | None:
    """The ``user_id`` of a recorded transaction as text, where it has one."""
    user = transaction.get("user_id")
    return None if user is None else str(user)


def import_continuum_history(
    bind: Bind,
    tables: Iterable[Entity],
    dry_run: bool = True,
    *,
    version_table: str = "%s_version",
    transaction_table: str = "transaction",
    transaction_schema: str | None = None,
    transaction_column: str = "transaction_id",
    operation_column: str = "operation_type",
    end_column: str = "end_transaction_id",
    rename: Mapping[str, Mapping[str, str]] | None = None,
    missing: Missing = "error",
    timezone: tzinfo | None = None,
    author: Teller = user_of,
    message: Teller | None = None,
    progress: Progress | None = None,
    access: AccessMode | None = None,
    schema: str = DEFAULT_SCHEMA,
) -> ImportResult:
    """Take over what SQLAlchemy-Continuum or sqlalchemy-history recorded, and go on from there.

    Each recorded transaction that changed one of the tables becomes a commit with its time,
    user and what it did, in the recorded order; then the tables are versioned. All of it is
    one transaction, in which nobody else can use the tables. The recorded tables stay as they
    are.

    Parameters:
        bind: an engine; or a connection or session, in whose transaction it happens.
        tables: the tables: mapped classes, ``Table`` objects, or names. Those declared
            versioned are versioned as declared. All that are to have imported history, at
            once: nothing can be imported before commits that are there already.
        dry_run: only say what would be done; the default.
        version_table: how a version table is called, ``%s`` for its table.
        transaction_table: what the table of transactions is called.
        transaction_schema: its schema; None for the default one.
        transaction_column: the version tables' column with the transaction.
        operation_column: their column that says what was done.
        end_column: their column with the transaction that ended the version. It is not used:
            a version lasts until the next one of the same row.
        rename: by table, the recorded name of columns that are called otherwise now.
        missing: what to do about columns of a table that were not recorded: refuse, or take
            them as NULL in imported versions.
        timezone: in which times without time zone were recorded; UTC by default.
        author: tells the author, given the columns of a transaction; ``user_id`` as text by
            default.
        message: the same for a message; none by default.
        progress: called after each batch of commits.
        access: the access mode; ``"restricted"`` refuses the call.
        schema: the schema of the library's own tables.

    Returns:
        What was imported, by table.

    Raises:
        HistoryImportError: it cannot be imported; nothing was changed.
        PrivilegeError: the role does not own the tables, or a policy hides rows from it.
        Others are those of :func:`~sqlalchemy_temporal.enable_temporal_versioning`.
    """
    source = VersionTables(
        targets={},
        version_table=version_table,
        transaction_table=transaction_table,
        transaction_schema=transaction_schema,
        transaction_column=transaction_column,
        operation_column=operation_column,
        end_column=end_column,
        rename=rename or {},
        missing=missing,
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


__all__ = ["import_continuum_history", "user_of"]
