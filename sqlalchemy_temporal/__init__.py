"""Full history, exact time travel and git-like commits for SQLAlchemy tables.

Declare a model :class:`Versioned`, use :class:`TemporalSession`, and ask the past with
``session.as_of(when)``. See the README for a tour.
"""

from sqlalchemy_temporal.capture.install import install
from sqlalchemy_temporal.capture.sync import sync_versioning
from sqlalchemy_temporal.clock.commit import Commit
from sqlalchemy_temporal.clock.moment import Moment
from sqlalchemy_temporal.clock.resolve import resolve

__all__ = ["Commit", "Moment", "install", "resolve", "sync_versioning"]
