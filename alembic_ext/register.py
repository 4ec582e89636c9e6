"""Making Alembic know the operations of this package; for ``env.py``."""

from __future__ import annotations

from typing import Any

from alembic import util
from alembic.autogenerate.api import AutogenContext  # noqa: F401 - loads what follows in order
from alembic.autogenerate.compare import comparators
from alembic.autogenerate.render import renderers
from alembic.ddl import impl
from alembic.operations import Operations

from alembic_ext.carry import CarryingImpl
from alembic_ext.compare import compare_versioning
from alembic_ext.ops import OPERATIONS
from alembic_ext.render import RENDERERS
from alembic_ext.toimpl import IMPLEMENTATIONS

DIALECTS = ("postgresql", "sqlite")


def register() -> None:
    """Give Alembic the operations, their rendering, their comparison; may be repeated.

    Call it at the top of ``env.py``. It works with every supported version of Alembic, and
    leaves alone what other extensions have registered.
    """
    _carry_history()
    if hasattr(Operations, OPERATIONS[0].name):
        return
    for op in OPERATIONS:
        Operations.register_operation(op.name)(op)
        Operations.implementation_for(op)(IMPLEMENTATIONS[op])  # type: ignore[type-var]
    for written, render in RENDERERS.items():
        renderers.dispatch_for(written)(render)
    comparators.dispatch_for("schema", **_after_all_others())(compare_versioning)


def _after_all_others() -> dict[str, Any]:
    """Run when tables have been compared: by priority, or by order before Alembic 1.18."""
    last = getattr(util, "DispatchPriority", None)
    return {} if last is None else {"priority": last.LAST}


def _carry_history() -> None:
    """Put our implementation in front of whichever a dialect has at this time."""
    for name in DIALECTS:
        present = impl._impls[name]
        if not issubclass(present, CarryingImpl):
            kind: Any = type(present)
            kind(f"Carrying{present.__name__}", (CarryingImpl, present), {"__dialect__": name})


__all__ = ["register"]
