"""What the attributes of ``as_of(Entity, …)`` read beside the entity's own tables."""

from __future__ import annotations

from typing import Any, NoReturn

from sqlalchemy import Column, FromClause, Table, inspect
from sqlalchemy.orm import RelationshipProperty
from sqlalchemy.sql.util import ColumnAdapter

from sqlalchemy_temporal.clock.moment import Moment
from sqlalchemy_temporal.errors import UnsupportedReadError, UnversionedTableError
from sqlalchemy_temporal.reading.alias import AsOfAlias
from sqlalchemy_temporal.reading.option import Bounds
from sqlalchemy_temporal.schema import is_versioned


class FurtherTables(ColumnAdapter):
    """Reads what else the expressions of an entity name at the entity's moment.

    A ``column_property`` may count rows of other tables, a comparison of a many-to-many
    relationship goes through its association table. As the attribute is the entity's, its
    moment is theirs.

    Parameters:
        source: the entity's own tables at the moment.
        moment: the moment.
        bounds: its parameters, the same as in ``source``.
    """

    def __init__(self, source: FromClause, moment: Moment, bounds: Bounds) -> None:
        super().__init__(source)
        self._moment = moment
        self._bounds = bounds
        self._found: dict[Table, AsOfAlias] = {}

    def replace(self, col: Any, _include_singleton_constants: bool = False) -> Any:
        """The same of the moment, or None for what is no table or column of one."""
        table = col.table if isinstance(col, Column) else col
        if not isinstance(table, Table):
            return None
        plain = table._deannotate()
        alias = self._found.get(plain)
        if alias is None:
            alias = self._found[plain] = AsOfAlias.of(plain, self._moment, self._bounds, None)
        return alias.c[col.key] if isinstance(col, Column) else alias


class ManyToMany(RelationshipProperty.Comparator[Any]):
    """A many-to-many relationship of an entity at a moment: joined along, not compared.

    A join tells the compiler whose relationship it is, so that the association table is read
    at that moment. A comparison is but an EXISTS over the table of the present.
    """

    def of_type(self, class_: Any) -> ManyToMany:
        """The same with a target of another class, or of a moment."""
        return _with_type(super().of_type(class_))

    def and_(self, *criteria: Any) -> ManyToMany:
        """The same with further conditions."""
        return _with_type(super().and_(*criteria))

    def contains(self, *_: object, **__: object) -> NoReturn:
        """Refused, see the class.

        Raises:
            UnsupportedReadError: always.
        """
        self._criterion_exists()

    def _source_selectable(self) -> FromClause:
        # Asked for when the relationship is joined along.
        secondary = self.prop.secondary
        if not isinstance(secondary, Table) or not is_versioned(secondary):
            raise UnversionedTableError(
                f"{self.prop} goes through {secondary!r}, which is no table with history, so how "
                "it was is not known; join by conditions of your own"
            )
        return super()._source_selectable()

    def _criterion_exists(self, *_: object, **__: object) -> NoReturn:
        raise UnsupportedReadError(
            f"a comparison of the many-to-many relationship {self.prop} would read its "
            "association table as it is now; join along it, or write the EXISTS with as_of() "
            "of that table"
        )


def _with_type(made: Any) -> ManyToMany:
    return ManyToMany(
        made.prop,
        made._parententity,
        adapt_to_entity=made._adapt_to_entity,
        of_type=made._of_type,
        extra_criteria=made._extra_criteria,
    )


def read_further_tables(entity: Any, moment: Moment) -> None:
    """Let the attributes of an alias of an entity read further tables at its moment.

    Parameters:
        entity: the alias, over the entity's tables at ``moment``.
        moment: the moment.
    """
    described = inspect(entity)
    source = described.selectable
    bounds = next(each.bounds for each in source._from_objects if isinstance(each, AsOfAlias))
    for each in (described, *getattr(described, "_with_polymorphic_entities", ())):
        each._adapter.chain(FurtherTables(source, moment, bounds))
    for key, relationship in described.mapper.relationships.items():
        if relationship.secondary is not None:
            attribute = getattr(entity, key)
            attribute.comparator = _with_type(attribute.comparator)
