"""The options of one class or table: said, inherited, merged, and checked.

``__versioned__`` is inherited and merged key by key, the nearest class winning. Names of
columns may be attribute names, column keys or column names, in this order of preference;
what comes out of here are column names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from typing import Any, Final

from sqlalchemy import Table
from sqlalchemy.orm import Mapper

from sqlalchemy_temporal.errors import ConfigurationError, UnknownOptionError
from sqlalchemy_temporal.naming import VersioningOptions

_DECLARATION: Final = "__versioned__"


def declarations(class_: type[Any]) -> Iterator[tuple[type[Any], Mapping[str, Any] | bool]]:
    """What the class and its bases say in ``__versioned__``, nearest first."""
    for base in class_.__mro__:
        said = vars(base).get(_DECLARATION)
        if said is None:
            continue
        if not isinstance(said, bool | Mapping):
            raise UnknownOptionError(
                f"{base.__name__}.__versioned__ must be a dict of options, True or False, "
                f"not {said!r}"
            )
        yield base, said


def is_enabled(class_: type[Any]) -> bool:
    """Whether the nearest class that says anything does not say False."""
    nearest = next(declarations(class_), None)
    return nearest is None or nearest[1] is not False


def options_said(class_: type[Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The options the class itself gives, and those it inherits, merged."""
    own: dict[str, Any] = {}
    inherited: dict[str, Any] = {}
    for base, said in declarations(class_):
        if isinstance(said, bool):
            continue
        if base is class_:
            own = dict(said)
        else:
            inherited = {**said, **inherited}
    return own, {name: value for name, value in inherited.items() if name not in own}


def column_names(mapper: Mapper[Any], table: Table) -> dict[str, str]:
    """Attribute names of ``mapper`` and the columns of ``table`` they stand for."""
    return {
        name: str(column.name)
        for name, column in mapper.columns.items()
        if getattr(column, "table", None) is table  # an SQL expression has none
    }


def applicable(
    inherited: Mapping[str, Any], table: Table, attributes: Mapping[str, str]
) -> dict[str, Any]:
    """Inherited options without the columns this table does not have."""
    known = {*attributes, *_names_in(table)}
    found = dict(inherited)
    if isinstance(found.get("exclude"), list | tuple | set | frozenset):
        found["exclude"] = [name for name in found["exclude"] if name in known]
    if isinstance(found.get("index"), list | tuple):
        found["index"] = [
            entry
            for entry in found["index"]
            if known.issuperset([entry] if isinstance(entry, str) else entry)
        ]
    return found


def resolve_options(
    given: Mapping[str, Any], table: Table, attributes: Mapping[str, str], *, where: str
) -> VersioningOptions:
    """Check options and turn attribute names into column names."""
    options = VersioningOptions.from_mapping(given, where=where)
    known = {**_names_in(table), **attributes}

    def named(names: Iterable[str], option: str) -> tuple[str, ...]:
        unknown = [name for name in names if name not in known]
        if unknown:
            raise ConfigurationError(
                f"{where}: {option} names {', '.join(map(repr, unknown))}, but table "
                f"{table.fullname!r} has the columns {', '.join(sorted(set(known.values())))}"
            )
        return tuple(dict.fromkeys(known[name] for name in names))

    return VersioningOptions.from_mapping(
        {
            **as_mapping(options),
            "exclude": named(options.exclude, "exclude"),
            "index": tuple(named(entry, "index") for entry in options.index),
        },
        where=where,
    )


def _names_in(table: Table) -> dict[str, str]:
    """Column keys and names of ``table``, with the names they stand for; keys win."""
    names = {str(column.name): str(column.name) for column in table.c}
    return {**names, **{str(column.key): str(column.name) for column in table.c}}


def as_mapping(options: VersioningOptions) -> dict[str, Any]:
    """Options as one could have written them."""
    return {field.name: getattr(options, field.name) for field in fields(options)}


__all__ = [
    "applicable",
    "as_mapping",
    "column_names",
    "declarations",
    "is_enabled",
    "options_said",
    "resolve_options",
]
