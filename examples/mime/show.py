"""Showing: each answer of `examples.mime.questions` as a table."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from examples.mime.questions import Claim, Difference, VersionFacts
from examples.mime.releases import Release
from sqlalchemy_temporal.clock.commit import Commit

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
    table = _table("Releases rebuilt from history", "release", "published", "rows", "SHA-256")
    shown = failed or (releases if len(releases) <= 4 else [*releases[:2], None, *releases[-2:]])
    for release in shown:
        if release is None:
            table.add_row("…")
            continue
        mark = "[red]differs from" if failed else "[green]as published:"
        table.add_row(
            release.name, release.date, str(release.row_count), f"{mark}[/] {release.sha256[:16]}…"
        )
    console.print(table)


def show_histories(console: Console, histories: Mapping[str, Sequence[VersionFacts]]) -> None:
    """Show how media types came to be what they are."""
    table = _table("How they came to be: obj.versions", "media type", "release", "", "changeset")
    for media_type, versions in histories.items():
        for number, version in enumerate(versions):
            name = "" if number else media_type
            table.add_row(name, version.release, version.operation, _changes(version.changes))
        table.add_section()
    console.print(table)


def show_difference(console: Console, old: str, new: str, found: Difference) -> None:
    """Show what changed between two releases."""
    table = _table(f"What changed from {old} to {new}", "", "media type", "")
    added = {key: _value(row["extensions"]) for key, row in found.added.items()}
    removed = {key: _value(row["extensions"]) for key, row in found.removed.items()}
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
    console.print(table)


def show_sources(console: Console, counts: Mapping[str, Mapping[str, int]]) -> None:
    """Show how many extensions each source contributed, as of some releases."""
    table = _table("Which source contributed most file extensions?", "as of")
    sources = sorted({source for by_source in counts.values() for source in by_source})
    for source in sources:
        table.add_column(source, justify="right")
    for release, by_source in counts.items():
        table.add_row(release, *(str(by_source.get(source, 0)) for source in sources))
    console.print(table)


def show_claims(console: Console, name: str, found: Iterable[Claim]) -> None:
    """Show which media types claimed a file extension over time."""
    table = _table(f"Which media types claimed .{name}?", "since", "published", "media types")
    for claim in found:
        table.add_row(claim.release, claim.date, ", ".join(claim.types) or "none")
    console.print(table)


def show_log(console: Console, commits: Iterable[Commit]) -> None:
    """Show the newest commits."""
    table = _table("The log: repository.log()", "commit", "author", "message", "rows changed")
    for commit in commits:
        counts = [
            f"{name.partition('.')[2]}: " + ", ".join(f"{n} {kind}" for kind, n in kinds.items())
            for name, kinds in commit.counts.items()
        ]
        table.add_row(str(commit.seq), commit.author, commit.message, "; ".join(counts))
    console.print(table)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _changes(changes: Mapping[str, tuple[object, object]]) -> str:
    return ", ".join(
        f"{name} {_value(new)}" if old is None else f"{name} {_value(old)} → {_value(new)}"
        for name, (old, new) in changes.items()
    )


def _value(value: object) -> str:
    return " ".join(value) if isinstance(value, list) else json.dumps(value)
