"""The base class of every History class, and what the library keeps about each.

A History class is made by :func:`sqlalchemy_temporal.model.history.history_of`. Its
instances are versions: rows of the past (and the present one), read-only.

The properties of :class:`Version` give way to attributes of the entity with the same
name: in the history of a model with a column ``index``, ``version.index`` is that column.
The functions they call are public for this case:
:func:`~sqlalchemy_temporal.model.versions.previous_version` and the like.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, cast

from sqlalchemy import ColumnElement, inspect
from sqlalchemy.orm import Mapper

from sqlalchemy_temporal.errors import ConfigurationError, ReadOnlyPastError
from sqlalchemy_temporal.naming import INFO_KEY

if TYPE_CHECKING:
    from sqlalchemy_temporal.clock.commit import Commit
    from sqlalchemy_temporal.model.changes import Change


@dataclass(frozen=True, slots=True)
class HistoryInfo:
    """What a History class was made from.

    Attributes:
        entity: the mapper of the entity whose history it is.
        key: the names of the attributes that are the entity's primary key.
        recorded: the names of the attributes history keeps and their live columns.
        schema: the schema of the library's own tables.
    """

    entity: Mapper[Any]
    key: tuple[str, ...]
    recorded: Mapping[str, ColumnElement[Any]]
    schema: str


class Version:
    """One version of an object: what it was from one commit to the next.

    It has the entity's column attributes, composites, synonyms and hybrids, and:

    Attributes:
        temporal_tx_id: the transaction that wrote this version.
        temporal_end_tx_id: the one that replaced or deleted it; None while it is current.
        temporal_operation: what ended it, as recorded: ``UPDATE``, ``DELETE`` or
            ``TRUNCATE``; None while it is current.
        temporal_valid_from: when the transaction that wrote it committed (with time
            zone, for people: the exact order is that of the sequence numbers). Within
            the transaction itself, when that began.
        temporal_valid_to: the same of the transaction that ended it; None while current.
        temporal_commit_seq: the sequence number of the commit that wrote it; None while
            that transaction is under way.
        temporal_end_commit_seq: the same of the commit that ended it.
    """

    if TYPE_CHECKING:
        temporal_tx_id: Any
        temporal_end_tx_id: Any
        temporal_operation: Any
        temporal_valid_from: Any
        temporal_valid_to: Any
        temporal_commit_seq: Any
        temporal_end_commit_seq: Any

        def __getattr__(self, name: str) -> Any: ...

    def __init__(self, *_: object, **__: object) -> None:
        raise ReadOnlyPastError(
            f"{type(self).__name__} objects are read from history and cannot be made; change "
            "the present object, and its history follows"
        )

    @property
    def previous(self) -> Version | None:
        """The version before this one under the same key, or None for the first.

        When the object was deleted and inserted again, this is the last version before
        the deletion; :attr:`operation` tells such a beginning by ``"INSERT"``.
        """
        from sqlalchemy_temporal.model.versions import previous_version

        return previous_version(self)

    @property
    def next(self) -> Version | None:
        """The version after this one under the same key, or None for the last."""
        from sqlalchemy_temporal.model.versions import next_version

        return next_version(self)

    @property
    def index(self) -> int:
        """The position among the object's versions, 0 for the oldest."""
        from sqlalchemy_temporal.model.versions import version_index

        return version_index(self)

    @property
    def changeset(self) -> Mapping[str, Change]:
        """What this version changed: attribute name to ``Change(old, new)``.

        Against the version it replaced; where it replaced none (the object was inserted),
        against nothing: every attribute that is not None, with old None.
        """
        from sqlalchemy_temporal.model.changes import changeset_of

        return changeset_of(self)

    @property
    def operation(self) -> str:
        """What made this version: ``"INSERT"`` or ``"UPDATE"``.

        An UPDATE is a version that begins in the transaction in which another of the same
        object ended, whatever the statements were: a row deleted and inserted again
        within one transaction was updated.
        """
        from sqlalchemy_temporal.model.changes import operation_of

        return operation_of(self)

    @property
    def ended_by(self) -> str | None:
        """What ended this version: ``"UPDATE"``, ``"DELETE"``, ``"TRUNCATE"``; None: nothing yet.

        Told by what followed in the same transaction, as for :attr:`operation`. Under one
        key, a row whose key was changed ends with ``"DELETE"``.
        """
        from sqlalchemy_temporal.model.changes import ended_by

        return ended_by(self)

    @property
    def commit(self) -> Commit | None:
        """The commit that made this version; None while its transaction is under way."""
        from sqlalchemy_temporal.model.commits import commit_of

        return commit_of(self)

    def __repr__(self) -> str:
        shown = inspect(self).dict
        info = info_of(type(self))
        key = ", ".join(f"{name}={shown.get(name)!r}" for name in info.key)
        return f"<{type(self).__name__} {key}, transaction {shown.get('temporal_tx_id')}>"


def info_of(history: type[Version]) -> HistoryInfo:
    """What the library keeps about a History class.

    Raises:
        ConfigurationError: ``history`` is not a History class.
    """
    mapper = inspect(history, raiseerr=False)
    found = mapper.class_manager.info.get(INFO_KEY) if isinstance(mapper, Mapper) else None
    if not isinstance(found, HistoryInfo):
        raise ConfigurationError(
            f"{history!r} is not a History class; history_of(Model) returns one"
        )
    return found


def refuse_write(_mapper: Mapper[Any], _connection: object, target: Version) -> NoReturn:
    """Mapper event: no version is ever written by a flush."""
    raise ReadOnlyPastError(
        f"{target!r} belongs to the past and cannot be added, changed or deleted. Change "
        "the present object instead; to stop tracking this one: session.expunge(version)"
    )


def refuse_change(mapper: Mapper[Any], connection: object, target: Version) -> None:
    """Mapper event: as :func:`refuse_write`, when the flush would change something."""
    state = inspect(target)
    if any(attribute.history.has_changes() for attribute in cast("Any", state.attrs)):
        refuse_write(mapper, connection, target)


__all__ = ["HistoryInfo", "Version", "info_of", "refuse_change", "refuse_write"]
