"""The interface behind which databases differ when the past is read."""

from __future__ import annotations

from typing import Any, Protocol

from sqlalchemy import ColumnElement

BIGGEST_ID = 2**63 - 1
"""The end of a version that has not ended: above every transaction id."""


class Rules(Protocol):
    """How one database says what the reading of the past needs."""

    @property
    def functions(self) -> frozenset[str]:
        """Names of functions that come with the database and read no tables."""

    @property
    def block(self) -> ColumnElement[int] | None:
        """The block of a row of history, where an index has it: see ``ddl.blocks``."""

    def in_block(
        self, block: ColumnElement[int], blocks: ColumnElement[Any]
    ) -> ColumnElement[bool]:
        """Whether ``block`` is one of ``blocks``, a list in one parameter."""

    def in_flight(self, tx: ColumnElement[int], ids: ColumnElement[Any]) -> ColumnElement[bool]:
        """Whether ``tx`` is one of ``ids``, a list in one parameter."""

    def not_in_flight(self, tx: ColumnElement[int], ids: ColumnElement[Any]) -> ColumnElement[bool]:
        """Whether ``tx`` is none of ``ids``."""
