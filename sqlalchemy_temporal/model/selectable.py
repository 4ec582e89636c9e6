"""The SELECT over all versions of an entity: the current rows and the closed ones.

For one table it is ::

    SELECT … FROM (SELECT … FROM customers UNION ALL SELECT … FROM customers_history) AS v
    LEFT JOIN transaction AS started ON started.id = v.temporal_tx_id
    LEFT JOIN transaction AS ended ON ended.id = v.temporal_end_tx_id

Versions are ordered by the sequence numbers of the commits
that began them, because transaction ids alone do not order commits.

With joined-table inheritance an object is a row in each of several tables. A version of
the object then is a combination of row versions that were valid together: their intervals
are intersected by commit sequence number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    Select,
    Table,
    and_,
    bindparam,
    case,
    func,
    literal_column,
    select,
)
from sqlalchemy.orm import Mapper
from sqlalchemy.sql import visitors

from sqlalchemy_temporal.errors import ConfigurationError
from sqlalchemy_temporal.model.rows import row_versions
from sqlalchemy_temporal.naming import (
    END_COLUMN,
    FROM_COLUMN,
    OPERATION_COLUMN,
    TO_COLUMN,
    TX_COLUMN,
)
from sqlalchemy_temporal.schema import (
    is_versioned,
    options_of,
)
from sqlalchemy_temporal.stored import system_rows

SEQ_ATTRIBUTE: Final = "temporal_commit_seq"
END_SEQ_ATTRIBUTE: Final = "temporal_end_commit_seq"

TEMPORAL_ATTRIBUTES: Final = (
    TX_COLUMN,
    END_COLUMN,
    OPERATION_COLUMN,
    FROM_COLUMN,
    TO_COLUMN,
    SEQ_ATTRIBUTE,
    END_SEQ_ATTRIBUTE,
)
"""The attributes a version has besides those of its entity."""

PENDING: Final = 2**63 - 2
"""Stands for the sequence number of the reader's own transaction: after every commit."""
_NEVER: Final = 2**63 - 1
"""Stands for the end of a version that has not ended."""


@dataclass(frozen=True, slots=True)
class _Start:
    """What began a version.

    Attributes:
        seq: the sequence number of its commit, or :data:`PENDING`, to compare by.
        known: the sequence number of its commit, or NULL.
        tx: the transaction.
        at: the time.
    """

    seq: ColumnElement[Any]
    known: ColumnElement[Any]
    tx: ColumnElement[Any]
    at: ColumnElement[Any]


@dataclass(frozen=True, slots=True)
class _End:
    """What ended a version; all but ``seq`` are NULL while it is current."""

    seq: ColumnElement[Any]
    known: ColumnElement[Any]
    tx: ColumnElement[Any]
    at: ColumnElement[Any]
    operation: ColumnElement[Any]


@dataclass(frozen=True, slots=True)
class _Part:
    """All versions of the rows of one table of an entity.

    Attributes:
        source: what stands in FROM.
        columns: the live table's columns and what they are in ``source``.
    """

    source: FromClause
    columns: Mapping[ColumnElement[Any], ColumnElement[Any]]
    start: _Start
    end: _End


def entity_tables(mapper: Mapper[Any]) -> tuple[Table, ...]:
    """The tables whose rows make up an object of ``mapper``, base table first.

    Raises:
        ConfigurationError: the entity is mapped to something other than versioned tables.
    """
    tables: list[Table] = []
    for level in reversed(list(_own_line(mapper))):
        found = level.local_table
        if not isinstance(found, Table):
            raise ConfigurationError(
                f"{mapper.class_.__name__} is mapped to {type(found).__name__}, not to a table, "
                "so it has no history of its own; ask for the history of the classes that "
                "are mapped to tables"
            )
        if not is_versioned(found):
            raise ConfigurationError(
                f"{mapper.class_.__name__}: table {found.fullname!r} is not versioned; inherit "
                "Versioned in its model or call versioned_table(table)"
            )
        if found not in tables:
            tables.append(found)
    return tuple(tables)


def _own_line(mapper: Mapper[Any]) -> list[Mapper[Any]]:
    """``mapper`` and the mappers whose tables hold parts of its rows, nearest first."""
    line = [mapper]
    while line[-1].inherits is not None and not line[-1].concrete:
        line.append(line[-1].inherits)
    return line


def system_schema(mapper: Mapper[Any]) -> str:
    """The schema of the library's own tables for ``mapper``'s entity."""
    options = options_of(entity_tables(mapper)[0])
    if options is None:
        raise ConfigurationError(f"{mapper.class_.__name__} is not versioned")
    return options.schema


