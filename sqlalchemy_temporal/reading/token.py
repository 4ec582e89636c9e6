"""The mark that objects of the past carry, and the guards of the present against them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import inspect
from sqlalchemy.orm import InstanceState, ORMExecuteState, Session

from sqlalchemy_temporal.errors import ReadOnlyPastError


@dataclass(frozen=True, slots=True)
class PastToken:
    """The identity token of the objects of one session of the past.

    It is part of their identity key, so it stays with an object when its session is closed
    and when it is pickled.
    """

    session: UUID = field(default_factory=uuid4)


def is_past(instance: object) -> bool:
    """Whether ``instance`` is an object as it was, loaded by a session of the past."""
    state = inspect(instance, raiseerr=False)
    if not isinstance(state, InstanceState):
        return False
    # Merged without loading, only the key has the token; made transient, only the state.
    tokens = (state.identity_token, state.key[2] if state.key else None)
    return any(isinstance(token, PastToken) for token in tokens)


def refuse_past(instance: object) -> None:
    """Refuse an object of the past where the present is about to be changed.

    Raises:
        ReadOnlyPastError: ``instance`` is of the past.
    """
    if is_past(instance):
        raise read_only(instance)


def read_only(instance: object) -> ReadOnlyPastError:
    """The error for an object of the past in a session of the present."""
    return ReadOnlyPastError(
        f"{type(instance).__name__} was loaded from the past; added or merged into the present "
        "it would silently revert the row. Load the present object and set what is to change"
    )


def refuse_attach(session: Session, instance: Any) -> None:
    """``before_attach`` of a present session: no objects of the past.

    Raises:
        ReadOnlyPastError: ``instance`` is of the past.
    """
    refuse_past(instance)


def refuse_merge(execution: ORMExecuteState) -> None:
    """``do_orm_execute`` of any session: in the present, no loading in place of a past object.

    ``Session.merge`` looks for the present object under the identity of the one given, the
    token included; nothing else asks for such an identity.

    Raises:
        ReadOnlyPastError: a past identity is looked for.
    """
    if hasattr(execution.session, "_temporal") or not execution.is_select:
        return  # a session of the past, or nothing is loaded
    options: Any = execution.load_options
    if isinstance(options._identity_token, PastToken):
        raise ReadOnlyPastError(
            "an object loaded from the past cannot be merged into a present session: it would "
            "silently revert the row. Load the present object and set what is to change"
        )
