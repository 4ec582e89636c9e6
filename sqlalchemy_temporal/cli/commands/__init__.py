"""The commands, by what they are about: one module each."""

from __future__ import annotations

from collections.abc import Iterator

import click

from sqlalchemy_temporal.cli.commands import (
    changes,
    checks,
    diffs,
    growth,
    logs,
    merges,
    proofs,
    refs,
    rows,
    screens,
    setup,
    shells,
)

_MODULES = (
    setup,
    checks,
    logs,
    diffs,
    rows,
    shells,
    screens,
    changes,
    merges,
    refs,
    proofs,
    growth,
)


def every() -> Iterator[click.Command]:
    """All commands, those of one subject together."""
    for module in _MODULES:
        yield from module.COMMANDS
