"""The commit graph: log, differences, tags and branches."""

from sqlalchemy_temporal.repository.details import CommitDetails
from sqlalchemy_temporal.repository.diff import Diff, RowChange, TableStats
from sqlalchemy_temporal.repository.digest import Digest
from sqlalchemy_temporal.repository.findings import Problem, Progress, Verification, Withdrawn
from sqlalchemy_temporal.repository.refs import Ref, RefMove
from sqlalchemy_temporal.repository.repository import Repository

__all__ = [
    "CommitDetails",
    "Diff",
    "Digest",
    "Problem",
    "Progress",
    "Ref",
    "RefMove",
    "Repository",
    "RowChange",
    "TableStats",
    "Verification",
    "Withdrawn",
]
