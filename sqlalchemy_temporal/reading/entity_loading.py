"""Objects loaded through ``as_of(Customer, …)`` live in a session of that moment.

Two moments of one row are two objects, and what is lazily loaded from each is of its own
moment. So the rows of such an entity are made into objects in a session of the past, one
for each moment and present session, while the rest of the statement goes its usual way.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import FromClause
from sqlalchemy.orm.util import LoaderCriteriaOption
from sqlalchemy.sql import visitors

from sqlalchemy_temporal.errors import UnsupportedReadError
from sqlalchemy_temporal.naming import INFO_KEY
from sqlalchemy_temporal.reading.policy import Policy
from sqlalchemy_temporal.reading.session import AsOfSession, open_past, present_of

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from sqlalchemy_temporal.clock.moment import Moment

_PASTS: Final = f"{INFO_KEY}.pasts"


class _PastEntity:
    """An entity of a compiled ORM statement whose objects belong to the past.

    It stands for SQLAlchemy's own description of the entity, in everything but the making
    of objects. Compiled statements are kept for other moments, so which moment it is, is
    asked of each statement executed.

    Parameters:
        entity: SQLAlchemy's description.
        position: where in the columns clause it stands.
    """

    def __init__(self, entity: Any, position: int) -> None:
        self._entity = entity
        self._position = position

    def __getattr__(self, name: str) -> Any:
        return getattr(self._entity, name)

    def row_processor(self, context: Any, result: Any) -> Any:
        """What makes an object of a row, in the session of the entity's moment."""
        executed = context.user_passed_query._raw_columns[self._position]
        moment = moment_of(executed._annotations["parententity"].selectable)
        past = past_session(context.session, moment)
        own = copy.copy(context)
        own.session = past
        own.identity_token = past._temporal.token
        own.autoflush = own.populate_existing = False
        own.propagated_loader_options = tuple(
            option
            for option in context.propagated_loader_options
            if isinstance(option, LoaderCriteriaOption)
        )
        own.partials = {}
        # Loaders that run after the rows would ask the present. Without them, what they
        # load is loaded when it is used, and asks the past.
        own.post_load_paths = {}
        try:
            return self._entity.row_processor(own, result)
        except ValueError as error:  # it looks for the entity this one stands for
            raise UnsupportedReadError(
                "subqueryload() beside as_of() would repeat the statement at another moment; "
                "leave it out, and what is used is loaded as of its moment"
            ) from error


def let_entities_load(compiler: Any, alias: FromClause) -> None:
    """Prepare an ORM statement being compiled for entities that are read through ``alias``.

    Raises:
        UnsupportedReadError: eager loading through joins would mix moments.
    """
    state = compiler.compile_state
    entities: Any = getattr(state, "_entities", [])
    _refuse_contained(state, alias)
    for index, entity in enumerate(entities):
        if isinstance(entity, _PastEntity) or not hasattr(entity, "entity_zero_or_selectable"):
            continue
        if not _is_read_through(entity, alias):
            _refuse_disguised(state, entity)
            continue
        if getattr(state, "eager_joins", None):
            raise UnsupportedReadError(
                "joined eager loading beside as_of() would join rows of another moment; add "
                '.options(lazyload("*")), and what is used is loaded as of its moment'
            )
        entities[index] = _PastEntity(entity, _position(state, entity))


def past_session(session: Session, moment: Moment) -> AsOfSession:
    """The session that the objects of ``moment`` live in, one for each present session."""
    if isinstance(session, AsOfSession) and session.moment == moment:
        return session
    present = present_of(session)
    pasts: dict[Moment, AsOfSession] = present.info.setdefault(_PASTS, {})
    if moment not in pasts:
        pasts[moment] = open_past(present, moment, Policy(), moment.schema)
    return pasts[moment]


def close_pasts(session: Session) -> None:
    """Close the sessions of the past that were opened for ``as_of(Customer, …)``."""
    for past in session.info.pop(_PASTS, {}).values():
        past.close()


def _is_of_a_moment(selectable: FromClause) -> bool:
    return any(getattr(element, "moment", None) for element in selectable._from_objects)


def moment_of(selectable: FromClause) -> Moment:
    """The moment of the tables in ``selectable``, which are all of one."""
    for element in selectable._from_objects:
        moment: Moment | None = getattr(element, "moment", None)
        if moment is not None:
            return moment
    raise UnsupportedReadError(f"{selectable!r} is not of a moment")


def _is_read_through(entity: Any, alias: FromClause) -> bool:
    """Whether ``entity`` gives objects (not single columns) of the rows of ``alias``."""
    selectable = getattr(entity, "selectable", None)
    return hasattr(entity, "path") and alias in getattr(selectable, "_from_objects", ())


def _position(state: Any, entity: Any) -> int:
    for index, column in enumerate(state.select_statement._raw_columns):
        if column._annotations.get("parententity") is entity.entity_zero:
            return index
    raise UnsupportedReadError(
        "objects as of a moment can be selected only in the outermost columns clause"
    )


def _refuse_contained(state: Any, alias: FromClause) -> None:
    for key, adapter in getattr(state, "attributes", {}).items():
        if isinstance(key, tuple) and key[0] == "user_defined_eager_row_processor":
            selectable = getattr(adapter, "selectable", None)
            if alias in getattr(selectable, "_from_objects", ()):
                raise UnsupportedReadError(
                    "contains_eager() cannot put objects of the past into the relationships "
                    "of other objects; select them beside each other"
                )


def _refuse_disguised(state: Any, entity: Any) -> None:
    """Refuse present objects made of rows of the past, through a subquery or a statement."""
    selectable = getattr(entity, "selectable", None)
    if not hasattr(entity, "path") or selectable is None or _is_of_a_moment(selectable):
        return  # a column, or an as_of() of its own
    if hasattr(state, "statement_container") or any(
        getattr(element, "moment", None) for element in visitors.iterate(selectable)
    ):
        raise UnsupportedReadError(
            f"{entity.mapper.class_.__name__} objects of the present cannot be made from rows "
            "of the past; select as_of() itself, or columns"
        )
