"""The statement that puts a new database on its first branch, the same on every dialect."""

from __future__ import annotations

from typing import Final

FIRST_BRANCH: Final = "main"
"""The branch a new database is on."""


def first_branch(ref: str) -> str:
    """Make the first branch the current one, unless there is a branch already.

    Parameters:
        ref: the quoted name of the table of names.
    """
    return (
        f"INSERT INTO {ref} (kind, name) SELECT 'branch', '{FIRST_BRANCH}' "
        f"WHERE NOT EXISTS (SELECT 1 FROM {ref} WHERE kind = 'branch')"
    )
