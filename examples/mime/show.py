"""Showing: each answer of `examples.mime.questions` as a table."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from examples.mime.questions import Claim, Difference, VersionFacts
from examples.mime.releases import Release, Row
from sqlalchemy_temporal.clock.commit import Commit

_ENDS = 2  # of a long list: so many rows from its beginning and its end
_ROWS = 5  # of each kind of difference; the rest is counted


def progress(console: Console) -> Progress:
    """Return a progress bar, which shows nothing on a quiet console."""
    return Progress(
        TextColumn("{task.description:<28}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        disable=console.quiet,
    )


def show_rebuilt(console: Console, releases: Sequence[Release], failed: Sequence[Release]) -> None:
    """Show that each release was rebuilt, or which were not."""
    table = _table("release", "published", "rows", "SHA-256")
    shown = failed or releases
    mark = "[red]not as published:[/]" if failed else "[green]as published:[/]"
    for number, release in enumerate(shown):
        if _ENDS <= number < len(shown) - _ENDS:
            if number == _ENDS:
                table.add_row("…")
            continue
        facts = release.name, release.date, str(release.row_count)
        table.add_row(*facts, f"{mark} {release.sha256[:16]}…")
    _print(console, "Releases rebuilt from history", table)


def show_histories(console: Console, histories: Mapping[str, Sequence[VersionFacts]]) -> None:
    """Show how media types came to be what they are."""
    table = _table("media type", "release", "operation", "changeset")
    for media_type, versions in histories.items():
        for number, version in enumerate(versions):
            name = "" if number else media_type
            changes = {key: each for key, each in version.changes.items() if key != "type"}
            table.add_row(name, version.release, version.operation, _changes(changes))
        table.add_section()
    _print(console, "How they came to be: media_type.versions", table)


def show_difference(console: Console, old: str, new: str, found: Difference) -> None:
    """Show what changed between two releases."""
    table = _table("change", "media type", "values")
    added = {key: _values(row) for key, row in found.added.items()}
    removed = {key: _values(row) for key, row in found.removed.items()}
    changed = {key: _changes(changes) for key, changes in found.changed.items()}
    for kind, rows in (
        ("[green]added", added),
        ("[yellow]changed", changed),
        ("[red]removed", removed),
    ):
        for key, text in list(rows.items())[:_ROWS]:
            table.add_row(kind, key, text)
        if len(rows) > _ROWS:
            table.add_row(kind, f"… and {len(rows) - _ROWS} more")
        table.add_section()
    _print(console, f"What changed from {old} to {new}", table)


def show_sources(console: Console, counts: Mapping[str, Mapping[str, int]]) -> None:
    """Show how many extensions each source contributed, as of some releases."""
    table = _table("as of")
    sources = sorted({source for by_source in counts.values() for source in by_source})
    for source in sources:
        table.add_column(source, justify="right")
    for release, by_source in counts.items():
        table.add_row(release, *(str(by_source.get(source, 0)) for source in sources))
    _print(console, "Which source contributed most file extensions?", table)


def show_claims(console: Console, name: str, found: Iterable[Claim]) -> None:
    """Show which media types claimed a file extension over time."""
    table = _table("since", "published", "media types")
    for claim in found:
        table.add_row(claim.release, claim.date, ", ".join(claim.types) or "none")
    _print(console, f"Which media types claimed .{name}?", table)


def show_log(console: Console, commits: Iterable[Commit]) -> None:
    """Show the newest commits."""
    table = _table("commit", "author", "message", "rows changed")
    for commit in commits:
        counts = [
            f"{name.partition('.')[2]}: " + ", ".join(f"{n} {kind}" for kind, n in kinds.items())
            for name, kinds in commit.counts.items()
        ]
        table.add_row(str(commit.seq), commit.author, commit.message, "\n".join(counts))
    _print(console, "The log: repository.log()", table)


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _print(console: Console, title: str, table: Table) -> None:
    console.print(f"[bold]{title}[/]")
    console.print(table)


def _changes(changes: Mapping[str, tuple[object, object]]) -> str:
    return ", ".join(
        f"{name} {_value(new)}" if old is None else f"{name} {_value(old)} → {_value(new)}"
        for name, (old, new) in changes.items()
    )


def _values(row: Row) -> str:
    return ", ".join(
        f"{name} {_value(value)}"
        for name, value in row.items()
        if name != "type" and value is not None
    )


def _value(value: object) -> str:
    return " ".join(value) if isinstance(value, list) else json.dumps(value)
