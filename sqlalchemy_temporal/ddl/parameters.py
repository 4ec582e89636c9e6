"""Parameters in generated SQL whose names may hold colons and percent signs.

While SQL is put together, a parameter is a mark; :func:`finished` makes of the whole what
``text()`` understands, once nothing else in it can be taken for a parameter.
"""

from __future__ import annotations

from typing import Final

_MARK: Final = "\x01"


def parameter(name: str) -> str:
    """A mark for the parameter ``name``."""
    return f"{_MARK}{name}{_MARK}"


def finished(sql: str) -> str:
    """Text for ``text()``: with its parameters, and with nothing else that looks like one."""
    pieces = sql.replace("%%", "%").replace(":", "\\:").split(_MARK)
    return "".join(f":{piece}" if i % 2 else piece for i, piece in enumerate(pieces))


__all__ = ["finished", "parameter"]
