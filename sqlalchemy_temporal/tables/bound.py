"""``TemporalTables``: the operations as methods of one object that knows where they run."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import tzinfo
from functools import wraps
from typing import Any, Concatenate, Final, Generic, ParamSpec, TypeVar, overload

from sqlalchemy_temporal.naming import DEFAULT_SCHEMA
from sqlalchemy_temporal.tables.access import AccessMode, mode_of
from sqlalchemy_temporal.tables.archive import archive_history
from sqlalchemy_temporal.tables.changes import get_change_history
from sqlalchemy_temporal.tables.compare import compare_temporal_data
from sqlalchemy_temporal.tables.disable import disable_temporal_versioning
from sqlalchemy_temporal.tables.enable import enable_many, enable_temporal_versioning
from sqlalchemy_temporal.tables.growth import history_growth
from sqlalchemy_temporal.tables.partitions import maintain_history_partitions, partition_history
from sqlalchemy_temporal.tables.purge import purge_history
from sqlalchemy_temporal.tables.query import query_temporal_data
from sqlalchemy_temporal.tables.redact import redact
from sqlalchemy_temporal.tables.redact_commit import redact_commit
from sqlalchemy_temporal.tables.revert import revert_table_data
from sqlalchemy_temporal.tables.row_history import get_row_history
from sqlalchemy_temporal.tables.status import get_temporal_status, list_temporal_tables
from sqlalchemy_temporal.tables.times import zone
from sqlalchemy_temporal.tables.work import Bind

P = ParamSpec("P")
R = TypeVar("R")


class _Operation(Generic[P, R]):
    """A function over a bind as a method that passes the bind, and what was chosen with it."""

    def __init__(self, function: Callable[Concatenate[Bind, P], R]) -> None:
        self.function = function
        self.__doc__ = function.__doc__
        self.takes = frozenset(inspect.signature(function).parameters)

    @overload
    def __get__(self, instance: None, owner: type[Any]) -> _Operation[P, R]: ...

    @overload
    def __get__(self, instance: TemporalTables, owner: type[Any]) -> Callable[P, R]: ...

    def __get__(
        self, instance: TemporalTables | None, owner: type[Any]
    ) -> _Operation[P, R] | Callable[P, R]:
        if instance is None:
            return self
        return self._bound(instance)

    def _bound(self, tables: TemporalTables) -> Callable[P, R]:
        function: Callable[..., R] = self.function

        @wraps(function)
        def call(*args: P.args, **kw: P.kwargs) -> R:
            given: dict[str, Any] = {"schema": tables.schema, **kw}
            if "timezone" in self.takes:
                given.setdefault("timezone", tables.timezone)
            # The stricter mode holds: a call cannot allow itself what its bind does not.
            restricted = "restricted" in (tables.access, given.get("access"))
            given["access"] = "restricted" if restricted else given.get("access")
            return function(tables.bind, *args, **given)

        signature = inspect.signature(function)
        parameters = list(signature.parameters.values())[1:]
        call.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        return call


class TemporalTables:
    """The operations on tables known by their names, bound to a database.

    ::

        tables = TemporalTables(engine, timezone="Europe/Berlin")
        tables.enable_temporal_versioning(schema_name="public", table_name="customers")
        tables.query_temporal_data("customers", "2024-01-15 10:30:00")

    Parameters:
        bind: an engine, whose calls have transactions of their own; or a connection or a
            session, which lends them its transaction.
        access: ``"restricted"`` allows reads only, in read-only transactions.
        timezone: the name of the time zone of times that are written without one, such as
            ``"UTC"`` or ``"Europe/Berlin"``; without it such times are refused.
        schema: the schema of the library's own tables.

    Raises:
        UnknownOptionError: an option has a bad value.
    """

    def __init__(
        self,
        bind: Bind,
        *,
        access: AccessMode = "unrestricted",
        timezone: str | tzinfo | None = None,
        schema: str = DEFAULT_SCHEMA,
    ) -> None:
        self.bind = bind
        self.access: AccessMode = mode_of(bind, access)
        self.timezone = zone(timezone)
        self.schema = schema

    enable_temporal_versioning = _Operation(enable_temporal_versioning)
    enable_many = _Operation(enable_many)
    disable_temporal_versioning = _Operation(disable_temporal_versioning)
    list_temporal_tables = _Operation(list_temporal_tables)
    get_temporal_status = _Operation(get_temporal_status)
    query_temporal_data = _Operation(query_temporal_data)
    get_change_history = _Operation(get_change_history)
    get_row_history = _Operation(get_row_history)
    compare_temporal_data = _Operation(compare_temporal_data)
    revert_table_data = _Operation(revert_table_data)
    purge_history = _Operation(purge_history)
    archive_history = _Operation(archive_history)
    partition_history = _Operation(partition_history)
    maintain_history_partitions = _Operation(maintain_history_partitions)
    history_growth = _Operation(history_growth)
    redact = _Operation(redact)
    redact_commit = _Operation(redact_commit)

    def functions(self) -> dict[str, Callable[..., Any]]:
        """The operations by name, as functions that need no bind any more."""
        return {name: getattr(self, name) for name in OPERATIONS}

    def __repr__(self) -> str:
        return f"TemporalTables({self.bind!r}, access={self.access!r})"


OPERATIONS: Final = tuple(
    name for name, value in vars(TemporalTables).items() if isinstance(value, _Operation)
)
"""The names of the operations."""


__all__ = ["OPERATIONS", "TemporalTables"]
