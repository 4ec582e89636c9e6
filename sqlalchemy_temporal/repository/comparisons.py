"""The part of ``Repository`` that compares: ``diff``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, Connection

from sqlalchemy_temporal.clock.resolve import When
from sqlalchemy_temporal.repository.catalog import Entity, load_tables
from sqlalchemy_temporal.repository.comparing import compare, split_range
from sqlalchemy_temporal.repository.described import VersionedTable
from sqlalchemy_temporal.repository.diff import Diff


class Comparisons:
    """What ``Repository`` can say about differences."""

    schema: str

    @property
    def connection(self) -> Connection:
        """The connection it works on."""
        raise NotImplementedError

    def versioned_tables(self, *entities: Entity) -> list[VersionedTable]:
        """The versioned tables, parents before children; all, or those given."""
        return load_tables(self.connection, self.schema, entities)

    def diff(
        self,
        start: When,
        end: When | None = None,
        *tables: Entity,
        keys: Iterable[Any] | None = None,
        where: ColumnElement[bool] | None = None,
    ) -> Diff:
        """What differs between two points in time.

        Parameters:
            start: the first side, or a range ``"v1..v2"``.
            end: the second side; None for HEAD.
            tables: mapped classes, tables or their names; nothing for all.
            keys: only rows with these keys (values, or tuples for composite keys), of one
                table.
            where: only rows for which this condition on columns of one table holds, on
                either side.

        Returns:
            The difference; its rows are read when they are asked for. Tables of which one
            side knows nothing are left out and named in :attr:`Diff.unknown`.

        Raises:
            MomentError: a side names no point in time.
            UnrecordedMomentError: one of ``tables`` is not known on both sides.
            ConfigurationError: a table is not versioned.
        """
        first, second = split_range(start, end)
        return compare(self.connection, self.schema, first, second, tables, keys=keys, where=where)


__all__ = ["Comparisons"]
