"""The part of ``Repository`` that names commits: tags, branches, and switching.

There is one working state, the live tables. HEAD is the newest commit, and on a branch:
that branch moves with each commit, the others stay where they are. :meth:`switch` makes the
live tables another branch's state, as a commit that goes on from that branch. After a
``checkout`` of a commit HEAD is *detached*: new commits belong to no branch, until one is
made for them with ``switch(name, create=True)``.
"""

from __future__ import annotations

from contextlib import suppress
from uuid import UUID

from sqlalchemy_temporal.clock.intent import Intent
from sqlalchemy_temporal.clock.own import own_transaction_id
from sqlalchemy_temporal.clock.resolve import When, resolve
from sqlalchemy_temporal.errors import BeforeVersioningError, CommitError
from sqlalchemy_temporal.repository import refs
from sqlalchemy_temporal.repository.apply import plan_moment
from sqlalchemy_temporal.repository.catalog import load_tables
from sqlalchemy_temporal.repository.operations import Operations
from sqlalchemy_temporal.repository.outcome import Outcome
from sqlalchemy_temporal.repository.writing import in_savepoint, writer_of
from sqlalchemy_temporal.schema import SystemTables


class Branching(Operations):
    """What ``Repository`` can do with names."""

    # ------------------------------------------------------------------------------- tags

    def tag(self, name: str, at: When = "HEAD", *, author: str | None = None) -> refs.Ref:
        """Give a commit a name that stays with it.

        Raises:
            CommitError: the name is taken or not allowed.
            MomentError: ``at`` names no commit.
        """
        with self.begin() as repo:
            return repo._create(refs.TAG, name, at, author)

    def tags(self) -> list[refs.Ref]:
        """All tags, oldest commit first."""
        with self.begin() as repo:
            return refs.listed(repo.connection, repo._names, refs.TAG, None)

    def delete_tag(self, name: str, *, author: str | None = None) -> None:
        """Take a tag away; the commit stays.

        Raises:
            UnknownRevisionError: there is no such tag.
        """
        with self.begin() as repo:
            refs.remove(repo.connection, repo._names, refs.TAG, name, author)

    # --------------------------------------------------------------------------- branches

    def branch(self, name: str, at: When = "HEAD", *, author: str | None = None) -> refs.Ref:
        """Make a branch at a commit, without switching to it.

        Raises:
            CommitError: the name is taken or not allowed.
            MomentError: ``at`` names no commit.
        """
        with self.begin() as repo:
            return repo._create(refs.BRANCH, name, at, author)

    def branches(self) -> list[refs.Ref]:
        """All branches by name, each with the commit it is at."""
        head: UUID | None = None
        with self.begin() as repo:
            with suppress(BeforeVersioningError):  # nothing is recorded: no branch is anywhere
                head = repo._head()
            return refs.listed(repo.connection, repo._names, refs.BRANCH, head)

    @property
    def current_branch(self) -> str | None:
        """The branch that new commits go to; None when HEAD is detached."""
        with self.begin() as repo:
            return refs.current(repo.connection, repo._names)

    def rename_branch(self, name: str, new_name: str, *, author: str | None = None) -> None:
        """Give a branch another name.

        Raises:
            UnknownRevisionError: there is no such branch.
            CommitError: the new name is taken or not allowed.
        """
        with self.begin() as repo:
            refs.rename(repo.connection, repo._names, refs.BRANCH, name, new_name, author=author)

    def delete_branch(self, name: str, *, author: str | None = None) -> None:
        """Take a branch away; its commits stay, and can be reached by their uuids.

        Raises:
            UnknownRevisionError: there is no such branch.
            CommitError: it is the current one.
        """
        with self.begin() as repo:
            refs.remove(repo.connection, repo._names, refs.BRANCH, name, author)

    def switch(
        self,
        name: str,
        *,
        create: bool = False,
        message: str | None = None,
        author: str | None = None,
        triggers: str = "check",
    ) -> Outcome:
        """Go over to another branch: the live tables become what it has.

        That is a commit of its own, whose parent is the commit the branch was at, so
        nothing changes unrecorded. A branch that is at HEAD already, as one just created,
        needs none. Writers of versioned tables wait until the transaction ends.

        Parameters:
            name: the branch.
            create: make it first, at HEAD.
            message: what for.
            author: who.
            triggers: ``"check"`` refuses when triggers of the application give rows other
                values; ``"allow"`` lets them.

        Raises:
            UnknownRevisionError: there is no such branch.
            CommitError: the transaction has changes that are not committed, or the name of
                a branch to create is taken or not allowed.
            ConstraintViolationError: constraints forbid it; nothing was written.
            AlteredRowsError: triggers of the application interfered; nothing was written.
        """
        with self.begin() as repo:
            repo._flush()
            connection = repo.connection
            if own_transaction_id(connection, repo.schema) is not None:
                raise CommitError(
                    "this transaction has changed versioned tables; commit or roll back before "
                    "switching, so that the changes belong to the branch they were made on"
                )
            with in_savepoint(connection):
                writer_of(connection, repo.schema).lock(load_tables(connection, repo.schema))
                if create:
                    repo.branch(name, author=author)
                outcome = repo._go_to(name, message, author, triggers)
        return self._own(outcome)

    def _go_to(self, name: str, message: str | None, author: str | None, triggers: str) -> Outcome:
        connection, names = self.connection, self._names
        row = refs.find(connection, names, refs.BRANCH, name)
        if row.commit_uuid is None:
            return Outcome("SWITCH", self._head(), {})
        head = self._head()
        target = resolve(connection, row.commit_uuid, self.schema)
        refs.leave(connection, names, head, author)
        refs.enter(connection, names, row.name, head, author)
        if target.uuid == head:
            return Outcome("SWITCH", head, {})
        plan = plan_moment(connection, target, lock=True)
        self._describe(message or f"Switch to {row.name}", author)
        intent = Intent("SWITCH", parent=target.uuid)
        changes = self._execute(plan, intent, triggers, always=True)
        return self._outcome("SWITCH", target.uuid, changes, plan.unknown)

    def checkout(
        self, when: When, *, message: str | None = None, author: str | None = None
    ) -> Outcome:
        """Return to a commit and go on from there: a new commit whose parent it is.

        The line of commits that was left stays reachable. Of the name of a branch this is a
        :meth:`switch`. Of any other commit HEAD is detached: the branch it was on stays
        where it is, and new commits belong to none. Checking out HEAD does nothing.

        Parameters:
            when: the commit.
            message: what for.
            author: who.

        Raises:
            MomentError: ``when`` names no commit.
            ConstraintViolationError: constraints forbid it; nothing was written.
            AlteredRowsError: triggers of the application interfered; nothing was written.
        """
        with self.begin() as repo:
            if isinstance(when, str) and refs.is_branch(repo.connection, repo._names, when):
                return self._own(repo.switch(when, message=message, author=author))
            repo._flush()
            connection = repo.connection
            with in_savepoint(connection):
                writer_of(connection, repo.schema).lock(load_tables(connection, repo.schema))
                moment, head = resolve(connection, when, repo.schema), repo._head()
                if moment.uuid != head:
                    refs.detach(connection, repo._names, head, moment.uuid, author)
                outcome = Operations.checkout(repo, moment, message=message, author=author)
        return self._own(outcome)

    def ref_log(self, name: str | None = None, *, limit: int | None = None) -> list[refs.RefMove]:
        """What happened to tags, branches and HEAD, and who did it; newest first.

        Parameters:
            name: only what happened to this tag or branch, or to ``"HEAD"``.
            limit: at most so many.
        """
        with self.begin() as repo:
            return refs.moves(repo.connection, repo._names, name, limit)

    # ------------------------------------------------------------------------------ inside

    @property
    def _names(self) -> SystemTables:
        return self._system

    def _create(self, kind: refs.Kind, name: str, at: When, author: str | None) -> refs.Ref:
        refs.check_name(name, kind)
        commit = resolve(self.connection, at, self.schema).uuid
        return refs.create(self.connection, self._names, kind, name, commit, author=author)


__all__ = ["Branching"]
