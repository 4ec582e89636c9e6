"""Every drift between models, the catalog and what records changes, with its cure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from sqlalchemy import Connection, MetaData, Table, inspect

from sqlalchemy_temporal.capture.install import versioned_tables_of
from sqlalchemy_temporal.ddl.drifts import Drift, drifts_of
from sqlalchemy_temporal.ddl.installed import Installed, installed_tables
from sqlalchemy_temporal.naming import qualified_name
from sqlalchemy_temporal.schema import options_of, recorded_columns


@dataclass(frozen=True, slots=True)
class Report:
    """What :func:`doctor` found.

    Attributes:
        drifts: each thing that is not as it should be; empty when all is in step.
        tables: the tables that were looked at, as ``schema.table``.
    """

    drifts: tuple[Drift, ...]
    tables: tuple[str, ...]

    @property
    def healthy(self) -> bool:
        """Whether all is in step."""
        return not self.drifts

    def __bool__(self) -> bool:
        return self.healthy

    def __str__(self) -> str:
        lines = [str(drift) for drift in self.drifts]
        looked = f"{len(self.tables)} versioned table(s), {len(self.drifts)} drift(s)"
        return "\n".join((*lines, looked))


def doctor(connection: Connection, metadata: MetaData | None = None) -> Report:
    """Compare what is versioned in a database with what should be; changes nothing.

    Parameters:
        connection: the database, as a role that may read the library's own tables.
        metadata: what the models declare. Without it, each table is compared with how it
            was registered.

    Returns:
        The drifts found, each with the operation that cures it; true when there are none.
    """
    known = list(installed_tables(connection))
    declared = [] if metadata is None else versioned_tables_of(metadata)
    drifts: list[Drift] = []
    met: set[tuple[str, str]] = set()
    for table in declared:
        found = _registered(connection, known, table)
        if found is not None:
            met.add((found.schema, found.name))
        drifts += _compare(connection, table, found)
    for each in known:
        if not each.enabled or (each.schema, each.name) in met:
            continue
        drifts += drifts_of(connection, each)
        if metadata is not None:
            drifts += _undeclared(each, metadata)
    tables = [f"{each.schema}.{each.name}" for each in known if each.enabled]
    tables += [qualified_name(t.schema, str(t.name)) for t in declared]
    return Report(tuple(drifts), tuple(dict.fromkeys(tables)))


def _registered(connection: Connection, known: list[Installed], table: Table) -> Installed | None:
    wanted = table.schema or (
        connection.dialect.default_schema_name
        if connection.dialect.name == "postgresql"
        else "public"
    )
    return next((each for each in known if each.name == table.name and each.schema == wanted), None)


def _compare(connection: Connection, table: Table, known: Installed | None) -> Iterator[Drift]:
    """What differs between a model and the database."""
    label = qualified_name(table.schema, str(table.name))
    options = options_of(table)
    if not inspect(connection).has_table(str(table.name), schema=table.schema):
        cure = "metadata.create_all(engine), or op.create_table() in a migration"
        yield Drift(label, "the table does not exist", cure)
        return
    if options is None or known is None or not known.enabled:
        cure = f"op.enable_versioning({str(table.name)!r}) or metadata.create_all(engine)"
        yield Drift(label, "declared versioned, and its changes are not recorded", cure)
        return
    there = {each["name"] for each in inspect(connection).get_columns(known.name, table.schema)}
    missing = [str(c.name) for c in recorded_columns(table) if c.name not in there]
    if missing:
        cure = f"op.add_column({str(table.name)!r}, …)"
        yield Drift(label, f"the table lacks column(s) {', '.join(missing)} of the model", cure)
    for drift in drifts_of(connection, known, options.fitting(there)):
        yield replace(drift, table=label)


def _undeclared(known: Installed, metadata: MetaData) -> Iterator[Drift]:
    table = metadata.tables.get(
        known.name if known.declared is None else f"{known.declared}.{known.name}"
    )
    what = (
        "recorded, and no model declares it"
        if table is None
        else ("recorded, and its model does not declare it versioned")
    )
    yield Drift(f"{known.schema}.{known.name}", what, f"op.disable_versioning({known.name!r})")


__all__ = ["Drift", "Report", "doctor"]
