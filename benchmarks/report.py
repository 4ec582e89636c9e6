"""The results as a table and as JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import mariadb
from benchmarks.measure import Figure, Spread, Target
from benchmarks.server import Place
from benchmarks.subjects import SUBJECTS

SCHEMA = 2
"""The version of the JSON's form."""
_SPREADS = ("ours", "base", "ratio", "processor", "server", "processor_ratio")


@dataclass(frozen=True, slots=True)
class Result:
    """One run.

    Attributes:
        size: Which sizes it had.
        bare: Whether this library's own sections had tables with a primary key only.
        place: What was measured on, with versions and settings.
        missing: Why subjects were not measured, by their keys.
        figures: What was measured.
    """

    size: str
    bare: bool
    place: Place
    missing: Mapping[str, str]
    figures: Sequence[Figure]


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
    table.add_column("subject")
    for name in ("median", "quartiles", "processor", "base", "ratio", "of processor", "aim"):
        table.add_column(name, justify="right", no_wrap=True)
    notes = []
    for figure in figures:
        if not figure.unit:
            notes.append(f"{title_of(figure.subject)}: {figure.note}")
            continue
        table.add_row(
            figure.name + (f" ({figure.way})" if figure.way else ""),
            title_of(figure.subject),
            f"{number(figure.ours.median)} {figure.unit}" if figure.ours else figure.note,
            quartiles(figure.ours),
            number(figure.processor.median) if figure.processor else "",
            f"{number(figure.base.median)} {figure.against}" if figure.base else "",
            times(figure.ratio),
            times(figure.processor_ratio),
            _verdict(figure),
        )
    if table.row_count:
        console.print(table)
    for note in notes:
        console.print(note, highlight=False)


def title_of(subject: str) -> str:
    """What readers know a subject by."""
    return mariadb.TITLE if subject == mariadb.KEY else SUBJECTS[subject].title


def summary(figures: Sequence[Figure]) -> str:
    """How many targets were met."""
    judged = [figure for figure in figures if figure.met is not None]
    missed = [figure for figure in judged if not figure.met]
    return f"{len(judged) - len(missed)} of {len(judged)} targets met"


def write_json(path: Path, result: Result) -> None:
    """Write everything that was measured."""
    content = {
        "schema": SCHEMA,
        "size": result.size,
        "bare": result.bare,
        "place": dataclasses.asdict(result.place),
        "missing": dict(result.missing),
        "figures": [{**dataclasses.asdict(figure), "met": figure.met} for figure in result.figures],
    }
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read_json(path: Path) -> Result:
    """Read what :func:`write_json` wrote.

    Raises:
        ValueError: it is of another version of this tool.
    """
    content = json.loads(path.read_text(encoding="utf-8"))
    if content.get("schema") != SCHEMA:
        raise ValueError(f"{path} was written by another version of this tool; measure again")
    return Result(
        content["size"],
        content["bare"],
        Place(**content["place"]),
        content["missing"],
        tuple(_figure(one) for one in content["figures"]),
    )


def _figure(content: dict[str, Any]) -> Figure:
    values = {name: value for name, value in content.items() if name != "met"}
    for name in _SPREADS:
        if values[name] is not None:
            values[name] = Spread(**values[name])
    if values["target"] is not None:
        values["target"] = Target(**values["target"])
    return Figure(**values)


def _verdict(figure: Figure) -> str:
    if figure.target is None or figure.met is None:
        return ""
    sign = {"at most": "≤", "at least": "≥"}[figure.target.sense]
    colour, mark = ("green", "met") if figure.met else ("red", "missed")
    value = figure.target.value
    wanted = f"×{value:g}" if figure.ratio else f"{value:g} {figure.unit}"
    return f"[{colour}]{sign} {wanted} {mark}[/]"


def quartiles(found: Spread | None) -> str:
    """Between which values the middle half of the samples lie."""
    if found is None or found.count == 1:
        return ""
    return f"{number(found.low)}–{number(found.high)}"


def times(ratio: Spread | None) -> str:
    """A ratio, as readers know it."""
    if ratio is None:
        return ""
    return f"×{ratio.median:.2f}" if ratio.median < 10 else f"×{ratio.median:,.0f}"


def number(value: float) -> str:
    """A value with three digits or so."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.2f}"
