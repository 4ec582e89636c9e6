"""Every error this library raises, in one tree.

::

    TemporalError
    ├── ConfigurationError            a declaration that cannot be versioned
    │   ├── UnknownOptionError        an option that does not exist or has a bad value
    │   ├── MissingKeyError           a table without a primary key
    │   └── UnhashableTypeError       a column's type has no bytes that never change
    ├── InstallationError             the database is not what the declarations need
    │   ├── NotInstalledError         schema, history table or registration is missing
    │   ├── MissingTriggerError       a trigger is missing, disabled or was edited
    │   ├── CaptureKindError          a table is captured otherwise than it is declared
    │   ├── SchemaDriftError          live table, history table and model differ
    │   ├── PrivilegeError            the role may not create what versioning needs
    │   ├── UnsupportedDatabaseError  a dialect or server version that cannot be used
    │   └── MigrationError            history cannot be carried through a migration
    │       ├── HistoryConversionError  old versions cannot have a column's new type
    │       └── UnknownTableStateError  with --sql, nothing says what a table is like
    ├── MomentError                   a point in time that cannot be resolved
    │   ├── NaiveDatetimeError        a datetime without a time zone
    │   ├── FutureMomentError         a time that has not happened yet
    │   ├── UnrecordedMomentError     a point in time of which nothing is recorded
    │   │   ├── BeforeVersioningError a time before versioning began
    │   │   ├── VersioningGapError    a time in which versioning was disabled
    │   │   └── PurgedHistoryError    a time whose history was purged
    │   ├── UnknownRevisionError      no such commit, tag, branch or expression
    │   ├── AmbiguousRevisionError    a name of two things, or digits of two commits
    │   ├── SnapshotTooOldError       the transaction's snapshot cannot see the moment
    │   └── BarrierTimeoutError       a commit in flight did not end in time
    ├── AccessModeError               a write where the access mode allows reads only
    ├── LockTimeoutError              a lock that was not had in time; nothing was changed
    ├── ReadOnlyPastError             a write while reading the past
    ├── UnsupportedReadError          a question the past cannot answer exactly
    │   ├── UnversionedTableError     a table without history in a question to the past
    │   └── DetachedObjectError       history asked of an object that is in no session
    ├── CaptureError                  a change that cannot be recorded
    │   ├── UnrecordedWriteError      a statement whose changes could not be told
    │   └── TwoPhaseError             PREPARE TRANSACTION with versioned changes
    ├── CommitError                   a commit that was refused
    │   ├── StaleParentError          HEAD moved since the commit was begun
    │   ├── ConstraintViolationError  constraints forbid what was to be written
    │   ├── RevertConflictError       later commits changed what was to be undone
    │   ├── AlteredRowsError          the application's triggers changed what was written
    │   └── MergeError                a merge that cannot be begun, resolved or committed
    │       └── OpenConflictsError    conflicts of a merge that are not resolved
    ├── ArchiveError                  history that could not be written to files
    ├── HistoryImportError            another library's history that does not fit
    ├── RedactionError                values that cannot be redacted as asked
    ├── MissingExtraError             a package or program that a feature needs
    └── ServerUnavailable             no PostgreSQL server could be found or started
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm.exc import DetachedInstanceError

__all__ = [
    "AccessModeError",
    "AlteredRowsError",
    "AmbiguousRevisionError",
    "ArchiveError",
    "BarrierTimeoutError",
    "BeforeVersioningError",
    "CaptureError",
    "CaptureKindError",
    "CommitError",
    "ConfigurationError",
    "ConstraintViolationError",
    "DetachedObjectError",
    "FutureMomentError",
    "HistoryConversionError",
    "HistoryImportError",
    "InstallationError",
    "LockTimeoutError",
    "MergeError",
    "MigrationError",
    "MissingExtraError",
    "MissingKeyError",
    "MissingTriggerError",
    "MomentError",
    "NaiveDatetimeError",
    "NotInstalledError",
    "OpenConflictsError",
    "PrivilegeError",
    "PurgedHistoryError",
    "ReadOnlyPastError",
    "RedactionError",
    "RevertConflictError",
    "SchemaDriftError",
    "ServerUnavailable",
    "SnapshotTooOldError",
    "StaleParentError",
    "TemporalError",
    "TwoPhaseError",
    "UnhashableTypeError",
    "UnknownOptionError",
    "UnknownRevisionError",
    "UnknownTableStateError",
    "UnrecordedMomentError",
    "UnrecordedWriteError",
    "UnsupportedDatabaseError",
    "UnsupportedReadError",
    "UnversionedTableError",
    "VersioningGapError",
]


class TemporalError(Exception):
    """The base of every error raised by this library."""


class ConfigurationError(TemporalError):
    """A model or table is declared in a way that cannot be versioned."""


class UnknownOptionError(ConfigurationError):
    """A versioning option does not exist, or its value is not one of those allowed."""


class MissingKeyError(ConfigurationError):
    """The table has no primary key, so its rows cannot be followed through time."""


class UnhashableTypeError(ConfigurationError):
    """The type of a column has no form that is the same always and everywhere.

    Attributes:
        type_name: the type.
        column: the column, ``schema.table.column``, when that is known.
    """

    def __init__(self, type_name: str, column: str | None = None) -> None:
        self.type_name = type_name
        self.column = column
        super().__init__(
            (f"column {column!r}: " if column else "")
            + f"values of the type {type_name!r} cannot be hashed: it is not known that they "
            "are written in the same way always and everywhere. Exclude the column from "
            "versioning, store the value as text, or, if its text depends on no setting and "
            "names no other object, declare that with COMMENT ON TYPE "
            f"{type_name} IS 'temporal: stable text'"
        )


class InstallationError(TemporalError):
    """The database does not hold what the declarations need."""


class NotInstalledError(InstallationError):
    """The versioning schema, a history table or a table's registration is missing."""


