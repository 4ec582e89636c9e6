"""The statement option that says as of which moment a statement is to be read.

The option is part of a statement's cache key, but the moment in it is three bind
parameters. So the first statement of a kind is compiled for the past once, and every other
moment reuses that compiled form with other values.
"""

from __future__ import annotations

from typing import Any, Final, TypeVar, cast

from sqlalchemy import ARRAY, JSON, BigInteger, BindParameter, Executable, bindparam
from sqlalchemy.orm import UserDefinedOption
from sqlalchemy.sql.cache_key import HasCacheKey
from sqlalchemy.sql.visitors import InternalTraversal, _TraverseInternalsType

from sqlalchemy_temporal.clock.moment import Moment
from sqlalchemy_temporal.ddl.blocks import blocks_of
from sqlalchemy_temporal.reading.policy import Policy

S = TypeVar("S", bound=Executable)

_IDS: Final = JSON().with_variant(ARRAY(BigInteger), "postgresql")


_REMEMBERED: Final = 64
"""How many statements a moment keeps prepared."""


def _blocks(moment: Moment) -> list[int]:
    return list(blocks_of(moment.hi, moment.inflight))


class Bounds(HasCacheKey):
    """A moment as bind parameters: the same SQL for every moment.

    Attributes:
        hi: the largest visible transaction id.
        inflight: the ids up to ``hi`` that are not visible, as one array parameter.
        lo: the smallest id that may not be visible.
        blocks: the blocks of ids that versions of the moment belong to, as one array
            parameter; see :mod:`sqlalchemy_temporal.ddl.blocks`.
        closed: the history tables of tables whose past lies in history alone.
    """

    __slots__ = ("blocks", "closed", "hi", "inflight", "lo")
    _traverse_internals: _TraverseInternalsType = [  # noqa: RUF012 - as SQLAlchemy declares it
        ("hi", InternalTraversal.dp_clauseelement),
        ("inflight", InternalTraversal.dp_clauseelement),
        ("lo", InternalTraversal.dp_clauseelement),
        ("blocks", InternalTraversal.dp_clauseelement),
        ("closed", InternalTraversal.dp_plain_obj),
    ]

    def __init__(
        self,
        hi: BindParameter[int],
        inflight: BindParameter[Any],
        lo: BindParameter[int],
        blocks: BindParameter[Any],
        closed: frozenset[str] = frozenset(),
    ) -> None:
        self.hi = hi
        self.inflight = inflight
        self.lo = lo
        self.blocks = blocks
        self.closed = closed

    @classmethod
    def of(cls, moment: Moment) -> Bounds:
        """The bounds of ``moment``; each call makes parameters of their own."""
        return cls(
            bindparam("temporal_hi", moment.hi, BigInteger, unique=True),
            bindparam("temporal_inflight", list(moment.inflight), _IDS, unique=True),
            bindparam("temporal_lo", moment.lo, BigInteger, unique=True),
            bindparam("temporal_blocks", _blocks(moment), _IDS, unique=True),
            moment.closed,
        )


class AsOf(HasCacheKey, UserDefinedOption):
    """Read every versioned table of a statement as of a moment.

    The compiler of a dialect acts on it once
    :func:`~sqlalchemy_temporal.reading.compiler.install` has been called for the dialect;
    sessions and connections of the past do both.

    Parameters:
        moment: the moment to read.
        policy: what to do where there is no exact answer.
    """

    __slots__ = ("bounds", "moment", "policy", "prepared", "unknown")
    # The past session gives the option to every statement, those of loaders too: were it
    # propagated as well, loaders would meet it twice.
    propagate_to_loaders = False
    _traverse_internals: _TraverseInternalsType = [  # noqa: RUF012 - as SQLAlchemy declares it
        ("bounds", InternalTraversal.dp_has_cache_key),
        ("policy", InternalTraversal.dp_plain_obj),
        ("unknown", InternalTraversal.dp_plain_obj),
    ]

    def __init__(self, moment: Moment, policy: Policy) -> None:
        super().__init__()
        self.moment = moment
        self.policy = policy
        self.unknown = moment.unknown
        self.bounds = Bounds.of(moment)
        self.prepared: dict[int, tuple[Executable, Executable]] = {}

    def remember(self, statement: Executable, prepared: Executable) -> None:
        """Keep what ``statement`` became, for when the same object is executed again.

        Making it anew costs a copy, and SQLAlchemy the computing of its cache key: 15 µs of
        a point read. The statement is kept, too, so that its id stays its own.
        """
        if len(self.prepared) >= _REMEMBERED:
            del self.prepared[next(iter(self.prepared))]
        self.prepared[id(statement)] = (statement, prepared)

    def __repr__(self) -> str:
        return f"AsOf(seq={self.moment.seq})"


class Present(HasCacheKey, UserDefinedOption):
    """Leave this one statement of a session of the past as it is.

    For the library's own questions about all of history, which are not questions to one
    moment.
    """

    __slots__ = ()
    _traverse_internals: _TraverseInternalsType = []  # noqa: RUF012 - as SQLAlchemy declares it


PRESENT: Final = Present()
"""``statement.options(PRESENT)``: read it as it is, in a session of the past too."""


def options_on(statement: object) -> tuple[object, ...]:
    """The options a statement carries."""
    return cast("tuple[object, ...]", getattr(statement, "_with_options", ()))


def option_of(statement: object) -> AsOf | None:
    """The moment a statement is to be read at, or None when it is an ordinary one."""
    for option in options_on(statement):
        if isinstance(option, AsOf):
            return option
    return None


def with_option(statement: S, option: AsOf) -> S:
    """``statement`` to be read as of the option's moment.

    Another moment that it carried is replaced: where a statement runs decides. One that
    carries :data:`PRESENT` is left alone.
    """
    given = options_on(statement)
    if option in given or any(isinstance(other, Present) for other in given):
        return statement
    if not any(isinstance(other, AsOf) for other in given):
        return statement.options(option)
    # In place: the ORM pairs the options of compiled and executed statements by position.
    changed = cast("Any", statement)._generate()
    changed._with_options = tuple(option if isinstance(o, AsOf) else o for o in given)
    return cast("S", changed)
