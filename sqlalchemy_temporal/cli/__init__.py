"""The command line: ``vsg``, also installed as ``sqlalchemy-temporal``."""

from __future__ import annotations

import sys

_NEEDED = ("click", "rich")


def main() -> None:
    """Run the command with the arguments of the process, and end it with its exit code."""
    try:
        from sqlalchemy_temporal.cli.app import run
    except ModuleNotFoundError as error:
        if error.name not in _NEEDED:
            raise
        sys.stderr.write(
            f"vsg: the command line needs {error.name}; install it with "
            "pip install 'sqlalchemy-temporal[cli]'\n"
        )
        sys.exit(2)
    sys.exit(run(sys.argv[1:]))
