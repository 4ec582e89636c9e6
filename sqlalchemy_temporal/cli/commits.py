"""Commits as the command shows them: lines of a log, whole, and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from rich.text import Text

from sqlalchemy_temporal.cli.output import when_text
from sqlalchemy_temporal.clock.commit import Commit
from sqlalchemy_temporal.repository import Ref

_COUNTED = (("insert", "+", "green"), ("update", "~", "yellow"), ("delete", "-", "red"))


def json_of(commit: Commit, refs: Sequence[Ref] = ()) -> dict[str, Any]:
    """A commit as ``--json`` shows it; its names never change their meaning."""
    return {
        "uuid": str(commit.uuid),
        "seq": commit.seq,
        "parents": [str(uuid) for uuid in commit.parents],
        "hash": None if commit.hash is None else bytes(commit.hash).hex(),
        "operation": commit.operation,
        "author": commit.author,
        "message": commit.message,
        "context": commit.context,
        "database_user": commit.database_user,
        "started_at": commit.started_at.isoformat(),
        "committed_at": commit.committed_at.isoformat(),
        "effective_at": commit.effective_at.isoformat() if commit.effective_at else None,
        "counts": {table: dict(counts) for table, counts in commit.counts.items()},
        "refs": [{"kind": ref.kind, "name": ref.name} for ref in refs],
        "deleted": commit.is_deleted,
    }


def by_commit(refs: Iterable[Ref]) -> dict[UUID, list[Ref]]:
    """Tags and branches by the commit that they name."""
    found: dict[UUID, list[Ref]] = {}
    for ref in refs:
        found.setdefault(ref.commit_uuid, []).append(ref)
    return found


def line_of(commit: Commit, refs: Sequence[Ref] = (), *, head: bool = False) -> Text:
    """A commit in one line: its name, its time, who, what for, how much."""
    line = Text(commit.short, style="yellow")
    line.append(f" {when_text(commit.effective_at or commit.committed_at)[:19]}", style="dim")
    line.append(names_of(refs, head=head))
    if commit.author:
        line.append(f" {commit.author}", style="cyan")
    what = commit.message or ""
    if commit.operation != "COMMIT":
        what = f"[{commit.operation}] {what}".rstrip()
    if what:
        line.append(f" {' '.join(what.split())}")
    counts = counts_of(commit.counts)
    if counts:
        line.append("  ")
        line.append(counts)
    if commit.is_deleted:
        line.append("  deleted from the log", style="red")
    return line


def counts_of(counts: Mapping[str, Mapping[str, int]]) -> Text:
    """How many rows of which tables were changed, in short."""
    text = Text()
    for table, numbers in counts.items():
        parts = [
            (f"{sign}{numbers[name]}", style) for name, sign, style in _COUNTED if numbers.get(name)
        ]
        if not parts:
            continue
        text.append(f"{', ' if text else ''}{table.removeprefix('public.')} ", style="dim")
        for position, (part, style) in enumerate(parts):
            text.append(f"{' ' if position else ''}{part}", style=style)
    return text


def block_of(commit: Commit, refs: Sequence[Ref] = (), *, head: bool = False) -> Text:
    """A commit with all that is known of it, in several lines."""
    text = Text(f"commit {commit.uuid}", style="yellow")
    text.append(names_of(refs, head=head))
    facts = [
        ("Parents", " ".join(str(uuid) for uuid in commit.parents)),
        ("Author", commit.author or ""),
        ("Role", commit.database_user),
        ("Date", when_text(commit.effective_at or commit.committed_at)),
        ("Operation", "" if commit.operation == "COMMIT" else commit.operation),
        ("Hash", "" if commit.hash is None else bytes(commit.hash).hex()),
        ("Context", "" if not commit.context else str(commit.context)),
        ("Deleted", _deletion(commit)),
    ]
    for name, value in facts:
        if value:
            text.append(f"\n{name + ':':<11}{value}")
    if commit.message:
        text.append("\n")
        for line in commit.message.splitlines():
            text.append(f"\n    {line}")
    counts = counts_of(commit.counts)
    if counts:
        text.append("\n\n    ")
        text.append(counts)
    return text


def _deletion(commit: Commit) -> str:
    if not commit.is_deleted:
        return ""
    by = f" by {commit.deleted_by}" if commit.deleted_by else ""
    why = f": {commit.deletion_reason}" if commit.deletion_reason else ""
    return f"from the log at {when_text(commit.deleted_at)}{by}{why}"


def names_of(refs: Sequence[Ref], *, head: bool) -> Text:
    """The names of a commit, as git puts them behind it: ``(HEAD -> main, tag: v1)``."""
    shown: list[tuple[str, str]] = []
    current = [ref.name for ref in refs if ref.kind == "branch" and ref.is_current]
    if head:
        shown.append((f"HEAD -> {current[0]}" if current else "HEAD", "bold cyan"))
    for ref in refs:
        if ref.kind == "tag":
            shown.append((f"tag: {ref.name}", "bold yellow"))
        elif not (head and ref.is_current):
            shown.append((ref.name, "bold green"))
    text = Text()
    for position, (name, style) in enumerate(shown):
        text.append(", " if position else " (", style="yellow")
        text.append(name, style=style)
    if shown:
        text.append(")", style="yellow")
    return text
