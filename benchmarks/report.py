"""The results as a table and as JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.measure import Figure, Spread
from benchmarks.server import Place


def show_place(console: Console, place: Place) -> None:
    """Print what is measured on."""
    console.print(
        f"PostgreSQL {place.settings['server_version']} ({place.source}); "
        f"{place.machine['processors']} × {place.machine['processor']}"
    )
    console.print(", ".join(f"{name} {value}" for name, value in place.versions.items()))
    others = {k: v for k, v in place.settings.items() if k != "server_version"}
    console.print(", ".join(f"{name} = {value}" for name, value in others.items()))


def show_figures(console: Console, title: str, figures: Iterable[Figure]) -> None:
    """Print the figures of one section."""
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("what")
    for name in ("ours", "base", "ratio", "quartiles", "target"):
        table.add_column(name, justify="right", no_wrap=True)
    for figure in figures:
        scattered = figure.ratio or figure.ours
        table.add_row(
            figure.name + (f" / {figure.against}" if figure.against else ""),
            f"{_number(figure.ours.median)} {figure.unit}",
            f"{_number(figure.base.median)} {figure.unit}" if figure.base else "",
            f"×{figure.ratio.median:.2f}" if figure.ratio else "",
            _quartiles(scattered) if scattered.count > 1 else "",
            _verdict(figure),
        )
    console.print(table)


def summary(figures: Sequence[Figure]) -> str:
    """How many targets were met."""
    judged = [figure for figure in figures if figure.met is not None]
    missed = [figure for figure in judged if not figure.met]
    return f"{len(judged) - len(missed)} of {len(judged)} targets met"


def write_json(
    path: Path, place: Place, size: str, figures: Sequence[Figure], *, bare: bool
) -> None:
    """Write everything that was measured."""
    content = {
        "size": size,
        "bare": bare,
        "place": dataclasses.asdict(place),
        "figures": [{**dataclasses.asdict(figure), "met": figure.met} for figure in figures],
    }
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def _verdict(figure: Figure) -> str:
    if figure.target is None:
        return ""
    sign = {"at most": "≤", "at least": "≥"}[figure.target.sense]
    colour, mark = ("green", "met") if figure.met else ("red", "missed")
    value = figure.target.value
    wanted = f"×{value:g}" if figure.ratio else f"{value:g} {figure.unit}"
    return f"[{colour}]{sign} {wanted} {mark}[/]"


def _quartiles(found: Spread) -> str:
    return f"{_number(found.low)}–{_number(found.high)}"


def _number(value: float) -> str:
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.2f}"