def versions_select(
    mapper: Mapper[Any], attributes: Mapping[str, ColumnElement[Any]]
) -> Select[Any]:
    """Select every version of ``mapper``'s entity, each column labelled by its attribute.

    Parameters:
        attributes: the columns of the live tables, by attribute name.

    Raises:
        ConfigurationError: the entity is not versioned, or not mapped to tables.
    """
    schema = system_schema(mapper)
    parts = [_part(table, schema) for table in entity_tables(mapper)]
    columns: dict[ColumnElement[Any], ColumnElement[Any]] = {}
    for part in parts:
        columns.update(part.columns)
    start = reduce(_later, (part.start for part in parts))
    end = reduce(_sooner, (part.end for part in parts))
    statement = select(
        *(adapt(column, columns).label(name) for name, column in attributes.items()),
        start.tx.label(TX_COLUMN),
        end.tx.label(END_COLUMN),
        end.operation.label(OPERATION_COLUMN),
        start.at.label(FROM_COLUMN),
        end.at.label(TO_COLUMN),
        start.known.label(SEQ_ATTRIBUTE),
        end.known.label(END_SEQ_ATTRIBUTE),
    ).select_from(_overlapping(mapper, parts, columns))
    discriminator = _single_table_condition(mapper)
    if discriminator is not None:
        statement = statement.where(adapt(discriminator, columns))
    return statement


def adapt(
    expression: ColumnElement[Any], columns: Mapping[ColumnElement[Any], ColumnElement[Any]]
) -> ColumnElement[Any]:
    """Replace the columns of live tables in ``expression`` by those given for them."""

    def replace(element: Any, **_: object) -> Any:
        return columns.get(element) if hasattr(element, "table") else None

    found: ColumnElement[Any] = visitors.replacement_traverse(expression, {}, replace)
    return found


def _part(table: Table, schema: str) -> _Part:
    versions = row_versions(table)
    transaction = system_rows(schema, "transaction")
    started, ended = transaction.alias(), transaction.alias()
    source = versions.rows.outerjoin(started, started.c.id == versions.tx).outerjoin(
        ended, ended.c.id == versions.end_tx
    )
    current = versions.end_tx.is_(None)
    # Before the commit there is no time yet; the start of the transaction stands in.
    now = func.current_timestamp()
    return _Part(
        source=source,
        columns=versions.columns,
        start=_Start(
            seq=func.coalesce(started.c.commit_seq, _number(PENDING)),
            known=started.c.commit_seq,
            tx=versions.tx,
            at=func.coalesce(started.c.committed_at, now),
        ),
        end=_End(
            seq=case(
                (current, _number(_NEVER)),
                else_=func.coalesce(ended.c.commit_seq, _number(PENDING)),
            ),
            known=ended.c.commit_seq,
            tx=versions.end_tx,
            at=case((current, None), else_=func.coalesce(ended.c.committed_at, now)),
            operation=versions.operation,
        ),
    )


def _overlapping(
    mapper: Mapper[Any],
    parts: Sequence[_Part],
    columns: Mapping[ColumnElement[Any], ColumnElement[Any]],
) -> FromClause:
    """Join the parts of an object where all of them were valid together.

    Intervals on a line that overlap in pairs have a point in common, so comparing each
    new part with all before it is enough.
    """
    conditions = [
        level.inherit_condition
        for level in reversed(_own_line(mapper))
        if level.inherits is not None and not level.concrete and not level.single
    ]
    source = parts[0].source
    for position, condition in enumerate(conditions, start=1):
        part = parts[position]
        overlaps = [
            and_(part.start.seq < other.end.seq, other.start.seq < part.end.seq)
            for other in parts[:position]
        ]
        source = source.join(part.source, and_(adapt(condition, columns), *overlaps))
    return source


def _later(first: _Start, second: _Start) -> _Start:
    """Of two row versions that make one object, the start that began the combination."""
    wins = first.seq >= second.seq
    return _Start(
        seq=case((wins, first.seq), else_=second.seq),
        known=case((wins, first.known), else_=second.known),
        tx=case((wins, first.tx), else_=second.tx),
        at=case((wins, first.at), else_=second.at),
    )


def _sooner(first: _End, second: _End) -> _End:
    """Of two row versions that make one object, the end that ended the combination."""
    wins = first.seq <= second.seq
    return _End(
        seq=case((wins, first.seq), else_=second.seq),
        known=case((wins, first.known), else_=second.known),
        tx=case((wins, first.tx), else_=second.tx),
        at=case((wins, first.at), else_=second.at),
        operation=case((wins, first.operation), else_=second.operation),
    )


def _number(value: int) -> ColumnElement[int]:
    return literal_column(str(value), BigInteger)


def _single_table_condition(mapper: Mapper[Any]) -> ColumnElement[bool] | None:
    """What tells the rows of a single-table subclass from those of its siblings.

    The identities are asked for when a statement runs, because subclasses may be
    declared after the History class was made.
    """
    discriminator = mapper.polymorphic_on
    if not mapper.single or mapper.inherits is None or discriminator is None:
        return None

    def identities() -> list[Any]:
        return [each.polymorphic_identity for each in mapper.self_and_descendants]

    return discriminator.in_(
        bindparam(None, callable_=identities, expanding=True, type_=discriminator.type)
    )


__all__ = [
    "END_SEQ_ATTRIBUTE",
    "PENDING",
    "SEQ_ATTRIBUTE",
    "TEMPORAL_ATTRIBUTES",
    "adapt",
    "entity_tables",
    "system_schema",
    "versions_select",
]
