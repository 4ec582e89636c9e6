"""Results that hold what is little and read again what is much.

A result holds its first rows. When there are more, iterating reads all of them anew, in
blocks, so that no more than a block is in memory. As a result is of fixed moments, reading
again gives the same answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import Connection

from sqlalchemy_temporal.capture.install import in_autocommit
from sqlalchemy_temporal.errors import UnknownOptionError
from sqlalchemy_temporal.tables.access import AccessMode, reading
from sqlalchemy_temporal.tables.render import Tabular
from sqlalchemy_temporal.tables.work import Bind

T = TypeVar("T")

BUFFER: Final = 1000
"""Rows that a result holds."""
BLOCK: Final = 1000
"""Rows that are fetched at a time."""
IN_BLOCKS: Final = {"stream_results": True, "yield_per": BLOCK}
"""The execution options that make drivers fetch in blocks."""

Reader = Callable[[Connection], Iterator[T]]
"""Reads rows, in blocks, from a connection."""


@dataclass(frozen=True, slots=True)
class Held(Generic[T]):
    """The first rows of an answer, and how to read all of them.

    Attributes:
        first: the rows held.
        is_all: whether there are no others.
        more: whether ``limit`` left some out.
        again: reads all of them again, up to the limit.
    """

    first: tuple[T, ...]
    is_all: bool
    more: bool
    again: Callable[[], Iterator[T]] = field(repr=False, compare=False)


def hold(
    bind: Bind,
    access: AccessMode | None,
    connection: Connection,
    read: Reader[T],
    *,
    limit: int | None,
    buffer: int | None,
) -> Held[T]:
    """Read the first rows now.

    Parameters:
        bind: where to read the rest.
        access: the access mode of that.
        connection: where to read now.
        read: reads the rows, and one more than ``limit`` where there is one.
        limit: how many rows are asked for; None for all.
        buffer: how many are held at most; None for all.
    """
    with cursors_closed(connection), closing_each(read(connection)) as rows:
        first = tuple(islice(rows, buffer if limit is None else min(limit, buffer or limit)))
        others = sum(1 for _ in (islice(rows, 1) if limit is None else rows))
    is_all = others == 0 or len(first) == limit
    more = limit is not None and len(first) + others > limit

    def again() -> Iterator[T]:
        with reading(bind, access) as anew, closing_each(read(anew)) as rows:
            yield from islice(rows, limit)

    return Held(first, is_all, more, again)


@contextmanager
def cursors_closed(connection: Connection) -> Iterator[None]:
    """Leave no cursor of the block open on the server.

    asyncpg closes them only with their transaction, and until then their tables cannot be
    altered; the end of a savepoint closes them, too.
    """
    if connection.dialect.driver != "asyncpg" or in_autocommit(connection):
        yield
        return
    savepoint = connection.begin_nested()
    try:
        yield
    finally:
        savepoint.rollback()


def closing_each(rows: Iterator[T]) -> closing[Any]:
    """Close a generator at the end of a block, and with it what it reads from."""
    return closing(rows)


def checked(name: str, number: int | None) -> int | None:
    """``number``, a limit or an offset.

    Raises:
        UnknownOptionError: it is negative, or no number.
    """
    if number is not None and (isinstance(number, bool) or not isinstance(number, int)):
        raise UnknownOptionError(f"{name} must be a whole number, not {number!r}")
    if number is not None and number < 0:
        raise UnknownOptionError(f"{name} must not be negative: {number!r}")
    return number


class Streamed(Tabular, Generic[T]):
    """A result that is iterated: held rows when these are all, else read in blocks."""

    __slots__ = ()

    @property
    def held(self) -> Held[T]:
        """The first rows, and how to read all."""
        raise NotImplementedError

    @property
    def more(self) -> bool:
        """Whether there are more rows than ``limit`` asked for."""
        return self.held.more

    def __iter__(self) -> Iterator[T]:
        return iter(self.held.first) if self.held.is_all else self.held.again()

    def __len__(self) -> int:
        if not self.held.is_all:
            raise TypeError(
                f"the result has more than the {len(self.held.first)} rows it holds, and they "
                "are not counted; iterate over it, or ask with buffer=None to hold all"
            )
        return len(self.held.first)

    def __bool__(self) -> bool:
        return bool(self.held.first)

    def __getitem__(self, index: int) -> T:
        if self.held.is_all or 0 <= index < len(self.held.first):
            return self.held.first[index]
        return tuple(self)[index]


__all__ = ["BLOCK", "BUFFER", "IN_BLOCKS", "Held", "Streamed", "checked", "cursors_closed", "hold"]
