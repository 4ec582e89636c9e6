"""Which columns of a row were edited: those that give its old hash with their old values.

A hash tells no columns. But a value mostly stays the same from version to version, so what
an edited column held is mostly what the version before or after it holds, or NULL. When the
row with that value in place of its own has a hash that is missed, it was this column.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Final

from sqlalchemy_temporal.repository.canonical import sha256

_MOST: Final = 5000
"""So many hashes are tried for one row."""


@dataclass(frozen=True, slots=True)
class Fields:
    """The bytes that the hash of a version is taken of.

    Attributes:
        head: what stands before the fields.
        names: the columns.
        own: the fields of the version, one for each column; empty for NULL.
        others: those that the versions before and after it would have in its place.
    """

    head: bytes
    names: tuple[str, ...]
    own: tuple[bytes, ...]
    others: tuple[tuple[bytes, ...], ...]


def edited_columns(fields: Fields, is_missed: Callable[[bytes], bool]) -> tuple[str, ...]:
    """The columns that were edited; none when that cannot be told.

    Parameters:
        fields: the version as it is, and those beside it.
        is_missed: whether a leaf is one that its commit recorded and that is not there.
    """
    for tried, changed in enumerate(_guesses(fields)):
        if tried >= _MOST:
            break
        parts = list(fields.own)
        for index, value in changed:
            parts[index] = value
        if is_missed(sha256(fields.head + b"".join(parts))):
            return tuple(fields.names[index] for index, _ in changed)
    return ()


def _guesses(fields: Fields) -> Iterator[Sequence[tuple[int, bytes]]]:
    """Other values for one column, for all that differ, and for two."""
    values = [
        [(index, value) for value in {*(other[index] for other in fields.others), b""} - {own}]
        for index, own in enumerate(fields.own)
    ]
    for each in values:
        for guess in each:
            yield (guess,)
    for other in fields.others:
        pairs = enumerate(zip(fields.own, other, strict=True))
        if whole := [(index, value) for index, (own, value) in pairs if own != value]:
            yield whole
    for two in combinations([each for each in values if each], 2):
        yield from product(*two)


__all__ = ["Fields", "edited_columns"]
