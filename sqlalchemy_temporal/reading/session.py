"""Sessions of the past.

A session of the past is a child of an ordinary session: it runs on the parent's connections
and in its transaction, has an identity map of its own and cannot write. Its class derives
from that of the parent, so that hooks and overridden methods of the application (tenant
filters, soft deletion, routing) go on working; what they ask is asked of the past.

Every statement passes a :class:`~sqlalchemy_temporal.reading.connection.PastConnection`,
which gives it the moment. The session gives it the moment as well, earlier, so that hooks
that cache by statement keep moments apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, ClassVar, NoReturn, cast

from sqlalchemy import Connection, Engine, Executable, event
from sqlalchemy.orm import Session, scoped_session

from sqlalchemy_temporal.clock.moment import Moment
from sqlalchemy_temporal.clock.resolve import When
from sqlalchemy_temporal.errors import ReadOnlyPastError
from sqlalchemy_temporal.naming import DEFAULT_SCHEMA
from sqlalchemy_temporal.reading.connection import PastConnection, option_for, with_moment
from sqlalchemy_temporal.reading.option import AsOf
from sqlalchemy_temporal.reading.policy import Choice, Plan, Policy
from sqlalchemy_temporal.reading.token import PastToken, refuse_attach, refuse_merge

_Bind = Engine | Connection


class AsOfSession(Session):
    """What a session of the past adds to the class of its parent.

    Not made by hand: see :func:`as_of` and ``TemporalSession.as_of``.
    """

    _temporal_past: ClassVar[bool] = True

    _parent: Session
    _when: When
    _policy: Policy
    _schema: str
    _options: dict[_Bind, AsOf]

    # ---------------------------------------------------------------------- what is read

    @property
    def present(self) -> Session:
        """The ordinary session this one was opened from."""
        return self._parent

    @property
    def moment(self) -> Moment:
        """The moment that is read (in the database of the default bind)."""
        return self._option_for(self.get_bind()).moment

    def _option_for(self, bind: _Bind) -> AsOf:
        option = self._options.get(bind)
        if option is None:
            connection = self._parent._connection_for_bind(bind)
            option = option_for(connection, self._when, self._policy, self._schema)
            self._options[bind] = option
        return option

    # ------------------------------------------------------------------------ execution

    def get_bind(self, *args: Any, **kw: Any) -> _Bind:
        """The bind the parent would use."""
        return self._parent.get_bind(*args, **kw)

    def _connection_for_bind(self, engine: _Bind, *_: Any, **__: Any) -> Any:
        # The one place where a session obtains what its statements run on.
        self._check_if_closed()
        return PastConnection(self._parent._connection_for_bind(engine), self._option_for(engine))

    def _execute_internal(self, statement: Executable, *args: Any, **kw: Any) -> Any:
        options = {**(kw.pop("execution_options", None) or {})}
        kw["execution_options"] = options
        if len(self._options) == 1:
            (option,) = self._options.values()
            options.setdefault("identity_token", PastToken.of(option.moment))
            statement = with_moment(statement, option)
        return super()._execute_internal(statement, *args, **kw)

    def get(self, entity: Any, ident: Any, **kw: Any) -> Any:
        """The object with this primary key as it was, or None if there was none."""
        kw["identity_token"] = PastToken.of(self.moment)
        return super().get(entity, ident, **kw)

    def _check_if_closed(self) -> None:
        if self.__dict__.get("_temporal_closed"):
            raise ReadOnlyPastError(
                "this session of the past is closed; use it inside of its with block"
            )

    def close(self) -> None:
        """End the session; its objects stay readable as far as they were loaded."""
        self.__dict__["_temporal_closed"] = True
        super().close()

    # -------------------------------------------------------------------------- refused

    def _refuse_write(self, *_: object, **__: object) -> NoReturn:
        raise ReadOnlyPastError(
            f"the past is read-only ({type(self).__name__}); change objects of the present "
            "session, or use the repository to restore a state"
        )

    def flush(self, objects: Any = None) -> None:
        """Refused when objects were changed; there is nothing to do otherwise.

        Raises:
            ReadOnlyPastError: an object of this session was changed.
        """
        if not self._is_clean():
            self._refuse_write()


_WRITES = (
    "add",
    "add_all",
    "begin",
    "begin_nested",
    "bulk_insert_mappings",
    "bulk_save_objects",
    "bulk_update_mappings",
    "commit",
    "delete",
    "delete_all",
    "merge",
    "merge_all",
    "prepare",
)
