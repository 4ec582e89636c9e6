"""What is to be done to a table of a database, step by step, members of its tree included.

Each function is a generator of DDL elements. Whoever runs a plan executes every element
before asking for the next: what comes later is read from the database as it is by then.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sqlalchemy import Connection, text

from sqlalchemy_temporal.ddl import elements, evolve
from sqlalchemy_temporal.ddl.elements import TemporalDDL
from sqlalchemy_temporal.ddl.installed import Installed, find_installed
from sqlalchemy_temporal.ddl.reflect import reflect_table
from sqlalchemy_temporal.ddl.spec import LiveTable, TableSpec, refuse_without_triggers
from sqlalchemy_temporal.errors import ConfigurationError, SchemaDriftError
from sqlalchemy_temporal.naming import VersioningOptions

_COLUMNS = text("SELECT name FROM pragma_table_xinfo(:name) ORDER BY cid")


def enable(
    connection: Connection,
    schema: str | None,
    name: str,
    options: VersioningOptions,
    key: tuple[str, ...] = (),
) -> Iterator[TemporalDDL]:
    """Make a table versioned, whose history may be there from before.

    Raises:
        SchemaDriftError: it was versioned before, with another key.
    """
    live = reflect_table(connection, schema, name, options, key=key)
    refuse_without_triggers(live.spec)
    known = find_installed(connection, live.spec.live_schema, name)
    if known is not None and known.enabled:
        yield from sync(connection, schema, name, options)
        return
    if known is not None:
        yield from _prepare_again(live.spec, known)
    plan = elements.enable(live.spec) if known is None else enable_again(live.spec)
    for element in plan:
        if isinstance(element, elements.AddSystemColumn) and live.has_system_column:
            continue
        yield element
    for partition_schema, partition in live.partitions:
        yield elements.CatchTruncate(live.spec, partition_schema, partition)
    for child_schema, child in live.children:
        # Rows of a child are rows of its parent: their history must be, too.
        yield from enable(connection, child_schema, child, options, live.spec.key)
        if known is None:
            member = reflect_table(connection, child_schema, child, options, key=live.spec.key)
            yield elements.InheritHistory(member.spec, live.spec)


def _prepare_again(spec: TableSpec, known: Installed) -> Iterator[TemporalDDL]:
    if known.key != spec.key:
        raise SchemaDriftError(
            f"table {spec.qualified!r} was versioned before, with the key "
            f"({', '.join(known.key)}) instead of ({', '.join(spec.key)}). Restore that key, or "
            "drop its history with disable_versioning(..., drop_history=True)"
        )
    yield from _moved(spec, known)


def enable_again(spec: TableSpec) -> tuple[TemporalDDL, ...]:
    """Everything that makes a table versioned whose history was kept, whatever it is by now."""
    first, *rest = elements.enable_again(spec)
    return (first, evolve.FollowColumns(spec), *rest)


def _moved(spec: TableSpec, known: Installed) -> Iterator[TemporalDDL]:
    """Bring the history of before to the names that the options give it now."""
    if known.options.schema != spec.options.schema:
        raise ConfigurationError(
            f"table {spec.qualified!r} is versioned in the schema {known.options.schema!r}, and "
            f"cannot move to {spec.options.schema!r}: transactions are numbered per schema. "
            "Disable it with drop_history=True, and enable it anew"
        )
    if known.history != (spec.history_schema, spec.history_table):
        yield evolve.MoveHistory(replace(spec, options=known.options), spec)


def disable(
    connection: Connection, known: Installed, *, drop_history: bool
) -> Iterator[TemporalDDL]:
    """Stop recording a table, with or without its history."""
    live = reflect_table(
        connection, known.schema, known.name, known.options, key=known.key, lenient=True
    )
    spec = as_recorded(live, known)
    for child_schema, child in live.children:
        member = find_installed(connection, child_schema, child)
        if member is not None:
            yield from disable(connection, member, drop_history=drop_history)
    for partition_schema, partition in live.partitions:
        yield elements.DropCatchTruncate(spec, partition_schema, partition)
    if not known.enabled and not drop_history:
        return
    for element in elements.disable(spec, keep_history=not drop_history):
        if isinstance(element, elements.DropSystemColumn) and live.inherits_system_column:
            continue
        yield element


def sync(
    connection: Connection, schema: str | None, name: str, options: VersioningOptions
) -> Iterator[TemporalDDL]:
    """Bring a table's history and triggers to what it is now and how it is to be versioned."""
    known = find_installed(connection, schema, name)
    if known is None or not known.enabled:
        yield from enable(connection, schema, name, options)
        return
    live = reflect_table(connection, schema, name, options, key=known.key)
    refuse_without_triggers(live.spec)
    before = as_recorded(
        reflect_table(connection, schema, name, known.options, key=known.key, lenient=True), known
    )
    # Columns that begin or end to be recorded had other values in the past than now.
    changed = set(known.options.exclude) ^ set(options.exclude)
    values = bool(changed & {c.name for c in (*live.spec.columns, *live.spec.unrecorded)})
    yield from evolve.before_change(before, values=values)
    yield from _moved(live.spec, known)
    yield from evolve.after_change(live.spec)
    yield from evolve.drop_indexes(before, live.spec)
    for child_schema, child in live.children:
        yield from sync(connection, child_schema, child, options)


def fitted(connection: Connection, element: TemporalDDL) -> TemporalDDL:
    """The element as this database needs it: SQLite has to be told what history lacks."""
    if connection.dialect.name != "sqlite" or not isinstance(element, evolve.FollowColumns):
        return element
    spec = element.spec
    known = find_installed(connection, None, spec.name)
    if known is None:
        return element
    kept = tuple(connection.scalars(_COLUMNS, {"name": known.history[1]}))
    types = {column.name: column.type for column in spec.columns}
    freed = tuple(
        (each.name, archive_name(known, each.name))
        for each in known.identities
        if each.history == each.name
        and each.until is not None
        and each.name in types
        and types[each.name] != each.type
        and each.name not in known.recorded
    )
    return evolve.FollowColumns(spec, kept, freed)


def archive_name(known: Installed, column: str) -> str:
    """The column of history that keeps the values of a column that ends, as on PostgreSQL."""
    numbers = [each.id for each in known.identities if each.history == column]
    return f"{column[:15]}__{max(numbers, default=0)}"


def as_recorded(live: LiveTable, known: Installed) -> TableSpec:
    """The table as its triggers know it, without what was added by hand since."""
    recorded = tuple(column for column in live.spec.columns if column.name in known.recorded)
    declared = replace(live.spec, schema=known.declared, columns=recorded)
    return replace(declared, options=replace(live.spec.options, index=known.options.index))


__all__ = ["archive_name", "as_recorded", "disable", "enable", "enable_again", "fitted", "sync"]
