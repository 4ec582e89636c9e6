"""Erase what was said of a commit: its author, message and context.

The hash of the commit is over hashes of these, which stay, so that the chain of commits
still verifies. It is recorded as a commit (REDACT) of its own, which covers what was kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, insert, null, select, update

from sqlalchemy_temporal.clock.own import make_commit, own_transaction_id
from sqlalchemy_temporal.clock.resolve import When, resolve
from sqlalchemy_temporal.ddl.postgresql.chain import COMMIT_FIELDS
from sqlalchemy_temporal.errors import RedactionError, UnknownOptionError
from sqlalchemy_temporal.naming import DEFAULT_SCHEMA
from sqlalchemy_temporal.repository.canonical import OF_COMMITS, SAID, SAYS, field_hash
from sqlalchemy_temporal.repository.said import originals_of, redacted_between
from sqlalchemy_temporal.repository.sqlite_chain import sqlite_field
from sqlalchemy_temporal.repository.withdrawal import hold_hashing
from sqlalchemy_temporal.schema import SystemTables, system_of
from sqlalchemy_temporal.tables.access import AccessMode, require_unrestricted
from sqlalchemy_temporal.tables.work import Bind, record, working

FIELDS: Final = ("author", "message", "context")
MARKER: Final = "(redacted)"
"""What stands for an author or a message that was redacted."""
_NOTHING: Final[Mapping[str, Any]] = {}


@dataclass(frozen=True, slots=True)
class CommitRedaction:
    """What was redacted of a commit.

    Attributes:
        uuid: the commit.
        fields: what of it was altered: some of author, message and context.
        merges: merges that met conflicts and had the same message, which was altered, too.
    """

    uuid: UUID
    fields: tuple[str, ...]
    merges: int = 0

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values."""
        return asdict(self)

    def __bool__(self) -> bool:
        """Whether anything was altered."""
        return bool(self.fields or self.merges)

    def __str__(self) -> str:
        what = ", ".join(self.fields) or "nothing"
        return f"{what} redacted of commit {self.uuid}"


def redact_commit(
    bind: Bind,
    when: When,
    fields: Sequence[str] = FIELDS,
    *,
    replacement: Mapping[str, Any] = _NOTHING,
    author: str | None = None,
    reason: str | None = None,
    access: AccessMode | None = None,
    schema: str = DEFAULT_SCHEMA,
) -> CommitRedaction:
    """Overwrite what was said of a commit.

    Parameters:
        bind: an Engine, or a Connection or Session whose transaction is used, of a role
            that owns the library's tables.
        when: the commit.
        fields: what to overwrite: ``"author"``, ``"message"``, ``"context"``; all by default.
            What the commit does not have stays empty.
        replacement: what to write, by field; otherwise ``"(redacted)"``, and no context.
        author: who does it; recorded with the commit of the redaction.
        reason: why; its message. Neither should hold what is to be erased.
        access: ``"restricted"`` allows reads only, which refuses this.
        schema: the schema of the library's own tables.

    Returns:
        What was altered. It is recorded as a commit with the operation REDACT, unless there
        was nothing to alter.

    Raises:
        AccessModeError: the mode allows reads only.
        MomentError: ``when`` names no commit.
        UnknownOptionError: a field is none of the three.
        RedactionError: a replacement is given for a field that is not to be overwritten.
        PrivilegeError: the role may not change the library's tables.
    """
    names = [fields] if isinstance(fields, str) else list(fields)
    if unknown := set(names) - set(FIELDS):
        raise UnknownOptionError(f"fields are author, message and context, not {sorted(unknown)}")
    if more := set(replacement) - set(names):
        raise RedactionError(f"a replacement is given for {sorted(more)}, which is not redacted")
    require_unrestricted(bind, access, "redact_commit()")
    with working(bind) as work, work.step() as connection:
        system = system_of(connection, schema)
        uuid = resolve(connection, when, schema).uuid
        if connection.dialect.name != "sqlite":
            hold_hashing(connection)
        work.describe(author, reason)
        return _redact(connection, system, uuid, names, replacement)


def _redact(
    connection: Connection,
    system: SystemTables,
    uuid: UUID,
    names: Sequence[str],
    replacement: Mapping[str, Any],
) -> CommitRedaction:
    transaction = system.transaction
    said = connection.execute(
        select(transaction.c.id, *(transaction.c[name] for name in FIELDS)).where(
            transaction.c.uuid == uuid
        )
    ).one()
    before = _fields(connection, system, said.id)
    kept = originals_of(before, redacted_between(connection, system.schema, [said.id]).get(said.id))
    new: dict[str, Any] = {
        name: replacement.get(name, None if name == "context" else MARKER)
        for name in names
        if getattr(said, name) is not None
    }
    changed = {name: value for name, value in new.items() if value != getattr(said, name)}
    if not changed:
        return CommitRedaction(uuid, ())
    connection.execute(update(transaction).where(transaction.c.id == said.id).values(_sql(changed)))
    after = _fields(connection, system, said.id)
    merges = _in_merges(connection, system, said.message, changed)
    _record(connection, system)
    connection.execute(
        insert(system.leaf_override).values(
            table_id=OF_COMMITS,
            tx_id=said.id,
            kind=SAYS,
            original_hash=b"".join(kept.get(each, field_hash(before[each])) for each in SAID),
            current_hash=b"".join(field_hash(after[each]) for each in SAID),
            by_tx_id=own_transaction_id(connection, system.schema),
        )
    )
    return CommitRedaction(uuid, tuple(changed), merges)


def _sql(changed: Mapping[str, Any]) -> dict[str, Any]:
    """Values for an UPDATE: a column of JSON would take None for the value null."""
    return {name: null() if value is None else value for name, value in changed.items()}


def _fields(connection: Connection, system: SystemTables, tx_id: int) -> dict[str, bytes | None]:
    """The bytes of what was said, as hashing has them."""
    table = connection.dialect.identifier_preparer.format_table(system.transaction)
    if connection.dialect.name == "sqlite":
        columns = ", ".join(f"+{name}" for name in FIELDS)
        row = connection.exec_driver_sql(
            f"SELECT {columns} FROM {table} WHERE id = ?",  # noqa: S608 - quoted
            (tx_id,),
        ).one()
        found = zip(SAID, FIELDS, row, strict=True)
        return {name: sqlite_field(field, value) for name, field, value in found}
    expressions = ", ".join(COMMIT_FIELDS[name] for name in SAID)
    row = connection.exec_driver_sql(
        f"SELECT {expressions} FROM {table} AS t WHERE t.id = {tx_id}"  # noqa: S608 - quoted
    ).one()
    return {
        name: None if value is None else bytes(value) for name, value in zip(SAID, row, strict=True)
    }


def _in_merges(
    connection: Connection, system: SystemTables, message: str | None, changed: Mapping[str, Any]
) -> int:
    """Overwrite the same message where a merge with conflicts has noted it."""
    if "message" not in changed or message is None:
        return 0
    merge = system.merge
    found = update(merge).where(merge.c.message == message)
    return connection.execute(found.values(message=changed["message"])).rowcount


def _record(connection: Connection, system: SystemTables) -> None:
    counts = {f"{system.schema}.transaction": {"redact": 1}}
    record(connection, system.schema, "REDACT", counts)
    if connection.dialect.name == "sqlite":
        make_commit(connection, system.schema)


__all__ = ["FIELDS", "MARKER", "CommitRedaction", "redact_commit"]
