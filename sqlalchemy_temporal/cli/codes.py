"""Exit codes, and what is said of an error.

| code | meaning |
|---|---|
| 0 | done, or nothing to say |
| 1 | differences (with ``--exit-code``), conflicts, drift, or what ``verify`` found |
| 2 | the command line or the configuration is wrong |
| 3 | refused: nothing was changed |
| 4 | there is no such commit, table or row, or nothing is known of that time |
| 5 | the database cannot be reached, or an error of the database |
| 130 | interrupted |
"""

from __future__ import annotations

import re
from typing import Final

from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from sqlalchemy_temporal.errors import (
    ConfigurationError,
    InstallationError,
    MomentError,
    NaiveDatetimeError,
    NotInstalledError,
    PrivilegeError,
    ServerUnavailable,
    TemporalError,
    UnsupportedReadError,
)

OK: Final = 0
FOUND: Final = 1
USAGE: Final = 2
REFUSED: Final = 3
UNKNOWN: Final = 4
DATABASE: Final = 5
INTERRUPTED: Final = 130

_BY_ERROR: Final[tuple[tuple[type[BaseException], int], ...]] = (
    (NaiveDatetimeError, USAGE),
    (NotInstalledError, UNKNOWN),
    (MomentError, UNKNOWN),
    (ConfigurationError, USAGE),
    (UnsupportedReadError, USAGE),
    (PrivilegeError, REFUSED),
    (InstallationError, REFUSED),
    (ServerUnavailable, DATABASE),
    (TemporalError, REFUSED),
    (ArgumentError, USAGE),
    (NoSuchModuleError, USAGE),
    (SQLAlchemyError, DATABASE),
)
_PASSWORD: Final = re.compile(r"(?<=://)(?P<user>[^:/@\s]*):[^@/\s]*@")
_KEYWORD: Final = re.compile(r"\b(password\s*=\s*)('[^']*'|\S+)", re.IGNORECASE)


def code_of(error: BaseException) -> int:
    """The exit code that tells what kind of error it was."""
    return next((code for kind, code in _BY_ERROR if isinstance(error, kind)), DATABASE)


def message_of(error: BaseException) -> str:
    """One line about an error, without passwords."""
    if isinstance(error, NaiveDatetimeError):
        return "a time needs a time zone, so that it is an instant: 2024-01-15T10:30Z, say"
    if isinstance(error, DBAPIError):
        text = str(error.orig)
    else:
        text = str(error.args[0]) if error.args else type(error).__name__
    return without_passwords(" ".join(text.split()))


def without_passwords(text: str) -> str:
    """``text`` with the passwords of addresses and connection strings taken out."""
    return _KEYWORD.sub(r"\1***", _PASSWORD.sub(r"\g<user>:***@", text))
