"""Full history, exact time travel and git-like commits for SQLAlchemy tables.

Declare a model :class:`Versioned`, use :class:`TemporalSession`, and ask the past with
``session.as_of(when)``. See the README for a tour.
"""

from sqlalchemy_temporal.capture.check import verify_capture
from sqlalchemy_temporal.capture.install import install
from sqlalchemy_temporal.capture.sync import sync_versioning
from sqlalchemy_temporal.clock.commit import Commit
from sqlalchemy_temporal.clock.describe import actor, describe, reset_actor, set_actor
from sqlalchemy_temporal.clock.moment import Moment, Unknown
from sqlalchemy_temporal.clock.resolve import When, resolve
from sqlalchemy_temporal.clock.seal import seal
from sqlalchemy_temporal.errors import (
    AccessModeError,
    AlteredRowsError,
    AmbiguousRevisionError,
    ArchiveError,
    BarrierTimeoutError,
    BeforeVersioningError,
    CaptureError,
    CaptureKindError,
    CommitError,
    ConfigurationError,
    ConstraintViolationError,
    DetachedObjectError,
    FutureMomentError,
    HistoryConversionError,
    HistoryImportError,
    InstallationError,
    LockTimeoutError,
    MergeError,
    MigrationError,
    MissingExtraError,
    MissingKeyError,
    MissingTriggerError,
    MomentError,
    NaiveDatetimeError,
    NotInstalledError,
    OpenConflictsError,
    PrivilegeError,
    PurgedHistoryError,
    ReadOnlyPastError,
    RedactionError,
    RevertConflictError,
    SchemaDriftError,
    ServerUnavailable,
    SnapshotTooOldError,
    StaleParentError,
    TemporalError,
    TwoPhaseError,
    UnhashableTypeError,
    UnknownOptionError,
    UnknownRevisionError,
    UnknownTableStateError,
    UnrecordedMomentError,
    UnrecordedWriteError,
    UnsupportedDatabaseError,
    UnsupportedReadError,
    UnversionedTableError,
    VersioningGapError,
)
from sqlalchemy_temporal.imports import (
    ImportedTable,
    ImportResult,
    import_audit_activity,
    import_continuum_history,
)
from sqlalchemy_temporal.model.between import count_versions, versions_between
from sqlalchemy_temporal.model.blame import blame
from sqlalchemy_temporal.model.changes import Change
from sqlalchemy_temporal.model.declare import Versioned, versioned_table
from sqlalchemy_temporal.model.history import history_of
from sqlalchemy_temporal.model.trace import AttributeChange, attribute_history, when_became
from sqlalchemy_temporal.model.version import Version
from sqlalchemy_temporal.model.versions import versions_of
from sqlalchemy_temporal.reading.as_of import as_of
from sqlalchemy_temporal.repository import (
    AsyncDiff,
    AsyncPlan,
    AsyncRepository,
    CommitDetails,
    Conflict,
    Diff,
    Executed,
    Graph,
    MergeResult,
    Outcome,
    Plan,
    Ref,
    RefMove,
    Repository,
    RowChange,
)
from sqlalchemy_temporal.session import AsyncTemporalSession, TemporalSession
from sqlalchemy_temporal.tables.archive import ArchiveResult, archive_history
from sqlalchemy_temporal.tables.bound import TemporalTables
from sqlalchemy_temporal.tables.change import RecordedChange
from sqlalchemy_temporal.tables.changes import ChangeHistory, get_change_history
from sqlalchemy_temporal.tables.compare import Comparison, compare_temporal_data
from sqlalchemy_temporal.tables.disable import DisabledTable, disable_temporal_versioning
from sqlalchemy_temporal.tables.enable import (
    EnabledTable,
    EnabledTables,
    enable_many,
    enable_temporal_versioning,
)
from sqlalchemy_temporal.tables.growth import HistoryGrowth, history_growth
from sqlalchemy_temporal.tables.partitions import maintain_history_partitions, partition_history
from sqlalchemy_temporal.tables.purge import PurgeResult, purge_history
from sqlalchemy_temporal.tables.query import TemporalRows, query_temporal_data
from sqlalchemy_temporal.tables.redact import RedactionResult, redact
from sqlalchemy_temporal.tables.redact_commit import CommitRedaction, redact_commit
from sqlalchemy_temporal.tables.revert import revert_table_data
from sqlalchemy_temporal.tables.reverted import RevertResult
from sqlalchemy_temporal.tables.row_history import RowHistory, get_row_history
from sqlalchemy_temporal.tables.standing import TemporalStatus, TemporalTable, TemporalTableList
from sqlalchemy_temporal.tables.status import get_temporal_status, list_temporal_tables

