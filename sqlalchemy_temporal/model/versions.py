"""``customer.versions`` and ``versions_of()``: the versions of one object, oldest first.

::

    customer.versions[0].name                     # as it was first
    for version in customer.versions: print(version.commit.author, version.changeset)
    versions_of(session, Customer, 7)[-1]         # also when it was deleted

All versions under the object's key are listed. A key that was deleted and used again has
the versions of both lives; the later one begins with a version whose ``operation`` is
``"INSERT"`` and whose ``changeset`` has no old values.

Reading happens when the view is used. Under asyncio, where attribute access cannot wait,
``await customer.versions.load()`` returns the list, whose neighbours, changesets and
commits that need no further query can be used directly; anything else goes through
``await session.run_sync(lambda _: version.commit)``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar, Unpack, cast, overload

from sqlalchemy import Table, inspect
from sqlalchemy.orm import Session
from sqlalchemy.util import greenlet_spawn

from sqlalchemy_temporal.errors import UnsupportedReadError
from sqlalchemy_temporal.model import line as along
from sqlalchemy_temporal.model.criteria import Criteria, Filters
from sqlalchemy_temporal.model.history import history_of
from sqlalchemy_temporal.model.keys import spans_of
from sqlalchemy_temporal.model.line import Line, Span, moment_of
from sqlalchemy_temporal.model.place import session_of
from sqlalchemy_temporal.model.scope import Scope
from sqlalchemy_temporal.model.version import Version, info_of

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from sqlalchemy_temporal.clock.commit import Commit
    from sqlalchemy_temporal.clock.resolve import When
    from sqlalchemy_temporal.model.trace import AttributeChange

V = TypeVar("V", bound=Version)


class Versions(Sequence[V], Generic[V]):
    """The versions of one object, oldest first, read from the database when used.

    Length, indexing and slicing are queries with COUNT, LIMIT and OFFSET, so nothing is
    loaded that is not asked for; iteration loads all at once. Nothing is kept: the next
    use sees what has been written since.
    """

    def __init__(self, find: Callable[[], tuple[Line | None, Session]], label: str) -> None:
        self._find = find
        self._label = label

    def __repr__(self) -> str:
        return f"<versions of {self._label}>"

    def find(self) -> tuple[Line | None, Session]:
        """Where the versions lie now, for functions over them; and where to read them."""
        return self._find()

    def __len__(self) -> int:
        line, session = self.find()
        return 0 if line is None else along.count(line, session)

    def __bool__(self) -> bool:
        line, session = self.find()
        return line is not None and along.is_known(line, session)

    def __iter__(self) -> Iterator[V]:
        return iter(self._window())

    def __reversed__(self) -> Iterator[V]:
        return reversed(self._window())

    def __contains__(self, value: object) -> bool:
        return any(value is version for version in self)

    @overload
    def __getitem__(self, index: int) -> V: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[V]: ...

    def __getitem__(self, index: int | slice) -> V | Sequence[V]:
        if isinstance(index, slice):
            return self._slice(index)
        found = self._last() if index == -1 else None
        if found is None:
            offset = index if index >= 0 else -index - 1
            one = self._window(offset, 1, newest=index < 0)
            if not one:
                raise IndexError(f"{self!r}: no version at {index}")
            found = one[0]
        return found

    def _slice(self, wanted: slice) -> Sequence[V]:
        if wanted.step not in (None, 1):
            return self._window()[wanted]
        start, stop = wanted.start or 0, wanted.stop
        if start < 0 and stop is None:
            return self._window(0, -start, newest=True)
        if start < 0 or (stop is not None and stop < 0):
            start, stop, _ = wanted.indices(len(self))
        if stop is None:
            return self._window(start)
        return self._window(start, stop - start) if stop > start else []

    def _last(self) -> V | None:
        line, session = self.find()
        return None if line is None else cast("V | None", along.current(line, session))

    def _window(
        self, offset: int = 0, limit: int | None = None, *, newest: bool = False
    ) -> Sequence[V]:
        line, session = self.find()
        if line is None:
            return []
        return cast("Sequence[V]", along.window(line, session, offset, limit, newest=newest))

    def between(
        self,
        start: When | None = None,
        end: When | None = None,
        *,
        limit: int | None = None,
        offset: int | None = None,
        newest_first: bool = False,
        **filters: Unpack[Filters],
    ) -> Sequence[V]:
        """The versions made between two moments; see :func:`versions_between`.

        Parameters and errors are those of
        :func:`~sqlalchemy_temporal.model.between.versions_between`.
        """
        from sqlalchemy_temporal.model.between import list_between

        criteria = Criteria.checked(**filters)
        line, session = self.find()
        if line is None:
            return []
        scope = Scope(session, line.history, line, line.moment)
        found = list_between(
            scope, start, end, criteria, limit=limit, offset=offset, newest_first=newest_first
        )
        return cast("Sequence[V]", found)

    def attribute(self, name: str) -> list[AttributeChange]:
        """Every change of one attribute, oldest first; see :func:`attribute_history`.

        Parameters and errors are those of
        :func:`~sqlalchemy_temporal.model.trace.attribute_history`.
        """
        from sqlalchemy_temporal.model.trace import changes_along

        return changes_along(*self.find(), name)

    def when_became(self, name: str, value: Any, *, first: bool = False) -> Commit | None:
        """The commit that set an attribute to a value; see :func:`when_became`.

        Parameters and errors are those of
        :func:`~sqlalchemy_temporal.model.trace.when_became`.
        """
        from sqlalchemy_temporal.model.trace import setting_along

        return setting_along(*self.find(), name, value, first=first)

    def blame(self) -> dict[str, Commit | None]:
        """The commit that last set each attribute; see :func:`blame`.

        Returns and errors are those of :func:`~sqlalchemy_temporal.model.blame.blame`.
        """
        from sqlalchemy_temporal.model.blame import blame_along

        return blame_along(*self.find())

    async def load(self) -> Sequence[V]:
        """Read all versions under asyncio: ``await customer.versions.load()``."""
        found: Sequence[V] = await greenlet_spawn(self._window)
        return found


class VersionsAttribute:
    """``customer.versions``: the versions of ``customer``, through its session."""

    @overload
    def __get__(self, instance: None, owner: type[Any]) -> VersionsAttribute: ...

    @overload
    def __get__(self, instance: object, owner: type[Any]) -> Versions[Any]: ...

    def __get__(
        self, instance: object | None, owner: type[Any]
    ) -> VersionsAttribute | Versions[Any]:
        return self if instance is None else versions_of_object(instance)


def versions_of_object(instance: Any) -> Versions[Any]:
    """The versions of a mapped object, as ``instance.versions`` returns them.

    For models that have an attribute ``versions`` of their own.

    Parameters:
        instance: an object of a session, or one that will be by the time of use. One
            that was never flushed has no versions yet.

    Raises:
        ConfigurationError: its class is not versioned.
        DetachedObjectError: when used, if it belongs to no session.
    """
    history = history_of(type(instance))

    def find() -> tuple[Line | None, Session]:
        session = session_of(instance)
        state: Any = inspect(instance)
        if state.key is None and session.autoflush:
            session.flush()
        spans = () if state.key is None else (Span(tuple(state.key[1])),)
        line = Line(history, spans, moment_of(session, history)) if spans else None
        return line, session

    return Versions(find, type(instance).__name__)


def versions_of(
    session: Session | AsyncSession,
    entity: type[Any],
    key: Any,
    *,
    follow_key_changes: bool = False,
) -> Versions[Any]:
    """The versions of the object with a given key, whether it still exists or not.

    Parameters:
        session: where to read. A session that shows a moment of the past gives the
            versions visible then.
        entity: the mapped class.
        key: the primary key, as for ``session.get()``: a value, or a tuple or a
            dict of attribute names for a composite one.
        follow_key_changes: also give the versions the object had under earlier keys,
            taking ``key`` for its latest one. Rows that had the key before it came to
            this object are then left out.

    Returns:
        The same view as ``obj.versions``; empty for a key that never was.

    Raises:
        ConfigurationError: ``entity`` is not versioned.
        UnsupportedReadError: ``key`` does not have the parts of the primary key.
    """
    reading = cast("Session", getattr(session, "sync_session", session))
    history = history_of(entity)
    values = _key_of(history, entity, key)

    def find() -> tuple[Line | None, Session]:
        spans: tuple[Span, ...] = (Span(values),)
        if follow_key_changes:
            spans = _followed(reading, history, values)
        return Line(history, spans, moment_of(reading, history)), reading

    return Versions(find, f"{entity.__name__} {key!r}")


def _followed(session: Session, history: type[Version], key: tuple[Any, ...]) -> tuple[Span, ...]:
    mapper = info_of(history).entity
    table = cast("Table", mapper.primary_key[0].table)
    if session.autoflush:
        session.flush()
    return spans_of(session.connection(bind_arguments={"mapper": mapper}), table, key)


def _key_of(history: type[Version], entity: type[Any], key: Any) -> tuple[Any, ...]:
    names = info_of(history).key
    if isinstance(key, Mapping):
        if set(key) == set(names):
            return tuple(key[name] for name in names)
    else:
        parts = tuple(key) if isinstance(key, tuple | list) else (key,)
        if len(parts) == len(names):
            return parts
    raise UnsupportedReadError(
        f"{key!r} is not a key of {entity.__name__}, whose primary key is ({', '.join(names)})"
    )


previous_version = along.version_before
next_version = along.version_after
version_index = along.position_of


__all__ = [
    "Versions",
    "VersionsAttribute",
    "next_version",
    "previous_version",
    "version_index",
    "versions_of",
    "versions_of_object",
]
