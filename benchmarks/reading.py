"""What the sections that read have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy import Connection, Table, event
from sqlalchemy.orm import Session, registry

from benchmarks.measure import seconds

T = TypeVar("T")


class Item:
    """A row of the versioned table; mapped once there is one."""


@contextmanager
def mapped(table: Table) -> Iterator[None]:
    """Let :class:`Item` be the rows of ``table`` for a while."""
    mapper = registry()
    mapper.map_imperatively(Item, table)
    try:
        yield
    finally:
        mapper.dispose()


def each(things: Sequence[T], read: Callable[[T], object]) -> Callable[[], float]:
    """Microseconds per thing, to read all of them."""

    def run() -> float:
        def loop() -> None:
            for thing in things:
                read(thing)

        return seconds(loop) / len(things) * 1e6

    return run


def get(session: Session, key: int) -> object:
    """Load an item from the database, by its key."""
    session.expunge_all()
    found = session.get(Item, key)
    if found is None:
        raise LookupError(f"no row {key}")
    return found


def sent(connection: Connection, work: Callable[[], object]) -> tuple[str, Any]:
    """The SQL and the parameters that the driver is given by ``work``."""
    seen: list[tuple[str, Any]] = []

    def listen(_c: object, _cursor: object, sql: str, values: Any, *_: object) -> None:
        seen.append((sql, values))

    event.listen(connection, "before_cursor_execute", listen)
    try:
        work()
    finally:
        event.remove(connection, "before_cursor_execute", listen)
    return seen[-1]
