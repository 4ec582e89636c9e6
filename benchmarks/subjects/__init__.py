"""The subjects of the benchmark, each a module: ways to keep history, and to keep none."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Final

from benchmarks.subjects.audit import Audit
from benchmarks.subjects.base import Moment, Subject
from benchmarks.subjects.by_hand import ByHand
from benchmarks.subjects.continuum import Continuum
from benchmarks.subjects.continuum_native import ContinuumNative
from benchmarks.subjects.history import History
from benchmarks.subjects.orm_capture import OrmCapture
from benchmarks.subjects.periods import Periods
from benchmarks.subjects.snapshot import Snapshot
from benchmarks.subjects.temporal_tables import TemporalTables
from benchmarks.subjects.triggers import Triggers

SUBJECTS: Final[Mapping[str, type[Subject]]] = {
    kind.key: kind
    for kind in (
        Subject,
        ByHand,
        Triggers,
        OrmCapture,
        Continuum,
        ContinuumNative,
        History,
        Audit,
        TemporalTables,
        Periods,
        Snapshot,
    )
}
"""By their keys, in the order in which results show them."""
BASE: Final = Subject.key
OURS: Final = Triggers.key


@cache
def subject(key: str) -> Subject:
    """The subject of this process, with its models declared."""
    made = SUBJECTS[key]()
    made.models = made.declare()
    return made


__all__ = ["BASE", "OURS", "SUBJECTS", "Moment", "Subject", "subject"]
