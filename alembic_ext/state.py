"""What a migration says of a versioned table: the arguments of our operations as a value.

Online, a migration reads from the database what the table is like, and only how it is to be
versioned comes from the script. With ``--sql`` there is no database to ask: then columns, key
and foreign keys are what the script says or what its earlier operations made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final

from sqlalchemy_temporal.ddl.spec import ColumnSpec, TableKind, TableSpec
from sqlalchemy_temporal.errors import UnknownOptionError
from sqlalchemy_temporal.naming import VersioningOptions

TEMPLATE: Final = 1
"""The version of the generated SQL that scripts written now name."""
KNOWN_TEMPLATES: Final = (1,)


@dataclass(frozen=True, slots=True)
class TableState:
    """One versioned table as a migration describes it.

    Attributes:
        table_name: its name.
        schema: its schema; None for the connection's default.
        options: how it is versioned.
        template: the version of the SQL that is generated for it.
        key: its key columns; empty where the database is asked.
        columns: names and SQL types of all its columns; empty where the database is asked.
        generated: columns the database computes; with an expression, those that are virtual.
        foreign_keys: column lists of its foreign keys.
        kind: which sort of table it is.
    """

    table_name: str
    schema: str | None
    options: VersioningOptions
    template: int = TEMPLATE
    key: tuple[str, ...] = ()
    columns: tuple[tuple[str, str], ...] = ()
    generated: tuple[tuple[str, str | None], ...] = ()
    foreign_keys: tuple[tuple[str, ...], ...] = ()
    kind: TableKind = "ordinary"

    @property
    def is_described(self) -> bool:
        """Whether it says what the table is like, for ``--sql``."""
        return bool(self.columns and self.key)

    def undescribed(self) -> TableState:
        """The same without what the database can be asked for."""
        return TableState(self.table_name, self.schema, self.options, self.template)


def table_state(table_name: str, schema: str | None, given: Mapping[str, Any]) -> TableState:
    """Check and read the arguments of an operation.

    Parameters:
        table_name: the table.
        schema: its schema.
        given: the other arguments, by name.

    Raises:
        UnknownOptionError: one of them does not exist or has a bad value.
    """
    values = dict(given)
    where = f"table {table_name!r}"
    template = values.pop("template", TEMPLATE)
    if template not in KNOWN_TEMPLATES:
        raise UnknownOptionError(
            f"{where}: this version of the library knows the SQL templates "
            f"{', '.join(map(str, KNOWN_TEMPLATES))}, not {template!r}; the migration was written "
            "with a newer one, so upgrade the library"
        )
    generated = values.pop("generated", ())
    if not isinstance(generated, Mapping):
        generated = dict.fromkeys(generated)
    described = {
        "key": tuple(values.pop("key", ())),
        "columns": tuple(dict(values.pop("columns", None) or {}).items()),
        "generated": tuple(generated.items()),
        "foreign_keys": tuple(tuple(columns) for columns in values.pop("foreign_keys", ())),
        "kind": values.pop("kind", "ordinary"),
    }
    if "versioning_schema" in values:
        values["schema"] = values.pop("versioning_schema")
    options = VersioningOptions.from_mapping(values, where=where)
    return TableState(table_name, schema, options, template, **described)


def arguments(state: TableState) -> dict[str, Any]:
    """The arguments that give ``state``, without those that would say the default."""
    said: dict[str, Any] = {"schema": state.schema, **_said_options(state.options)}
    if state.kind != "ordinary":
        said["kind"] = state.kind
    said |= {
        "key": list(state.key),
        "columns": dict(state.columns),
        "generated": dict(state.generated),
        "foreign_keys": [list(columns) for columns in state.foreign_keys],
    }
    return {name: value for name, value in said.items() if value} | {"template": state.template}


def _said_options(options: VersioningOptions) -> dict[str, Any]:
    """The options that differ from the default, as literals of Python."""
    default, said = VersioningOptions(), {}
    for field in fields(options):
        value = getattr(options, field.name)
        if value != getattr(default, field.name):
            name = "versioning_schema" if field.name == "schema" else field.name
            said[name] = _as_list(value)
    return said


def _as_list(value: Any) -> Any:
    return [_as_list(each) for each in value] if isinstance(value, tuple) else value


def state_of(spec: TableSpec) -> TableState:
    """The description of a table that was asked for, or computed."""
    every = (*spec.columns, *spec.unrecorded)
    return TableState(
        table_name=spec.name,
        schema=spec.schema,
        options=spec.options,
        key=spec.key,
        columns=tuple((column.name, column.type) for column in every),
        generated=tuple((c.name, c.expression) for c in every if c.generated),
        foreign_keys=spec.foreign_keys,
        kind=spec.kind,
    )


def spec_of(state: TableState) -> TableSpec:
    """What the DDL is generated from, where there is no database to ask."""
    generated = dict(state.generated)
    every = tuple(
        ColumnSpec(name, name in generated, generated.get(name), sql_type)
        for name, sql_type in state.columns
    )
    exclude = state.options.exclude
    recorded = tuple(column for column in every if column.name not in exclude)
    names = {column.name for column in recorded}
    return TableSpec(
        schema=state.schema,
        name=state.table_name,
        columns=recorded,
        key=state.key,
        foreign_keys=tuple(f for f in state.foreign_keys if set(f) <= names),
        options=state.options,
        kind=state.kind,
        unrecorded=tuple(column for column in every if column.name in exclude),
    )


def without_column(state: TableState, name: str) -> TableState:
    """The table when the column is gone."""
    return replace(
        state,
        options=state.options.fitting([column for column, _ in state.columns if column != name]),
        columns=tuple(entry for entry in state.columns if entry[0] != name),
        generated=tuple(entry for entry in state.generated if entry[0] != name),
        foreign_keys=tuple(columns for columns in state.foreign_keys if name not in columns),
    )


def with_column(
    state: TableState, name: str, sql_type: str, generated: tuple[str | None] | None = None
) -> TableState:
    """The table with one more column, or one of another type.

    Parameters:
        state: the table.
        name: the column.
        sql_type: its type.
        generated: when the database computes it, the expression if it is virtual.
    """
    columns = dict(state.columns) | {name: sql_type}
    computed = dict(state.generated)
    if generated is not None:
        computed[name] = generated[0]
    return replace(state, columns=tuple(columns.items()), generated=tuple(computed.items()))


def with_renamed(state: TableState, old: str, new: str) -> TableState:
    """The table when a column goes by another name."""

    def names(given: Sequence[str]) -> tuple[str, ...]:
        return tuple(new if name == old else name for name in given)

    return replace(
        state,
        options=state.options.renamed(old, new),
        key=names(state.key),
        columns=tuple((new if name == old else name, kind) for name, kind in state.columns),
        generated=tuple((new if name == old else name, how) for name, how in state.generated),
        foreign_keys=tuple(names(columns) for columns in state.foreign_keys),
    )


__all__ = [
    "KNOWN_TEMPLATES",
    "TEMPLATE",
    "TableState",
    "arguments",
    "spec_of",
    "state_of",
    "table_state",
    "with_column",
    "with_renamed",
    "without_column",
]
