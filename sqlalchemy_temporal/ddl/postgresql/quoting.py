"""Quoting of names and literals by the dialect, for generated SQL."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import String
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.compiler import IdentifierPreparer

from sqlalchemy_temporal.naming import TX_COLUMN

_STRING = String()

HEADER = "LANGUAGE plpgsql SECURITY DEFINER SET search_path TO pg_catalog, pg_temp AS $body$"
"""How functions begin that run with their owner's rights: their names are all qualified."""
QUALIFIED = HEADER.replace(" SET search_path TO pg_catalog, pg_temp", "")
"""The same without a search path of their own, which costs each call as much as a small query.
In such a function every function, operator and type is qualified as well as every table; what
looks operators up without naming them (``NULLIF``, ``IN``, ``CASE x WHEN``, ``IS DISTINCT
FROM``) may not be used."""


def looking_up(header: str) -> str:
    """The beginning of a function that looks transactions up by id.

    A plan that a connection made while there were few must not go on scanning them when there
    are many.
    """
    return header.replace(" AS $body$", " SET enable_seqscan TO off AS $body$")


LOOKING_UP = looking_up(HEADER)


@dataclass(frozen=True, slots=True)
class Quoter:
    """Quotes identifiers and string literals as one dialect needs them."""

    dialect: Dialect

    @property
    def preparer(self) -> IdentifierPreparer:
        """The dialect's identifier preparer."""
        return self.dialect.identifier_preparer

    def name(self, name: str) -> str:
        """Quote one identifier where it needs to be."""
        return self.preparer.quote(name)

    def parameter(self, name: str) -> str:
        """Quote the name of a function's column, always.

        Keywords that may be columns, such as ``values``, may not be parameters.
        """
        return self.preparer.quote_identifier(name)

    def qualified(self, schema: str | None, name: str) -> str:
        """Quote ``schema.name``; without a schema, ``public`` is meant."""
        return f"{self.name(schema or 'public')}.{self.name(name)}"

    def names(self, names: Iterable[str], prefix: str = "") -> str:
        """A comma-separated list of quoted names, each with ``prefix`` before it."""
        return ", ".join(prefix + self.name(name) for name in names)

    def equal(self, names: Iterable[str], left: str, right: str) -> str:
        """The condition that columns are the same after one prefix as after another."""
        return " AND ".join(f"{left}{self.name(n)} = {right}{self.name(n)}" for n in names)

    def literal(self, value: str) -> str:
        """A string literal; a percent sign is doubled where the driver needs it."""
        processor = _STRING.literal_processor(self.dialect)  # type: ignore[no-untyped-call]
        return processor(value) if processor else "'" + value.replace("'", "''") + "'"

    def regclass(self, schema: str, name: str) -> str:
        """A literal that the server reads as the relation ``schema.name``."""
        parts = ('"' + part.replace('"', '""') + '"' for part in (schema, name))
        return f"{self.literal('.'.join(parts))}::pg_catalog.regclass"

    @property
    def tx(self) -> str:
        """The system column's name."""
        return self.name(TX_COLUMN)
