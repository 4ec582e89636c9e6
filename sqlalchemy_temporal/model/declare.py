"""Declaring what is versioned: the ``Versioned`` mixin and ``versioned_table()``.

::

    class Customer(Versioned, Base):
        __tablename__ = "customers"
        __versioned__ = {"exclude": ["last_seen"]}      # optional
        …

    versioned_table(order_tags)                         # a plain Table

A class's table is marked as soon as the class is mapped, so ``metadata.create_all()``
finds it right after the class statement.

``__versioned__`` is inherited. It is a dict of options (see
:class:`~sqlalchemy_temporal.naming.VersioningOptions`), merged key by key with those of
the base classes, the nearest winning; or False, which turns versioning off for the class
and those below it until one says ``{}`` or True. Column lists may name attributes or
columns. What a class inherits is applied as far as its table has such columns; what it
says itself must exist.
"""

from __future__ import annotations

import inspect as python_inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

from sqlalchemy import Column, Connection, FromClause, Table, event
from sqlalchemy.ext.declarative import AbstractConcreteBase
from sqlalchemy.orm import Mapper
from sqlalchemy.sql.selectable import Join

from sqlalchemy_temporal.capture.install import attach_ddl
from sqlalchemy_temporal.clock.hooks import attach
from sqlalchemy_temporal.errors import ConfigurationError
from sqlalchemy_temporal.model.history import HistoryAttribute
from sqlalchemy_temporal.model.options import (
    applicable,
    as_mapping,
    column_names,
    is_enabled,
    options_said,
    resolve_options,
)
from sqlalchemy_temporal.model.selectable import TEMPORAL_ATTRIBUTES
from sqlalchemy_temporal.model.versions import Versions, VersionsAttribute
from sqlalchemy_temporal.naming import DEFAULT_SCHEMA, INFO_KEY, VersioningOptions
from sqlalchemy_temporal.schema import (
    is_versioned,
    key_columns,
    mark_versioned,
    options_of,
    recorded_columns,
)

_ABSENT: Final = object()
_T = TypeVar("_T", bound=FromClause)  # what Model.__table__ is to type checkers


class Versioned:
    """Mixin: every change of the class's objects is kept as history.

    Works with every way of mapping a class. Adds two attributes, unless the class has
    its own of the same name:

    - ``Customer.History``, the class of all versions: ``history_of(Customer)``;
    - ``customer.versions``, the versions of one object:
      ``versions_of_object(customer)``.

    Raises:
        MissingKeyError: at the class statement, when the table has no primary key.
        UnknownOptionError: an option of ``__versioned__`` does not exist.
        ConfigurationError: anything else in the declaration that cannot work.
    """

    if TYPE_CHECKING:  # pragma: no cover - at runtime these come with the mapping
        __versioned__: ClassVar[Mapping[str, Any] | bool]
        History: ClassVar[type[Any]]

        @property
        def versions(self) -> Versions[Any]:
            """The versions of this object, oldest first."""


def versioned_table(table: _T, **options: Any) -> _T:
    """Declare a plain ``Table`` versioned, e.g. one for a many-to-many relationship.

    Parameters:
        table: the table. It needs a primary key.
        options: as in ``__versioned__``: ``exclude``, ``schema``, ``history_schema``,
            ``history_table_suffix``, ``capture``, ``index``, ``history_partition_by``.

    Returns:
        ``table`` itself, so that the call can stand around its definition.

    Raises:
        MissingKeyError: the table has no primary key.
        UnknownOptionError: an option that does not exist, or a bad value.
        ConfigurationError: the table is declared versioned already, differently.
    """
    if not isinstance(table, Table):
        raise ConfigurationError(
            f"versioned_table() takes a Table, not {table!r}; for a mapped class inherit "
            "Versioned, or pass Model.__table__"
        )
    where = f"table {table.fullname!r}"
    _declare(table, resolve_options(options, table, {}, where=where), where=where)
    return table


@event.listens_for(Versioned, "after_mapper_constructed", propagate=True)
def _declare_class(mapper: Mapper[Any], class_: type[Any]) -> None:
    """Mark the tables of a newly mapped class and give it its two attributes."""
    if not is_enabled(class_):
        _check_opt_out(mapper)
        return
    _check_bases(mapper)
    if _shares_table(mapper):
        _extend_shared(mapper)
    else:
        for table in _local_tables(mapper):
            _declare_mapped(mapper, table)
    clash = sorted(set(mapper.columns.keys()) & set(TEMPORAL_ATTRIBUTES))
    if clash:
        raise ConfigurationError(
            f"{class_.__name__}: attribute name(s) {', '.join(clash)} are used by versions; "
            "rename the attribute(s)"
        )
    for name in ("before_insert", "before_update", "before_delete"):
        event.listen(class_, name, _attach_hooks)
    _add_attribute(class_, "History", HistoryAttribute())
    _add_attribute(class_, "versions", VersionsAttribute())


def _attach_hooks(mapper: Mapper[Any], connection: Connection, _: object) -> None:
    """Let the engine of any session that writes a versioned object tell its transactions."""
    if connection.dialect.name == "sqlite":
        for table in mapper.tables:
            options = options_of(table) if isinstance(table, Table) else None
            attach(connection, options.schema if options else DEFAULT_SCHEMA)


def _add_attribute(class_: type[Any], name: str, descriptor: object) -> None:
    if python_inspect.getattr_static(class_, name, _ABSENT) is _ABSENT:
        type.__setattr__(class_, name, descriptor)


