"""Constructs that set the system column along with what they change.

The system column is no column of the application's tables, so UPDATE cannot be told to set it
by ``values()``. These constructs add it when they are compiled. That way a row is written once,
and the application's own triggers fire once.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from sqlalchemy import Insert, Update
from sqlalchemy.dialects.postgresql.dml import OnConflictDoUpdate
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

from sqlalchemy_temporal.errors import CaptureError


def stamped_update(element: Update, stamp: str) -> Update:
    """``element`` with an assignment, as SQL, before those it has.

    Parameters:
        element: the statement.
        stamp: the assignment. It must be the same for all tables of a dialect: it is no part
            of what a compiled statement is found by.
    """
    made: Any = element._clone()
    kind: Any = type(element)
    made.__class__ = _stamped(kind)
    made.stamp = stamp
    return made  # type: ignore[no-any-return]


@lru_cache
def _stamped(kind: Any) -> Any:
    """A class of its own for each class of UPDATE: the ORM annotates statements by class."""
    made = type(f"Stamped{kind.__name__}", (kind,), {"__slots__": (), "inherit_cache": True})
    compiles(made)(_update)
    return made


def _update(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    name = compiler.preparer.quote(str(getattr(element.table, "name", "")))
    return _with_stamp(compiler.visit_update(element, **kw), f"{name} SET ", element.stamp)


class GuardedUpsert(OnConflictDoUpdate):
    """What ON CONFLICT DO UPDATE sets, and the system column."""

    inherit_cache = False
    stamp: str


@compiles(GuardedUpsert)
def _upsert(element: GuardedUpsert, compiler: Any, **kw: Any) -> str:
    made = compiler.visit_on_conflict_do_update(element, **kw)
    return _with_stamp(made, " DO UPDATE SET ", element.stamp)


def guarded_upsert(element: Insert, stamp: str) -> Insert:
    """``element`` with an assignment, as SQL, before those of its ON CONFLICT DO UPDATE."""
    made: Any = element._clone()
    clause: Any = made._post_values_clause._clone()
    clause.__class__ = GuardedUpsert
    clause.stamp = stamp
    made._post_values_clause = clause
    return made  # type: ignore[no-any-return]


def _with_stamp(sql: str, keyword: str, stamp: str) -> str:
    before, found, after = sql.partition(keyword)
    if not found:
        raise CaptureError(f"no {keyword.strip()} in the statement to record: {sql}")
    return f"{before}{found}{stamp}, {after}"


__all__ = ["guarded_upsert", "stamped_update"]
