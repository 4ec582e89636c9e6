"""``disable_temporal_versioning``: stop recording a table; keep its history, or drop it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, Row, select

from sqlalchemy_temporal.capture.by_name import disable_registered, uninstall_registered
from sqlalchemy_temporal.capture.install import system_exists
from sqlalchemy_temporal.errors import NotInstalledError
from sqlalchemy_temporal.naming import DEFAULT_SCHEMA, qualified_name
from sqlalchemy_temporal.schema import system_of
from sqlalchemy_temporal.tables.access import AccessMode, writing
from sqlalchemy_temporal.tables.locks import Timeout
from sqlalchemy_temporal.tables.locks import lock_timeout as waiting
from sqlalchemy_temporal.tables.render import Tabular
from sqlalchemy_temporal.tables.work import Bind


@dataclass(frozen=True, slots=True)
class DisabledTable(Tabular):
    """A table that is not versioned any more.

    Attributes:
        table: the table, as ``schema.table``.
        did: ``"disabled"``, ``"was disabled"`` or ``"history dropped"``.
        history_table: where its past is kept, as ``schema.table``; None when it was dropped.
        system_dropped: whether it was the last versioned table, so that the library's own
            tables were dropped with it.
    """

    table: str
    did: str
    history_table: str | None
    system_dropped: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The same as values that JSON can have."""
        return asdict(self)

    def headline(self) -> str:
        """What was done."""
        kept = f", history kept in {self.history_table}" if self.history_table else ""
        return f"{self.table}: {self.did}{kept}"


def disable_temporal_versioning(
    bind: Bind,
    table_name: str,
    schema_name: str = "public",
    drop_history: bool = False,
    *,
    lock_timeout: Timeout | None = None,
    access: AccessMode | None = None,
    schema: str = DEFAULT_SCHEMA,
) -> DisabledTable:
    """Stop recording a table.

    Its history stays and can be asked about as before, for every moment up to now; later ones
    are refused with ``VersioningGapError``. What the table has now is copied into history for
    that; meanwhile the table can be read, and not written. Enabled again, history goes on
    with a gap.

    With ``drop_history=True`` everything that versioning made for the table is removed, and
    nothing else; with the last versioned table also the library's own tables.

    Parameters:
        bind: an engine, a connection or a session, of a role that owns the table.
        table_name: the table.
        schema_name: its schema.
        drop_history: remove history, too.
        lock_timeout: how long to wait for a lock, in seconds or as a timedelta.
        access: the access mode; ``"restricted"`` refuses the call.
        schema: the schema of the library's own tables.

    Raises:
        NotInstalledError: the table was never versioned.
        ConfigurationError: it inherits from a versioned table.
        LockTimeoutError: a lock was not to be had in time; nothing was changed.
        PrivilegeError: the role may not do it.
        AccessModeError: the access mode allows reads only.
    """
    with writing(bind, access, "disabling versioning") as connection:
        row = _row(connection, table_name, schema_name, schema)
        label = qualified_name(row.table_schema, row.table_name)
        with waiting(connection, lock_timeout, [(row.table_schema, row.table_name)]):
            if drop_history:
                last = uninstall_registered(connection, row, schema)
                return DisabledTable(label, "history dropped", None, system_dropped=last)
            done = disable_registered(connection, row, schema)
    return DisabledTable(
        label,
        "disabled" if done else "was disabled",
        f"{row.history_schema}.{row.history_table}",
    )


def _row(connection: Connection, table_name: str, schema_name: str, schema: str) -> Row[Any]:
    row = None
    if system_exists(connection, schema):
        listed = system_of(connection, schema).versioned_tables
        row = connection.execute(
            select(listed).where(
                listed.c.table_schema == schema_name, listed.c.table_name == table_name
            )
        ).one_or_none()
    if row is None:
        raise NotInstalledError(
            f"table {qualified_name(schema_name, table_name)!r} is not versioned in this database; "
            "see list_temporal_tables(bind)"
        )
    return row


__all__ = ["DisabledTable", "disable_temporal_versioning"]