class MissingTriggerError(InstallationError):
    """A trigger that records changes is missing, disabled or was edited."""


class CaptureKindError(InstallationError):
    """A table is captured by triggers and declared to be captured by the ORM, or vice versa."""


class SchemaDriftError(InstallationError):
    """The live table, its history table and the model no longer have the same columns."""


class PrivilegeError(InstallationError):
    """The database role lacks a right that setting up versioning needs."""


class UnsupportedDatabaseError(InstallationError):
    """The dialect or the server's version cannot be used."""


class MigrationError(InstallationError):
    """History cannot be carried through a migration; nothing was changed."""


class HistoryConversionError(MigrationError):
    """Versions in history cannot have the new type of a column; the message names them."""


class UnknownTableStateError(MigrationError):
    """A migration is written as SQL, and nothing says what the table is like."""


class MomentError(TemporalError):
    """A point in time could not be resolved to a commit."""


class NaiveDatetimeError(MomentError):
    """A datetime without a time zone was given where an instant is needed."""


class FutureMomentError(MomentError):
    """A time was given that the server's clock has not reached."""


class UnrecordedMomentError(MomentError):
    """A point in time was given of which nothing is recorded; its subclasses say why."""


class BeforeVersioningError(UnrecordedMomentError):
    """A time was given for which nothing had been recorded yet."""


class VersioningGapError(UnrecordedMomentError):
    """A time was given in which the versioning of the table was disabled."""


class PurgedHistoryError(UnrecordedMomentError):
    """A time was given whose history was purged."""


class UnknownRevisionError(MomentError):
    """No commit, tag or branch has this name."""


class AmbiguousRevisionError(MomentError):
    """A name belongs to a tag and a branch, or an abbreviation to several commits."""


class SnapshotTooOldError(MomentError):
    """The transaction's fixed snapshot began before the moment it asks about."""


class BarrierTimeoutError(MomentError):
    """A transaction that is just committing did not end within the time allowed."""


class AccessModeError(TemporalError):
    """What was asked for writes, and the access mode is ``restricted``: reads only."""


class LockTimeoutError(TemporalError):
    """A table was not to be had within ``lock_timeout``; nothing was changed.

    Attributes:
        holders: what held it at that time, one line each.
    """

    def __init__(self, message: str, *, holders: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.holders = holders


class ReadOnlyPastError(TemporalError):
    """Something tried to write while reading the past."""


class UnsupportedReadError(TemporalError):
    """The statement cannot be answered exactly as of the moment asked."""


class UnversionedTableError(UnsupportedReadError):
    """The statement reads a table that has no history."""


class DetachedObjectError(UnsupportedReadError, DetachedInstanceError):
    """History was asked of an object that belongs to no session."""


class CaptureError(TemporalError):
    """A change cannot be recorded, so it was refused."""


class UnrecordedWriteError(CaptureError):
    """What a statement changes could not be told before it ran, so it was refused."""


class TwoPhaseError(CaptureError):
    """Two-phase commit was asked for; versioned changes cannot be prepared."""


class CommitError(TemporalError):
    """A commit was refused; nothing of it is visible."""


class StaleParentError(CommitError):
    """The commit was based on a parent that is no longer HEAD.

    Attributes:
        expected: the parent the commit claimed.
        actual: the commit that is HEAD.
    """

    def __init__(self, message: str, *, expected: str, actual: str | None) -> None:
        super().__init__(message)
        self.expected = expected
        self.actual = actual


class HistoryImportError(TemporalError):
    """History that another library recorded cannot be imported; nothing was changed."""


class ArchiveError(TemporalError):
    """History could not be written to files as asked; nothing was removed."""


class RedactionError(TemporalError):
    """Values cannot be redacted as asked; nothing was changed."""


class ConstraintViolationError(CommitError):
    """Constraints forbid what was to be written; nothing was.

    Attributes:
        violations: the constraints, with the rows concerned.
    """

    def __init__(self, message: str, *, violations: tuple[Any, ...] = ()) -> None:
        super().__init__(message)
        self.violations = violations


class RevertConflictError(CommitError):
    """Later commits changed what was to be undone; nothing was written.

    Attributes:
        conflicts: the rows, with what was expected and what was found.
    """

    def __init__(self, message: str, *, conflicts: tuple[Any, ...] = ()) -> None:
        super().__init__(message)
        self.conflicts = conflicts


class AlteredRowsError(CommitError):
    """Triggers of the application gave rows other values than were to be written."""


class MergeError(CommitError):
    """A merge cannot be begun, resolved or committed as asked."""


class OpenConflictsError(MergeError):
    """The merge has conflicts that are not resolved.

    Attributes:
        count: how many.
    """

    def __init__(self, message: str, *, count: int) -> None:
        super().__init__(message)
        self.count = count


class MissingExtraError(TemporalError):
    """A package or program is missing that an optional feature needs; it says which."""


class ServerUnavailable(TemporalError):  # noqa: N818 - named as users of test servers expect
    """No PostgreSQL server could be found or started; the message lists what was tried."""
