"""The approach of ``temporal_tables`` in PL/pgSQL, written here from its documented behaviour.

A trigger before each row stamps the period since when it is valid, and moves the row that was
there to a history table that has the same columns. Only columns that both tables have are
moved; the trigger looks in the catalogue which these are, each time, so that a column added to
both needs no new trigger. A row changed again by the transaction that wrote it is not moved. The
time is that of the transaction's beginning: which is why such a history may show another order
than the commits had.
"""

from __future__ import annotations

from typing import ClassVar

from sqlalchemy import Connection, Engine

from benchmarks.models import COLUMNS, FOREIGN, KEYS, VERSIONED
from benchmarks.subjects.base import Moment, Subject

_FUNCTION = """
CREATE FUNCTION versioning() RETURNS trigger LANGUAGE plpgsql AS $body$
DECLARE
  history regclass := TG_ARGV[0];
  now_at timestamptz := CURRENT_TIMESTAMP;
  since timestamptz;
  names text;
BEGIN
  IF TG_OP <> 'INSERT' THEN
    since := lower(OLD.sys_period);
    IF since IS NULL THEN
      RAISE 'the period of a row of % has no beginning', TG_RELID::regclass;
    END IF;
    IF since > now_at THEN
      RAISE 'a row of % was changed by a later transaction', TG_RELID::regclass
        USING ERRCODE = 'data_exception';
    END IF;
    IF since < now_at THEN
      SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) INTO names
      FROM pg_attribute a JOIN pg_attribute h ON h.attname = a.attname
      WHERE a.attrelid = TG_RELID AND h.attrelid = history AND a.attnum > 0 AND h.attnum > 0
        AND NOT a.attisdropped AND NOT h.attisdropped AND a.attname <> 'sys_period';
      EXECUTE format(
        'INSERT INTO %s (%s, sys_period) SELECT %s, tstzrange($2, $3) FROM (SELECT ($1).*) AS o',
        history, names, names
      ) USING OLD, since, now_at;
    END IF;
  END IF;
  IF TG_OP = 'DELETE' THEN
    RETURN OLD;
  END IF;
  NEW.sys_period := tstzrange(now_at, NULL);
  RETURN NEW;
END $body$
"""


class TemporalTables(Subject):
    """A row trigger in PL/pgSQL that keeps a period and a history table."""

    key: ClassVar[str] = "temporal_tables"
    title: ClassVar[str] = "temporal_tables (PL/pgSQL)"
    about: ClassVar[str] = (
        "the approach of the extension, written for this benchmark: a row trigger, a period"
    )
    has_past: ClassVar[bool] = True

    def create(self, engine: Engine) -> None:
        """Make its tables in an empty database."""
        super().create(engine)
        with engine.begin() as connection:
            connection.exec_driver_sql(_FUNCTION.replace("%", "%%"))
            for table in VERSIONED:
                for statement in (
                    (
                        f"ALTER TABLE {table} ADD sys_period tstzrange NOT NULL "
                        "DEFAULT tstzrange(CURRENT_TIMESTAMP, NULL)"
                    ),
                    f"CREATE TABLE {table}_history (LIKE {table})",
                    f"CREATE INDEX ON {table}_history ({KEYS[table]})",
                    (
                        f"CREATE TRIGGER versioning BEFORE INSERT OR UPDATE OR DELETE ON {table} "
                        f"FOR EACH ROW EXECUTE FUNCTION versioning('{table}_history')"
                    ),
                ):
                    connection.exec_driver_sql(statement)
                if table in FOREIGN:
                    connection.exec_driver_sql(
                        f"CREATE INDEX ON {table}_history ({FOREIGN[table]})"
                    )

    def histories(self) -> list[str]:
        """The tables in which it keeps history."""
        return [f"{table}_history" for table in VERSIONED]

    def fill(self, connection: Connection, table: str, changes: str) -> None:
        """Write one more version of every row, as it would record it; in one transaction."""
        names = ", ".join(COLUMNS[table])
        connection.exec_driver_sql(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        for statement in (
            (
                f"INSERT INTO {table}_history ({names}, sys_period) SELECT {names}, "
                f"tstzrange(lower(sys_period), CURRENT_TIMESTAMP) FROM {table}"
            ),
            f"UPDATE {table} SET {changes}, sys_period = tstzrange(CURRENT_TIMESTAMP, NULL)",
        ):
            connection.exec_driver_sql(statement)
        connection.exec_driver_sql(f"ALTER TABLE {table} ENABLE TRIGGER USER")

    def moment(self, connection: Connection) -> Moment:
        """The present, named so that it can be asked for when it is past."""
        return connection.exec_driver_sql("SELECT clock_timestamp()").scalar_one()

    def past(self, table: str) -> str:
        """A SELECT of a table's columns as of ``:moment``."""
        names = ", ".join(COLUMNS[table])
        here = "WHERE sys_period @> CAST(:moment AS timestamptz)"
        return (
            f"SELECT {names} FROM {table} {here} UNION ALL "
            f"SELECT {names} FROM {table}_history {here}"
        )

    def versions_of_a_row(self, table: str) -> str:
        """A SELECT of all versions of the row ``:key``, oldest first."""
        names, key = ", ".join([*COLUMNS[table], "sys_period"]), KEYS[table]
        return (
            f"SELECT {names} FROM {table} WHERE {key} = :key UNION ALL "
            f"SELECT {names} FROM {table}_history WHERE {key} = :key ORDER BY sys_period"
        )

    def changes_between(self, table: str) -> str:
        """A SELECT of the changes after ``:first`` up to ``:last``, in their order."""
        key = KEYS[table]
        new, old = (", ".join(f"{side}.{name}" for name in COLUMNS[table]) for side in "np")
        none = ", ".join("NULL" for _ in COLUMNS[table])
        names = ", ".join([*COLUMNS[table], "sys_period"])
        both = f"SELECT {names} FROM {table} UNION ALL SELECT {names} FROM {table}_history"
        return (
            f"WITH every AS ({both}), n AS (SELECT * FROM every "
            "WHERE lower(sys_period) > :first AND lower(sys_period) <= :last) "
            f"SELECT lower(n.sys_period), {new}, {old} FROM n LEFT JOIN {table}_history AS p "
            f"ON p.{key} = n.{key} AND upper(p.sys_period) = lower(n.sys_period) UNION ALL "
            f"SELECT upper(p.sys_period), {none}, {old} FROM {table}_history AS p "
            "WHERE upper(p.sys_period) > :first AND upper(p.sys_period) <= :last "
            f"AND NOT EXISTS (SELECT FROM every AS e WHERE e.{key} = p.{key} "
            "AND lower(e.sys_period) = upper(p.sys_period)) ORDER BY 1"
        )

    def keys_changed(self, table: str) -> str:
        """A SELECT of the keys, as ``key``, of rows changed after ``:first`` up to ``:last``."""
        key = KEYS[table]
        return (
            f"SELECT {key} AS key FROM {table}_history "
            "WHERE upper(sys_period) > :first AND upper(sys_period) <= :last "
            f"UNION SELECT {key} FROM {table} "
            "WHERE lower(sys_period) > :first AND lower(sys_period) <= :last"
        )
