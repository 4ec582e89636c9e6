"""PostgreSQL's part in reading the past."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, all_, any_, literal_column
from sqlalchemy.ext.compiler import compiles

from sqlalchemy_temporal.ddl.blocks import BLOCK_SQL
from sqlalchemy_temporal.reading.functions import POSTGRESQL


class _Block(ColumnElement[int]):
    """The block of the row of history at hand."""

    inherit_cache = True
    type = BigInteger()


@compiles(_Block, "postgresql")
def _block(element: _Block, compiler: Any, **kw: Any) -> str:
    return f"({BLOCK_SQL})"


class PostgreSQLRules:
    """Array parameters."""

    functions = POSTGRESQL

    @property
    def block(self) -> ColumnElement[int]:
        """As the index of the history table has it."""
        return _Block()

    def in_block(
        self, block: ColumnElement[int], blocks: ColumnElement[Any]
    ) -> ColumnElement[bool]:
        """``block = ANY (blocks)``: an index answers it for all of them in one scan."""
        return block == any_(blocks)

    def in_flight(self, tx: ColumnElement[int], ids: ColumnElement[Any]) -> ColumnElement[bool]:
        """``tx + 0 = ANY (ids)``: one array parameter, so that the SQL is always the same.

        ``+ 0`` keeps the planner from answering ``tx > hi OR tx = ANY (ids)`` by the union
        of two index scans, which reads all later versions of a row (×4 for 5,000 of them).
        """
        return (tx + literal_column("0")) == any_(ids)

    def not_in_flight(self, tx: ColumnElement[int], ids: ColumnElement[Any]) -> ColumnElement[bool]:
        """``tx <> ALL (ids)``."""
        return tx != all_(ids)
