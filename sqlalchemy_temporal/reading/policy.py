"""What a question to the past does where the past has no exact answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal, get_args

from sqlalchemy_temporal.errors import UnknownOptionError

Choice = Literal["error", "allow"]
"""``"error"`` refuses what cannot be answered exactly; ``"allow"`` takes it as it is now."""

Plan = Literal["auto", "rows", "table"]
"""Which form of SQL reads a versioned table, see :mod:`sqlalchemy_temporal.reading.rows`."""

_CHOICES: Final = get_args(Choice)
_PLANS: Final = get_args(Plan)


@dataclass(frozen=True, slots=True)
class Policy:
    """The choices of one session of the past.

    Parameters:
        unversioned: ``"error"`` refuses tables without history; ``"allow"`` reads them as
            they are now.
        text: ``"error"`` refuses SQL text, constructs compiled by other packages and
            lightweight ``table()`` objects, which may read the present unseen; ``"allow"``
            runs them as they are.
        plan: ``"rows"`` reads tables in the form that is best when some rows are asked
            for, ``"table"`` in the one for joins of whole tables; ``"auto"`` chooses for
            each SELECT.
        functions: names of SQL functions, beside those that come with the database, that
            read no tables and so have the same value in the past.
    """

    unversioned: Choice = "error"
    text: Choice = "error"
    plan: Plan = "auto"
    functions: frozenset[str] = field(default_factory=frozenset)

    def check(self) -> Policy:
        """Return self when every choice exists.

        Raises:
            UnknownOptionError: a choice is not one of those allowed.
        """
        for name, allowed in (("unversioned", _CHOICES), ("text", _CHOICES), ("plan", _PLANS)):
            value = getattr(self, name)
            if value not in allowed:
                raise UnknownOptionError(
                    f"as_of: {name} must be one of {', '.join(allowed)}, not {value!r}"
                )
        return self
