"""The commit graph: log, tags and branches."""

from sqlalchemy_temporal.repository.refs import Ref
from sqlalchemy_temporal.repository.repository import Repository

__all__ = ["Ref", "Repository"]