__all__ = [
    "AccessModeError",
    "AlteredRowsError",
    "AmbiguousRevisionError",
    "ArchiveError",
    "ArchiveResult",
    "AsyncDiff",
    "AsyncPlan",
    "AsyncRepository",
    "AsyncTemporalSession",
    "AttributeChange",
    "BarrierTimeoutError",
    "BeforeVersioningError",
    "CaptureError",
    "CaptureKindError",
    "Change",
    "ChangeHistory",
    "Commit",
    "CommitDetails",
    "CommitError",
    "CommitRedaction",
    "Comparison",
    "ConfigurationError",
    "Conflict",
    "ConstraintViolationError",
    "DetachedObjectError",
    "Diff",
    "DisabledTable",
    "EnabledTable",
    "EnabledTables",
    "Executed",
    "FutureMomentError",
    "Graph",
    "HistoryConversionError",
    "HistoryGrowth",
    "HistoryImportError",
    "ImportResult",
    "ImportedTable",
    "InstallationError",
    "LockTimeoutError",
    "MergeError",
    "MergeResult",
    "MigrationError",
    "MissingExtraError",
    "MissingKeyError",
    "MissingTriggerError",
    "Moment",
    "MomentError",
    "NaiveDatetimeError",
    "NotInstalledError",
    "OpenConflictsError",
    "Outcome",
    "Plan",
    "PrivilegeError",
    "PurgeResult",
    "PurgedHistoryError",
    "ReadOnlyPastError",
    "RecordedChange",
    "RedactionError",
    "RedactionResult",
    "Ref",
    "RefMove",
    "Repository",
    "RevertConflictError",
    "RevertResult",
    "RowChange",
    "RowHistory",
    "SchemaDriftError",
    "ServerUnavailable",
    "SnapshotTooOldError",
    "StaleParentError",
    "TemporalError",
    "TemporalRows",
    "TemporalSession",
    "TemporalStatus",
    "TemporalTable",
    "TemporalTableList",
    "TemporalTables",
    "TwoPhaseError",
    "UnhashableTypeError",
    "Unknown",
    "UnknownOptionError",
    "UnknownRevisionError",
    "UnknownTableStateError",
    "UnrecordedMomentError",
    "UnrecordedWriteError",
    "UnsupportedDatabaseError",
    "UnsupportedReadError",
    "UnversionedTableError",
    "Version",
    "Versioned",
    "VersioningGapError",
    "When",
    "actor",
    "archive_history",
    "as_of",
    "attribute_history",
    "blame",
    "compare_temporal_data",
    "count_versions",
    "describe",
    "disable_temporal_versioning",
    "enable_many",
    "enable_temporal_versioning",
    "get_change_history",
    "get_row_history",
    "get_temporal_status",
    "history_growth",
    "history_of",
    "import_audit_activity",
    "import_continuum_history",
    "install",
    "list_temporal_tables",
    "maintain_history_partitions",
    "partition_history",
    "purge_history",
    "query_temporal_data",
    "redact",
    "redact_commit",
    "reset_actor",
    "resolve",
    "revert_table_data",
    "seal",
    "set_actor",
    "sync_versioning",
    "verify_capture",
    "versioned_table",
    "versions_between",
    "versions_of",
    "when_became",
]
