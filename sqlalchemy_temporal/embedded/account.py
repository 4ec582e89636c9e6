"""The account a server runs under: PostgreSQL refuses to run as root."""

import os
import stat
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy_temporal.errors import ServerUnavailable

if sys.platform != "win32":
    import pwd

_UNPRIVILEGED = ("postgres", "nobody")
_TEMP_ROOTS = (Path("/tmp"), Path("/var/tmp"), Path("/dev/shm"))  # noqa: S108 - for mkdtemp


@dataclass(frozen=True, slots=True)
class Account:
    """An operating system account that is not root."""

    name: str
    uid: int
    gid: int

    def may_pass(self, directory: Path) -> bool:
        """Tell whether the account may reach what lies in a directory, by the permission bits."""
        return all(self._may_enter(part) for part in (directory, *directory.parents))

    def runs(self, program: Path) -> bool:
        """Tell whether the account can start a program, its shared libraries included."""
        try:
            finished = subprocess.run(
                [program, "--version"],
                user=self.uid,
                group=self.gid,
                extra_groups=[],
                cwd="/",
                capture_output=True,
                check=False,
            )
        except PermissionError:
            return False
        return finished.returncode == 0

    def _may_enter(self, directory: Path) -> bool:
        status = directory.stat()
        if status.st_uid == self.uid:
            return bool(status.st_mode & stat.S_IXUSR)
        if status.st_gid == self.gid:
            return bool(status.st_mode & stat.S_IXGRP)
        return bool(status.st_mode & stat.S_IXOTH)


def server_account(data_directory: Path | None = None) -> Account | None:
    """Choose the account for a server.

    Args:
        data_directory: An existing data directory, whose owner must run the server.

    Returns:
        None when the server can run as the present user; when that is root, the owner of the data
        directory, else ``postgres``, else ``nobody``.

    Raises:
        ServerUnavailable: The present user is root and there is no account to step down to.
    """
    if sys.platform == "win32" or os.geteuid() != 0:
        return None
    if data_directory is not None and data_directory.exists():
        owner = data_directory.stat().st_uid
        if owner != 0:
            entry = pwd.getpwuid(owner)
            return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    accounts = {entry.pw_name: entry for entry in pwd.getpwall()}
    for name in _UNPRIVILEGED:
        if name in accounts:
            return Account(name, accounts[name].pw_uid, accounts[name].pw_gid)
    raise ServerUnavailable(
        "PostgreSQL refuses to run as root, and neither the account 'postgres' nor 'nobody' "
        "exists to run it: add one, or start this program as another user"
    )


def temp_root(account: Account | None) -> Path:
    """Return the directory for temporary files, one the account may pass when there is one.

    Raises:
        ServerUnavailable: The account may pass none of the usual ones.
    """
    usual = Path(tempfile.gettempdir()).resolve()
    if account is None:
        return usual
    for candidate in (usual, *_TEMP_ROOTS):
        if candidate.is_dir() and account.may_pass(candidate):
            return candidate
    raise ServerUnavailable(
        f"the account {account.name!r} may not enter {usual}: set TMPDIR to a directory it may"
    )
