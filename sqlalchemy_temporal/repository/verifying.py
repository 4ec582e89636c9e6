"""The part of ``Repository`` that proves what was recorded: ``verify`` and ``digest``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection

from sqlalchemy_temporal.clock.backends import clock_of
from sqlalchemy_temporal.clock.resolve import When, resolve
from sqlalchemy_temporal.repository.backends import hash_commits, pinned
from sqlalchemy_temporal.repository.digest import Digest, take_digest
from sqlalchemy_temporal.repository.findings import Verification
from sqlalchemy_temporal.repository.verify import MAX_PROBLEMS, ProgressCallback, verify


class Verifying:
    """What ``Repository`` can say about the integrity of what was recorded."""

    schema: str

    @property
    def connection(self) -> Connection:
        """The connection it works on."""
        raise NotImplementedError

    def verify(
        self,
        since: When | None = None,
        *,
        progress: ProgressCallback | None = None,
        digest: Digest | Mapping[str, Any] | str | None = None,
        max_problems: int = MAX_PROBLEMS,
    ) -> Verification:
        """Compute every hash anew from the rows and compare; say where it does not fit.

        What is committed is checked, on another connection where the pool has one to
        spare; a role that may only read can do it. See ``docs/verification.md``.

        Parameters:
            since: check only what was committed after this commit, which is trusted.
            progress: called with a :class:`~sqlalchemy_temporal.repository.Progress`.
            digest: a digest taken earlier and kept elsewhere; without one, nobody can tell
                a chain that was computed anew from the true one.
            max_problems: keep at most so many problems.

        Returns:
            The problems found, none if all is as recorded; true in a condition when so.

        Raises:
            MomentError: ``since`` names no commit.
            CommitError: ``digest`` is not a digest.
            UnhashableTypeError: a column has a type that cannot be hashed.
        """
        clock_of(self.connection).require(self.connection, self.schema)
        after = 0 if since is None else resolve(self.connection, since, self.schema).seq
        return verify(
            self.connection,
            self.schema,
            after=after,
            progress=progress,
            digest=digest,
            max_problems=max_problems,
        )

    def digest(self) -> Digest:
        """A few values that pin down all commits so far, to be kept elsewhere.

        Raises:
            BeforeVersioningError: no commit has a hash.
            UnhashableTypeError: a column has a type that cannot be hashed.
        """
        hash_commits(self.connection, self.schema)
        with pinned(self.connection) as connection:
            return take_digest(connection, self.schema)

    def hash_commits(self, *, progress: Callable[[int], None] | None = None) -> int:
        """Seal and hash every commit that has no hash yet, and say how many there were.

        ``verify`` and ``digest`` do it themselves. Run now and then, it keeps the time
        short in which a change behind the library's back has nothing to be compared with.
        Only a role that may write the library's tables can store hashes; for others this
        does nothing.

        Parameters:
            progress: called with the number of commits hashed so far.

        Raises:
            UnhashableTypeError: a column has a type that cannot be hashed.
        """
        clock_of(self.connection).require(self.connection, self.schema)
        return hash_commits(self.connection, self.schema, progress=progress)
