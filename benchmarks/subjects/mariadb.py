"""System versioning of MariaDB, an outside yardstick: said to be missing, not left out."""

from __future__ import annotations

import shutil
from typing import Final

KEY: Final = "mariadb"
TITLE: Final = "MariaDB system versioning"
ABOUT: Final = "another server, whose tables keep their history themselves; an outside yardstick"


def missing() -> str:
    """Why it is not measured."""
    if shutil.which("mariadbd") is None:
        return "not installed"
    return "installed, but this tool does not measure it yet"
