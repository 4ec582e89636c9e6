"""Say which rights an operation lacks when the server refuses for lack of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from sqlalchemy_temporal.ddl.privileges import explaining_refusal

T = TypeVar("T")


def rights_explained(cls: type[T]) -> type[T]:
    """Decorator of a class: its public methods and properties raise ``PrivilegeError``.

    Blocks, which run code of the caller's, are left as they are.
    """
    for name in dir(cls):
        found = inspect.getattr_static(cls, name)
        if name.startswith("_"):
            continue
        if isinstance(found, property) and found.fget is not None:
            setattr(cls, name, property(_explained(found.fget)))
        elif inspect.isfunction(found) and not _is_block(found):
            setattr(cls, name, _explained(found))
    return cls


def _is_block(function: Callable[..., Any]) -> bool:
    return inspect.isgeneratorfunction(inspect.unwrap(function))


def _explained(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def call(self: Any, *args: Any, **kw: Any) -> Any:
        with explaining_refusal(
            lambda said: (
                f"{function.__name__}: {said.splitlines()[0]}. Reading commits needs USAGE on "
                f"schema {self.schema} and SELECT on its tables; tags, branches and merges need "
                "INSERT, UPDATE and DELETE on ref, ref_log, merge and conflict in it, too; "
                "comparing and writing tables needs the same rights on them as any program"
            )
        ):
            return function(self, *args, **kw)

    return call


__all__ = ["rights_explained"]
