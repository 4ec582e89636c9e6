"""SQL asked of the past: the database's own views of every versioned table at a moment.

Only those views are on the search path, so an unversioned table is not found rather than
read as it is now. What names a table with its schema is caught as well: the query is made
a temporary view first, and PostgreSQL says what that depends on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, text

from sqlalchemy_temporal.cli.output import table_of
from sqlalchemy_temporal.errors import (
    UnsupportedDatabaseError,
    UnversionedTableError,
)
from sqlalchemy_temporal.naming import view_schema

if TYPE_CHECKING:
    from sqlalchemy_temporal.cli.app import App

_QUERY: Final = re.compile(r"\s*(select|with|values|table)\b.*\S\s", re.IGNORECASE | re.DOTALL)
_PROBE: Final = "temporal_asked"
_DEPENDS: Final = text(
    """
    SELECT DISTINCT n.nspname AS schema, c.relname AS name
    FROM pg_rewrite r
    JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
    JOIN pg_class c ON d.refclassid = 'pg_class'::regclass AND c.oid = d.refobjid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE r.ev_class = to_regclass(:probe) AND c.oid <> r.ev_class
      AND n.nspname NOT IN (:views, 'pg_catalog', 'information_schema')
    ORDER BY 1, 2
    """
)


def is_query(what: str) -> bool:
    """Whether ``what`` is SQL, and not the name of a table."""
    return _QUERY.match(what) is not None


def query_as_of(app: App, when: str, sql: str, *, as_json: bool) -> None:
    """Run a query at a point in time and print its rows.

    Raises:
        UnversionedTableError: it names a table without history, or the present.
        UnsupportedDatabaseError: the database has no such views.
    """
    with app.reading() as repo, travelling(repo.connection, when, repo.schema) as past:
        columns, rows = past.run(sql)
        if as_json:
            named = (dict(zip(columns, row, strict=True)) for row in rows)
            app.output.json_stream({"as_of": str(past.effective_at)}, "rows", named)
        else:
            app.output.show(table_of(columns, rows))


class Travel:
    """A connection whose SQL reads the past.

    Parameters:
        connection: a connection, which has travelled.
        schema: the schema of the library's own tables.
        effective_at: the time of the last commit that is visible.
    """

    def __init__(self, connection: Connection, schema: str, effective_at: Any) -> None:
        self.connection = connection
        self.schema = schema
        self.effective_at = effective_at

    def run(self, sql: str) -> tuple[Sequence[str], Iterator[Sequence[Any]]]:
        """The names of the columns and the rows of one query.

        Raises:
            UnversionedTableError: it names a table without history, or the present.
        """
        query = sql.strip().rstrip(";")
        self._check(query)
        result = self.connection.exec_driver_sql(query.replace("%", "%%"))
        return list(result.keys()), iter(tuple(row) for row in result)

    def _check(self, query: str) -> None:
        views = view_schema(self.schema)
        probe = self.connection.engine.connect()
        with probe, probe.begin() as transaction:
            quoted = probe.dialect.identifier_preparer.quote(views)
            probe.exec_driver_sql(f"SET LOCAL search_path = {quoted}")
            probe.exec_driver_sql(f"CREATE TEMPORARY VIEW {_PROBE} AS {query.replace('%', '%%')}")
            found = probe.execute(_DEPENDS, {"probe": f"pg_temp.{_PROBE}", "views": views}).all()
            transaction.rollback()
        if found:
            names = ", ".join(f"{row.schema}.{row.name}" for row in found)
            raise UnversionedTableError(
                f"the query names {names}, which would be read as of now; name versioned tables "
                "without their schema"
            )


@contextmanager
def travelling(connection: Connection, when: str, schema: str) -> Iterator[Travel]:
    """Let plain SQL of a connection read the past, until its transaction ends.

    Raises:
        UnsupportedDatabaseError: the database has no views that travel.
    """
    if connection.dialect.name != "postgresql":
        raise UnsupportedDatabaseError(
            f"SQL cannot travel in time on {connection.dialect.name}; ask for a table, as in "
            "vsg as-of WHEN TABLE"
        )
    quoted = connection.dialect.identifier_preparer.quote
    effective_at = connection.execute(
        text(f"SELECT {quoted(schema)}.travel_to(CAST(:when AS text))"),
        {"when": when},
    ).scalar()
    connection.exec_driver_sql(f"SET LOCAL search_path = {quoted(view_schema(schema))}")
    yield Travel(connection, schema, effective_at)


__all__ = ["Travel", "is_query", "query_as_of", "travelling"]
