"""Names and options of one versioned table.

Everything that decides what a database object is called lives here, so that the
Python API, the DDL and the migrations can never disagree.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final, Literal, cast

from sqlalchemy_temporal.errors import ConfigurationError, UnknownOptionError

CaptureKind = Literal["trigger", "orm"]
CoreWrites = Literal["capture", "refuse"]
PartitionBy = Literal["month"]

DEFAULT_SCHEMA: Final = "temporal_versioning"
DEFAULT_SUFFIX: Final = "_history"
INFO_KEY: Final = "sqlalchemy_temporal"
"""The key under which this library keeps its state in ``Table.info`` and the like."""

TX_COLUMN: Final = "temporal_tx_id"
ID_COLUMN: Final = "temporal_id"
OPERATION_COLUMN: Final = "temporal_operation"
END_COLUMN: Final = "temporal_end_tx_id"
FROM_COLUMN: Final = "temporal_valid_from"
TO_COLUMN: Final = "temporal_valid_to"
SYSTEM_COLUMNS: Final = (
    ID_COLUMN,
    OPERATION_COLUMN,
    TX_COLUMN,
    END_COLUMN,
    FROM_COLUMN,
    TO_COLUMN,
)

MAX_IDENTIFIER_BYTES: Final = 63
"""PostgreSQL cuts longer identifiers silently (``NAMEDATALEN`` - 1)."""

_CAPTURE_KINDS: Final = ("trigger", "orm")
_CORE_WRITES: Final = ("capture", "refuse")


@dataclass(frozen=True, slots=True)
class VersioningOptions:
    """How one table is versioned.

    Parameters:
        exclude: names of columns that are not recorded. A change of only these makes
            no version; in the past they read as NULL.
        schema: the schema of the library's own tables and functions.
        history_schema: the schema of the history table; the same as ``schema`` by default.
        history_table_suffix: appended to the table's name to name its history table.
        capture: ``"trigger"`` (the database records) or ``"orm"`` (listeners of SQLAlchemy do).
        core: with ``capture="orm"``, what becomes of INSERT, UPDATE and DELETE constructs that
            are executed on a connection which no ``Session`` uses: ``"capture"`` records them,
            ``"refuse"`` raises. Writes as text are always refused.
        index: further column lists to index on history, for columns that questions to
            the past filter by.
        history_partition_by: ``"month"`` partitions the history table by the month in which
            versions ended, so that old months are dropped as a whole. PostgreSQL only.
    """

    exclude: tuple[str, ...] = ()
    schema: str = DEFAULT_SCHEMA
    history_schema: str | None = None
    history_table_suffix: str = DEFAULT_SUFFIX
    capture: CaptureKind = "trigger"
    core: CoreWrites = "capture"
    index: tuple[tuple[str, ...], ...] = ()
    history_partition_by: PartitionBy | None = None

    @property
    def effective_history_schema(self) -> str:
        """The schema in which the history table lies."""
        return self.history_schema or self.schema

    def fitting(self, columns: Container[str]) -> VersioningOptions:
        """The same without the columns that are not among ``columns``."""
        return replace(
            self,
            exclude=tuple(name for name in self.exclude if name in columns),
            index=tuple(entry for entry in self.index if all(name in columns for name in entry)),
        )

    def renamed(self, old: str, new: str) -> VersioningOptions:
        """The same, when the column ``old`` goes by another name."""

        def names(given: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(new if name == old else name for name in given)

        return replace(self, exclude=names(self.exclude), index=tuple(map(names, self.index)))

    @classmethod
    def from_mapping(cls, given: Mapping[str, Any], *, where: str) -> VersioningOptions:
        """Build options from what a user wrote, e.g. in ``__versioned__``.

        Parameters:
            given: option names and values.
            where: the model or table, for the error message.

        Raises:
            UnknownOptionError: an unknown name, or a value that is not allowed.
        """
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(given) - known)
        if unknown:
            raise UnknownOptionError(
                f"{where}: unknown versioning option(s) {', '.join(unknown)}; "
                f"known are {', '.join(sorted(known))}"
            )
        values = dict(given)
        if "exclude" in values:
            values["exclude"] = _names(values["exclude"], where=where, option="exclude")
        if "index" in values:
            values["index"] = tuple(
                _names([entry] if isinstance(entry, str) else entry, where=where, option="index")
                for entry in values["index"]
            )
        options = cls(**values)
        options.check(where)
        return options

    def check(self, where: str) -> None:
        """Refuse values that cannot work, naming ``where`` in the message."""
        if self.capture not in _CAPTURE_KINDS:
            raise UnknownOptionError(
                f"{where}: capture must be one of {', '.join(_CAPTURE_KINDS)}, not {self.capture!r}"
            )
        if self.core not in _CORE_WRITES:
            raise UnknownOptionError(
                f"{where}: core must be one of {', '.join(_CORE_WRITES)}, not {self.core!r}"
            )
        if self.core != "capture" and self.capture != "orm":
            raise UnknownOptionError(
                f"{where}: core={self.core!r} has a meaning with capture='orm' only; triggers "
                "record whatever writes the table"
            )
        if self.history_partition_by not in (None, "month"):
            raise UnknownOptionError(
                f"{where}: history_partition_by must be 'month' or None, not "
                f"{self.history_partition_by!r}"
            )
        for option in ("schema", "history_table_suffix"):
            value = getattr(self, option)
            if not isinstance(value, str) or not value:
                raise UnknownOptionError(f"{where}: {option} must be a non-empty string")


def _names(value: object, *, where: str, option: str) -> tuple[str, ...]:
    if isinstance(value, str) or not hasattr(value, "__iter__"):
        raise UnknownOptionError(f"{where}: {option} must be a list of column names, not {value!r}")
    names = tuple(cast("Any", value))
    if not all(isinstance(name, str) and name for name in names):
        raise UnknownOptionError(f"{where}: {option} must hold column names, not {value!r}")
    return names


def shorten(name: str) -> str:
    """Cut a name to what PostgreSQL keeps, with a digest so that it stays unique."""
    raw = name.encode()
    if len(raw) <= MAX_IDENTIFIER_BYTES:
        return name
    digest = hashlib.sha256(raw).hexdigest()[:8]
    head = raw[: MAX_IDENTIFIER_BYTES - 9].decode(errors="ignore")
    return f"{head}_{digest}"


def base_name(schema: str | None, table: str, *, default_schema: str = "public") -> str:
    """The table's name with a non-default schema in front (``sales__orders``)."""
    if schema is None or schema == default_schema:
        return table
    return f"{schema}__{table}"


