"""Tables as they are stored, as elements of FROM that mean the same on every database.

The classes of history are mapped once and asked on any database, so what they read cannot
be a ``Table`` with the name that one database has for it. These elements are rendered by
the dialect that compiles the statement:

=================================  =============================  ==========================
element                            PostgreSQL                     SQLite
=================================  =============================  ==========================
``live_rows(customers)``           ``customers``                  ``customers`` joined with
                                                                  the table of its current
                                                                  versions
``history_rows(customers)``        in the history schema          beside the live table
``system_rows(schema, "commit")``  ``schema.commit``              ``schema_commit``
=================================  =============================  ==========================

The system column ``temporal_tx_id`` of the live rows is a column of ``live_rows``
everywhere. In PostgreSQL it is a column of the live table. In SQLite a further column would
break every ``INSERT`` without a list of columns, and a trigger cannot set it without an
UPDATE that the application's own triggers would see; there it lies in a table beside the
live one, which has the live table's key.

Where there is a connection, :func:`~sqlalchemy_temporal.schema.system_of` and
:func:`history_on` give ordinary ``Table`` objects.
"""

from __future__ import annotations

from typing import Any, cast

from sqlalchemy import (
    BigInteger,
    Connection,
    Dialect,
    Engine,
    MetaData,
    Table,
    TableClause,
    column,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.elements import quoted_name
from sqlalchemy.sql.visitors import InternalTraversal, _TraverseInternalsType

from sqlalchemy_temporal.errors import ConfigurationError, UnsupportedReadError
from sqlalchemy_temporal.naming import (
    TX_COLUMN,
    VersioningOptions,
    current_name,
)
from sqlalchemy_temporal.schema import (
    has_schemas,
    history_table,
    key_columns,
    options_of,
    prefixed,
    system_tables,
)


class Stored(TableClause):
    """A table that is read as it is stored, in a session of the past too."""

    inherit_cache = True
    # A name of its own hides it from mappers, which would take it for a table to write to,
    # and from what rewrites the tables of a question to the past.
    __visit_name__ = "temporal_stored"
    _traverse_internals: _TraverseInternalsType = [  # noqa: RUF012 - as SQLAlchemy declares it
        *TableClause._traverse_internals,
        ("_of", InternalTraversal.dp_plain_obj),
    ]

    def __init__(self, of: Table, *columns: Any, schema: str | None = None) -> None:
        super().__init__(
            quoted(of.name), *columns, **({} if schema is None else {"schema": schema})
        )
        self._of = (of,)  # a value with a truth, for the cache key

    @property
    def of(self) -> Table:
        """The Table it stands for."""
        return self._of[0]

    def text(self, compiler: Any) -> str:
        """What stands in FROM, without an alias."""
        return _qualified(compiler, self.of.schema, self.of.name)

    def named(self, dialect: Dialect) -> bool:
        """Whether columns can refer to the text by this element's name."""
        return True


class LiveRows(Stored):
    """A live table with its system column; see :func:`live_rows`."""

    inherit_cache = True

    def text(self, compiler: Any) -> str:
        """On SQLite the join with the table of current versions."""
        if has_schemas(compiler.dialect):
            renamed = compiler.schema_translate_map
            if renamed and self.schema in renamed:
                raise UnsupportedReadError(
                    f"schema_translate_map renames the schema of {self.fullname!r}; its history "
                    "is named after the schema declared, so versions cannot be read through it"
                )
            return _qualified(compiler, self.schema, self.name)
        quote = compiler.preparer.quote
        options = options_of(self.of) or VersioningOptions()
        current = quote(current_name(self.of.schema, self.of.name, options))
        same = " AND ".join(
            f"c.{quote(key.name)} = l.{quote(key.name)}" for key in key_columns(self.of)
        )
        return (
            f"(SELECT l.*, c.{TX_COLUMN} FROM {quote(self.of.name)} AS l "  # noqa: S608 - quoted
            f"JOIN {current} AS c ON {same})"
        )

    def named(self, dialect: Dialect) -> bool:
        """A join in parentheses has no name."""
        return has_schemas(dialect)


class HistoryRows(Stored):
    """A history table; see :func:`history_rows`."""

    inherit_cache = True

    def text(self, compiler: Any) -> str:
        """Without its schema on SQLite."""
        schema = self.of.schema if has_schemas(compiler.dialect) else None
        return _qualified(compiler, schema, self.of.name)


class SystemRows(Stored):
    """One of the library's own tables; see :func:`system_rows`."""

    inherit_cache = True

    def text(self, compiler: Any) -> str:
        """With a prefix in place of a schema on SQLite."""
        if has_schemas(compiler.dialect):
            return _qualified(compiler, self.of.schema, self.of.name)
        return _qualified(compiler, None, prefixed(str(self.of.schema), self.of.name))

    def named(self, dialect: Dialect) -> bool:
        """Columns are named after the name without the prefix."""
        return has_schemas(dialect)


def live_rows(table: Table) -> LiveRows:
    """The rows of a versioned table as they are now, with ``temporal_tx_id``.

    Parameters:
        table: the live table.
    """
    table = table._deannotate()
    return LiveRows(
        table,
        *(column(quoted(each.name), each.type) for each in table.c),
        column(TX_COLUMN, BigInteger),
        schema=table.schema,
    )


def history_rows(table: Table) -> HistoryRows:
    """The closed versions of a versioned table, with the system columns of history.

    Parameters:
        table: the live table.
    """
    history = history_table(table)
    return HistoryRows(history, *(column(quoted(c.name), c.type) for c in history.c))


def system_rows(schema: str, name: str) -> SystemRows:
    """One of the library's own tables, for statements that are built without a database.

    Parameters:
        schema: the schema of the library's own tables.
        name: the table, as an attribute of
            :class:`~sqlalchemy_temporal.schema.SystemTables`.
    """
    found: Table = getattr(system_tables(schema), name)
    return SystemRows(found, *(column(c.name, c.type) for c in found.c))


def history_on(bind: Dialect | Engine | Connection, table: Table) -> Table:
    """The history table of ``table`` as the database of ``bind`` has it.

    Parameters:
        bind: a connection, an engine or a dialect.
        table: the live table.

    Raises:
        ConfigurationError: ``table`` is not versioned, or has a schema where there are none.
    """
    dialect = bind if isinstance(bind, Dialect) else bind.dialect
    history = history_table(table)
    if has_schemas(dialect):
        return history
    if table.schema is not None:
        raise no_schemas(table.fullname)
    return history.to_metadata(MetaData(), schema=cast("Any", None))


def no_schemas(label: str) -> ConfigurationError:
    """The error for a table that is declared in a schema on a database without any."""
    return ConfigurationError(
        f"table {label!r} has a schema, and SQLite has none: there a schema is another "
        "database file, whose changes cannot be recorded in one transaction. Declare the "
        "table without a schema"
    )


def quoted(name: str) -> str:
    """``name`` with the quoting that was asked for where it was declared."""
    return name if isinstance(name, quoted_name) else quoted_name(name, None)


def _qualified(compiler: Any, schema: str | None, name: str) -> str:
    quote = compiler.preparer.quote
    text: str = f"{quote(schema)}.{quote(name)}" if schema else quote(name)
    return text


@compiles(Stored)
def _render(
    rows: Stored,
    compiler: Any,
    asfrom: bool = False,
    from_linter: Any = None,
    enclosing_alias: Any = None,
    **_: Any,
) -> str:
    if not asfrom:
        return ""
    if from_linter:
        from_linter.froms[rows] = rows.fullname
    text = rows.text(compiler)
    aliased = enclosing_alias is not None and enclosing_alias.element is rows
    if aliased or rows.named(compiler.dialect):
        return text
    return text + str(compiler.get_render_as_alias_suffix(compiler.preparer.quote(rows.name)))


__all__ = [
    "HistoryRows",
    "LiveRows",
    "Stored",
    "SystemRows",
    "history_on",
    "history_rows",
    "live_rows",
    "no_schemas",
    "quoted",
    "system_rows",
]
