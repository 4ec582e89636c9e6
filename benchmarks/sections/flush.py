"""What history costs the ORM: many objects added, updated and deleted, each in one flush."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from sqlalchemy import select
from sqlalchemy.orm import Session

from benchmarks.bench import Bench
from benchmarks.measure import Cost, Figure, Target, cost
from benchmarks.models import ITEM, item_values
from benchmarks.sections.common import empty, figures, take, vacuum
from benchmarks.workers import Context

SECTION = "flush"
KINDS = ("add", "update", "delete")
_TRIGGERS = {"add": 1.3, "update": 1.5}
_ORM = 2.0
_BUDGET = "flush_budget"


def measure(bench: Bench) -> Iterator[Figure]:
    """Microseconds per object, of a flush and the commit after it."""
    count = bench.sizes.flush_objects
    there = bench.workers.those(lambda kind: kind.has_orm)
    tell = bench.tell

    def round_of(key: str) -> dict[str, Cost]:
        tell(f"{count:,} objects, {key}")
        found: dict[str, Cost] = there[key](sample, count)
        return found

    samples = take(
        bench,
        {key: partial(round_of, key) for key in there},
        bench.sizes.flush_rounds,
        warm_up=bench.sizes.flush_warm_up,
        budget=bench.sizes.flush_budget,
    )
    for kind in KINDS:
        targets = {"orm_capture": Target("at most", _ORM)}
        if kind in _TRIGGERS:
            targets["triggers"] = Target("at most", _TRIGGERS[kind])
        figure = Figure(
            SECTION,
            f"{count:,} objects, {kind}",
            "µs",
            None,
            way="orm",
            parameters={"kind": kind, "objects": count},
        )
        yield from figures(
            figure, {key: [one[kind] for one in taken] for key, taken in samples.items()}, targets
        )


def sample(context: Context, count: int) -> dict[str, Cost]:
    """Add, update and delete objects of an empty table; the cost per object of each."""
    empty(context)
    item = context.models.classes[ITEM]
    taken = {}
    with Session(context.engine()) as session:
        pid = session.connection().connection.dbapi_connection.info.backend_pid  # type: ignore[union-attr]

        def commit() -> None:
            session.flush()
            context.subject.before_commit(session, ITEM)
            session.commit()

        session.add_all([item(**item_values(key)) for key in range(1, count + 1)])
        taken["add"] = cost(commit, [pid])
    vacuum(context)
    for kind in ("update", "delete"):
        with Session(context.engine()) as session:
            found = session.scalars(select(item).order_by(item.id)).all()
            pid = session.connection().connection.dbapi_connection.info.backend_pid  # type: ignore[union-attr]
            for one in found:
                if kind == "update":
                    one.quantity += 1
                else:
                    session.delete(one)

            def commit(session: Session = session) -> None:
                session.flush()
                context.subject.before_commit(session, ITEM)
                session.commit()

            taken[kind] = cost(commit, [pid])
    return {kind: one * (1e6 / count) for kind, one in taken.items()}