def _shares_table(mapper: Mapper[Any]) -> bool:
    return mapper.inherits is not None and mapper.local_table is mapper.inherits.local_table


def _local_tables(mapper: Mapper[Any]) -> list[Table]:
    found = mapper.local_table
    if isinstance(found, Table):
        return [found]
    if isinstance(found, Join):
        inherited = set(mapper.inherits.tables) if mapper.inherits is not None else set()
        return [t for t in mapper.tables if isinstance(t, Table) and t not in inherited]
    if issubclass(mapper.class_, AbstractConcreteBase):
        return []  # a union of its subclasses' tables, which declare themselves
    raise ConfigurationError(
        f"{mapper.class_.__name__} is mapped to {type(found).__name__}, not to a table, so it "
        "cannot be versioned; version the tables it reads"
    )


def _check_opt_out(mapper: Mapper[Any]) -> None:
    """A row in two tables of which one has no history could not be rebuilt."""
    parent = mapper.inherits
    if parent is None or mapper.concrete or not _all_versioned(parent):
        return
    raise ConfigurationError(
        f"{mapper.class_.__name__} has __versioned__ = False, but its objects are partly rows "
        f"of {parent.class_.__name__}, which is versioned. Leave it out, or version only "
        f"the table of {parent.class_.__name__} with versioned_table()"
    )


def _check_bases(mapper: Mapper[Any]) -> None:
    parent = mapper.inherits
    if parent is None or mapper.concrete or _all_versioned(parent):
        return
    raise ConfigurationError(
        f"{mapper.class_.__name__} is versioned, but {parent.class_.__name__}, whose table holds "
        "part of its rows, is not; inherit Versioned there"
    )


def _all_versioned(mapper: Mapper[Any]) -> bool:
    return all(isinstance(table, Table) and is_versioned(table) for table in mapper.tables)


def _declare_mapped(mapper: Mapper[Any], table: Table) -> None:
    own, inherited = options_said(mapper.class_)
    if not own and not inherited and is_versioned(table):
        _declare(table, options_of(table) or VersioningOptions(), where=mapper.class_.__name__)
        return
    where = f"{mapper.class_.__name__}.__versioned__"
    names = column_names(mapper, table)
    said = {**applicable(inherited, table, names), **own}
    options = resolve_options(said, table, names, where=where)
    _check_discriminator(mapper, table, options)
    if mapper.inherits is not None and not mapper.concrete:
        _check_one_schema(mapper, options)
    _declare(table, options, where=where)


def _check_one_schema(mapper: Mapper[Any], options: VersioningOptions) -> None:
    for table in mapper.inherits.tables if mapper.inherits is not None else ():
        other = options_of(table) if isinstance(table, Table) else None
        if other is not None and other.schema != options.schema:
            raise ConfigurationError(
                f"{mapper.class_.__name__}: schema {options.schema!r} differs from "
                f"{other.schema!r} of {table.name!r}, whose rows its objects share; "
                "transactions are numbered per schema"
            )


def _check_discriminator(mapper: Mapper[Any], table: Table, options: VersioningOptions) -> None:
    column = mapper.polymorphic_on
    if isinstance(column, Column) and column.table is table and column.name in options.exclude:
        raise ConfigurationError(
            f"{mapper.class_.__name__}: column {column.name!r} tells which class a row belongs "
            "to and cannot be excluded"
        )


def _extend_shared(mapper: Mapper[Any]) -> None:
    """A single-table subclass may exclude columns it adds to the shared table."""
    table = mapper.local_table
    present = options_of(table) if isinstance(table, Table) else None
    if not isinstance(table, Table) or present is None:
        return
    own, _ = options_said(mapper.class_)
    where = f"{mapper.class_.__name__}.__versioned__"
    foreign = sorted(set(own) - {"exclude"})
    if foreign:
        raise ConfigurationError(
            f"{where}: {', '.join(foreign)} belong(s) to the class that owns table "
            f"{table.fullname!r}; a single-table subclass can only exclude columns"
        )
    more = resolve_options(own, table, column_names(mapper, table), where=where)
    added = tuple(name for name in more.exclude if name not in present.exclude)
    if not added:
        recorded_columns(table)
        return
    if "history" in table.info[INFO_KEY]:
        raise ConfigurationError(
            f"{where}: the history table of {table.fullname!r} was made before; exclude "
            f"{', '.join(added)} in the class that owns the table"
        )
    options = VersioningOptions.from_mapping(
        {**as_mapping(present), "exclude": (*present.exclude, *added)}, where=where
    )
    _check_discriminator(mapper, table, options)
    _mark(table, options)


def _declare(table: Table, options: VersioningOptions, *, where: str) -> None:
    """Mark ``table`` versioned, or leave it as it was with an error."""
    key_columns(table)
    present = options_of(table)
    if present is None:
        _mark(table, options)
    elif present != options:
        raise ConfigurationError(
            f"{where}: table {table.fullname!r} is declared versioned already, with other "
            f"options: {present} and {options}"
        )
    attach_ddl(table)


def _mark(table: Table, options: VersioningOptions) -> None:
    """Mark ``table`` if it can be versioned with ``options``."""
    before = options_of(table)
    mark_versioned(table, options)
    try:
        recorded_columns(table)
    except ConfigurationError:
        if before is None:
            del table.info[INFO_KEY]
        else:
            mark_versioned(table, before)
        raise


__all__ = ["Versioned", "versioned_table"]
