"""Writes that are seen only as text: which tables they would write."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_VERBS: Final = frozenset({"INSERT", "UPDATE", "DELETE", "MERGE", "TRUNCATE", "COPY", "REPLACE"})
_ANY_VERB: Final = re.compile(rf"\b(?:{'|'.join(sorted(_VERBS))})\b", re.IGNORECASE)
_BETWEEN: Final = frozenset(
    {"INTO", "FROM", "ONLY", "TABLE", "OR", "ROLLBACK", "ABORT", "REPLACE", "FAIL", "IGNORE"}
)
_TOKEN: Final = re.compile(
    r"""
    (?P<skip> \s+ | --[^\n]* | /\*.*?\*/ | E?'(?:[^']|'')*' )
    | "(?P<quoted> (?:[^"]|"")* )" | `(?P<ticked> [^`]* )` | \[(?P<squared> [^\]]* )\]
    | (?P<word> [^\W\d][\w$]* )
    | (?P<sign> . )
    """,
    re.VERBOSE | re.DOTALL,
)
_Token = tuple[str, bool]
"""A name, word or sign, and whether it was quoted."""


def written_tables(sql: str) -> Iterator[tuple[str | None, str]]:
    """Schema, if it is said, and name of each table that a statement as text says it writes.

    A name stands where it stands after the words that say what is written; what is inside of
    strings, and what functions do that the statement calls, cannot be seen. Names that are not
    quoted are given in lower case.
    """
    if _ANY_VERB.search(sql) is None:
        return
    tokens = list(_tokens(sql))
    for place, (word, quoted) in enumerate(tokens):
        if quoted or word.upper() not in _VERBS:
            continue
        after = place + 1
        while after < len(tokens) and tokens[after][0].upper() in _BETWEEN and not tokens[after][1]:
            after += 1
        yield from _names(tokens, after, several=word.upper() == "TRUNCATE")


def _tokens(sql: str) -> Iterator[_Token]:
    for found in _TOKEN.finditer(sql):
        match found.lastgroup:
            case "quoted":
                yield found["quoted"].replace('""', '"'), True
            case "ticked" | "squared" as group:
                yield found[group], True
            case "word":
                yield found["word"].lower(), False
            case "sign":
                yield found["sign"], False


def _names(tokens: list[_Token], place: int, *, several: bool) -> Iterator[tuple[str | None, str]]:
    while place < len(tokens):
        parts = [tokens[place][0]]
        while place + 2 < len(tokens) and tokens[place + 1] == (".", False):
            place += 2
            parts.append(tokens[place][0])
        yield (parts[-2] if len(parts) > 1 else None), parts[-1]
        place += 1
        while place < len(tokens) and tokens[place] in (("*", False), ("only", False)):
            place += 1
        if not several or place >= len(tokens) or tokens[place] != (",", False):
            return
        place += 1


__all__ = ["written_tables"]
