"""History as data: ``versions_between()`` and ``count_versions()``.

::

    versions_between(session, Product, "v1", "v2")            # what was made from v1 to v2
    versions_between(session, Product, last_week, author="ana", operation="UPDATE", limit=50)
    versions_between(session, product, which="valid", start=t1, end=t2)
    count_versions(session, Product, last_week)

**What lies between two moments.** The bounds are commits. A version *made* between them
began by a commit after ``start``, up to and including that of ``end``: the half-open range
``(start, end]``, so that consecutive ranges share no version and miss none. A version *valid*
between them can be seen as of some moment from ``start`` to ``end``, both included: it was
valid at ``start`` or was made between them. As a version lasts until the commit that ended
it, one that ended exactly by ``start`` is not valid, and one that began exactly by ``end`` is.

**Deletions make no version.** What was deleted is asked for with ``operation="DELETE"``,
which yields the versions that were ended by a deletion in the range; there the filters are
about the commit that deleted.

**Cost.** With a ``start``, history is entered by its index ``(temporal_end_tx_id,
temporal_tx_id)`` at what ended since; rows of the live table are filtered by the transaction
that wrote them, without an index. For one object, everything is read by its key.

Under asyncio: ``await session.run_sync(lambda s: versions_between(s, Product, "v1"))``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Select, func
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from sqlalchemy_temporal.clock.resolve import When
from sqlalchemy_temporal.errors import UnknownOptionError
from sqlalchemy_temporal.model.criteria import Criteria, Operation, Which
from sqlalchemy_temporal.model.horizon import horizon_of
from sqlalchemy_temporal.model.line import begun_seq
from sqlalchemy_temporal.model.period import Period, resolve_period
from sqlalchemy_temporal.model.place import settle_apart
from sqlalchemy_temporal.model.readable import versions_readable
from sqlalchemy_temporal.model.scope import Scope, scope_of
from sqlalchemy_temporal.model.selectable import PENDING
from sqlalchemy_temporal.model.version import Version, info_of


def versions_between(
    session: Session | AsyncSession,
    source: Any,
    start: When | None = None,
    end: When | None = None,
    *,
    which: Which = "made",
    author: str | None = None,
    message: str | None = None,
    context: Mapping[str, Any] | None = None,
    operation: Operation | None = None,
    limit: int | None = None,
    offset: int | None = None,
    newest_first: bool = False,
) -> list[Version]:
    """The versions of an entity, or of one object, between two moments.

    Parameters:
        session: where to read. A session of the past gives what was visible at its moment;
            ``start`` and ``end`` mean there what they mean in the present.
        source: a mapped class, or an object of one. For an object that was deleted, or
            to follow changes of its key: ``versions_of(session, Model, key).between(…)``.
        start: only what came after this point in time, as in ``session.as_of(when)``;
            None: from the beginning.
        end: only up to this point in time, included; None: no end, and with it the
            session's own changes that are not committed yet.
        which: ``"made"`` lists versions begun after ``start`` up to and including ``end``;
            ``"valid"`` also those that were valid at ``start``.
        author: only by commits whose author is exactly this.
        message: only by commits whose message contains this text; case matters, and no
            character is a wildcard.
        context: only by commits whose context contains these keys with these values (as
            JSON containment: nested objects are compared in the same way).
        operation: ``"INSERT"`` or ``"UPDATE"``: only versions made so, as told by
            :attr:`Version.operation`. ``"DELETE"``: instead the versions that were ended
            by a deletion after ``start`` up to ``end`` (TRUNCATE included), with either
            ``which``; the other filters are about the commit that deleted.
        limit: at most so many.
        offset: leave out so many first.
        newest_first: begin with the last commit instead of the first.

    Returns:
        Versions in the order of the commits that made them (for ``"DELETE"``: that ended
        them) and of their keys within a commit: a total order, so pages neither overlap
        nor leave gaps. The commits of all of them are read together.

    Raises:
        ConfigurationError: ``source`` is not versioned.
        MomentError: ``start`` or ``end`` names no point in time, such as one before the
            first commit (``BeforeVersioningError``; None means from the beginning), or
            ``start`` is after ``end``.
        UnknownOptionError: a keyword has a value that is not allowed.
    """
    criteria = Criteria.checked(which, author, message, context, operation)
    return list_between(
        scope_of(session, source),
        start,
        end,
        criteria,
        limit=limit,
        offset=offset,
        newest_first=newest_first,
    )


def count_versions(
    session: Session | AsyncSession,
    source: Any,
    start: When | None = None,
    end: When | None = None,
    *,
    which: Which = "made",
    author: str | None = None,
    message: str | None = None,
    context: Mapping[str, Any] | None = None,
    operation: Operation | None = None,
) -> int:
    """How many versions :func:`versions_between` would list without ``limit``.

    Parameters and errors are those of :func:`versions_between`.
    """
    criteria = Criteria.checked(which, author, message, context, operation)
    return count_between(scope_of(session, source), start, end, criteria)


def list_between(
    scope: Scope,
    start: When | None,
    end: When | None,
    criteria: Criteria,
    *,
    limit: int | None = None,
    offset: int | None = None,
    newest_first: bool = False,
) -> list[Version]:
    """The versions of ``scope`` between two moments; see :func:`versions_between`."""
    for name, number in (("limit", limit), ("offset", offset)):
        if number is not None and number < 0:
            raise UnknownOptionError(f"{name} must not be negative: {number!r}")
    query = _query(scope, start, end, criteria)
    if query is None:
        return []
    statement, order = query
    if newest_first:
        order = [each.desc() for each in order]
    statement = statement.order_by(*order).limit(limit).offset(offset)
    with versions_readable(scope.bind):
        found = list(scope.session.scalars(statement, bind_arguments=scope.bind))
    settle_apart([scope.line_of(version) for version in found], found)
    return found


def count_between(scope: Scope, start: When | None, end: When | None, criteria: Criteria) -> int:
    """How many versions of ``scope`` there are between two moments."""
    query = _query(scope, start, end, criteria)
    if query is None:
        return 0
    counting = query[0].with_only_columns(func.count(), maintain_column_froms=True)
    with versions_readable(scope.bind):
        return scope.session.scalar(counting, bind_arguments=scope.bind) or 0


def _query(
    scope: Scope, start: When | None, end: When | None, criteria: Criteria
) -> tuple[Select[Any], list[ColumnElement[Any]]] | None:
    """The versions asked for, and their order; None when there can be none."""
    if scope.is_empty:
        return None
    period = resolve_period(scope.session, scope.history, start, end)
    if period is None:
        return None
    entity = scope.entity()
    if criteria.operation == "DELETE":
        tx = entity.temporal_end_tx_id
        seq: ColumnElement[Any] = func.coalesce(entity.temporal_end_commit_seq, PENDING)
        conditions = [*period.ended(entity), ~scope.was_replaced(entity)]
    else:
        tx, seq = entity.temporal_tx_id, begun_seq(entity)
        if criteria.which == "made":
            conditions = period.made(entity)
        else:
            conditions = period.valid(entity)
            period = Period(None, period.end)
        if criteria.operation is not None:
            _refuse_purged(scope, period)
            replaced = scope.replaced_another(entity)
            conditions.append(replaced if criteria.operation == "UPDATE" else ~replaced)
    if criteria.about_commits:
        schema = info_of(scope.history).schema
        conditions.append(tx.in_(criteria.transactions(schema, period)))
    return scope.select(entity).where(*conditions), [seq, *scope.key(entity)]


def _refuse_purged(scope: Scope, period: Period) -> None:
    """Refuse to tell inserts from updates where what was replaced may have been purged.

    Raises:
        PurgedHistoryError: the period begins before the horizon of a purge.
    """
    horizon = horizon_of(scope.session, scope.history)
    if horizon is not None and (period.start is None or period.start.seq < horizon.seq):
        raise horizon.error("what was inserted and what was updated")


__all__ = ["count_between", "count_versions", "list_between", "versions_between"]
