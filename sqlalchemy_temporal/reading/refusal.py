"""What a question to the past may not contain, because it might answer with the present."""

from __future__ import annotations

import re
from typing import Any, Final

from sqlalchemy import Table, TableClause
from sqlalchemy.sql import visitors
from sqlalchemy.sql.elements import ClauseElement, quoted_name

from sqlalchemy_temporal.clock.moment import Moment
from sqlalchemy_temporal.errors import UnsupportedReadError, UnversionedTableError
from sqlalchemy_temporal.reading.policy import Policy
from sqlalchemy_temporal.schema import history_table, is_system_table, is_versioned, live_of

_NAME: Final = r"""(?:[A-Za-z_]\w*|"[^"()]*")"""
_HARMLESS: Final = re.compile(
    rf"""\s*(?:\*|[+-]?\d+(?:\.\d+)?|'[^'()\\]*'|(?:not\s+)?materialized
    |{_NAME}(?:\.{_NAME}){{0,3}}(?:\s+(?:asc|desc))?(?:\s+nulls\s+(?:first|last))?)\s*""",
    re.VERBOSE | re.IGNORECASE,
)
"""Text that is one name, number, string or star names what the statement already has; it
cannot bring in another table."""

_HOW = 'pass text="allow" to as_of() if it reads no versioned table'


def is_rewritten(table: TableClause, policy: Policy) -> bool:
    """Whether ``table`` is read as of the moment; False when it is read as it is.

    Raises:
        UnversionedTableError: it has no history, and the policy does not allow that.
        UnsupportedReadError: it is a lightweight ``table()``, of which is not known
            whether it has history, and the policy does not allow that.
    """
    if not isinstance(table, Table):
        if policy.text == "allow":
            return False
        raise UnsupportedReadError(
            f"table({table.name!r}) says nothing about history; use the Table or the mapped "
            f"class, or {_HOW}"
        )
    if is_versioned(table):
        return True
    if policy.unversioned == "allow" or _is_record(table):
        return False
    raise UnversionedTableError(
        f"table {table.fullname!r} has no history, so how it was is not known; declare it "
        'versioned, or pass unversioned="allow" to as_of() to read it as it is now'
    )


def check_known(table: Table, moment: Moment) -> None:
    """Refuse a table of which nothing is recorded at ``moment``.

    Raises:
        BeforeVersioningError: its versioning began later.
        VersioningGapError: its versioning was disabled then.
        PurgedHistoryError: what it was then has been purged.
    """
    if not moment.unknown:
        return
    history = history_table(table).fullname
    for unknown in moment.unknown:
        if unknown.history == history:
            raise unknown.error(repr(table.fullname))


def _is_record(table: Table) -> bool:
    """Whether ``table`` is part of the record of all time: history, transactions, commits."""
    return live_of(table) is not None or is_system_table(table)


def check_text(text: str, policy: Policy) -> None:
    """Refuse SQL text that may read a table.

    Raises:
        UnsupportedReadError: the text is more than a name, a number, a string or a star.
    """
    if policy.text == "allow" or _HARMLESS.fullmatch(text):
        return
    shown = text if len(text) <= 60 else f"{text[:60]}…"  # noqa: PLR2004 - a line of a message
    raise UnsupportedReadError(
        f"the SQL text {shown!r} cannot be read as of a moment, as it may name tables; "
        f"write it with SQLAlchemy's constructs, or {_HOW}"
    )


def check_function(function: Any, policy: Policy, known: frozenset[str]) -> None:
    """Refuse a function that may read a table.

    Raises:
        UnsupportedReadError: the function neither comes with the database nor is declared
            to read no tables.
    """
    name = function.name
    package = getattr(function, "packagenames", ())
    if policy.text == "allow" or ".".join((*package, name)) in policy.functions:
        return
    builtin = name if isinstance(name, quoted_name) and name.quote else name.lower()
    if builtin in known and tuple(package) in ((), ("pg_catalog",)):
        return
    if _is_custom(function) and not package:
        raise _custom(function)
    raise UnsupportedReadError(
        f"function {name!r} may read tables as they are now; if it does not, pass "
        f"functions={{{'.'.join((*package, name))!r}}} to as_of()"
    )


def check_operator(operator: Any, policy: Policy) -> None:
    """Refuse an operator written as text that holds more than an operator.

    Raises:
        UnsupportedReadError: there is a parenthesis or a string in it.
    """
    if policy.text != "allow" and set(operator.opstring) & set("()'\""):
        raise UnsupportedReadError(
            f"the operator {operator.opstring!r} holds more than an operator; {_HOW}"
        )


def check_select(select: Any, policy: Policy) -> None:
    """Refuse hints and constructs that render SQL of their own.

    Raises:
        UnsupportedReadError: there are such, and the policy does not allow text.
    """
    if policy.text == "allow":
        return
    if select._hints or select._statement_hints:
        raise UnsupportedReadError(f"hints are SQL text that may name tables; {_HOW}")
    for element in visitors.iterate(select):
        if isinstance(element, ClauseElement) and _is_custom(element):
            raise _custom(element)


def _is_custom(element: object) -> bool:
    """Whether another package compiles the element (``sqlalchemy.ext.compiler``)."""
    for kind in type(element).__mro__:  # the ORM makes annotated subclasses
        if "_compiler_dispatcher" in vars(kind):
            return not kind.__module__.startswith(("sqlalchemy.", "sqlalchemy_temporal."))
    return False


def _custom(element: object) -> UnsupportedReadError:
    return UnsupportedReadError(
        f"{type(element).__name__} renders SQL of its own, which may name tables; {_HOW}"
    )
