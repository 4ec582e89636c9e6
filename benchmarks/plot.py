"""The results as plots: SVG, the same bytes for the same results."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl

mpl.use("Agg")  # before pyplot, which would look for a screen

from matplotlib import pyplot as plt

from benchmarks.measure import Figure
from benchmarks.report import Result
from benchmarks.subjects import BASE, SUBJECTS

_STYLE: Final = {
    "svg.hashsalt": "sqlalchemy-temporal",
    "svg.fonttype": "none",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}
_COLOURS: Final = dict(
    zip(SUBJECTS, [mpl.colormaps["tab20"](i / 20) for i in (14, 6, 0, 1, 2, 3, 8, 4, 10, 12, 16)],
        strict=True)
)  # fmt: skip
_KINDS: Final = ("INSERT", "UPDATE", "DELETE", "COPY")
_GROWING: Final = ("key", "parent", "parents", "whole", "count", "filter")


def draw(result: Result, directory: Path) -> list[Path]:
    """Draw every plot for which there are results; return the files."""
    directory.mkdir(parents=True, exist_ok=True)
    plots: dict[str, Callable[[Result], Any]] = {
        "flush": _flush,
        "transactions": _transactions,
        "bulk": _bulk,
        "growth": _growth,
    }
    written = []
    with mpl.rc_context(_STYLE):
        for name, make in plots.items():
            figure = make(result)
            if figure is None:
                continue
            path = directory / f"{name}.svg"
            figure.savefig(path, metadata={"Date": None, "Creator": None}, bbox_inches="tight")
            plt.close(figure)
            written.append(path)
    return written


def of(result: Result, section: str, **parameters: Any) -> list[Figure]:
    """The figures of a section that have these parameters, against the unversioned tables."""
    return [
        figure
        for figure in result.figures
        if figure.section == section
        and (figure.ours is not None or figure.note)
        and figure.against in {"", "unversioned"}
        and all(
            (figure.way if name == "way" else figure.parameters.get(name)) == value
            for name, value in parameters.items()
        )
    ]


def slope(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The line through points with the least squares of relative errors: start and slope."""
    weights = [1 / (y * y) if y else 1.0 for _, y in points]
    total = sum(weights)
    mx = sum(w * x for w, (x, _) in zip(weights, points, strict=True)) / total
    my = sum(w * y for w, (_, y) in zip(weights, points, strict=True)) / total
    square = sum(w * (x - mx) ** 2 for w, (x, _) in zip(weights, points, strict=True))
    both = sum(w * (x - mx) * (y - my) for w, (x, y) in zip(weights, points, strict=True))
    steep = both / square if square else 0.0
    return my - steep * mx, steep


def growth(result: Result, question: str, subject: str) -> list[tuple[float, float]]:
    """Versions a row, and microseconds of a question about the present."""
    return sorted(
        (float(figure.parameters["versions"]), figure.ours.median)
        for figure in of(result, "reads", question=question, moment="now")
        if figure.subject == subject and figure.ours is not None
    )


def _bars(axes: Any, groups: Sequence[str], rows: Iterable[tuple[str, list[Figure]]]) -> None:
    """A group of bars for each kind of work, a bar for each subject, on a logarithmic scale."""
    found = [(key, one) for key, one in rows if one]
    width = 0.8 / max(len(found), 1)
    for number, (key, figures) in enumerate(found):
        by_kind = {figure.parameters["kind"]: figure for figure in figures}
        places, heights, low, high = [], [], [], []
        for place, kind in enumerate(groups):
            ratio = by_kind[kind].ratio if kind in by_kind else None
            if ratio is None:
                continue
            places.append(place + (number - (len(found) - 1) / 2) * width)
            heights.append(ratio.median)
            low.append(max(ratio.median - ratio.low, 0))
            high.append(max(ratio.high - ratio.median, 0))
        axes.bar(
            places,
            heights,
            width * 0.95,
            yerr=[low, high],
            error_kw={"elinewidth": 0.6},
            color=_COLOURS[key],
            label=SUBJECTS[key].title,
        )
    axes.axhline(1, color="black", linewidth=0.6)
    axes.set_yscale("log")
    axes.set_xticks(range(len(groups)), groups)
    axes.set_ylabel("× unversioned")
    axes.yaxis.set_major_formatter(lambda value, _: f"×{value:g}")
    axes.yaxis.set_minor_formatter(lambda *_: "")


