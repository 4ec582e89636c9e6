"""``blame()``: who last set each attribute of an object.

::

    for name, commit in blame(product).items():
        print(f"{name:10} {commit.author} {commit.committed_at:%d %B} {commit.message}")
    blame(session, Product, 7)                        # by key, deleted or not

Versions are read from the newest on, and only the attributes whose last change is not found
yet: a row that changes often is told without reading all of its past, unless an attribute
has not changed since it was inserted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast, overload

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from sqlalchemy_temporal.clock.commit import Commit
from sqlalchemy_temporal.model.changes import equal
from sqlalchemy_temporal.model.horizon import horizon_of
from sqlalchemy_temporal.model.line import Line, begun_seq
from sqlalchemy_temporal.model.readable import versions_readable
from sqlalchemy_temporal.model.scope import Scope
from sqlalchemy_temporal.model.trace import FIRST_PAGE, Glimpse, commits_of, page, versions_from
from sqlalchemy_temporal.model.version import info_of
from sqlalchemy_temporal.model.versions import versions_of

_PAGE: Final = 1000


@overload
def blame(source: Any, /) -> Blame: ...


@overload
def blame(session: Session | AsyncSession, entity: type[Any], key: Any, /) -> Blame: ...


def blame(source: Any, entity: type[Any] | None = None, key: Any = None, /) -> Any:
    """The commit that last set each attribute of an object.

    Parameters:
        source: an object, or the versions of one; or a session, followed by the mapped
            class and the primary key as for :func:`versions_of`.
        entity: the mapped class, when ``source`` is a session.
        key: the primary key, when ``source`` is a session.

    Returns:
        For each attribute that history keeps, the commit that gave it the value it has
        now, or had last when the object is deleted; None where that is not committed
        yet, and where it was before the horizon of a purge: the answer's ``purged`` names
        those attributes. What was never changed was set by the commit that inserted the
        object (of several lives under one key, the last one). Empty for an object that
        never was.

    Raises:
        ConfigurationError: the class is not versioned.
        UnsupportedReadError: ``key`` does not have the parts of the primary key.
        DetachedObjectError: the object belongs to no session.
    """
    if entity is None:
        return blame_along(*versions_from(source).find())
    return blame_along(*versions_of(source, entity, key).find())


class Blame(dict[str, Commit | None]):
    """The commit that last set each attribute.

    Attributes:
        purged: the attributes that were set before the horizon of a purge, so that it is
            not known any more by which commit.
    """

    purged: frozenset[str] = frozenset()


def blame_along(line: Line | None, session: Session) -> Blame:
    """The commits that last set each attribute along a line; see :func:`blame`."""
    if line is None:
        return Blame()
    search = _Search(line)
    rows: Sequence[Glimpse] = ()
    size = FIRST_PAGE
    while search.born is None:
        sought = search.sought
        before = rows[-1].seq if rows else None
        rows = page(line, session, sought, before, size)
        search.look_at(rows, sought)
        if len(rows) < size:
            search.reach_the_beginning()
            break
        if not search.sought and search.born is None:
            search.born = _birth(line, session)
        size = _PAGE
    names = info_of(line.history).recorded
    if search.born is None:
        return Blame()
    set_by = {name: search.found.get(name, search.born) for name in names}
    commits = commits_of(line, session, sorted(set(set_by.values())))
    answer = Blame({name: commits.get(tx_id) for name, tx_id in set_by.items()})
    horizon = horizon_of(session, line.history)
    born = commits.get(search.born)
    if horizon is not None and born is not None and born.seq <= horizon.seq:
        answer.purged = frozenset(name for name in names if name not in search.found)
        answer.update(dict.fromkeys(answer.purged))
    return answer


@dataclass(slots=True)
class _Search:
    """The search for what last set each attribute, from the newest version back.

    Attributes:
        line: the versions.
        sought: the attributes not found yet. One key means that it did not change, so the
            key is sought only where several are followed.
        found: attributes and the transactions that set them.
        born: the transaction that inserted the object, when it is known.
        tx: the transaction of the version looked at last.
        values: the attributes of that version, as far as they are sought.
    """

    line: Line
    sought: list[str] = field(init=False)
    found: dict[str, int] = field(default_factory=dict)
    born: int | None = None
    tx: int | None = None
    values: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        info = info_of(self.line.history)
        fixed = info.key if len(self.line.spans) == 1 else ()
        self.sought = [name for name in info.recorded if name not in fixed]

    def look_at(self, rows: Sequence[Glimpse], names: Sequence[str]) -> None:
        """Go on through ``rows``, whose values are those of the attributes ``names``."""
        types = info_of(self.line.history).recorded
        for row in rows:
            if self.tx is not None and row.end_tx != self.tx:
                self.born = self.tx
                return
            values = dict(zip(names, row.values, strict=True))
            if self.tx is not None:
                for name in self.sought:
                    if not equal(types[name].type, values[name], self.values[name]):
                        self.found[name] = self.tx
                self.sought = [name for name in self.sought if name not in self.found]
            self.tx, self.values = row.tx, values

    def reach_the_beginning(self) -> None:
        """There are no more versions: the last one looked at is the first there was."""
        if self.born is None:
            self.born = self.tx


def _birth(line: Line, session: Session) -> int | None:
    """The transaction that began the object's last life."""
    scope = Scope(session, line.history, line, line.moment)
    entity = scope.entity()
    statement = (
        scope.select(entity)
        .with_only_columns(entity.temporal_tx_id)
        .where(~scope.replaced_another(entity))
        .order_by(begun_seq(entity).desc())
        .limit(1)
    )
    with versions_readable(scope.bind):
        return cast("int | None", session.scalar(statement, bind_arguments=scope.bind))


__all__ = ["Blame", "blame"]
