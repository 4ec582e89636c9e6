"""Make live tables equal a target: plan it, set-based, then execute the plan.

:func:`plan_moment` plans the way from the live tables, as the transaction sees them, to
their state at a moment. :func:`plan_changes` plans whatever
:class:`~sqlalchemy_temporal.repository.changes.ChangeQuery` objects say; with
:func:`towards` one is made from rows that shall be. Both give a
:class:`~sqlalchemy_temporal.repository.plan.Plan`, which knows what it would do and does
it: only rows and columns that differ, all or nothing.

With ``lock=True`` the tables are locked against writers before anything is read, so that
the plan is still right when it is executed. Without, executing checks that nobody has
committed since.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from sqlalchemy import ColumnElement, Connection, FromClause, and_, func, literal_column

from sqlalchemy_temporal.clock.moment import Moment
from sqlalchemy_temporal.clock.resolve import resolve
from sqlalchemy_temporal.naming import DEFAULT_SCHEMA
from sqlalchemy_temporal.repository.catalog import Entity, choose, load_tables
from sqlalchemy_temporal.repository.changes import ChangeQuery, differ
from sqlalchemy_temporal.repository.comparing import compare
from sqlalchemy_temporal.repository.consequences import Consequences
from sqlalchemy_temporal.repository.described import VersionedTable
from sqlalchemy_temporal.repository.plan import Plan
from sqlalchemy_temporal.repository.staging import (
    Staged,
    analyze,
    create_stage,
    fill_stage,
    live,
)
from sqlalchemy_temporal.repository.writing import writer_of


def plan_moment(
    connection: Connection,
    moment: Moment,
    tables: Sequence[Entity] = (),
    *,
    keys: Iterable[object] | None = None,
    where: ColumnElement[bool] | None = None,
    lock: bool = False,
    described: Sequence[VersionedTable] | None = None,
) -> Plan:
    """Plan to make the live tables equal their state at ``moment``.

    Parameters:
        connection: where the tables are; the plan belongs to its transaction.
        moment: the target.
        tables: only these; nothing for all that are known at the moment.
        keys: only rows with these keys, of one table.
        where: only rows for which this condition holds now or at the moment; of one table.
        lock: let nobody else write the tables from now on.
        described: every versioned table, when they were loaded already.

    Raises:
        UnrecordedMomentError: one of ``tables`` is not known at the moment.
    """
    schema = moment.schema
    every = load_tables(connection, schema) if described is None else described
    if lock:
        writer_of(connection, schema).lock(choose(connection, every, tables))
    diff = compare(
        connection, schema, moment, None, tables, keys=keys, where=where, described=every
    )
    queries = [_with_young(query.inverse(), moment) for query in diff.queries()]
    return plan_changes(
        connection, queries, schema, lock=lock, unknown=diff.unknown, described=every
    )


def _with_young(query: ChangeQuery, moment: Moment) -> ChangeQuery:
    """``query``, with values for columns that came after ``moment`` and must not be NULL.

    Nothing is known of them at the moment. A row that exists keeps what it has, one that is
    inserted again takes the column's default; where the past was given a value, that is it.
    """
    table = query.table
    young = {
        name
        for name, since in table.since.items()
        if name in table.not_null and not moment.sees(since)
    }
    if not young:
        return query
    after = tuple(
        func.coalesce(new, old, *map(literal_column, _default_of(table, name)))
        if name in young
        else new
        for name, old, new in zip(table.columns, query.before, query.after, strict=True)
    )
    return replace(query, after=after)


def _default_of(table: VersionedTable, name: str) -> Iterator[str]:
    if name in table.defaults:
        yield f"({table.defaults[name]})"


def plan_changes(
    connection: Connection,
    queries: Sequence[ChangeQuery],
    schema: str = DEFAULT_SCHEMA,
    *,
    lock: bool = False,
    unknown: Mapping[str, str] | None = None,
    described: Sequence[VersionedTable] | None = None,
) -> Plan:
    """Plan changes of live rows.

    Parameters:
        connection: where the tables are; the plan belongs to its transaction.
        queries: for each table, which rows are (before) and shall be (after) what;
            ``before`` must be the live rows.
        schema: the schema of the library's own tables.
        lock: the tables are locked, or shall be now, so that HEAD needs no checking.
        unknown: tables left as they are, and why, for :attr:`Plan.unknown`.
        described: every versioned table, when they were loaded already.
    """
    known = load_tables(connection, schema) if described is None else described
    every = {table.name: table for table in known}
    chosen = [query.table for query in queries]
    if lock:
        writer_of(connection, schema).lock(chosen)
    head = None if lock else resolve(connection, "HEAD", schema)
    staged: dict[str, Staged] = {}
    for query in queries:
        stage = staged.get(query.table.name)
        if stage is None:
            stage = staged[query.table.name] = create_stage(connection, query.table)
        analyze(connection, stage, fill_stage(connection, stage, query))
    consequences = Consequences(connection, every, staged)
    consequences.add_cascades()
    touched = tuple(every[name] for name in staged)
    return Plan(
        connection,
        staged,
        consequences.violations(),
        schema=schema,
        head=head,
        locked=touched,
        unknown=unknown,
    )


def towards(
    table: VersionedTable,
    rows: FromClause,
    present: Callable[[FromClause], ColumnElement[bool]],
) -> ChangeQuery:
    """The changes that make live rows equal ``rows``.

    Parameters:
        table: the table.
        rows: what shall be: a subquery or table with the recorded columns of ``table``
            under their names, one row for each key concerned. Rows with other keys are
            left alone.
        present: whether a row of ``rows`` shall exist; False deletes it.
    """
    now = live(table, "l")
    source = rows.outerjoin(now, and_(*(now.c[name] == rows.c[name] for name in table.key)))
    before = tuple(now.c[name] for name in table.columns)
    after = tuple(rows.c[name] for name in table.columns)
    had, has = now.c[table.key[0]].is_not(None), present(rows)
    return ChangeQuery(
        table=table,
        key=tuple(rows.c[name] for name in table.key),
        before=before,
        after=after,
        had=had,
        has=has,
        source=source,
        where=differ(before, after, had, has),
    )


__all__ = ["plan_changes", "plan_moment", "towards"]