def _by_subject(figures: Iterable[Figure]) -> list[tuple[str, list[Figure]]]:
    kept = list(figures)
    return [
        (key, [figure for figure in kept if figure.subject == key])
        for key in SUBJECTS
        if key != BASE
    ]


def _flush(result: Result) -> Any:
    figures = of(result, "flush")
    if not figures:
        return None
    figure, axes = plt.subplots(figsize=(8, 3.4))
    _bars(axes, ("add", "update", "delete"), _by_subject(figures))
    count = figures[0].parameters["objects"]
    axes.set_title(f"{count:,} objects in one flush, to the commit")
    axes.legend(fontsize=7, ncols=2, loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def _transactions(result: Result) -> Any:
    many = sorted({int(one.parameters["clients"]) for one in of(result, "transactions", way="sql")})
    if not many:
        return None
    figure, grid = plt.subplots(
        2, len(many), figsize=(4 * len(many), 5.6), sharey=True, squeeze=False
    )
    for row, synchronous in enumerate((False, True)):
        for column, clients in enumerate(many):
            axes = grid[row][column]
            found = of(result, "transactions", way="sql", clients=clients, synchronous=synchronous)
            _bars(axes, _KINDS[:3], _by_subject(found))
            axes.set_title(
                f"{clients} client{'s' if clients > 1 else ''}, "
                f"synchronous commit {'on' if synchronous else 'off'}",
                fontsize=8,
            )
            if column:
                axes.set_ylabel("")
    grid[0][-1].legend(fontsize=7, loc="upper left", bbox_to_anchor=(1, 1))
    figure.tight_layout()
    return figure


def _bulk(result: Result) -> Any:
    figures = of(result, "bulk")
    if not figures:
        return None
    figure, axes = plt.subplots(figsize=(8, 3.4))
    _bars(axes, _KINDS, _by_subject(figures))
    axes.set_title(f"Statements over {figures[0].parameters['rows']:,} rows")
    axes.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def _growth(result: Result) -> Any:
    """The cost of reads as history grows, with the fitted line."""
    asked = [one for one in _GROWING if growth(result, one, BASE)]
    if not asked:
        return None
    columns = 3
    figure, grid = plt.subplots(
        math.ceil(len(asked) / columns),
        columns,
        figsize=(4 * columns, 3 * math.ceil(len(asked) / columns)),
        squeeze=False,
    )
    cells = [axes for row in grid for axes in row]
    for axes, question in zip(cells, asked, strict=False):
        title = ""
        for key in SUBJECTS:
            points = growth(result, question, key)
            if not points:
                continue
            title = of(result, "reads", question=question)[0].name.rpartition(",")[0]
            axes.plot(*zip(*points, strict=True), "o", markersize=3, color=_COLOURS[key])
            start, steep = slope(points)
            ends = [points[0][0], points[-1][0]]
            axes.plot(
                ends,
                [max(start + steep * x, 1e-3) for x in ends],
                linewidth=1,
                color=_COLOURS[key],
                label=SUBJECTS[key].title,
            )
        axes.set_yscale("log")
        axes.set_title(title.rpartition(",")[0], fontsize=9)
        axes.set_xlabel("versions a row")
        axes.set_ylabel("µs")
    for axes in cells[len(asked) :]:
        axes.set_visible(False)
    cells[min(columns, len(asked)) - 1].legend(fontsize=7, loc="upper left", bbox_to_anchor=(1, 1))
    figure.tight_layout()
    return figure
