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

from collections.abc import Callable, Hashable, Mapping
from functools import lru_cache
from typing import Any, NoReturn, cast

from sqlalchemy import Connection, Engine, Executable, event
from sqlalchemy.exc import UnboundExecutionError
from sqlalchemy.orm import ORMExecuteState, Session

from sqlalchemy_temporal.clock.moment import Moment
from sqlalchemy_temporal.clock.resolve import When
from sqlalchemy_temporal.errors import ReadOnlyPastError
from sqlalchemy_temporal.naming import INFO_KEY
from sqlalchemy_temporal.reading.connection import PastConnection, option_for, with_moment
from sqlalchemy_temporal.reading.option import AsOf
from sqlalchemy_temporal.reading.policy import Policy
from sqlalchemy_temporal.reading.token import PastToken, refuse_attach, refuse_merge

_Bind = Engine | Connection


class _Past:
    """The state of one session of the past, apart from that of the user's class."""

    __slots__ = ("closed", "options", "parent", "policy", "schema", "token", "when")

    def __init__(self, parent: Session, when: When, policy: Policy, schema: str) -> None:
        self.parent = parent
        self.when = when
        self.policy = policy
        self.schema = schema
        self.token = PastToken()
        self.options: dict[_Bind, AsOf] = {}
        self.closed = False

    def connection(self, bind: _Bind) -> Connection:
        """The parent's connection for ``bind``, in the parent's transaction."""
        if self.closed:
            raise ReadOnlyPastError(
                "this session of the past is closed; use it inside of its with block"
            )
        return self.parent._connection_for_bind(bind)

    def option(self, bind: _Bind) -> AsOf:
        """The moment in the database of ``bind``; each database has its own clock."""
        option = self.options.get(bind)
        if option is None:
            option = option_for(self.connection(bind), self._asked(), self.policy, self.schema)
            self.options[bind] = option
        return option

    def _asked(self) -> When:
        """What is resolved in each database.

        A moment is taken to be of the session's default one. In others its commit is looked
        for, as its transaction ids would mean other transactions there.
        """
        default = self.parent.bind is not None and not self.options
        return self.when.uuid if isinstance(self.when, Moment) and not default else self.when


class AsOfSession(Session):
    """What a session of the past adds to the class of its parent.

    Not made by hand: see :func:`~sqlalchemy_temporal.reading.as_of.as_of`.
    """

    _temporal: _Past

    # ---------------------------------------------------------------------- what is read

    @property
    def present(self) -> Session:
        """The ordinary session this one was opened from."""
        return self._temporal.parent

    @property
    def moment(self) -> Moment:
        """The moment that is read (in the database of the default bind)."""
        return self._temporal.option(self.get_bind()).moment

    # ------------------------------------------------------------------------ execution

    def get_bind(self, *args: Any, **kw: Any) -> _Bind:
        """The bind the parent would use."""
        return self._temporal.parent.get_bind(*args, **kw)

    def _connection_for_bind(
        self, engine: _Bind, execution_options: Mapping[str, Any] | None = None, **_: object
    ) -> Any:
        # The one place where a session obtains what its statements run on.
        connection = self._temporal.connection(engine)
        past = PastConnection(connection, self._temporal.option(engine))
        return past.execution_options(**execution_options) if execution_options else past

    def _execute_internal(self, statement: Executable, *args: Any, **kw: Any) -> Any:
        options = dict(kw.get("execution_options") or {})
        options.setdefault("identity_token", self._temporal.token)
        kw["execution_options"] = options
        for option in self._temporal.options.values():
            # For hooks only: which bind it will be is not known yet, and the connection
            # puts in the moment of that.
            statement = with_moment(statement, option)
            break
        return super()._execute_internal(statement, *args, **kw)

    def get(self, entity: Any, ident: Any, **kw: Any) -> Any:
        """The object with this primary key as it was, or None if there was none."""
        kw["identity_token"] = self._temporal.token
        return super().get(entity, ident, **kw)

    def close(self) -> None:
        """End the session and detach its objects."""
        self._temporal.closed = True
        super().close()

    # -------------------------------------------------------------------------- refused

    def _refuse_write(self, *_: object, **__: object) -> NoReturn:
        raise ReadOnlyPastError(
            "the past is read-only; change objects of the present session, or use the "
            "repository to restore a state of the past"
        )

    def flush(self, objects: Any = None) -> None:
        """Refused when objects were changed; there is nothing to do otherwise.

        Raises:
            ReadOnlyPastError: an object of this session was changed.
        """
        if not self._is_clean():
            self._refuse_write()

    add = add_all = delete = delete_all = merge = merge_all = _refuse_write
    bulk_save_objects = bulk_insert_mappings = bulk_update_mappings = _refuse_write
    begin = begin_nested = commit = prepare = _refuse_write


def open_past(session: Session, when: When, policy: Policy, schema: str) -> AsOfSession:
    """Open a session of the past under ``session``; the caller closes it.

    Opened from a session of the past, it belongs to the same present session.

    Raises:
        MomentError: ``when`` names no point in time that can be read.
    """
    parent = present_of(session)
    past = _child_of(parent)
    past._temporal = _Past(parent, when, policy.check(), schema)
    _guard()
    try:
        bind = parent.get_bind()
    except UnboundExecutionError:
        return past  # no default: each bind resolves the moment when it is first used
    try:
        past._temporal.option(bind)
    except BaseException:
        past.close()
        raise
    return past


def is_of_past(session: Session) -> bool:
    """Whether ``session`` reads the past."""
    return isinstance(session, AsOfSession)


def present_of(session: Session) -> Session:
    """The session of the present that ``session`` belongs to: itself, or its parent."""
    return session.present if isinstance(session, AsOfSession) else session


def _child_of(parent: Session) -> AsOfSession:
    kind = _class_for(cast("Hashable", type(parent)))
    past = kind.__new__(kind)
    # Not the constructor of the user's class, which may want arguments or do things.
    info = {key: value for key, value in parent.info.items() if not _is_ours(key)}
    Session.__init__(past, autoflush=False, expire_on_commit=False, info=info)
    past.bind = parent.bind
    past._query_cls = parent._query_cls
    for name, value in vars(parent).items():
        if name not in {"dispatch", "info"} and name not in vars(past):
            setattr(past, name, value)
    for listener in _own_listeners(parent):
        event.listen(past, "do_orm_execute", listener)
    event.listen(past, "before_attach", past._refuse_write)
    return past


def _is_ours(key: object) -> bool:
    """Whether an entry of ``session.info`` is about the present session's transaction."""
    return isinstance(key, str) and key.startswith(INFO_KEY)


@lru_cache(maxsize=256)
def _class_for(parent: Hashable) -> type[AsOfSession]:
    base = cast("type[Session]", parent)
    return cast("type[AsOfSession]", type(f"AsOf{base.__name__}", (AsOfSession, base), {}))


def _own_listeners(parent: Session) -> list[Callable[[ORMExecuteState], Any]]:
    """Hooks on the parent itself; those on its class reach the child by inheritance."""
    return list(getattr(parent.dispatch.do_orm_execute, "listeners", ()))


def _guard() -> None:
    """Let the sessions of this process refuse objects of the past from now on.

    Not only the parent: an object may be handed to a session that never opened a past.
    """
    for name, guard in (("before_attach", refuse_attach), ("do_orm_execute", refuse_merge)):
        if not event.contains(Session, name, guard):
            event.listen(Session, name, guard)