def history_name(schema: str | None, table: str, options: VersioningOptions) -> str:
    """The name of the history table of ``schema.table``.

    A non-default schema is part of the name, so that two tables of one name in two
    schemas have two histories.

    Raises:
        ConfigurationError: the name would be that of the live table itself.
    """
    name = shorten(base_name(schema, table) + options.history_table_suffix)
    if name == table and options.effective_history_schema == (schema or "public"):
        raise ConfigurationError(f"the history table of {table!r} would be the table itself")
    return name


def current_name(schema: str | None, table: str, options: VersioningOptions) -> str:
    """The name of the table that says which transaction wrote each row of ``schema.table``.

    Only databases have it where that cannot be a column of the live table (SQLite).
    """
    return shorten(f"{history_name(schema, table, options)}_current")


def replaced_name(schema: str | None, table: str, options: VersioningOptions) -> str:
    """The name of the table that notes which rows an INSERT or UPDATE replaces (SQLite)."""
    return shorten(f"{history_name(schema, table, options)}_replaced")


def view_schema(schema: str) -> str:
    """The schema of the views that travel in time, beside that of the library."""
    return "temporal_as_of" if schema == DEFAULT_SCHEMA else f"{schema}_as_of"


def function_name(purpose: str, schema: str | None, table: str) -> str:
    """The name of a generated trigger function, e.g. ``capture_update__customers``."""
    return shorten(f"{purpose}__{base_name(schema, table)}")


def qualified_name(schema: str | None, table: str) -> str:
    """How a table is called in counts and messages: ``schema.table``."""
    return f"{schema or 'public'}.{table}"
