"""What may be asked of versions and of the commits that made them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypedDict, get_args

from sqlalchemy import Select, select

from sqlalchemy_temporal.by_dialect import contains_json, contains_text
from sqlalchemy_temporal.errors import UnknownOptionError
from sqlalchemy_temporal.model.period import Period
from sqlalchemy_temporal.stored import system_rows

Which = Literal["made", "valid"]
"""``"made"``: begun by a commit of the range; ``"valid"``: valid at some moment of it."""

Operation = Literal["INSERT", "UPDATE", "DELETE"]
"""What made a version, as :attr:`Version.operation`, or ``"DELETE"``: what ended it."""


class Filters(TypedDict, total=False):
    """The filters of :func:`versions_between`, as keywords."""

    which: Which
    author: str | None
    message: str | None
    context: Mapping[str, Any] | None
    operation: Operation | None


@dataclass(frozen=True, slots=True)
class Criteria:
    """What is asked of versions and their commits, checked."""

    which: Which = "made"
    author: str | None = None
    message: str | None = None
    context: Mapping[str, Any] | None = None
    operation: Operation | None = None

    @classmethod
    def checked(
        cls,
        which: Which = "made",
        author: str | None = None,
        message: str | None = None,
        context: Mapping[str, Any] | None = None,
        operation: Operation | None = None,
    ) -> Criteria:
        """Refuse values that have no meaning.

        Raises:
            UnknownOptionError: one has not.
        """
        if which not in get_args(Which):
            raise UnknownOptionError(f"which must be 'made' or 'valid', not {which!r}")
        if operation is not None and operation not in get_args(Operation):
            raise UnknownOptionError(
                f"operation must be one of {', '.join(get_args(Operation))}, not {operation!r}"
            )
        for name, value in (("author", author), ("message", message)):
            if value is not None and not isinstance(value, str):
                raise UnknownOptionError(f"{name} must be a string, not {value!r}")
        if context is not None and not isinstance(context, Mapping):
            raise UnknownOptionError(f"context must be a mapping, not {context!r}")
        return cls(which, author, message, context, operation)

    @property
    def about_commits(self) -> bool:
        """Whether anything is asked of commits."""
        return (self.author, self.message, self.context) != (None, None, None)

    def transactions(self, schema: str, period: Period) -> Select[Any]:
        """The ids of the transactions in ``period`` by which it must have been done."""
        transaction = system_rows(schema, "transaction").alias()
        statement = select(transaction.c.id).where(*period.contains(transaction.c.id))
        if self.author is not None:
            statement = statement.where(transaction.c.author == self.author)
        if self.message is not None:
            statement = statement.where(contains_text(transaction.c.message, self.message))
        if self.context is not None:
            statement = statement.where(contains_json(transaction.c.context, self.context))
        return statement


__all__ = ["Criteria", "Filters", "Operation", "Which"]
