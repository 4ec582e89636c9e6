"""The commit graph: log, tags and branches."""

from sqlalchemy_temporal.repository.details import CommitDetails
from sqlalchemy_temporal.repository.refs import Ref, RefMove
from sqlalchemy_temporal.repository.repository import Repository

__all__ = ["CommitDetails", "Ref", "RefMove", "Repository"]
