"""The commit graph: log, differences, restoring, merging, tags and branches."""

from sqlalchemy_temporal.repository.awaitable import AsyncDiff, AsyncPlan, AsyncRepository
from sqlalchemy_temporal.repository.details import CommitDetails
from sqlalchemy_temporal.repository.diff import Diff, RowChange, TableStats
from sqlalchemy_temporal.repository.digest import Digest
from sqlalchemy_temporal.repository.drawing.graph import Graph
from sqlalchemy_temporal.repository.findings import Problem, Progress, Verification, Withdrawn
from sqlalchemy_temporal.repository.merge.result import MergeResult
from sqlalchemy_temporal.repository.merge.state import Conflict, OpenMerge
from sqlalchemy_temporal.repository.outcome import Executed, Outcome
from sqlalchemy_temporal.repository.plan import Plan, PlannedRow
from sqlalchemy_temporal.repository.refs import Ref, RefMove
from sqlalchemy_temporal.repository.repository import Repository
from sqlalchemy_temporal.repository.reverting import RevertConflict
from sqlalchemy_temporal.repository.violations import Violation

__all__ = [
    "AsyncDiff",
    "AsyncPlan",
    "AsyncRepository",
    "CommitDetails",
    "Conflict",
    "Diff",
    "Digest",
    "Executed",
    "Graph",
    "MergeResult",
    "OpenMerge",
    "Outcome",
    "Plan",
    "PlannedRow",
    "Problem",
    "Progress",
    "Ref",
    "RefMove",
    "Repository",
    "RevertConflict",
    "RowChange",
    "TableStats",
    "Verification",
    "Violation",
    "Withdrawn",
]
