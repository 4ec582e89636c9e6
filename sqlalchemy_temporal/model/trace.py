"""How one attribute came to its values: ``attribute_history()`` and ``when_became()``.

::

    for old, new, commit in attribute_history(product, "price"):
        print(commit.author, old, "→", new)
    when_became(product, "price", 10)                 # the commit that last made it 10

Only the attribute itself is read, for all versions, in pages from the newest on: a row with
ten thousand versions costs some ten milliseconds, and no versions are loaded as objects.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import inspect
from sqlalchemy.orm import Session

from sqlalchemy_temporal.clock.commit import Commit
from sqlalchemy_temporal.clock.commits import commits_by_transaction
from sqlalchemy_temporal.errors import UnsupportedReadError
from sqlalchemy_temporal.model.changes import equal
from sqlalchemy_temporal.model.horizon import horizon_of
from sqlalchemy_temporal.model.line import Line, begun_seq, entity_of, on_line
from sqlalchemy_temporal.model.readable import versions_readable
from sqlalchemy_temporal.model.version import Version, info_of
from sqlalchemy_temporal.model.versions import Versions, versions_of_object

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

FIRST_PAGE: Final = 100
"""Versions read at first: most objects have fewer, and recent changes come early."""
_PAGE: Final = 5000


class AttributeChange(NamedTuple):
    """One change of one attribute.

    Attributes:
        old: the value before; None also where the object was inserted.
        new: the value after.
        commit: the commit that changed it; None while its transaction is under way.
    """

    old: Any
    new: Any
    commit: Commit | None


def attribute_history(source: Any, attribute: str) -> list[AttributeChange]:
    """Every change of one attribute of an object, oldest first.

    Parameters:
        source: an object, or the versions of one: ``versions_of(session, Model, key)`` for
            one that was deleted, or to follow changes of its key.
        attribute: the name of an attribute that history keeps: a column, a composite
            or a synonym of one.

    Returns:
        The changes as ``version.changeset`` has them, read in one go: where the object
        was inserted, from None, unless it was inserted as None. A deletion is no
        change; the insertion of the key's next life is one again, from None. After a
        purge, the changes since its horizon.

    Raises:
        UnsupportedReadError: history keeps no such attribute.
        ConfigurationError: the object's class is not versioned.
        DetachedObjectError: the object belongs to no session.
    """
    return changes_along(*versions_from(source).find(), attribute)


def when_became(source: Any, attribute: str, value: Any, *, first: bool = False) -> Commit | None:
    """The commit that set an attribute of an object to a value.

    Parameters:
        source: as for :func:`attribute_history`.
        attribute: as for :func:`attribute_history`.
        value: the value, compared as the column's type compares values.
        first: give the first commit that did so; else the last one.

    Returns:
        The commit whose change, or insertion of the object, made the attribute ``value``;
        None when none did. A change that is not committed yet has no commit, and is
        passed over.

    Raises:
        PurgedHistoryError: it may have been before the horizon of a purge.
        UnsupportedReadError: history keeps no such attribute.
        ConfigurationError: the object's class is not versioned.
        DetachedObjectError: the object belongs to no session.
    """
    return setting_along(*versions_from(source).find(), attribute, value, first=first)


def versions_from(source: Any) -> Versions[Any]:
    """The versions ``source`` stands for: itself, or those of the object it is."""
    return source if isinstance(source, Versions) else versions_of_object(source)


def changes_along(line: Line | None, session: Session, attribute: str) -> list[AttributeChange]:
    """The changes of an attribute along a line; see :func:`attribute_history`."""
    if line is None:
        return []
    kind = type_of(line.history, attribute)
    found = [
        each
        for each in _settings(line, session, attribute, kind)
        if not (each.inserted and each.new is None)
    ]
    commits = commits_of(line, session, [each.tx_id for each in found])
    return [AttributeChange(each.old, each.new, commits.get(each.tx_id)) for each in found[::-1]]


def setting_along(
    line: Line | None, session: Session, attribute: str, value: Any, *, first: bool
) -> Commit | None:
    """The commit that set an attribute along a line; see :func:`when_became`."""
    if line is None:
        return None
    kind = type_of(line.history, attribute)
    found: int | None = None
    for each in _settings(line, session, attribute, kind):
        if each.committed and equal(kind, each.new, value):
            found = each.tx_id
            if not first:
                break
    horizon = horizon_of(session, line.history)
    if horizon is not None and (first or found is None):
        raise horizon.error(f"when {attribute} {'first ' if first else ''}became {value!r}")
    return None if found is None else commits_of(line, session, [found])[found]


@dataclass(frozen=True, slots=True)
class _Setting:
    """A version that gave the attribute its value."""

    old: Any
    new: Any
    inserted: bool
    committed: bool
    tx_id: int


def _settings(line: Line, session: Session, attribute: str, kind: Any) -> Iterator[_Setting]:
    """What set the attribute, newest first; found by comparing each version with the next."""
    after: Glimpse | None = None
    before: int | None = None
    size = FIRST_PAGE
    while True:
        seen = page(line, session, [attribute], before, size)
        for each in seen:
            if after is not None:
                inserted = each.end_tx != after.tx
                old, new = None if inserted else each.values[0], after.values[0]
                if inserted or not equal(kind, old, new):
                    yield _Setting(old, new, inserted, after.committed, after.tx)
            after = each
        if len(seen) < size:
            break
        before, size = seen[-1].seq, _PAGE
    if after is not None and not _is_purged(line, session, after):
        yield _Setting(None, after.values[0], True, after.committed, after.tx)


def _is_purged(line: Line, session: Session, oldest: Glimpse) -> bool:
    """Whether versions before the oldest one may have been purged."""
    horizon = horizon_of(session, line.history)
    return horizon is not None and oldest.seq <= horizon.seq


class Glimpse(NamedTuple):
    """Some attributes of a version.

    Attributes:
        tx: the transaction that wrote it.
        end_tx: the one that ended it; None while it is current.
        seq: the sequence number of the commit that wrote it, or a number after all.
        committed: whether it is committed.
        values: the values of the attributes.
    """

    tx: int
    end_tx: int | None
    seq: int
    committed: bool
    values: Sequence[Any]


def page(
    line: Line, session: Session, attributes: Sequence[str], before: int | None, size: int
) -> list[Glimpse]:
    """Some attributes of consecutive versions, newest first.

    Parameters:
        attributes: which attributes to read.
        before: only versions that began before this sequence number.
        size: at most so many.
    """
    entity = entity_of(line)
    seq: ColumnElement[int] = begun_seq(entity)
    statement = on_line(line, entity).with_only_columns(
        entity.temporal_tx_id,
        entity.temporal_end_tx_id,
        seq,
        entity.temporal_commit_seq.is_not(None),
        *(getattr(entity, name) for name in attributes),
    )
    if before is not None:
        statement = statement.where(seq < before)
    statement = statement.order_by(seq.desc()).limit(size)
    bind = {"mapper": info_of(line.history).entity}
    with versions_readable(bind):
        rows = session.execute(statement, bind_arguments=bind)
    return [Glimpse(row[0], row[1], row[2], row[3], row[4:]) for row in rows]


def type_of(history: type[Version], attribute: str) -> Any:
    """What compares values of an attribute: its column's type, or a stand-in for it.

    Raises:
        UnsupportedReadError: history keeps no such attribute.
    """
    info = info_of(history)
    mapper = inspect(history)
    found = mapper.synonyms.get(attribute)
    name = attribute if found is None else found.name
    if name in info.recorded:
        return info.recorded[name].type
    parts = mapper.composites.get(name)
    if parts is not None and all(part.key in info.recorded for part in parts.props):
        return _AsPython
    raise UnsupportedReadError(
        f"{info.entity.class_.__name__} has no attribute {attribute!r} that history keeps; it "
        f"keeps {', '.join(sorted(info.recorded))}"
    )


class _AsPython:
    """Compares as ``==`` does."""

    @staticmethod
    def compare_values(first: object, second: object) -> bool:
        return first == second


def commits_of(line: Line, session: Session, tx_ids: Sequence[int]) -> dict[int, Commit]:
    """The commits of transactions, by id; without those under way."""
    info = info_of(line.history)
    connection = session.connection(bind_arguments={"mapper": info.entity})
    return commits_by_transaction(connection, info.schema, tx_ids)


__all__ = ["AttributeChange", "attribute_history", "when_became"]
