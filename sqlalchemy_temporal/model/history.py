"""``history_of(Customer)`` and ``Customer.History``: all versions of an entity as a class.

::

    History = history_of(Customer)                     # the same as Customer.History
    session.scalars(select(History).where(History.name == "Ana"))

The class is mapped to the SELECT of :mod:`sqlalchemy_temporal.model.selectable`, so it can
be filtered, joined, aggregated and aliased like any mapped class. It is made when first
asked for, after the entity's own mapping is complete, and kept with that mapping.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Column, ColumnElement, event, inspect
from sqlalchemy.ext.hybrid import hybrid_method, hybrid_property
from sqlalchemy.orm import (
    ColumnProperty,
    Mapper,
    column_property,
    composite,
    configure_mappers,
    deferred,
    registry,
    synonym,
)

from sqlalchemy_temporal.errors import ConfigurationError
from sqlalchemy_temporal.model.selectable import (
    TEMPORAL_ATTRIBUTES,
    entity_tables,
    system_schema,
    versions_select,
)
from sqlalchemy_temporal.model.version import (
    HistoryInfo,
    Version,
    refuse_change,
    refuse_write,
)
from sqlalchemy_temporal.naming import INFO_KEY, TX_COLUMN
from sqlalchemy_temporal.schema import options_of


def history_of(entity: type[Any]) -> type[Any]:
    """The read-only class of all versions of ``entity``, current and closed.

    Parameters:
        entity: a mapped class whose tables are versioned, by ``Versioned`` or by
            ``versioned_table()``.

    Returns:
        A subclass of :class:`Version` mapped to every version, always the same one for the
        same entity. Besides the entity's attributes it has those named in
        :class:`Version`. Attributes whose columns are excluded from versioning are None.
        SQL expressions mapped by ``column_property()`` and relationships are not part of it.

    Raises:
        ConfigurationError: ``entity`` is not mapped, not versioned, or has an attribute
            with one of the names versions need.
    """
    mapper = inspect(entity, raiseerr=False)
    if not isinstance(mapper, Mapper):
        raise ConfigurationError(f"{entity!r} is not a mapped class, so it has no history")
    kept = mapper.class_manager.info
    found = kept.get(INFO_KEY)
    if found is None:
        configure_mappers()
        # Of two threads that ask first at the same time, both get what one of them made.
        found = kept.setdefault(INFO_KEY, _make(mapper))
    if isinstance(found, HistoryInfo):
        raise ConfigurationError(f"{entity.__name__} is a history itself")
    made: type[Any] = found
    return made


class HistoryAttribute:
    """``Customer.History``: the class of all versions of ``Customer``."""

    def __get__(self, instance: object, owner: type[Any]) -> type[Any]:
        return history_of(owner)


def column_attributes(mapper: Mapper[Any]) -> dict[str, Column[Any]]:
    """The attributes of ``mapper`` that are columns of its tables, by attribute name."""
    tables = entity_tables(mapper)
    found = {}
    for attribute in mapper.column_attrs:
        columns = [
            column
            for column in attribute.columns
            if isinstance(column, Column) and column.table in tables
        ]
        if columns:
            found[attribute.key] = columns[0]
    return found


def _make(mapper: Mapper[Any]) -> type[Version]:
    columns = column_attributes(mapper)
    clash = sorted(set(columns) & set(TEMPORAL_ATTRIBUTES))
    if clash:
        raise ConfigurationError(
            f"{mapper.class_.__name__}: attribute name(s) {', '.join(clash)} are used by "
            "versions; rename the attribute(s)"
        )
    made = _class_for(mapper)
    selectable = versions_select(mapper, columns).subquery()
    key = tuple(mapper.get_property_by_column(column).key for column in mapper.primary_key)
    properties = {
        **{name: _property(mapper, name, selectable.c[name]) for name in columns},
        **{name: column_property(selectable.c[name]) for name in TEMPORAL_ATTRIBUTES},
        **_composites(mapper, columns),
        **_synonyms(mapper, columns),
    }
    mapped = registry().map_imperatively(
        made,
        selectable,
        properties=properties,
        primary_key=[selectable.c[name] for name in (*key, TX_COLUMN)],
        # The current version becomes a closed one by the next change: what a query reads
        # replaces what the session had.
        always_refresh=True,
    )
    mapped.class_manager.info[INFO_KEY] = HistoryInfo(
        entity=mapper,
        key=key,
        recorded={name: column for name, column in columns.items() if _recorded(column)},
        schema=system_schema(mapper),
    )
    _carry_hybrids(mapper, made)
    event.listen(made, "before_insert", refuse_write)
    event.listen(made, "before_update", refuse_change)
    event.listen(made, "before_delete", refuse_write)
    return made


def _class_for(mapper: Mapper[Any]) -> type[Version]:
    """An empty class; its qualified name is the path by which pickle finds it again."""
    entity = mapper.class_
    return type(
        f"{entity.__name__}History",
        (Version,),
        {
            "__module__": entity.__module__,
            "__qualname__": f"{entity.__qualname__}.History",
            "__doc__": f"Every version of {entity.__name__}, current and closed; read-only.",
        },
    )


def _property(mapper: Mapper[Any], name: str, column: ColumnElement[Any]) -> ColumnProperty[Any]:
    """Map a column of the versions as the entity maps it: deferred where it is there."""
    original = mapper.column_attrs[name]
    if original.deferred:
        return deferred(column, group=original.group)
    return column_property(column)


def _recorded(column: Column[Any]) -> bool:
    options = options_of(column.table)
    return options is not None and column.name not in options.exclude


def _composites(mapper: Mapper[Any], columns: Mapping[str, object]) -> dict[str, Any]:
    found = {}
    for attribute in mapper.composites:
        names = [each.key for each in attribute.props]
        if all(name in columns for name in names):
            found[attribute.key] = composite(attribute.composite_class, *names)
    return found


def _synonyms(mapper: Mapper[Any], columns: Mapping[str, object]) -> dict[str, Any]:
    return {
        attribute.key: synonym(attribute.name)
        for attribute in mapper.synonyms
        if attribute.name in columns
    }


def _carry_hybrids(mapper: Mapper[Any], made: type[Version]) -> None:
    """Hybrids compute from attributes, so they work on versions as on the entity."""
    for name, descriptor in mapper.all_orm_descriptors.items():
        if isinstance(descriptor, hybrid_property | hybrid_method):
            setattr(made, name, descriptor)


__all__ = ["HistoryAttribute", "column_attributes", "history_of"]
