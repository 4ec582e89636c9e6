"""Reads of the past, by every subject, as history grows and the live tables do not.

The live tables keep their size; each step gives every row more versions. At each step the same
questions are asked at the present, in the middle of history and early in it, and the answers of
all subjects are compared: one that does not know what a row was is found out. What it costs to
find the moment itself is left out; it is a figure of the section on the barrier.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from sqlalchemy import FromClause, Select, func, select
from sqlalchemy.orm import Session

from benchmarks.bench import Bench
from benchmarks.measure import Cost, Figure, Target, cost
from benchmarks.models import COLUMNS, CUSTOMER, ITEM, LINE, PURCHASE, generated
from benchmarks.sections.common import empty, figures, take, vacuum
from benchmarks.subjects import OURS, SUBJECTS, Moment
from benchmarks.workers import Context, Worker, WorkerError

SECTION = "reads"
_TARGET = Target("at most", 1.6)
_FEW = 10
_TEN = 10
"""The versions at which the middle and the beginning are asked about, as at the last step."""
_CHANGES: Final = {
    ITEM: "quantity = quantity + 1",
    CUSTOMER: "visits = visits + 1",
    PURCHASE: "visits = visits + 1",
    LINE: "visits = visits + 1",
}
_NOW = "now"


@dataclass(frozen=True, slots=True)
class Question:
    """What is read.

    Attributes:
        title: What it is, for readers.
        repeat: How often in a sample.
        aimed: Whether there is an aim for it.
    """

    title: str
    repeat: int = 1
    aimed: bool = False


QUESTIONS: Final[Mapping[str, Question]] = {
    "key": Question("a row by its key", 10, aimed=True),
    "parent": Question("a customer with purchases and lines", 5),
    "parents": Question("{parents:,} customers with purchases and lines"),
    "whole": Question("all {items:,} items", aimed=True),
    "count": Question("count(*) of items"),
    "indexed": Question("items of a group (indexed)", 3),
    "filter": Question("items by a part of their name (no index)", 2),
}


def measure(bench: Bench) -> Iterator[Figure]:
    """Microseconds per question."""
    sizes = bench.sizes
    there = bench.workers.those(lambda kind: not kind.reads_like)
    moments: dict[str, list[Moment]] = {}
    hot: dict[str, Moment] = {}
    for key, worker in there.items():
        bench.tell(f"rows to read, {key}")
        try:
            found = worker(prepare, sizes.read_items, sizes.read_parents, sizes.read_hot)
        except WorkerError as error:
            if bench.strict:
                raise
            bench.problems.append(f"{key}: {str(error).splitlines()[-1]}")
            continue
        hot[key], first = found
        moments[key] = [first]
    there = {key: worker for key, worker in there.items() if key in moments}
    for versions in sizes.read_versions:
        for key, worker in there.items():
            bench.tell(f"{versions} versions, {key}")
            while len(moments[key]) < versions:
                moments[key].append(worker(grow))
            worker(vacuum)
        named = {_NOW: versions - 1}
        if versions > 2 and versions in {_TEN, sizes.read_versions[-1]}:
            named |= {"middle": versions // 2, "early": 0}
        for name, index in named.items():
            bench.tell(f"{versions} versions, {name}")
            at = {key: found[index] for key, found in moments.items()}
            for question in QUESTIONS:
                yield from _asked(bench, there, question, at, name, versions)
        if versions == sizes.read_versions[0]:
            kept = {k: w for k, w in there.items() if SUBJECTS[k].keeps_hot_rows}
            yield from _asked(bench, kept, "hot", hot, "middle", sizes.read_hot)
    yield from _histories(bench, there, moments)


def _asked(  # noqa: PLR0917 - all are needed, and in this order everywhere
    bench: Bench,
    there: Mapping[str, Worker],
    question: str,
    at: Mapping[str, Moment],
    name: str,
    versions: int,
) -> Iterator[Figure]:
    sizes = bench.sizes
    about = QUESTIONS["key" if question == "hot" else question]
    _compare_answers(bench, there, question, at)
    taken = take(
        bench,
        {key: partial(worker, ask, question, at[key]) for key, worker in there.items()},
        sizes.read_rounds,
        warm_up=1,
        budget=sizes.read_budget,
    )
    what = about.title.format(parents=sizes.read_parents, items=sizes.read_items)
    few = "1 version" if versions == 1 else f"{versions:,} versions"
    figure = Figure(
        SECTION,
        f"{what}, {few}, {name}",
        "µs",
        None,
        way="core",
        parameters={"question": question, "versions": versions, "moment": name},
    )
    yield from figures(figure, taken, {OURS: _TARGET} if about.aimed else None)


def _compare_answers(
    bench: Bench, there: Mapping[str, Worker], question: str, at: Mapping[str, Moment]
) -> None:
    """Refuse a run in which a subject remembers otherwise than this library does."""
    answers = {
        key: worker(answer, question, at[key])
        for key, worker in there.items()
        if SUBJECTS[key].has_past
    }
    expected = answers.get(OURS, next(iter(answers.values()), ""))
    wrong = [key for key, found in answers.items() if found != expected]
    if wrong:
        raise RuntimeError(
            f"{', '.join(wrong)} answered {question} otherwise than {OURS}: {answers}"
        )


def _histories(
    bench: Bench, there: Mapping[str, Worker], moments: Mapping[str, list[Moment]]
) -> Iterator[Figure]:
    """The history of a row, what changed between two moments, and what differs."""
    past = {key: worker for key, worker in there.items() if SUBJECTS[key].has_past}
    near: dict[str, tuple[Moment, Moment]] = {}
    for key, worker in past.items():
        near[key] = worker(poke, moments[key][-1])
        worker(vacuum)
    versions = bench.sizes.read_versions[-1]
    items = bench.sizes.read_items
    work: dict[str, tuple[str, Callable[[str], tuple[Any, ...]]]] = {
        "row history": (
            f"history of a row of {versions + 1} versions",
            lambda _: ("row_history", 1),
        ),
        "changes near": (
            f"changes of a commit of {_FEW} rows",
            lambda key: ("changes", *near[key]),
        ),
        "changes of all": (
            f"changes of a commit of {items:,} rows",
            lambda key: ("changes", *moments[key][-2:]),
        ),
        "diff near": (
            f"differences of neighbours, {_FEW} rows",
            lambda key: ("diff", *near[key]),
        ),
        "diff far": (
            f"differences of now and the beginning, {items:,} rows",
            lambda key: ("diff", moments[key][0], near[key][1]),
        ),
    }
    for question, (title, arguments) in work.items():
        bench.tell(title)
        counts = {key: worker(look, *arguments(key))[1] for key, worker in past.items()}
        if len(set(counts.values())) > 1:
            raise RuntimeError(f"{title}: not all subjects know the same: {counts}")
        taken = take(
            bench,
            {key: partial(worker, look, *arguments(key)) for key, worker in past.items()},
            bench.sizes.read_rounds,
            budget=bench.sizes.read_budget,
        )
        figure = Figure(
            SECTION, title, "µs", None, parameters={"question": question, "versions": versions}
        )
        samples = {key: [one for one, _ in found] for key, found in taken.items()}
        yield from figures(figure, samples)


# ------------------------------------------------------------- in the processes of the subjects


def prepare(context: Context, items: int, parents: int, hot: int) -> tuple[Moment, Moment]:
    """Make the rows; return a moment amid the versions of the hot row, and one after them."""
    empty(context)
    subject, engine = context.subject, context.engine()
    numbers = "FROM generate_series(1, {}) AS i"
    for table, source in (
        (ITEM, generated(1, items + 1)),
        (
            CUSTOMER,
            f"SELECT i, 'Customer ' || i, 'c' || i || '@example.org', 0 {numbers.format(parents)}",
        ),
        (PURCHASE, f"SELECT i, 1 + (i - 1) / 2, 'paid', 0 {numbers.format(parents * 2)}"),
        (LINE, f"SELECT i, 1 + (i - 1) / 2, 'sku ' || i, 0 {numbers.format(parents * 4)}"),
    ):
        subject.seed(engine, table, source)
    vacuum(context)
    amid = None
    if subject.keeps_hot_rows:
        with context.admin() as connection:
            subject.heat(connection, ITEM, items + 1, hot // 2)
            amid = _moment(context)
            subject.heat(connection, ITEM, items + 1, hot - hot // 2 + 1)
    else:
        for statement in subject.update(ITEM, f"quantity = quantity + {hot - 1}", _hot(items)):
            with engine.begin() as connection:
                connection.exec_driver_sql(statement)
    return amid, _moment(context)


def _hot(items: int) -> str:
    return f"id = {items + 1}"


def grow(context: Context) -> Moment:
    """Give every row one more version; return the moment after it."""
    for table, changes in _CHANGES.items():
        with context.engine().begin() as connection:
            context.subject.fill(connection, table, changes)
    return _moment(context)


def poke(context: Context, before: Moment) -> tuple[Moment, Moment]:
    """Change a few rows in one transaction; return the moments around it."""
    item = context.models.classes[ITEM]
    if context.subject.records_sql:
        with context.engine().begin() as connection:
            update = context.subject.update(ITEM, _CHANGES[ITEM], f"id <= {_FEW}")
            for statement in [*context.subject.begin(), *update]:
                connection.exec_driver_sql(statement)
    else:
        with Session(context.engine()) as session:
            for one in session.scalars(select(item).where(item.id <= _FEW)):
                one.quantity += 1
            session.commit()
    return before, _moment(context)


def _moment(context: Context) -> Moment:
    with context.engine().begin() as connection:
        return context.subject.moment(connection)


def ask(context: Context, question: str, moment: Moment) -> Cost:
    """Ask some times; return the cost of once, in microseconds."""
    with context.engine().connect() as connection:
        driver: Any = connection.connection.dbapi_connection
        pids = [driver.info.backend_pid]
        with context.subject.reading(connection, moment) as past:
            asked = list(_statements(context, question, moment))

            def loop() -> None:
                for one in asked:
                    past.execute(one).all()

            return cost(loop, pids) * (1e6 / len(asked))


def answer(context: Context, question: str, moment: Moment) -> str:
    """What is answered, as a hash."""
    with (
        context.engine().connect() as connection,
        context.subject.reading(connection, moment) as past,
    ):
        rows = [
            tuple(row)
            for one in _statements(context, question, moment)
            for row in past.execute(one)
        ]
    digest = hashlib.sha256(repr(sorted(rows, key=repr)).encode()).hexdigest()[:12]
    return f"{len(rows)} rows {digest}"


def look(context: Context, what: str, *arguments: Any) -> tuple[Cost, int]:
    """Ask for a history; return its cost in microseconds, and how many there were."""
    counts: list[int] = []
    with context.engine().connect() as connection:
        driver: Any = connection.connection.dbapi_connection
        work: Callable[..., int] = getattr(context.subject, what)
        taken = cost(
            lambda: counts.append(work(connection, ITEM, *arguments)), [driver.info.backend_pid]
        )
    return taken * 1e6, counts[0]


def _statements(context: Context, question: str, moment: Moment) -> Iterator[Select[Any]]:
    subject, items = context.subject, context.sizes.read_items
    tables = {
        name: subject.relation(context.models.table(name), moment)
        for name in (ITEM, CUSTOMER, PURCHASE, LINE)
    }
    item = tables[ITEM]
    columns = [item.c[name] for name in COLUMNS[ITEM]]
    repeat = QUESTIONS["key" if question == "hot" else question].repeat
    for i in range(repeat):
        if question == "hot":
            yield select(*columns).where(item.c.id == items + 1)
        elif question == "key":
            yield select(*columns).where(item.c.id == 1 + i * 7919 % items)
        elif question == "parent":
            yield _joined(tables, 1 + i * 7919 % context.sizes.read_parents, 1)
        elif question == "parents":
            yield _joined(tables, 1, context.sizes.read_parents)
        elif question == "whole":
            yield select(*columns)
        elif question == "count":
            yield select(func.count()).select_from(item)
        elif question == "indexed":
            yield select(*columns).where(item.c.group_id == 7 + i)
        else:
            yield select(*columns).where(item.c.name.like(f"%{7 + i}7"))


def _joined(tables: Mapping[str, FromClause], first: int, count: int) -> Select[Any]:
    customer, purchase, line = tables[CUSTOMER], tables[PURCHASE], tables[LINE]
    joined = customer.join(purchase, purchase.c.customer_id == customer.c.id).join(
        line, line.c.purchase_id == purchase.c.id
    )
    return (
        select(customer.c.id, customer.c.name, purchase.c.id, purchase.c.visits, line.c.sku)
        .select_from(joined)
        .where(customer.c.id.between(first, first + count - 1))
    )
