"""What a question to the past may not contain, because it might answer with the present."""

from __future__ import annotations

import re
from typing import Any, Final

from sqlalchemy import Table, TableClause
from sqlalchemy.sql import visitors
from sqlalchemy.sql.elements import ClauseElement, quoted_name

from sqlalchemy_temporal.clock.moment import Moment
from sqlalchemy_temporal.errors import (
    ReadOnlyPastError,
    UnsupportedReadError,
    UnversionedTableError,
)
from sqlalchemy_temporal.reading.policy import Policy
from sqlalchemy_temporal.schema import history_table, is_system_table, is_versioned, live_of

_NAME: Final = r"""(?:[A-Za-z_]\w*|"[^"()]*")"""
_HARMLESS: Final = re.compile(
    rf"""\s*(?:\*|[+-]?\d+(?:\.\d+)?|'[^'()\\]*'|(?:not\s+)?materialized
    |{_NAME}(?:\.{_NAME}){{0,3}}(?:\s+(?:asc|desc))?(?:\s+nulls\s+(?:first|last))?)\s*""",
    re.VERBOSE | re.IGNORECASE,
)
"""Text that is one name, number, string or star names what the statement already has; it
cannot bring in another table, unless it stands in FROM or is a word of the language."""

_WORDS: Final = (
    r"all|and|any|as|case|collate|cross|distinct|else|end|except|exists|fetch|for|from|full|group"
    r"|having|in|inner|insert|intersect|into|is|join|lateral|left|like|limit|natural|not|offset"
    r"|on|only|or|order|outer|returning|right|select|similar|table|tablesample|then|union|unique"
    r"|using|values|when|where|window|with"
)
_LANGUAGE: Final = re.compile(rf"\s*(?:{_WORDS})(?!\w)", re.IGNORECASE)
"""Words that, set beside each other by pieces of text, could make a query."""
_PREFIXES: Final = re.compile(r"\s*(?:all|distinct|(?:not\s+)?materialized)\s*", re.IGNORECASE)

_SYMBOLS: Final = re.compile(r"[-+*/<>=~!@#%^&|`?:]+")
_OPERATORS: Final = frozenset(
    """and;or;is;is not;is distinct from;is not distinct from;like;not like;ilike;not ilike
    ;similar to;not similar to;at time zone;overlaps;collate;glob;not glob;regexp;not regexp;match
    ;->;->>""".replace("\n    ", "").split(";")
)
_COMMENTS: Final = r"(?:\s|--[^\n]*\n|/\*.*?\*/|\()*"
_QUERY: Final = re.compile(
    rf"{_COMMENTS}(?:select|with|values|table|show|explain)\b", re.IGNORECASE | re.DOTALL
)
_WRITE: Final = re.compile(
    r"\b(?:insert\s+into|delete\s+from|merge\s+into|update\s+[^;]*?\bset|for\s+(?:no\s+key\s+)?update"
    r"|for\s+(?:key\s+)?share|into\s+(?:temp|table|unlogged))\b|;\s*\S",
    re.IGNORECASE | re.DOTALL,
)
_FIELD: Final = re.compile(r"\w+")
_TYPE: Final = re.compile(r"\b(?:select|from|union|table)\b", re.IGNORECASE)

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


def check_text(text: str, policy: Policy, *, in_from: bool = False) -> None:
    """Refuse SQL text that may read a table.

    Parameters:
        text: the SQL.
        policy: whether text is allowed.
        in_from: whether it stands where a table would, so that a name is one of a table.

    Raises:
        UnsupportedReadError: the text is more than a name, a number, a string or a star.
    """
    words = _LANGUAGE.match(text) and not _PREFIXES.fullmatch(text)
    if policy.text == "allow" or (_HARMLESS.fullmatch(text) and not words and not in_from):
        return
    shown = text if len(text) <= 60 else f"{text[:60]}…"  # noqa: PLR2004 - a line of a message
    raise UnsupportedReadError(
        f"the SQL text {shown!r} cannot be read as of a moment, as it may name tables; "
        f"write it with SQLAlchemy's constructs, or {_HOW}"
    )


def check_reads(text: str) -> None:
    """Refuse a statement given as text, which the policy allows, that is not for reading.

    Raises:
        ReadOnlyPastError: it does not begin as a query, or writes in a WITH.
    """
    if not _QUERY.match(text) or _WRITE.search(text):
        raise ReadOnlyPastError(f"the SQL text {text[:60]!r} is not a query; the past is read-only")


def check_name(name: object, policy: Policy) -> None:
    """Refuse a name that is to be written as it is (``quoted_name(…, quote=False)``) but is none.

    Raises:
        UnsupportedReadError: it is more than a name.
    """
    if isinstance(name, quoted_name) and name.quote is False:
        check_text(str(name), policy)


def check_field(field: str, policy: Policy) -> None:
    """Refuse an EXTRACT of more than a field.

    Raises:
        UnsupportedReadError: the field is not one word.
    """
    if policy.text != "allow" and not _FIELD.fullmatch(field):
        raise UnsupportedReadError(f"the field {field!r} holds more than a field; {_HOW}")


def check_type(sql: str, policy: Policy) -> None:
    """Refuse the SQL of a type that is a query.

    Raises:
        UnsupportedReadError: it holds one.
    """
    if policy.text != "allow" and _TYPE.search(sql):
        raise UnsupportedReadError(f"the type {sql!r} holds a query; {_HOW}")


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
    """Refuse an operator written as text that is more than an operator.

    Raises:
        UnsupportedReadError: it is neither made of symbols nor one of the language's words.
    """
    written = " ".join(operator.opstring.split())
    symbols = _SYMBOLS.fullmatch(written) and "--" not in written and "/*" not in written
    if policy.text != "allow" and not symbols and written.lower() not in _OPERATORS:
        raise UnsupportedReadError(
            f"the operator {operator.opstring!r} may be more than an operator; {_HOW}"
        )


def check_select(select: Any, policy: Policy) -> None:
    """Refuse hints and constructs that render SQL of their own.

    Raises:
        UnsupportedReadError: there are such, and the policy does not allow text.
    """
    if policy.text == "allow":
        return
    if getattr(select, "_hints", None) or getattr(select, "_statement_hints", None):
        raise UnsupportedReadError(f"hints are SQL text that may name tables; {_HOW}")
    for element in visitors.iterate(select):
        if isinstance(element, ClauseElement):
            if _is_custom(element):
                raise _custom(element)
            check_name(getattr(element, "name", None), policy)


def _is_custom(element: object) -> bool:
    """Whether another package compiles the element (``sqlalchemy.ext.compiler``).

    It may do so for a class of SQLAlchemy's, too.
    """
    for kind in type(element).__mro__:  # the ORM makes annotated subclasses
        dispatcher = vars(kind).get("_compiler_dispatcher")
        if dispatcher is not None:
            return not all(_is_known(renderer) for renderer in dispatcher.specs.values())
    return False


def _is_known(renderer: Any) -> bool:
    module: str = getattr(renderer, "__module__", "")
    return module.startswith(("sqlalchemy.", "sqlalchemy_temporal."))


def _custom(element: object) -> UnsupportedReadError:
    return UnsupportedReadError(
        f"{type(element).__name__} renders SQL of its own, which may name tables; {_HOW}"
    )
