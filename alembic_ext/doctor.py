"""``python -m alembic_ext.doctor URL [module:metadata]``: is versioning in step?

Lists every drift with the operation that cures it. Exit status: 0 all is in step, 1 there are
drifts, 2 it could not be called like this.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from sqlalchemy import MetaData, create_engine
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

IN_STEP, DRIFT, USAGE = 0, 1, 2


def main(arguments: list[str]) -> int:
    """Run the command; return its exit status."""
    if len(arguments) not in {1, 2} or arguments[0] in {"-h", "--help"}:
        sys.stderr.write(__doc__ or "")
        return USAGE
    sys.path.insert(0, str(Path.cwd()))
    try:
        metadata = None if len(arguments) == 1 else load_metadata(arguments[1])
        engine = create_engine(arguments[0])
    except (ArgumentError, NoSuchModuleError, ImportError, AttributeError, TypeError) as error:
        sys.stderr.write(f"{error}\n")
        return USAGE
    # By name: this package is built on the lower layers of the library alone.
    examine = importlib.import_module("sqlalchemy_temporal.capture.doctor").doctor
    with engine.connect() as connection:
        report = examine(connection, metadata)
    engine.dispose()
    sys.stdout.write(f"{report}\n")
    return IN_STEP if report.healthy else DRIFT


def load_metadata(where: str) -> MetaData:
    """The MetaData that ``module:name`` names; the name may be that of a declarative base.

    Raises:
        ImportError: there is no such module.
        AttributeError: it has no such name.
        TypeError: what it names is neither.
    """
    module, _, name = where.partition(":")
    found = importlib.import_module(module)
    for part in (name or "metadata").split("."):
        found = getattr(found, part)
    found = getattr(found, "metadata", found)
    if not isinstance(found, MetaData):
        raise TypeError(f"{where} is neither a MetaData nor a declarative base")
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
